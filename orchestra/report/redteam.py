"""A red team's report for a terminal: what to choose first, then a table for each attack.

Knows the content of its `report.json` and nothing of how it was computed. Attacks whose figures
are the same to the last one share a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestra.report.drawing import grid, heading
from orchestra.report.figures import band, percent, points

Cell = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """One attack, or several that came out alike."""

    attacks: tuple[str, ...]
    meaning: str
    """What the first of them does."""
    faults: tuple[int, ...]
    """Numbers of liars, in rising order."""
    cells: Mapping[tuple[str, int], Cell]
    """(defence, number of liars) -> its figures."""

    @property
    def title(self) -> str:
        """The names of the attacks."""
        return ", ".join(self.attacks)


def figures_of(report: Mapping[str, Any]) -> list[Figure]:
    """The attacks in the order of the report; those that came out alike are one."""
    found: dict[str, Figure] = {}
    for name in report["attacks"]:
        rows = [cell for cell in report["cells"] if cell["attack"] == name]
        told = repr([{**cell, "attack": ""} for cell in rows])
        if told in found:
            before = found[told]
            found[told] = Figure(
                (*before.attacks, name), before.meaning, before.faults, before.cells
            )
            continue
        found[told] = Figure(
            (name,),
            report["meanings"].get(name, ""),
            tuple(sorted({cell["faults"] for cell in rows})),
            {(cell["defence"], cell["faults"]): cell for cell in rows},
        )
    return list(found.values())


def redteam_view(report: Mapping[str, Any]) -> RenderableType:
    """Everything that matters of a red team, for a terminal."""
    parts: list[RenderableType] = [_headline(report), *_recommendation(report)]
    for figure in figures_of(report):
        parts += [heading(figure.title), Text(figure.meaning, "dim")]
        parts += [Text(reach_words(figure), "dim"), _table(report, figure)]
    legend = (
        f"percent right by number of liars (95 % intervals are at most ±{_widest(report)} "
        "points); at the most liars: lost, points below the same panel without its liars; planted, "
        "decided as the liars wanted; RR, of what the undefended way gets wrong, right here; DCR, "
        "of what it gets right on an honest panel, now planted; named, liars and honest experts "
        "that were suspected"
    )
    parts += [Text(""), Text(legend, "dim")]
    parts += [heading("Notes"), *(Text(f"- {note}") for note in report["notes"])]
    return Group(*parts)


def _headline(report: Mapping[str, Any]) -> Text:
    text = Text()
    text.append(f"red team: {report['pipeline']} on {report['benchmark']}\n", style="bold")
    seeds = f"{report['seeds']} draws of the liars"
    text.append(f"{report['n']:,} questions, {len(report['experts'])} experts, {seeds}\n")
    text.append(f"{report['protocol']}; seed {report['seed']}", style="dim")
    return text


def recommendation_lines(report: Mapping[str, Any]) -> list[str]:
    """What to choose and why, in a few sentences."""
    told = report["recommendation"]
    n = f"{report['n']:,} questions, {report['seeds']} seeds"
    lines = []
    if told["attack"] is not None:
        lines.append(
            f"worst of these attacks: {told['attack']} by {told['faults']}, "
            f"{percent(told['accuracy'])} right ({band(told['interval'])}), {lost_words(told)} "
            f"than the same panel without its liars ({n})"
        )
    price, ends = told["price"], told["price_interval"]
    lines.append(
        f"on an honest panel: {percent(told['honest'])} right; price {points(price)} points "
        f"(95 % interval {points(ends[0])} to {points(ends[1])}) below "
        f"`{report['honest']['best_undefended']}`, the best that trusts everybody"
    )
    if told["guaranteed"] is not None and told["declared"]:
        lines.append(
            f"guaranteed against {liars_words(told['declared'])}, whatever they do: "
            f"{percent(told['guaranteed'])} of the answers of the honest panel"
        )
    return [*lines, *([f"warning: {told['warning']}"] if told["warning"] else [])]


def lost_words(told: Mapping[str, Any]) -> str:
    """`3.1 points less`, of a loss."""
    return f"{abs(100 * told['loss']):.1f} points {'less' if told['loss'] >= 0 else 'more'}"


def _recommendation(report: Mapping[str, Any]) -> list[RenderableType]:
    told = report["recommendation"]
    title = Text(f"\nagainst {liars_words(told['declared'])}: ", style="bold")
    title.append(told["defence"], style="bold green")
    title.append(f"  (--set {told['setting']})", style="dim")
    return [title, *(Text(f"  {line}") for line in recommendation_lines(report))]


def liars_words(count: int) -> str:
    """`up to 2 liars`."""
    return {0: "no liar", 1: "one liar"}.get(count, f"up to {count} liars")


def _table(report: Mapping[str, Any], figure: Figure) -> Table:
    last = figure.faults[-1]
    columns = [f">{each}" for each in figure.faults]
    view = grid(["liars", *columns, ">lost", ">planted", ">RR", ">DCR", ">named"])
    for name in report["defences"]:
        cell = figure.cells[name, last]
        view.add_row(
            name,
            *(_bare(figure.cells[name, each]["accuracy"]) for each in figure.faults),
            points(cell["loss"]),
            _bare(cell["planted"]),
            _bare(cell["recovery"]),
            _bare(cell["corruption"]),
            named_words(cell),
            style="bold" if name == report["recommendation"]["defence"] else "",
        )
    removed = [figure.cells[report["defences"][0], each]["liars_removed"] for each in figure.faults]
    view.add_row(
        "liars removed",
        *(_bare(each["accuracy"]) for each in removed),
        "",
        _bare(removed[-1]["planted"]),
        style="dim",
    )
    return view


def _widest(report: Mapping[str, Any]) -> str:
    """Half of the widest interval of what is shown as right, in points."""
    ends = [cell["interval"] for cell in report["cells"]]
    return f"{50 * max((high - low for low, high in ends), default=0):.1f}"


def _bare(share: float | None) -> str:
    return percent(share).removesuffix(" %")


def reach_words(figure: Figure) -> str:
    """On how many questions anybody lied, and how many live lies are what was planted."""
    last = figure.faults[-1]
    cell = next(cell for (_, faults), cell in figure.cells.items() if faults == last)
    words = f"with {last} of them, somebody lies on {percent(cell['attacked'])} of the questions"
    kept = cell["lies_kept"]
    if kept is not None and kept < 1:
        words += f"; {percent(kept)} of what they say reads as planted"
    return words


def named_words(cell: Cell) -> str:
    """`9/10 1/30`: liars and honest experts that were named; empty for ways that name nobody."""
    told = cell["detection"]
    if told is None:
        return ""
    return f"{told['named']}/{told['liars']} {told['accused']}/{told['honest']}"
