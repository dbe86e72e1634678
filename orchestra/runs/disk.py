"""The boundary with the disk: its errors as errors for users, and files replaced whole.

An error that no user can cause (a malformed statement, a closed connection) is a bug of
orchestra and passes unchanged.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestra.errors import InputError, RunConflict

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
HELD = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
"""SQLite's codes where another process has the file."""
# By the number of a system's error, and of SQLite's.
_FULL = (
    frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG}),
    frozenset({sqlite3.SQLITE_FULL}),
)
_FORBIDDEN = (
    frozenset({errno.EACCES, errno.EPERM, errno.EROFS}),
    frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}),
)
LEDGER = ("ledger", "choose another --out")
"""What an SQLite file is, and what to do where a file is something else."""
BUDGET_FILE = ("budget file", "name another budget file")


@contextmanager
def translated(place: Path, what: tuple[str, str] = LEDGER) -> Iterator[None]:
    """Run a block that touches `place`; its OSError or sqlite3.Error leaves as an InputError."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        ours = translate(error, place, what=what)
        if ours is None:
            raise
        raise ours from error


def translate(
    error: OSError | sqlite3.Error, place: Path, *, what: tuple[str, str] = LEDGER
) -> InputError | None:
    """The error for the user about `error` at `place`; None where it is a bug of orchestra."""
    where = str(place)
    # The lowest byte of SQLite's code is the kind of error, the rest is the place within SQLite.
    in_sqlite = not isinstance(error, OSError)
    code = (
        error.errno if isinstance(error, OSError) else getattr(error, "sqlite_errorcode", 0) & 0xFF
    )
    if code in _FULL[in_sqlite]:
        hint = "free some space and give the same command again; all committed work is kept"
        return InputError("no space left on the disk", place=where, hint=hint)
    if code in _FORBIDDEN[in_sqlite]:
        hint = "check the permissions of the file and its folder"
        return InputError("may not be opened or written to", place=where, hint=hint)
    if isinstance(error, OSError):
        return InputError(f"cannot be read or written: {error.strerror or error}", place=where)
    if code in _DAMAGED:
        hint = f"restore the file from a copy, or {what[1]}"
        return InputError(f"not a {what[0]}, or damaged: {error}", place=where, hint=hint)
    if code in HELD:
        return RunConflict("another process is writing to it", place=where)
    if code == sqlite3.SQLITE_IOERR:
        return InputError(f"cannot be read or written: {error}", place=where)
    return None


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content`, so that no reader ever sees a part of it.

    The new content is on the disk before the name points to it. Raises InputError
    where the disk is full or the folder may not be written to; the old file stays.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with translated(path):
        try:
            with fresh.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        _sync(path.parent)


def claim_folder(path: Path, names: Collection[str], *, hint: str) -> None:
    """Make a folder for some files, which may be there already.

    Raises InputError where the path is no folder, has other things in it, or cannot be written.
    """
    with translated(path):
        if path.exists() and not path.is_dir():
            raise InputError("exists and is not a folder", place=str(path), hint=hint)
        path.mkdir(parents=True, exist_ok=True)
        others = sorted({each.name for each in path.iterdir()} - set(names))
    if others:
        raise InputError(
            f"the folder has other things in it, such as {others[0]!r}", place=str(path), hint=hint
        )


def _sync(folder: Path) -> None:
    """Have the folder's own entry reach the disk, where the file system knows how."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
