"""Experts that are asked side by side: who is at work now, and how it ends.

Knows tasks and which of them holds the engine; does not know what they do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence

from orchestra.errors import BudgetExhausted, OrchestraError


class Turns:
    """The turns under way."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], tuple[str, ...]] = {}
        self._engine: asyncio.Task[None] | None = None
        self._exhausted = False

    def __bool__(self) -> bool:
        return bool(self._tasks)

    @property
    def names(self) -> list[str]:
        """Everybody at work."""
        return [name for names in self._tasks.values() for name in names]

    @property
    def engine(self) -> bool:
        """Whether an engine is at work."""
        return self._engine is not None

    def begin(
        self, names: Sequence[str], turn: Coroutine[None, None, None], *, engine: bool
    ) -> None:
        """Let these experts be asked, beside all others."""
        task = asyncio.create_task(turn)
        self._tasks[task] = tuple(names)
        if engine:
            self._engine = task

    async def one(self) -> None:
        """Wait until somebody is done. Raises what went wrong with it."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del self._tasks[task]
            if task is self._engine:
                self._engine = None
        errors = [error for task in done if (error := task.exception()) is not None]
        for error in sorted(errors, key=lambda each: isinstance(each, BudgetExhausted)):
            self._exhausted = isinstance(error, BudgetExhausted)
            raise error

    async def end(self) -> None:
        """Whoever is still at work gives up.

        Where the budget is exhausted, hosted calls under way are paid for: they are waited for,
        and no more are begun since nobody has a budget. Raises what a bug raised meanwhile.
        """
        for task in self._tasks:
            if not self._exhausted or task is self._engine:
                task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for error in ended if self._exhausted else ():
            if isinstance(error, Exception) and not isinstance(error, OrchestraError):
                raise error
