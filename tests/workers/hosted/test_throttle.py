"""Throttle and Throttled: strict in every window, in order, on a clock that jumps."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.records import Failure, Generation, Message, Request, Sampling, Usage
from orchestra.workers.hosted.throttle import Slot, Throttle, Throttled

T = TypeVar("T")


class Jump(selectors.SelectSelector):
    """Where nothing is ready, time jumps to the next timer; where there is none, all hang."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self.now, self.turns = now, 0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.turns += 1
        found: list[Any] = super().select(0)
        if not found:
            assert timeout is not None, "everybody waits and nobody will wake them"
            self.now += max(0.0, timeout)
        return found


class Loop(asyncio.SelectorEventLoop):
    """An event loop in which nothing takes time but waiting."""

    def __init__(self, since: float = 1_000.0) -> None:
        self.jump = Jump(since)
        self.timers: list[asyncio.TimerHandle] = []
        super().__init__(self.jump)

    def time(self) -> float:
        return self.jump.now

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *given: Any, **named: Any
    ) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *given, **named)
        self.timers.append(handle)
        return handle

    def asleep(self) -> int:
        """Timers that are still to come."""
        return sum(not t.cancelled() and t.when() > self.time() for t in self.timers)


def run(main: Callable[[], Coroutine[Any, Any, T]], *, since: float = 1_000.0) -> T:
    with asyncio.Runner(loop_factory=lambda: Loop(since)) as runner:
        return runner.run(main())


def now() -> float:
    return asyncio.get_running_loop().time()


def throttle(**limits: Any) -> Throttle:
    return Throttle(**{"period": 1.0, "clock": now, **limits})


async def turns(count: int = 8) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Ask(NamedTuple):
    """One call: when it comes, what it reserves, how long it is inside, what it used."""

    at: float
    tokens: int = 0
    inside: float = 0.0
    used: int | None = None
    patience: float = math.inf
    """How long it waits before it is cancelled."""


@dataclass
class Grant:
    """When and as which of the calls one was let in, and when it left."""

    at: float
    ask: int
    left: float = math.inf


