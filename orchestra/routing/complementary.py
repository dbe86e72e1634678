"""One panel for all questions, chosen greedily so that its members compensate for each other.

Uses the marks of profiled questions and no skills. The objective follows Complementary-MoA
(arXiv 2605.24048).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestra.components import component
from orchestra.errors import InputError, unknown
from orchestra.records import Brief, Outcome, Plan, Seat
from orchestra.routing.pool import Pool

_FOR = ("vote", "any")


@component("route", "complementary", argument="k")
@dataclass(frozen=True, slots=True)
class Complementary:
    """Add, one by one, the expert that raises the panel's profile accuracy the most.

    Args:
        k: members, at least 1.
        aim: `vote`: accuracy of the panel's majority, ties to the earlier member; `any`: share
            of questions that at least one member gets right.
    """

    k: int = 3
    aim: str = "vote"
    name: str = "complementary"

    def __post_init__(self) -> None:
        if self.aim not in _FOR:
            raise unknown("aim", self.aim, _FOR, place="route.complementary.aim")
        if self.k < 1:
            raise InputError("`k` is at least 1")

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """The same panel for every question. Raises InputError without a table."""
        if pool.table is None:
            raise InputError(
                "complementary routing needs a recruitment table",
                hint="make one with `orchestra profile` and give it with `--table`",
            )
        panel = self._panel(pool)
        accuracy = pool.estimate(briefs).accuracy.mean
        return [
            Plan(
                brief.question_id,
                tuple(
                    Seat(pool.experts[i], 1.0, words, accuracy=float(accuracy[row, i]))
                    for i, words in panel
                ),
                self.name,
                seed,
                rivals=pool.rivals(brief),
            )
            for row, brief in enumerate(briefs)
        ]

    def _panel(self, pool: Pool) -> list[tuple[int, str]]:
        assert pool.table is not None
        panel: list[tuple[int, str]] = []
        while len(panel) < min(self.k, len(pool.experts)):
            members = [i for i, _ in panel]
            rest = [i for i in range(len(pool.experts)) if i not in members]
            reached = [self._accuracy(pool, [*members, i]) for i in rest]
            best = int(np.argmax(reached))
            right = f"right on {100 * reached[best]:.1f} % of the profile"
            words = f"with it the panel of {len(panel) + 1} is {right}"
            panel.append((rest[best], words))
        return panel

    def _accuracy(self, pool: Pool, members: list[int]) -> float:
        assert pool.table is not None
        right = pool.table.outcomes[members] == 1
        if self.aim == "any":
            return float(right.any(axis=0).mean())
        marks = [pool.table.marks[pool.experts[i]] for i in members]
        won = 0
        for column in zip(*marks, strict=True):
            values = [mark.value for mark in column if mark is not None and mark.value is not None]
            if values:
                winner = max(values, key=lambda v: (values.count(v), -values.index(v)))
                won += any(m and m.value == winner and m.outcome is Outcome.CORRECT for m in column)
        return won / len(pool.table.briefs)
