"""Calls and batches that an account pays for: held at their worst case, settled at what they cost.

Knows what a finished call did cost, and which failures are certainly free; does not know
prices, limits or who else spends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice

from orchestra.errors import BudgetExhausted
from orchestra.records import Failure, Generation, Request
from orchestra.roster import Expert, Price
from orchestra.runs import Cost
from orchestra.runs.account import Account
from orchestra.runs.budget import NOTHING, Hold
from orchestra.workers.base import Caller, Worker, ended
from orchestra.workers.hosted.errors import NEVER_PROCESSED

_AT_ONCE = 1_000
"""Requests that are held together, in one commit."""


def may_be_paid(failure: Failure) -> bool:
    """Whether a call that failed so may have been processed: all but what was turned away."""
    return failure.kind not in NEVER_PROCESSED


class Budgeted:
    """The same shape as the caller that it wraps.

    Args:
        caller: makes the calls.
        account: every call is held in it before it is made.
        worst: the most that a call of these requests may cost.
        paid: whether a failed call may have to be paid, where nobody reported its usage.
    """

    def __init__(
        self,
        caller: Caller,
        account: Account,
        worst: Callable[[Sequence[Request]], Cost],
        *,
        paid: Callable[[Failure], bool] = may_be_paid,
    ) -> None:
        self._caller, self._account = caller, account
        self._worst, self._paid = worst, paid

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        """Hold the worst case, call, and settle; see `Caller`.

        Raises:
            BudgetExhausted: the worst case does not fit.
        """
        worst = self._worst(requests)
        hold = await self._account.reserve(worst, requests[0].expert)
        actual = worst  # of a call cut short, nobody knows
        try:
            generations = await self._caller.call(requests)
            actual = _actual(generations, worst, self._paid)
        finally:
            self._account.settle(hold, actual)
        return generations


class BudgetedWorker:
    """The same shape as the worker that it wraps, an engine that wants batches.

    The batch that it gets is the longest start of what is left whose worst cases fit, so all of
    it where no limit is near.

    Args:
        worker: generates.
        account: every request is held in it before the worker gets it.
        worst: the most that a call of these requests may cost; asked for one at a time.
        unpaid: the engine runs here and nobody is paid, so that a request without a reply costs
            nothing, also if this process is killed. Otherwise it costs the worst case.
    """

    def __init__(
        self,
        worker: Worker,
        account: Account,
        worst: Callable[[Sequence[Request]], Cost],
        *,
        unpaid: bool = True,
    ) -> None:
        self._worker, self._account = worker, account
        self._worst, self._unpaid = worst, unpaid

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each Request, as they finish.

        Raises:
            BudgetExhausted: not one more request fits; all before it are generated.
        """
        feed = _Feed(requests, self._account, self._worst, self._unpaid)
        while await feed.begin():
            try:
                async with ended(self._worker, feed.batch()) as stream:
                    async for generation in stream:
                        feed.settle(generation)
                        yield generation
            finally:
                feed.end()


class _Feed:
    """Requests on their way to a worker, each held before it is handed out."""

    def __init__(
        self,
        requests: Iterable[Request],
        account: Account,
        worst: Callable[[Sequence[Request]], Cost],
        unpaid: bool,
    ) -> None:
        self._waiting = iter(requests)
        self._back: deque[Request] = deque()
        self._account, self._worst, self._unpaid = account, worst, unpaid
        self._first: Request | None = None
        self._held: dict[str, list[Hold]] = {}

    async def begin(self) -> bool:
        """Hold the next request, once there is room; False if there is none left."""
        first = self._take(1)
        if not first:
            return False
        self._first = first[0]
        cost, who = self._cost(self._first)
        hold = await self._account.reserve(cost, who, unpaid=self._unpaid)
        self._held[self._first.key] = [hold]
        return True

    def batch(self) -> Iterator[Request]:
        """The first and as many after it as fit, taken while the worker asks for them."""
        assert self._first is not None
        yield self._first
        while some := self._take(_AT_ONCE):
            try:
                holds = self._account.reserve_now(map(self._cost, some), unpaid=self._unpaid)
            except BudgetExhausted:  # raised again when this batch is done
                holds = []
            for request, hold in zip(some, holds, strict=False):
                self._held.setdefault(request.key, []).append(hold)
            self._back.extendleft(reversed(some[len(holds) :]))
            yield from some[: len(holds)]
            if len(holds) < len(some):
                return

    def settle(self, generation: Generation) -> None:
        """Spend what it did cost. One that nobody asked for is left to others to complain of."""
        holds = self._held.get(generation.key)
        if not holds:
            return
        hold = holds.pop()
        if not holds:
            del self._held[generation.key]
        unpaid = self._unpaid
        cost = _reported([generation]) if unpaid else _actual([generation], hold.cost, may_be_paid)
        self._account.settle(hold, cost)

    def end(self) -> None:
        """Settle what got no reply."""
        for hold in (each for holds in self._held.values() for each in holds):
            self._account.settle(hold, NOTHING if self._unpaid else hold.cost)
        self._held.clear()

    def _take(self, most: int) -> list[Request]:
        some = [self._back.popleft() for _ in range(min(most, len(self._back)))]
        return some + list(islice(self._waiting, most - len(some)))

    def _cost(self, request: Request) -> tuple[Cost, str]:
        return self._worst((request,)), request.expert


def _actual(
    generations: Sequence[Generation], worst: Cost, paid: Callable[[Failure], bool]
) -> Cost:
    """What a call did cost; the worst case where it may be paid and nobody told its usage."""
    cost = _reported(generations)
    failures = [each.failure for each in generations if each.failure is not None]
    if any(each.usage.estimated for each in generations):
        guessed = len(failures) < len(generations) or any(map(paid, failures))
    else:
        guessed = not cost.tokens and any(map(paid, failures))
    return worst if guessed else cost


def _reported(generations: Sequence[Generation]) -> Cost:
    """The usages of the draws of one call, added up: one call, whatever became of it."""
    costs = [Cost.of(each.usage) for each in generations]
    tokens = sum(each.tokens for each in costs)
    return Cost(1, tokens, sum(each.picodollars for each in costs))


_TURN_TOKENS = 16
"""More than any chat template adds to a turn."""

Worst = Callable[[Sequence[Request]], Cost]


def worst_cost(price: Price | None) -> Worst:
    """The most that a call for draws of one prompt may cost, by price; without one no money."""
    prices = (price.input, price.output) if price else None

    def cost(requests: Sequence[Request]) -> Cost:
        return Cost.priced(_read(requests[0]), _written(requests), prices=prices)

    return cost


def worst_by(experts: Iterable[Expert]) -> Worst:
    """The most that a call of one of several experts may cost."""
    costs = {expert.name: worst_cost(expert.price) for expert in experts}
    return lambda requests: costs[requests[0].expert](requests)


def worst_tokens(requests: Sequence[Request]) -> int:
    """The most tokens, read and written, that a call for draws of one prompt may take."""
    return _read(requests[0]) + _written(requests)


def _read(request: Request) -> int:
    """No tokeniser makes more tokens of a text than it has bytes."""
    return sum(
        len(m.content if m.content.isascii() else m.content.encode()) + _TURN_TOKENS
        for m in request.messages
    )


def _written(requests: Sequence[Request]) -> int:
    return requests[0].sampling.max_tokens * len(requests)
