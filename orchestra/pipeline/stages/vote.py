"""The vote stage: drafts -> ballots, trust and decisions, over the whole batch at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

from orchestra.answers.extract import WHOLE
from orchestra.pipeline.batch import Batch
from orchestra.pipeline.context import Context
from orchestra.pipeline.stage import CallEstimate
from orchestra.records import Ballot
from orchestra.roster import Roster
from orchestra.runs import RowKind
from orchestra.scheduling import Length
from orchestra.voting import (
    Calibration,
    LabelledVotes,
    QuestionVotes,
    Voter,
    VoterContext,
    decide,
    why_nobody,
)


class Learned(NamedTuple):
    """What the profile says of a pipeline's votes."""

    known: tuple[LabelledVotes, ...] = ()
    """The votes on the profile's questions; empty for voters that do not learn from them."""
    calibration: Calibration | None = None
    """What turns the voter's scores into confidences; None: nothing does."""


@dataclass(frozen=True)
class VoteStage:
    """Counts votes by a voter, and turns its scores into confidences."""

    voter: Voter
    learned: Callable[[], Learned] = Learned
    """What the profile says; worked out when the stage first runs."""
    name: ClassVar[str] = "vote"
    reads: ClassVar[tuple[str, ...]] = ("plans", "drafts")
    scope: ClassVar[Literal["batch"]] = "batch"

    async def run(self, batch: Batch, context: Context) -> Batch:
        """Adds `ballots`, `trust` and `decisions`."""
        votes, learned = batch.votes, self.learned()
        result = self.voter.vote(votes, VoterContext(learned.known, context.past))
        decisions = [
            decide(
                ballot,
                None if _is_prose(each, ballot) else learned.calibration,
                absence="" if ballot.winner is not None else why_nobody(each),
            )
            for each, ballot in zip(votes, result.ballots, strict=True)
        ]
        context.keep(RowKind.BALLOT, {each.question_id: each for each in result.ballots})
        context.keep(RowKind.DECISION, {each.question_id: each for each in decisions})
        return replace(
            batch,
            ballots=result.ballots,
            trust=result.trust,
            decisions=tuple(decisions),
            calibration=learned.calibration,
        )

    def experts(self, batch: Batch, place: int) -> Sequence[str]:
        """Nobody."""
        return ()

    def forecast(
        self, batch: Batch, roster: Roster, lengths: Mapping[str, Length]
    ) -> Sequence[CallEstimate]:
        """None: it asks nobody."""
        return ()


def _is_prose(votes: QuestionVotes, ballot: Ballot) -> bool:
    """Whether the winner is a whole text: others could hardly have agreed with it, so that no
    profile says how sure it is."""
    return any(
        answer.value == ballot.winner and answer.rule.endswith(f":{WHOLE}")
        for answer in votes.answers.values()
    )
