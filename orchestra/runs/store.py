"""The SQLite file under a ledger: its tables, and how it is opened to write or to read.

Knows the layout, the schema number kept in the file and the settings that make
many small rows cheap; does not know what the rows mean.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from orchestra.errors import InputError

SCHEMA = 1
"""Number of the layout, kept in the file's `user_version`."""

_LAYOUT = (
    # `position` is the order of insertion, also after rows have been removed.
    "CREATE TABLE rows (position INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL,"
    " question_id TEXT NOT NULL, expert TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (kind, key))",
    "CREATE INDEX rows_by_question ON rows (question_id)",
    f"PRAGMA user_version = {SCHEMA}",
)
_SETTINGS = (
    # A kill of the process loses nothing that was committed; a power cut may lose the last
    # commits but never the file.
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    # Pages of the write-ahead log before they are copied over; each time waits for the disk.
    "PRAGMA wal_autocheckpoint = 4000",
    # Negative: KiB. Enough to keep the indexes of a large run in memory.
    "PRAGMA cache_size = -65536",
)
# Some ten generations to a page; with 4096, half of many a page stays empty.
_PAGE = "PRAGMA page_size = 16384"
_PATIENCE = 1.0
"""Seconds to wait for another process; only a reader mending a killed run holds one up."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file at `path` to write, making it if need be.

    Transactions are begun by whoever writes. Raises InputError where the file is no ledger
    or is of a newer schema (before anything is changed), and sqlite3.Error untranslated.
    """
    db = _open(path.absolute().as_uri() + "?mode=rwc")
    try:
        if _is_new(db, path):
            db.execute(_PAGE)
        for setting in _SETTINGS:
            db.execute(setting)
        if _is_new(db, path):
            _lay_out(db, path)
    except BaseException:
        db.close()
        raise
    return db


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open the existing file at `path` to read, while another process may be writing to it.

    Raises InputError where there is no file or it is no ledger, and sqlite3.Error untranslated.
    """
    if not path.is_file():
        raise InputError("there is no ledger here", place=str(path))
    uri = path.absolute().as_uri()
    try:
        # Not mode=ro, which leaves the log's two side files behind.
        return _checked(_open(uri + "?mode=rw"), path)
    except sqlite3.OperationalError:
        if path.with_name(path.name + "-wal").exists():
            raise
        # A finished run in a folder that may only be read: nobody can be writing to it.
        return _checked(_open(uri + "?mode=ro&immutable=1"), path)


def _open(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_PATIENCE)


def _checked(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """`db` set to read only, if it is a ledger with a layout."""
    try:
        if _is_new(db, path):
            raise InputError("the ledger holds nothing yet", place=str(path))
        db.execute("PRAGMA query_only = 1")
    except BaseException:
        db.close()
        raise
    return db


def _is_new(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is still empty. Raises InputError where it is something else's."""
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found > SCHEMA:
        raise InputError(
            f"written by a newer orchestra: ledger schema {found}, known up to {SCHEMA}",
            place=str(path),
            hint="update orchestra, or choose another --out",
        )
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if found == SCHEMA and "rows" in tables:
        return False
    if found or tables:
        raise InputError("an SQLite file, but not a ledger", place=str(path))
    return True


def _lay_out(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables in one transaction, so that a killed process leaves none or all."""
    db.execute("BEGIN IMMEDIATE")
    if _is_new(db, path):  # still, now that nobody else can be making them
        for statement in _LAYOUT:
            db.execute(statement)
    db.execute("COMMIT")
