"""A run's report for a terminal: headline first, then what explains it.

Knows the content of `report.json` (CONTRACTS) and nothing of how it was computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestra.report.format import (
    ARMS,
    band,
    count,
    dollars,
    ends_of,
    percent,
    reasons,
    scale,
    trust_lines,
)
from orchestra.report.terminal.layout import grid, heading, whisker

_SKILLS = 15
"""Most skills that are listed; those with the most questions."""


def summary_view(report: Mapping[str, Any]) -> RenderableType:
    """Everything that a report says, for a terminal."""
    parts: list[RenderableType] = [_headline(report), *_cost(report)]
    if report["n"]:
        parts += [heading("Beside what the same experts could have given"), _arms(report)]
        parts.append(Text("calls are for one question; oracle: right if any of them is", "dim"))
        parts += [heading("By category"), _groups(report["by_category"], "category")]
        if set(report["by_skill"]) != set(report["by_category"]):
            parts += [heading("By skill"), _groups(report["by_skill"], "skill", most=_SKILLS)]
    parts += [heading("Experts that were asked"), _seats(report)]
    parts += _absences(report)
    if told := trust_lines(report):
        parts += [heading("Trust"), *(Text(line) for line in told)]
    parts += _confidence(report)
    if report["notes"]:
        parts += [heading("Notes"), *(Text(f"- {note}") for note in report["notes"])]
    return Group(*parts)


def _headline(report: Mapping[str, Any]) -> Text:
    text = Text()
    text.append(f"{report['pipeline']} on {report['benchmark']}\n", style="bold")
    if report["n"]:
        text.append(percent(report["accuracy"]), style="bold green")
        text.append(f" right, 95 % interval {band(report['interval'])}, ")
        text.append(f"{report['n']:,} questions\n")
    else:
        text.append(f"{report['questions']:,} questions, none with a gold answer\n")
    text.append(f"{report['protocol']}; seed {report['seed']}", style="dim")
    return text


def _cost(report: Mapping[str, Any]) -> list[Text]:
    tokens = report["tokens"]
    estimated = " (estimated)" if tokens["estimated"] else ""
    lines = [
        f"calls    {report['calls']:,} ({report['calls_per_question']:.2f} a question)",
        f"tokens   {count(tokens['input'])} in, {count(tokens['output'])} out{estimated}",
        f"loads    {report['loads']:,} (lower bound {report['loads_lower_bound']:,}, "
        f"question by question {report['loads_first_come']:,})",
        f"money    {dollars(report['money'])}",
        *_paid(report.get("spending"), report["money"]),
        f"time     {report['seconds']:,.1f} s",
    ]
    return [Text(""), *(Text(line) for line in lines)]


def _paid(spending: Mapping[str, Any] | None, money: float) -> list[str]:
    """What was paid in all, where an account was kept, and what the prices rest on."""
    if spending is None:
        return []
    lost = spending["lost"]["attempts"]
    # Calls whose fate nobody knows are paid at the most that they may have cost.
    most = "at most " if spending["money"] > money + 1e-6 else ""
    words = f"paid     {most}{dollars(spending['money'])} for {spending['attempts']:,} attempts"
    words += f", {lost:,} of them lost in a crash" if lost else ""
    sources = sorted(set(spending["prices"].values()))
    limits = ", ".join(f"{name} {most:,}" for name, most in spending["budget"].items())
    return [
        words,
        *([f"prices   from {' and '.join(sources)}"] if sources else []),
        *([f"budget   {limits}"] if limits else []),
    ]


def _arms(report: Mapping[str, Any]) -> Table:
    view = grid(["arm", ">right", ">95 %", "", ">calls", ">tokens"])
    own = {
        "accuracy": report["accuracy"],
        "interval": report["interval"],
        "calls_per_question": report["calls_per_question"],
        "tokens": report["tokens"]["input"] + report["tokens"]["output"],
    }
    rows = {"": own, **report["arms"]}
    ends = scale([row["interval"] for row in rows.values()])
    for name, row in rows.items():
        view.add_row(
            ARMS.get(name, name) or f"this run: {report['pipeline']}",
            percent(row["accuracy"]),
            ends_of(row["interval"]),
            whisker(row["accuracy"], row["interval"], ends),
            f"{row['calls_per_question']:.2f}",
            count(row["tokens"]),
            style="" if name else "bold",
        )
    return view


def _groups(groups: Mapping[str, Any], name: str, *, most: int | None = None) -> Table:
    ranked = sorted(groups.items(), key=lambda pair: (-pair[1]["n"], pair[0]))
    shown = dict(sorted(ranked[:most]))
    view = grid([name, ">n", ">right", ">95 % interval", ""])
    for label, row in shown.items():
        view.add_row(
            label,
            f"{row['n']:,}",
            percent(row["accuracy"]),
            ends_of(row["interval"]),
            whisker(row["accuracy"], row["interval"], (0.0, 1.0)),
        )
    if len(shown) < len(ranked):
        view.add_row(Text(f"and {len(ranked) - len(shown)} more", style="dim"))
    return view


def _seats(report: Mapping[str, Any]) -> Table:
    view = grid(["expert", ">calls", ">share of calls", ">gave no answer", ">tokens"])
    tokens = report["tokens"]["generate"]
    ranked = sorted(report["seats"].items(), key=lambda pair: (-pair[1]["calls"], pair[0]))
    for name, row in ranked:
        spent = tokens.get(name, {"input": 0, "output": 0})
        view.add_row(
            name,
            f"{row['calls']:,}",
            percent(row["calls"] / max(report["calls"], 1)),
            percent(row["absent"] / max(row["calls"], 1)),
            count(spent["input"] + spent["output"]),
        )
    return view


def _absences(report: Mapping[str, Any]) -> list[RenderableType]:
    return [
        heading("Absent answers"),
        Text(f"decisions     {reasons(report['absent'])}"),
        Text(f"single calls  {reasons(report['seat_absent'])}"),
    ]


def _confidence(report: Mapping[str, Any]) -> list[RenderableType]:
    told = report["confidence"]
    if not told["n"]:
        return []
    view = grid([">confidence", ">said", ">was right", ">n"])
    for each in told["reliability"]:
        view.add_row(
            f"{100 * each['low']:.0f} – {100 * each['high']:.0f} %",
            percent(each["confidence"]),
            percent(each["accuracy"]),
            f"{each['n']:,}",
        )
    line = (
        f"expected calibration error {percent(told['ece'])}, Brier score {told['brier']:.3f}, "
        f"fitted on {told['fitted_on']:,} profiled questions"
    )
    return [heading("Confidence"), Text(line), Text(""), view]
