"""Simple recruiting to compare with: the best, the best few, random ones, everybody.

Knows no more than the others; `Oracle` is the exception: it is given what happened,
for analysis, and no pipeline file can name it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from orchestra.errors import InputError
from orchestra.records import Brief, Plan, Seat
from orchestra.routing.pool import Pool, generator
from orchestra.skills.estimation import Floats


def _plan(
    name: str, brief: Brief, chosen: Sequence[int], pool: Pool, share: Floats, words: str, seed: int
) -> Plan:
    seats = tuple(
        Seat(
            pool.experts[i],
            1.0,
            f"{words}: {pool.evidence(pool.experts[i], brief)}",
            accuracy=float(share[i]),
        )
        for i in chosen
    )
    return Plan(brief.question_id, seats, name, seed, rivals=pool.rivals(brief))


def _check(k: int) -> None:
    if k < 1:
        raise InputError("`k` is at least 1")


def _by_belief(pool: Pool, briefs: Sequence[Brief]) -> list[int]:
    """Experts by their overall belief, best first; the same for every question."""
    overall = pool.estimate([Brief("", (), "")]).rate.mean[0]
    return [int(i) for i in np.argsort(-overall, kind="stable")]


@dataclass(frozen=True, slots=True)
class TopK:
    """The `k` experts that are best overall, for every question (k=1: the single best)."""

    k: int = 3
    name: str = "top-k"

    def __post_init__(self) -> None:
        _check(self.k)

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """The same seats for every question."""
        chosen = _by_belief(pool, briefs)[: self.k]
        accuracy = pool.estimate(briefs).accuracy.mean
        words = "best overall on the profile" if self.k == 1 else f"among the best {self.k} overall"
        return [
            _plan(self.name, brief, chosen, pool, accuracy[row], words, seed)
            for row, brief in enumerate(briefs)
        ]


@dataclass(frozen=True, slots=True)
class RandomK:
    """`k` different experts at random for each question."""

    k: int = 3
    name: str = "random"

    def __post_init__(self) -> None:
        _check(self.k)

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """Seats drawn without replacement."""
        accuracy = pool.estimate(briefs).accuracy.mean
        size = min(self.k, len(pool.experts))
        return [
            _plan(
                self.name,
                brief,
                generator(seed, "random", brief.question_id).sample(range(len(pool.experts)), size),
                pool,
                accuracy[row],
                "drawn at random",
                seed,
            )
            for row, brief in enumerate(briefs)
        ]


@dataclass(frozen=True, slots=True)
class Everybody:
    """All experts for every question."""

    name: str = "all"

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """Seats in the order of the roster."""
        accuracy = pool.estimate(briefs).accuracy.mean
        everybody = range(len(pool.experts))
        return [
            _plan(self.name, brief, everybody, pool, accuracy[row], "everybody is asked", seed)
            for row, brief in enumerate(briefs)
        ]


@dataclass(frozen=True, slots=True)
class Oracle:
    """An expert that was right, where there is one: a ceiling, for analysis only.

    Args:
        right: question id -> experts known to be right.
    """

    right: Mapping[str, Sequence[str]] = field(default_factory=dict)
    name: str = "oracle"

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """One seat: a right expert, or the best overall where nobody was right."""
        fallback = pool.experts[_by_belief(pool, briefs)[0]]
        plans = []
        for brief in briefs:
            known = [e for e in self.right.get(brief.question_id, ()) if e in pool.experts]
            seat = Seat(known[0] if known else fallback, 1.0, "known to be right (analysis only)")
            plans.append(Plan(brief.question_id, (seat,), self.name, seed))
        return plans
