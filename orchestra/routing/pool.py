"""The input of routers: the experts, and the measurements of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from random import Random
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from orchestra.records import Brief, Plan
from orchestra.skills.agreement import Agreement, agreement
from orchestra.skills.beta import Beta, Floats
from orchestra.skills.table import RecruitmentTable

_TOLD = 3
"""Most skills in a seat's reason."""


class Router(Protocol):
    """Decides which experts are asked. Pure: equal briefs, pool and seed give equal plans."""

    @property
    def name(self) -> str:
        """The name that pipelines and reports use."""
        ...

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """One Plan for each Brief, in the same order."""
        ...


@dataclass(frozen=True)
class Estimates:
    """Beliefs about each question, arrays of shape (questions, experts)."""

    rate: Beta
    """Beliefs about the share right of all such questions; absences count as not right."""
    accuracy: Beta
    """Beliefs about the share right of the given answers."""


@dataclass(frozen=True)
class Pool:
    """The experts that may be recruited, and the table that measured them, if there is one.

    The table is reduced to these experts, in this order. Raises InputError for an expert that
    it does not have.
    """

    experts: tuple[str, ...]
    table: RecruitmentTable | None = None

    def __post_init__(self) -> None:
        if self.table is not None and self.table.experts != self.experts:
            object.__setattr__(self, "table", self.table.subset(self.experts))

    @cached_property
    def agreement(self) -> Agreement | None:
        """Error agreement of the experts; None without a table."""
        return agreement(self.table) if self.table else None

    def rivals(self, brief: Brief) -> float:
        """Wrong answers that errors spread over, at least 1.

        The options less one for a choice; for an open answer the profile's figure, else 4.
        """
        if brief.choices:
            return max(brief.choices - 1.0, 1.0)
        return self.agreement.rivals if self.agreement else 4.0

    def estimate(self, briefs: Sequence[Brief]) -> Estimates:
        """Beliefs for each question: those of its skills, weighted; overall ones if it has none.

        Without a table every belief is Beta(1, 1).
        """
        if self.table is None:
            flat = np.ones((len(briefs), len(self.experts)))
            return Estimates(Beta(flat, flat), Beta(flat, flat))
        columns, shares = self._columns(briefs, self.table)
        return Estimates(
            _mix(columns, shares, self.table.beliefs, self.table.global_beliefs),
            _mix(columns, shares, self.table.accuracy, self.table.global_accuracy),
        )

    def spread(self, briefs: Sequence[Brief]) -> Beta:
        """The rate of each question as widely distributed as what is not known of it.

        For decisions that weigh uncertainty; the means are close to those of `estimate`.
        """
        if self.table is None:
            return self.estimate(briefs).rate
        columns, shares = self._columns(briefs, self.table)
        return _mix(columns, shares, self.table.beliefs.spread, self.table.global_beliefs)

    @staticmethod
    def _columns(
        briefs: Sequence[Brief], table: RecruitmentTable
    ) -> tuple[NDArray[np.int64], Floats]:
        """The table's columns that each question needs, and their weights; 0 where it has fewer."""
        found = [table.columns(brief) for brief in briefs]
        most = max(map(len, found), default=0)
        columns = np.zeros((len(briefs), most), dtype=np.int64)
        shares = np.zeros((len(briefs), most))
        for row, weights in enumerate(found):
            columns[row, : len(weights)] = list(weights)
            shares[row, : len(weights)] = list(weights.values())
        return columns, shares

    def teller(self) -> Callable[[str, Brief], str]:
        """A function that states an expert's record on a brief's skills, in words.

        It caches its results, so each batch of briefs needs a new one.
        """
        if self.table is None:
            return lambda expert, brief: "no recruitment table: nothing is known of this expert"
        known, phrase = cache(self._known), cache(self._phrase)

        def tell(expert: str, brief: Brief) -> str:
            skills = known(tuple([name for name, _ in brief.skills]))
            return ", ".join([phrase(expert, skill) for skill in (*skills, None)])

        return tell

    def _known(self, skills: tuple[str, ...]) -> tuple[str, ...]:
        """The first few skills with evidence among these and their ancestors."""
        assert self.table is not None
        return tuple(dict.fromkeys(filter(None, map(self.table.nearest, skills))))[:_TOLD]

    def _phrase(self, expert: str, skill: str | None) -> str:
        assert self.table is not None
        tally = self.table.tally(expert, skill)
        if skill is None:
            return f"{tally.correct} of {tally.seen} overall"
        return f"right on {tally.correct} of {tally.seen} profiled `{skill}` questions"


def lower_bound(beliefs: Beta, z: float) -> Floats:
    """A share that is exceeded with high probability: `z` deviations below the mean, in log-odds.

    For Beta(a, b) the log-odds have mean near ln(a / b) and variance near 1/a + 1/b.
    """
    logit = np.log(beliefs.alpha / beliefs.beta)
    deviation = np.sqrt(1 / beliefs.alpha + 1 / beliefs.beta)
    return np.asarray(1 / (1 + np.exp(z * deviation - logit)))


def generator(seed: int, purpose: str, question_id: str) -> Random:
    """The generator for one random choice about one question."""
    return Random(f"{seed}:{purpose}:{question_id}")


def _mix(columns: np.ndarray, shares: Floats, by_skill: Beta, whole: Beta) -> Beta:
    """Each question's skills' Beta parameters, weighted; the overall ones where it has none.

    Adds up elementwise, not by a matrix product, whose last bits may depend on the other
    questions of the batch.
    """

    def mixed(cells: Floats, otherwise: Floats) -> Floats:
        total = np.zeros((len(columns), len(cells)))
        for column, share in zip(columns.T, shares.T, strict=True):
            total += cells.T[column] * share[:, None]
        none = (shares.sum(axis=1) == 0)[:, None]
        return np.where(none, otherwise[:, 0], total)

    return Beta(mixed(by_skill.alpha, whole.alpha), mixed(by_skill.beta, whole.beta))
