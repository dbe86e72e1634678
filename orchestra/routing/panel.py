"""How often a weighted vote of experts who err together will be right.

Knows accuracies, weights and two facts about the pool's errors; does not know the
experts. Experts share a question's difficulty (one normal factor in log-odds), and
a wrong one gives the popular wrong answer with a fixed probability. Exact: all
3^n outcomes of n experts at each of 15 quadrature points, no sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import pi, sqrt

import numpy as np

from orchestra.routing.pool import Pool
from orchestra.skills.agreement import agreement
from orchestra.skills.estimation import Floats

LARGEST = 7
"""Most experts in one exact calculation: 3^7 outcomes."""
_NODES, _RAW = np.polynomial.hermite_e.hermegauss(15)
_WEIGHTS = _RAW / _RAW.sum()


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
        """The spread under which experts are right together as often as the profile saw.

        Only the `most` best experts overall count: those are the ones that will sit together,
        and strong experts err more alike than weak ones.
        """
        if pool.table is None or len(pool.experts) < 2:
            return cls(0.0, 0.5)
        standing = np.argsort(-pool.table.global_beliefs.mean[:, 0], kind="stable")
        table = pool.table.subset([pool.experts[i] for i in sorted(standing[: max(most, 2)])])
        right = (table.outcomes == 1).astype(np.float64)
        shares = np.clip(right.mean(axis=1), 0.01, 0.99)
        pairs = np.triu_indices(len(shares), 1)
        seen = (right @ right.T / right.shape[1])[pairs].mean()
        spreads = np.arange(0.0, 6.01, 0.25)
        told = [_together(shares, spread)[pairs].mean() for spread in spreads]
        spread = float(np.interp(seen, np.maximum.accumulate(told), spreads))
        return cls(spread, sqrt(min(1.0, agreement(table).pooled)))

    def prefixes(self, shares: Sequence[float], weights: Sequence[float]) -> list[float]:
        """Expected accuracy of the vote of the first 1, 2, ... experts.

        Args:
            shares: accuracy of each expert's answers, in (0, 1).
            weights: vote weight of each, at least 0.
        """
        right = _chances(np.clip(np.asarray(shares[:LARGEST]), 0.001, 0.999), self.spread)
        return [
            self._vote(right[:, :size], np.asarray(weights[:size]))
            for size in range(1, right.shape[1] + 1)
        ]

    def _vote(self, right: Floats, weights: Floats) -> float:
        states = _states(len(weights))
        wrong = 1 - right
        chance = np.stack([right, wrong * self.follow, wrong * (1 - self.follow)], axis=2)
        joint = np.ones((len(_NODES), len(states)))
        for voter in range(len(weights)):
            joint *= chance[:, voter, :][:, states[:, voter]]
        ours = (states == 0) @ weights
        popular = (states == 1) @ weights
        lone = np.max((states == 2) * weights, axis=1)
        theirs = np.maximum(popular, lone)
        won = np.where(ours > theirs + 1e-9, 1.0, np.where(ours < theirs - 1e-9, 0.0, 0.5))
        return float(_WEIGHTS @ joint @ np.where(ours > 0, won, 0.0))


def _chances(shares: Floats, spread: float) -> Floats:
    """Accuracy of each expert at each difficulty, shape (nodes, experts)."""
    # A logistic of a normal has this mean to within a point (MacKay 1992, "evidence framework").
    centre = np.log(shares / (1 - shares)) * sqrt(1 + pi * spread**2 / 8)
    return np.asarray(1 / (1 + np.exp(-(centre[None, :] - spread * _NODES[:, None]))))


def _together(shares: Floats, spread: float) -> Floats:
    """P(both right) for each pair."""
    right = _chances(shares, spread)
    return np.asarray((right * _WEIGHTS[:, None]).T @ right)


@lru_cache(maxsize=LARGEST)
def _states(size: int) -> np.ndarray:
    """All outcomes: 0 right, 1 the popular wrong answer, 2 a wrong answer of one's own."""
    return np.array(list(product((0, 1, 2), repeat=size)), dtype=np.int8)
