"""What else the same experts could have given: the arms that a pipeline is judged beside.

Knows what each call on the test questions came to (where that costs nothing to know)
and which calls the pipeline made; does not know how seats were chosen. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import NamedTuple

from orchestra.evals.statistics import Interval, wilson


class Call(NamedTuple):
    """What one call to one expert came to."""

    expert: str
    value: str | None
    """The answer; None if absent."""
    right: bool
    tokens: int
    """Input and output tokens."""
    sample: int = 0
    """Which draw of the expert it was."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to answer all the questions."""

    accuracy: float
    """Share right of all questions, absent ones counting as not right."""
    interval: Interval
    calls_per_question: float
    tokens: int
    """Input and output tokens of those calls."""


@dataclass(frozen=True)
class Arms:
    """Computes arms from calls.

    Args:
        ids: the marked questions, in order.
        seated: question id -> the pipeline's own calls.
        known: expert -> question id -> its first answer (sample 0). An expert without an entry
            for every question has no arm of its own, and keeps the pool from having any.
        prior: expert -> expected share right from the profile; empty without a table.
        seed: decides random recruits.
        samples: question id -> as many samples of the best single expert as the pipeline makes
            calls; empty where they are not recorded.
    """

    ids: Sequence[str]
    seated: Mapping[str, Sequence[Call]]
    known: Mapping[str, Mapping[str, Call]]
    prior: Mapping[str, float]
    seed: int
    samples: Mapping[str, Sequence[Call]]

    def all(self) -> dict[str, Arm]:
        """Every arm that the calls allow, by name (CONTRACTS, `report.json`); none for no ids."""
        if not self.ids:
            return {}
        arms: dict[str, Arm] = {}
        best = best_single(self.prior)
        if best in self._complete:
            arms["best_single"] = self._single(best)
        if len(self._complete) == len(self.known):
            right = {name: self._right(name) for name in self._complete}
            arms["best_single_hindsight"] = self._single(max(right, key=right.__getitem__))
            arms["random_k"] = self._arm(self._random, self._majority)
        arms["majority_same_seats"] = self._arm(self.seated.__getitem__, self._majority)
        if len(self._complete) == len(self.known):
            arms["majority_all"] = self._arm(self._everybody, self._majority)
        if self.samples:
            same = self._arm(self.samples.__getitem__, self._majority)
            arms["self_consistency_same_calls"] = same
        arms["oracle_seats"] = self._arm(self.seated.__getitem__, _anybody)
        if len(self._complete) == len(self.known):
            arms["oracle_all"] = self._arm(self._everything, _anybody)
        return arms

    @cached_property
    def _complete(self) -> tuple[str, ...]:
        """The experts whose answer to every question is known."""
        return tuple(
            name for name, row in self.known.items() if all(each in row for each in self.ids)
        )

    def _right(self, name: str) -> int:
        row = self.known[name]
        return sum(row[each].right for each in self.ids)

    def _single(self, name: str) -> Arm:
        row = self.known[name]
        return self._arm(lambda each: (row[each],), _anybody)

    def _everybody(self, each: str) -> list[Call]:
        return [self.known[name][each] for name in self._complete]

    def _everything(self, each: str) -> list[Call]:
        """Everybody's first answer, and the pipeline's further draws of the same experts."""
        return self._everybody(each) + [call for call in self.seated[each] if call.sample]

    def _random(self, each: str) -> list[Call]:
        size = min(len(self.seated[each]), len(self.known))
        drawn = Random(f"{self.seed}:random_k:{each}").sample(sorted(self.known), size)
        return [self.known[name][each] for name in drawn]

    def _arm(
        self, asked: Callable[[str], Sequence[Call]], won: Callable[[Sequence[Call]], bool]
    ) -> Arm:
        right = count = tokens = 0
        for each in self.ids:
            calls = asked(each)
            right += won(calls)
            count += len(calls)
            tokens += sum([call.tokens for call in calls])
        n = len(self.ids)
        return Arm(round(right / n, 6), wilson(right, n), round(count / n, 4), tokens)

    def _majority(self, calls: Sequence[Call]) -> bool:
        """Plain majority; ties by the profile's estimate of the best supporter, then by value."""
        votes: dict[str, int] = {}
        right: dict[str, bool] = {}
        for call in calls:
            value = call.value
            if value is not None:
                votes[value] = votes.get(value, 0) + 1
                right[value] = call.right
        if not votes:
            return False
        most = max(votes.values())
        tied = [value for value, count in votes.items() if count == most]
        return right[tied[0] if len(tied) == 1 else self._favoured(tied, calls)]

    def _favoured(self, tied: Iterable[str], calls: Sequence[Call]) -> str:
        best = {
            value: max(self.prior.get(call.expert, 0.0) for call in calls if call.value == value)
            for value in tied
        }
        return min(best, key=lambda value: (-best[value], value))


def best_single(prior: Mapping[str, float]) -> str:
    """The expert that the profile puts first, the earlier of equals; empty without a profile."""
    return max(prior, key=prior.__getitem__, default="")


def _anybody(calls: Sequence[Call]) -> bool:
    return any([call.right for call in calls])
