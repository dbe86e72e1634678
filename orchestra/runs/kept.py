"""Generations on their way into the ledger: many in one commit, and none waits for long.

Knows how many and how long; does not know what they are for. What waits when the process is
killed is lost, and paid for again.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

from orchestra.records import Generation
from orchestra.runs.ledger import Ledger, RowKind

_ROWS = 1_000
_SECONDS = 0.1


class Kept:
    """A context manager within a running event loop; leaving it commits what still waits.

    Args:
        ledger: where to; None: nowhere.
    """

    def __init__(self, ledger: Ledger | None) -> None:
        self._ledger = ledger
        self._rows: list[tuple[str, Generation]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0

    def add(self, generation: Generation) -> None:
        """Take one in."""
        if self._ledger is None:
            return
        self._rows.append((generation.key, generation))
        now = time.monotonic()
        if self._timer is None:
            self._since = now
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self.commit)
        # A worker that never waits keeps the loop's timers from their turn.
        if len(self._rows) >= _ROWS or now - self._since > _SECONDS:
            self.commit()

    def commit(self) -> None:
        """Make everything so far survive a kill of this process."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rows, self._rows = self._rows, []
        if self._ledger is not None and rows:
            self._ledger.put(RowKind.GENERATION, rows)
            self._ledger.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.commit()
