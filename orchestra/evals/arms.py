"""What else the same experts could have given: the arms that a pipeline is judged beside.

Knows every expert's marks on the test questions (where they cost nothing to have)
and which experts were seated; does not know how seats were chosen. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from orchestra.evals.statistics import Interval, wilson
from orchestra.records import Mark, Outcome

Marks = Mapping[str, Mapping[str, Mark]]
"""expert -> question id -> Mark; an expert without an entry for every question has no arms."""


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
    """Computes arms from marks.

    Args:
        ids: the marked questions, in order.
        marks: what each expert's answer was.
        tokens: expert -> question id -> tokens of that call.
        seated: question id -> experts asked by the pipeline, in order.
        prior: expert -> expected share right from the profile; empty without a table.
        seed: decides random recruits and ties.
    """

    ids: Sequence[str]
    marks: Marks
    tokens: Mapping[str, Mapping[str, int]]
    seated: Mapping[str, Sequence[str]]
    prior: Mapping[str, float]
    seed: int

    def all(self) -> dict[str, Arm]:
        """Every arm that the marks allow, by name (CONTRACTS, `report.json`)."""
        everybody = [name for name, row in self.marks.items() if len(row) >= len(self.ids)]
        arms: dict[str, Arm] = {}
        best = max(everybody, key=lambda name: self.prior.get(name, 0.0), default=None)
        if best is not None and self.prior:
            arms["best_single"] = self._single(best)
        if everybody:
            right = {name: self._right(name) for name in everybody}
            arms["best_single_hindsight"] = self._single(max(everybody, key=right.__getitem__))
        arms["majority_same_seats"] = self._arm(lambda each: self.seated[each], self._majority)
        arms["oracle_seats"] = self._arm(lambda each: self.seated[each], self._anybody)
        if len(everybody) == len(self.marks) and everybody:
            arms["random_k"] = self._arm(self._random, self._majority)
            arms["majority_all"] = self._arm(lambda each: everybody, self._majority)
            arms["oracle_all"] = self._arm(lambda each: everybody, self._anybody)
        return arms

    def _right(self, name: str) -> int:
        row = self.marks[name]
        return sum(row[each].outcome is Outcome.CORRECT for each in self.ids)

    def _single(self, name: str) -> Arm:
        return self._arm(lambda each: (name,), self._majority)

    def _arm(
        self, asked: Callable[[str], Sequence[str]], won: Callable[[str, Sequence[str]], bool]
    ) -> Arm:
        right = calls = tokens = 0
        for each in self.ids:
            experts = [name for name in asked(each) if each in self.marks.get(name, {})]
            right += won(each, experts)
            calls += len(experts)
            tokens += sum(self.tokens[name].get(each, 0) for name in experts)
        n = len(self.ids)
        share = right / n if n else 0.0
        return Arm(round(share, 6), wilson(right, n), round(calls / max(n, 1), 4), tokens)

    def _random(self, each: str) -> Sequence[str]:
        size = min(len(self.seated[each]), len(self.marks))
        return Random(f"{self.seed}:random_k:{each}").sample(sorted(self.marks), size)

    def _anybody(self, each: str, experts: Sequence[str]) -> bool:
        return any(self.marks[name][each].outcome is Outcome.CORRECT for name in experts)

    def _majority(self, each: str, experts: Sequence[str]) -> bool:
        """Plain majority; ties by the profile's estimate of the best supporter, then by value."""
        marks = [self.marks[name][each] for name in experts]
        votes = Counter(mark.value for mark in marks if mark.outcome is not Outcome.ABSENT)
        if not votes:
            return False
        most = max(votes.values())
        tied = {value for value, count in votes.items() if count == most}
        leader = min(
            (
                i
                for i, mark in enumerate(marks)
                if mark.outcome is not Outcome.ABSENT and mark.value in tied
            ),
            key=lambda i: (-self.prior.get(experts[i], 0.0), marks[i].value or ""),
        )
        return marks[leader].outcome is Outcome.CORRECT
