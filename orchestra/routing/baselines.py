"""Routers for comparison: the best expert, the best few, random ones, all.

`Oracle` receives the experts that were right; it is for analysis, and no pipeline file can
name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from orchestra.components import component
from orchestra.errors import InputError
from orchestra.records import Brief, Plan, Seat
from orchestra.routing.pool import Pool, Router, generator


def _plans(
    router: Router,
    briefs: Sequence[Brief],
    pool: Pool,
    chosen: Iterable[Sequence[int]],
    *,
    words: str,
    seed: int,
) -> list[Plan]:
    """Plans for the experts chosen for each question."""
    accuracy, tell = pool.estimate(briefs).accuracy.mean.tolist(), pool.teller()
    plans = []
    for brief, row, shares in zip(briefs, chosen, accuracy, strict=True):
        seats = tuple(
            Seat(
                pool.experts[i],
                1.0,
                f"{words}: {tell(pool.experts[i], brief)}",
                accuracy=shares[i],
            )
            for i in row
        )
        plans.append(Plan(brief.question_id, seats, router.name, seed, rivals=pool.rivals(brief)))
    return plans


def _check(k: int) -> None:
    if k < 1:
        raise InputError("`k` is at least 1")


def _by_belief(pool: Pool) -> list[int]:
    """Experts by their overall belief, best first; the same for every question."""
    overall = pool.estimate([Brief("", (), "")]).rate.mean[0]
    return [int(i) for i in np.argsort(-overall, kind="stable")]


@component("route", "single-best", fixed={"k": 1, "name": "single-best"})
@component("route", "top-k", argument="k")
@dataclass(frozen=True, slots=True)
class TopK:
    """The `k` experts that are best overall, for every question (k=1: the single best)."""

    k: int = 3
    name: str = "top-k"

    def __post_init__(self) -> None:
        _check(self.k)

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """The same seats for every question."""
        best = _by_belief(pool)[: self.k]
        words = "best overall on the profile" if self.k == 1 else f"among the best {self.k} overall"
        return _plans(self, briefs, pool, [best] * len(briefs), words=words, seed=seed)


@component("route", "random", argument="k")
@dataclass(frozen=True, slots=True)
class RandomK:
    """`k` different experts at random for each question."""

    k: int = 3
    name: str = "random"

    def __post_init__(self) -> None:
        _check(self.k)

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """Seats drawn without replacement."""
        whole_pool = range(len(pool.experts))
        size = min(self.k, len(pool.experts))
        chosen = [
            generator(seed, "random", brief.question_id).sample(whole_pool, size)
            for brief in briefs
        ]
        return _plans(self, briefs, pool, chosen, words="drawn at random", seed=seed)


@component("route", "all")
@dataclass(frozen=True, slots=True)
class Everybody:
    """All experts for every question."""

    name: str = "all"

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """Seats in the order of the roster."""
        whole_pool = [range(len(pool.experts))] * len(briefs)
        return _plans(self, briefs, pool, whole_pool, words="all experts are asked", seed=seed)


@dataclass(frozen=True, slots=True)
class Oracle:
    """An expert that was right, if any: an upper bound, for analysis only.

    Args:
        right: question id -> experts known to be right.
    """

    right: Mapping[str, Sequence[str]] = field(default_factory=dict)
    name: str = "oracle"

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """One seat: a right expert, or the best overall where none was right."""
        fallback = pool.experts[_by_belief(pool)[0]]
        plans = []
        for brief in briefs:
            known = [e for e in self.right.get(brief.question_id, ()) if e in pool.experts]
            seat = Seat(known[0] if known else fallback, 1.0, "known to be right (analysis only)")
            plans.append(Plan(brief.question_id, (seat,), self.name, seed))
        return plans
