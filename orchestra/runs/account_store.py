"""The SQLite file under an account: what every process that shares it holds and has spent.

Knows the tables, one owner for each process that has the file open, and how what a
dead owner held becomes lost; does not know the limits, nor who waits for what.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from orchestra.errors import InputError, RunConflict
from orchestra.runs.account_lines import Entry, Line, Others
from orchestra.runs.budget import Cost
from orchestra.runs.disk import translate
from orchestra.runs.folder import FolderLock

SCHEMA = 1
"""Number of the layout, kept in the file's `user_version`."""

_LAYOUT = (
    # One row: the sums of all that is closed.
    "CREATE TABLE totals (calls INTEGER, tokens INTEGER, money INTEGER,"
    " lost_calls INTEGER, lost_tokens INTEGER, lost_money INTEGER, seconds REAL)",
    "INSERT INTO totals VALUES (0, 0, 0, 0, 0, 0, 0)",
    "CREATE TABLE closed (run TEXT, who TEXT, calls INTEGER, tokens INTEGER, money INTEGER,"
    " lost_calls INTEGER, lost_tokens INTEGER, lost_money INTEGER,"
    " PRIMARY KEY (run, who)) WITHOUT ROWID",
    # A number is never given twice: each owner has its own lock file.
    "CREATE TABLE owners (id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT, seconds REAL)",
    "CREATE TABLE lines (owner INTEGER, who TEXT, calls INTEGER, tokens INTEGER, money INTEGER,"
    " held_calls INTEGER, held_tokens INTEGER, held_money INTEGER, unpaid INTEGER,"
    " PRIMARY KEY (owner, who)) WITHOUT ROWID",
    f"PRAGMA user_version = {SCHEMA}",
)
_TABLES = frozenset({"totals", "closed", "owners", "lines"})
_SETTINGS = (
    # A kill of the process loses nothing that was committed; a power cut may lose the last
    # commits but never the file.
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA wal_autocheckpoint = 8000",
)
# A commit writes whole pages, mostly one.
_PAGE = "PRAGMA page_size = 1024"
_PATIENCE = 5.0
"""Seconds to wait for another process that writes; each write takes it some microseconds."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_OTHER_FILE = "restore the file from a copy, or name another budget file"


def _each(words: str) -> str:
    """The words once for each amount: `held_{}` becomes `held_calls, held_tokens, held_money`."""
    return ", ".join(words.format(name) for name in ("calls", "tokens", "money"))


_WRITE = "REPLACE INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_TICK = "UPDATE owners SET seconds = ? WHERE id = ?"
_CLOSED = "SELECT * FROM totals"
_LIVE = (
    f"SELECT {_each('ifnull(sum({}), 0)')}, {_each('ifnull(sum(held_{}), 0)')}"
    " FROM lines WHERE owner != ?"
)
_LIVE_SECONDS = "SELECT total(seconds) FROM owners WHERE id != ?"
# What an owner leaves behind: its open holds may have been paid, where anybody was to be paid.
_LEFT = f"{_each('{0} + held_{0} * (1 - unpaid)')}, {_each('held_{} * (1 - unpaid)')}"
_FOLD = (
    f"INSERT INTO closed SELECT run, who, {_LEFT} FROM lines JOIN owners ON owners.id = owner"
    " WHERE owner = ? ON CONFLICT (run, who) DO UPDATE SET "
    f"{_each('{0} = {0} + excluded.{0}')}, {_each('lost_{0} = lost_{0} + excluded.lost_{0}')}"
)
_ADD_UP = (
    f"UPDATE totals SET ({_each('{}')}, {_each('lost_{}')}) = (SELECT"
    f" {_each('totals.{0} + ifnull(sum(lines.{0} + held_{0} * (1 - unpaid)), 0)')},"
    f" {_each('lost_{0} + ifnull(sum(held_{0} * (1 - unpaid)), 0)')}"
    " FROM lines WHERE owner = ?1),"
    " seconds = seconds + (SELECT owners.seconds FROM owners WHERE id = ?1)"
)
_ENTRIES = (
    f"SELECT who, {_each('{}')}, 0, 0, 0, {_each('lost_{}')} FROM closed WHERE run = ?1"
    f" UNION ALL SELECT who, {_each('{}')}, {_each('held_{}')}, 0, 0, 0"
    " FROM lines JOIN owners ON owners.id = owner WHERE run = ?1 AND owner != ?2"
)


class AccountFile:
    """One process's place in the file: an owner, alive as long as its lock is held.

    Opening makes the file if need be, and takes leave of owners that died. Raises InputError
    where the file is no budget file, is damaged or was written by a newer orchestra.
    """

    def __init__(self, path: Path, run: str) -> None:
        self.path, self.run = path, run
        self._seen = -1
        self._others = Others()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _connect(path)
        except (OSError, sqlite3.Error) as error:
            raise _told(error, path) from error
        with ExitStack() as undo:
            undo.callback(self._db.close)
            self._owner, self._lock = self._enter()
            undo.callback(self._lock.release)
            self.reap()
            undo.pop_all()

    def begin(self) -> Others:
        """Keep all other processes from writing until `commit` or `rollback`; how they stand."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            return self._read()
        except sqlite3.Error as error:
            raise _told(error, self.path) from error

    def commit(self, lines: Iterable[Line], *, seconds: float | None = None) -> None:
        """Write how this owner's lines stand, and its seconds if given; both survive a kill."""
        rows = [
            (self._owner, line.who, line.calls, line.tokens, line.money)
            + (line.held_calls, line.held_tokens, line.held_money, line.unpaid)
            for line in lines
        ]
        try:
            if rows:
                self._db.executemany(_WRITE, rows)
            if seconds is not None:
                self._db.execute(_TICK, (seconds, self._owner))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _told(error, self.path) from error

    def rollback(self) -> None:
        """Leave a transaction that went wrong. Harmless where there is none."""
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def look(self) -> Others:
        """How the others stand now."""
        try:
            self._db.execute("BEGIN")
            try:
                return self._read()
            finally:
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _told(error, self.path) from error

    def entries(self) -> dict[str, Entry]:
        """What this run spent by name, except through this owner."""
        found: dict[str, Entry] = {}
        try:
            rows = self._db.execute(_ENTRIES, (self.run, self._owner)).fetchall()
        except sqlite3.Error as error:
            raise _told(error, self.path) from error
        for who, *n in rows:
            entry = Entry(Cost(*n[:3]), Cost(*n[3:6]), Cost(*n[6:]))
            found[who] = found.get(who, Entry()) + entry
        return found

    def reap(self) -> bool:
        """Count what dead owners held as lost. Whether there were any."""
        others = "SELECT id FROM owners WHERE id != ?"
        dead = False
        for (owner,) in self._db.execute(others, (self._owner,)).fetchall():
            try:
                lock = FolderLock(self._lock_of(owner))
            except RunConflict:
                continue  # alive
            self._fold(owner, lock)
            dead = True
        return dead

    def close(self, lines: Iterable[Line], *, seconds: float) -> tuple[Others, dict[str, Entry]]:
        """Write how the lines stand, open holds as lost, and leave the file.

        Returns how it stands then for everybody, and by name for this run.
        """
        try:
            self.begin()
            self.commit(lines, seconds=seconds)
            self._fold(self._owner, self._lock)
            self._owner = -1
            return self.look(), self.entries()
        finally:
            self._lock.release()
            self._db.close()

    # --- inside -----------------------------------------------------------------------

    def _read(self) -> Others:
        """How the others stand in this transaction."""
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._seen:  # somebody else has written since
            closed, live = self._one(_CLOSED), self._one(_LIVE, self._owner)
            spent = Cost(*closed[:3]) + Cost(*live[:3])
            seconds = closed[6] + self._one(_LIVE_SECONDS, self._owner)[0]
            self._others = Others(Entry(spent, Cost(*live[3:]), Cost(*closed[3:6])), seconds)
            self._seen = version
        return self._others

    def _enter(self) -> tuple[int, FolderLock]:
        """Become an owner; the lock is taken before anybody can see that there is one."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            told = self._db.execute("INSERT INTO owners (run, seconds) VALUES (?, 0)", (self.run,))
            owner = int(told.lastrowid or 0)
            lock = FolderLock(self._lock_of(owner))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _told(error, self.path) from error
        return owner, lock

    def _fold(self, owner: int, lock: FolderLock) -> None:
        """Add an owner's lines to what is closed, and remove it. The lock on it is held."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if self._one("SELECT count(*) FROM owners WHERE id = ?", owner)[0]:
                self._db.execute(_FOLD, (owner,))
                self._db.execute(_ADD_UP, (owner,))
                self._db.execute("DELETE FROM lines WHERE owner = ?", (owner,))
                self._db.execute("DELETE FROM owners WHERE id = ?", (owner,))
            self._db.execute("COMMIT")
            self._seen = -1
            # Nobody takes this number again, so that two processes never hold two such files.
            lock.path.unlink(missing_ok=True)
        except (OSError, sqlite3.Error) as error:
            self.rollback()
            raise _told(error, self.path) from error
        finally:
            lock.release()

    def _lock_of(self, owner: int) -> Path:
        return self.path.with_name(f".{self.path.name}.{owner}.lock")

    def _one(self, statement: str, *values: int) -> tuple[int, ...]:
        found: tuple[int, ...] = self._db.execute(statement, values).fetchone()
        return found


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        path,
        isolation_level=None,
        timeout=_PATIENCE,
        # Used by one thread at a time, but not always by the one that opened it.
        check_same_thread=False,
    )
    try:
        if _is_new(db, path):
            db.execute(_PAGE)
        for setting in _SETTINGS:
            db.execute(setting)
        if _is_new(db, path):
            # In one transaction, so that a killed process leaves all tables or none.
            db.execute("BEGIN IMMEDIATE")
            if _is_new(db, path):  # still, now that nobody else can be making them
                for statement in _LAYOUT:
                    db.execute(statement)
            db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def _is_new(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is still empty. Raises InputError where it is something else's."""
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables >= _TABLES and found > SCHEMA:
        raise InputError(
            f"written by a newer orchestra: budget schema {found}, known up to {SCHEMA}",
            place=str(path),
            hint="update orchestra, or name another budget file",
        )
    if found == SCHEMA and tables >= _TABLES:
        return False
    if found or tables:
        raise InputError(
            "an SQLite file, but not a budget file",
            place=str(path),
            hint="name another budget file",
        )
    return True


def _told(error: OSError | sqlite3.Error, path: Path) -> BaseException:
    """What the user is told about `error`; itself where it is a bug of ours."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, sqlite3.Error) and code in _DAMAGED:
        return InputError(
            f"not a budget file, or damaged: {error}", place=str(path), hint=_OTHER_FILE
        )
    return translate(error, path) or error
