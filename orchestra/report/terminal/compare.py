"""Two readings or two runs side by side, for a terminal and as plain data.

Knows Comparisons and Rereads from `evals`; computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.evals import Comparison, Reread, Standing
from orchestra.report.format import band, percent, points, probability, reasons
from orchestra.report.terminal.layout import grid, heading

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
    """Headline, the whole and each category, and where the two differ."""
    a, b = names
    if whole.interval.low > 0 or whole.interval.high < 0:
        verdict = "the interval excludes no difference"
    else:
        verdict = "no difference can be told"
    view = grid(["category", ">n", ">A", ">B", ">A - B", ">95 % interval", ">A only", ">B only"])
    for name, each in {"all": whole, **groups}.items():
        ends = f"{points(each.interval.low)} to {points(each.interval.high)}"
        view.add_row(
            name,
            f"{each.n:,}",
            percent(each.accuracy_a),
            percent(each.accuracy_b),
            points(each.difference),
            ends,
            f"{each.wins:,}",
            f"{each.losses:,}",
            style="bold" if name == "all" else "",
        )
    more = "" if len(whole.flips) <= _FLIPS else f" and {len(whole.flips) - _FLIPS:,} more"
    return Group(
        Text(f"A  {a}"),
        Text(f"B  {b}"),
        Text(""),
        Text(
            f"A is {points(whole.difference)} points ({points(whole.interval.low)} to "
            f"{points(whole.interval.high)}, 95 %) on {whole.n:,} questions: {verdict}",
            style="bold",
        ),
        Text(
            f"only A right {whole.wins:,}, only B right {whole.losses:,}, "
            f"McNemar p {probability(whole.p)}"
        ),
        Text(""),
        view,
        Text(""),
        Text(f"flips: {', '.join(whole.flips[:_FLIPS]) or 'none'}{more}", style="dim"),
    )


def reread_data(found: Reread) -> dict[str, Any]:
    """Another reading as plain data."""
    return {
        "rule": found.rule,
        "before": _standing(found.before),
        "after": _standing(found.after),
        "gained": list(found.gained),
        "lost": list(found.lost),
        "unasked": found.unasked,
        "experts": {
            name: {"before": _standing(a), "after": _standing(b)}
            for name, (a, b) in found.experts.items()
        },
    }


def reread_view(found: Reread) -> RenderableType:
    """Decisions before and after, then each expert's calls."""
    view = grid(["", ">n", ">before", ">after", ">change", ">absent before", ">after"])
    rows = {"decisions": (found.before, found.after), **found.experts}
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
    ends = found.after.interval
    lines = [
        Text(f"read by `{found.rule}`, nothing generated", style="bold"),
        Text(
            f"{percent(found.after.accuracy)} right ({band((ends.low, ends.high))}, 95 %); "
            f"{len(found.gained):,} questions gained, {len(found.lost):,} lost"
        ),
    ]
    lines.append(Text(f"absent decisions now: {reasons(found.after.absent)}"))
    if found.unasked:
        lines.append(
            Text(
                f"{found.unasked:,} reserves that this reading would turn to were never asked",
                style="yellow",
            )
        )
    return Group(*lines, heading("Before and after"), view)


def _standing(each: Standing) -> dict[str, Any]:
    ends = each.interval
    return {
        "n": each.n,
        "accuracy": round(each.accuracy, 6),
        "interval": [round(ends.low, 6), round(ends.high, 6)],
        "absent": dict(each.absent),
    }
