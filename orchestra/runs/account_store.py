"""The SQLite database of an account: the costs of every process that shares it.

Each process that has the database open is an owner, alive as long as it holds the lock on a
file of its own. The open holds of a dead owner count as lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from orchestra.errors import RunConflict
from orchestra.runs.budget import Balance, Cost, Entry, OtherProcesses
from orchestra.runs.disk import BUDGET_FILE, translated
from orchestra.runs.folder import FolderLock
from orchestra.runs.store import Layout, connect

LAYOUT = Layout(
    what=BUDGET_FILE,
    schema=1,
    tables=(
        # One row: the sums of all owners that left.
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
    ),
    names=frozenset({"totals", "closed", "owners", "lines"}),
    page_size=1024,  # a commit writes whole pages, mostly one
    settings=("PRAGMA wal_autocheckpoint = 8000",),
    patience=5.0,  # each write takes another process some microseconds
)


def _amounts(template: str) -> str:
    """The template once for each amount: `held_{}` gives `held_calls, held_tokens, held_money`."""
    return ", ".join(template.format(name) for name in ("calls", "tokens", "money"))


_WRITE = "REPLACE INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_LIVE = (
    f"SELECT {_amounts('ifnull(sum({}), 0)')}, {_amounts('ifnull(sum(held_{}), 0)')}"
    " FROM lines WHERE owner != ?"
)
_LIVE_SECONDS = "SELECT total(seconds) FROM owners WHERE id != ?"
# The open holds of an owner that left may have been paid, unless the engine is unpaid.
_LEFT = f"{_amounts('{0} + held_{0} * (1 - unpaid)')}, {_amounts('held_{} * (1 - unpaid)')}"
_FOLD = (
    f"INSERT INTO closed SELECT run, who, {_LEFT} FROM lines JOIN owners ON owners.id = owner"
    " WHERE owner = ? ON CONFLICT (run, who) DO UPDATE SET "
    f"{_amounts('{0} = {0} + excluded.{0}')},"
    f" {_amounts('lost_{0} = lost_{0} + excluded.lost_{0}')}",
    f"UPDATE totals SET ({_amounts('{}')}, {_amounts('lost_{}')}) = (SELECT"
    f" {_amounts('totals.{0} + ifnull(sum(lines.{0} + held_{0} * (1 - unpaid)), 0)')},"
    f" {_amounts('lost_{0} + ifnull(sum(held_{0} * (1 - unpaid)), 0)')}"
    " FROM lines WHERE owner = ?1),"
    " seconds = seconds + (SELECT owners.seconds FROM owners WHERE id = ?1)",
    "DELETE FROM lines WHERE owner = ?",
    "DELETE FROM owners WHERE id = ?",
)
_ENTRIES = (
    f"SELECT who, {_amounts('{}')}, 0, 0, 0, {_amounts('lost_{}')} FROM closed WHERE run = ?1"
    f" UNION ALL SELECT who, {_amounts('{}')}, {_amounts('held_{}')}, 0, 0, 0"
    " FROM lines JOIN owners ON owners.id = owner WHERE run = ?1 AND owner != ?2"
)

_MOST = 1 << 60
"""Larger amounts are written as this one, so that SQLite can add them up."""


class AccountStore:
    """One owner's access to the database.

    Opening makes the file if need be, and counts the open holds of dead owners as lost. Raises
    InputError where the file is no budget file, is damaged or was written by a newer orchestra.

    Args:
        path: the file; None: a database in memory, which has no other owner. It is made when the
            owner leaves, since balances that nobody else sees need no writing before.
        run: the name of the run, the same for all its resumes.
    """

    def __init__(self, path: Path | None, run: str) -> None:
        self.path, self.run = path, run
        self._seen, self._owner = -1, 0
        self._others = OtherProcesses()
        self._lock: FolderLock | None = None
        if path is not None:
            self._enter()

    @contextmanager
    def transaction(self, mode: str = "IMMEDIATE") -> Iterator[OtherProcesses]:
        """Keep other processes from writing in a block, which gets their costs."""
        try:
            with self._translated():
                self._db.execute(f"BEGIN {mode}")
                yield self._read()
                self._db.execute("COMMIT")
        finally:
            with suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def write(self, balances: Iterable[Balance], *, seconds: float | None = None) -> None:
        """Write balances of this owner, and its seconds if given, in a transaction."""
        rows = [
            (
                self._owner,
                each.who,
                *(min(n, _MOST) for n in (each.calls, each.tokens, each.money)),
                *(min(n, _MOST) for n in (each.held_calls, each.held_tokens, each.held_money)),
                each.unpaid,
            )
            for each in balances
        ]
        if rows:
            self._db.executemany(_WRITE, rows)
        if seconds is not None:
            update = "UPDATE owners SET seconds = ? WHERE id = ?"
            self._db.execute(update, (seconds, self._owner))

    def look(self) -> OtherProcesses:
        """The costs of the other processes now."""
        with self.transaction("DEFERRED") as others:
            return others

    def entries(self) -> dict[str, Entry]:
        """The costs of this run by name, without those of this owner."""
        entries: dict[str, Entry] = {}
        if not self._owner:
            return entries
        with self._translated():
            rows = self._db.execute(_ENTRIES, (self.run, self._owner)).fetchall()
        for who, *n in rows:
            entry = Entry(Cost(*n[:3]), Cost(*n[3:6]), Cost(*n[6:]))
            entries[who] = entries.get(who, Entry()) + entry
        return entries

    def reap(self) -> bool:
        """Count the open holds of dead owners as lost. Whether there were any."""
        if self.path is None:
            return False
        dead, select = False, "SELECT id FROM owners WHERE id != ?"
        with self._translated():
            owners = self._db.execute(select, (self._owner,)).fetchall()
        for (owner,) in owners:
            try:
                lock = FolderLock(self._lock_of(self.path, owner))
            except RunConflict:
                continue  # alive
            self._fold(owner, lock)
            dead = True
        return dead

    def close(
        self, balances: Collection[Balance], *, seconds: float
    ) -> tuple[OtherProcesses, dict[str, Entry]]:
        """Write the balances, count open holds as lost, and leave the database.

        Returns the costs of all processes then, and those of this run by name.
        """
        if not self._owner:
            if not balances:
                return OtherProcesses(seconds=seconds), {}
            self._enter()
        try:
            with self.transaction():
                self.write(balances, seconds=seconds)
            self._fold(self._owner, self._lock)
            self._owner = -1
            return self.look(), self.entries()
        finally:
            self._release()

    # --- inside -----------------------------------------------------------------------

    def _enter(self) -> None:
        """Open the database and become one of its owners."""
        with self._translated():
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = connect(self.path, LAYOUT)
        try:
            with self.transaction():
                # The lock is taken before another process can see that there is such an owner.
                insert = "INSERT INTO owners (run, seconds) VALUES (?, 0)"
                self._owner = int(self._db.execute(insert, (self.run,)).lastrowid or 0)
                if self.path is not None:
                    self._lock = FolderLock(self._lock_of(self.path, self._owner))
            self.reap()
        except BaseException:
            self._release()
            raise

    def _read(self) -> OtherProcesses:
        """The costs of the other processes in this transaction."""
        version = self._row("PRAGMA data_version")[0]
        if version != self._seen:  # another process has written since
            closed, live = self._row("SELECT * FROM totals"), self._row(_LIVE, self._owner)
            spent = Cost(*closed[:3]) + Cost(*live[:3])
            seconds = closed[6] + self._row(_LIVE_SECONDS, self._owner)[0]
            entry = Entry(spent, Cost(*live[3:]), Cost(*closed[3:6]))
            self._others = OtherProcesses(entry, seconds)
            self._seen = version
        return self._others

    def _fold(self, owner: int, lock: FolderLock | None) -> None:
        """Add an owner's balances to the totals, and remove it. The lock on it is held."""
        try:
            with self.transaction():
                if self._row("SELECT count(*) FROM owners WHERE id = ?", owner)[0]:
                    for statement in _FOLD:
                        self._db.execute(statement, (owner,))
            self._seen = -1
            if lock is not None:
                # The number is never given again, so that two processes never hold two such files.
                with self._translated():
                    lock.path.unlink(missing_ok=True)
        finally:
            if lock is not None:
                lock.release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
        self._db.close()

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self.path or Path(":memory:"), BUDGET_FILE)

    @staticmethod
    def _lock_of(path: Path, owner: int) -> Path:
        return path.with_name(f".{path.name}.{owner}.lock")

    def _row(self, statement: str, *values: int) -> tuple[int, ...]:
        row: tuple[int, ...] = self._db.execute(statement, values).fetchone()
        return row