def serve(given: Throttle, asks: Sequence[Ask]) -> list[Grant]:
    """Make the calls; in the order in which they went on."""
    granted: list[Grant] = []

    async def one(number: int, ask: Ask) -> None:
        slot = await given.enter(ask.tokens)
        granted.append(grant := Grant(now() - 1_000.0, number))
        try:
            await asyncio.sleep(ask.inside)
        finally:
            grant.left = now() - 1_000.0
            given.leave(slot, ask.used)

    async def main() -> None:
        since = now()
        loop = asyncio.get_running_loop()
        tasks = []
        for number, ask in sorted(enumerate(asks), key=lambda pair: pair[1].at):
            if since + ask.at > now():
                await asyncio.sleep(since + ask.at - now())
            tasks.append(asyncio.create_task(one(number, ask)))
            if ask.patience < math.inf:
                loop.call_later(ask.patience, tasks[-1].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        await turns()
        assert (given.waiting, given.inside) == (0, 0)

    run(main)
    return granted


def most_in_a_window(weights: Sequence[tuple[float, int]], period: float) -> int:
    """The largest sum in any closed window of this length: each that begins at an entry."""
    worst, since, total = 0, 0, 0
    for at, weight in weights:
        total += weight
        while weights[since][0] < at - period:
            total -= weights[since][1]
            since += 1
        worst = max(worst, total)
    return worst


def fastest(asks: Sequence[Ask], requests: int, tokens: int, period: float) -> list[float]:
    """When the best strict scheduler lets them in, in order, if all use what they reserved."""
    found: list[float] = []
    for number, ask in enumerate(asks):
        at = max(ask.at, found[-1] if found else 0.0)
        if number >= requests:
            at = max(at, found[number - requests] + period)
        held, since = ask.tokens, number
        while since and held + asks[since - 1].tokens <= tokens:
            since -= 1
            held += asks[since].tokens
        if since:
            at = max(at, found[since - 1] + period)
        found.append(at)
    return found


# Twenty arrivals at 200 calls and 20,000 tokens a second.

RATE, TOKENS = 200, 20_000


def bursts(draw: Random) -> list[float]:
    return sorted(at for _ in range(6) for at in [draw.uniform(0, 6)] * draw.randint(50, 500))


def poisson(draw: Random) -> list[float]:
    rate = draw.uniform(180, 500)
    return list(accumulate(draw.expovariate(rate) for _ in range(1_500)))


def drips(draw: Random) -> list[float]:
    step = 1 / draw.uniform(195, 260)
    return [number * step + draw.uniform(0, step) for number in range(1_500)]


def mixed(draw: Random) -> list[float]:
    return sorted(bursts(draw) + poisson(draw)[:500] + drips(draw)[:500])


def pattern(seed: int) -> list[Ask]:
    """Arrivals of one kind; half of the patterns with tokens, some as large as the window."""
    draw = Random(f"throttle:{seed}")
    times = (bursts, poisson, drips, mixed)[seed % 4](draw)
    if seed % 8 < 4:
        return [Ask(at) for at in times]
    sizes = (0, 20, 60, 150, 400)
    return [
        Ask(at, TOKENS if draw.random() < 0.002 else draw.choice(sizes)) for at in times[:1_200]
    ]


@pytest.mark.parametrize("seed", range(20))
def test_any_second_holds_the_limit_and_the_limit_is_used(seed: int) -> None:
    asks = pattern(seed)
    granted = serve(throttle(requests=RATE, tokens=TOKENS), asks)
    assert [grant.ask for grant in granted] == list(range(len(asks)))
    assert most_in_a_window([(grant.at, 1) for grant in granted], 1.0) <= RATE
    weights = [(grant.at, asks[grant.ask].tokens) for grant in granted]
    assert most_in_a_window(weights, 1.0) <= TOKENS
    # The best possible scheduler is never more than 3 % ahead.
    for best, grant in zip(fastest(asks, RATE, TOKENS, 1.0), granted, strict=True):
        assert best >= 0.97 * grant.at - 1e-3


def test_the_whole_limit_is_used_while_many_wait() -> None:
    granted = serve(throttle(requests=RATE), [Ask(0.0)] * RATE * 20)
    assert most_in_a_window([(grant.at, 1) for grant in granted], 1.0) == RATE
    assert len(granted) - RATE >= 0.97 * RATE * granted[-1].at


ASKS = st.lists(
    st.builds(
        Ask,
        at=st.integers(0, 40).map(lambda tenths: tenths / 10),
        tokens=st.integers(0, 14),
        inside=st.sampled_from([0.0, 0.1, 0.35, 1.0, 2.5]),
        used=st.none() | st.integers(0, 9),
        patience=st.sampled_from([math.inf, math.inf, math.inf, 0.0, 0.1, 0.5, 1.0]),
    ),
    max_size=40,
)
LIMIT = st.none() | st.integers(1, 6)


@settings(max_examples=150, deadline=None)
@given(ASKS, LIMIT, st.none() | st.integers(9, 12), LIMIT, st.sampled_from([0.0, 0.01, 0.25]))
def test_what_brute_force_sees(
    asks: list[Ask], requests: int | None, tokens: int | None, at_once: int | None, margin: float
) -> None:
    limits = throttle(requests=requests, tokens=tokens, concurrency=at_once, margin=margin)
    granted = serve(limits, asks)
    came = sorted(range(len(asks)), key=lambda number: asks[number].at)
    went = {grant.ask for grant in granted}
    assert [grant.ask for grant in granted] == [each for each in came if each in went]
    assert {each for each in came if asks[each].patience == math.inf} <= went
    for here in granted:
        window = [each for each in granted if here.at - 1.0 <= each.at <= here.at]
        assert requests is None or len(window) <= requests
        held = [weight(asks[each.ask], each, here.at, tokens or 0) for each in window]
        assert tokens is None or sum(held) <= tokens
        inside = sum(each.at <= here.at < each.left for each in granted)
        assert at_once is None or inside <= at_once


def weight(ask: Ask, grant: Grant, at: float, most: int) -> int:
    """What a call counts at a time: its reservation till it leaves, then what it used."""
    reserved = min(ask.tokens, most)
    if ask.used is None or at < grant.left:
        return reserved
    return ask.used if at > grant.left else min(reserved, ask.used)


def test_a_large_request_at_the_head_is_not_overtaken() -> None:
    """Small ones that would fit keep coming; the large one goes when its room is there."""
    small = [Ask(number * 0.05, 20) for number in range(100)]
    large = [Ask(0.52, 500), Ask(2.01, 1_000), Ask(3.33, 5_000)]
    asks = sorted(small + large)
    granted = serve(throttle(tokens=1_000, margin=0.0), asks)
    assert [grant.ask for grant in granted] == list(range(len(asks)))
    waits = {asks[grant.ask].tokens: grant.at - asks[grant.ask].at for grant in granted}
    assert waits[500] < 0.01  # 220 of 1,000 are taken
    assert waits[1_000] == pytest.approx(0.99, abs=0.02)  # until the last before it is out
    assert waits[5_000] == pytest.approx(1.67, abs=0.02)  # likewise, once those are in and out


def test_who_comes_while_another_is_let_in_goes_after_it() -> None:
    async def main() -> None:
        given, order = throttle(concurrency=2), []
        inside = [await given.enter(), await given.enter()]

        async def wait() -> None:
            await given.enter()
            order.append("waited")

        waits = asyncio.create_task(wait())
        await turns()
        for slot in inside:
            given.leave(slot)
        await given.enter()  # there is room, but the other has not gone on yet
        order.append("came")
        await waits
        assert order == ["waited", "came"]

    run(main)


@pytest.mark.parametrize("limits", [{"requests": 5}, {"tokens": 5}, {"requests": 5, "tokens": 7}])
def test_a_call_counts_from_when_it_goes_on(limits: dict[str, int]) -> None:
    """A loop that is busy for 0.2 s resumes late those that were let in before."""

    async def main() -> None:
        given, loop = throttle(**limits, margin=0.0), asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        went: list[float] = []

        async def one() -> None:
            await given.enter(1)
            went.append(now())

        def busy() -> None:
            loop.jump.now += 0.2

        tasks = [asyncio.create_task(one()) for _ in range(40)]
        await turns()
        for second in range(1, 4):  # right after the timer that lets five in
            loop.call_later(second + second * 1e-5 + 5e-10, busy)
        await asyncio.gather(*tasks)
        assert most_in_a_window([(at, 1) for at in went], 1.0) <= 5
        assert went == sorted(went)

    run(main)


def test_more_than_the_window_goes_alone() -> None:
    granted = serve(throttle(tokens=10, margin=0.0), [Ask(0, 1), Ask(0, 99), Ask(0, 1)])
    assert [round(grant.at, 3) for grant in granted] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("used", "waited"),
    [
        (None, 1.0),  # the reservation is kept
        (90, 1.0),
        (10, 0.3),  # 10 + 60 fit as soon as it is known, and the next 30 too
        (0, 0.3),
        (150, 1.0),  # more than reserved
    ],
)
def test_what_was_used_frees_room_at_once(used: int | None, waited: float) -> None:
    asks = [Ask(0, 90, inside=0.3, used=used), Ask(0, 60), Ask(0, 30)]
    granted = serve(throttle(tokens=100, margin=0.0), asks)
    assert [round(grant.at, 3) for grant in granted] == [0.0, waited, waited]


