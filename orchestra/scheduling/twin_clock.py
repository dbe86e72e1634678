"""Time that passes only while everybody waits: hours of a simulated run in milliseconds.

Knows seconds and who waits for which; does not know what they are waited for. It runs on any
asyncio loop. It cannot see threads, processes or sockets: whoever waits for those in the
same loop does so without simulated time passing.
"""

from __future__ import annotations

import asyncio
import heapq

_QUIET = 8
"""Rounds of the loop in which nobody new began to wait, until time passes. What one waiter's
return sets off (a gate, a task that ends, who gathers it) needs a round for each link."""


class Clock:
    """Simulated seconds since the beginning."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    async def until(self, second: float) -> None:
        """Wait; equal seconds come in the order in which they were asked for."""
        if second <= self.now:
            return
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # whoever waited in a loop that is gone waits no more
            self._loop, self._waiting = loop, []
        future = loop.create_future()
        self._numbers += 1
        heapq.heappush(self._waiting, (second, self._numbers, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._tick, loop, 0, self._numbers)
        await future

    def _tick(self, loop: asyncio.AbstractEventLoop, quiet: int, numbers: int) -> None:
        if numbers != self._numbers:
            quiet = 0
        if quiet < _QUIET:
            loop.call_soon(self._tick, loop, quiet + 1, self._numbers)
            return
        second, _, future = heapq.heappop(self._waiting)
        if not future.done():  # cancelled: nobody waits, and no time passes
            self.now = second
            future.set_result(None)
        if self._waiting:
            loop.call_soon(self._tick, loop, 0, self._numbers)
