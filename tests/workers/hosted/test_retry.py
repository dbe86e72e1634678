"""Retry: what is tried again, when, how often, at what cost, and when an expert is given up."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import BudgetExhausted
from orchestra.records import Failure, Generation, Message, Request, Sampling, Usage
from orchestra.roster import Calls
from orchestra.runs.account import CancellableWaits
from orchestra.workers.base import CutShort
from orchestra.workers.hosted.retry import Retry
from tests.virtual_time import now, run

BUSY = Failure("server_error", "503", retryable=True)
WRONG = Failure("bad_request", "400")
LATER = Failure("rate_limit", "429", retryable=True, retry_after=7.0)

PROMPT = (Message("user", "?"),)


def requests(count: int = 1, name: str = "k") -> list[Request]:
    sampling = Sampling(temperature=1.0)
    keys = [f"{name}{i}" for i in range(count)]
    return [
        Request(key, "q", "e", "generate", PROMPT, sampling, sample=i) for i, key in enumerate(keys)
    ]


def reply(request: Request, said: Failure | None, usage: Usage) -> Generation:
    return Generation(
        request.key,
        request.question_id,
        request.expert,
        text="" if said else "B",
        usage=usage,
        failure=said,
        sample=request.sample,
    )


def cost(call: int, draw: int) -> Usage:
    """Another one for each draw of each call; the first bears the call."""
    return Usage(
        draw == 0, 100 * call * (draw == 0), 7 + call + draw, seconds=0.5, money=2.0**-draw
    )


Said = Sequence[Failure | None]
"""What becomes of each draw of a call; the last holds for all that follow."""


@dataclass
class Server:
    """Says what it is told to, call by call, and writes down what it was asked and when."""

    calls: Sequence[Said]
    inside: float | Sequence[float] = 0.0
    log: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    spent: list[Usage] = field(default_factory=list)
    cancelled: int = 0

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        number = len(self.log)
        self.log.append((now(), tuple(request.key for request in requests)))
        said = self.calls[min(number, len(self.calls) - 1)]
        inside = self.inside if isinstance(self.inside, float) else self.inside[number]
        try:
            await asyncio.sleep(inside)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        found = [
            reply(request, said[min(draw, len(said) - 1)], cost(number, draw))
            for draw, request in enumerate(requests)
        ]
        self.spent += [each.usage for each in found]
        return found


def total(usages: Iterable[Usage]) -> Usage:
    return reduce(add, usages, Usage())


def made(server: Server, calls: Calls | None = None, *, draws: int = 1) -> list[Generation]:
    return run(Retry(server, calls or Calls()).call(requests(draws)))


# --- what is tried again --------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "attempts", "made_calls", "kind"),
    [
        ([None], 6, 1, None),
        ([BUSY, None], 6, 2, None),
        ([BUSY, BUSY, None], 3, 3, None),
        ([BUSY, BUSY, None], 2, 2, "server_error"),
        ([BUSY], 6, 6, "server_error"),
        ([BUSY], 1, 1, "server_error"),
        ([WRONG], 6, 1, "bad_request"),
        ([BUSY, WRONG, None], 6, 2, "bad_request"),
        ([LATER, BUSY, None], 6, 3, None),
    ],
)
def test_only_what_may_pass_and_no_more_than_the_attempts(
    said: list[Failure | None], attempts: int, made_calls: int, kind: str | None
) -> None:
    server = Server([[each] for each in said])
    [found] = made(server, Calls(attempts=attempts))
    assert len(server.log) == made_calls
    assert (found.failure.kind if found.failure else None) == kind
    assert found.usage == total(server.spent)
    assert (found.key, found.question_id, found.expert) == ("k0", "q", "e")


@given(
    outcomes=st.lists(st.sampled_from([None, BUSY, WRONG, LATER]), min_size=1, max_size=12),
    attempts=st.integers(1, 8),
)
def test_one_call_is_as_the_model_says(outcomes: list[Failure | None], attempts: int) -> None:
    last = next(
        (i for i, each in enumerate(outcomes) if each is None or not each.retryable), math.inf
    )
    expected = min(last + 1, attempts)
    server = Server([[each] for each in outcomes])
    [found] = made(server, Calls(attempts=attempts))
    assert len(server.log) == expected
    assert found.failure == outcomes[min(int(expected), len(outcomes)) - 1]
    assert found.usage == total(server.spent)


# --- draws ----------------------------------------------------------------------------


def test_only_the_draws_that_lack_are_asked_again_and_at_once() -> None:
    server = Server([[None, BUSY, None, BUSY], [BUSY, None], [None]])
    found = made(server, draws=4)
    assert [keys for _, keys in server.log] == [("k0", "k1", "k2", "k3"), ("k1", "k3"), ("k1",)]
    assert [each.key for each in found] == ["k0", "k1", "k2", "k3"]
    assert all(each.failure is None for each in found)
    assert total(each.usage for each in found) == total(server.spent)
    assert [at for at, _ in server.log] == [0, 0, 0]  # the server answers, so nobody need wait


@pytest.mark.parametrize("draws", [1, 2, 16])
def test_a_server_that_gives_one_draw_a_call_still_ends(draws: int) -> None:
    server = Server([[None, BUSY]])
    found = made(server, Calls(attempts=2), draws=draws)
    assert all(each.failure is None for each in found)
    assert [len(keys) for _, keys in server.log] == list(range(draws, 0, -1))


def test_a_draw_that_failed_for_good_is_no_progress() -> None:
    server = Server([[WRONG, BUSY], [BUSY]])
    found = made(server, Calls(attempts=3), draws=2)
    assert [each.failure for each in found] == [WRONG, BUSY]
    assert len(server.log) == 3
    assert server.log[1][0] > 0  # nothing came, so it waits


@given(
    st.lists(st.lists(st.sampled_from([None, BUSY, WRONG]), min_size=1, max_size=5), min_size=1),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_draws_are_as_the_model_says(calls: list[Said], draws: int, attempts: int) -> None:
    state: dict[str, Failure | None] = {f"k{i}": BUSY for i in range(draws)}
    expected: list[tuple[str, ...]] = []
    useless = 0
    while useless < attempts:
        left = tuple(key for key, said in state.items() if said and said.retryable)
        if not left:
            break
        said = calls[min(len(expected), len(calls) - 1)]
        expected.append(left)
        state |= {key: said[min(i, len(said) - 1)] for i, key in enumerate(left)}
        # The first attempt counts whatever it brings.
        useless += len(expected) == 1 or all(state[key] is not None for key in left)
    server = Server(calls)
    found = made(server, Calls(attempts=attempts), draws=draws)
    assert [keys for _, keys in server.log] == expected
    assert {each.key: each.failure for each in found} == state
    assert total(each.usage for each in found) == total(server.spent)


# --- waits ----------------------------------------------------------------------------


def waits(
    name: str = "k", *, seed: int = 0, attempts: int = 12, said: Failure = BUSY
) -> list[float]:
    server = Server([[said]])
    run(Retry(server, Calls(attempts=attempts), seed=seed).call(requests(name=name)))
    times = [at for at, _ in server.log]
    return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]


def test_waits_are_uniform_below_a_bound_that_doubles_up_to_a_minute() -> None:
    bounds = [min(0.5 * 2**i, 60.0) for i in range(11)]
    assert bounds[-4:] == [60.0] * 4
    shares = [
        [wait / bound for wait, bound in zip(waits(f"k{n}-"), bounds, strict=True)]
        for n in range(200)
    ]
    for column in zip(*shares, strict=True):
        assert 0 <= min(column) < 0.05
        assert 0.95 < max(column) <= 1
        # Kolmogorov-Smirnov: 1.95 / sqrt(200) is passed once in a thousand times.
        steps = enumerate(sorted(column), 1)
        assert max(abs(share - i / 200) for i, share in steps) < 0.14


def test_waits_are_the_same_for_one_seed_and_key_and_differ_for_others() -> None:
    assert waits() == waits()
    distinct = {tuple(waits(f"k{n}-", seed=seed)) for n in range(5) for seed in range(5)}
    assert len(distinct) == 25


def test_what_the_provider_asks_for_is_waited_for_and_jitter_on_top() -> None:
    asked, plain = waits(said=LATER), waits()
    assert asked == pytest.approx([7.0 + wait for wait in plain])


def test_the_sleep_is_the_one_that_is_given() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    server = Server([[BUSY]])
    run(Retry(server, Calls(attempts=5), sleep=sleep).call(requests()))
    assert slept == pytest.approx(waits(attempts=5))
    assert {at for at, _ in server.log} == {0}


# --- tolerances of a run --------------------------------------------------------------


def in_turn(retry: Retry, count: int) -> list[Generation]:
    async def main() -> list[Generation]:
        return [each for n in range(count) for each in await retry.call(requests(name=f"c{n}-"))]

    return run(main())


@pytest.mark.parametrize(
    ("retries", "count", "retried"),
    [
        (0.0, 200, 100),  # the first hundred are free
        (0.5, 200, 200),
        (1.0, 90, 190),
        (1.0, 300, 400),
        (10.0, 40, 200),  # never more than attempts allow
    ],
)
def test_retries_of_a_run_are_bounded(retries: float, count: int, retried: int) -> None:
    class Alternating(Server):
        """Every call fails to its last attempt but each tenth, so that nobody gives up."""

        async def call(self, requests: Sequence[Request]) -> list[Generation]:
            said = None if requests[0].key.split("-")[0].endswith("4") else BUSY
            self.calls = [[said]]
            return await super().call(requests)

    server = Alternating([])
    in_turn(Retry(server, Calls(attempts=6, retries=retries)), count)
    most = 5 * (count - count // 10)
    assert len(server.log) - count == min(retried, most)


# --- giving up ------------------------------------------------------------------------


def test_after_a_row_of_failures_nothing_is_called_any_more() -> None:
    server = Server([[BUSY]])
    found = in_turn(Retry(server, Calls(attempts=1)), 30)
    assert len(server.log) == 20
    assert [each.failure for each in found[:20]] == [BUSY] * 20
    told = {each.failure for each in found[20:]}
    [failure] = told
    assert failure is not None
    assert (failure.kind, failure.retryable) == ("given_up", True)
    assert failure.detail == "given up after 20 failed calls in a row, the last: server_error: 503"
    assert all(each.usage == Usage() for each in found[20:])
    assert [each.key for each in found] == [f"c{n}-0" for n in range(30)]


def test_a_success_in_between_begins_a_new_row() -> None:
    said = [*[WRONG] * 19, None, *[WRONG] * 19, None, *[WRONG] * 30]
    server = Server([[each] for each in said])
    in_turn(Retry(server, Calls(attempts=1)), 70)
    assert len(server.log) == 60


def test_a_call_with_one_draw_is_no_failed_call() -> None:
    server = Server([[None, WRONG]])

    async def main() -> None:
        retry = Retry(server, Calls(attempts=1))
        for _ in range(50):
            await retry.call(requests(2))

    run(main())
    assert len(server.log) == 50


NOBODY = Failure("unreachable", "no connection to h:9: Connection refused", retryable=True)
NO_HOST = Failure("unreachable", "no connection to h:9: Name or service not known", retryable=True)
SLOW = Failure("unreachable", "no connection in time", retryable=True)


@pytest.mark.parametrize(
    ("said", "attempts", "first", "made_calls", "longest"),
    [
        ([NOBODY], 6, 3, 9, 4.5),
        ([NO_HOST], 6, 3, 9, 4.5),
        ([NOBODY], 2, 2, 6, 1.5),
        ([NOBODY], 1, 1, 3, 0.0),
        ([NOBODY, NOBODY, None], 6, 3, 32, math.inf),
        ([None, NOBODY], 6, 1, 121, math.inf),  # it was there once
        ([BUSY, NOBODY], 6, 6, 120, math.inf),
        ([SLOW], 6, 6, 120, math.inf),  # too many connections at once may be the reason
        ([SLOW, NOBODY], 3, 3, 60, math.inf),
        ([NOBODY, NOBODY, BUSY, NOBODY], 6, 6, 120, math.inf),  # it came while it was awaited
    ],
)
def test_where_nobody_ever_listened_few_calls_are_made(
    said: list[Failure | None], attempts: int, first: int, made_calls: int, longest: float
) -> None:
    async def story() -> tuple[int, float]:
        retry = Retry(server, Calls(attempts=attempts, retries=5))
        await retry.call(requests(name="first"))
        after_first = len(server.log)
        for i in range(29):
            await retry.call(requests(name=f"{i}:"))
        return after_first, now()

    server = Server([[each] for each in said])
    after_first, seconds = run(story())
    assert (after_first, len(server.log)) == (first, made_calls)
    assert seconds <= longest


def test_a_new_opening_begins_anew() -> None:
    server = Server([[BUSY]])
    for _ in range(2):
        in_turn(Retry(server, Calls(attempts=1)), 25)
    assert len(server.log) == 40


def test_one_wave_of_failures_is_no_row() -> None:
    """All 64 calls under way may fail at once: that is one accident."""
    server = Server([*[[BUSY]] * 64, [None]], 1.0)

    async def main() -> list[Generation]:
        retry = Retry(server, Calls(attempts=1))

        async def several(worker: int) -> list[Generation]:
            return [(await retry.call(requests(name=f"{worker}.{n}-")))[0] for n in range(3)]

        return sum(await asyncio.gather(*map(several, range(64))), [])

    found = run(main())
    assert sum(each.failure is None for each in found) == 128


def test_a_row_is_as_long_as_twice_the_calls_under_way() -> None:
    server = Server([*[[None]] * 30, [BUSY]], [*[100.0] * 30, *[0.0] * 70])

    async def main() -> None:
        retry = Retry(server, Calls(attempts=1))
        slow = [asyncio.create_task(retry.call(requests(name=f"slow{n}-"))) for n in range(30)]
        await asyncio.sleep(1)
        for n in range(70):
            await retry.call(requests(name=f"{n}-"))
        await asyncio.gather(*slow)

    run(main())
    assert len(server.log) == 30 + 60


def test_who_is_given_up_stays_so_even_if_a_late_call_succeeds() -> None:
    server = Server([[None], *[[BUSY]] * 20, [None]], [100.0, *[0.0] * 20, 0.0])

    async def main() -> list[Generation]:
        retry = Retry(server, Calls(attempts=1))
        late = asyncio.create_task(retry.call(requests(name="late")))
        await asyncio.sleep(1)
        row = [(await retry.call(requests(name=f"{n}-")))[0] for n in range(21)]
        return [*row, *await late, *await retry.call(requests(name="after"))]

    *row, given_up, late, after = run(main())
    assert [each.failure for each in row] == [BUSY] * 20
    assert given_up.failure is not None
    assert late.failure is None
    assert after.failure == given_up.failure
    assert len(server.log) == 21


# --- hedging --------------------------------------------------------------------------


HEDGED = Calls(attempts=1, hedge_after=1.0)


def test_nobody_hedges_who_was_not_asked_to() -> None:
    server = Server([[None]], 1_000.0)
    made(server)
    assert len(server.log) == 1


@pytest.mark.parametrize(
    ("inside", "said", "calls_made", "ends", "spent", "cancelled"),
    [
        # seconds and outcome of each attempt -> calls, when it ends, whose costs count, cancelled
        ([0.5, 9.0], [None, None], 1, 0.5, [0], 0),
        ([5.0, 9.0], [None, None], 2, 5.0, [0], 1),
        ([9.0, 2.0], [None, None], 2, 3.0, [1], 1),
        ([5.0, 4.0], [None, None], 2, 5.0, [0, 1], 0),  # both at once: both are counted
        ([2.0, 4.0], [BUSY, None], 2, 5.0, [0, 1], 0),  # a failure waits for the other
        ([9.0, 2.0], [None, BUSY], 2, 9.0, [0, 1], 0),
        ([2.0, 4.0], [BUSY, WRONG], 2, 5.0, [0, 1], 0),
        ([0.5, 4.0], [BUSY, None], 1, 0.5, [0], 0),
    ],
)
def test_the_faster_of_two_wins(
    inside: list[float],
    said: list[Failure | None],
    calls_made: int,
    ends: float,
    spent: list[int],
    cancelled: int,
) -> None:
    server = Server([[each] for each in said], inside)

    async def main() -> Generation:
        [found] = await Retry(server, HEDGED).call(requests())
        assert now() == ends
        return found

    found = run(main())
    assert len(server.log) == calls_made
    assert found.usage == total(cost(call, 0) for call in spent)
    assert server.cancelled == cancelled
    assert (found.failure is None) == (None in [said[call] for call in spent])


def test_of_two_attempts_each_draw_is_the_best() -> None:
    server = Server([[None, BUSY, BUSY], [BUSY, None, WRONG]], [2.0, 4.0])
    found = made(server, HEDGED, draws=3)
    assert [each.failure for each in found] == [None, None, BUSY]
    assert total(each.usage for each in found) == total(server.spent)


def test_failed_hedged_attempts_are_made_again() -> None:
    server = Server([[BUSY], [BUSY], [None]], [2.0, 2.0, 0.5])
    [found] = made(server, replace(HEDGED, attempts=2))
    assert found.failure is None
    assert len(server.log) == 3
    assert found.usage == total(server.spent)


def test_a_hedge_is_a_retry_of_the_run() -> None:
    server = Server([[None]], 2.0)
    in_turn(Retry(server, replace(HEDGED, retries=0.0)), 150)
    assert len(server.log) == 250


@pytest.mark.parametrize("hedge_after", [None, 1.0])
def test_a_bug_surfaces_and_the_other_attempt_ends(hedge_after: float | None) -> None:
    class Broken(Server):
        async def call(self, requests: Sequence[Request]) -> list[Generation]:
            if hedge_after is None or self.log:
                await asyncio.sleep(1)
                raise RuntimeError("a bug")
            return await super().call(requests)

    server = Broken([[None]], 9.0)
    with pytest.raises(RuntimeError, match="a bug"):
        made(server, Calls(hedge_after=hedge_after))
    assert server.cancelled == (hedge_after is not None)


@dataclass
class Poor(Server):
    """Its budget is enough for so many calls."""

    most: int = 0

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        if len(self.log) == self.most:
            raise BudgetExhausted("no money")
        return await super().call(requests)


@pytest.mark.parametrize("calls", [Calls(), HEDGED, replace(HEDGED, attempts=3)])
def test_without_money_no_attempt_is_made(calls: Calls) -> None:
    with pytest.raises(BudgetExhausted):
        made(Poor([[None]]), calls)


def test_a_hedge_that_cannot_be_paid_leaves_the_first_attempt_alone() -> None:
    server = Poor([[None]], 5.0, most=1)
    [found] = made(server, HEDGED)
    assert (found.failure, server.cancelled) == (None, 0)


@pytest.mark.parametrize(
    ("calls", "most", "keys", "whose"),
    [
        # outcomes of the attempts, those paid for -> the draws that come, whose costs they bear
        ([[None, None, None, BUSY]], 1, ["k0", "k1", "k2"], 4),
        ([[BUSY, None, BUSY, None], [BUSY, None]], 2, ["k1", "k2", "k3"], 6),
        ([[WRONG, None, BUSY, BUSY], [BUSY]], 2, ["k1"], 6),
        ([[BUSY]], 2, [], 0),
        ([[WRONG, BUSY]], 1, [], 0),
    ],
)
def test_draws_that_have_come_are_kept_where_the_rest_cannot_be_paid(
    calls: list[Said], most: int, keys: list[str], whose: int
) -> None:
    server = Poor(calls, most=most)
    with pytest.raises(BudgetExhausted, match="no money") as caught:
        made(server, draws=4)
    found = caught.value.finished if isinstance(caught.value, CutShort) else []
    assert sorted(each.key for each in found) == keys
    assert all(each.failure is None for each in found)
    assert len(server.spent) >= whose
    assert total(each.usage for each in found) == total(server.spent if keys else [])


def test_a_wait_that_is_cut_short_is_told_apart_from_a_cancellation() -> None:
    def refuse() -> None:
        if refused:
            raise BudgetExhausted("no money")

    async def main() -> None:
        retry = Retry(Server([[replace(BUSY, retry_after=900.0)]]), Calls(), waits=waits)
        tasks = [asyncio.create_task(retry.call(requests(name=name))) for name in "ab"]
        await asyncio.sleep(1.0)
        assert waits.waiting
        refused.append(True)
        waits.end()
        tasks[0].cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in ended] == [asyncio.CancelledError, BudgetExhausted]
        assert (now(), waits.waiting, tasks[1].cancelling()) == (1.0, False, 0)

    refused: list[bool] = []
    waits = CancellableWaits(refuse)
    run(main())


# --- cancellation ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calls", "after", "under_way"),
    [
        (Calls(), 0.5, 1),  # in an attempt
        (Calls(), 1.001, 0),  # in a wait
        (HEDGED, 0.5, 1),
        (HEDGED, 2.5, 2),
    ],
)
def test_cancellation_leaves_nothing_behind(calls: Calls, after: float, under_way: int) -> None:
    server = Server([[BUSY]], 1.0 if calls.hedge_after is None else 5.0)

    async def main() -> None:
        task = asyncio.create_task(Retry(server, calls).call(requests()))
        await asyncio.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert now() == after
        assert server.cancelled == under_way
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_cancelled_calls_do_not_stay_under_way() -> None:
    """Or else the row that an expert is given up after would grow for ever."""
    server = Server([[BUSY]], [*[9.0] * 64, *[0.0] * 40])

    async def main() -> None:
        retry = Retry(server, Calls(attempts=1))
        tasks = [asyncio.create_task(retry.call(requests(name=f"{n}-"))) for n in range(64)]
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for n in range(30):
            await retry.call(requests(name=f"after{n}-"))

    run(main())
    assert len(server.log) == 64 + 20
