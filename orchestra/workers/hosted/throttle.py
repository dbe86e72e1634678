"""The limits of one provider key: requests and tokens in any period, and calls at once.

Knows windows, a queue and a clock; does not know HTTP or retries. All experts on a key
share one Throttle. First come, first served, strictly: whoever is at the head goes first,
however large. The queue sleeps on one timer until the head may go, and on none while
nobody waits.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from asyncio_throttle.throttler import Throttler

from orchestra.errors import InputError
from orchestra.records import Generation, Request
from orchestra.workers.base import Caller

Clock = Callable[[], float]

# A window is open again strictly after its oldest entry's time; timers know microseconds.
LATER = 1e-5


@dataclass(slots=True, eq=False)
class Slot:
    """One call's place within the limits, from `enter` to `leave`."""

    at: float
    """When its call went on, on the throttle's clock."""
    tokens: int
    """What it counts in the token window: the reservation, then what was used."""
    life: int
    """Which event loop of the throttle it was let in on."""
    counted: bool = False
    """Whether it lies in the token window."""
    left: bool = False


class _Requests(Throttler):
    """The library's strict window of calls, at times that it is told.

    Its own `acquire` polls and reads the system's clock; nothing here calls it.
    """

    def __init__(self, most: int, window: float) -> None:
        super().__init__(most, window)
        self._now = -math.inf

    def flush(self) -> None:
        """Forget the calls that have left the window."""
        log, oldest = self._task_logs, self._now - self.period
        while log and log[0] < oldest:
            log.popleft()

    def opens(self, now: float, going: int) -> float:
        """When there is room for a call beside those that are about to go on."""
        log, most = self._task_logs, self.rate_limit - going
        if len(log) < most:
            return -math.inf
        self._now = now
        self.flush()
        if len(log) < most:
            return -math.inf
        return log[0] + self.period + LATER if log else math.inf

    def take(self, at: float) -> None:
        self._task_logs.append(at)


class _Tokens:
    """The same window with weights, which may change while they lie in it."""

    def __init__(self, most: int, window: float) -> None:
        self._most, self._window = most, window
        self._log: deque[Slot] = deque()
        self._used = 0

    def opens(self, tokens: int, now: float) -> float:
        """When there is room for so many; an earlier time where that needs another look."""
        log, oldest = self._log, now - self._window
        while log and log[0].at < oldest:
            gone = log.popleft()
            gone.counted = False
            self._used -= gone.tokens
        fits = self._used + min(tokens, self._most) <= self._most
        return -math.inf if fits else log[0].at + self._window + LATER

    def take(self, slot: Slot) -> None:
        slot.counted = True
        self._used += slot.tokens
        self._log.append(slot)

    def correct(self, slot: Slot, used: int) -> None:
        if slot.counted:
            self._used += used - slot.tokens
            slot.tokens = used


