"""Who is resident when, beside first-come order and the lower bound: for a terminal and as data.

Knows residency orders; decides nothing. Seconds are shown only where they mean something,
and then with what they rest on.
"""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType

from orchestra.report.drawing import grid, heading
from orchestra.report.figures import percent
from orchestra.scheduling import Order, Step

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
        "seconds": _seconds(order, order.seconds),
        "seconds_first_come": None if first is None else _seconds(order, first.seconds),
        "seconds_lower_bound": _seconds(order, order.lower_bound),
        "seconds_rest_on": "extrapolation" if order.timed else None,
        "exact": order.exact,
        "device_gib": [round(gib, 2) for gib in order.peak_gib],
        "host_gib": round(order.host_gib, 2),
    }


def order_view(order: Order) -> RenderableType:
    """A line for each step, then loads, time and memory beside what they might be."""
    view = grid(["step", "device", "engine", "comes", "work", ">calls", "leaves", ">seconds"])
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
            _short(step.end - step.start) if order.timed else "–",
        )
    return Group(heading("Residency"), view)


def order_time(order: Order) -> str:
    """Seconds beside the lower bound and first-come order, with what they rest on."""
    first = order.first_come
    naive = "" if first is None else f", question by question {_short(first.seconds)} s"
    gap = "" if order.exact else f", at most {percent(order.gap)} more than the best"
    return (
        f"{_short(order.seconds)} s, extrapolated "
        f"(lower bound {_short(order.lower_bound)} s{naive}){gap}"
    )


def order_memory(order: Order) -> str:
    """Most memory in use on each device, and what sleeping engines take of the host."""
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
        "seconds": {part: _seconds(order, getattr(step, part)) for part in parts},
    }


def _name(order: Order, unit: str) -> str:
    """An engine by its first expert, and how many more it holds."""
    more = len(order.experts[unit]) - 1
    return f"{unit} + {more} adapters" if more else unit


def _seconds(order: Order, seconds: float) -> float | None:
    return round(seconds, 3) if order.timed else None


def _short(seconds: float) -> str:
    """Whole seconds, or two digits of few."""
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.2g}"
