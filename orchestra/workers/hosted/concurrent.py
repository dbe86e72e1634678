"""A worker made of single calls: many of them under way, never more than its window.

Knows how to keep a window of calls full from a stream of requests, however long, and how to
stop; does not know what a call is. At any time it holds the requests and generations of one
window and no more: it takes the next request when there is room, not before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator

from orchestra.errors import BudgetExhausted
from orchestra.records import Generation, Request
from orchestra.workers.base import Caller, CutShort

MOST_DRAWS = 16
"""Draws in one call: providers that take `n` at all take that many."""


class ConcurrentWorker:
    """The batch shape of a caller.

    Args:
        caller: makes one call.
        window: most calls under way, waiting ones included; at least 1.
        most: most draws in one call; 1 for a provider that makes one at a time.
    """

    def __init__(self, caller: Caller, *, window: int, most: int = MOST_DRAWS) -> None:
        self._caller, self._window, self._most = caller, window, most

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each Request, as they finish.

        Raises:
            BudgetExhausted: after all that was paid for has finished and been yielded.
        """
        flow = _Flow(draws(requests, self._most), self._caller, self._window)
        flow.begin()
        try:
            while arrived := await flow.more():
                for generation in arrived:
                    yield generation
        finally:
            await flow.end()
        if flow.exhausted is not None:
            raise flow.exhausted


def draws(requests: Iterable[Request], most: int = MOST_DRAWS) -> Iterator[tuple[Request, ...]]:
    """The calls that the requests come to: draws that follow each other share one.

    They do where a provider draws them apart: not greedily, and not with a seed, since nobody
    says what the second draw of a seeded call is.
    """
    held: list[Request] = []
    for request in requests:
        if held and not (len(held) < most and _together(held[0], request)):
            yield tuple(held)
            held = []
        held.append(request)
    if held:
        yield tuple(held)


def _together(first: Request, other: Request) -> bool:
    sampling = first.sampling
    return (
        sampling.temperature > 0
        and sampling.seed is None
        and first.question_id == other.question_id
        and first.messages == other.messages
        and sampling == other.sampling
        and first.expert == other.expert
    )


class _Flow:
    """Callers that take turns at one stream of calls, and what they bring."""

    def __init__(self, calls: Iterator[tuple[Request, ...]], caller: Caller, window: int) -> None:
        self._calls, self._caller, self._window = calls, caller, window
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrived: deque[Generation] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._dry = False
        self._ending = False
        self._bug: BaseException | None = None
        self.exhausted: BudgetExhausted | None = None

    def begin(self) -> None:
        """Fill the window."""
        for _ in range(self._window):
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._left)

    async def more(self) -> list[Generation]:
        """What has arrived, once there is something; nothing when all is over."""
        while not self._arrived:
            if self._bug is not None:
                raise self._bug
            if not self._tasks:
                break
            self._news.clear()
            await self._news.wait()
        arrived = list(self._arrived)
        self._arrived.clear()
        self._room.set()
        return arrived

    async def end(self) -> None:
        """Give up what is under way."""
        self._ending = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self) -> None:
        while not self._dry:
            call = next(self._calls, None)
            if call is None:
                self._dry = True
                return
            try:
                found = await self._caller.call(call)
            except BudgetExhausted as error:
                self.exhausted, self._dry = error, True
                if isinstance(error, CutShort):
                    self._arrived.extend(error.finished)
                return
            self._arrived.extend(found)
            self._news.set()
            if len(self._arrived) >= self._window:
                self._room.clear()
                await self._room.wait()

    def _left(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            if not self._ending:  # or else its request would be forgotten, and nobody would know
                self._bug, self._dry = RuntimeError("a call was cancelled by others"), True
        elif (error := task.exception()) is not None:
            self._bug, self._dry = error, True
        self._news.set()
