"""Whom to trust: the largest group of experts that still behave as they did on the profile.

Knows how far each expert has moved in any company (`drift`); does not know what is right.
Liars move the figures of honest experts too, so nobody is judged in the company of
suspects: a group is sound if none of its members has moved within it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice

import numpy as np

from orchestra.records import Suspicion
from orchestra.skills.estimation import Floats
from orchestra.voting.drift import COMPANY, LEVELS, DriftTest

_FAR = 5.0
"""Standard deviations from which an expert has moved: honest panels of real models reached 3."""
_MUCH = 0.08
"""Effect from which it matters: with thousands of questions a trifle is significant."""
_TRIED = 300
"""Most groups that are looked at, likely ones first."""
_SMALLEST = 2


@dataclass(frozen=True, slots=True)
class Group:
    """A group of experts, as rows of a panel."""

    members: tuple[int, ...]
    sound: bool
    """Whether all of them behave as on the profile, within this group."""


class Trusted:
    """The trusted group for each fold of a batch, found without the answers of that fold.

    Args:
        test: how far experts have moved.
        experts: the rows that may be trusted at all.
    """

    def __init__(self, test: DriftTest, experts: Sequence[int]) -> None:
        self._test, self._experts = test, tuple(experts)

    def fold(self, fold: int) -> Group:
        """The group that judges a fold; fold `test.count` is the whole batch."""
        return self._groups[fold]

    @cached_property
    def _groups(self) -> list[Group]:
        return [self._find(fold) for fold in range(self._test.count + 1)]

    def _find(self, fold: int) -> Group:
        """Everybody where all are sound; else the largest sound group of half of them or more.

        By leaving out whoever has moved most, again and again; where that ends nowhere, by trying
        groups, those without the experts that moved most first.
        """
        most = len(self._experts) // 2
        group = list(self._experts)
        for out in range(most + 1):
            far = self._moved(fold, group)
            if not (far > 0).any():
                # What was left out step by step need not have been the fewest.
                return next(self._tried(fold, out - 1), Group(tuple(group), True))
            if len(group) <= _SMALLEST:
                break
            group.pop(int(np.argmax(far)))
        return next(self._tried(fold, most), Group(self._experts, False))

    def _tried(self, fold: int, most: int) -> Iterator[Group]:
        """Sound groups without `most` experts or fewer, larger first; of equals the stillest."""
        order = np.argsort(-self._moved(fold, self._experts), kind="stable").tolist()
        ranked = [self._experts[i] for i in order]
        left = _TRIED
        for size in range(1, most + 1):
            sound = []
            for out in islice(combinations(ranked, size), left):
                left -= 1
                group = [each for each in self._experts if each not in out]
                if len(group) >= _SMALLEST and not (self._moved(fold, group) > 0).any():
                    worst = float(self._test.of(group).deviation[fold].max())
                    sound.append((worst, tuple(group)))
            if sound:
                yield Group(min(sound)[1], True)

    def _moved(self, fold: int, group: Sequence[int]) -> Floats:
        """How far each member has moved within a group; 0 for those that count as unmoved."""
        drift = self._test.of(group)
        z, effect = drift.deviation[fold], drift.effect[fold]
        return np.where((z > _FAR) & (effect > _MUCH), z * effect, 0.0)

    def suspicions(self, names: Sequence[str]) -> list[Suspicion]:
        """Why each expert outside the whole batch's group is not in it, worst first."""
        group = self.fold(self._test.count)
        found = []
        for row in sorted(set(self._experts) - set(group.members)):
            company = [*group.members, row]
            drift = self._test.of(company)
            z, effect = (float(x[self._test.count, -1]) for x in (drift.deviation, drift.effect))
            found.append(
                Suspicion(names[row], "changed", round(z, 2), round(effect, 3), self._told(company))
            )
        return sorted(found, key=lambda each: (-each.deviation * each.effect, each.expert))

    def _told(self, company: Sequence[int]) -> str:
        """The habit of the last of the company that has changed most, in words."""
        before, now = self._test.habits(company)
        old, new = before[-1], now.sum(axis=0)[-1]
        sizes = np.minimum(old.sum(axis=1), new.sum(axis=1))
        shares = [x / np.maximum(x.sum(axis=1, keepdims=True), 1) for x in (old, new)]
        gap = (shares[1] - shares[0]) * np.sqrt(sizes)[:, None]
        level, place = np.unravel_index(int(np.argmax(np.abs(gap))), gap.shape)
        was, is_now = (float(x[level, place]) for x in shares)
        return (
            f"where {LEVELS[level]} of the others agree it sided {COMPANY[place]} on {is_now:.0%} "
            f"of {int(new[level].sum())} questions, on the profile on {was:.0%} of "
            f"{int(old[level].sum())}"
        )