class Throttle:
    """Lets calls through in the order they came, within limits that hold in any period.

    Serves one event loop at a time, any number one after the other: what was spent is
    remembered, who waited or was inside on a loop that is gone is not.

    Args:
        requests: the most calls let in within any period; None: any number.
        tokens: the most tokens of calls let in within any period; a call counts where it was
            let in, with its reservation and then with what it used. A call that reserves more
            than this reserves all of it, so it is let in when nothing else counts.
        concurrency: the most calls inside at once.
        period: seconds.
        margin: share by which the windows are kept longer than the period, for the uneven
            time that calls take to reach the provider.
        clock: seconds that pass as the event loop's do.

    Raises:
        InputError: a limit below 1, or a period that is none.
    """

    def __init__(
        self,
        *,
        requests: int | None = None,
        tokens: int | None = None,
        concurrency: int | None = None,
        period: float = 60.0,
        margin: float = 0.005,
        clock: Clock = time.monotonic,
    ) -> None:
        for name, most in (
            ("requests", requests),
            ("tokens", tokens),
            ("concurrency", concurrency),
        ):
            if most is not None and most < 1:
                raise InputError(f"`{name}` is {most}", hint="give at least 1, or leave it out")
        if not 0 < period < math.inf or margin < 0:
            raise InputError(
                f"`period` is {period}, `margin` {margin}", hint="give seconds above 0"
            )
        window = period * (1 + margin)
        self._clock = clock
        self._requests = None if requests is None else _Requests(requests, window)
        self._tokens = None if tokens is None else _Tokens(tokens, window)
        self._most: float = math.inf if concurrency is None else concurrency
        self._inside = 0
        self._paused = -math.inf
        self._waiting: OrderedDict[asyncio.Future[Slot], int] = OrderedDict()
        # Let in from the queue, and still to be resumed by the loop, in this order. Till then
        # whoever comes must queue, or it would go on before them.
        self._going = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._life = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wakes = math.inf

    @property
    def waiting(self) -> int:
        """How many wait to enter."""
        return len(self._waiting)

    @property
    def inside(self) -> int:
        """How many have entered and not left."""
        return self._inside

    async def enter(self, tokens: int = 0) -> Slot:
        """Wait for a place of one call that may take so many tokens; leave it with `leave`.

        Cancelled while it waits, it leaves nothing behind, also when it has just been let in.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move(loop)
        now = self._clock()
        if not self._waiting and not self._going and self._opens(tokens, now) <= now:
            if self._requests is not None:
                self._requests.take(now)
            return self._admit(tokens, now)
        future: asyncio.Future[Slot] = loop.create_future()
        self._waiting[future] = tokens
        if len(self._waiting) == 1 and not self._going:  # else they look again as they go on
            self._pump()
        try:
            slot = await future
        except BaseException:
            self._withdraw(future)
            raise
        self._go_on(slot)
        return slot

    def leave(self, slot: Slot, used: int | None = None) -> None:
        """Give a place back.

        Args:
            slot: what `enter` returned.
            used: tokens that the call took, which may be more than it reserved; 0 for a call
                that certainly took none; None keeps the reservation.
        """
        if slot.left:
            raise RuntimeError("a slot is left once")
        self._release(slot, used)
        if self._waiting:
            self._pump()

    def pause(self, seconds: float) -> None:
        """Let nobody in for so long; calls inside go on. The longest of several pauses holds."""
        self._paused = max(self._paused, self._clock() + seconds)

    def _opens(self, tokens: int, now: float) -> float:
        """When the limits may let such a call in: a time that has come says now."""
        if self._inside >= self._most:
            return math.inf  # not a matter of time: `leave` looks again
        when = self._paused
        if self._requests is not None:
            when = max(when, self._requests.opens(now, self._going))
        if self._tokens is not None:
            when = max(when, self._tokens.opens(tokens, now))
        return when

    def _admit(self, tokens: int, now: float) -> Slot:
        slot = Slot(now, tokens, self._life)
        self._inside += 1
        if self._tokens is not None:
            self._tokens.take(slot)
        return slot

    def _go_on(self, slot: Slot) -> None:
        """Count a call from the queue from now: a busy loop may resume it late."""
        self._going -= 1
        slot.at = self._clock()
        if self._requests is not None:
            self._requests.take(slot.at)
        if self._waiting and self._timer is None:
            self._pump()

    def _withdraw(self, future: asyncio.Future[Slot]) -> None:
        """Whoever waited for this is gone: undo what was done for it, and let the next look."""
        self._waiting.pop(future, None)
        if future.done() and not future.cancelled():
            slot = future.result()
            if slot.life == self._life:
                self._going -= 1
            self._release(slot, 0)
        if future.get_loop() is self._loop:
            self._pump()

    def _release(self, slot: Slot, used: int | None) -> None:
        slot.left = True
        if slot.life == self._life:
            self._inside -= 1
        if used is not None and self._tokens is not None:
            self._tokens.correct(slot, used)

    def _pump(self) -> None:
        """Let in whom the limits let in, in order; then set the timer for the next."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return  # thrown away with its loop
        while self._waiting:
            future, tokens = next(iter(self._waiting.items()))
            if not future.done():  # else cancelled, and has not run since
                now = self._clock()
                when = self._opens(tokens, now)
                if when > now:
                    self._sleep(loop, when, now)
                    return
                self._going += 1
                future.set_result(self._admit(tokens, now))
            del self._waiting[future]
        self._sleep(loop, math.inf, 0.0)

    def _sleep(self, loop: asyncio.AbstractEventLoop, when: float, now: float) -> None:
        """Look again then; never for infinity."""
        if self._timer is not None:
            if self._wakes <= when < math.inf:
                return  # looks again early enough
            self._timer.cancel()
            self._timer = None
        self._wakes = when
        if when < math.inf:
            self._timer = loop.call_later(when - now, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._pump()

    def _move(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve another loop: nobody of the last one waits or is inside any more."""
        busy = bool(self._inside or self._waiting)
        if busy and self._loop is not None and self._loop.is_running():
            raise RuntimeError("a Throttle serves one event loop at a time")
        self._loop = loop
        self._life += 1
        self._inside = 0
        self._waiting.clear()
        self._going = 0
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._wakes = None, math.inf


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
