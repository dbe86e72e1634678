"""Who is asked and why, and what it would take: plans and forecasts for a terminal.

Knows Briefs, Plans and Forecasts; decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from orchestra.records import Brief, Plan, Seat
from orchestra.report.drawing import grid, heading
from orchestra.report.figures import count, dollars, percent
from orchestra.report.residency import order_data, order_memory, order_time, order_view
from orchestra.scheduling import Forecast


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
    """Skills, seats with weights and reasons, and who would come next."""
    skills = ", ".join(f"{name} {percent(share, 0)}" for name, share in _shares(brief))
    parts: list[RenderableType] = [
        Text(f"skills   {skills or 'none found: overall records decide'} (by {brief.tagger})"),
        Text(f"router   {plan.router}"),
        Text(""),
        _seats(plan.seats[:calls]),
    ]
    if reserves := plan.reserves[: _spare(plan, calls)]:
        parts += [heading("Asked in this order where an answer is absent"), _seats(reserves)]
    return Group(*parts)


def forecast_data(pipeline: str, told: Forecast) -> dict[str, Any]:
    """A forecast as plain data. Everything but the seats and loads is an estimate."""
    return {
        "pipeline": pipeline,
        "questions": told.questions,
        "calls": told.calls,
        "extra_calls": round(told.extra_calls, 1),
        "loads": told.loads.loads,
        "loads_first_come": told.loads.first_come,
        "loads_lower_bound": told.loads.lower_bound,
        "estimated": True,
        "tokens": {
            "input": sum(share.input_tokens for share in told.shares),
            "output": sum(share.output_tokens for share in told.shares),
            "at_most": any(share.ceiling for share in told.shares),
        },
        "money": _sum([share.money for share in told.shares]),
        "seconds": _sum([share.seconds for share in told.shares]),
        "experts": {share.expert: _share(asdict(share)) for share in told.shares},
        "order": None if told.order is None else order_data(told.order),
    }


def forecast_view(pipeline: str, told: Forecast) -> RenderableType:
    """Experts with their seats, who is resident when, then the totals with what they rest on."""
    data = forecast_data(pipeline, told)
    view = grid(["", "expert", ">seats", ">tokens in", ">tokens out", ">money"])
    for number, share in enumerate(told.shares, 1):
        most = "at most " if share.ceiling else ""
        view.add_row(
            str(number),
            share.expert,
            f"{share.seats:,}",
            count(share.input_tokens),
            most + count(share.output_tokens),
            "–" if share.money is None else most + dollars(share.money),
        )
    tokens, seconds, money = data["tokens"], data["seconds"], data["money"]
    most = "at most " if tokens["at_most"] else ""
    lines = [
        f"calls    {told.calls:,} planned, about {told.extra_calls:,.0f} more for absent answers",
        f"loads    {told.loads.loads}{_wakes(told)} (lower bound {told.loads.lower_bound}, "
        f"question by question {told.loads.first_come:,})",
        f"tokens   {count(tokens['input'])} in, {most}{count(tokens['output'])} out (estimated)",
        "money    "
        + ("not known: no prices" if money is None else f"{most}{dollars(money)} (estimated)"),
        "time     " + _time(told, seconds),
    ]
    if told.order is not None and any(told.order.peak_gib):
        lines.append("memory   " + order_memory(told.order))
    title = Text(f"{pipeline} on {told.questions:,} questions: nothing is generated", style="bold")
    parts: list[RenderableType] = [title, Text(""), view]
    if told.order is not None:
        parts.append(order_view(told.order))
    return Group(*parts, Text(""), *(Text(line) for line in lines))


def _wakes(told: Forecast) -> str:
    return f" and {told.order.wakes} wakes" if told.order and told.order.wakes else ""


def _time(told: Forecast, seconds: float | None) -> str:
    """What the engines take where that is known, else what recorded calls took."""
    if told.order is not None and told.order.timed:
        return order_time(told.order)
    return "not known" if seconds is None else f"{seconds:,.0f} s, calls one after another"


def _spare(plan: Plan, calls: int) -> int:
    return max(calls - len(plan.seats), 0)


def _shares(brief: Brief) -> list[tuple[str, float]]:
    whole = sum(weight for _, weight in brief.skills)
    return [(name, weight / whole) for name, weight in brief.skills]


def _seats(seats: Sequence[Seat]) -> RenderableType:
    """Each seat on a line, and below it why."""
    parts: list[RenderableType] = []
    for seat in seats:
        line = Text()
        line.append(f"{seat.expert}  ", style="bold")
        line.append(f"weight {seat.weight:.2f}")
        line.append("" if seat.accuracy is None else f", expected {percent(seat.accuracy, 0)}")
        line.append(f", sample {seat.sample}" if seat.sample else "")
        parts += [line, Padding(Text(seat.reason, style="dim"), (0, 0, 0, 4))]
    return Group(*parts)


def _sum(parts: Sequence[float | None]) -> float | None:
    """The sum where every part is known."""
    known = [part for part in parts if part is not None]
    return round(sum(known), 6) if known and len(known) == len(parts) else None


def _share(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "expert"}
