"""Turns: who is at work, and how it ends for the others when one goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from orchestra.errors import BudgetExhausted, WorkerError
from orchestra.pipeline.turns import Turns
from tests.virtual_time import now, run


class Log:
    """What became of each turn."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def turn(self, name: str, seconds: float, error: BaseException | None = None) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.ended.append(f"-{name}")
            raise
        self.ended.append(name)
        if error is not None:
            raise error


def test_who_is_at_work() -> None:
    async def main() -> None:
        log, turns = Log(), Turns()
        assert not turns
        turns.begin(["H"], log.turn("H", 2.0), engine=False)
        turns.begin(["a", "b"], log.turn("ab", 1.0), engine=True)
        assert turns
        assert turns.engine
        assert turns.names == ["H", "a", "b"]
        await turns.one()
        assert now() == 1.0
        assert not turns.engine
        assert turns.names == ["H"]
        await turns.one()
        assert now() == 2.0
        assert not turns
        await turns.end()
        assert log.ended == ["ab", "H"]

    run(main())


async def to_the_end(turns: Turns) -> None:
    try:
        while turns:
            await turns.one()
    finally:
        await turns.end()


def broken() -> RuntimeError:
    return RuntimeError("a bug")


def poor() -> BudgetExhausted:
    return BudgetExhausted("no money")


def failing() -> WorkerError:
    return WorkerError("too many")


Case = tuple[str, float, Callable[[], Exception] | None]

CASES: list[tuple[list[Case], type[Exception], str, float]] = [
    # (name, seconds, what it raises) -> what one sees, what became of all, when it is over
    # (lower-case names are engines)
    ([("H", 1, broken), ("I", 9, None), ("a", 9, None)], RuntimeError, "H -I -a", 1),
    ([("H", 1, failing), ("I", 9, None)], WorkerError, "H -I", 1),
    ([("a", 1, broken), ("I", 9, None)], RuntimeError, "a -I", 1),
    # Hosted calls under way are paid for, an engine's are not.
    ([("H", 1, poor), ("I", 9, None), ("a", 9, None)], BudgetExhausted, "H -a I", 9),
    ([("a", 1, poor), ("I", 9, None)], BudgetExhausted, "a I", 9),
    ([("H", 1, poor), ("I", 9, poor)], BudgetExhausted, "H I", 9),
    ([("H", 1, poor), ("I", 9, failing)], BudgetExhausted, "H I", 9),
    # A bug is worse than an empty purse, together with it or after it.
    ([("H", 1, poor), ("I", 1, broken), ("J", 9, None)], RuntimeError, "H I -J", 1),
    ([("I", 1, broken), ("H", 1, poor), ("J", 9, None)], RuntimeError, "I H -J", 1),
    ([("H", 1, poor), ("I", 9, broken)], RuntimeError, "H I", 9),
]


@pytest.mark.parametrize(("cases", "seen", "ended", "over"), CASES)
def test_what_goes_wrong(cases: list[Case], seen: type[Exception], ended: str, over: float) -> None:
    log = Log()

    async def main() -> None:
        turns = Turns()
        for name, seconds, error in cases:
            turn = log.turn(name, seconds, error and error())
            turns.begin([name], turn, engine=name.islower())
        with pytest.raises(seen) as caught:
            await to_the_end(turns)
        assert type(caught.value) is seen
        assert now() == over
        assert not turns

    run(main())
    assert " ".join(log.ended) == ended


@pytest.mark.parametrize("money", [True, False])
def test_an_interruption_waits_for_nobody(money: bool) -> None:
    """Not even for calls that are paid for, when it comes while they are waited for."""
    log = Log()

    async def main() -> None:
        async def stage() -> None:
            turns = Turns()
            turns.begin(["H"], log.turn("H", 1.0, None if money else poor()), engine=False)
            turns.begin(["I"], log.turn("I", 99.0), engine=False)
            await to_the_end(turns)

        task = asyncio.create_task(stage())
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert now() == 5

    run(main())
    assert log.ended == ["H", "-I"]
