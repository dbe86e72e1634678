"""How far shares right may be from their estimates: a Bayesian fit of a whole table of counts.

Knows counts of shape (experts, skills) only. What is not known of the prior (how strongly experts
differ by skill, and around which centre) is part of every interval. Pure and deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from orchestra.skills.beta import Beta, Floats, log_beta, logit, mixed_quantile, sigmoid

_STRENGTHS = np.geomspace(2.5, 600.0, 10)
"""Strengths of the prior of a cell, in pseudo-questions, that are weighed against each other."""
_SPREADS = np.array([0.1, 0.3, 0.7, 1.4])
"""Standard deviations of the difficulty of skills, in log-odds, likewise."""
_WEIGHTS = _STRENGTHS[:, None] ** -1.0 * _SPREADS**0.7
"""Prior weights: shares that differ by skill are a little more likely than under an even prior of
their deviation, since few questions cannot tell, and a too short interval misleads more."""
_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(5)
_STEPS = 12
_LEAST = 1e-3
"""Weight below which a component of no cell is looked at."""


class Mixture(NamedTuple):
    """Beta distributions of each cell, arrays of shape (components, experts, skills)."""

    weight: Floats
    """Shape (components, 1, 1); they sum to 1."""
    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class Uncertainty:
    """What the counts say of each expert's share right on each skill.

    The share of an expert on a skill is drawn from Beta(s m, s (1 - m)); the log-odds of m are a
    term of the expert (uniform in the share) and one of the skill (normal around 0). Both terms
    are found by Newton's method for each pair of strength s and deviation of the skills, which
    are weighed by the beta-binomial probability of the counts (Laplace's approximation).

    Args:
        correct: right answers, shape (experts, skills).
        total: questions counted, same shape.
        worth: distinct questions by counted ones, in (0, 1]; less than 1 where questions count
            for several skills.
    """

    correct: Floats
    total: Floats
    worth: float = 1.0

    @cached_property
    def mixture(self) -> Mixture:
        """The beliefs under each strength, with the probability of that strength."""
        grid = np.meshgrid(_STRENGTHS, _SPREADS, indexing="ij")
        strength, spread = (each.ravel() for each in grid)
        fit = _fitted(self, strength[:, None, None], spread[:, None])
        weight = np.exp(fit.evidence + np.log(_WEIGHTS).ravel())
        weight /= weight.sum()
        mean, square = _moments(self, strength[:, None, None, None], fit)
        shape = (*_WEIGHTS.shape, *self.total.shape)
        each = weight.reshape(*_WEIGHTS.shape, 1, 1)
        whole = each.sum(axis=1)
        mean = (each * mean.reshape(shape)).sum(axis=1) / np.maximum(whole, 1e-300)
        square = (each * square.reshape(shape)).sum(axis=1) / np.maximum(whole, 1e-300)
        kept = whole[:, 0, 0] >= _LEAST
        weight = whole[kept] / whole[kept].sum()
        return Mixture(weight, mean[kept], np.maximum(square - mean**2, 1e-12)[kept])

    @cached_property
    def beta(self) -> Beta:
        """The Beta distribution with the same mean and variance in each cell."""
        weight, mean, variance = self.mixture
        whole = (weight * mean).sum(axis=0)
        return Beta.of(whole, (weight * (variance + (mean - whole) ** 2)).sum(axis=0))

    def quantile(self, level: float) -> Floats:
        """The share that is exceeded with probability 1 - `level`, shape (experts, skills)."""
        weight, mean, variance = self.mixture
        return mixed_quantile(weight[:, 0, 0], Beta.of(mean, variance), level)


class _Fit(NamedTuple):
    """The centres under each pair of strength and spread."""

    eta: Floats
    """Log-odds of the centre of each cell, shape (pairs, experts, skills)."""
    variance: Floats
    """Of those log-odds, same shape."""
    evidence: Floats
    """Log probability of the counts, the greatest 0, shape (pairs,)."""


def _fitted(counts: Uncertainty, strength: Floats, spread: Floats) -> _Fit:
    """Terms of experts and of skills, and how well they fit."""
    correct, total, worth = counts.correct, counts.total, counts.worth
    seen, right = total.sum(axis=1), correct.sum(axis=1)
    expert = np.tile(logit((right + 1) / (seen + 2)), (len(strength), 1))
    skill = np.zeros((len(strength), total.shape[1]))
    # Questions of a cell are worth fewer than they are, as they share the cell's deviation.
    number = worth * total / (1 + np.maximum(total - 1, 0) / (strength + 1))
    share = correct / np.maximum(total, 1)
    for _ in range(_STEPS):
        centre = sigmoid(expert[:, :, None] + skill[:, None, :])
        weight, score = number * centre * (1 - centre), number * (share - centre)
        own = sigmoid(expert)
        of_expert = weight.sum(axis=2) + 2 * own * (1 - own)
        of_skill = weight.sum(axis=1) + 1 / spread**2
        step_expert, step_skill = _solved(
            weight,
            (of_expert, of_skill),
            (score.sum(axis=2) + 1 - 2 * own, score.sum(axis=1) - skill / spread**2),
        )
        far = max(float(np.abs(step_expert).max()), float(np.abs(step_skill).max()), 1e-9)
        expert = expert + min(1.0, 2 / far) * step_expert
        skill = skill + min(1.0, 2 / far) * step_skill
        if far < 1e-4:
            break
    variance, curvature = _curvature(weight, of_expert, of_skill)
    eta = expert[:, :, None] + skill[:, None, :]
    a, b = strength * sigmoid(eta), strength * sigmoid(-eta)
    told = log_beta(a + correct, b + total - correct) - log_beta(a, b)
    evidence = worth * told.sum(axis=(1, 2)) - curvature / 2
    evidence += np.log(sigmoid(expert) * sigmoid(-expert)).sum(axis=1)
    evidence -= (skill**2 / (2 * spread**2) + np.log(spread)).sum(axis=1)
    return _Fit(eta, variance, evidence - evidence.max())


def _solved(
    weight: Floats, diagonal: tuple[Floats, Floats], score: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Newton's steps of both terms: the longer one is eliminated, its block is diagonal."""
    (a, d), (at_a, at_d) = diagonal, score
    if weight.shape[1] > weight.shape[2]:
        second, first = _solved(weight.swapaxes(1, 2), (d, a), (at_d, at_a))
        return first, second
    shared = weight / d[:, None, :]
    dense = _dense(weight, shared, a)
    known = at_a - (shared * at_d[:, None, :]).sum(axis=2)
    first = np.linalg.solve(dense, known[..., None])[..., 0]
    return first, (at_d - (weight * first[:, :, None]).sum(axis=1)) / d


def _curvature(weight: Floats, a: Floats, d: Floats) -> tuple[Floats, Floats]:
    """Variance of the sum of both terms for each cell, and the log determinant."""
    if weight.shape[1] > weight.shape[2]:
        variance, log_determinant = _curvature(weight.swapaxes(1, 2), d, a)
        return variance.swapaxes(1, 2), log_determinant
    shared = weight / d[:, None, :]
    dense = _dense(weight, shared, a)
    inverse = np.linalg.inv(dense)
    cross = inverse @ shared
    first = np.diagonal(inverse, axis1=1, axis2=2)[:, :, None]
    second = (1 / d + (shared * cross).sum(axis=1))[:, None, :]
    variance = np.maximum(first + second - 2 * cross, 0.0)
    return variance, np.linalg.slogdet(dense)[1] + np.log(d).sum(axis=1)


def _dense(weight: Floats, shared: Floats, diagonal: Floats) -> Floats:
    """The block of the shorter term once the longer one is eliminated."""
    return np.asarray(
        diagonal[:, :, None] * np.eye(weight.shape[1]) - shared @ weight.swapaxes(1, 2)
    )


def _moments(counts: Uncertainty, strength: Floats, fit: _Fit) -> tuple[Floats, Floats]:
    """Mean and mean square of the shares under each pair, over what is not known of the centre."""
    deviation = np.sqrt(fit.variance)[..., None]
    centre = sigmoid(fit.eta[..., None] + deviation * _NODES)
    total = strength + counts.total[..., None]
    mean = (strength * centre + counts.correct[..., None]) / total
    square = mean * (mean * total + 1) / (total + 1)
    weights = _SHARES / _SHARES.sum()
    return np.asarray(mean @ weights), np.asarray(square @ weights)
