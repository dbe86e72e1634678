"""From a voter's own belief to a probability that holds: fitted on the profile split only.

Knows (score, was right) pairs; does not know where they come from. The map is
logistic in the score's log-odds (Platt 1999) with a weak prior towards leaving it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestra.records import Ballot, Decision


@dataclass(frozen=True, slots=True)
class Calibration:
    """confidence = sigmoid(slope * logit(score) + shift)."""

    slope: float = 1.0
    """At least 0, so that confidence never falls as belief rises."""
    shift: float = 0.0
    pairs: int = 0
    """How many profiled questions it was fitted on."""

    def confidence(self, score: float) -> float:
        """Calibrated probability for a ballot's score, in (0, 1), rounded to 6 digits."""
        safe = min(max(score, 1e-6), 1 - 1e-6)
        logit = float(np.log(safe / (1 - safe)))
        return round(float(1 / (1 + np.exp(-(self.slope * logit + self.shift)))), 6)


def calibrate(scores: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Fit by Newton's method; with fewer than 20 pairs the score is left as it is."""
    if len(scores) < 20:
        return Calibration(pairs=len(scores))
    safe = np.clip(np.asarray(scores, dtype=np.float64), 1e-6, 1 - 1e-6)
    design = np.stack([np.log(safe / (1 - safe)), np.ones_like(safe)], axis=1)
    target = np.asarray(right, dtype=np.float64)
    prior, strength = np.array([1.0, 0.0]), np.array([1.0, 0.1])
    theta = prior.copy()
    for _ in range(50):
        chance = 1 / (1 + np.exp(-(design @ theta)))
        slope = design.T @ (target - chance) - strength * (theta - prior)
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(strength)
        step = np.linalg.solve(curve, slope)
        theta = theta + np.clip(step, -1, 1)
        if float(np.abs(step).max()) < 1e-9:
            break
    return Calibration(max(float(theta[0]), 0.0), float(theta[1]), len(scores))


def decide(
    ballot: Ballot, calibration: Calibration | None, *, absence: str = "no_votes"
) -> Decision:
    """The Decision that follows from a Ballot; abstains, with its reason, where nobody voted."""
    dissent = tuple(
        vote for vote in ballot.votes if vote.value is not None and vote.value != ballot.winner
    )
    if ballot.winner is None:
        return Decision(ballot.question_id, None, None, ballot.method, abstained=absence)
    confidence = None if calibration is None else calibration.confidence(ballot.score)
    return Decision(ballot.question_id, ballot.winner, confidence, ballot.method, dissent=dissent)
