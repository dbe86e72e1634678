"""What a finished call is settled at, and batches cut to what may be spent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from orchestra.errors import BudgetExhausted
from orchestra.records import Failure, Generation, Message, Request, Sampling, Usage
from orchestra.runs.account import Account
from orchestra.runs.budget import NOTHING, Budget, Cost, Entry, picodollars
from orchestra.workers.budgeted import Budgeted, BudgetedWorker

WORST = Cost(1, 1_000, picodollars(0.5))
ONE_CALL = Cost(1)
TOLD = Usage(1, 100, 20, money=0.01)
MORE = Usage(0, 0, 30, money=0.02)
GUESSED = Usage(1, 100, 20, estimated=True, money=0.01)


def request(number: int = 0, expert: str = "ada") -> Request:
    messages = (Message("user", "?"),)
    return Request(f"k{number}", f"q{number}", expert, "generate", messages, Sampling())


def generation(asked: Request, usage: Usage = TOLD, failure: str = "") -> Generation:
    failed = Failure(failure) if failure else None
    return Generation(
        asked.key, asked.question_id, asked.expert, text="", usage=usage, failure=failed
    )


class Scripted:
    """A caller that answers by a function, or does what it does."""

    def __init__(self, answer: Callable[[Sequence[Request]], list[Generation]]) -> None:
        self.answer = answer
        self.entered = asyncio.Event()

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        self.entered.set()
        await asyncio.sleep(0)
        return self.answer(requests)


def settled(*parts: tuple[Usage, str]) -> Cost:
    """What a call is settled at whose draws came back so."""

    async def main() -> Cost:
        account = Account.open(None, Budget())
        found = [generation(request(), usage, failure) for usage, failure in parts]
        caller = Budgeted(Scripted(lambda requests: found), account, lambda requests: WORST)
        assert await caller.call([request()] * len(parts)) == found
        assert account.held == NOTHING
        return account.spent

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(TOLD, "")], Cost.of(TOLD)),
        ([(GUESSED, "")], WORST),  # nobody told, and a guess may be too low
        ([(TOLD, ""), (replace(GUESSED, calls=0), "")], WORST),
        ([(GUESSED, ""), (Usage(), "rate_limited")], WORST),
        ([(GUESSED, "rate_limited")], Cost.of(GUESSED)),
        ([(TOLD, ""), (MORE, ""), (MORE, "")], Cost(1, 180, picodollars(0.05))),
        ([(TOLD, "malformed")], Cost.of(TOLD)),  # charged for nothing, and said so
        ([(TOLD, ""), (Usage(), "too_few")], Cost.of(TOLD)),
        ([(Usage(calls=1), "rate_limited")], ONE_CALL),
        ([(Usage(calls=1), "server_error")], ONE_CALL),
        ([(Usage(calls=1), "unreachable")], ONE_CALL),
        ([(Usage(calls=1), "bad_request"), (Usage(), "bad_request")], ONE_CALL),
        ([(Usage(calls=1), "timeout")], WORST),
        ([(Usage(calls=1, estimated=True), "connection")], WORST),
        ([(GUESSED, "malformed")], WORST),
        ([(Usage(calls=1), "anything new")], WORST),
    ],
)
def test_what_a_call_is_settled_at(parts: list[tuple[Usage, str]], expected: Cost) -> None:
    assert settled(*parts) == expected


def test_who_decides_what_is_paid() -> None:
    async def main() -> Cost:
        account = Account.open(None, Budget())
        failing = Scripted(lambda asked: [generation(asked[0], Usage(calls=1), "timeout")])
        caller = Budgeted(failing, account, lambda asked: WORST, paid=lambda failure: False)
        await caller.call([request()])
        return account.spent

    assert asyncio.run(main()) == ONE_CALL


def test_cut_short_it_may_have_been_paid() -> None:
    async def main() -> None:
        account = Account.open(None, Budget())
        inner = Scripted(lambda asked: [generation(asked[0])])
        task = asyncio.create_task(Budgeted(inner, account, lambda asked: WORST).call([request()]))
        await inner.entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert account.entries() == {"ada": Entry(spent=WORST)}

        def fail(asked: Sequence[Request]) -> list[Generation]:
            raise KeyError("a bug")

        with pytest.raises(KeyError):
            await Budgeted(Scripted(fail), account, lambda asked: WORST).call([request()])
        assert (account.spent, account.held) == (WORST + WORST, NOTHING)

    asyncio.run(main())


def test_no_call_without_room() -> None:
    async def main() -> None:
        account = Account.open(None, Budget(tokens=1_100))
        caller = Budgeted(
            Scripted(lambda asked: [generation(asked[0])]), account, lambda asked: WORST
        )
        await caller.call([request()])
        with pytest.raises(BudgetExhausted, match=r"`budget\.tokens`"):
            await caller.call([request()])
        assert account.spent == Cost.of(TOLD)

    asyncio.run(main())


# --- batches --------------------------------------------------------------------------


class Engine:
    """A worker that notes its batches; it takes in as many at once as it is told."""

    def __init__(self, usage: Usage = TOLD, *, at_once: int = 10**9, answers: int = 10**9) -> None:
        self.usage, self.at_once, self.answers = usage, at_once, answers
        self.batches: list[int] = []

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        self.batches.append(0)
        some: list[Request] = []
        for each in requests:
            self.batches[-1] += 1
            some.append(each)
            if len(some) >= self.at_once:
                for asked in some:
                    yield generation(asked, self.usage)
                some.clear()
        for asked in some[: self.answers]:
            yield generation(asked, self.usage)


def asked(count: int) -> list[Request]:
    return [request(number) for number in range(count)]


async def collect(worker: BudgetedWorker, requests: Iterable[Request]) -> tuple[list[str], bool]:
    """The keys that came, and whether it was refused after that."""
    keys = []
    try:
        async for each in worker.generate(requests):
            keys.append(each.key)
    except BudgetExhausted:
        return keys, True
    return keys, False


def run(main: Coroutine[Any, Any, tuple[list[str], bool]]) -> tuple[list[str], bool]:
    return asyncio.run(main)


@pytest.mark.parametrize(
    ("budget", "batches", "came", "refused"),
    [
        (Budget(), [3_000], 3_000, False),
        (Budget(money=10**6), [3_000], 3_000, False),
        (Budget(calls=3_000), [3_000], 3_000, False),
        (Budget(calls=2_999), [2_999], 2_999, True),
        (Budget(calls=7), [7], 7, True),
        (Budget(calls=0), [], 0, True),
        # 1,000 are held for each, 120 spent.
        (Budget(tokens=3_500), [3, 3, *[2] * 4, *[1] * 7], 21, True),
    ],
)
def test_batches_are_as_long_as_may_be(
    budget: Budget, batches: list[int], came: int, refused: bool
) -> None:
    account, engine = Account.open(None, budget), Engine()
    worker = BudgetedWorker(engine, account, lambda requests: WORST)
    keys, was_refused = run(collect(worker, asked(3_000)))
    assert keys == [each.key for each in asked(came)]
    assert was_refused is refused
    assert engine.batches == batches
    assert account.held == NOTHING
    assert account.spent.calls == came
    assert account.spent.tokens == came * 120


def test_requests_are_taken_as_the_engine_wants_them() -> None:
    taken = 0

    def stream() -> Iterable[Request]:
        nonlocal taken
        for number in range(5_000):
            taken += 1
            yield request(number)

    async def main() -> None:
        account, engine = Account.open(None, Budget()), Engine(at_once=10)
        worker = BudgetedWorker(engine, account, lambda requests: WORST)
        count = 0
        async for _ in worker.generate(stream()):
            count += 1
            assert taken <= count + 1_100
            assert account.held.calls <= 1_100
        assert (count, engine.batches) == (5_000, [5_000])

    asyncio.run(main())


def test_waits_for_what_others_hold() -> None:
    async def main() -> tuple[list[str], bool]:
        account = Account.open(None, Budget(tokens=1_500))
        hold = await account.reserve(Cost(1, 1_000), "bob")
        worker = BudgetedWorker(Engine(), account, lambda requests: WORST)
        task = asyncio.create_task(collect(worker, asked(2)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        account.release(hold)
        return await task

    assert run(main()) == (["k0", "k1"], False)


@pytest.mark.parametrize(
    ("unpaid", "spent"),
    [(True, Cost(2, 240, picodollars(0.02))), (False, Cost(5, 3_240, picodollars(1.52)))],
)
def test_without_a_reply(unpaid: bool, spent: Cost) -> None:
    account = Account.open(None, Budget())
    worker = BudgetedWorker(Engine(answers=2), account, lambda requests: WORST, unpaid=unpaid)
    run(collect(worker, asked(5)))
    assert (account.spent, account.held) == (spent, NOTHING)


def test_left_in_the_middle() -> None:
    async def main() -> None:
        account = Account.open(None, Budget())
        worker = BudgetedWorker(Engine(), account, lambda requests: WORST)
        flow = worker.generate(asked(5))
        await anext(flow)
        await flow.aclose()  # type: ignore[attr-defined]
        assert (account.spent, account.held) == (Cost.of(TOLD), NOTHING)

    asyncio.run(main())


def test_one_key_twice() -> None:
    account = Account.open(None, Budget())
    worker = BudgetedWorker(Engine(), account, lambda requests: WORST)
    run(collect(worker, [request(1), request(1), request(2)]))
    assert (account.spent.calls, account.held) == (3, NOTHING)
