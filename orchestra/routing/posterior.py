"""Recruits by what was measured, with its uncertainty: the router of the default pipeline.

Knows beliefs about each expert on each question's skills, and how alike experts
err; does not know what they will say. Decides who, how many, and who comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from orchestra.errors import InputError, unknown
from orchestra.records import Brief, Plan, Seat
from orchestra.routing.panel import LARGEST, PanelModel
from orchestra.routing.pool import Estimates, Pool, generator, lower_bound
from orchestra.skills.estimation import Floats, log_odds

_BY = ("mean", "lower", "thompson")
_SLACK = 0.005
"""How far below the best expected accuracy a larger panel may lie and still be taken: more votes
insure against the table being wrong about who is best, which the panel model does not know."""
_CLEARLY = 0.03
"""What one expert alone must have over every panel of three or more. One factor of difficulty
makes experts look more alike than they are: panels of real models did 1 to 2 points better."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """Seats in order of belief, as many as the panel model finds worth their calls.

    Args:
        seats: most seats, at least 1.
        by: `mean` of the belief, `lower` bound (`z` deviations down), or a `thompson` draw.
        fit: choose the number of seats by the panel model; False always takes `seats`.
        replacement: draw seats with replacement, with chances in proportion to belief.
        decorrelate: in [0, 1]: how much a seat's value shrinks with its error agreement with
            those already recruited (0 not at all).
        z: deviations for `lower`.
        reserves: most experts that are named to take the place of one without an answer.
    """

    seats: int = 5
    by: str = "mean"
    fit: bool = True
    replacement: bool = False
    decorrelate: float = 0.0
    z: float = 1.0
    reserves: int = 5
    name: str = "posterior"

    def __post_init__(self) -> None:
        if self.by not in _BY:
            raise unknown("belief", self.by, _BY, place="route.posterior.by")
        if self.seats < 1 or self.reserves < 0 or not 0 <= self.decorrelate <= 1:
            raise InputError(
                "`seats` is at least 1, `reserves` at least 0 and `decorrelate` in [0, 1]"
            )
        if not isfinite(self.z):
            raise InputError(f"`z` is a finite number, not {self.z}")

    def route(self, briefs: Sequence[Brief], pool: Pool, *, seed: int) -> list[Plan]:
        """One Plan for each Brief; experts that got no seat are its reserves, best first."""
        estimates = pool.estimate(briefs)
        values = self._values(briefs, estimates, seed)
        accuracy = np.clip(estimates.accuracy.mean, 0.001, 0.999)
        chooser = _Chooser(self, pool, PanelModel.fit(pool, most=self.seats))
        return [
            chooser.plan(brief, values[row], accuracy[row], seed)
            for row, brief in enumerate(briefs)
        ]

    def _values(self, briefs: Sequence[Brief], estimates: Estimates, seed: int) -> Floats:
        if self.by == "mean":
            return estimates.rate.mean
        if self.by == "lower":
            return lower_bound(estimates.rate, self.z)
        drawn = np.empty_like(estimates.rate.alpha)
        for row, brief in enumerate(briefs):
            draw = generator(seed, "thompson", brief.question_id)
            for column in range(drawn.shape[1]):
                a, b = estimates.rate.alpha[row, column], estimates.rate.beta[row, column]
                drawn[row, column] = draw.betavariate(a, b)
        return drawn


class _Chooser:
    """Plans for one batch; what does not depend on the question is computed once."""

    def __init__(self, router: Posterior, pool: Pool, model: PanelModel) -> None:
        self._router, self._pool, self._model = router, pool, model
        self._excess = pool.agreement.matrix if pool.agreement else None
        self._sizes: dict[tuple[float, ...], int] = {}
        self._words: dict[tuple[object, ...], str] = {}

    def plan(self, brief: Brief, value: Floats, accuracy: Floats, seed: int) -> Plan:
        order = self._order(brief, value, seed)[: self._router.seats + self._router.reserves]
        rivals = self._pool.rivals(brief)
        size = self._size([float(accuracy[i]) for i in order[: self._router.seats]], rivals)
        chosen = [
            self._seat(i, order[:n].count(i), brief, float(accuracy[i]), rivals)
            for n, i in enumerate(order)
        ]
        return Plan(
            brief.question_id,
            tuple(chosen[:size]),
            self._router.name,
            seed,
            tuple(chosen[size:]),
            rivals,
        )

    def _order(self, brief: Brief, value: Floats, seed: int) -> list[int]:
        if self._router.replacement:
            draw = generator(seed, "recruit", brief.question_id)
            chances = [float(v) for v in value]
            return draw.choices(range(len(value)), weights=chances, k=self._router.seats)
        best_first = [int(i) for i in np.argsort(-value, kind="stable")]
        if not self._router.decorrelate or self._excess is None:
            return best_first
        head = self._spread_out(best_first, value)
        return head + [i for i in best_first if i not in head]

    def _spread_out(self, best_first: list[int], value: Floats) -> list[int]:
        """Greedy: the next seat is worth less the more its errors repeat those already seated."""
        assert self._excess is not None
        head = [best_first[0]]
        while len(head) < min(self._router.seats, len(best_first)):
            rest = [i for i in best_first if i not in head]
            worth = [
                value[i] * (1 - self._router.decorrelate * self._excess[i, head].mean())
                for i in rest
            ]
            head.append(rest[int(np.argmax(worth))])
        return head

    def _size(self, shares: list[float], rivals: float) -> int:
        if not self._router.fit or self._pool.table is None or len(shares) < 2:
            return len(shares)
        key = (rivals, *(round(share, 2) for share in shares[:LARGEST]))
        if key not in self._sizes:
            weights = [log_odds(p, rivals) for p in key[1:]]
            expected = self._model.prefixes(key[1:], weights)
            self._sizes[key] = worthwhile(expected)
        return self._sizes[key]

    def _seat(self, i: int, sample: int, brief: Brief, share: float, rivals: float) -> Seat:
        expert = self._pool.experts[i]
        words = (i, brief.skills)
        if words not in self._words:
            self._words[words] = (
                f"expected to be right {share:.0%} of the times it answers: "
                f"{self._pool.evidence(expert, brief)}"
            )
        return Seat(expert, log_odds(share, rivals), self._words[words], sample, share)


def worthwhile(expected: Sequence[float]) -> int:
    """How many seats to take, given the expected accuracy of the first 1, 2, ... of them.

    One if it is clearly better alone; else the largest panel that is about as good as the best.
    Two are a panel only where there is no third: two votes that differ decide nothing.
    """
    least = min(3, len(expected))
    best = max(expected[least - 1 :])
    if expected[0] > best + _CLEARLY:
        return 1
    return max(i for i, e in enumerate(expected, 1) if i >= least and e >= best - _SLACK)
