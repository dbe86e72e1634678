"""From counts to beliefs: an expert's share right on a skill, with its uncertainty.

Counts are arrays of shape (experts, skills). Pure and deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma, log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STRENGTHS = np.array([4.0, 8.0, 15.0, 25.0, 40.0, 60.0, 90.0, 140.0, 250.0, 500.0])
"""Candidate prior strengths, in pseudo-questions; the most likely one is taken."""
_USUAL = 80.0
"""Prior median of the strength."""


@dataclass(frozen=True, slots=True)
class Beliefs:
    """Beta beliefs about the share right, for each expert and skill."""

    alpha: Floats
    """First Beta parameter, shape (experts, skills), above 0."""
    beta: Floats
    """Second Beta parameter, same shape, above 0."""

    @property
    def mean(self) -> Floats:
        """Expected share right, in (0, 1)."""
        return self.alpha / (self.alpha + self.beta)

    def quantile(self, level: float) -> Floats:
        """The share that is exceeded with probability 1 - `level`; `level` in (0, 1)."""
        return beta_quantile(self.alpha, self.beta, level)


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
    centre = _sigmoid(_logit(above) + _difficulty(correct, total, above))
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
    moved = _logit(observed) - _logit(np.where(seen > 0, expected / np.maximum(seen, 1), 0.5))
    return np.asarray(np.where(seen > 0, moved, 0.0))


def _evidence(correct: Floats, total: Floats, centre: Floats, strength: float) -> float:
    """Log beta-binomial probability of the counts (up to a constant)."""
    a, b = strength * centre, strength * (1 - centre)
    seen = _log_beta(a + correct, b + total - correct)
    return float((seen - _log_beta(a, b)).sum())


def beta_quantile(alpha: Floats, beta: Floats, level: float) -> Floats:
    """Quantile of Beta(alpha, beta), elementwise, to 1e-6, by bisection on its integral.

    Args:
        alpha: first parameters, above 0, any shape.
        beta: second parameters, above 0, same shape.
        level: probability below the quantile, in (0, 1).
    """
    low, high = np.zeros(alpha.shape), np.ones(alpha.shape)
    scale = _log_beta(alpha, beta)
    for _ in range(22):
        middle = (low + high) / 2
        short = _share_below(middle, alpha, beta, scale) < level
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.asarray((low + high) / 2)


def _share_below(x: Floats, alpha: Floats, beta: Floats, scale: Floats) -> Floats:
    """Regularised incomplete beta function, by its continued fraction (DLMF 8.17.22)."""
    # The fraction converges fast below the mean; above it, Beta(beta, alpha) is read from 1 - x.
    far = x > (alpha + 1) / (alpha + beta + 2)
    a, b, x = np.where(far, beta, alpha), np.where(far, alpha, beta), np.where(far, 1 - x, x)
    fraction = np.ones_like(x)
    terms = 10 + int(np.sqrt(max(alpha.max(initial=0), beta.max(initial=0))))
    for m in range(terms, 0, -1):
        fraction = 1 - (a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)) / fraction
        fraction = 1 + m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)) / fraction
    fraction = 1 - (a + b) * x / (a + 1) / fraction
    share = np.exp(a * np.log(x) + b * np.log1p(-x) - scale) / (a * fraction)
    return np.asarray(np.where(far, 1 - share, share))


def _log_beta(a: Floats, b: Floats) -> Floats:
    """Logarithm of the beta function, elementwise."""
    return np.asarray(_log_gamma(a) + _log_gamma(b) - _log_gamma(a + b))


def _log_gamma(x: Floats) -> Floats:
    return np.array([lgamma(each) for each in x.ravel().tolist()]).reshape(x.shape)


def log_odds(share: float, rivals: float) -> float:
    """Weight of an expert's vote: ln(rivals * p / (1 - p)), at least 0.01, for p in (0, 1).

    Bayes-optimal for independent experts whose errors spread evenly over `rivals` wrong answers
    (Nitzan and Paroush 1982).
    """
    safe = min(max(share, 0.001), 0.999)
    return max(log(rivals * safe / (1 - safe)), 0.01)


def _logit(share: Floats) -> Floats:
    safe = np.clip(share, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(safe / (1 - safe)))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
