"""Expected accuracy of a weighted vote of experts with correlated errors.

Experts share a question's difficulty (one normal factor in log-odds), and a wrong expert gives
the popular wrong answer with a fixed probability. Exact: all 3^n outcomes of n experts at each
of 15 quadrature points, no sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np

from orchestra.routing.pool import Pool
from orchestra.skills.agreement import agreement
from orchestra.skills.estimation import Floats

LARGEST = 7
"""Most experts in one exact calculation: 3^7 outcomes."""
_NODES, _RAW = np.polynomial.hermite_e.hermegauss(15)
_WEIGHTS = _RAW / _RAW.sum()
_AT_ONCE = 256
"""Panels in one calculation, so that memory stays small."""


@dataclass(frozen=True, slots=True)
class PanelModel:
    """Errors of one pool.

    Args:
        spread: deviation of question difficulty in log-odds, at least 0; 0 is independence.
        follow: probability that a wrong expert gives the popular wrong answer, in [0, 1].
    """

    spread: float
    follow: float

    @classmethod
    def fit(cls, pool: Pool, *, most: int = LARGEST) -> PanelModel:
        """The spread under which experts are right together as often as on the profile.

        Only the `most` best experts overall count: those form the panels, and strong experts
        err more alike than weak ones.
        """
        if pool.table is None or len(pool.experts) < 2:
            return cls(0.0, 0.5)
        standing = np.argsort(-pool.table.global_beliefs.mean[:, 0], kind="stable")
        table = pool.table.subset([pool.experts[i] for i in sorted(standing[: max(most, 2)])])
        right = (table.outcomes == 1).astype(np.float64)
        asked = (table.outcomes > -2).astype(np.float64)
        shares = np.clip(right.sum(axis=1) / np.maximum(asked.sum(axis=1), 1), 0.01, 0.99)
        both = np.triu(asked @ asked.T, 1)
        pairs = np.nonzero(both)
        if not len(pairs[0]):
            return cls(0.0, 0.5)
        seen = ((right @ right.T)[pairs] / both[pairs]).mean()
        spreads = np.arange(0.0, 6.01, 0.25)
        told = [_together(shares, spread)[pairs].mean() for spread in spreads]
        spread = float(np.interp(seen, np.maximum.accumulate(told), spreads))
        return cls(spread, sqrt(min(1.0, agreement(table).pooled)))

    def prefixes(self, shares: Floats, weights: Floats) -> Floats:
        """Expected accuracy of the vote of the first 1, 2, ... experts of each panel.

        Args:
            shares: accuracy of each expert's answers, in (0, 1), shape (panels, experts); at most
                `LARGEST` experts.
            weights: vote weight of each, at least 0, same shape.

        Returns:
            Shares of questions, shape (panels, experts).
        """
        parts = range(0, len(shares), _AT_ONCE)
        found = [self._some(shares[i : i + _AT_ONCE], weights[i : i + _AT_ONCE]) for i in parts]
        return np.concatenate([np.zeros((0, shares.shape[1])), *found])

    def _some(self, shares: Floats, weights: Floats) -> Floats:
        """Add one voter at a time; each splits every outcome so far into three.

        Right, the popular wrong answer, another wrong answer.
        """
        panels, experts = shares.shape
        right = _chances(np.clip(shares, 0.001, 0.999), self.spread)
        chance = np.ones((panels, len(_NODES), 1))
        ours = popular = lone = np.zeros((panels, 1))
        expected = np.zeros(shares.shape)
        for voter in range(experts):
            p, weight = right[:, voter, :, None], weights[:, voter, None]
            wrong = 1 - p
            split = np.stack([p, wrong * self.follow, wrong * (1 - self.follow)], axis=3)
            chance = (chance[..., None] * split).reshape(panels, len(_NODES), -1)
            ours = np.stack([ours + weight, ours, ours], axis=2).reshape(panels, -1)
            popular = np.stack([popular, popular + weight, popular], axis=2).reshape(panels, -1)
            lone = np.stack([lone, lone, np.maximum(lone, weight)], axis=2).reshape(panels, -1)
            joint = (chance * _WEIGHTS[:, None]).sum(axis=1)
            expected[:, voter] = (joint * _won(ours, np.maximum(popular, lone))).sum(axis=1)
        return expected


def _won(ours: Floats, theirs: Floats) -> Floats:
    """1 where the right answer wins, 0.5 where it ties, 0 where it loses or no expert gave it."""
    lead = np.where(ours > theirs + 1e-9, 1.0, np.where(ours < theirs - 1e-9, 0.0, 0.5))
    return np.where(ours > 0, lead, 0.0)


def _chances(shares: Floats, spread: float) -> Floats:
    """Accuracy at each difficulty: the shape of `shares` with a last axis of nodes."""
    # A logistic of a normal has this mean to within a point (MacKay 1992, "evidence framework").
    centre = np.log(shares / (1 - shares)) * sqrt(1 + pi * spread**2 / 8)
    return np.asarray(1 / (1 + np.exp(spread * _NODES - centre[..., None])))


def _together(shares: Floats, spread: float) -> Floats:
    """P(both right) for each pair."""
    right = _chances(shares, spread)
    return np.asarray((right * _WEIGHTS) @ right.T)
