"""Plans of questions, forecasts of runs and orders of engines, for a terminal and as plain data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from math import ceil, floor
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.records import Brief, Plan, Seat
from orchestra.report.format import count, dollars, percent
from orchestra.report.terminal.layout import Grid, Line, fact, heading
from orchestra.runs import Budget
from orchestra.scheduling import Forecast, Order, Share, Step, compare
from orchestra.scheduling.forecast import Within
from orchestra.scheduling.intervals import Span
from orchestra.scheduling.rate_limits import Elapsed

_LAST_CLAUSE = re.compile(r"[,;] [^,;\d`]+$")
"""The end of a reason without a figure or a name, so that it tells no expert from another."""
_COMES = {"cold": "loads", "wake1": "wakes (1)", "wake2": "wakes (2)", "stays": "is there"}
_LEAVES = {"exit": "exits", "sleep1": "sleeps (1)", "sleep2": "sleeps (2)", "stays": "stays"}


def order_data(order: Order) -> dict[str, Any]:
    """An order as plain data; seconds are null where no engine's times are known."""
    first = order.first_come
    return {
        "steps": [_step(step, number, order) for number, step in enumerate(order.steps, 1)],
        "loads": order.loads,
        "wakes": order.wakes,
        "loads_first_come": None if first is None else first.loads,
        "loads_lower_bound": order.fewest_loads,
        "seconds": _known_seconds(order, order.seconds),
        "seconds_first_come": None if first is None else _known_seconds(order, first.seconds),
        "seconds_lower_bound": _known_seconds(order, order.lower_bound),
        "seconds_rest_on": "extrapolation" if order.timed else None,
        "exact": order.exact,
        "device_gib": [round(gib, 2) for gib in order.peak_gib],
        "host_gib": round(order.host_gib, 2),
    }


def order_view(order: Order) -> RenderableType:
    """A table with a row for each step."""
    view = Grid([">step", ">device", "engine", "comes", "work", ">calls", "leaves", ">seconds"])
    for number, step in enumerate(order.steps, 1):
        job = step.job
        view.add_row(
            str(number),
            str(step.device),
            _name(order, job.unit),
            _COMES[step.comes],
            job.stage + (f" {job.layer}" if job.layer else ""),
            f"{job.requests:,}",
            _LEAVES[step.leaves],
            _shortened(step.end - step.start) if order.timed else "–",
        )
    return Group(heading("Residency"), view)


def order_time(order: Order) -> str:
    """Seconds beside the lower bound and first-come order, with their source."""
    first = order.first_come
    naive = "" if first is None else f", question by question {_shortened(first.seconds)} s"
    gap = "" if order.exact else f", at most {percent(order.gap)} more than the best"
    return (
        f"{_shortened(order.seconds)} s, extrapolated "
        f"(lower bound {_shortened(order.lower_bound)} s{naive}){gap}"
    )


def order_memory(order: Order) -> str:
    """Most memory in use on each device, and the host memory of sleeping engines."""
    held = ", ".join(f"{gib:,.0f}" for gib in order.peak_gib)
    return f"at most {held} GiB on the devices, {order.host_gib:,.0f} GiB of the host"


def _step(step: Step, number: int, order: Order) -> dict[str, Any]:
    job = step.job
    parts = ("start", "coming", "waiting", "working", "leaving")
    return {
        "step": number,
        "device": step.device,
        "unit": job.unit,
        "experts": list(order.experts[job.unit]),
        "comes": step.comes,
        "stage": job.stage,
        "layer": job.layer,
        "requests": job.requests,
        "leaves": step.leaves,
        "seconds": {part: _known_seconds(order, getattr(step, part)) for part in parts},
    }


def _name(order: Order, unit: str) -> str:
    """An engine by its first expert, and how many more it holds."""
    more = len(order.experts[unit]) - 1
    return f"{unit} + {more} adapters" if more else unit


def _known_seconds(order: Order, seconds: float) -> float | None:
    return round(seconds, 3) if order.timed else None


