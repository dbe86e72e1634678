"""The time that a budget leaves."""

from __future__ import annotations

import asyncio

import pytest

from orchestra.errors import BudgetExhausted
from orchestra.pipeline.context import in_time
from orchestra.runs import Account, Budget
from tests.virtual_time import now, run


async def work(seconds: float, account: Account | None, log: list[str] | None = None) -> None:
    async with in_time(account):
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if log is not None:
                log.append("put away")
            raise


def account(seconds: float | None, *, before: float = 0.0) -> Account:
    """An account that has been open for a while."""
    times = iter([0.0])
    return Account.open(None, Budget(seconds=seconds), clock=lambda: next(times, before))


@pytest.mark.parametrize(
    ("seconds", "before", "takes", "over"),
    [
        (None, 0.0, 1e6, False),
        (10.0, 0.0, 9.0, False),
        (10.0, 0.0, 11.0, True),
        (10.0, 5.0, 4.0, False),
        (10.0, 5.0, 6.0, True),  # what a run took before counts
        (10.0, 20.0, 1.0, True),
        (0.0, 0.0, 1.0, True),
    ],
)
def test_it_stops_when_the_time_is_over(
    seconds: float | None, before: float, takes: float, over: bool
) -> None:
    log: list[str] = []

    async def main() -> None:
        if not over:
            return await work(takes, account(seconds, before=before), log)
        with pytest.raises(BudgetExhausted) as caught:
            await work(takes, account(seconds, before=before), log)
        assert seconds is not None
        assert now() == max(seconds - before, 0.0)
        assert caught.value.message == (f"`budget.seconds` is over: {seconds:g} s may be taken")
        assert caught.value.hint == "raise `budget.seconds`; the same command goes on from here"
        assert caught.value.exit_code == 4
        assert caught.value.__suppress_context__
        return None

    run(main())
    assert log == ["put away"] * over


def test_without_an_account_there_is_no_end() -> None:
    run(work(1e6, None))


@pytest.mark.parametrize("seconds", [None, 10.0])
@pytest.mark.parametrize("error", [TimeoutError("a socket"), RuntimeError("a bug")])
def test_the_errors_of_others_pass_through(seconds: float | None, error: Exception) -> None:
    async def main() -> None:
        async with in_time(account(seconds)):
            await asyncio.sleep(1)
            raise error

    with pytest.raises(type(error)) as caught:
        run(main())
    assert caught.value is error


def test_the_timeouts_of_others_inside_are_theirs() -> None:
    async def main() -> None:
        async with in_time(account(10.0)):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await asyncio.sleep(5)
            assert now() == 1

    run(main())


def test_who_cancels_gets_a_cancellation() -> None:
    async def main() -> None:
        task = asyncio.create_task(work(100.0, account(50.0)))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
