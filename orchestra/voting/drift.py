"""Does an expert answer in a batch as it did on the profile? Tests that need no gold answers.

Counted apart for each level of agreement among the others: so the comparisons also hold for
harder and for other questions, where plain agreement would fall for all experts. Each fold of
the batch is left out in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestra.skills.estimation import Floats
from orchestra.voting.dawid_skene import Codes
from orchestra.voting.vote_matrix import Flags, Panel

LEVELS = ("under 40 %", "40 to 60 %", "60 to 90 %", "90 % and more")
"""Levels of the share of the others' weight for their leading answer."""
COMPANY = ("with most of the others", "with a minority", "with hardly anybody", "alone")
"""Classes of an expert's answer among the others': the first, the second, a later one, or new."""

Bloc = tuple[int, ...]
"""One expert or two, as rows of a panel."""

_CUTS = (0.4, 0.6, 0.9)
_FEWEST = 5
"""Least answers of either side at a level that is compared."""
_VISIBLE = 0.1
"""Least difference that a lie makes to the share of dissent at a level that is fitted."""
_RATES = np.arange(-25, 51) / 50
"""Shares of lies that are tried: negative for an expert that dissents less than on the profile."""
_NONE = 25
_TIE = 1e-9


@dataclass(frozen=True)
class Habits:
    """Counts of answers by level and class: of one expert the classes of `COMPANY`; of two, whether
    they share an answer that is not the others' leading one (1) or not (0)."""

    before: Floats
    """On the profile, shape (blocs, 1, 4, 4)."""
    now: Floats
    """In the batch without each fold, then in all of it, shape (blocs, folds + 1, 4, 4)."""
    led: Floats
    """How often the others' leading answer was right on the profile, shape (blocs, 1, 4)."""

    @property
    def dissent(self) -> Floats:
        """Share of dissent on the profile at each level, in (0, 1), shape (blocs, 1, 4)."""
        return _share(self.before[..., 1:].sum(axis=3), self.before.sum(axis=3))


@dataclass(frozen=True)
class Drift:
    """A difference between profile and batch; arrays of shape (blocs, folds + 1)."""

    deviation: Floats
    """In standard deviations; near normal, or half of that, without a difference."""
    effect: Floats
    """Its size, whatever the number of questions."""


class DriftTest:
    """Compares two panels of the same experts.

    Args:
        known: the answers on the profile.
        right: the code of each right answer on the profile, negative where no expert gave it.
        batch: the answers now.
        weights: of each expert among the others, above 0, shape (experts,).
        folds: which fold each question of the batch is in; -1 is in none, and never left out.
        experts: the rows that are compared; others are left out altogether.
    """

    def __init__(
        self,
        known: Panel,
        right: Codes,
        *,
        batch: Panel,
        weights: Floats,
        folds: Codes,
        experts: Sequence[int],
    ) -> None:
        self.count = int(folds.max(initial=-1)) + 1
        """Number of folds."""
        self.experts = tuple(experts)
        """The rows that are compared."""
        nowhere = np.zeros(known.questions, dtype=np.int64)
        self._known = _Agreement(known, weights, nowhere, right)
        places = np.where(folds < 0, self.count, folds)
        self._batch = _Agreement(batch, weights, places, np.full(batch.questions, -1))
        self._found: dict[tuple[Bloc, Bloc], tuple[Floats, Floats, Floats]] = {}

    def habits(self, blocs: Sequence[Bloc], outside: Sequence[int]) -> Habits:
        """The habits of each bloc among the experts that are neither in it nor outside."""
        if not blocs:
            nothing = np.zeros((0, self.count + 1, 4, 4))
            return Habits(nothing[:, :1], nothing, nothing[:, :1, 0])
        found = [
            self._counts(bloc, tuple(i for i in self.experts if i not in {*bloc, *outside}))
            for bloc in blocs
        ]
        before, now, led = (np.stack(each) for each in zip(*found, strict=True))
        return Habits(before, now, led)

    def _counts(self, bloc: Bloc, others: Bloc) -> tuple[Floats, Floats, Floats]:
        key = (bloc, others)
        if key not in self._found:
            before, led = self._known.count(bloc, others, 1)
            parts, _ = self._batch.count(bloc, others, self.count + 1)
            whole = parts.sum(axis=0)
            now = np.concatenate([whole - parts[: self.count], whole[None]])
            self._found[key] = (before, now, led)
        return self._found[key]


def changed(habits: Habits) -> Drift:
    """Pearson's test of homogeneity of single experts, whatever the change; levels added up.

    The cube-root approximation of its deviation (Wilson and Hilferty 1931). The effect is Cohen's
    w squared, at least 0: 0.01 is small, 0.09 medium, 0.25 large.
    """
    before, now = np.broadcast_to(habits.before, habits.now.shape), habits.now
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


