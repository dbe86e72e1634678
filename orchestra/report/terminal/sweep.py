"""A sweep for a terminal, from the content of `sweep.json`: the winner, the fronts, what lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.report.format import band, count, counted, dollars, ends_of, percent, points, scale
from orchestra.report.terminal.layout import Grid, Line, Whisker, heading

SWEEP_COSTS: Mapping[str, str] = MappingProxyType(
    {
        "calls": "calls a question",
        "tokens": "tokens a question",
        "money": "dollars a question",
    }
)
"""What accuracy is weighed against, in words."""
_LISTED = 12


def sweep_view(sweep: Mapping[str, Any]) -> RenderableType:
    """The winner, all variants on a front, and those that were left out."""
    first, *others = sweep_lines(sweep)
    rows = [row for row in sweep["variants"] if row["lacking"] is None]
    lacking = [row for row in sweep["variants"] if row["lacking"] is not None]
    shown = [row for row in rows if row["own"] or any(row["front"].values())]
    parts: list[RenderableType] = [
        Line(first, "bold"),
        *(Line(line) for line in others),
        Line(
            f"{sweep['protocol']}; {counted(sweep['n'], 'question')}; seed {sweep['seed']}", "dim"
        ),
    ]
    if shown:
        parts += [heading("The run's own settings, and the front"), _rows(shown)]
        parts.append(Line("front: no other variant is as accurate at that cost", "dim"))
    if lacking:
        parts += [heading("Left out: generations that the run does not have"), _lacking(lacking)]
    return Group(*parts)


def sweep_lines(sweep: Mapping[str, Any]) -> list[str]:
    """The findings as sentences."""
    lines = list(_winner_lines(sweep))
    lacking = sum(row["lacking"] is not None for row in sweep["variants"])
    if lacking:
        lines.append(f"{counted(lacking, 'variant')} left out: they need new generations")
    if sweep["impossible"]:
        name, why = next(iter(sweep["impossible"].items()))
        lines.append(
            f"{counted(len(sweep['impossible']), 'combination')} cannot be built, such as "
            f"`{name}`: {why.splitlines()[0]}"
        )
    if sweep["differing"]:
        lines.append(
            f"the run's own settings decide {counted(sweep['differing'], 'question')} otherwise "
            "than the run did: its table, its experts or this release have changed since"
        )
    return lines


def _winner_lines(sweep: Mapping[str, Any]) -> Iterator[str]:
    winner = sweep["winner"]
    if winner is None:
        yield "no variant can be replayed without new generations"
        return
    there = winner["measured_on"]
    yield (
        f"`{winner['name']}`: {percent(there['accuracy'])} right ({band(there['interval'])}, "
        f"95 %) at {winner['calls']:.2f} calls on {counted(there['n'], 'question')}; chosen among "
        f"{counted(winner['tried'], 'variant')} on {winner['chosen_on']['n']:,} others"
    )
    against = {
        "the run's own settings": winner["against_run"],
        "the best single expert": winner["against_best_single"],
    }
    for name, row in against.items():
        if row is not None:
            who = f" ({row['expert']})" if "expert" in row else ""
            low, high = row["gain_interval"]
            yield (
                f"{points(row['gain'])} points ({points(low)} to {points(high)}, 95 %) against "
                f"{name}{who}, which has {percent(row['accuracy'])}"
            )


def _rows(rows: list[Mapping[str, Any]]) -> Grid:
    view = Grid(["variant", ">right", ">95 %", "~", ">calls", ">tokens", ">money", "front"])
    ends = scale([row["interval"] for row in rows])
    for row in sorted(rows, key=lambda row: (row["calls"], -row["accuracy"])):
        view.add_row(
            row["name"],
            percent(row["accuracy"]),
            ends_of(row["interval"]),
            Whisker(row["accuracy"], row["interval"], ends),
            f"{row['calls']:.2f}",
            count(row["tokens"]),
            dollars(row["money"]) if row["money"] else "–",
            ", ".join(cost for cost, there in row["front"].items() if there),
            style="bold" if row["own"] else "",
        )
    return view


def _lacking(rows: list[Mapping[str, Any]]) -> RenderableType:
    view = Grid(["variant", ">questions", ">calls"])
    for row in rows[:_LISTED]:
        lack = row["lacking"]
        view.add_row(row["name"], f"{lack['questions']:,}", f"{lack['calls']:,}")
    more = len(rows) - _LISTED
    return Group(view, Line(f"and {more} more", "dim")) if more > 0 else Group(view, Text(""))
