"""Symbolic-MoE recruiting, as the paper describes it and as its code was released.

Uses the paper's profile (+1 for right, -1 for wrong, summed by skill) without uncertainty. The
two forms differ in how the global term enters; both draw with replacement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from orchestra.components import component
from orchestra.errors import InputError, unknown
from orchestra.records import Brief, Plan, Seat
from orchestra.routing.pool import Pool, generator
from orchestra.skills.estimation import Floats
from orchestra.skills.table import RecruitmentTable

_FORMS = ("paper", "released")


@component("route", "symbolic", argument="k")
@dataclass(frozen=True, slots=True)
class Symbolic:
    """Recruit `k` experts for each question from a distribution over the pool.

    Args:
        form: `paper`: softmax at `temperature` over local suitability times global competency.
            `released`: local score times the global score to the power 1 / temperature, as
            shares of the sum, over the experts with a positive local score.
        k: draws, with replacement; at least 1.
        temperature: above 0; 0.5 in both.
        trim: experts drawn for less than this share of the questions are replaced by draws from
            the others, in [0, 1); 0.05 in the paper, never applied in the released code.
    """

    form: str = "paper"
    k: int = 3
    temperature: float = 0.5
    trim: float = 0.0
    name: str = "symbolic"

    def __post_init__(self) -> None:
        if self.form not in _FORMS:
            raise unknown("form", self.form, _FORMS, place="route.symbolic.form")
        if self.k < 1 or not 0 < self.temperature < inf or not 0 <= self.trim < 1:
            raise InputError("`k` is at least 1, `temperature` above 0 and `trim` in [0, 1)")

    @property
    def whole_batch(self) -> bool:
        """Whether the plans depend on all questions of the batch: trimming counts them."""
        return self.trim > 0

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """One Plan for each Brief. Raises InputError without a recruitment table."""
        if pool.table is None:
            raise InputError(
                "symbolic routing needs a recruitment table",
                hint="make one with `orchestra profile` and give it with `--table`",
            )
        profile = _Profile.of(pool.table)
        chances = [self._chances(brief, profile) for brief in briefs]
        drawn = [
            generator(seed, "recruit", brief.question_id).choices(
                range(len(pool.experts)), weights=chance.tolist(), k=self.k
            )
            for brief, chance in zip(briefs, chances, strict=True)
        ]
        kept = self._trimmed(drawn, briefs, seed) if self.trim else drawn
        accuracy, tell = pool.estimate(briefs).accuracy.mean, pool.teller()
        plans = []
        for i, (brief, chance, share) in enumerate(zip(briefs, chances, accuracy, strict=True)):
            seats = tuple(
                Seat(
                    pool.experts[e],
                    float(chance[e]),
                    f"{_why(drawn[i][n] == e, chance[e])}: {tell(pool.experts[e], brief)}",
                    kept[i][:n].count(e),
                    float(share[e]),
                )
                for n, e in enumerate(kept[i])
            )
            plans.append(Plan(brief.question_id, seats, self.name, seed, rivals=pool.rivals(brief)))
        return plans

    def _chances(self, brief: Brief, profile: _Profile) -> Floats:
        """Chance of each expert, shape (experts,). A skill that appears twice counts twice."""
        local = profile.local(brief)
        if local is None:
            return np.full(len(profile.whole), 1 / len(profile.whole))
        if self.form == "paper":
            return self._softmax(local * _competency(profile.whole))
        return self._linear(local, profile.whole)

    def _softmax(self, suitability: Floats) -> Floats:
        raised = np.exp((suitability - suitability.max()) / self.temperature)
        return np.asarray(raised / raised.sum())

    def _linear(self, local: Floats, whole: Floats) -> Floats:
        """Agent recruiting as released: recruit_agents.py of dinobby/Symbolic-MoE."""
        if (whole < 0).any():
            whole = whole - whole.min() + 1
        # Shares of the largest, so that no power is too large for a float.
        power = np.power(whole / max(whole.max(), 1.0), 1 / self.temperature)
        competency = power / power.sum() if power.sum() > 0 else np.full(len(whole), 1 / len(whole))
        weight = np.where(local > 0, local, 0) * competency
        if weight.sum() <= 0:
            weight = (local - local.min() + 1) * competency
        if weight.sum() <= 0:
            return np.full(len(local), 1 / len(local))
        return np.asarray(weight / weight.sum())

    def _trimmed(
        self, drawn: list[list[int]], briefs: Sequence[Brief], seed: int
    ) -> list[list[int]]:
        """Replace rarely drawn experts by draws from the others, in proportion to their counts."""
        users = Counter(expert for row in drawn for expert in set(row))
        frequent = sorted(e for e, n in users.items() if n >= self.trim * len(briefs))
        if not frequent:
            return drawn
        counts = [users[expert] for expert in frequent]
        trimmed = []
        for row, brief in zip(drawn, briefs, strict=True):
            again = generator(seed, "trim", brief.question_id)
            trimmed.append(
                [e if e in frequent else again.choices(frequent, weights=counts)[0] for e in row]
            )
        return trimmed


@dataclass(frozen=True)
class _Profile:
    """The paper's profile: right minus not right, by skill."""

    table: RecruitmentTable
    column: Mapping[str, int]
    by_skill: Floats
    """Shape (experts, skills of the table); a skill counts the questions of those below it."""
    whole: Floats
    """Sum over the tagged skills of each question, shape (experts,)."""

    @classmethod
    def of(cls, table: RecruitmentTable) -> _Profile:
        points = np.where(table.outcomes == 1, 1.0, np.where(table.outcomes > -2, -1.0, 0.0))
        tagged = np.array([len({name for name, _ in brief.skills}) for brief in table.briefs])
        column = {name: i for i, name in enumerate(table.skills)}
        return cls(table, column, points @ table.needs, points @ tagged)

    def local(self, brief: Brief) -> Floats | None:
        """Each expert's score on a brief's skills; None if none of them has evidence."""
        known = [self.table.nearest(name) for name, _ in brief.skills]
        columns = [self.column[name] for name in known if name is not None]
        return self.by_skill[:, columns].sum(axis=1) if columns else None


def _why(first: bool, chance: float) -> str:
    return (
        f"drawn with chance {100 * chance:.0f} %" if first else "in place of an expert rarely drawn"
    )


def _competency(whole: Floats) -> Floats:
    """Each expert's share of the pool's total score.

    Where the total is not positive the shares have no meaning, and all experts count equally:
    the paper does not define this case.
    """
    total = whole.sum()
    return np.asarray(whole / total if total > 0 else np.full(len(whole), 1 / len(whole)))
