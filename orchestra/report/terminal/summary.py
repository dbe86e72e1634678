"""A run's report for a terminal, from the content of `report.json`: headline first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.report.format import (
    arms_of,
    band,
    calibration_words,
    count,
    counted,
    ends_of,
    groupings_of,
    money_of,
    paid,
    panel_lines,
    percent,
    price_sources,
    reasons,
    scale,
    seats_of,
    trust_lines,
)
from orchestra.report.terminal.layout import Grid, Line, Whisker, fact, heading

_SKILLS = 15
"""Most skills that are listed; those with the most questions."""


def summary_view(report: Mapping[str, Any]) -> RenderableType:
    """The whole report, for a terminal."""
    parts: list[RenderableType] = [*_headline(report), Text(""), *_cost(report)]
    if report["n"]:
        parts += [heading("Baselines on the same questions"), _arms(report)]
        parts.append(
            Line("calls are for one question; oracle: right if any expert is right", "dim")
        )
        for name, groups in groupings_of(report):
            most = _SKILLS if name == "skill" else None
            parts += [heading(f"By {name}"), _groups(groups, name, most=most)]
    parts += [heading("Calls by expert"), _seats(report), heading("Absent answers")]
    parts.append(fact("decisions", reasons(report["absent"]), width=14))
    parts.append(fact("single calls", reasons(report["seat_absent"]), width=14))
    if lines := trust_lines(report):
        parts += [heading("Trust"), *map(Line, lines)]
    if lines := panel_lines(report):
        parts += [heading("Panel"), *map(Line, lines)]
    if report["confidence"]["n"]:
        parts += [heading("Confidence"), *_confidence(report["confidence"])]
    if report["notes"]:
        parts += [heading("Notes"), *(Line(note, label="- ") for note in report["notes"])]
    return Group(*parts)


def _headline(report: Mapping[str, Any]) -> Iterator[Line]:
    yield Line(f"{report['pipeline']} on {report['benchmark']}", "bold")
    if report["n"]:
        text = Text(percent(report["accuracy"]), style="bold green")
        rest = (
            f" right, 95 % interval {band(report['interval'])}, {counted(report['n'], 'question')}"
        )
        yield Line(Text.assemble(text, rest))
    else:
        yield Line(f"{counted(report['questions'], 'question')}, none with a gold answer")
    yield Line(f"{report['protocol']}; seed {report['seed']}", "dim")


def _cost(report: Mapping[str, Any]) -> Iterator[Line]:
    tokens, spending = report["tokens"], report.get("spending")
    estimated = " (estimated)" if tokens["estimated"] else ""
    yield fact("calls", f"{report['calls']:,} ({report['calls_per_question']:.2f} a question)")
    told = f"{count(tokens['input'])} in, {count(tokens['output'])} out{estimated}"
    yield fact("tokens", told if tokens["input"] or tokens["output"] else "not known")
    bounds = (
        f"lower bound {report['loads_lower_bound']:,}, "
        f"question by question {report['loads_first_come']:,}"
    )
    yield fact("loads", f"{report['loads']:,} ({bounds})")
    yield fact("money", money_of(report["money"], spending))
    if spending is not None:
        yield from _paid(spending, report["money"])
    yield fact("time", f"{report['seconds']:,.1f} s")


def _paid(spending: Mapping[str, Any], money: float) -> Iterator[Line]:
    """The money of all attempts, the source of the prices, and the limits."""
    lost = spending["lost"]["attempts"]
    crash = f", {lost:,} of them lost in a crash" if lost else ""
    yield fact("paid", paid(spending, money) + crash)
    if sources := price_sources(spending):
        yield fact("prices", f"from {sources}")
    if limits := ", ".join(f"{name} {most:,}" for name, most in spending["budget"].items()):
        yield fact("budget", limits)


def _arms(report: Mapping[str, Any]) -> Grid:
    view = Grid(["arm", ">right", ">95 %", "~", ">calls", ">tokens"])
    arms = arms_of(report)
    ends = scale([row["interval"] for _, row in arms])
    for place, (name, row) in enumerate(arms):
        view.add_row(
            name,
            percent(row["accuracy"]),
            ends_of(row["interval"]),
            Whisker(row["accuracy"], row["interval"], ends),
            f"{row['calls_per_question']:.2f}",
            count(row["tokens"]),
            style="" if place else "bold",
        )
    return view


def _groups(groups: Mapping[str, Any], name: str, *, most: int | None) -> Grid:
    ranked = sorted(groups.items(), key=lambda pair: (-pair[1]["n"], pair[0]))
    view = Grid([name, ">n", ">right", ">95 % interval", "~"])
    for label, row in sorted(ranked[:most]):
        view.add_row(
            label,
            f"{row['n']:,}",
            percent(row["accuracy"]),
            ends_of(row["interval"]),
            Whisker(row["accuracy"], row["interval"], (0.0, 1.0)),
        )
    if most is not None and most < len(ranked):
        view.add_row(f"and {len(ranked) - most} more", style="dim")
    return view


def _seats(report: Mapping[str, Any]) -> Grid:
    view = Grid(["expert", ">calls", ">share of calls", ">no answer", ">tokens"])
    tokens = report["tokens"]["generate"]
    for name, row in seats_of(report):
        used = tokens.get(name, {"input": 0, "output": 0})
        view.add_row(
            name,
            f"{row['calls']:,}",
            percent(row["calls"] / max(report["calls"], 1)),
            percent(row["absent"] / max(row["calls"], 1)),
            count(used["input"] + used["output"]),
        )
    return view


def _confidence(confidence: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield Line(calibration_words(confidence))
    yield Text("")
    view = Grid([">confidence", ">stated", ">right", ">n"])
    for row in confidence["reliability"]:
        view.add_row(
            f"{100 * row['low']:.0f} – {100 * row['high']:.0f} %",
            percent(row["confidence"]),
            percent(row["accuracy"]),
            f"{row['n']:,}",
        )
    yield view
