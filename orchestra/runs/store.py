"""SQLite files with a layout of ours: how they are made, recognised and opened.

The settings make many small transactions cheap.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestra.errors import InputError
from orchestra.runs.disk import HELD, LEDGER


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of one kind of file."""

    what: tuple[str, str]
    """The kind, and the hint where a file is of another kind; see `disk.LEDGER`."""
    schema: int
    """Number of the layout, in the file's `user_version`."""
    tables: Sequence[str]
    """The statements that make the tables and indexes."""
    names: frozenset[str]
    """The names of the tables."""
    page_size: int
    settings: Sequence[str]
    """Pragmas beside those that all files have."""
    patience: float
    """Seconds to wait for another process that writes."""


_SETTINGS = (
    # A kill of the process loses nothing that was committed; a power cut may lose the last
    # commits but never the file.
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
)
LEDGER_LAYOUT = Layout(
    what=LEDGER,
    schema=1,
    tables=(
        # `position` is the order of insertion, also after rows have been removed.
        "CREATE TABLE rows (position INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL,"
        " question_id TEXT NOT NULL, expert TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (kind, key))",
        "CREATE INDEX rows_by_question ON rows (question_id)",
    ),
    names=frozenset({"rows"}),
    # Some ten generations to a page; with 4096, half of many a page stays empty.
    page_size=16384,
    settings=(
        # Pages of the write-ahead log before they are copied over; each time waits for the disk.
        "PRAGMA wal_autocheckpoint = 4000",
        # Negative: KiB. Enough to keep the indexes of a large run in memory.
        "PRAGMA cache_size = -65536",
    ),
    patience=1.0,  # only a reader that mends a killed run holds a writer up
)


def connect(path: Path | None, layout: Layout = LEDGER_LAYOUT) -> sqlite3.Connection:
    """Open the file at `path` to write, making it if need be; None: a database in memory.

    The caller begins transactions. Raises InputError where the file is of another kind or of a
    newer schema (before anything is changed), and sqlite3.Error untranslated.
    """
    until = time.monotonic() + layout.patience
    while True:
        try:
            return _connected(path, layout)
        except sqlite3.OperationalError as error:
            # SQLite does not wait for some locks of files that another process makes or leaves.
            if error.sqlite_errorcode & 0xFF not in HELD or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _connected(path: Path | None, layout: Layout) -> sqlite3.Connection:
    uri = "file::memory:" if path is None else path.absolute().as_uri() + "?mode=rwc"
    db = _open(uri, layout)
    try:
        if _is_new(db, path, layout):
            db.execute(f"PRAGMA page_size = {layout.page_size}")
        for setting in (*_SETTINGS, *layout.settings):
            db.execute(setting)
        if _is_new(db, path, layout):
            # In one transaction, so that a killed process leaves all tables or none.
            db.execute("BEGIN IMMEDIATE")
            if _is_new(db, path, layout):  # still, now that no other process can be making them
                for statement in layout.tables:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {layout.schema}")
            db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open the existing ledger at `path` to read, while another process may be writing to it.

    Raises InputError where there is no file or it is no ledger, and sqlite3.Error untranslated.
    """
    if not path.is_file():
        raise InputError("there is no ledger here", place=str(path))
    uri = path.absolute().as_uri()
    try:
        # Not mode=ro, which leaves the log's two side files behind.
        return _checked(_open(uri + "?mode=rw", LEDGER_LAYOUT), path)
    except sqlite3.OperationalError:
        if path.with_name(path.name + "-wal").exists():
            raise
        # A finished run in a folder that may only be read: no process can be writing to it.
        return _checked(_open(uri + "?mode=ro&immutable=1", LEDGER_LAYOUT), path)


def _open(uri: str, layout: Layout) -> sqlite3.Connection:
    return sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        timeout=layout.patience,
        # Used by one thread at a time, which is not always the one that opened it.
        check_same_thread=False,
    )


def _checked(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """`db` set to read only, if it is a ledger with tables."""
    try:
        if _is_new(db, path, LEDGER_LAYOUT):
            raise InputError("the ledger holds nothing yet", place=str(path))
        db.execute("PRAGMA query_only = 1")
    except BaseException:
        db.close()
        raise
    return db


def _is_new(db: sqlite3.Connection, path: Path | None, layout: Layout) -> bool:
    """Whether the file is still empty. Raises InputError where it is of another kind."""
    version, tables = _contents(db)
    kind, hint = layout.what
    if tables >= layout.names and version > layout.schema:
        raise InputError(
            f"written by a newer orchestra: {kind.split()[0]} schema {version},"
            f" known up to {layout.schema}",
            place=str(path),
            hint=f"update orchestra, or {hint}",
        )
    if tables >= layout.names and version == layout.schema:
        made = db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
        if _makers(text for (text,) in made) >= _makers(layout.tables):
            return False
        raise InputError(f"not a {kind}, or damaged: other tables", place=str(path), hint=hint)
    if version or tables:
        raise InputError(f"an SQLite file, but not a {kind}", place=str(path), hint=hint)
    return True


def _makers(statements: Iterable[str]) -> set[str]:
    """The statements that make tables and indexes; SQLite stores them as they were given."""
    return {" ".join(each.split()) for each in statements if each.startswith("CREATE")}


def _contents(db: sqlite3.Connection) -> tuple[int, set[str]]:
    """The schema's number and the names of the tables, both from before or both from after another
    process has made them."""
    begun = db.in_transaction
    if not begun:
        db.execute("BEGIN")
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        names = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    finally:
        if not begun:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
    return version, {name for (name,) in names}
