"""Recruits by measured skill and its uncertainty: the router of the default pipeline.

From beliefs about each expert on each question's skills, and from error agreement, it decides
which experts are asked, how many, and which are reserves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from orchestra.components import component
from orchestra.errors import InputError, unknown
from orchestra.records import Brief, Plan, Seat
from orchestra.routing.panel_size import LARGEST, PanelModel
from orchestra.routing.pool import Estimates, Pool, generator, lower_bound
from orchestra.skills.estimation import Floats, log_odds

_BY = ("mean", "lower", "thompson")
_SLACK = 0.005
"""How far below the best expected accuracy a larger panel may be and still be taken: more votes
insure against errors of the table about the best expert, which the panel model ignores."""
_CLEARLY = 0.03
"""Least advantage of one expert alone over every panel of three or more. One factor of difficulty
makes experts look more alike than they are: panels of real models did 1 to 2 points better."""


@component("route", "posterior", argument="seats")
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
        reserves: most reserves, which replace experts without an answer.
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
        values = self._values(briefs, estimates, pool, seed)
        orders = self._orders(briefs, values, pool, seed)
        accuracy = np.clip(estimates.accuracy.mean, 0.001, 0.999)
        shares = np.take_along_axis(accuracy, orders, axis=1)
        rivals = [pool.rivals(brief) for brief in briefs]
        sizes = self._sizes(shares, rivals, pool)
        chairs = _Chairs(pool)
        plans = []
        for row, brief in enumerate(briefs):
            seats = chairs.seats(brief, orders[row].tolist(), shares[row].tolist(), rivals[row])
            size = sizes[row]
            plans.append(
                Plan(brief.question_id, seats[:size], self.name, seed, seats[size:], rivals[row])
            )
        return plans

    def _values(
        self, briefs: Sequence[Brief], estimates: Estimates, pool: Pool, seed: int
    ) -> Floats:
        if self.by == "mean":
            return estimates.rate.mean
        spread = pool.spread(briefs)
        if self.by == "lower":
            return lower_bound(spread, self.z)
        drawn = np.empty_like(spread.alpha)
        for row, brief in enumerate(briefs):
            draw = generator(seed, "thompson", brief.question_id)
            cells = zip(spread.alpha[row], spread.beta[row], strict=True)
            drawn[row] = [draw.betavariate(float(a), float(b)) for a, b in cells]
        return drawn

    def _orders(
        self, briefs: Sequence[Brief], values: Floats, pool: Pool, seed: int
    ) -> NDArray[np.int64]:
        """The experts in order, shape (questions, seats and reserves)."""
        if self.replacement:
            drawn = [
                generator(seed, "recruit", brief.question_id).choices(
                    range(len(pool.experts)), weights=value.tolist(), k=self.seats
                )
                for brief, value in zip(briefs, values, strict=True)
            ]
            return np.array(drawn, dtype=np.int64).reshape(len(briefs), self.seats)
        ranks = values
        if self.decorrelate and pool.agreement is not None:
            ranks = self._spread_out(values, pool.agreement.matrix)
        return np.argsort(-ranks, axis=1, kind="stable")[:, : self.seats + self.reserves]

    def _spread_out(self, values: Floats, agreement: Floats) -> Floats:
        """Values that put experts first whose errors differ from those before them.

        Greedy: a seat is worth less the more its errors repeat those already seated.
        """
        ranks = values.copy()
        overlap = np.zeros_like(values)
        rows = np.arange(len(values))
        for seated in range(min(self.seats, values.shape[1])):
            worth = values * (1 - self.decorrelate * overlap / max(seated, 1))
            best = np.where(ranks > 1, -1.0, worth).argmax(axis=1)
            ranks[rows, best] = 1.0 + self.seats - seated
            overlap += agreement[best]
        return ranks

    def _sizes(self, shares: Floats, rivals: Sequence[float], pool: Pool) -> list[int]:
        """Number of seats of each question; the rest are its reserves.

        Where all of the `LARGEST` experts that the panel model covers are worth their calls,
        the others are taken to be, too.
        """
        considered = min(self.seats, shares.shape[1], LARGEST)
        if not self.fit or pool.table is None or considered < 2:
            return [self.seats] * len(shares)
        told = np.round(shares[:, :considered], 2)
        keys, which = np.unique(np.column_stack([told, rivals]), axis=0, return_inverse=True)
        weights = [[log_odds(p, r) for p in row] for *row, r in keys.tolist()]
        model = PanelModel.fit(pool, most=self.seats)
        expected = model.prefixes(keys[:, :-1], np.array(weights))
        found = [worthwhile(row) for row in expected.tolist()]
        return [self.seats if found[i] == LARGEST else found[i] for i in which.reshape(-1)]


class _Chairs:
    """Seats with their reasons, for one batch of briefs; equal ones are made once."""

    def __init__(self, pool: Pool) -> None:
        self._experts, self._tell = pool.experts, pool.teller()
        self._measured = pool.table is not None
        self._made: dict[tuple[object, ...], tuple[Seat, ...]] = {}

    def seats(
        self, brief: Brief, order: Sequence[int], shares: Sequence[float], rivals: float
    ) -> tuple[Seat, ...]:
        key = (*order, rivals, brief.skills)
        if key not in self._made:
            self._made[key] = tuple(
                self._seat(brief, self._experts[i], order[:n].count(i), shares[n], rivals)
                for n, i in enumerate(order)
            )
        return self._made[key]

    def _seat(self, brief: Brief, expert: str, sample: int, share: float, rivals: float) -> Seat:
        told = self._tell(expert, brief)
        if not self._measured:
            reason = f"{told}; taken to be right {100 * share:.0f} % of the times it answers"
            return Seat(expert, log_odds(share, rivals), reason, sample, share)
        source = " and from how hard the skills are for all experts" if brief.skills else ""
        reason = (
            f"{told}; expected to be right {100 * share:.0f} % of the times it answers, estimated "
            f"from these counts{source}"
        )
        return Seat(expert, log_odds(share, rivals), reason, sample, share)


def worthwhile(expected: Sequence[float]) -> int:
    """How many seats to take, given the expected accuracy of the first 1, 2, ... of them.

    One if it is clearly better alone; else the largest panel that is about as good as the best.
    Two are a panel only if there is no third: two votes that differ decide nothing.
    """
    least = min(3, len(expected))
    best = max(expected[least - 1 :])
    if expected[0] > best + _CLEARLY:
        return 1
    return max(i for i, e in enumerate(expected, 1) if i >= least and e >= best - _SLACK)
