"""The trusted group: the experts that still behave as on the profile.

Liars change the figures of honest experts too, so an expert is suspected only by its drift
(`drift`) among the trusted experts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice

import numpy as np

from orchestra.records import Suspicion
from orchestra.voting.drift import COMPANY, LEVELS, DriftTest
from orchestra.voting.vote_matrix import Flags

_FAR = 5.0
"""Standard deviations from which an expert has drifted: honest panels of real models reached 3."""
_CLEAR = 3.5
"""Standard deviations of drift, measured among the trusted, from which an expert is a suspect."""
_MUCH = 0.08
"""Least effect: with thousands of questions a negligible one is significant."""
_TRIED = 300
"""Most groups that are examined, likely ones first."""
_SMALLEST = 3
"""Fewest members of a group, where there are more than three experts."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of experts, as rows of a panel."""

    members: tuple[int, ...]
    sound: bool
    """Whether they behave as on the profile. False: too many have drifted, and no group of them
    is separate from the others."""


class Trusted:
    """The trusted group for each fold of a batch, estimated without the answers of that fold.

    Args:
        test: the drift of experts.
        experts: the rows that may be trusted at all.
    """

    def __init__(self, test: DriftTest, experts: Sequence[int]) -> None:
        self._test, self._experts = test, tuple(experts)

    def fold(self, fold: int) -> Group:
        """The group that weights a fold; fold `test.count` is the whole batch."""
        return self._groups[fold]

    @cached_property
    def _groups(self) -> list[Group]:
        return [self._find(fold) for fold in range(self._test.count + 1)]

    def _find(self, fold: int) -> Group:
        """The group that explains the batch at the least cost; all experts if that costs the same.

        The cost is the drift of its members, in squared deviations, and a price for each excluded
        expert, equal to that of a member that drifted too far: a likelihood. Excluded experts
        must be separate from the group.
        """
        everybody = self._cost(fold, self._experts)
        if everybody <= _FAR**2:  # no other group is cheaper
            return Group(self._experts, True)
        costs = {group: self._cost(fold, group) for group in self._candidates(fold)}
        for group in sorted(costs, key=lambda each: (costs[each], each)):
            if costs[group] >= everybody:
                break
            if self._apart(fold, group):
                return Group(group, True)
        return Group(self._experts, not self._moved(fold, self._experts).any())

    def _apart(self, fold: int, group: Sequence[int]) -> bool:
        """Whether every expert outside has drifted, each compared with the group alone.

        By far more than the members among themselves: questions other than the profile's cause
        some drift in all experts.
        """
        within = np.maximum(self._test.of(group).deviation[fold], 0.0)
        usual = max(1.0, float(np.sqrt((within**2).mean())))
        for row in set(self._experts) - set(group):
            drift = self._test.of((*group, row))
            if drift.deviation[fold, -1] <= _CLEAR * usual or drift.effect[fold, -1] <= _MUCH:
                return False
        return True

    def _candidates(self, fold: int) -> Iterator[tuple[int, ...]]:
        """Groups of half of the experts or more, without those first that drifted most."""
        z = self._test.of(self._experts).deviation[fold]
        ranked = [self._experts[i] for i in np.argsort(-z, kind="stable").tolist()]
        # A pair has no level of agreement among the others, so it is a group among three only.
        least = max(_SMALLEST, -(-len(ranked) // 2)) if len(ranked) > 3 else 2
        most = max(len(ranked) - least, 0)
        sets = (out for size in range(1, most + 1) for out in combinations(ranked, size))
        for out in islice(sets, _TRIED):
            yield tuple([each for each in self._experts if each not in out])
        group = list(self._experts)
        for _ in range(most):
            group.pop(int(np.argmax(self._test.of(group).deviation[fold])))
            yield tuple(group)

    def _cost(self, fold: int, group: Sequence[int]) -> float:
        moved = np.maximum(self._test.of(group).deviation[fold], 0.0)
        price = _FAR**2 * (len(self._experts) - len(group))
        return round(float((moved**2).sum()) + price, 6)

    def _moved(self, fold: int, group: Sequence[int]) -> Flags:
        """The members that have drifted too far within a group."""
        drift = self._test.of(group)
        return np.asarray((drift.deviation[fold] > _FAR) & (drift.effect[fold] > _MUCH))

    def suspicions(self, names: Sequence[str]) -> list[Suspicion]:
        """The suspicion of each expert outside the whole batch's group, worst first."""
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
        """The behaviour of the last member that has changed most, in words."""
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