def lying(habits: Habits, usual: Floats) -> Drift:
    """The share of the questions on which a bloc lies, all of it alike, fitted to its dissent.

    Dissent is a mixture: of lies, which dissent where the others' leading answer is right, and of
    honest answers, which dissent as usual. Least squares on the scale of arcsines, where a share
    has the same variance everywhere; the deviation is the root of what the fit explains, with its
    sign, and the effect is the fitted share, in [-0.5, 1]. Levels where a lie would hardly show
    are left out.

    Args:
        habits: of the blocs.
        usual: their share of honest dissent at each level, shape (blocs, folds + 1 or 1, 4).
    """
    seen, size = habits.before.sum(axis=3), habits.now.sum(axis=3)
    gain = (habits.led + 0.5) / (seen + 1) - usual
    used = (seen >= _FEWEST) & (size >= _FEWEST) & (gain > _VISIBLE)
    weight = np.where(used, 1 / (1 / (seen + 0.5) + 1 / (size + 0.5)), 0.0)
    now = _angle(_share(habits.now[..., 1:].sum(axis=3), size))
    mixed = _angle(usual[..., None] + _RATES * gain[..., None])
    misfit = (weight[..., None] * (now[..., None] - mixed) ** 2).sum(axis=2)
    best = misfit.argmin(axis=2)
    explained = misfit[..., _NONE] - misfit.min(axis=2)
    rate = _RATES[best]
    return Drift(np.sign(rate) * np.sqrt(np.maximum(explained, 0.0)), rate)


def _share(part: Floats, whole: Floats) -> Floats:
    """Anscombe's estimate, which is neither 0 nor 1."""
    return np.asarray((part + 0.375) / (whole + 0.75))


def _angle(share: Floats) -> Floats:
    return np.asarray(2 * np.arcsin(np.sqrt(np.clip(share, 0.0, 1.0))))


@dataclass(frozen=True)
class _Lead:
    """The leading answers of some experts, arrays of shape (questions,)."""

    first: Floats
    second: Floats
    """The weight of the two leading answers; 0 where there is none."""
    level: NDArray[np.int64]
    there: Flags
    """Whether any of them answered."""
    right: Flags
    """Whether a leading answer is right."""


class _Agreement:
    """Which experts of a panel give the same answers, counted by the places of the questions."""

    def __init__(self, panel: Panel, weights: Floats, places: Codes, right: Codes) -> None:
        self._given, self._weights, self._places = panel.given, weights, places
        self._same = np.stack([(panel.codes == row) & panel.given for row in panel.codes])
        self._right = (panel.codes == right) & panel.given
        self._backing = np.stack([weights @ same for same in self._same])
        self._last: tuple[Bloc, _Lead] | None = None

    def count(self, bloc: Bloc, others: Bloc, places: int) -> tuple[Floats, Floats]:
        """Counts by place, level and class, and how often the lead was right by level."""
        lead, first = self._lead(others), bloc[0]
        told = lead.there & self._given[list(bloc)].all(axis=0)
        backing = self._weights[list(others)] @ self._same[first, list(others)]
        apart = backing < lead.first - _TIE
        if len(bloc) == 1:
            alone, later = backing < _TIE, backing < lead.second - _TIE
            place = np.where(alone, 3, apart.astype(np.int64) + (apart & later))
        else:
            place = (apart & self._same[first, bloc[1]]).astype(np.int64)
        cells = (self._places * 4 + lead.level) * 4 + place
        counts = np.bincount(cells[told], minlength=places * 16).reshape(places, 4, 4)
        led = np.bincount(lead.level[told & lead.right], minlength=4)
        return counts.astype(np.float64), led[None].astype(np.float64)

    def _lead(self, others: Bloc) -> _Lead:
        if self._last is None or self._last[0] != others:
            self._last = (others, self._led(list(others)))
        return self._last[1]

    def _led(self, rows: list[int]) -> _Lead:
        backing = self._backing[rows]
        for out in sorted(set(range(len(self._weights))) - set(rows)):
            backing = backing - self._weights[out] * self._same[rows, out]
        backing = np.where(self._given[rows], backing, 0.0)
        first = backing.max(axis=0)
        second = np.where(backing < first - _TIE, backing, 0.0).max(axis=0)
        cast = self._weights[rows] @ self._given[rows]
        level = np.digitize(first / np.maximum(cast, _TIE), _CUTS)
        right = (self._right[rows] & (backing >= first - _TIE)).any(axis=0)
        return _Lead(first, second, level, cast > _TIE, right)
