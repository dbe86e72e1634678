"""Runs side by side, or a run and its marks by other rules, for a terminal and as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.evals import Comparison, Item, Pair, Power, Reread, Standing, power_of
from orchestra.records import Mark
from orchestra.report.format import band, percent, points, probability, reasons
from orchestra.report.terminal.layout import Grid, Line, heading

_FLIPS = 10
"""Most question ids that are listed."""
_SHOWN, _ANSWER = 160, 24
"""Most characters of a question, and of an answer."""


Flips = tuple[Mapping[str, Mapping[str, Mark]], Mapping[str, Item], int]
"""Run -> its marks by question id; question id -> question; how many flips are shown."""


def comparison_data(whole: Comparison, groups: Mapping[str, Comparison]) -> dict[str, Any]:
    """A comparison as plain data, `by_category` without the single flips."""
    parts = {name: each.to_dict() for name, each in groups.items()}
    for part in parts.values():
        del part["flips"]
    return {**whole.to_dict(), "flips": list(whole.flips), "by_category": parts}


def comparisons_data(
    pairs: Sequence[Pair], groups: Mapping[str, Comparison], *, flips: Flips
) -> dict[str, Any]:
    """Comparisons of each two runs as plain data; of two runs alone, the comparison itself."""
    shown = _flipped(pairs, flips)
    listed = {"flip_questions": shown} if flips[2] else {}
    if len(pairs) > 1:
        rows = [
            {**pair.to_dict(), "flips": list(pair.comparison.flips), "power": _power(pair)}
            for pair in pairs
        ]
        return {"runs": list(flips[0]), "pairs": rows, **listed}
    [pair] = pairs
    whole = comparison_data(pair.comparison, groups)
    return {"run_a": pair.a, "run_b": pair.b, **whole, "power": _power(pair), **listed}


def _power(pair: Pair) -> dict[str, Any]:
    return power_of(pair.comparison).to_dict()


def _flipped(pairs: Sequence[Pair], flips: Flips) -> list[dict[str, Any]]:
    """The first questions that some runs get right and others do not."""
    marks, items, most = flips
    differ = sorted({each for pair in pairs for each in pair.comparison.flips})
    return [
        {
            "question_id": each,
            "category": items[each].question.category,
            "question": items[each].question.text,
            "gold": items[each].gold,
            "values": {name: row[each].value for name, row in marks.items() if each in row},
            "outcomes": {
                name: row[each].outcome.value for name, row in marks.items() if each in row
            },
        }
        for each in differ[:most]
    ]


def comparisons_view(
    pairs: Sequence[Pair], groups: Mapping[str, Comparison], *, flips: Flips
) -> RenderableType:
    """Of two runs headline, the whole and each category; of more each two in a row; then flips."""
    letters = {name: _letter(place) for place, name in enumerate(flips[0])}
    names = [Line(name, label=f"{letter}  ") for name, letter in letters.items()]
    parts = _two(pairs[0], groups) if len(pairs) == 1 else _many(pairs, letters)
    rows = _flipped(pairs, flips)
    if not rows:
        return Group(*names, Text(""), *parts)
    view = Grid(["question", "category", "gold", *letters.values()])
    for row in rows:
        view.add_row(
            row["question_id"],
            row["category"],
            str(row["gold"]),
            *(_said(row, name) for name in letters),
        )
    texts = [
        Line(" ".join(row["question"].split())[:_SHOWN], label=f"{row['question_id']}  ")
        for row in rows
    ]
    return Group(*names, Text(""), *parts, heading("Questions that flip"), view, Text(""), *texts)


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else f"R{place + 1}"


def _said(row: Mapping[str, Any], name: str) -> str:
    """What a run answered, with a sign for right."""
    outcome = row["outcomes"].get(name)
    sign = {"correct": "+", "wrong": "-", "absent": "o"}.get(outcome or "", "")
    return f"{sign} {row['values'].get(name) or ''}".strip()[:_ANSWER]


def _two(pair: Pair, groups: Mapping[str, Comparison]) -> list[RenderableType]:
    whole = pair.comparison
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
    return [
        Line(
            f"A is {points(whole.difference)} points ({_range(whole)}, 95 %) on "
            f"{whole.n:,} questions: {verdict}",
            "bold",
        ),
        Line(
            f"only A right {whole.wins:,}, only B right {whole.losses:,}, "
            f"McNemar p {probability(whole.p)}"
        ),
        Line(power_words(power_of(whole)), "dim"),
        Text(""),
        view,
        Text(""),
        Line(f"flips: {', '.join(whole.flips[:_FLIPS]) or 'none'}{more}", "dim"),
    ]


def _many(pairs: Sequence[Pair], letters: Mapping[str, str]) -> list[RenderableType]:
    view = Grid(
        [
            "pair",
            ">n",
            ">first",
            ">second",
            ">points",
            ">95 % interval",
            ">flips",
            ">p",
            ">p (Holm)",
        ]
    )
    for pair in pairs:
        each = pair.comparison
        view.add_row(
            f"{letters[pair.a]} - {letters[pair.b]}",
            f"{each.n:,}",
            percent(each.accuracy_a),
            percent(each.accuracy_b),
            points(each.difference),
            _range(each),
            f"{each.wins:,} : {each.losses:,}",
            probability(each.p),
            probability(pair.adjusted),
            style="bold" if pair.adjusted < 0.05 else "",
        )
    closest = min(pairs, key=lambda pair: len(pair.comparison.flips))
    words = f"{letters[closest.a]} - {letters[closest.b]}, the most alike: "
    return [
        view,
        Line(
            "points: accuracy of the first less the second; p: McNemar, and adjusted for "
            f"{len(pairs)} pairs",
            "dim",
        ),
        Line(words + power_words(power_of(closest.comparison)), "dim"),
    ]


def power_words(power: Power) -> str:
    """How large a difference can be seen, and what a smaller one would take."""
    share = percent(power.discordance)
    if power.least is None:
        words = f"with {power.n:,} questions, {share} of them flips, no difference can be seen"
    else:
        words = (
            f"with {power.n:,} questions, {share} of them flips, a difference below "
            f"{100 * power.least:.1f} points is missed more often than in 1 of 5 samples"
        )
    smaller = [
        f"{100 * float(d):g} point{'' if float(d) == 0.01 else 's'} {needed:,}"
        for d, needed in power.needed.items()
        if needed is not None and needed > power.n
    ]
    return f"{words}; questions needed: {', '.join(smaller)}" if smaller else words


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
