"""Finished runs side by side, question by question.

Knows their decisions and the gold answers that their marks rest on; does not run
anything. Refuses runs on different questions unless told otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any

from orchestra.errors import InputError
from orchestra.evals.power import least_difference, questions_needed
from orchestra.evals.statistics import Interval, holm, mcnemar, paired_bootstrap
from orchestra.records import Mark, Outcome


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Run A against run B on the questions that both decided."""

    n: int
    accuracy_a: float
    accuracy_b: float
    wins: int
    """Questions that only A got right."""
    losses: int
    """Questions that only B got right."""
    difference: float
    """Accuracy of A less that of B."""
    interval: Interval
    """95 %, paired bootstrap over questions."""
    p: float
    """Exact McNemar, two-sided."""
    flips: tuple[str, ...]
    """Ids of the questions that exactly one of them got right."""
    repeated: int = 1
    """How often a question is asked, on average, rounded."""

    @property
    def points(self) -> float:
        """The difference in percentage points."""
        return 100 * self.difference

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def __repr__(self) -> str:
        low, high = 100 * self.interval.low, 100 * self.interval.high
        return (
            f"Comparison({self.points:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}, "
            f"McNemar p = {self.p:.2g}; A {100 * self.accuracy_a:.1f} %, "
            f"B {100 * self.accuracy_b:.1f} %; {self.wins} won, {self.losses} lost of {self.n:,})"
        )


def compare(
    a: Mapping[str, Mark],
    b: Mapping[str, Mark],
    *,
    repeats: Mapping[str, str] = MappingProxyType({}),
    seed: int = 0,
    force: bool = False,
) -> Comparison:
    """Compare two runs by question.

    Args:
        a: question id -> Mark of run A.
        b: the same for run B.
        repeats: id -> the question that it repeats, where questions are asked several times:
            then questions are resampled whole, and p is of those that one run got right more often.
        seed: of the bootstrap.
        force: compare what they share even where they differ in questions.

    Raises:
        InputError: no question is in both, or (without `force`) some are in one only.
    """
    shared = [each for each in a if each in b]
    alone = len(a) + len(b) - 2 * len(shared)
    if not shared:
        raise InputError("the runs have no marked question in common")
    if alone and not force:
        raise InputError(
            f"the runs differ in {alone} questions and share {len(shared)}",
            hint="`--force` (`force=True`) compares those they share",
        )
    first, second = _right(a, shared), _right(b, shared)
    flips = tuple(each for each, x, y in zip(shared, first, second, strict=True) if x != y)
    wins = sum(x > y for x, y in zip(first, second, strict=True))
    clusters = [repeats.get(each, each) for each in shared]
    gap = paired_bootstrap(first, second, clusters=clusters, seed=seed)
    net: Counter[str] = Counter()
    for cluster, x, y in zip(clusters, first, second, strict=True):
        net[cluster] += int(x) - int(y)
    return Comparison(
        len(shared),
        sum(first) / len(shared),
        sum(second) / len(shared),
        wins,
        len(flips) - wins,
        gap.value,
        gap.interval,
        mcnemar(sum(n > 0 for n in net.values()), sum(n < 0 for n in net.values())),
        flips,
        round(len(shared) / len(net)),
    )


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs of several."""

    a: str
    b: str
    comparison: Comparison
    adjusted: float
    """McNemar's p by Holm's correction for all pairs."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"a": self.a, "b": self.b, "p_holm": self.adjusted, **self.comparison.to_dict()}


@dataclass(frozen=True, slots=True)
class Power:
    """What so many questions can show of two runs that differ as often as these."""

    n: int
    """Questions; several answers to one count as one, since they depend on each other."""
    discordance: float
    """Share of the questions that one of the two alone gets right, with one flip in two further
    questions, since few flips do not show that there are none."""
    least: float | None
    """The least true difference that is found (p < 0.05) in 8 of 10 samples of so many questions;
    None: none is."""
    needed: Mapping[str, int | None]
    """Difference, as a share -> the questions that it needs; None: with so few flips there is no
    such difference."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def power_of(comparison: Comparison) -> Power:
    """What a comparison could have shown: of no use for those that have shown a difference."""
    n = comparison.n // comparison.repeated
    share = (len(comparison.flips) / comparison.repeated + 1) / (n + 2)
    needed = {str(d): questions_needed(d, discordance=share) for d in (0.01, 0.02, 0.05)}
    return Power(n, share, least_difference(n, discordance=share), needed)


def compare_all(
    runs: Mapping[str, Mapping[str, Mark]],
    *,
    repeats: Mapping[str, str] = MappingProxyType({}),
    seed: int = 0,
    force: bool = False,
) -> tuple[Pair, ...]:
    """Compare each two of several runs, with p adjusted for the number of pairs.

    Args:
        runs: name -> question id -> Mark, in the order in which they are compared.
        repeats: as `compare` takes it.
        seed: of the bootstrap.
        force: compare what two share even where they differ in questions.

    Raises:
        InputError: there are fewer than two runs, or two do not fit, as `compare` says.
    """
    if len(runs) < 2:
        raise InputError(f"a comparison needs at least two runs, not {len(runs)}")
    pairs = list(combinations(runs, 2))
    found = [compare(runs[a], runs[b], repeats=repeats, seed=seed, force=force) for a, b in pairs]
    adjusted = holm([each.p for each in found])
    return tuple(
        Pair(a, b, each, p) for (a, b), each, p in zip(pairs, found, adjusted, strict=True)
    )


def compare_groups(
    a: Mapping[str, Mark],
    b: Mapping[str, Mark],
    groups: Mapping[str, str],
    *,
    repeats: Mapping[str, str] = MappingProxyType({}),
    seed: int = 0,
) -> dict[str, Comparison]:
    """Compare two runs within each group of questions that both decided.

    Args:
        a: question id -> Mark of run A.
        b: the same for run B.
        groups: question id -> its group (its category, say), for every question in both.
        repeats: as for `compare`.
        seed: of the bootstrap.
    """
    members: dict[str, list[str]] = {}
    for each in a:
        if each in b:
            members.setdefault(groups[each] or "none", []).append(each)
    return {
        name: compare({i: a[i] for i in ids}, {i: b[i] for i in ids}, repeats=repeats, seed=seed)
        for name, ids in sorted(members.items())
    }


def _right(marks: Mapping[str, Mark], ids: Sequence[str]) -> list[float]:
    return [float(marks[each].outcome is Outcome.CORRECT) for each in ids]
