"""A red team's report for a terminal: what to choose first, then a table for each attack.

Knows the content of its `report.json` and nothing of how it was computed. Attacks whose figures
are the same to the last one share a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestra.report.format import band, counted, percent, points
from orchestra.report.terminal.layout import grid, heading

Cell = Mapping[str, Any]


@dataclass(frozen=True)
class AttackResult:
    """One attack, or several that came out alike."""

    attacks: tuple[str, ...]
    meaning: str
    """What the first of them does; of an honest panel, that nobody lies."""
    faults: tuple[int, ...]
    """Numbers of liars, in rising order."""
    cells: Mapping[tuple[str, int], Cell]
    """(defence, number of liars) -> its figures."""
    warnings: tuple[str, ...] = ()
    """Where they were not made, and why."""

    @property
    def title(self) -> str:
        """The names of the attacks."""
        return ", ".join(self.attacks) if self.tried else "honest panel"

    @property
    def about(self) -> str:
        """What is done, and by which of several that came out alike."""
        several = self.tried and len(self.attacks) > 1
        return f"{self.attacks[0]}: {self.meaning}" if several else self.meaning

    @property
    def tried(self) -> bool:
        """Whether it was tried with any liars."""
        return any(self.faults)


def attack_results(report: Mapping[str, Any]) -> list[AttackResult]:
    """The attacks in the order of the report; those that came out alike are one."""
    found: dict[str, AttackResult] = {}
    for name in report["attacks"]:
        rows = [cell for cell in report["cells"] if cell["attack"] == name]
        told = repr([{**cell, "attack": ""} for cell in rows])
        warned = _misfires(report, name)
        if told in found:
            before = found[told]
            both = dict.fromkeys([*before.warnings, *warned])
            found[told] = replace(before, attacks=(*before.attacks, name), warnings=tuple(both))
            continue
        faults = tuple(sorted({cell["faults"] for cell in rows}))
        found[told] = AttackResult(
            (name,),
            report["meanings"].get(name, "") if any(faults) else "Nobody lies.",
            faults,
            {(cell["defence"], cell["faults"]): cell for cell in rows},
            tuple(warned),
        )
    return list(found.values())


def _misfires(report: Mapping[str, Any], attack: str) -> list[str]:
    told = report.get("misfires", {}).get(attack, {})
    return [f"warning: with {liars_there(int(n))}, {words}" for n, words in told.items()]


def redteam_view(report: Mapping[str, Any]) -> RenderableType:
    """Everything that matters of a red team, for a terminal."""
    parts: list[RenderableType] = [_headline(report), *_recommendation(report)]
    for result in attack_results(report):
        reach = reach_words(result)
        parts += [heading(result.title), Text(result.about, "dim")]
        parts += [Text(reach, "dim")] if reach else []
        parts += [*(Text(each, "bold red") for each in result.warnings), _table(report, result)]
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
    text.append(
        f"{counted(report['n'], 'question')}, {counted(len(report['experts']), 'expert')}, "
        f"{counted(report['seeds'], 'draw')} of the liars\n"
    )
    text.append(f"{report['protocol']}; seed {report['seed']}", style="dim")
    return text


def recommendation_lines(report: Mapping[str, Any]) -> list[str]:
    """What to choose and why, in a few sentences."""
    told = report["recommendation"]
    if told["defence"] is None:
        lines = [f"warning: {told['reason']}"]
    else:
        lines = [*_reasons(report, told), *_promises(report)]
    if told.get("left_out"):
        lines.append(f"warning: rests on nothing of {', '.join(told['left_out'])}: no lie was told")
    return [*lines, *([f"warning: {told['warning']}"] if told["warning"] else [])]


def _reasons(report: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[str]:
    """Why that way is recommended."""
    if told["attack"] is not None:
        n = f"{counted(report['n'], 'question')}, {counted(report['seeds'], 'seed')}"
        yield (
            f"worst of these attacks: {told['attack']} by {told['faults']}, "
            f"{percent(told['accuracy'])} right ({band(told['interval'])}), {lost_words(told)} "
            f"than the same panel without its liars ({n})"
        )
    price, ends = told["price"], told["price_interval"]
    yield (
        f"on an honest panel: {percent(told['honest'])} right; price {points(price)} points "
        f"(95 % interval {points(ends[0])} to {points(ends[1])}) below "
        f"`{report['honest']['best_undefended']}`, the best that trusts everybody"
    )
    if told["guaranteed"] is not None and told["declared"]:
        yield (
            f"guaranteed against {liars_words(told['declared'])}, whatever they do: "
            f"{percent(told['guaranteed'])} of the answers of the honest panel"
        )


def _promises(report: Mapping[str, Any]) -> Iterator[str]:
    """How many certificates broke, over all ways and attacks; those that came out alike, once."""
    cells = [
        cell
        for result in attack_results(report)
        for (_, faults), cell in result.cells.items()
        if faults and cell["certificate"] is not None
    ]
    if not cells:
        return
    broken = sum(cell["certificate"]["violated"] for cell in cells)
    made = [cell["certificate"].get("promised") for cell in cells]
    if not any(each != 0 for each in made):
        yield "certificates broken: none, for no answer was guaranteed against these liars"
        return
    among = "" if None in made else f" of {sum(made):,}"
    words = f"certificates broken: {broken:,}{among}, of all votes under all attacks"
    yield f"warning: {words}: none should be" if broken else f"{words}, as it should be"


def lost_words(told: Mapping[str, Any]) -> str:
    """`3.1 points less`, of a loss."""
    return f"{abs(100 * told['loss']):.1f} points {'less' if told['loss'] >= 0 else 'more'}"


def _recommendation(report: Mapping[str, Any]) -> list[RenderableType]:
    told = report["recommendation"]
    title = Text(f"\nagainst {liars_words(told['declared'])}: ", style="bold")
    if told["defence"] is None:
        title.append("no recommendation", style="bold red")
    else:
        title.append(told["defence"], style="bold green")
        title.append(f"  (--set {told['setting']})", style="dim")
    lines = recommendation_lines(report)
    return [title, *(Text(f"  {line}", "bold red" * line.startswith("warning")) for line in lines)]


def liars_words(count: int) -> str:
    """`up to 2 liars`."""
    return {0: "no liar", 1: "one liar"}.get(count, f"up to {count} liars")


def liars_there(count: int) -> str:
    """`2 liars`, of exactly so many."""
    return "one liar" if count == 1 else counted(count, "liar")


def _table(report: Mapping[str, Any], result: AttackResult) -> Table:
    last = result.faults[-1]
    columns = [f">{each}" for each in result.faults]
    view = grid(["liars", *columns, ">lost", ">planted", ">RR", ">DCR", ">named"])
    for name in report["defences"]:
        cell = result.cells[name, last]
        view.add_row(
            name,
            *(_bare(result.cells[name, each]["accuracy"]) for each in result.faults),
            points(cell["loss"]),
            _bare(cell["planted"]),
            _bare(cell["recovery"]),
            _bare(cell["corruption"]),
            named_words(cell),
            style="bold" if name == report["recommendation"]["defence"] else "",
        )
    removed = [result.cells[report["defences"][0], each]["liars_removed"] for each in result.faults]
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


def reach_words(result: AttackResult) -> str:
    """On how many questions anybody lied, and how many live lies are what was planted; nothing
    where nobody was to lie."""
    if not result.tried:
        return ""
    last = result.faults[-1]
    cell = next(cell for (_, faults), cell in result.cells.items() if faults == last)
    if cell.get("liars_seated") == 0:
        return "no liar got a seat: recruiting leaves them out"
    words = (
        f"with {liars_there(last)}, somebody lies on {percent(cell['attacked'])} of the questions"
    )
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
