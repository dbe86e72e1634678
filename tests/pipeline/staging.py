"""The generate stage alone, for tests: plans in, answers and counts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orchestra.pipeline import Generate, GenerateStage, Progress, open_context
from orchestra.pipeline.batch import Batch
from orchestra.records import Answer, Plan, Question, Seat, Usage
from orchestra.roster import Roster
from orchestra.runs import Account, Ledger
from orchestra.workers import Workers


class Drafted(NamedTuple):
    """What came of some plans."""

    answers: dict[str, dict[Seat, Answer]]
    usage: Mapping[str, Usage]
    calls: int
    failures: int


class Drafting(NamedTuple):
    """A stage with everything that it needs."""

    roster: Roster
    workers: Workers
    identities: Mapping[str, str]
    settings: Generate
    ledger: Ledger | None = None
    progress: Progress | None = None
    account: Account | None = None

    async def run(self, plans: Sequence[Plan], questions: Mapping[str, Question]) -> Drafted:
        """Ask every seat, and reserves where that is wanted."""
        batch = Batch(tuple(questions[plan.question_id] for plan in plans), plans=tuple(plans))
        async with open_context(
            self.roster,
            self.workers,
            self.identities,
            account=self.account,
            ledger=self.ledger,
            progress=self.progress,
        ) as context:
            context.keeps = False
            drafted = await GenerateStage(self.settings).run(batch, context)
            counts = context.counter.counts().of("generate")
        return Drafted(drafted.rows, counts.usage, counts.calls, counts.failures)
