"""What a mixture would gain, for a terminal, from the content of `advice.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from orchestra.report.format import count, counted, ends_of, independence, percent, points, scale
from orchestra.report.terminal.layout import Grid, Line, Whisker, heading


def advice_view(advice: Mapping[str, Any]) -> RenderableType:
    """The verdict, one table of all ways to answer, the experts, and what else is to know."""
    return Group(
        Line(advice["verdict"], "bold"),
        Line(f"{advice['protocol']}; seed {advice['seed']}", "dim"),
        heading("Ways to answer the same questions"),
        _arms(advice),
        Line(
            "gain: points over single-best, the expert that is best on the profile, with the "
            "paired 95 % interval; oracle: right if any expert is right",
            "dim",
        ),
        heading("Experts"),
        _experts(advice),
        *(Line(words, label="- ") for words in _findings(advice)),
    )


def _arms(advice: Mapping[str, Any]) -> Grid:
    view = Grid(["way", ">right", ">95 %", "~", ">gain", ">95 %", ">calls", ">tokens"])
    ends = scale([row["interval"] for row in advice["arms"]])
    for row in advice["arms"]:
        gain = row["gain"]
        view.add_row(
            f"{row['name']}: {advice['best_single']}" if gain is None else row["name"],
            percent(row["accuracy"]),
            ends_of(row["interval"]),
            Whisker(row["accuracy"], row["interval"], ends),
            "" if gain is None else points(gain["value"]),
            ""
            if gain is None
            else f"{points(gain['interval'][0])} to {points(gain['interval'][1])}",
            f"{row['calls']:.2f}",
            "" if row["tokens"] is None else count(row["tokens"]),
            style="bold" if row["name"] == advice["chosen"] else "",
        )
    return view


def _experts(advice: Mapping[str, Any]) -> Grid:
    view = Grid(["expert", ">right", ">95 %", ">no answer", ">asked", ">adds", ">95 %", ""])
    adds = {row["name"]: row for row in advice["contributions"]}
    drop = advice["drop"] or {"experts": (), "never_asked": ()}
    gone = {*drop["experts"], *drop["never_asked"]}
    used = [row for row in advice["experts"] if row["used"]]
    for row in sorted(used, key=lambda row: -row["accuracy"]):
        silent = 1 - row["readable"] / row["answered"] if row["answered"] else None
        share = adds.get(row["name"])
        view.add_row(
            row["name"],
            percent(row["accuracy"]),
            ends_of(row["interval"]),
            percent(silent),
            percent(0.0 if share is None else share["asked"], 0) if advice["drop"] else "",
            "" if share is None else points(share["shapley"]["value"]),
            "" if share is None else _range(share["shapley"]["interval"]),
            "can go" * (row["name"] in gone),
        )
    return view


def _findings(advice: Mapping[str, Any]) -> Iterator[str]:
    """What else there is to know, as sentences."""
    asked = advice["questions"]
    for name, words in (
        ("without_gold", "have no gold answer and were left out"),
        ("not_common", "were not answered by every expert that is compared, and were left out"),
    ):
        if asked[name]:
            yield f"{asked[name]:,} of {counted(asked['given'], 'question')} {words}"
    for row in advice["not_replayed"]:
        yield (
            f"`{row['name']}` was not tried: it needs {counted(row['calls'], 'new call')} on "
            f"{counted(row['questions'], 'question')}"
        )
    others = [row["name"] for row in advice["experts"] if not row["used"]]
    if others:
        yield (
            f"{counted(len(others), 'expert')} left out, who answered too few of these questions: "
            + ", ".join(others)
        )
    silent = [row["name"] for row in advice["experts"] if row["answered"] and not row["readable"]]
    if silent:
        yield (
            f"no answer can be read of {', '.join(silent)}: look at its texts, or try other rules "
            "with `--read`"
        )
    if advice["drop"] is not None:
        yield from _counts(advice)


def _counts(advice: Mapping[str, Any]) -> Iterator[str]:
    drop, ceiling, power = advice["drop"], advice["ceiling"], advice["power"]
    margin = f"{100 * drop['margin']:.1f} points"
    mixture = f"the vote of `{advice['chosen']}`"
    if drop["never_asked"]:
        words = counted(len(drop["never_asked"]), "expert")
        yield f"{words} that `{advice['chosen']}` never asks can go"
    if drop["experts"]:
        low, high = drop["loss"]["interval"]
        yield (
            f"can go at no loss: {', '.join(drop['experts'])}; without all of them {mixture} "
            f"changes by {points(-drop['loss']['value'])} points ({_range([-high, -low])}, 95 % on "
            f"{counted(drop['n'], 'question')}), a loss of less than {margin}"
        )
    else:
        yield f"no expert that is asked can go for certain at a loss below {margin} of {mixture}"
    yield (
        f"asked: how often `{advice['chosen']}` asks the expert; adds: its share of the accuracy "
        "of that vote, in points (Shapley)"
    )
    wrong = ceiling["all_wrong"]
    yield (
        f"all experts are wrong on {percent(wrong['value'])} of the questions "
        f"({ends_of(wrong['interval'])}): no vote and no router can be right there"
    )
    panel = advice["panel"]
    yield independence(panel["experts"], panel["worth"])
    yield from _power(power)


def _power(power: Mapping[str, Any]) -> Iterator[str]:
    needed, least = power["needed"], power["least"]
    if least is None:
        yield f"no difference can be shown with {counted(power['n'], 'question')}"
    else:
        yield (
            f"{counted(power['n'], 'question')} show a difference of {100 * least:.1f} points in "
            "four of five cases"
        )
    if needed is not None:
        yield f"a difference as large as the one seen takes {counted(needed, 'question')}"


def _range(ends: Sequence[float]) -> str:
    return " to ".join(map(points, ends))
