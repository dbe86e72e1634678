"""The experts of a red team at work: a pipeline's own stages, with whatever workers they are given.

It does not know who lies.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from orchestra.pipeline import (
    Batch,
    Context,
    GenerateStage,
    Pipeline,
    Progress,
    Synthesise,
    SynthesiseStage,
    WorkerPool,
    open_context,
)
from orchestra.pipeline.stages.vote import Learned, VoteStage
from orchestra.records import Plan, Question
from orchestra.runs import Account, Ledger


@dataclass(frozen=True)
class Means:
    """What every session of one red team shares."""

    pipeline: Pipeline
    questions: Mapping[str, Question]
    """Question id -> question."""
    ledger: Ledger | None = None
    """Where everything that is said is kept and found; None: nowhere."""
    account: Account | None = None
    """Pays for all calls; None: nobody counts."""
    progress: Progress | None = None
    """Told how far the asking is."""


class Company:
    """Experts whose workers are open to it. Made by `company`."""

    def __init__(self, means: Means, context: Context) -> None:
        self._means, self._context = means, context

    async def draft(self, plans: Sequence[Plan], *, texts: bool = False) -> Batch:
        """What the seats of these plans say; what the ledger has is not asked again.

        Args:
            plans: who is asked.
            texts: keep what is said, for whoever is shown it.
        """
        questions = tuple([self._means.questions[plan.question_id] for plan in plans])
        settings = self._means.pipeline.spec.generate
        batch = Batch(questions, plans=tuple(plans))
        return await GenerateStage(settings, texts=texts).run(batch, self._context)

    async def vote(self, batch: Batch, pipeline: Pipeline) -> Batch:
        """The batch after a pipeline's own vote, which says whose drafts nobody is shown."""
        stage = VoteStage(pipeline.spec.vote, lambda: Learned(pipeline.evidence.known))
        return await stage.run(batch, self._context)

    async def merge(self, settings: Synthesise, batch: Batch) -> tuple[Batch, int]:
        """What an aggregator makes of a batch that was voted on, and the calls that took."""
        spec = self._means.pipeline.spec.generate
        scope = self._context.scope()
        stage = SynthesiseStage(settings, spec.read, spec.tolerance)
        return await stage.run(batch, scope), scope.counter.counts().calls


@asynccontextmanager
async def company(means: Means, workers: WorkerPool) -> AsyncIterator[Company]:
    """The experts, opened as they are asked; leaving it unloads the last."""
    pipeline = means.pipeline
    identities = {each.name: workers.identity(each) for each in pipeline.roster}
    async with open_context(
        pipeline.roster, workers, identities, account=means.account, progress=means.progress
    ) as context:
        yield Company(means, replace(context, ledger=means.ledger, seed=pipeline.seed, keeps=False))