def test_more_used_than_reserved_counts() -> None:
    asks = [Ask(0, 10, used=95), Ask(0.5, 10)]
    granted = serve(throttle(tokens=100, margin=0.0), asks)
    assert round(granted[1].at, 3) == 1.0


def test_a_correction_counts_where_the_call_was_let_in() -> None:
    asks = [Ask(0, 50, inside=0.9, used=100), Ask(0.95, 50), Ask(3, 50, inside=2, used=100)]
    granted = serve(throttle(tokens=100, margin=0.0), [*asks, Ask(5.5, 100)])
    assert [round(grant.at, 3) for grant in granted] == [0.0, 1.0, 3.0, 5.5]


@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_so_many_inside_at_once(at_once: int) -> None:
    granted = serve(throttle(concurrency=at_once), [Ask(0.0, inside=0.5)] * 200)
    assert [grant.ask for grant in granted] == list(range(200))
    assert most_in_a_window([(grant.at, 1) for grant in granted], 0.49) == at_once
    assert granted[-1].at == pytest.approx((math.ceil(200 / at_once) - 1) * 0.5)


@pytest.mark.parametrize(
    ("pauses", "waited"),
    [([2.0], 2.0), ([5.0, 1.0], 5.0), ([1.0, 5.0], 5.0), ([-3.0], 0.0), ([0.0], 0.0)],
)
@pytest.mark.parametrize("limits", [{}, {"requests": 10, "tokens": 50, "concurrency": 9}])
def test_a_pause_holds_everybody(
    pauses: list[float], waited: float, limits: dict[str, int]
) -> None:
    async def main() -> None:
        given = throttle(**limits)
        inside = await given.enter(1)
        since = now()
        for seconds in pauses:
            given.pause(seconds)
        await asyncio.gather(*(given.enter(1) for _ in range(3)))
        assert now() - since == pytest.approx(waited, abs=1e-3)
        given.leave(inside, 1)

    run(main)


