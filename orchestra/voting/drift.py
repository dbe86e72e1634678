"""Does an expert behave in a batch as it did on the profile? A test that needs no gold answers.

For each expert it counts whether it gives the answer that most of the others give, the second
one, another or one of its own, apart for each level of agreement among the others. So the
comparison also holds for harder and for other questions, where plain agreement would fall for
all experts. Pearson's chi-squared test of homogeneity, with the cube-root approximation of its
deviation (Wilson and Hilferty 1931).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestra.skills.estimation import Floats
from orchestra.voting.dawid_skene import Codes
from orchestra.voting.vote_matrix import Panel

LEVELS = ("under 40 %", "40 to 60 %", "60 to 90 %", "90 % and more")
"""Levels of the share of the others' weight for their leading answer."""
COMPANY = ("with most of the others", "with a minority", "with hardly anybody", "alone")
"""Classes of an expert's answer among the others': the first, the second, a later one, or new."""

_CUTS = (0.4, 0.6, 0.9)
_FEWEST = 5
"""Least answers of either side at a level that is compared."""
_TIE = 1e-9


@dataclass(frozen=True)
class Drift:
    """How far each expert of a group has drifted, with each fold of the batch left out."""

    deviation: Floats
    """In standard deviations, shape (folds, experts); near normal without drift."""
    effect: Floats
    """Cohen's w squared, at least 0, same shape: 0.01 is small, 0.09 medium, 0.25 large."""


class DriftTest:
    """Compares two panels of the same experts.

    Args:
        known: the answers on the profile.
        batch: the answers now.
        weights: of each expert among the others, above 0, shape (experts,).
        folds: which fold each question of the batch is in; -1 is in none, and never left out.
    """

    def __init__(self, known: Panel, batch: Panel, weights: Floats, folds: Codes) -> None:
        self._known, self._batch, self._weights = known, batch, weights
        self._folds = folds
        self.count = int(folds.max(initial=-1)) + 1
        """Number of folds."""
        self._found: dict[tuple[int, ...], Drift] = {}

    def of(self, company: Sequence[int]) -> Drift:
        """The drift of these experts (rows of the panels), each among the others of them."""
        key = tuple(company)
        if key not in self._found:
            before, now = self.habits(key)
            whole = now.sum(axis=0)
            # One more fold, in which nothing is left out, for reports.
            seen = np.concatenate([whole - now[: self.count], whole[None]])
            self._found[key] = _compared(np.broadcast_to(before, seen.shape), seen)
        return self._found[key]

    def habits(self, company: Sequence[int]) -> tuple[Floats, Floats]:
        """Counts by level and class: (experts, 4, 4) before, (folds + 1, experts, 4, 4) now.

        The last of the folds has the questions that are in none.
        """
        none = np.zeros(self._known.questions, dtype=np.int64)
        before = _habits(self._known, company, self._weights, none, 1)[0]
        places = np.where(self._folds < 0, self.count, self._folds)
        return before, _habits(self._batch, company, self._weights, places, self.count + 1)


def _habits(
    panel: Panel, company: Sequence[int], weights: Floats, folds: Codes, count: int
) -> Floats:
    part = Panel(
        tuple(panel.experts[i] for i in company),
        panel.codes[list(company)],
        panel.expected[list(company)],
        panel.rivals,
        panel.values,
    )
    own = weights[list(company)]
    whole = part.tally(own)
    every = np.arange(part.questions)
    found = np.zeros((count, len(company), 4, 4))
    for row, weight in enumerate(own.tolist()):
        given = part.given[row]
        others = whole[given].copy()
        mine = part.codes[row][given]
        at = every[: len(mine)]
        others[at, mine] -= weight
        others[others < _TIE] = 0.0
        if others.shape[1] < 2:
            others = np.pad(others, ((0, 0), (0, 1)))
        second, first = np.partition(others, -2, axis=1)[:, -2:].T
        cast = others.sum(axis=1)
        told = cast > 0
        backing = others[at, mine]
        place = np.select(
            [backing <= _TIE, backing >= first - _TIE, backing >= second - _TIE], [3, 0, 1], 2
        )
        level = np.digitize(first / np.maximum(cast, _TIE), _CUTS)
        cells = (folds[given] * 4 + level) * 4 + place
        counts = np.bincount(cells[told], minlength=count * 16)
        found[:, row] = counts.reshape(count, 4, 4)
    return found


def _compared(before: Floats, now: Floats) -> Drift:
    """The test of homogeneity for each (fold, expert), levels added up."""
    a, b = before.sum(axis=3, keepdims=True), now.sum(axis=3, keepdims=True)
    used = (a >= _FEWEST) & (b >= _FEWEST)
    both = np.where(used, before + now, 0.0)
    total = np.where(used, a + b, 1.0)
    there = both > 0
    apart = np.zeros(both.shape)
    for seen, size in ((before, a), (now, b)):
        expected = both * size / total
        gap = np.where(there, (seen - expected) ** 2, 0.0)
        apart += gap / np.where(there & (expected > 0), expected, 1.0)
    statistic = apart.sum(axis=(2, 3))
    freedom = np.maximum(there.sum(axis=3) - 1, 0).sum(axis=2).astype(np.float64)
    n, m = (np.where(used, x, 0.0).sum(axis=(2, 3)) for x in (a, b))
    safe = np.maximum(freedom, 1.0)
    cube = np.cbrt(statistic / safe)
    deviation = (cube - (1 - 2 / (9 * safe))) / np.sqrt(2 / (9 * safe))
    effect = np.maximum(statistic - freedom, 0.0) / np.maximum(n * m / np.maximum(n + m, 1), 1.0)
    return Drift(np.where(freedom > 0, deviation, 0.0), np.where(freedom > 0, effect, 0.0))