def _shortened(number: float) -> str:
    """A whole number, or two digits of a small one."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))
"""Seconds of each, the largest first; one is used from twice its length on."""
_LIMITS = {
    "money": "money ${:,.12g}",
    "tokens": "tokens {:,}",
    "calls": "calls {:,}",
    "seconds": "seconds {:,.12g}",
}
_WITHIN: dict[Within, str] = {
    "yes": "enough for the estimate",
    "maybe": "may not be enough",
    "no": "the estimate is above it",
}


def plan_data(brief: Brief, plan: Plan, calls: int) -> dict[str, Any]:
    """A brief and its plan as plain data; `calls` is the most calls for one question."""
    return {
        "question_id": plan.question_id,
        "skills": [list(pair) for pair in brief.skills],
        "tagger": brief.tagger,
        "router": plan.router,
        "seats": [asdict(seat) for seat in plan.seats[:calls]],
        "reserves": [asdict(seat) for seat in plan.reserves[: _spare(plan, calls)]],
    }


def plan_view(brief: Brief, plan: Plan, calls: int) -> RenderableType:
    """Skills, seats with weights and reasons, and reserves in their order.

    A clause without figures that ends every reason is said once, below the seats.
    """
    skills = ", ".join(f"{name} {percent(share, 0)}" for name, share in _shares(brief))
    skills = skills or "none: overall records decide"
    seats, reserves = plan.seats[:calls], plan.reserves[: _spare(plan, calls)]
    alike = _alike([seat.reason for seat in (*seats, *reserves)])
    parts: list[RenderableType] = [
        fact("skills", f"{skills} (by {brief.tagger})"),
        fact("router", plan.router),
        Text(""),
        *_seats(seats, alike),
    ]
    if alike:
        parts.append(Line(f"each: {alike.lstrip(',; ')}", "dim"))
    if reserves:
        parts.append(heading("Asked in this order where an answer is absent"))
        parts += _seats(reserves, alike)
    return Group(*parts)


def forecast_data(
    pipeline: str, forecast: Forecast, *, budget: Budget | None = None
) -> dict[str, Any]:
    """A forecast as plain data. Everything but the seats and loads is an estimate.

    Intervals are 95 % where lengths are known and bounds where they are not; their upper ends
    include calls in place of absent answers. Sums include a keyword model's calls, which `tag`
    has alone.
    """
    output, time = forecast.output, forecast.time
    return {
        "pipeline": pipeline,
        "questions": forecast.questions,
        "calls": forecast.calls,
        "extra_calls": round(forecast.extra_calls, 1),
        "loads": forecast.loads.loads,
        "loads_first_come": forecast.loads.first_come,
        "loads_lower_bound": forecast.loads.lower_bound,
        "estimated": True,
        "tokens": {
            "input": sum(share.input_tokens for share in forecast.asked),
            "input_interval": _whole(forecast.input),
            "output": sum(share.output_tokens for share in forecast.asked),
            "output_interval": _whole(output),
            "at_most": any(share.ceiling for share in forecast.asked),
        },
        "money": None if forecast.money is None else round(forecast.money.usual, 6),
        "money_interval": _ends(forecast.money, 6),
        "seconds": _seconds(forecast),
        "seconds_interval": _ends(forecast.seconds if time is None else time.seconds, 3),
        "seconds_at_least": time is not None and time.at_least,
        "bottleneck": None if time is None else time.bottleneck,
        "tag": None if forecast.tag is None else _tag(forecast.tag),
        "experts": {share.expert: _share(share) for share in forecast.shares},
        **({"synthesise": _later(forecast)} if forecast.later else {}),
        "order": None if forecast.order is None else order_data(forecast.order),
        "budget": {
            limit.name: {"most": limit.most, "within": limit.within}
            for limit in compare(budget or Budget(), forecast)
        },
    }


def _seconds(forecast: Forecast) -> float | None:
    """By the clock where servers take part; else of calls one after another."""
    if forecast.time is not None:
        return round(forecast.time.seconds.usual, 3)
    return None if forecast.seconds is None else round(forecast.seconds.usual, 6)


def _tag(share: Share) -> dict[str, Any]:
    """The keyword model's part: its calls are no seats."""
    data = _share(share)
    return {"expert": share.expert, "calls": data.pop("seats"), **data}


def _later(forecast: Forecast) -> dict[str, Any]:
    """The parts of aggregators: their calls are no seats either."""
    rows = {share.expert: _share(share) for share in forecast.later}
    return {name: {"calls": row.pop("seats"), **row} for name, row in rows.items()}


def _share(share: Share) -> dict[str, Any]:
    return {
        "seats": share.seats,
        "input_tokens": share.input_tokens,
        "input_interval": _whole(share.reads),
        "output_tokens": share.output_tokens,
        "output_interval": _whole(share.output),
        "money": share.money,
        "money_interval": _ends(share.spending, 6),
        "seconds": share.seconds,
        "seconds_interval": _ends(share.takes, 3),
        "ceiling": share.ceiling,
    }


def _ends(span: Span | None, digits: int) -> list[float] | None:
    return None if span is None else [round(end, digits) for end in span.ends]


def _whole(span: Span) -> list[int]:
    return [floor(span.low), ceil(span.high)]


def forecast_view(
    pipeline: str, forecast: Forecast, *, budget: Budget | None = None
) -> RenderableType:
    """Experts with their seats, the order of engines, and the totals with their intervals."""
    view = Grid(["", "expert", ">seats", ">tokens in", ">tokens out", ">money"])
    for number, share in enumerate(forecast.asked, 1):
        most = "at most " if share.ceiling else ""
        view.add_row(
            str(number),
            share.expert,
            f"{share.seats:,}{_purpose(share, forecast)}",
            count(share.input_tokens),
            most + count(share.output_tokens),
            "–" if share.money is None else most + dollars(share.money),
        )
    title = Line(f"{pipeline} on {forecast.questions:,} questions: nothing is generated", "bold")
    parts: list[RenderableType] = [title, Text(""), view]
    if forecast.order is not None:
        parts.append(order_view(forecast.order))
    return Group(*parts, Text(""), *_totals(forecast), *_budget(forecast, budget or Budget()))