def test_a_pause_holds_those_who_wait_already() -> None:
    async def main() -> None:
        given = throttle(concurrency=1)
        inside, since = await given.enter(), now()
        waits = asyncio.create_task(given.enter())
        await turns()
        given.pause(7.0)
        given.leave(inside)
        await waits
        assert now() - since == pytest.approx(7.0)

    run(main)


# Cancellation


def cancel(given: Throttle, let_in: asyncio.Task[Slot]) -> None:
    assert (given.waiting, let_in.done()) == (2, False)
    let_in.cancel()


@pytest.mark.parametrize("limits", [{"requests": 1}, {"tokens": 10}, {"concurrency": 1}])
def test_cancelled_as_it_is_let_in(limits: dict[str, int]) -> None:
    """Its future has its slot, but it has not run: the place goes to the next."""

    async def main() -> None:
        given = throttle(**limits, margin=0.0)
        first = await given.enter(10)
        waits = [asyncio.create_task(given.enter(10)) for _ in range(3)]
        await turns()
        if "concurrency" in limits:
            given.leave(first, 10)
            cancel(given, waits[0])
        else:  # by the timer after the throttle's own, in the same turn of the loop
            asyncio.get_running_loop().call_later(1.0 + 1e-5 + 5e-10, cancel, given, waits[0])
        with pytest.raises(asyncio.CancelledError):
            await waits[0]
        since = now()
        await waits[1]
        assert now() == since
        assert given.waiting == 1

    run(main)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["requests", "tokens", "concurrency"]))
def test_a_storm_of_cancellations_leaves_nothing(seed: int, limit: str) -> None:
    draw = Random(f"storm:{seed}")

    async def main() -> None:
        given = throttle(**{limit: 5}, margin=0.0)
        kept = 0

        async def one() -> None:
            nonlocal kept
            slot = await given.enter(1)
            try:
                await asyncio.sleep(0.1)
                kept += 1
            finally:
                given.leave(slot)

        tasks = [asyncio.create_task(one()) for _ in range(100)]
        stay = set(draw.sample(range(100), 10))
        while not all(task.done() for task in tasks):
            for number in draw.sample(range(100), 20):
                if number not in stay:
                    tasks[number].cancel()
            await asyncio.sleep(draw.choice([0, 0, 0.05, 0.1, 0.5, 1.00001]))
        assert all(not tasks[number].cancelled() for number in stay)
        assert kept >= 10
        assert (given.waiting, given.inside) == (0, 0)
        await asyncio.sleep(1.1)
        since = now()  # and all of the limit is there again
        await asyncio.gather(*(given.enter(1) for _ in range(5)))
        assert now() == since

    run(main)


def test_the_head_gives_up_and_the_next_fits() -> None:
    asks = [Ask(0, 80), Ask(0.1, 90, patience=0.2), Ask(0.15, 20)]
    granted = serve(throttle(tokens=100), asks)
    assert [(grant.ask, round(grant.at, 3)) for grant in granted] == [(0, 0.0), (2, 0.3)]


