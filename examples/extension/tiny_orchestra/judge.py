"""A stage that judges drafts: answers that too few experts support do not reach the vote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from orchestra.components import component
from orchestra.pipeline import Batch, Context


@component("stage", "support", argument="least")
@dataclass(frozen=True)
class Support:
    """Withholds drafts whose answer fewer than `least` experts give."""

    least: int = 2
    """Experts that must give an answer for it to count."""
    name: ClassVar[str] = "support"
    reads: ClassVar[tuple[str, ...]] = ("drafts",)
    writes: ClassVar[tuple[str, ...]] = ("drafts",)
    scope: ClassVar[Literal["question"]] = "question"

    async def run(self, batch: Batch, context: Context) -> Batch:
        """The batch with the supported drafts alone."""
        rows = []
        for row in batch.drafts:
            support = Counter(draft.answer.value for draft in row)
            rows.append(tuple(d for d in row if support[d.answer.value] >= self.least))
        return replace(batch, drafts=tuple(rows))

    def experts(self, batch: Batch, place: int) -> Sequence[str]:
        """Nobody is asked."""
        return ()
