"""The same pipeline for callers without an event loop: one implementation, run to its end.

Knows how to wait; does not know any stage. Works inside a running loop too (a
notebook, say), where it waits in a thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from orchestra.pipeline.draft import Progress
from orchestra.pipeline.load import LocalWorkers
from orchestra.pipeline.run import Outcomes
from orchestra.pipeline.run import Pipeline as Twin
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
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Pipeline:
    """A pipeline with its experts, for plain Python. `orchestra.aio.Pipeline` is its async twin.

    Args:
        twin: the pipeline itself.
    """

    def __init__(self, twin: Twin) -> None:
        self.twin = twin

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
            Twin.load(
                source, roster=roster, table=table, workers=workers, seed=seed, overrides=overrides
            )
        )

    def answer(self, question: Question) -> Decision:
        """Decide one question."""
        return wait(self.twin.answer(question))

    def run(
        self,
        questions: Sequence[Question],
        *,
        account: Account | None = None,
        progress: Progress | None = None,
    ) -> Outcomes:
        """Decide many questions, each expert loaded once where that can be.

        The account pays for all calls; by default one of the pipeline's budget, for this run.
        """
        return wait(self.twin.run(questions, account=account, progress=progress))

    def brief(self, questions: Sequence[Question]) -> list[Brief]:
        """The skills each question needs."""
        return wait(self.twin.brief(questions))

    def plan(self, briefs: Sequence[Brief]) -> list[Plan]:
        """Who would be asked, and why; nothing is generated."""
        return self.twin.plan(briefs)
