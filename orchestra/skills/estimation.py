"""From counts to beliefs: an expert's share right on a skill, with its uncertainty.

Counts are arrays of shape (experts, skills). Pure and deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np

from orchestra.skills.beta import Beta, log_beta, logit, sigmoid
from orchestra.skills.beta import Floats as Floats
from orchestra.skills.uncertainty import Uncertainty

_STRENGTHS = np.array([4.0, 8.0, 15.0, 25.0, 40.0, 60.0, 90.0, 140.0, 250.0, 500.0])
"""Candidate prior strengths, in pseudo-questions; the most likely one is taken."""
_USUAL = 80.0
"""Prior median of the strength."""


@dataclass(frozen=True)
class Beliefs(Beta):
    """Beta beliefs about the share right, shape (experts, skills).

    Decisions rest on `mean`. Intervals and draws rest on `uncertainty`, where there is one: unlike
    the two parameters it knows that the prior is an estimate, too.
    """

    uncertainty: Sequence[Uncertainty] = ()
    """What the counts say, in blocks of skills that follow each other; none: the parameters."""
    order: Sequence[int] = ()
    """The column of each skill of those blocks."""

    def quantile(self, level: float) -> Floats:
        """The share that is exceeded with probability 1 - `level`; `level` in (0, 1).

        Quantiles below the median are at most the mean, those above at least.
        """
        if not self.uncertainty:
            return super().quantile(level)
        found = self._joined([each.quantile(level) for each in self.uncertainty])
        return np.minimum(found, self.mean) if level < 0.5 else np.maximum(found, self.mean)

    @cached_property
    def spread(self) -> Beta:
        """The Beta distributions that are as wide as what is not known."""
        parts = [each.beta for each in self.uncertainty]
        if not parts:
            return self
        return Beta(
            self._joined([each.alpha for each in parts]),
            self._joined([each.beta for each in parts]),
        )

    def _joined(self, blocks: Sequence[Floats]) -> Floats:
        whole = np.empty(self.alpha.shape)
        whole[:, list(self.order)] = np.concatenate(blocks, axis=1)
        return whole


def overall(correct: Floats, total: Floats) -> Beliefs:
    """Beliefs over all skills at once: a uniform prior and the counts, shape (experts, 1)."""
    return Beliefs((correct + 1.0)[:, None], (total - correct + 1.0)[:, None])


def hierarchical(correct: Floats, total: Floats, above: Floats) -> Beliefs:
    """Hierarchical Beta-Binomial beliefs for each expert and skill.

    The prior of a cell is centred on the expert's share one level up (overall, or the parent
    skill's), moved in log-odds by the difficulty of the skill for all experts; its strength is the
    one under which the counts are most likely (empirical Bayes on the beta-binomial evidence).

    Args:
        correct: right answers, shape (experts, skills).
        total: questions counted, same shape.
        above: expected share one level up, same shape, in (0, 1).
    """
    centre = sigmoid(logit(above) + _difficulty(correct, total, above))
    # Difficulty is estimated from the same counts, which makes them look too regular: a prior on
    # the strength prevents equal estimates for all experts. Specialists overrule it at once.
    doubt = 0.5 * (np.log(_STRENGTHS / _USUAL) / 0.5) ** 2
    evidence = [_evidence(correct, total, centre, strength) for strength in _STRENGTHS] - doubt
    strength = _STRENGTHS[int(np.argmax(evidence))]
    return Beliefs(strength * centre + correct, strength * (1 - centre) + total - correct)


def _difficulty(correct: Floats, total: Floats, above: Floats) -> Floats:
    """How much easier (+) or harder (-) a skill is for all, in log-odds, shape (skills,)."""
    seen = total.sum(axis=0)
    expected = (total * above).sum(axis=0)
    # With twenty pseudo-questions at the expected share a rarely seen skill moves no expert.
    observed = (
        correct.sum(axis=0) + 20 * np.where(seen > 0, expected / np.maximum(seen, 1), 0.5)
    ) / (seen + 20)
    moved = logit(observed) - logit(np.where(seen > 0, expected / np.maximum(seen, 1), 0.5))
    return np.asarray(np.where(seen > 0, moved, 0.0))


def _evidence(correct: Floats, total: Floats, centre: Floats, strength: float) -> float:
    """Log beta-binomial probability of the counts (up to a constant)."""
    a, b = strength * centre, strength * (1 - centre)
    seen = log_beta(a + correct, b + total - correct)
    return float((seen - log_beta(a, b)).sum())


def log_odds(share: float, rivals: float) -> float:
    """Weight of an expert's vote: ln(rivals * p / (1 - p)), at least 0.01, for p in (0, 1).

    Bayes-optimal for independent experts whose errors spread evenly over `rivals` wrong answers
    (Nitzan and Paroush 1982).
    """
    safe = min(max(share, 0.001), 0.999)
    return max(log(rivals * safe / (1 - safe)), 0.01)
