"""From counts to beliefs: how often an expert is right on a skill, and how sure that is.

Knows counts only, as arrays of shape (experts, skills); does not know who the
experts are or where the counts come from. Pure and deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STRENGTHS = np.array([4.0, 8.0, 15.0, 25.0, 40.0, 60.0, 90.0, 140.0, 250.0, 500.0])
"""Candidate prior strengths, in pseudo-questions; the most likely one is taken."""
_USUAL = 80.0
"""Strength that is expected before any count is seen."""


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

    The prior of a cell is centred on what the expert does above it (its overall share, or the
    parent skill's) moved in log-odds by how hard the skill is for everybody; its strength is the
    one under which the counts are most likely (empirical Bayes on the beta-binomial evidence).

    Args:
        correct: right answers, shape (experts, skills).
        total: questions counted, same shape.
        above: expected share one level up, same shape, in (0, 1).
    """
    centre = _sigmoid(_logit(above) + _difficulty(correct, total, above))
    # Difficulty was read off the same counts, which makes them look too regular: a prior on the
    # strength keeps experts from being declared alike. Real specialists overrule it at once.
    doubt = 0.5 * (np.log(_STRENGTHS / _USUAL) / 0.5) ** 2
    evidence = [_evidence(correct, total, centre, strength) for strength in _STRENGTHS] - doubt
    strength = _STRENGTHS[int(np.argmax(evidence))]
    return Beliefs(strength * centre + correct, strength * (1 - centre) + total - correct)


def _difficulty(correct: Floats, total: Floats, above: Floats) -> Floats:
    """How much easier (+) or harder (-) a skill is for everybody, in log-odds, shape (skills,)."""
    seen = total.sum(axis=0)
    expected = (total * above).sum(axis=0)
    # Twenty pseudo-questions at the expected share keep a rarely seen skill from moving anybody.
    observed = (
        correct.sum(axis=0) + 20 * np.where(seen > 0, expected / np.maximum(seen, 1), 0.5)
    ) / (seen + 20)
    moved = _logit(observed) - _logit(np.where(seen > 0, expected / np.maximum(seen, 1), 0.5))
    return np.asarray(np.where(seen > 0, moved, 0.0))


def _evidence(correct: Floats, total: Floats, centre: Floats, strength: float) -> float:
    """Log beta-binomial probability of the counts (up to a constant)."""
    a, b = strength * centre, strength * (1 - centre)
    wrong = total - correct
    terms = _rising(a, correct) + _rising(b, wrong) - _rising(np.full_like(a, strength), total)
    return float(terms.sum())


def _rising(base: Floats, steps: Floats) -> Floats:
    """log of base (base + 1) ... (base + steps - 1), elementwise."""
    most = int(steps.max(initial=0))
    if most == 0:
        return np.zeros_like(base)
    offsets = np.arange(most)
    flat, counts = base.ravel(), steps.ravel()
    logs = np.log(flat[:, None] + offsets) * (offsets < counts[:, None])
    return np.asarray(logs.sum(axis=1)).reshape(base.shape)


def beta_quantile(alpha: Floats, beta: Floats, level: float) -> Floats:
    """Quantile of Beta(alpha, beta), elementwise, to about 1e-4, by bisection on its integral.

    The integral is taken on a grid of 801 points in log space, which is exact enough for
    parameters above about 0.3.
    """
    grid = (np.arange(801) + 0.5) / 801
    a, b = alpha.ravel()[:, None], beta.ravel()[:, None]
    logs = (a - 1) * np.log(grid) + (b - 1) * np.log1p(-grid)
    mass = np.exp(logs - logs.max(axis=1, keepdims=True))
    cumulative = np.cumsum(mass, axis=1)
    cumulative /= cumulative[:, -1:]
    edges = np.arange(1, 802) / 801
    found = [np.interp(level, row, edges) for row in cumulative]
    return np.asarray(found, dtype=np.float64).reshape(alpha.shape)


def log_odds(share: float, rivals: float) -> float:
    """Weight of an expert's vote: ln(rivals * p / (1 - p)), at least 0.01, for p in (0, 1).

    Bayes-optimal for independent experts whose errors spread evenly over `rivals` wrong answers
    (Nitzan and Paroush 1982; "OW" in METHODS 5.3).
    """
    safe = min(max(share, 0.001), 0.999)
    return max(log(rivals * safe / (1 - safe)), 0.01)


def _logit(share: Floats) -> Floats:
    safe = np.clip(share, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(safe / (1 - safe)))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
