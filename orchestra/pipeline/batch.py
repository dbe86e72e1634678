"""A batch of questions, as far as it has come through the stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from orchestra.errors import InputError
from orchestra.pipeline.counts import Counts
from orchestra.records import Answer, Ballot, Brief, Decision, Draft, Plan, Question, Seat, Trust
from orchestra.synthesis import Conclusion
from orchestra.voting import Calibration, QuestionVotes


@dataclass(frozen=True, repr=False)
class Batch:
    """Frozen columns in the order of the questions; a column that is not there yet is empty."""

    questions: tuple[Question, ...]
    briefs: tuple[Brief, ...] = ()
    """`tag`: the skills of each question."""
    plans: tuple[Plan, ...] = ()
    """`route`: who is asked."""
    drafts: tuple[tuple[Draft, ...], ...] = ()
    """`generate`: what the seats that were asked responded, in the order of the plan."""
    ballots: tuple[Ballot, ...] = ()
    """`vote`: the votes."""
    decisions: tuple[Decision, ...] = ()
    """`vote`, then `synthesise`: the answers."""
    trust: Trust = Trust()
    """`vote`: what the batch as a whole says of the experts."""
    calibration: Calibration | None = None
    """What turned the voter's scores into confidences; None: nothing did."""
    conclusions: tuple[Conclusion, ...] = ()
    """`synthesise`: what the aggregator made of the drafts."""
    extra: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Columns of stages that this package does not know, by name."""
    counts: Counts = Counts()
    """Calls, tokens, money and loads of the way that decided, replayed ones included."""

    def __repr__(self) -> str:
        # Short on purpose: asyncio spells out the result of a task, and a batch may be a million.
        columns = ("briefs", "plans", "drafts", "ballots", "decisions", "conclusions")
        there = [name for name in columns if getattr(self, name)]
        return f"Batch({len(self.questions)} questions; {', '.join(there) or 'no columns yet'})"

    @classmethod
    def of(cls, questions: Iterable[Question]) -> Batch:
        """A batch at its start.

        Raises:
            InputError: two questions have one id.
        """
        rows = tuple(questions)
        times = Counter(question.id for question in rows)
        twice = [each for each, count in times.items() if count > 1]
        if twice:
            raise InputError(
                f"{len(twice)} question ids stand more than once, the first is {twice[0]!r}",
                hint="ids tell questions apart: give each its own",
            )
        return cls(rows)

    @classmethod
    def joined(cls, blocks: Sequence[Batch]) -> Batch:
        """Blocks of one batch, one after another. Only columns of single questions are joined."""
        if len(blocks) == 1:
            return blocks[0]
        names = ("questions", "briefs", "plans", "drafts", "ballots", "decisions", "conclusions")
        columns: dict[str, Any] = {
            name: tuple([row for block in blocks for row in getattr(block, name)]) for name in names
        }
        return cls(**columns)

    def blocks(self, size: int) -> list[Batch]:
        """The batch cut into blocks of so many questions, for stages that look at one question."""
        parts = []
        for start in range(0, len(self.questions), size):
            part = slice(start, start + size)
            parts.append(
                replace(
                    self,
                    questions=self.questions[part],
                    briefs=self.briefs[part],
                    plans=self.plans[part],
                    drafts=self.drafts[part],
                    ballots=self.ballots[part],
                    decisions=self.decisions[part],
                    conclusions=self.conclusions[part],
                )
            )
        return parts or [self]

    @cached_property
    def by_id(self) -> Mapping[str, Question]:
        """Question id -> question."""
        return {question.id: question for question in self.questions}

    @cached_property
    def votes(self) -> tuple[QuestionVotes, ...]:
        """What a voter is given: plans with their answers."""
        return tuple(
            [
                QuestionVotes(plan, {draft.seat: draft.answer for draft in row})
                for plan, row in zip(self.plans, self.drafts, strict=True)
            ]
        )

    @property
    def rows(self) -> dict[str, dict[Seat, Answer]]:
        """Question id -> seat -> answer."""
        return {
            question.id: {draft.seat: draft.answer for draft in row}
            for question, row in zip(self.questions, self.drafts, strict=True)
        }

    @property
    def answers(self) -> Mapping[str, Answer]:
        """`question|expert|sample` -> answer, in the order of the drafts."""
        return {
            f"{draft.answer.question_id}|{draft.expert}|{draft.sample}": draft.answer
            for row in self.drafts
            for draft in row
        }

    def without(self, experts: frozenset[str]) -> Batch:
        """The same batch without the drafts of some experts."""
        if not experts:
            return self
        rows = tuple([tuple([d for d in row if d.expert not in experts]) for row in self.drafts])
        return replace(self, drafts=rows)
