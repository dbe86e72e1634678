"""An event loop in which nothing takes time but waiting, and waiting takes none."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """Where nothing is ready, time jumps to the next timer; where there is none, all hang."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        found: list[Any] = super().select(0)
        if not found:
            assert timeout is not None, "everybody waits and nobody will wake them"
            self.now += max(0.0, timeout)
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jump = _Jump()
        super().__init__(self.jump)

    def time(self) -> float:
        return self.jump.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """What `main` returns, on a loop of its own that begins at 0. No task may be left behind."""

    async def whole() -> T:
        try:
            return await main
        finally:
            # Generators that nobody closes are closed by tasks of their own.
            for _ in range(3):
                await asyncio.sleep(0)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not others, f"left behind: {others}"

    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(whole())


def now() -> float:
    """Seconds since the running loop began."""
    return asyncio.get_running_loop().time()
