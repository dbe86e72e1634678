"""Waits that end as soon as they are of no use.

Knows which tasks wait and how to wake them; does not know what for, nor why it is of no use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any


class Waits:
    """A context around a wait, one for all tasks: `end` cuts short whoever is inside.

    A task is inside once at a time, and does nothing there but wait.

    Args:
        refuse: raises what a wait is told that is of no use; returns where waiting is of use.
    """

    def __init__(self, refuse: Callable[[], None]) -> None:
        self._refuse = refuse
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def waiting(self) -> bool:
        """Whether anybody is inside."""
        return bool(self._tasks)

    def end(self) -> None:
        """End all waits; each raises what `refuse` raises."""
        while self._tasks:
            self._tasks.pop().cancel()

    def __enter__(self) -> None:
        self._refuse()
        self._tasks.add(_task())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task = _task()
        if task in self._tasks:
            self._tasks.remove(task)
        elif not task.uncancel() and kind is asyncio.CancelledError:
            self._refuse()  # else others cancelled it as well, and they come first


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("only tasks wait")
    return task
