"""From a voter's score to a calibrated probability, fitted on the profile only.

The map is logistic in the score's log-odds (Platt 1999) with a weak prior towards the unchanged
score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, tanh

import numpy as np

from orchestra.records import Ballot, Decision
from orchestra.voting.voter import QuestionVotes

_FEWEST = 20
"""Least pairs of a fit: fewer are less reliable than the voter's own score."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """confidence = sigmoid(slope * logit(score) + shift)."""

    slope: float = 1.0
    """At least 0, so that confidence never falls as belief rises."""
    shift: float = 0.0
    pairs: int = 0
    """Number of profiled questions in the fit."""

    def confidence(self, score: float) -> float:
        """Calibrated probability for a ballot's score, in [0, 1], rounded to 6 digits."""
        safe = min(max(score, 1e-6), 1 - 1e-6)
        return round(_sigmoid(self.slope * log(safe / (1 - safe)) + self.shift), 6)


def calibrate(scores: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Fit a Calibration to profiled questions.

    By Newton's method on the logistic likelihood. With fewer than 20 pairs the score is
    unchanged; where the score and being right are negatively related, confidence is the share
    right.

    Args:
        scores: the voter's beliefs, in [0, 1].
        right: whether each was right.
    """
    if len(scores) < _FEWEST:
        return Calibration(pairs=len(scores))
    safe = np.clip(np.asarray(scores, dtype=np.float64), 1e-6, 1 - 1e-6)
    design = np.stack([np.log(safe / (1 - safe)), np.ones_like(safe)], axis=1)
    target = np.asarray(right, dtype=np.float64)
    prior, strength = np.array([1.0, 0.0]), np.array([1.0, 0.1])
    theta = prior.copy()
    for _ in range(50):
        chance = np.array([_sigmoid(x) for x in design @ theta])
        slope = design.T @ (target - chance) - strength * (theta - prior)
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(strength)
        step = np.linalg.solve(curve, slope)
        theta = theta + np.clip(step, -1, 1)
        if float(np.abs(step).max()) < 1e-9:
            break
    if theta[0] < 0:
        wins = float(target.sum())
        return Calibration(0.0, log((wins + 0.5) / (len(target) - wins + 0.5)), len(scores))
    return Calibration(float(theta[0]), float(theta[1]), len(scores))


def _sigmoid(x: float) -> float:
    """By the hyperbolic tangent, which no argument overflows."""
    return 0.5 * (1 + tanh(x / 2))


def why_nobody(poll: QuestionVotes) -> str:
    """Why no vote counts: `suspects` if only they voted, `no_votes` if no expert was asked, else
    the Absence of the first seat of the plan."""
    asked = [poll.answers[seat] for seat in poll.asked]
    if any(answer.value is not None for answer in asked):
        return "suspects"
    return next((each.absence.value for each in asked if each.absence is not None), "no_votes")


def decide(
    ballot: Ballot, calibration: Calibration | None, *, absence: str = "no_votes"
) -> Decision:
    """The Decision that follows from a Ballot; abstains, with its reason, without votes."""
    dissent = tuple(
        vote for vote in ballot.votes if vote.value is not None and vote.value != ballot.winner
    )
    if ballot.winner is None:
        return Decision(ballot.question_id, None, None, ballot.method, abstained=absence)
    confidence = None if calibration is None else calibration.confidence(ballot.score)
    return Decision(ballot.question_id, ballot.winner, confidence, ballot.method, dissent=dissent)
