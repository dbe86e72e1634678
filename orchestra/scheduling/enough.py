"""Whether a budget is enough for what is foreseen.

Knows limits and forecasts; does not know how calls are held, or what is spent already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestra.runs import Budget
from orchestra.scheduling.forecast import Forecast
from orchestra.scheduling.spans import NOTHING, Span, exactly, total

Within = Literal["yes", "maybe", "no"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a budget beside what is foreseen of it."""

    name: str
    """A field of `Budget`."""
    most: float
    within: Within
    """`no`: what is usual is above it, or the least where usual is not known; `maybe`: the upper
    end is, or it is not known."""


def compare(budget: Budget, told: Forecast) -> list[Limit]:
    """Every limit that is set, money first."""
    ceiling = any(share.ceiling for share in told.asked)
    spans: dict[str, Span | None] = {
        "money": _money(told),
        "tokens": total((told.input, told.output)),
        "calls": told.sent,
        "seconds": _seconds(told),
    }
    at_least = {"seconds"} if told.time is not None and told.time.at_least else set()
    found = []
    for name, span in spans.items():
        most = getattr(budget, name)
        if most is not None:
            doubtful = ceiling and name in ("money", "tokens")
            within = _within(most, span, doubtful)
            found.append(
                Limit(name, most, "maybe" if within == "yes" and name in at_least else within)
            )
    return found


def _within(most: float, span: Span | None, ceiling: bool) -> Within:
    if span is None:
        return "maybe"
    if (span.low if ceiling else span.usual) > most:
        return "no"
    return "maybe" if span.high > most else "yes"


def _money(told: Forecast) -> Span | None:
    """Nothing where nobody has a price and nobody needs one."""
    if told.money is None and all(share.free and not share.price for share in told.everybody):
        return NOTHING
    return told.money


def _seconds(told: Forecast) -> Span | None:
    if told.time is not None:
        return told.time.seconds
    if told.order is not None and told.order.timed:
        return exactly(told.order.seconds)
    return told.seconds
