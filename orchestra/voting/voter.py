"""What voters are given and what they give back: polls and evidence in, an election out.

Knows the shape of one question's answers and of a whole batch; decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestra.records import Answer, Ballot, Plan, Seat, Trust


@dataclass(frozen=True, slots=True)
class QuestionVotes:
    """The answers to one question, by the seats that were asked."""

    plan: Plan
    answers: Mapping[Seat, Answer]
    """Of seats and reserves; a seat without an entry was not asked."""

    @property
    def asked(self) -> list[Seat]:
        """The seats that were asked, in the order of the plan."""
        return [s for s in (*self.plan.seats, *self.plan.reserves) if s in self.answers]


@dataclass(frozen=True, slots=True)
class LabelledVotes:
    """A poll on a profiled question, of which it is known who was right."""

    poll: QuestionVotes
    right: frozenset[str]
    """The answers that were marked right; empty where nobody was right."""
    chance: float = 0.0
    """Share right by guessing, in [0, 1]: one in the number of options, 0 for an open question."""


@dataclass(frozen=True, slots=True)
class VoterContext:
    """What a voter may hold a batch against."""

    known: tuple[LabelledVotes, ...] = ()
    """Polls on the profile's questions, seated as the pipeline would seat them; empty without a
    recruitment table."""
    past: tuple[QuestionVotes, ...] = ()
    """Earlier questions of the same panel: where one question is asked at a time, they stand for
    the rest of a batch."""


NOTHING = VoterContext()
"""No profile and no past."""


@dataclass(frozen=True, slots=True)
class VoteResult:
    """The ballots of a whole batch."""

    ballots: tuple[Ballot, ...]
    """One for each poll, in order."""
    trust: Trust = Trust()
    """What the batch as a whole says of the experts; nothing from voters that do not ask."""


class Voter(Protocol):
    """Decides from drafts, a whole batch at once. Pure: the same inputs give the same ballots.

    The weights on a question never depend on the answers to that question, so that its
    certificate holds.
    """

    @property
    def name(self) -> str:
        """The name that pipelines and reports use."""
        ...

    @property
    def learns(self) -> bool:
        """Whether the evidence changes its ballots."""
        ...

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        """A Ballot for each poll, over the answers of those seats that were asked."""
        ...
