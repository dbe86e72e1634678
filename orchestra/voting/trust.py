"""The trusted group: the experts that still behave as on the profile.

Liars change the figures of honest experts too, so an expert is suspected only by its behaviour
among the trusted experts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from orchestra.records import Suspicion
from orchestra.skills.estimation import Floats
from orchestra.voting.drift import COMPANY, LEVELS, Drift, DriftTest, Habits, changed, lying
from orchestra.voting.vote_matrix import Flags

_CHANGED, _MUCH = 3.5, 0.08
"""Standard deviations from which an expert has changed, and the least effect: with thousands of
questions a negligible one is significant."""
_ALONE, _ALONE_SHARE = 3.5, 0.12
"""Standard deviations from which an expert lies, and the least share of the questions: in other
subjects than the profile's, honest experts dissent more or less often."""
_TOGETHER, _TOGETHER_SHARE = 2.5, 0.1
"""The same for lies that two experts share, which other subjects imitate less."""
_OWN, _OWN_SHARE = 1.0, 0.5
"""Least deviations by which the own dissent of such an expert has risen, and by which part of the
share of their common lies."""
_COMMON = 0.7
"""How often the answer of an honest expert that dissents may be a liar's."""
_CLEAR = 1.6
"""Least mean square of the evidence against all suspects, in limits: one alone needs more than
each of several."""
_SOUND = 1.4
"""Most evidence, in limits, against a member of a group that is sound."""
_HINTS = (0.5, 0.0, 1.0)
"""Deviations among all experts from which one may be a suspect: changed, lying, together."""
_SETS = 300
"""Most sets of such experts that are examined, small ones first."""
_COMPARED, _LEAST = 1500, 5
"""About how many comparisons within the remaining experts are made for the likely sets, and the
fewest such sets."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of experts, as rows of a panel."""

    members: tuple[int, ...]
    sound: bool
    """Whether they behave as on the profile. False: too many have drifted, and no group of them
    is separate from the others."""


@dataclass(frozen=True)
class _Kind:
    """One kind of evidence against some experts; arrays of shape (experts, folds + 1)."""

    deviation: Floats
    """In standard deviations."""
    enough: Flags
    """Whether the effect is large enough."""
    limit: float
    """Standard deviations from which it is evidence."""
    usual: Floats
    """Deviations of the experts in the mean, at least 1, shape (folds + 1,)."""

    def limits(self, usual: Floats) -> Floats:
        """The evidence in limits, at least 0, where so many deviations are usual."""
        strength = np.maximum(self.deviation, 0.0) / self.limit
        return np.asarray(np.where(self.enough, strength, 0.0) / usual)


@dataclass(frozen=True)
class _Evidence:
    """All evidence against some experts, each compared with the same others."""

    rows: tuple[int, ...]
    kinds: tuple[_Kind, _Kind, _Kind]
    """Changed in any way, lying, lying together with another."""
    share: Floats
    """Fitted share of the questions on which an expert lies, shape (experts, folds + 1)."""
    partner: NDArray[np.int64]
    """The row of the expert that it most seems to lie with, same shape; -1: none."""
    shared: Floats
    """The largest deviation of its dissent together with another, same shape."""

    def against(self, usual: _Evidence | None = None) -> Floats:
        """The largest of the kinds in limits, shape (experts, folds + 1): above 1 for a suspect.

        Args:
            usual: against the experts whose deviations are the usual ones; None: 1 is usual.
        """
        scales = [each.usual if usual else np.ones(1) for each in (usual or self).kinds]
        found = [kind.limits(scale) for kind, scale in zip(self.kinds, scales, strict=True)]
        return np.asarray(np.maximum.reduce(found))

    def hints(self) -> Flags:
        """Whether there is any sign against an expert, shape (experts, folds + 1)."""
        found = (self.kinds[0].deviation, self.kinds[1].deviation, self.shared)
        signs = zip(found, _HINTS, strict=True)
        return np.asarray(np.logical_or.reduce([each > least for each, least in signs]))


