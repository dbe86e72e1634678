"""The ledger of one run: every finished piece of work as a row under its content key.

One process writes to the SQLite file, any number of processes read it. A failed call is never
a cached answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from uuid import uuid4

from orchestra.errors import InputError, OrchestraError
from orchestra.records import Answer, Ballot, Brief, Decision, Generation, LoadRow, Plan
from orchestra.runs.codec import decode, encode
from orchestra.runs.disk import translated
from orchestra.runs.store import connect, connect_to_read


@dataclass(frozen=True, slots=True)
class Reused:
    """Generations that came from other runs, at one time."""

    calls: int


Record = Brief | Plan | Generation | Answer | Ballot | Decision | LoadRow | Reused


class RowKind(StrEnum):
    """The kinds of rows. The records of one kind have one class, see `RECORDS`."""

    BRIEF = "brief"
    PLAN = "plan"
    GENERATION = "generation"
    FAILURE = "failure"
    """A Generation whose call failed; there is none of that key under GENERATION."""
    ANSWER = "answer"
    BALLOT = "ballot"
    DECISION = "decision"
    LOAD = "load"
    """Written by `Ledger.append`: loads are counted, not cached."""
    REUSED = "reused"
    """How many of the GENERATION rows came from other runs, likewise."""


RECORDS: Mapping[RowKind, type[Record]] = MappingProxyType(
    {
        RowKind.BRIEF: Brief,
        RowKind.PLAN: Plan,
        RowKind.GENERATION: Generation,
        RowKind.FAILURE: Generation,
        RowKind.ANSWER: Answer,
        RowKind.BALLOT: Ballot,
        RowKind.DECISION: Decision,
        RowKind.LOAD: LoadRow,
        RowKind.REUSED: Reused,
    }
)
"""The class of the records of each kind."""

# kind, key, question_id, expert, body
_Row = tuple[str, str, str, str, bytes]

_INSERT = "INSERT INTO rows (kind, key, question_id, expert, body) VALUES (?, ?, ?, ?, ?) "
_KEEP = _INSERT + "ON CONFLICT (kind, key) DO NOTHING"
_RENEW = _INSERT + "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body"
_SETTLE = (
    "DELETE FROM rows WHERE kind = 'failure' AND key = ? AND EXISTS "
    "(SELECT 1 FROM rows AS done WHERE done.kind = 'generation' AND done.key = rows.key)"
)
_FAILURES = "SELECT EXISTS (SELECT 1 FROM rows WHERE kind = 'failure')"
# The inner query reads an index only and is done before the first row comes out: the large
# bodies of other kinds are passed by, and rows put during the walk do not prolong it.
_WALK = (
    "SELECT key, body FROM rows WHERE position IN (SELECT position FROM rows WHERE {}) "
    "ORDER BY position"
)
_OF_KIND = _WALK.format("kind = ?")
_OF_QUESTION = _WALK.format("kind = ? AND question_id = ?")
_CHUNK = 500


class Ledger:
    """The rows of one run in one SQLite file. A context manager; leaving it commits.

    Opening makes the file if need be; a path of None is a database in memory. With `readonly`
    the file must exist, nothing is changed, and a run in progress may be read. Raises InputError
    for a file that is not a ledger, is damaged or was written by a newer orchestra, and
    RunConflict (from a write) where another process is writing to it.
    """

    def __init__(self, path: Path | None, *, batch: int = 2_000, readonly: bool = False) -> None:
        if batch < 1:
            raise ValueError(f"a batch has at least one row, not {batch}")
        self.path = path or Path(":memory:")
        self._batch = batch
        self._pending = 0
        self._open = True
        with translated(self.path):
            self._db = connect_to_read(self.path) if readonly else connect(path)
        try:
            self._failures = bool(self._fetch(_FAILURES)[0][0])
        except BaseException:
            self._db.close()
            raise

    # --- writing ----------------------------------------------------------------------

    def put(self, kind: RowKind, rows: Iterable[tuple[str, Record]]) -> None:
        """Append (key, record) rows of one kind to the open transaction.

        Commits by itself whenever `batch` rows have come together. A row that is there
        already is ignored. A Generation with a failure goes under FAILURE instead, where a
        later attempt of the same key replaces it and a success removes it.

        Raises ValueError for another record under a key that is taken, which means that a
        key does not cover what it should (the other rows are kept), and TypeError for a
        record of the wrong class.
        """
        if kind is RowKind.FAILURE:
            raise ValueError("failures are put as generations; the ledger tells them apart")
        waiting = iter(rows)
        while chunk := list(islice(waiting, self._batch - self._pending)):
            self._put_chunk(kind, chunk)
            self._pending += len(chunk)
            if self._pending >= self._batch:
                self.commit()

    def append(self, kind: RowKind, record: Record) -> None:
        """Add a row under a key of its own to the open transaction, for what has no content key."""
        self.put(kind, [(uuid4().hex, record)])

    def discard(self, kind: RowKind, question_ids: Iterable[str]) -> None:
        """Remove the rows of one kind for these questions, in the open transaction.

        For what was derived from a call that is being made again, or by another rule.
        """
        with translated(self.path):
            self._begin()
            self._db.executemany(
                "DELETE FROM rows WHERE question_id = ? AND kind = ?",
                ((question_id, kind.value) for question_id in question_ids),
            )

    def commit(self) -> None:
        """Make everything put so far survive a kill of this process."""
        with translated(self.path):
            if self._db.in_transaction:
                self._db.execute("COMMIT")
        self._pending = 0

    def close(self) -> None:
        """Commit and close the file. Closing twice is harmless."""
        if not self._open:
            return
        self._open = False
        try:
            self.commit()
        finally:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self.close()
            return
        # Rows are whole whatever went wrong elsewhere; a second error would hide the first.
        with suppress(OrchestraError):
            self.close()

    # --- reading ----------------------------------------------------------------------

    def keys(self, kind: RowKind) -> set[str]:
        """The keys of every row of one kind."""
        return {key for (key,) in self._fetch("SELECT key FROM rows WHERE kind = ?", kind.value)}

    def count(self, kind: RowKind) -> int:
        """How many rows of one kind there are."""
        return int(self._fetch("SELECT count(*) FROM rows WHERE kind = ?", kind.value)[0][0])

    def get(self, kind: RowKind, keys: Iterable[str]) -> dict[str, Any]:
        """The records under those of `keys` that are there; their class is `RECORDS[kind]`."""
        return {
            key: self._decoded(kind, key, body)
            for key, body in self._bodies(kind, tuple(dict.fromkeys(keys)))
        }

    def rows(self, kind: RowKind, question_id: str | None = None) -> Iterator[Any]:
        """The records of one kind, or of one kind and question, in the order they were put.

        Their class is `RECORDS[kind]`. Rows that are put during the walk are not part of it.
        """
        statement, values = _OF_KIND, [kind.value]
        if question_id is not None:
            statement, values = _OF_QUESTION, [kind.value, question_id]
        with translated(self.path):
            for key, body in self._db.execute(statement, values):
                yield self._decoded(kind, key, body)

    # --- inside -----------------------------------------------------------------------

    def _put_chunk(self, kind: RowKind, chunk: Sequence[tuple[str, Record]]) -> None:
        failed = [row for row in chunk if _has_failed(row[1])]
        whole = [row for row in chunk if not _has_failed(row[1])] if failed else chunk
        packed = _packed(kind, whole)
        with translated(self.path):
            self._begin()
            fresh = self._db.executemany(_KEEP, packed).rowcount if packed else 0
            if failed:
                self._db.executemany(_RENEW, _packed(RowKind.FAILURE, failed))
                self._failures = True
            if self._failures and kind is RowKind.GENERATION:
                self._db.executemany(_SETTLE, ((key,) for key, _ in chunk))
        if fresh < len(packed):
            self._refuse_clashes(kind, packed)

    def _refuse_clashes(self, kind: RowKind, given: Sequence[_Row]) -> None:
        """Raise ValueError if a row given is not the one that is there under its key."""
        there = dict(self._bodies(kind, tuple({row[1] for row in given})))
        for _, key, question_id, expert, body in given:
            if body == there[key]:
                continue
            # An older orchestra may have written the same record without a newer field.
            if decode(RECORDS[kind], body) != self._decoded(kind, key, there[key]):
                raise ValueError(
                    f"two different {kind} records under one key: {key!r}"
                    f" (question {question_id!r}, expert {expert!r})"
                )

    def _bodies(self, kind: RowKind, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            yield from self._fetch(
                f"SELECT key, body FROM rows WHERE kind = ? AND key IN ({marks})",
                kind.value,
                *chunk,
            )

    def _fetch(self, statement: str, *values: str) -> list[Any]:
        with translated(self.path):
            return self._db.execute(statement, values).fetchall()

    def _begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def _decoded(self, kind: RowKind, key: str, body: bytes) -> Record:
        try:
            return decode(RECORDS[kind], body)
        except ValueError as error:
            raise InputError(
                f"damaged {kind} row {key!r}: {error}",
                place=str(self.path),
                hint="restore the file from a copy, or choose another --out",
            ) from error


def _has_failed(record: Record) -> bool:
    return isinstance(record, Generation) and record.failure is not None


def _packed(kind: RowKind, rows: Iterable[tuple[str, Record]]) -> list[_Row]:
    """The rows as the table has them. Raises TypeError for a record of another class."""
    cls, name = RECORDS[kind], kind.value
    packed = []
    for key, record in rows:
        if type(record) is not cls:
            raise TypeError(f"a {kind} row keeps no {type(record).__name__}")
        question_id, expert = getattr(record, "question_id", ""), getattr(record, "expert", "")
        packed.append((name, key, question_id, expert, encode(record)))
    return packed


_ROWS = 1_000
_SECONDS = 0.1


class LedgerWriter:
    """Puts generations into a ledger, many in one commit, and none waits for long.

    A context manager within a running event loop; leaving it commits the generations that wait.
    Those that wait when the process is killed are lost.

    Args:
        ledger: the ledger; None: generations are dropped.
        then: is given the generations of each commit once it is done; None: nothing is.
    """

    def __init__(
        self,
        ledger: Ledger | None,
        *,
        then: Callable[[Iterable[Generation]], None] | None = None,
    ) -> None:
        self._ledger, self._then = ledger, then
        self._rows: list[tuple[str, Generation]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._failed: OrchestraError | None = None  # by a commit that nobody had called

    def add(self, generation: Generation) -> None:
        """Put `generation` into the ledger with one of the next commits, or raise why not."""
        if self._ledger is None and self._then is None:
            return
        if self._failed is not None:
            raise self._failed
        self._rows.append((generation.key, generation))
        now = time.monotonic()
        if self._timer is None:
            self._since = now
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self._commit_late)
        # A worker that never waits keeps the loop's timers from their turn.
        if len(self._rows) >= _ROWS or now - self._since > _SECONDS:
            self.commit()

    def commit(self) -> None:
        """Make all generations added so far survive a kill of this process."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rows, self._rows = self._rows, []
        if self._ledger is not None and rows:
            self._ledger.put(RowKind.GENERATION, rows)
            self._ledger.commit()
        if self._then is not None and rows:
            self._then(each for _, each in rows)

    def _commit_late(self) -> None:
        try:
            self.commit()
        except OrchestraError as error:  # a callback of the loop has no caller
            self._failed = error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.commit()
        if self._failed is not None and error is None:
            raise self._failed
