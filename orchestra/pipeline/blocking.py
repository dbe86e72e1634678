"""The same pipeline for callers without an event loop: one implementation, run to its end.

Knows how to wait; does not know any stage. Works inside a running loop too (a
notebook, say), where it waits in a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from orchestra.pipeline import LocalWorkers
from orchestra.pipeline.batch import Batch
from orchestra.pipeline.context import Progress
from orchestra.pipeline.pipeline import Pipeline as SimulatedMachine
from orchestra.records import Brief, Decision, Plan, Question
from orchestra.roster import Roster
from orchestra.runs import Account
from orchestra.skills import RecruitmentTable

Result = TypeVar("Result")


def wait(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, from code that is not async."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    aside = _Aside(work)
    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(aside.run).result()
        except BaseException:  # an interrupt reaches whoever waits here, not the work
            aside.cancel()
            raise


class _Aside(Generic[Result]):
    """A coroutine that runs on a loop of its own, in another thread than whoever waits for it."""

    def __init__(self, work: Coroutine[Any, Any, Result]) -> None:
        self._work = work
        self._under_way: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    def run(self) -> Result:
        return asyncio.run(self._whole())

    def cancel(self) -> None:
        if self._under_way is not None:
            loop, task = self._under_way
            with suppress(RuntimeError):  # the loop is over, and the task with it
                loop.call_soon_threadsafe(task.cancel)

    async def _whole(self) -> Result:
        task = asyncio.current_task()
        assert task is not None
        self._under_way = asyncio.get_running_loop(), task
        return await self._work


class Pipeline:
    """A pipeline with its experts, for plain Python. `orchestra.aio.Pipeline` is its async twin.

    Of several threads, one is served at a time.

    Args:
        twin: the pipeline itself.
    """

    def __init__(self, twin: SimulatedMachine) -> None:
        self.twin = twin
        # Limits and connections serve one event loop at a time.
        self._turn = threading.Lock()

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        roster: Roster | str | Path,
        table: RecruitmentTable | str | Path | None = None,
        workers: LocalWorkers | None = None,
        seed: int | None = None,
        overrides: Iterable[str] = (),
    ) -> Pipeline:
        """A pipeline from a file or a shipped name; see `orchestra.aio.Pipeline.load`."""
        return cls(
            SimulatedMachine.load(
                source, roster=roster, table=table, workers=workers, seed=seed, overrides=overrides
            )
        )

    def answer(self, question: Question) -> Decision:
        """Decide one question."""
        with self._turn:
            return wait(self.twin.answer(question))

    def run(
        self,
        questions: Sequence[Question],
        *,
        account: Account | None = None,
        progress: Progress | None = None,
    ) -> Batch:
        """Decide many questions, each expert loaded once where that can be.

        The account pays for all calls; by default one of the pipeline's budget, for this run.
        """
        with self._turn:
            return wait(self.twin.run(questions, account=account, progress=progress))

    def brief(self, questions: Sequence[Question]) -> list[Brief]:
        """The skills each question needs."""
        with self._turn:
            return wait(self.twin.brief(questions))

    def plan(self, briefs: Sequence[Brief]) -> list[Plan]:
        """Who would be asked, and why; nothing is generated."""
        return self.twin.plan(briefs)
