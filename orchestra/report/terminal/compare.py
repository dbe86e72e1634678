"""Two runs, or a run and its marks by other rules, for a terminal and as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.evals import Comparison, Reread, Standing
from orchestra.report.format import band, percent, points, probability, reasons
from orchestra.report.terminal.layout import Grid, Line, heading

_FLIPS = 10
"""Most question ids that are listed."""


def comparison_data(whole: Comparison, groups: Mapping[str, Comparison]) -> dict[str, Any]:
    """A comparison as plain data, `by_category` without the single flips."""
    parts = {name: asdict(each) for name, each in groups.items()}
    for part in parts.values():
        del part["flips"]
    return {**asdict(whole), "flips": list(whole.flips), "by_category": parts}


def comparison_view(
    names: tuple[str, str], whole: Comparison, groups: Mapping[str, Comparison]
) -> RenderableType:
    """Headline, the whole and each category, and the questions on which the two differ."""
    a, b = names
    excludes = whole.interval.low > 0 or whole.interval.high < 0
    verdict = "the interval excludes no difference" if excludes else "no difference can be shown"
    view = Grid(["category", ">n", ">A", ">B", ">A - B", ">95 % interval", ">A only", ">B only"])
    for name, part in {"all": whole, **groups}.items():
        view.add_row(
            name,
            f"{part.n:,}",
            percent(part.accuracy_a),
            percent(part.accuracy_b),
            points(part.difference),
            _range(part),
            f"{part.wins:,}",
            f"{part.losses:,}",
            style="bold" if name == "all" else "",
        )
    more = "" if len(whole.flips) <= _FLIPS else f" and {len(whole.flips) - _FLIPS:,} more"
    return Group(
        Line(a, label="A  "),
        Line(b, label="B  "),
        Text(""),
        Line(
            f"A is {points(whole.difference)} points ({_range(whole)}, 95 %) on "
            f"{whole.n:,} questions: {verdict}",
            "bold",
        ),
        Line(
            f"only A right {whole.wins:,}, only B right {whole.losses:,}, "
            f"McNemar p {probability(whole.p)}"
        ),
        Text(""),
        view,
        Text(""),
        Line(f"flips: {', '.join(whole.flips[:_FLIPS]) or 'none'}{more}", "dim"),
    )


def _range(comparison: Comparison) -> str:
    return f"{points(comparison.interval.low)} to {points(comparison.interval.high)}"


def reread_data(reread: Reread) -> dict[str, Any]:
    """Marks by other rules as plain data."""
    return {
        "rule": reread.rule,
        "before": _standing(reread.before),
        "after": _standing(reread.after),
        "gained": list(reread.gained),
        "lost": list(reread.lost),
        "unasked": reread.unasked,
        "experts": {
            name: {"before": _standing(a), "after": _standing(b)}
            for name, (a, b) in reread.experts.items()
        },
    }


def reread_view(reread: Reread) -> RenderableType:
    """Decisions before and after, then each expert's calls."""
    view = Grid(["", ">n", ">before", ">after", ">change", ">absent before", ">after"])
    rows = {"decisions": (reread.before, reread.after), **reread.experts}
    for name, (a, b) in rows.items():
        view.add_row(
            name,
            f"{b.n:,}",
            percent(a.accuracy),
            percent(b.accuracy),
            points(b.accuracy - a.accuracy),
            f"{sum(a.absent.values()):,}",
            f"{sum(b.absent.values()):,}",
            style="bold" if name == "decisions" else "",
        )
    ends = reread.after.interval
    lines = [
        Line(f"read by `{reread.rule}`, nothing generated", "bold"),
        Line(
            f"{percent(reread.after.accuracy)} right ({band((ends.low, ends.high))}, 95 %); "
            f"{len(reread.gained):,} questions gained, {len(reread.lost):,} lost"
        ),
        Line(f"absent decisions now: {reasons(reread.after.absent)}"),
    ]
    if reread.unasked:
        words = f"{reread.unasked:,} reserves that these rules need were never asked"
        lines.append(Line(words, "yellow"))
    return Group(*lines, heading("Before and after"), view)


def _standing(score: Standing) -> dict[str, Any]:
    return {
        "n": score.n,
        "accuracy": round(score.accuracy, 6),
        "interval": [round(score.interval.low, 6), round(score.interval.high, 6)],
        "absent": dict(score.absent),
    }
