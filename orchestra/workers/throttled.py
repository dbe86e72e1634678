"""A caller whose calls keep within a throttle.

Knows what a call reserves, what it used and when the provider asked to wait; does not know
HTTP, budgets or retries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from orchestra.records import Generation, Request
from orchestra.workers.base import Caller
from orchestra.workers.throttle import Throttle


class Throttled:
    """The same shape as the caller that it wraps.

    Args:
        caller: makes the calls.
        throttle: shared by all callers on one provider key.
        worst: the most tokens, read and written, that a call of these requests may take.
        waits: a context around each wait for a place, which may cut it short; None: nothing does.
    """

    def __init__(
        self,
        caller: Caller,
        throttle: Throttle,
        worst: Callable[[Sequence[Request]], int],
        *,
        waits: AbstractContextManager[None] | None = None,
    ) -> None:
        self._caller, self._throttle, self._worst = caller, throttle, worst
        self._waits = nullcontext() if waits is None else waits

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        """Wait for a place, call, and tell the throttle what the call took."""
        with self._waits:
            slot = await self._throttle.enter(self._worst(requests))
        used = None  # of a call cut short, nobody knows
        try:
            generations = await self._caller.call(requests)
            used = _used(generations)
            # Before the place is free: the next in line must already find the pause.
            for each in generations:
                if each.failure is not None and each.failure.retry_after is not None:
                    self._throttle.pause(each.failure.retry_after)
        finally:
            self._throttle.leave(slot, used)
        return generations


def _used(generations: Sequence[Generation]) -> int | None:
    """Tokens of a call; None where it failed and nobody reported them.

    The prompt counts once: the draws after the first did not send it again.
    """
    if any(each.failure is not None and each.usage.estimated for each in generations):
        return None
    written = sum(each.usage.output_tokens for each in generations)
    return generations[0].usage.input_tokens + written
