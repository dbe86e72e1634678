"""What a stage is: it takes a batch and returns one with more columns in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from orchestra.pipeline.batch import Batch
from orchestra.pipeline.context import Context


class Stage(Protocol):
    """One stage of a pipeline. Deciding is pure; whatever needs a model asks the context."""

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