# Event loops


@pytest.mark.parametrize("limits", [{"concurrency": 1}, {"requests": 1}, {"tokens": 5}])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_died_does_not_hang_the_next(limits: dict[str, int]) -> None:
    given = throttle(**limits, margin=0.0)
    dead = Loop(1_000.0)
    waits: list[asyncio.Task[Slot]] = []

    async def begin() -> Slot:
        slot = await given.enter(5)
        waits.extend(asyncio.create_task(given.enter(5)) for _ in range(3))
        await turns()
        assert given.waiting == 3
        return slot

    slot = dead.run_until_complete(begin())
    dead.close()

    async def again() -> float:
        since = now()
        new = await given.enter(5)
        waited = now() - since
        given.leave(slot)  # of the loop that died: no place of this one
        assert given.inside == 1
        given.leave(new)
        await asyncio.wait_for(given.enter(5), 10)
        return waited

    # Places are free; what was spent stays spent.
    waited = run(again, since=1_000.2)
    assert waited == pytest.approx(0.0 if "concurrency" in limits else 0.8, abs=1e-3)
    for task in waits:
        task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_loop_that_died_as_a_call_was_let_in() -> None:
    given = throttle(concurrency=2, requests=3, tokens=3, margin=0.0)
    dead = Loop(1_000.0)

    async def begin() -> asyncio.Task[Slot]:
        inside = [await given.enter(1), await given.enter(1)]
        waits = asyncio.create_task(given.enter(1))
        await turns()
        for slot in inside:
            given.leave(slot)
        assert (given.waiting, given.inside, waits.done()) == (0, 1, False)
        dead.stop()  # after this turn, before the one in which it goes on
        return waits

    waits = dead.run_until_complete(begin())
    dead.close()
    assert not waits.done()
    waits._log_destroy_pending = False  # type: ignore[attr-defined]

    async def again() -> None:
        since = now()
        given.leave(await given.enter(1))
        inside = [await given.enter(1), await given.enter(1)]
        assert (given.inside, now()) == (2, since)
        for slot in inside:
            given.leave(slot)

    run(again, since=1_003.0)


def test_two_loops_at_a_time_are_refused() -> None:
    async def main() -> None:
        given = throttle(concurrency=1)
        await given.enter()
        other = asyncio.to_thread(asyncio.run, given.enter())
        with pytest.raises(RuntimeError, match="one event loop"):
            await other

    asyncio.run(main())


# What it costs


def test_room_and_nobody_waiting_make_no_future_and_no_timer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        given = throttle(requests=100, tokens=1_000, concurrency=100)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        with monkeypatch.context() as patch:
            for name in ("create_future", "create_task", "call_soon", "call_at"):
                patch.setattr(loop, name, None)
            for _ in range(100):
                given.leave(await given.enter(10), 5)

    run(main)


def test_many_wait_on_one_timer() -> None:
    async def main() -> tuple[int, int]:
        given, loop = throttle(requests=10), asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        waits = [asyncio.create_task(given.enter()) for _ in range(1_000)]
        await turns()
        assert loop.asleep() == 1
        await asyncio.gather(*waits)
        assert loop.asleep() == 0
        return len(loop.timers), loop.jump.turns

    timers, rounds = run(main)
    assert timers <= 100  # one a window, not one a waiter
    assert rounds <= 1_000


def test_a_leave_that_frees_nothing_sets_no_timer() -> None:
    async def main() -> None:
        given, loop = throttle(requests=200), asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        inside = [await given.enter() for _ in range(200)]
        waits = asyncio.create_task(given.enter())
        await turns()
        for slot in inside:
            given.leave(slot)
        assert len(loop.timers) == 1
        waits.cancel()
        await turns()
        assert loop.asleep() == 0

    run(main)


@pytest.mark.parametrize(
    "wrong",
    [
        {"requests": 0},
        {"tokens": -5},
        {"concurrency": 0},
        {"period": 0.0},
        {"period": math.inf},
        {"period": math.nan},
        {"margin": -0.1},
    ],
)
def test_limits_that_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        throttle(**wrong)


