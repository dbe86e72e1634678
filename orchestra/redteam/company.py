"""The experts of a red team at work: asked for drafts, and shown them, through one ledger.

Knows how a pipeline's stages are run with whatever workers it is given, honest or not; does not
know who lies, nor what becomes of what is said.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from orchestra.pipeline import Drafts, LocalWorkers, Pipeline, Progress, Synthesis, Synthesise
from orchestra.pipeline.draft import DraftStage
from orchestra.pipeline.synthesise import SynthesiseStage
from orchestra.records import Plan, Question
from orchestra.runs import Account, Ledger
from orchestra.workers import Resident


@dataclass(frozen=True)
class Means:
    """What every company of one red team shares."""

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
    """Experts whose workers are open to it. Made by `company`.

    Args:
        means: what it has at hand.
        workers: opens the experts; its owner closes it.
        identities: expert -> digest of everything that changes what it says.
    """

    def __init__(self, means: Means, workers: Resident, identities: Mapping[str, str]) -> None:
        self._means, self._workers, self._identities = means, workers, identities

    async def draft(self, plans: Sequence[Plan], *, texts: bool = False) -> Drafts:
        """What the seats of these plans say; what the ledger has is not asked again.

        Args:
            plans: who is asked.
            texts: keep what is said, for whoever is shown it.
        """
        means = self._means
        stage = DraftStage(
            means.pipeline.roster,
            self._workers,
            self._identities,
            settings=means.pipeline.spec.generate,
            ledger=means.ledger,
            progress=means.progress,
        )
        asked = {plan.question_id: means.questions[plan.question_id] for plan in plans}
        return await stage.run(plans, asked, texts=texts)

    async def merge(self, settings: Synthesise, drafts: Drafts) -> Synthesis:
        """What an aggregator makes of drafts that have their texts."""
        means = self._means
        stage = SynthesiseStage(
            means.pipeline.roster,
            self._workers,
            self._identities,
            settings=settings,
            generate=means.pipeline.spec.generate,
            ledger=means.ledger,
            progress=means.progress,
        )
        return await stage.run(means.questions, drafts, seed=means.pipeline.seed)


@asynccontextmanager
async def company(means: Means, workers: LocalWorkers) -> AsyncIterator[Company]:
    """The experts, opened as they are asked; leaving it unloads the last."""
    identities = {each.name: workers.identity(each) for each in means.pipeline.roster}
    async with Resident(workers, means.account) as resident:
        yield Company(means, resident, identities)
