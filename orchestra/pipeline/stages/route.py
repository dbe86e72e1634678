"""The route stage: the skills of each question -> who is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from orchestra.pipeline.batch import Batch
from orchestra.pipeline.context import Context
from orchestra.pipeline.stage import CallEstimate
from orchestra.roster import Roster
from orchestra.routing import Pool, Router
from orchestra.runs import RowKind
from orchestra.scheduling import Length


@dataclass(frozen=True)
class RouteStage:
    """Seats experts by a router, which asks nobody."""

    router: Router
    name: ClassVar[str] = "route"
    reads: ClassVar[tuple[str, ...]] = ("briefs",)

    @property
    def scope(self) -> Literal["question", "batch"]:
        """`batch` for routers that look at other questions too (`whole_batch`)."""
        return "batch" if getattr(self.router, "whole_batch", False) else "question"

    async def run(self, batch: Batch, context: Context) -> Batch:
        """Adds `plans`."""
        pool = Pool(context.roster.recruits, context.table)
        plans = self.router.route(batch.briefs, pool, seed=context.seed)
        context.keep(RowKind.PLAN, {plan.question_id: plan for plan in plans})
        return replace(batch, plans=tuple(plans))

    def experts(self, batch: Batch, place: int) -> Sequence[str]:
        """Nobody."""
        return ()

    def forecast(
        self, batch: Batch, roster: Roster, lengths: Mapping[str, Length]
    ) -> Sequence[CallEstimate]:
        """None: it asks nobody."""
        return ()
