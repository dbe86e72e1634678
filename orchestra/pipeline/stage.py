"""What a stage is: it takes a batch and returns one with more columns in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from orchestra.pipeline.batch import Batch
from orchestra.pipeline.context import Context
from orchestra.roster import Roster
from orchestra.scheduling import Length


class CallEstimate(NamedTuple):
    """Calls of one expert in one round of one layer, before they are made."""

    expert: str
    calls: int
    letters: int
    """Characters that all of them send."""
    stage: str
    """As in `Call`."""
    layer: int = 0
    round: int = 0


class Stage(Protocol):
    """One stage of a pipeline. Deciding is pure; whatever needs a model asks the context.

    A stage of another distribution may leave out `experts` and `forecast`; then loads and
    `orchestra plan` leave out its calls.
    """

    @property
    def name(self) -> str:
        """The name in pipeline files, reports and content keys."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns of a batch that it needs."""
        ...

    @property
    def scope(self) -> Literal["question", "batch"]:
        """`batch`: it must see all questions at once; `question`: any block of them will do."""
        ...

    async def run(self, batch: Batch, context: Context) -> Batch:
        """The batch with this stage's columns.

        Raises:
            BudgetExhausted, WorkerError: see `Context.run`; what is done is kept.
        """
        ...

    def experts(self, batch: Batch, place: int) -> Sequence[str]:
        """The experts that it asked about the question at a place, in first-come order."""
        ...

    def forecast(
        self, batch: Batch, roster: Roster, lengths: Mapping[str, Length]
    ) -> Sequence[CallEstimate]:
        """The calls that it would make for a batch that has its plans.

        Args:
            batch: with `plans`, and nothing after them.
            roster: the experts.
            lengths: expert -> how much it usually writes.
        """
        ...
