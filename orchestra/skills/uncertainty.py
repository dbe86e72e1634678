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
_WEIGHTS = _STRENGTHS[:, None] ** -0.6 * _SPREADS**0.7
"""Prior weights: shares that differ by skill are a little more likely than under an even prior of
their deviation, since few questions cannot tell, and a too short interval misleads more."""
_APART = np.array([0.0, 0.05, 0.2])
"""Shares of cells that stand apart from all others, likewise, and their prior weights."""
_ODDS = np.array([0.6, 0.2, 0.2])
_FREE = 0.5
"""Both parameters of the prior of a cell that stands apart (Jeffreys)."""
_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(5)
_STEPS, _ROUNDS = 12, 2
_LEAST = 1e-3
"""Weight below which a component of no cell is looked at."""


class Mixture(NamedTuple):
    """Beta distributions of each cell, arrays of shape (components, experts, skills)."""

    weight: Floats
    """Sums to 1 over the components."""
    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class Uncertainty:
    """What the counts say of each expert's share right on each skill.

    The share of an expert on a skill is drawn from Beta(s m, s (1 - m)); the log-odds of m are a
    term of the expert (uniform in the share) and one of the skill (normal around 0). A few cells
    stand apart: their share may be any. Both terms are found by Newton's method for each strength
    s, deviation of the skills and share of cells apart, which are weighed by the beta-binomial
    probability of the counts (Laplace's approximation).

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
        """The beliefs under each strength, and for a cell that stands apart, the last one."""
        grid = np.meshgrid(_STRENGTHS, _SPREADS, _APART, indexing="ij")
        strength, spread, apart = (each.ravel()[:, None, None] for each in grid)
        usual = np.ones((len(strength), *self.total.shape))
        for _ in range(_ROUNDS):
            fit = _fitted(self, _Prior(strength, spread, apart), usual)
            usual = fit.usual
        weight = np.exp(fit.evidence) * (_WEIGHTS[..., None] * _ODDS).ravel()
        weight = weight[:, None, None] / weight.sum() * usual
        means = _moments(self, strength[..., None], fit)
        shape = (len(_STRENGTHS), -1, *self.total.shape)
        whole, mean, square = (
            each.reshape(shape).sum(axis=1) for each in (weight, *(weight * each for each in means))
        )
        safe = np.maximum(whole, 1e-300)
        variance = np.maximum(square / safe - (mean / safe) ** 2, 1e-12)
        free = (self.correct + _FREE) / (self.total + 2 * _FREE)
        wide = free * (1 - free) / (self.total + 2 * _FREE + 1)
        whole = np.concatenate([whole, 1 - whole.sum(axis=0, keepdims=True)])
        kept = whole.max(axis=(1, 2)) >= _LEAST
        return Mixture(
            whole[kept] / whole[kept].sum(axis=0),
            np.concatenate([mean / safe, free[None]])[kept],
            np.concatenate([variance, wide[None]])[kept],
        )

    @cached_property
    def beta(self) -> Beta:
        """The Beta distribution with the same mean and variance in each cell."""
        weight, mean, variance = self.mixture
        whole = (weight * mean).sum(axis=0)
        return Beta.of(whole, (weight * (variance + (mean - whole) ** 2)).sum(axis=0))

    def quantile(self, level: float) -> Floats:
        """The share that is exceeded with probability 1 - `level`, shape (experts, skills)."""
        weight, mean, variance = self.mixture
        return mixed_quantile(weight, Beta.of(mean, variance), level)


class _Prior(NamedTuple):
    """Candidates, arrays of shape (candidates, 1, 1)."""

    strength: Floats
    spread: Floats
    """Standard deviation of the skills' terms."""
    apart: Floats
    """Share of the cells that stand apart."""


class _Fit(NamedTuple):
    """The centres under each candidate."""

    eta: Floats
    """Log-odds of the centre of each cell, shape (candidates, experts, skills)."""
    variance: Floats
    """Of those log-odds, same shape."""
    evidence: Floats
    """Log probability of the counts, the greatest 0, shape (candidates,)."""
    usual: Floats
    """Probability that a cell does not stand apart, shape (candidates, experts, skills)."""


def _fitted(counts: Uncertainty, prior: _Prior, usual: Floats) -> _Fit:
    """Terms of experts and of skills, and how well they fit.

    Args:
        counts: the table.
        prior: the candidates.
        usual: how much each cell tells of the terms, as `_Fit.usual`.
    """
    correct, total, worth = counts.correct, counts.total, counts.worth
    strength, spread = prior.strength, prior.spread[:, :, 0]
    seen, right = total.sum(axis=1), correct.sum(axis=1)
    expert = np.tile(logit((right + 1) / (seen + 2)), (len(strength), 1))
    skill = np.zeros((len(strength), total.shape[1]))
    # Questions of a cell are worth fewer than they are, as they share the cell's deviation.
    number = usual * worth * total / (1 + np.maximum(total - 1, 0) / (strength + 1))
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
    free = np.full_like(total, _FREE)
    alone = log_beta(free + correct, free + total - correct) - log_beta(free, free)
    told = told + np.log1p(-prior.apart)
    both = np.logaddexp(told, np.log(np.maximum(prior.apart, 1e-300)) + alone)
    evidence = worth * both.sum(axis=(1, 2)) - curvature / 2
    evidence += np.log(sigmoid(expert) * sigmoid(-expert)).sum(axis=1)
    evidence -= (skill**2 / (2 * spread**2) + np.log(spread)).sum(axis=1)
    return _Fit(eta, variance, evidence - evidence.max(), np.exp(told - both))


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
    """Mean and mean square of the shares of each candidate, over what is not known of centres."""
    deviation = np.sqrt(fit.variance)[..., None]
    centre = sigmoid(fit.eta[..., None] + deviation * _NODES)
    total = strength + counts.total[..., None]
    mean = (strength * centre + counts.correct[..., None]) / total
    square = mean * (mean * total + 1) / (total + 1)
    weights = _SHARES / _SHARES.sum()
    return np.asarray(mean @ weights), np.asarray(square @ weights)
