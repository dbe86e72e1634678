"""From answers to Ballots and Decisions: counting, weighting and calibration. Pure."""

from orchestra.voting.calibration import Calibration, calibrate, decide, why_nobody
from orchestra.voting.label_models import Mmsr, OneCoin, Reputation
from orchestra.voting.robust import Robust
from orchestra.voting.voter import (
    NOTHING,
    LabelledVotes,
    QuestionVotes,
    Voter,
    VoterContext,
    VoteResult,
)
from orchestra.voting.weighted import Majority, Weighted, count

__all__ = [
    "NOTHING",
    "Calibration",
    "LabelledVotes",
    "Majority",
    "Mmsr",
    "OneCoin",
    "QuestionVotes",
    "Reputation",
    "Robust",
    "VoteResult",
    "Voter",
    "VoterContext",
    "Weighted",
    "calibrate",
    "count",
    "decide",
    "why_nobody",
]
