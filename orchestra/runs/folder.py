"""A run folder: one run of one identity, one process at a time.

A run of another identity never takes a folder over, so nothing is overwritten.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import orjson

from orchestra.errors import BudgetExhausted, InputError, OrchestraError, RunConflict
from orchestra.files import read_file
from orchestra.runs.disk import translated
from orchestra.runs.ledger import Ledger
from orchestra.runs.manifest import Manifest, RunStatus, changes, read_manifest, write_manifest

if sys.platform != "win32":
    import fcntl

_MANIFEST, _LEDGER, _REPORT, _LOCK = "manifest.json", "ledger.sqlite", "report.json", "lock"
SPENDING = "spending.sqlite"
"""The file of the account in a run folder."""
_OTHER_OUT = "choose another --out"
_LINES = 12
"""Most differences in one message."""


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
        if sys.platform == "win32":
            raise InputError("run folders need a system with flock", hint="use Linux or macOS")
        with translated(self.path):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunConflict(
                    f"the run folder is held by {_holder(descriptor)}",
                    place=str(self.path.parent),
                    hint="wait for it to end, or choose another --out",
                ) from None
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode())


def _holder(descriptor: int) -> str:
    """The process that holds the lock, in words. The file is empty for an instant at first."""
    pid, _, host = os.read(descriptor, 300).decode(errors="replace").strip().partition(" ")
    if not pid:
        return "another process"
    return f"process {pid}" if host in ("", socket.gethostname()) else f"process {pid} on {host}"


class RunView:
    """A run folder to look at. Made by `RunFolder.inspect`; holds no lock, changes nothing."""

    def __init__(self, path: Path, manifest: Manifest, ledger: Ledger) -> None:
        self.path = path
        """The folder."""
        self.manifest = manifest
        """The manifest; in a view, as it was when the view was opened."""
        self.ledger = ledger
        """The rows of the run."""

    @property
    def report(self) -> Path:
        """The path of `report.json`, which need not exist yet."""
        return self.path / _REPORT

    def read_report(self) -> dict[str, Any]:
        """The content of `report.json`.

        Raises:
            InputError: there is none yet, or it is not the one that the run wrote.
        """
        if not self.report.is_file():
            hint = "finish the run: give its command again"
            raise InputError("there is no report yet", place=str(self.path), hint=hint)
        if self.manifest.report not in ("", self._report_digest()):
            raise InputError(
                "damaged, or changed by hand",
                place=str(self.report),
                hint="remove it and give the run's command again: it is made from the ledger",
            )
        content: dict[str, Any] = orjson.loads(read_file(self.report))
        return content

    def _report_digest(self) -> str:
        if not self.report.is_file():
            return ""
        return blake2b(read_file(self.report), digest_size=16).hexdigest()

    @property
    def finished(self) -> bool:
        """Whether the run came to its end and its report is there."""
        return self.manifest.status is RunStatus.FINISHED and self.report.is_file()

    def close(self) -> None:
        """Close the ledger. Closing twice is harmless."""
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.close()


class RunFolder(RunView):
    """A run folder to work in, locked until it is left. Made by `RunFolder.open`.

    Leaving it without `finish` marks the run as stopped after a BudgetExhausted and as
    interrupted otherwise; what was put in the ledger is committed either way.
    """

    def __init__(self, path: Path, manifest: Manifest, ledger: Ledger, lock: FolderLock) -> None:
        super().__init__(path, manifest, ledger)
        self._lock = lock

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        command: str,
        identity: Mapping[str, str],
        details: Mapping[str, object],
        shared: bool = False,
    ) -> Self:
        """Begin a run in `path`, or go on with the one that is there.

        `identity` names and digests everything that decides what the run computes. Of a
        finished run nothing is changed. A `shared` folder keeps calls for runs of one kind,
        whatever their identity; its manifest is that of the last one.

        Raises RunConflict where another process holds the folder, where it was made with another
        identity (naming the parts), or where it has other things in it; InputError where it
        cannot be used or its files are damaged.
        """
        _make(path)
        lock = FolderLock(path / _LOCK)
        try:
            mine = Manifest.begin(command=command, identity=identity, details=details)
            manifest = _admitted(path, mine, shared=shared)
            return cls(path, manifest, Ledger(path / _LEDGER), lock)
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def inspect(path: Path) -> RunView:
        """Look at the run in `path`, also while it is in progress.

        Raises InputError where there is no run or its files are damaged.
        """
        with translated(path):
            if not path.is_dir():
                raise InputError("there is no such run folder", place=str(path))
            if not (path / _MANIFEST).is_file():
                raise InputError(f"not a run folder: it has no `{_MANIFEST}`", place=str(path))
        manifest = read_manifest(path / _MANIFEST)
        _check_ledger(path, manifest)
        return RunView(path, manifest, Ledger(path / _LEDGER, readonly=True))

    def finish(self) -> None:
        """Commit everything and mark the run as finished, once its report is written."""
        self.manifest = replace(self.manifest, report=self._report_digest())
        self._leave(RunStatus.FINISHED)

    def interrupt(self) -> None:
        """Commit everything and mark the run as interrupted; the same command resumes it."""
        self._leave(RunStatus.INTERRUPTED)

    def stop(self) -> None:
        """Commit everything and mark the run as stopped by a budget; it can be resumed."""
        self._leave(RunStatus.STOPPED)

    def close(self) -> None:
        """Commit, close the ledger and let others in. Closing twice is harmless."""
        try:
            super().close()
        finally:
            self._lock.release()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self._settle(RunStatus.INTERRUPTED)
            return
        # A second error would hide the first.
        with suppress(OrchestraError):
            stopped = isinstance(error, BudgetExhausted)
            self._settle(RunStatus.STOPPED if stopped else RunStatus.INTERRUPTED)

    def _settle(self, status: RunStatus) -> None:
        try:
            if self.manifest.status is RunStatus.RUNNING:
                self._leave(status)
        finally:
            self.close()

    def _leave(self, status: RunStatus) -> None:
        self.ledger.commit()
        manifest = self.manifest.left(status)
        write_manifest(self.path / _MANIFEST, manifest)
        self.manifest = manifest


def _make(path: Path) -> None:
    """Make the folder. Raises RunConflict where it has files that are not those of a run."""
    with translated(path):
        if path.exists() and not path.is_dir():
            raise RunConflict("is a file, not a run folder", place=str(path), hint=_OTHER_OUT)
        path.mkdir(parents=True, exist_ok=True)
        names = {entry.name for entry in path.iterdir()}
    if names & {_MANIFEST, _LEDGER}:
        return
    # A process killed at its start leaves its lock file and perhaps a part of a manifest.
    ours = (f".{_MANIFEST}.", SPENDING, f".{SPENDING}.")
    strange = sorted(n for n in names if n != _LOCK and not n.startswith(ours))
    if strange:
        raise RunConflict(
            f"the folder is not empty and not a run folder: it has {strange[0]!r}",
            place=str(path),
            hint=_OTHER_OUT,
        )


def _admitted(path: Path, mine: Manifest, *, shared: bool = False) -> Manifest:
    """The manifest of the run, written to the disk. Raises RunConflict for another identity."""
    file = path / _MANIFEST
    if not file.exists():
        if (path / _LEDGER).exists():
            raise RunConflict(
                f"`{_LEDGER}` is here without its `{_MANIFEST}`, so whose it is cannot be told",
                place=str(path),
                hint=_OTHER_OUT,
            )
        write_manifest(file, mine)
        return mine
    theirs = read_manifest(file)
    _check_ledger(path, theirs)
    if shared and theirs.identity.keys() == mine.identity.keys():
        mine = replace(mine, started=theirs.started)
        write_manifest(file, mine)
        return mine
    different = theirs.differences(mine.identity)
    if different:
        raise RunConflict(
            "the folder holds a run with another " + _listed(different, theirs, mine),
            place=str(path),
            hint=f"{_OTHER_OUT}, or give what that run was given: {theirs.command}",
        )
    if theirs.status is RunStatus.FINISHED and (path / _REPORT).is_file():
        return theirs
    resumed = theirs.resumed()
    write_manifest(file, resumed)
    return resumed


def _check_ledger(path: Path, manifest: Manifest) -> None:
    """Raise InputError where a finished run has lost its rows."""
    ledger = path / _LEDGER
    if manifest.status is RunStatus.FINISHED and not (ledger.is_file() and ledger.stat().st_size):
        raise InputError(
            "not a ledger, or damaged: it is empty",
            place=str(ledger),
            hint="restore the file from a copy, or choose another --out",
        )


def _listed(names: tuple[str, ...], theirs: Manifest, mine: Manifest) -> str:
    """The parts that differ, each with both values where the details have them; then, where the
    details explain a part in full, everything in it that differs."""
    shown: list[str] = []
    lines: list[str] = []
    for name in names:
        there, now = (_explained(each, name) for each in (theirs, mine))
        values = [each.details[name] for each in (theirs, mine) if name in each.details]
        told = len(values) == 2 and values[0] != values[1]
        shown.append(f"`{name}`" + (" ({!r} there, {!r} now)".format(*values) if told else ""))
        lines += [] if there is None or now is None else changes(there, now, name)
    if len(lines) > _LINES:
        lines = [*lines[:_LINES], f"and {len(lines) - _LINES} more"]
    return "\n    ".join([", ".join(shown), *lines])


def _explained(manifest: Manifest, name: str) -> object:
    inputs = manifest.details.get("inputs")
    return inputs.get(name) if isinstance(inputs, Mapping) else None