def _purpose(share: Share, forecast: Forecast) -> str:
    if share is forecast.tag:
        return " to name skills"
    return " in view of drafts" if any(share is each for each in forecast.later) else ""


def _budget(forecast: Forecast, budget: Budget) -> list[Line]:
    return [
        fact("budget", f"{_LIMITS[limit.name].format(limit.most)}: {_WITHIN[limit.within]}")
        for limit in compare(budget, forecast)
    ]


def _totals(forecast: Forecast) -> Iterator[Line]:
    most = any(share.ceiling for share in forecast.asked)
    read = _about(forecast.input, count)
    written = _most(forecast.output, count) if most else _about(forecast.output, count)
    loads = forecast.loads
    yield fact(
        "calls", f"{_calls(forecast)}, about {forecast.extra_calls:,.0f} more for absent answers"
    )
    yield fact(
        "loads",
        f"{loads.loads}{_wakes(forecast)} (lower bound {loads.lower_bound}, "
        f"question by question {loads.first_come:,})",
    )
    yield fact("tokens", f"{read} in, {written} out, estimated")
    yield fact("money", _money(forecast.money, most))
    yield fact("time", _time(forecast))
    if forecast.order is not None and any(forecast.order.peak_gib):
        yield fact("memory", order_memory(forecast.order))


def _calls(forecast: Forecast) -> str:
    named = 0 if forecast.tag is None else forecast.tag.seats
    later = sum(share.seats for share in forecast.later)
    first = "" if forecast.tag is None else f"{named:,} to name skills, "
    last = f", {later:,} in view of drafts" if forecast.later else ""
    return f"{first}{forecast.calls - named - later:,} planned{last}"


def _about(span: Span, write: Callable[[float], str]) -> str:
    """The usual value, and the interval where there is one."""
    low, usual, high = write(span.low), write(span.usual), write(span.high)
    return usual if low == usual == high else f"{usual} ({low} to {high})"


def _most(span: Span, write: Callable[[float], str]) -> str:
    """The upper end, where the usual value is not known."""
    return f"at most {write(span.high)}"


def _money(money: Span | None, most: bool) -> str:
    if money is None:
        return "not known: no prices"
    return f"{_most(money, dollars) if most else _about(money, dollars)}, estimated"


def _wakes(forecast: Forecast) -> str:
    return f" and {forecast.order.wakes} wakes" if forecast.order and forecast.order.wakes else ""


def _time(forecast: Forecast) -> str:
    """Time of servers and engines where it is known, else that of recorded calls."""
    if forecast.time is not None:
        return _elapsed(forecast.time)
    if forecast.order is not None and forecast.order.timed:
        return order_time(forecast.order)
    if forecast.seconds is None:
        return "not known"
    return f"{_about(forecast.seconds, _whole_seconds)} s, calls one after another"


def _whole_seconds(seconds: float) -> str:
    return f"{seconds:,.0f}"


def _elapsed(time: Elapsed) -> str:
    """`4 min (3 to 6), set by tokens a minute of http://...`."""
    span = time.seconds
    size, unit = next((each for each in _UNITS if span.high >= 2 * each[0]), _UNITS[-1])
    low, usual, high = (_shortened(part / size) for part in (span.low, span.usual, span.high))
    if time.at_least:
        return f"at least {low} {unit}, set by {time.bottleneck}; more is not known"
    interval = "" if low == usual == high else f" ({low} to {high})"
    return f"{usual} {unit}{interval}, set by {time.bottleneck}"


def _spare(plan: Plan, calls: int) -> int:
    return max(calls - len(plan.seats), 0)


def _shares(brief: Brief) -> list[tuple[str, float]]:
    whole = sum(weight for _, weight in brief.skills)
    return [(name, weight / whole) for name, weight in brief.skills]


def _alike(reasons: Sequence[str]) -> str:
    """The clause, with the comma or semicolon before it, in which several reasons end alike."""
    ends = {reason[len(_LAST_CLAUSE.sub("", reason)) :] for reason in reasons}
    return ends.pop() if len(ends) == 1 and len(reasons) > 1 else ""


def _seats(seats: Sequence[Seat], alike: str) -> Iterator[Line]:
    """Each seat on a line, and its reason below without the end that all have."""
    for seat in seats:
        words = f"  weight {seat.weight:.2f}"
        words += "" if seat.accuracy is None else f", expected {percent(seat.accuracy, 0)}"
        words += f", sample {seat.sample}" if seat.sample else ""
        yield Line(Text.assemble((seat.expert, "bold"), words))
        yield Line(seat.reason.removesuffix(alike), "dim", label="    ")
