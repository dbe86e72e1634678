"""The one call shape of everything that generates: requests in, generations out.

Knows the protocol and who opens a worker for an expert; does not know any engine.
Entering `open_worker`'s context is the load, leaving it the unload.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from orchestra.errors import BudgetExhausted
from orchestra.records import Generation, Request
from orchestra.roster import Expert
from orchestra.runs import Account


class Worker(Protocol):
    """Generates for one expert (or, for shared engines, for several)."""

    def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each Request, in any order, as they finish.

        A call that fails is a Generation with a `failure`; the iterator raises only for bugs.
        """
        ...


@asynccontextmanager
async def ended(
    worker: Worker, requests: Iterable[Request]
) -> AsyncIterator[AsyncIterator[Generation]]:
    """What a worker generates; leaving the context, for whatever reason, gives up the rest."""
    stream = worker.generate(requests)
    try:
        yield stream
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


class Caller(Protocol):
    """Makes one call of a model that somebody else serves."""

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        """One Generation for each request, in order.

        The requests are draws of one prompt: they differ in `sample` only. A call that fails is
        Generations with a `failure`.

        Raises:
            CutShort: the budget ended it when some draws had come, and been paid.
            BudgetExhausted: the call would pass the budget.
        """
        ...


class CutShort(BudgetExhausted):
    """The budget has no room for the rest of a call.

    Args:
        error: why.
        finished: the draws that have come.
    """

    def __init__(self, error: BudgetExhausted, finished: Sequence[Generation]) -> None:
        super().__init__(error.message, hint=error.hint)
        self.finished = finished


class Workers(Protocol):
    """Opens the workers of experts."""

    def unit(self, expert: Expert) -> str:
        """What is loaded for it: experts of one unit are served by one load."""
        ...

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None
    ) -> AbstractAsyncContextManager[Worker]:
        """A context that loads the expert, and others of its unit, on entry; unloads on exit.

        Workers that can choose an accelerator, or make an engine able to sleep, have the options
        `device: int | None` and `sleeps: bool` too. The account pays for every attempt to call a
        hosted expert; None: nobody counts.
        """
        ...
