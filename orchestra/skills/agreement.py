"""Error agreement: the wrong answers that experts share, and a panel's effective votes.

Computed from the marks of a RecruitmentTable. The methods are Kish's effective sample size and
the shared-error rate of arXiv 2506.07962.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestra.records import Mark, Outcome
from orchestra.skills.estimation import Floats
from orchestra.skills.table import RecruitmentTable

_PSEUDO = 10.0
"""Pseudo-pairs of wrong answers that shrink a pair's figure towards the pool's."""


@dataclass(frozen=True)
class Agreement:
    """Pairwise agreement of errors, for the experts of one table in its order."""

    both_wrong: Floats
    """Questions that both experts got wrong (with an answer), shape (experts, experts)."""
    same_wrong: Floats
    """Of those, the ones with the same wrong answer."""
    correlation: Floats
    """Correlation of being right, in [-1, 1]; 0 where undefined. Absent counts as not right."""

    @property
    def pooled(self) -> float:
        """P(same wrong | both wrong) over all pairs, in [0, 1]; 0.3 if no pair was ever wrong."""
        pairs = np.triu_indices(len(self.both_wrong), 1)
        wrong, same = self.both_wrong[pairs].sum(), self.same_wrong[pairs].sum()
        return float((same + 0.3) / (wrong + 1))

    @property
    def matrix(self) -> Floats:
        """P(same wrong | both wrong) by pair, shrunk to the pool's figure; 1 on the diagonal."""
        shares = (self.same_wrong + _PSEUDO * self.pooled) / (self.both_wrong + _PSEUDO)
        np.fill_diagonal(shares, 1.0)
        return np.asarray(shares)

    @property
    def rivals(self) -> float:
        """Effective number of wrong answers that errors spread over, at least 1: 1 / pooled."""
        return max(1.0, 1.0 / max(self.pooled, 1e-3))

    @property
    def mean_correlation(self) -> float:
        """Mean pairwise correlation of being right; 0 for a single expert."""
        pairs = np.triu_indices(len(self.correlation), 1)
        return float(self.correlation[pairs].mean()) if len(pairs[0]) else 0.0

    @property
    def effective_size(self) -> float:
        """Kish's effective number of votes, n / (1 + (n - 1) r), between 1 and n for r >= 0."""
        n = len(self.correlation)
        return float(n / max(1 + (n - 1) * max(self.mean_correlation, 0.0), 1e-9))


def agreement(table: RecruitmentTable) -> Agreement:
    """Pairwise agreement over the questions that both experts were asked."""
    answers = _answer_codes(table)
    wrong = table.outcomes == 0
    n = len(table.experts)
    both, same, corr = np.zeros((n, n)), np.zeros((n, n)), np.eye(n)
    for i in range(n):
        shared = wrong[i] & wrong
        both[i] = shared.sum(axis=1)
        same[i] = (shared & (answers == answers[i])).sum(axis=1)
        for j in range(i):
            asked = (table.outcomes[i] > -2) & (table.outcomes[j] > -2)
            corr[i, j] = corr[j, i] = _phi(
                table.outcomes[i][asked] == 1, table.outcomes[j][asked] == 1
            )
    return Agreement(both, same, corr)


def _answer_codes(table: RecruitmentTable) -> np.ndarray:
    """Answers as small integers, shape (experts, questions); equal integers are equal answers."""
    codes: dict[str, int] = {}

    def of(mark: Mark | None) -> int:
        if mark is None or mark.outcome is Outcome.ABSENT or mark.value is None:
            return -1
        return codes.setdefault(mark.value, len(codes))

    return np.array([[of(mark) for mark in row] for row in table.marks.values()], dtype=np.int64)


def _phi(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or a.all() or b.all() or not a.any() or not b.any():
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