def test_a_slot_is_left_once() -> None:
    async def main() -> None:
        given = throttle(concurrency=2)
        slot = await given.enter()
        given.leave(slot)
        with pytest.raises(RuntimeError, match="once"):
            given.leave(slot)

    run(main)


# Throttled


class Says:
    """A caller that takes 0.1 s, then says or raises what it was given."""

    def __init__(self, *said: Usage | Failure | Exception) -> None:
        self._said = said
        self.called: list[float] = []

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        self.called.append(now())
        await asyncio.sleep(0.1)
        found = []
        for request, said in zip(requests, self._said, strict=True):
            if isinstance(said, Exception):
                raise said
            usage = said if isinstance(said, Usage) else Usage(calls=1, estimated=True)
            failure = said if isinstance(said, Failure) else None
            found.append(Generation(request.key, "q", "e", "", usage=usage, failure=failure))
        return found


def draws(count: int) -> list[Request]:
    return [
        Request(f"k{number}", "q", "e", "generate", (Message("user", "?"),), Sampling(), 0, number)
        for number in range(count)
    ]


USED = Usage(calls=1, input_tokens=20, output_tokens=10)
NEXT = Usage(calls=0, input_tokens=20, output_tokens=10, cached_tokens=20)


@pytest.mark.parametrize(
    ("said", "room"),
    [
        ([USED], 70),
        ([USED, NEXT, NEXT], 50),  # the prompt once, the draws all
        ([Failure("timeout")], 20),  # nobody knows: the reservation
        ([USED, Failure("timeout")], 20),
        ([RuntimeError("a bug")], 20),
    ],
)
def test_what_a_call_used_is_what_counts(
    said: list[Usage | Failure | Exception], room: int
) -> None:
    async def main() -> None:
        given = throttle(tokens=100, concurrency=1)
        requests = draws(len(said))
        caller = Throttled(Says(*said), given, lambda asked: 80 if asked is requests else 0)
        with suppress(RuntimeError):
            await caller.call(requests)
        assert given.inside == 0
        since = now()
        given.leave(await given.enter(room))
        assert now() == since
        given.leave(await given.enter(1))
        assert now() > since

    run(main)


def test_a_failed_call_that_used_nothing_counts_nothing() -> None:
    class Refused(Says):
        async def call(self, requests: Sequence[Request]) -> list[Generation]:
            refused = Failure("rate_limited", retryable=True)
            return [Generation(r.key, "q", "e", "", failure=refused) for r in requests]

    async def main() -> None:
        given = throttle(tokens=100)
        await Throttled(Refused(), given, lambda _: 100).call(draws(1))
        since = now()
        await given.enter(100)
        assert now() == since

    run(main)


@pytest.mark.parametrize(
    ("failure", "waited"),
    [
        (Failure("rate_limited", retryable=True, retry_after=30.0), 30.0),
        (Failure("overloaded", retryable=True, retry_after=2.0), 2.0),
        (Failure("rate_limited", retryable=True), 0.0),
    ],
)
def test_the_time_that_a_provider_asked_for_holds_everybody(
    failure: Failure, waited: float
) -> None:
    async def main() -> None:
        given = throttle(concurrency=1)
        other = Says(USED)
        refused = asyncio.create_task(Throttled(Says(failure), given, lambda _: 1).call(draws(1)))
        await turns()
        waits = asyncio.create_task(Throttled(other, given, lambda _: 1).call(draws(1)))
        await refused
        since = now()
        await waits
        assert other.called[0] - since == pytest.approx(waited, abs=1e-6)

    run(main)


@pytest.mark.parametrize("after", [0.0, 0.05, 0.1, 0.15])
def test_a_cancelled_call_leaves(after: float) -> None:
    async def main() -> None:
        given = throttle(concurrency=1)
        callers = [Throttled(Says(USED), given, lambda _: 1) for _ in range(3)]
        tasks = [asyncio.create_task(each.call(draws(1))) for each in callers]
        await asyncio.sleep(after)
        tasks[0].cancel()
        tasks[1].cancel()
        assert len(await tasks[2]) == 1
        assert (given.waiting, given.inside) == (0, 0)

    run(main)
