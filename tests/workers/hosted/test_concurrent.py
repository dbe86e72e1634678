"""Concurrently: a window that is kept full from a stream of requests, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import BudgetExhausted
from orchestra.records import Failure, Generation, Message, Request, Sampling
from orchestra.workers.base import CutShort
from orchestra.workers.hosted.concurrent import ConcurrentWorker, draws
from tests.virtual_time import run

GREEDY = Sampling()
DRAWN = Sampling(temperature=0.7)


def request(number: int, *, sample: int = 0, sampling: Sampling = GREEDY) -> Request:
    prompt = (Message("user", f"{number}?"),)
    key = f"k{number}.{sample}"
    return Request(key, f"q{number}", "e", "generate", prompt, sampling, sample=sample)


def answer(asked: Request, failure: Failure | None = None) -> Generation:
    return Generation(asked.key, asked.question_id, "e", "B", failure=failure, sample=asked.sample)


@dataclass
class Stream:
    """Requests one after another; knows how many were taken."""

    count: int
    sampling: Sampling = GREEDY
    breaks: int = -1
    taken: int = 0

    def __iter__(self) -> Iterator[Request]:
        for number in range(self.count):
            if number == self.breaks:
                raise RuntimeError("a bug in the stream")
            self.taken += 1
            yield request(number, sampling=self.sampling)


@dataclass
class Server:
    """Takes as long as it is told for each call, and knows how many are under way."""

    seconds: Callable[[int], float | None] = lambda number: 1.0
    money: int | None = None
    breaks: int = -1
    quits: int = -1
    made: int = 0
    inside: int = 0
    most: int = 0
    ended: int = 0
    cancelled: int = 0
    sizes: list[int] = field(default_factory=list)

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        if self.money is not None and self.made >= self.money:
            raise BudgetExhausted("no money")
        number, self.made = self.made, self.made + 1
        self.sizes.append(len(requests))
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            seconds = self.seconds(number)
            if seconds is not None:  # else it answers without giving way
                await asyncio.sleep(seconds)
            if number == self.breaks:
                raise RuntimeError("a bug")
            if number == self.quits:
                raise asyncio.CancelledError
            self.ended += 1
            return [answer(each) for each in requests]
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.inside -= 1


def gather(server: Server, stream: Stream, window: int) -> list[Generation]:
    async def main() -> list[Generation]:
        worker = ConcurrentWorker(server, window=window)
        return [each async for each in worker.generate(stream)]

    return run(main())


# --- the window -----------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [None, 0.0, 1.0])
@pytest.mark.parametrize(
    ("count", "window", "most"), [(0, 4, 0), (1, 4, 1), (4, 4, 4), (50, 4, 4), (50, 1, 1)]
)
def test_never_more_than_the_window_and_never_fewer_without_need(
    count: int, window: int, most: int, seconds: float | None
) -> None:
    server = Server(lambda number: seconds)
    found = gather(server, Stream(count), window)
    assert Counter(each.key for each in found) == Counter(f"k{i}.0" for i in range(count))
    assert server.most == (most if seconds is not None else min(most, 1))


def test_they_come_as_they_finish() -> None:
    found = gather(Server(lambda number: 10.0 - number), Stream(8), 8)
    assert [each.question_id for each in found] == [f"q{i}" for i in reversed(range(8))]


def test_one_slow_call_keeps_nobody_else_waiting() -> None:
    async def main() -> float:
        worker = ConcurrentWorker(Server(lambda number: 99.0 if number == 0 else 1.0), window=4)
        async for _ in worker.generate(Stream(1 + 3 * 99)):
            pass
        return asyncio.get_running_loop().time()

    assert run(main()) == 99.0


@given(
    times=st.lists(st.sampled_from([None, 0.0, 0.5, 1.0, 3.0]), max_size=40),
    window=st.integers(1, 9),
    drawn=st.booleans(),
)
def test_all_are_answered_once_in_whatever_order_they_finish(
    times: list[float | None], window: int, drawn: bool
) -> None:
    server = Server(lambda number: times[number])
    stream = Stream(len(times), DRAWN if drawn else GREEDY)
    found = gather(server, stream, window)
    assert Counter(each.key for each in found) == Counter(f"k{i}.0" for i in range(len(times)))
    assert server.most <= window
    assert server.made == stream.taken == len(times)


# --- what is taken --------------------------------------------------------------------


@given(
    window=st.integers(1, 6),
    pauses=st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=60, max_size=60),
    instant=st.booleans(),
)
@settings(max_examples=50)
def test_the_next_request_is_taken_when_there_is_room(
    window: int, pauses: list[float], instant: bool
) -> None:
    """However slow those are who take the answers: arrears are bounded."""
    server = Server(lambda number: None if instant else float(number % 3))
    stream = Stream(len(pauses))

    async def main() -> None:
        got = 0
        async for _ in ConcurrentWorker(server, window=window).generate(stream):
            got += 1
            # Under way, in arrears, handed over at once, and the one that is looked at ahead.
            assert server.made - got <= 5 * window
            assert stream.taken <= server.made + 1
            await asyncio.sleep(pauses[got - 1])
        assert got == len(pauses)

    run(main())


def test_nothing_is_taken_before_somebody_wants_it() -> None:
    stream = Stream(100)

    async def main() -> None:
        generations: Any = ConcurrentWorker(Server(), window=4).generate(stream)
        assert stream.taken == 0
        async with aclosing(generations):
            await anext(generations)
        assert stream.taken <= 9

    run(main())


def test_fifty_thousand_requests_are_never_held_at_once() -> None:
    """Only those of one window, and those that were not yet taken."""
    alive: weakref.WeakSet[Held] = weakref.WeakSet()
    peak = 0

    class Held(str):
        """A key that can be counted: records have no room for weak references."""

        __slots__ = ("__weakref__",)

    def stream() -> Iterator[Request]:
        nonlocal peak
        asked = request(0)
        for number in range(50_000):
            key = Held(number)
            alive.add(key)
            if number % 500 == 0:
                peak = max(peak, len(alive))
            yield replace(asked, key=key)

    async def main() -> None:
        nonlocal peak
        worker = ConcurrentWorker(Server(lambda number: None if number % 7 else 0.001), window=64)
        got = 0
        async for _ in worker.generate(stream()):
            got += 1
            if got % 997 == 0:
                await asyncio.sleep(1.0)
                peak = max(peak, len(alive))
        assert got == 50_000

    gc.disable()  # what has no cycles must go without it
    try:
        run(main())
    finally:
        gc.enable()
    assert 0 < peak <= 6 * 64


# --- how it ends ----------------------------------------------------------------------


@given(
    money=st.integers(0, 20),
    window=st.integers(1, 6),
    times=st.lists(st.sampled_from([None, 0.0, 1.0, 5.0]), min_size=20, max_size=20),
)
def test_a_budget_ends_it_after_all_that_was_under_way(
    money: int, window: int, times: list[float | None]
) -> None:
    server = Server(lambda number: times[number], money=money)
    found: list[Generation] = []

    async def main() -> None:
        async for each in ConcurrentWorker(server, window=window).generate(Stream(20)):
            found.append(each)

    if money < 20:
        with pytest.raises(BudgetExhausted):
            run(main())
    else:
        run(main())
    assert len(found) == server.made == server.ended == min(money, 20)
    assert server.cancelled == 0


def test_draws_that_had_come_when_the_budget_ended_their_call_are_handed_over() -> None:
    class Poor(Server):
        async def call(self, requests: Sequence[Request]) -> list[Generation]:
            found = await super().call(requests)
            if self.ended == 3:
                raise CutShort(BudgetExhausted("no money", hint="more"), found[:2])
            return found

    server, found = Poor(lambda number: float(number)), []
    asked = [each for number in range(9) for each in several(4, DRAWN, number)]

    async def main() -> None:
        async for each in ConcurrentWorker(server, window=3).generate(asked):
            found.append(each.key)

    with pytest.raises(BudgetExhausted, match="no money") as caught:
        run(main())
    assert (caught.value.hint, caught.value.exit_code) == ("more", 4)
    # The two others that were under way have been waited for.
    assert len(found) == 4 * (server.made - 1) + 2
    assert found[8:10] == ["k2.0", "k2.1"]


def test_after_the_money_is_gone_no_more_is_taken() -> None:
    stream = Stream(1_000)
    with pytest.raises(BudgetExhausted):
        gather(Server(money=10), stream, 4)
    assert stream.taken <= 10 + 4 + 1


@pytest.mark.parametrize(
    ("server", "stream", "said"),
    [
        (Server(lambda n: 1.0 if n == 5 else 9.0, breaks=5), Stream(100), "a bug"),
        (Server(lambda n: None, breaks=5), Stream(100), "a bug"),
        (Server(lambda n: float(n), money=6, breaks=3), Stream(100), "a bug"),
        (Server(), Stream(100, breaks=5), "a bug in the stream"),
        # Nobody above would know that its request was forgotten.
        (Server(lambda n: 1.0 if n == 5 else 9.0, quits=5), Stream(100), "cancelled by others"),
    ],
)
def test_a_bug_surfaces_and_cancels_the_rest(server: Server, stream: Stream, said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        gather(server, stream, 8)
    assert server.inside == 0
    assert server.made == server.ended + server.cancelled + (server.breaks >= 0)
    assert stream.taken < 30


def test_what_came_before_a_bug_is_handed_over() -> None:
    server = Server(lambda n: None, breaks=5)
    found: list[Generation] = []

    async def main() -> None:
        async for each in ConcurrentWorker(server, window=8).generate(Stream(20)):
            found.append(each)

    with pytest.raises(RuntimeError, match="a bug"):
        run(main())
    assert len(found) == server.ended >= 5


@pytest.mark.parametrize("got", [1, 5])
def test_closing_it_in_the_middle_cancels_what_is_under_way(got: int) -> None:
    server = Server(lambda number: float(number))

    async def main() -> None:
        generations: Any = ConcurrentWorker(server, window=8).generate(Stream(100))
        async with aclosing(generations):
            for _ in range(got):
                await anext(generations)
        assert (server.inside, server.cancelled) == (0, 8)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_cancelling_who_waits_for_it_cancels_what_is_under_way() -> None:
    server = Server(lambda number: 100.0)

    async def main() -> None:
        async def take() -> None:
            async for _ in ConcurrentWorker(server, window=8).generate(Stream(100)):
                pass

        task = asyncio.create_task(take())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (server.inside, server.cancelled) == (0, 8)

    run(main())


# --- draws that share a call ----------------------------------------------------------


def several(count: int, sampling: Sampling, number: int = 0) -> list[Request]:
    return [request(number, sample=i, sampling=sampling) for i in range(count)]


SEEDED = replace(DRAWN, seed=1)


@pytest.mark.parametrize(
    ("requests", "sizes"),
    [
        ([], []),
        (several(3, DRAWN), [3]),
        (several(3, GREEDY), [1, 1, 1]),
        (several(3, SEEDED), [1, 1, 1]),  # who knows what the second draw of a seed is
        (several(40, DRAWN), [16, 16, 8]),
        ([*several(2, DRAWN), *several(2, DRAWN, 1)], [2, 2]),
        ([*several(2, DRAWN), *several(1, DRAWN, 1), *several(1, DRAWN)], [2, 1, 1]),
        ([*several(2, DRAWN), *several(2, replace(DRAWN, top_p=0.5))], [2, 2]),
        ([several(1, DRAWN)[0], replace(several(2, DRAWN)[1], expert="f")], [1, 1]),
        (
            [several(1, DRAWN)[0], replace(several(2, DRAWN)[1], messages=(Message("user", "!"),))],
            [1, 1],
        ),
    ],
)
def test_draws_share_a_call_where_a_provider_draws_them_apart(
    requests: list[Request], sizes: list[int]
) -> None:
    calls = list(draws(requests))
    assert [len(call) for call in calls] == sizes
    assert [each for call in calls for each in call] == requests


@pytest.mark.parametrize(("most", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_a_call_has_no_more_draws_than_the_provider_takes(most: int, sizes: list[int]) -> None:
    server = Server()

    async def main() -> int:
        worker = ConcurrentWorker(server, window=4, most=most)
        return len([each async for each in worker.generate(several(5, DRAWN))])

    assert run(main()) == 5
    assert server.sizes == sizes


def test_draws_are_called_together_and_answered_apart() -> None:
    server = Server()
    asked = [*several(20, DRAWN), *several(3, DRAWN, 1), *several(2, GREEDY, 2)]

    async def main() -> list[Generation]:
        return [each async for each in ConcurrentWorker(server, window=2).generate(asked)]

    found = run(main())
    Random(0).shuffle(found)
    assert sorted(server.sizes) == [1, 1, 3, 4, 16]
    assert Counter(each.key for each in found) == Counter(each.key for each in asked)
