"""The lock on a run folder: one process at a time, and never a stale one.

Knows how the operating system keeps a lock that ends with its process, however
that ends; does not know what the folder holds.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from orchestra.errors import InputError, RunConflict
from orchestra.runs.disk import translated

if sys.platform != "win32":
    import fcntl


class FolderLock:
    """An exclusive lock on one file, held from construction to `release`.

    The kernel drops it when the process ends, also after kill -9. A child made by a bare
    fork shares it and would keep it, so children that may outlive this process are to be
    spawned (the descriptor is not inherited by a new program).

    Raises RunConflict that names the holder, and InputError where the file cannot be
    made or the system has no such locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with translated(path):
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take(self._descriptor)
        except BaseException:
            os.close(self._descriptor)
            self._descriptor = None
            raise

    def release(self) -> None:
        """Let the next process in. Releasing twice is harmless."""
        # The file stays: removing it would let two processes hold two files of one name.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.ftruncate(descriptor, 0)
            os.close(descriptor)

    def _take(self, descriptor: int) -> None:
        with translated(self.path):
            if not _try(descriptor):
                raise RunConflict(
                    f"the run folder is held by {_holder(descriptor)}",
                    place=str(self.path.parent),
                    hint="wait for it to end, or choose another --out",
                )
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode())


def _try(descriptor: int) -> bool:
    """Take the lock if nobody has it."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    raise InputError("run folders need a system with flock", hint="use Linux or macOS")


def _holder(descriptor: int) -> str:
    """Who holds the lock, in words. The file is empty for an instant before it says so."""
    pid, _, host = os.read(descriptor, 300).decode(errors="replace").strip().partition(" ")
    if not pid:
        return "another process"
    return f"process {pid}" if host in ("", socket.gethostname()) else f"process {pid} on {host}"
