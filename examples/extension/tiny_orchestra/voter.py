"""A voter: the answer of a plan's first seat weighs more than the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestra.components import component
from orchestra.errors import InputError
from orchestra.voting import NOTHING, QuestionVotes, VoterContext, VoteResult, count


@component("vote", "senior", argument="weight")
@dataclass(frozen=True)
class Senior:
    """A majority in which the first seat has `weight` votes."""

    weight: float = 2.0
    """Votes of the first seat, above 0."""
    name: str = "senior"
    learns: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise InputError(f"`weight` is above 0, not {self.weight}")

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        """A ballot for each question."""
        ballots = []
        for poll in polls:
            first = poll.plan.seats[0]
            weights = [self.weight if seat == first else 1.0 for seat in poll.asked]
            ballots.append(count(self.name, poll, weights))
        return VoteResult(tuple(ballots))