class Trusted:
    """The trusted group for each fold of a batch, estimated without the answers of that fold.

    Args:
        test: the drift of experts.
    """

    def __init__(self, test: DriftTest) -> None:
        self._test, self._experts = test, test.experts
        self._most = (len(self._experts) - 1) // 2
        self._parted: dict[tuple[int, ...], tuple[_Evidence, _Evidence]] = {}
        self._examined: dict[tuple[int, ...], Floats] = {}

    def fold(self, fold: int) -> Group:
        """The group that weights a fold; fold `test.count` is the whole batch."""
        return self._groups[fold]

    @cached_property
    def _groups(self) -> list[Group]:
        return [self._find(fold) for fold in range(self._test.count + 1)]

    def _find(self, fold: int) -> Group:
        """All experts without those against whom the evidence is clearest.

        They are fewer than half, with enough evidence against each, and are chosen for the least
        cost: the evidence against the remaining experts, less that against the excluded, in
        squared limits, and one for each that is excluded.
        """
        best: tuple[int, ...] = ()
        least = self._cost(fold, best)
        for out in self._likely(fold):
            cost = self._cost(fold, out)
            if cost < least and self._guilty(fold, out):
                best, least = out, cost
        within, _ = self._split(best)
        return Group(within.rows, bool((within.against()[:, fold] <= _SOUND).all()))

    def _likely(self, fold: int) -> Iterator[tuple[int, ...]]:
        """Sets that may be the liars: of all small ones the likely, then those that grow by the
        worst expert that remains."""
        within, _ = self._split(())
        hints = zip(within.rows, within.hints()[:, fold].tolist(), strict=True)
        rows = [row for row, hint in hints if hint]
        sets = (o for size in range(1, self._most + 1) for o in combinations(rows, size))
        found = []
        for out in islice(sets, _SETS):
            against = self._alone(out)[:, fold]
            if (against > 1).all():  # else one of them is no suspect, whatever is usual
                found.append((-float((against**2).mean()), out))
        each = len(self._experts) * (len(self._experts) + 1) // 2
        yield from [out for _, out in sorted(found)[: max(_LEAST, _COMPARED // each)]]
        grown: tuple[int, ...] = ()
        while len(grown) < self._most:
            within, _ = self._split(grown)
            worst = int(within.against()[:, fold].argmax())
            if within.against()[worst, fold] <= 1:
                break
            grown = tuple(sorted((*grown, within.rows[worst])))
            yield grown

    def _alone(self, out: tuple[int, ...]) -> Floats:
        """The evidence against excluded experts, whatever is usual for the others."""
        if out not in self._examined:
            self._examined[out] = self._evidence(out, out).against()
        return self._examined[out]

    def _cost(self, fold: int, out: tuple[int, ...]) -> float:
        within, without = self._split(out)
        inside = float((within.against()[:, fold] ** 2).sum())
        outside = float((without.against(within)[:, fold] ** 2).sum())
        return round(inside - outside + len(out), 6)

    def _guilty(self, fold: int, out: tuple[int, ...]) -> bool:
        """Whether the evidence against each excluded expert is enough, beside what is usual for
        the others (other questions than the profile's cause some drift in all experts), and more
        than against any of them, and whether that against all is clear."""
        within, without = self._split(out)
        least = max(1.0, float(within.against()[:, fold].max()))
        against = without.against(within)[:, fold]
        return bool((against > least).all() and (against**2).mean() > _CLEAR)

    def _split(self, out: tuple[int, ...]) -> tuple[_Evidence, _Evidence]:
        """The evidence against the remaining experts, and against the excluded ones."""
        if out not in self._parted:
            rest = tuple(row for row in self._experts if row not in out)
            self._parted[out] = (self._evidence(rest, out), self._evidence(out, out))
        return self._parted[out]

    def _evidence(self, rows: tuple[int, ...], out: tuple[int, ...]) -> _Evidence:
        """The evidence against some experts, each among the others that are not excluded."""
        habits = self._test.habits([(row,) for row in rows], out)
        drift, lone = changed(habits), lying(habits, habits.dissent)
        deviation, share = np.zeros(lone.deviation.shape), lone.effect.copy()
        partner, most = np.full(deviation.shape, -1), deviation.copy()
        usual = [lone.deviation]
        for row, other, shared in self._shared(rows, out, habits, lone):
            usual.append(shared.deviation)
            most[row] = np.maximum(most[row], shared.deviation)
            own = (lone.deviation[row] > _OWN) & (lone.effect[row] >= _OWN_SHARE * shared.effect)
            better = own & (shared.effect > _TOGETHER_SHARE) & (shared.deviation > deviation[row])
            deviation[row] = np.where(better, shared.deviation, deviation[row])
            share[row] = np.where(better, np.maximum(share[row], shared.effect), share[row])
            partner[row] = np.where(better, rows[other], partner[row])
        kinds = (
            _Kind(drift.deviation, drift.effect > _MUCH, _CHANGED, _mean(drift.deviation)),
            _Kind(lone.deviation, lone.effect > _ALONE_SHARE, _ALONE, _mean(lone.deviation)),
            _Kind(deviation, deviation > 0, _TOGETHER, _mean(np.vstack(usual[1:] or usual))),
        )
        return _Evidence(rows, kinds, share, partner, most)

    def _shared(
        self, rows: tuple[int, ...], out: tuple[int, ...], habits: Habits, lone: Drift
    ) -> Iterator[tuple[int, int, Drift]]:
        """(place of an expert, place of another, their common lies as evidence against the first).

        An honest expert dissents together with a liar for some of its own errors, so that much is
        added to what is usual for the two.
        """
        pairs = list(combinations(range(len(rows)), 2))
        if not pairs or len(set(self._experts) - {*out, *rows[:2]}) < 2:
            return
        both = self._test.habits([(rows[i], rows[j]) for i, j in pairs], out)
        for one, other in (np.array(pairs).T, np.array(pairs).T[::-1]):
            surplus = np.maximum(habits.dissent[one] - both.dissent, 0.0)
            lies = np.maximum(lone.effect[other], 0.0)[..., None]
            found = lying(both, both.dissent + _COMMON * lies * surplus)
            for place, (i, j) in enumerate(zip(one.tolist(), other.tolist(), strict=True)):
                yield i, j, Drift(found.deviation[place], found.effect[place])

    def suspicions(self, names: Sequence[str]) -> list[Suspicion]:
        """The suspicion of each expert outside the whole batch's group, worst first."""
        members = self.fold(self._test.count).members
        out = tuple(row for row in self._experts if row not in members)
        _, evidence = self._split(out)
        found = []
        for place, row in enumerate(out):
            deviation = max(float(kind.deviation[place, -1]) for kind in evidence.kinds)
            share = max(float(evidence.share[place, -1]), 0.0)
            partner = int(evidence.partner[place, -1])
            detail = self._told((row,), out)
            if partner >= 0:
                detail += f"; {self._told_together((row, partner), out, names)}"
            found.append(
                Suspicion(names[row], "changed", round(deviation, 2), round(share, 3), detail)
            )
        return sorted(found, key=lambda each: (-each.deviation, each.expert))

    def _told(self, bloc: tuple[int, ...], out: tuple[int, ...]) -> str:
        """The behaviour of an expert that has changed most, in words."""
        habits = self._test.habits([bloc], out)
        old, new = habits.before[0, 0], habits.now[0, -1]
        sizes = np.minimum(old.sum(axis=1), new.sum(axis=1))
        shares = [x / np.maximum(x.sum(axis=1, keepdims=True), 1) for x in (old, new)]
        gap = (shares[1] - shares[0]) * np.sqrt(sizes)[:, None]
        level, place = np.unravel_index(int(np.argmax(np.abs(gap))), gap.shape)
        was, is_now = (float(x[level, place]) for x in shares)
        return (
            f"where {LEVELS[level]} of the others agree it sided {COMPANY[place]} on "
            f"{100 * is_now:.0f} % of {int(new[level].sum())} questions, on the profile on "
            f"{100 * was:.0f} % of {int(old[level].sum())}"
        )

    def _told_together(
        self, bloc: tuple[int, ...], out: tuple[int, ...], names: Sequence[str]
    ) -> str:
        """The common dissent of two experts, in words."""
        habits = self._test.habits([bloc], out)
        was, is_now = (
            float(x[..., 1].sum() / max(x.sum(), 1))
            for x in (habits.before[0, 0], habits.now[0, -1])
        )
        return (
            f"on {100 * is_now:.0f} % of the questions it shares with `{names[bloc[1]]}` an answer "
            f"that most of the others do not give, on the profile on {100 * was:.0f} %"
        )


def _mean(deviation: Floats) -> Floats:
    """The quadratic mean over experts, at least 1, shape (folds + 1,); below 0 is 0."""
    squares = (np.maximum(deviation, 0.0) ** 2).sum(axis=0) / max(len(deviation), 1)
    return np.asarray(np.maximum(np.sqrt(squares), 1.0))
