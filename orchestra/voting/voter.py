"""The inputs and outputs of voters: answers and profile in, ballots and trust out."""

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
    """The answers to a profiled question, with those that were right."""

    poll: QuestionVotes
    right: frozenset[str]
    """The answers that were marked right; empty where none was."""
    chance: float = 0.0
    """Share right by guessing, in [0, 1]: one in the number of options, 0 for an open question."""


@dataclass(frozen=True, slots=True)
class VoterContext:
    """The profile and the earlier questions that a voter compares a batch with."""

    known: tuple[LabelledVotes, ...] = ()
    """Answers to the profile's questions, with the seats of the pipeline's plans; empty without a
    recruitment table."""
    past: tuple[QuestionVotes, ...] = ()
    """Earlier questions of the same panel: where one question is asked at a time, they replace the
    rest of a batch."""


NOTHING = VoterContext()
"""No profile and no past."""


@dataclass(frozen=True, slots=True)
class VoteResult:
    """The ballots of a whole batch."""

    ballots: tuple[Ballot, ...]
    """One for each question, in order."""
    trust: Trust = Trust()
    """Evidence of the batch as a whole about the experts; empty from voters without such a test."""


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
        """Whether the context changes its ballots."""
        ...

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        """A Ballot for each question, over the answers of the seats that were asked."""
        ...
