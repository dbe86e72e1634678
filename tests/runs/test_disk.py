"""Errors of the disk are told in words; bugs are not dressed up as user errors."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from orchestra.errors import InputError, RunConflict
from orchestra.runs import write_whole
from orchestra.runs.disk import translate, translated


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


SYSTEM = [
    (errno.ENOSPC, "no space left", "free some space"),
    (errno.EDQUOT, "no space left", "all committed work is kept"),
    (errno.EACCES, "may not be opened", "check the permissions"),
    (errno.EROFS, "may not be opened", "check the permissions"),
    (errno.EIO, "cannot be read or written", ""),
    (errno.ENOLCK, "cannot be read or written", ""),
]
SQLITE = [
    (sqlite3.SQLITE_FULL, InputError, "no space left"),
    (sqlite3.SQLITE_CANTOPEN, InputError, "may not be opened"),
    (sqlite3.SQLITE_READONLY_DIRECTORY, InputError, "may not be opened"),
    (sqlite3.SQLITE_CORRUPT_INDEX, InputError, "damaged: as SQLite says it"),
    (sqlite3.SQLITE_NOTADB, InputError, "not a ledger"),
    (sqlite3.SQLITE_IOERR_WRITE, InputError, "cannot be read or written"),
    (sqlite3.SQLITE_BUSY, RunConflict, "another process is writing"),
    (sqlite3.SQLITE_BUSY_SNAPSHOT, RunConflict, "another process is writing"),
]
BUGS = [
    sqlite_error(sqlite3.SQLITE_ERROR),
    sqlite_error(sqlite3.SQLITE_CONSTRAINT_NOTNULL),
    sqlite3.ProgrammingError("Cannot operate on a closed database."),
]


@pytest.mark.parametrize(("number", "words", "hint"), SYSTEM)
def test_errors_of_the_system(number: int, words: str, hint: str) -> None:
    with pytest.raises(InputError, match=words) as caught, translated(Path("some/file")):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith("some/file: ")
    assert hint in caught.value.hint
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(("code", "kind", "words"), SQLITE)
def test_errors_of_sqlite(code: int, kind: type[InputError], words: str) -> None:
    error = sqlite_error(code)
    with pytest.raises(kind, match=words) as caught, translated(Path("f")):
        raise error
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_pass_unchanged(bug: sqlite3.Error) -> None:
    assert translate(bug, Path("f")) is None
    with pytest.raises(sqlite3.Error) as caught, translated(Path("f")):
        raise bug
    assert caught.value is bug


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), translated(Path("f")):
        raise ZeroDivisionError


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for content in (b"", b"long " * 100_000, b"short"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_scraps(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()  # a name that no file can take over
    with pytest.raises(InputError, match="file: cannot be read or written"):
        write_whole(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    with pytest.raises(InputError, match="No such file"):
        write_whole(tmp_path / "absent" / "file", b"new")
