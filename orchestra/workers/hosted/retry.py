"""Calls again what may succeed the next time, and only that; the one owner of retries.

Knows which failures may pass, how long to wait and when to give up; does not know what a call
is. Waiting times are drawn with full jitter: uniform between nothing and a bound that doubles,
so that callers that failed together do not come back together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from random import Random

from orchestra.errors import BudgetExhausted
from orchestra.records import Failure, Generation, Request, Usage
from orchestra.roster import Calls
from orchestra.workers.base import Caller, CutShort
from orchestra.workers.hosted.errors import nobody_there

_FIRST = 0.5
"""Seconds: the bound of the first wait."""
_LONGEST = 60.0
"""Seconds: no bound is above it."""
_FREE = 100
"""Retries of a run that `Calls.retries` does not count."""
_IN_A_ROW = 20
"""Calls that may fail for good one after another, at least, before an expert is given up."""
_NEVER_THERE = 3
"""Attempts of a call, and such calls, until an expert is given up where nobody ever listened."""

Sleep = Callable[[float], Awaitable[None]]


class Retry:
    """The same shape as the caller it wraps.

    Args:
        caller: makes one attempt.
        calls: how many attempts, how many retries in the mean, and whether to hedge.
        seed: decides the waits, together with each request's key.
        sleep: waits; another one in tests.
        waits: a context around each of these waits, which may cut it short; None: nothing does.
    """

    def __init__(
        self,
        caller: Caller,
        calls: Calls,
        *,
        seed: int = 0,
        sleep: Sleep = asyncio.sleep,
        waits: AbstractContextManager[None] | None = None,
    ) -> None:
        self._caller, self._calls, self._seed, self._sleep = caller, calls, seed, sleep
        self._waits = nullcontext() if waits is None else waits
        self._made = 0
        self._retries = 0
        self._under_way = 0
        self._row = 0
        self._there = False
        self._last = ""
        self._over = ""

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        """Attempts until there is an answer, a failure that stays, or no attempt left.

        Usages of all attempts add up in what is returned. After a row of failed calls the expert
        is given up: calls fail at once, until it is opened anew. An address where nobody ever
        listened, which is most often a wrong one, is given up after a few seconds.

        Raises:
            CutShort: the budget has no room for another attempt, and some draws have come.
            BudgetExhausted: likewise, and none has.
        """
        most = max(_IN_A_ROW, 2 * self._under_way) if self._there else _NEVER_THERE
        if not self._over and self._row >= most:
            # For good, even if one that is still under way succeeds.
            self._over = f"given up after {self._row} failed calls in a row, the last: {self._last}"
        if self._over:
            return [self._given_up(request) for request in requests]
        self._made += 1
        self._under_way += 1
        try:
            found = await self._attempts(requests)
        finally:
            self._under_way -= 1
        lost = [each.failure for each in found if each.failure is not None]
        self._row = self._row + 1 if len(lost) == len(found) else 0
        if lost:
            self._last = f"{lost[-1].kind}: {lost[-1].detail}"
        return found

    async def _attempts(self, requests: Sequence[Request]) -> list[Generation]:
        found = await self._once(requests)
        if all(each.failure is None for each in found):
            return found
        best = {each.key: each for each in found}
        came = any(each.failure is None for each in found)
        attempt = 1
        while left := [r for r in requests if _may_pass(best[r.key].failure)]:
            most = self._calls.attempts if self._there else _NEVER_THERE
            if attempt >= min(most, self._calls.attempts) or not self._allowed():
                break
            self._retries += 1
            try:
                if not came:
                    with self._waits:
                        failure = best[left[0].key].failure
                        await self._sleep(self._wait(left[0], failure, attempt))
                again = await self._once(left)
            except BudgetExhausted as error:
                raise _cut_short(best.values(), error) from None
            for each in again:
                best[each.key] = _added(each, best[each.key].usage)
            came = any(best[request.key].failure is None for request in left)
            attempt += not came  # a server that gives one draw a call makes progress
        return [best[request.key] for request in requests]

    def _allowed(self) -> bool:
        return self._retries < _FREE + self._calls.retries * self._made

    def _wait(self, request: Request, failure: Failure | None, attempt: int) -> float:
        """Seconds before the next attempt: what the provider asks for, and some jitter."""
        bound = min(_FIRST * 2.0 ** (attempt - 1), _LONGEST)
        jitter = Random(f"{self._seed}:retry:{request.key}:{attempt}").uniform(0, bound)
        asked = failure.retry_after if failure else None
        return jitter if asked is None else asked + jitter

    async def _once(self, requests: Sequence[Request]) -> list[Generation]:
        if self._calls.hedge_after is None:
            found = await self._caller.call(requests)
        else:
            found = await self._hedged(requests, self._calls.hedge_after)
        self._there = self._there or not all(e.failure and nobody_there(e.failure) for e in found)
        return found

    async def _hedged(self, requests: Sequence[Request], after: float) -> list[Generation]:
        """One attempt, and one more beside it if it is slow; the first that succeeds counts."""
        tasks = [asyncio.ensure_future(self._caller.call(requests))]
        try:
            done, waiting = await asyncio.wait(tasks, timeout=after)
            if not done and self._allowed():
                self._retries += 1
                tasks.append(asyncio.ensure_future(self._caller.call(requests)))
                waiting = set(tasks)
            while waiting and not any(map(_decides, done)):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        return _merged(ended)

    def _given_up(self, request: Request) -> Generation:
        return Generation(
            request.key,
            request.question_id,
            request.expert,
            text="",
            finish_reason="error",
            failure=Failure("given_up", self._over, retryable=True),
            layer=request.layer,
            sample=request.sample,
        )


def _may_pass(failure: Failure | None) -> bool:
    return failure is not None and failure.retryable


def _cut_short(best: Iterable[Generation], error: BudgetExhausted) -> BudgetExhausted:
    """The error, with the draws that have come if any did, at the cost of all attempts."""
    first, *others = sorted(best, key=lambda each: each.failure is not None)
    if first.failure is not None:
        return error
    spent = sum((each.usage for each in others if each.failure is not None), Usage())
    return CutShort(error, [_added(first, spent), *(e for e in others if e.failure is None)])


def _added(generation: Generation, earlier: Usage) -> Generation:
    """The generation with what its earlier attempts cost."""
    if earlier == Usage():
        return generation
    both = earlier + generation.usage
    if generation.failure is None and both.estimated:
        # Attempts without tokens have none that could be estimates.
        told = [
            u.estimated for u in (earlier, generation.usage) if u.input_tokens + u.output_tokens
        ]
        both = replace(both, estimated=any(told))
    return replace(generation, usage=both)


def _decides(task: asyncio.Task[list[Generation]]) -> bool:
    """Whether what this attempt came to makes waiting for the other useless."""
    if task.cancelled():
        return False
    if (error := task.exception()) is not None:
        return not isinstance(error, BudgetExhausted)
    return all(each.failure is None for each in task.result())


def _merged(ended: Sequence[list[Generation] | BaseException]) -> list[Generation]:
    """The best of each draw, at the cost of all attempts that came to an end.

    Raises:
        BudgetExhausted: there was no money for any.
    """
    attempts = [each for each in ended if not isinstance(each, BaseException)]
    expected = (BudgetExhausted, asyncio.CancelledError)
    errors = [each for each in ended if isinstance(each, BaseException)]
    for error in sorted(errors, key=lambda each: isinstance(each, expected)):
        if not attempts or not isinstance(error, expected):
            raise error
    return [_best(draws) for draws in zip(*attempts, strict=True)]


def _best(draws: Sequence[Generation]) -> Generation:
    best, *others = sorted(draws, key=lambda each: each.failure is not None)
    return _added(best, sum((each.usage for each in others), Usage()))
