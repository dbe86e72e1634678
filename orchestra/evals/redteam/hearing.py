"""Listens to liars that are asked: how many of their calls fail, and why.

Knows requests and failures as they pass; changes none of them. What a ledger answers for did not
fail, so that whatever fails passes by here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from orchestra.evals.attacks import Infiltrated
from orchestra.evals.attacks.wrapped import Wrapped
from orchestra.evals.redteam.trials import Reason
from orchestra.records import Failure, Generation, Request
from orchestra.roster import Expert
from orchestra.runs import Account
from orchestra.workers import Worker, ended

_FORGOTTEN = Failure("no_reply", "the worker ended without a reply")


class Heard(Wrapped):
    """Workers with liars among them, of whose lies those that failed are written down.

    Args:
        workers: the workers with the liars.
    """

    def __init__(self, workers: Infiltrated) -> None:
        super().__init__(workers)
        self._infiltrated = workers
        self._failed: Counter[tuple[str, str]] = Counter()

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why lies failed so far, sorted."""
        told = self._failed.items()
        return tuple(sorted(Reason(kind, detail, n) for (kind, detail), n in told))

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the expert, and others of its unit; leaving the context unloads them."""
        return self._visit(super().open(expert, *others, account=account))

    @asynccontextmanager
    async def _visit(self, inside: AbstractAsyncContextManager[Worker]) -> AsyncIterator[Worker]:
        async with inside as worker:
            yield _Listening(worker, self._infiltrated, self._note)

    def _note(self, failure: Failure) -> None:
        self._failed[failure.kind, failure.detail] += 1


class _Listening:
    """A worker whose lies are waited for."""

    def __init__(
        self, inside: Worker, infiltrated: Infiltrated, note: Callable[[Failure], None]
    ) -> None:
        self._inside, self._infiltrated, self._note = inside, infiltrated, note

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each request, in whatever order they come."""
        waiting: set[str] = set()
        async with ended(self._inside, self._marked(requests, waiting)) as stream:
            async for generation in stream:
                if generation.key in waiting:
                    waiting.remove(generation.key)
                    if generation.failure is not None:
                        self._note(generation.failure)
                yield generation
        for _ in waiting:
            self._note(_FORGOTTEN)

    def _marked(self, requests: Iterable[Request], waiting: set[str]) -> Iterator[Request]:
        """The requests, of which those that a liar lies on are in `waiting`."""
        for request in requests:
            if self._infiltrated.lie(request) is not None:
                waiting.add(request.key)
            yield request
