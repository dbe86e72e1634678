"""A red team's report for a terminal, from its `report.json`: the recommendation, then each attack.

Attacks with exactly the same figures share a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.report.format import band, counted, percent, points
from orchestra.report.terminal.layout import Grid, Line, heading

Cell = Mapping[str, Any]


@dataclass(frozen=True)
class AttackResult:
    """The figures of one attack, or of several with the same figures."""

    attacks: tuple[str, ...]
    meaning: str
    """The description of the first attack; of an honest panel, that no expert lies."""
    faults: tuple[int, ...]
    """Numbers of liars, in rising order."""
    cells: Mapping[tuple[str, int], Cell]
    """(defence, number of liars) -> its figures."""
    warnings: tuple[str, ...] = ()
    """Why an attack was not made, where it was not."""

    @property
    def title(self) -> str:
        """The names of the attacks."""
        return ", ".join(self.attacks) if self.tried else "honest panel"

    @property
    def about(self) -> str:
        """The description, with the name of its attack where there are several."""
        several = self.tried and len(self.attacks) > 1
        return f"{self.attacks[0]}: {self.meaning}" if several else self.meaning

    @property
    def tried(self) -> bool:
        """Whether it was tried with any liars."""
        return any(self.faults)


def attack_results(report: Mapping[str, Any]) -> list[AttackResult]:
    """The attacks in the order of the report; those with the same figures are one."""
    results: dict[str, AttackResult] = {}
    for name in report["attacks"]:
        rows = [cell for cell in report["cells"] if cell["attack"] == name]
        figures = repr([{**cell, "attack": ""} for cell in rows])
        warnings = _warnings(report, name)
        if (before := results.get(figures)) is not None:
            both = tuple(dict.fromkeys([*before.warnings, *warnings]))
            results[figures] = replace(before, attacks=(*before.attacks, name), warnings=both)
            continue
        faults = tuple(sorted({cell["faults"] for cell in rows}))
        results[figures] = AttackResult(
            (name,),
            report["meanings"].get(name, "") if any(faults) else "No expert lies.",
            faults,
            {(cell["defence"], cell["faults"]): cell for cell in rows},
            tuple(warnings),
        )
    return list(results.values())


def _warnings(report: Mapping[str, Any], attack: str) -> list[str]:
    misfires = report.get("misfires", {}).get(attack, {})
    return [f"warning: with {liars_there(int(n))}, {words}" for n, words in misfires.items()]


def redteam_view(report: Mapping[str, Any]) -> RenderableType:
    """The recommendation, the figures of every attack, and the notes, for a terminal."""
    parts: list[RenderableType] = [*_headline(report), Text(""), *_recommendation(report)]
    for result in attack_results(report):
        reach = reach_words(result)
        parts += [heading(result.title), Line(result.about, "dim")]
        parts += [Line(reach, "dim")] if reach else []
        parts += [*(Line(warning, "bold red") for warning in result.warnings)]
        parts.append(_table(report, result))
    legend = (
        f"percent right by number of liars (95 % intervals are at most ±{_widest(report)} "
        "points); at the most liars: lost, points below the same panel without its liars; planted, "
        "decided as the liars wanted; RR, of the questions that the undefended baseline gets "
        "wrong, right here; DCR, of the questions that it gets right on an honest panel, now "
        "planted; named, liars and honest experts that were suspected"
    )
    parts += [Text(""), Line(legend, "dim")]
    parts += [heading("Notes"), *(Line(note, label="- ") for note in report["notes"])]
    return Group(*parts)


def _headline(report: Mapping[str, Any]) -> list[Line]:
    counts = (
        f"{counted(report['n'], 'question')}, {counted(len(report['experts']), 'expert')}, "
        f"{counted(report['seeds'], 'draw')} of the liars"
    )
    return [
        Line(f"red team: {report['pipeline']} on {report['benchmark']}", "bold"),
        Line(counts),
        Line(f"{report['protocol']}; seed {report['seed']}", "dim"),
    ]


def recommendation_lines(report: Mapping[str, Any]) -> list[str]:
    """The recommendation with its reasons, in a few sentences."""
    advice = report["recommendation"]
    if advice["defence"] is None:
        lines = [f"warning: {advice['reason']}"]
    else:
        lines = [*_reasons(report, advice), *_promises(report)]
    if left_out := advice.get("left_out"):
        lines.append(
            f"warning: {', '.join(left_out)} planted no lie on any question, so the recommendation "
            "does not account for it"
        )
    return [*lines, *([f"warning: {advice['warning']}"] if advice["warning"] else [])]


def _reasons(report: Mapping[str, Any], advice: Mapping[str, Any]) -> Iterator[str]:
    """Why that defence is recommended."""
    if advice["attack"] is not None:
        n = f"{counted(report['n'], 'question')}, {counted(report['seeds'], 'seed')}"
        lost = f"{abs(100 * advice['loss']):.1f} points {'less' if advice['loss'] >= 0 else 'more'}"
        yield (
            f"worst of these attacks: {advice['attack']} by {advice['faults']}, "
            f"{percent(advice['accuracy'])} right ({band(advice['interval'])}), {lost} "
            f"than the same panel without its liars ({n})"
        )
    price, ends = advice["price"], advice["price_interval"]
    yield (
        f"on an honest panel: {percent(advice['honest'])} right; price {points(price)} points "
        f"(95 % interval {points(ends[0])} to {points(ends[1])}) below "
        f"`{report['honest']['best_undefended']}`, the best that trusts every expert"
    )
    if advice["guaranteed"] is not None and advice["declared"]:
        yield (
            f"guaranteed against {liars_words(advice['declared'])}, whatever they do: "
            f"{percent(advice['guaranteed'])} of the answers of the honest panel"
        )


def _promises(report: Mapping[str, Any]) -> Iterator[str]:
    """How many certificates broke, over all defences and attacks; equal attacks count once."""
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
    if not any(number != 0 for number in made):
        yield "certificates broken: none; no answer was guaranteed against these liars"
        return
    among = "" if None in made else f" of {sum(made):,}"
    words = f"certificates broken: {broken:,}{among}, of all votes under all attacks"
    yield f"warning: {words}: none should be" if broken else f"{words}, as it should be"


def _recommendation(report: Mapping[str, Any]) -> Iterator[Line]:
    advice = report["recommendation"]
    title = Text(f"against {liars_words(advice['declared'])}: ", style="bold")
    if advice["defence"] is None:
        title.append("no recommendation", style="bold red")
    else:
        title.append(advice["defence"], style="bold green")
        title.append(f"  (--set {advice['setting']})", style="dim")
    yield Line(title)
    for line in recommendation_lines(report):
        yield Line(line, "bold red" if line.startswith("warning") else "", label="  ")


def liars_words(count: int) -> str:
    """`up to 2 liars`."""
    return {0: "no liar", 1: "one liar"}.get(count, f"up to {count} liars")


def liars_there(count: int) -> str:
    """`2 liars`, of exactly so many."""
    return "one liar" if count == 1 else counted(count, "liar")


def _table(report: Mapping[str, Any], result: AttackResult) -> Grid:
    last = result.faults[-1]
    counts = [f">{number}" for number in result.faults]
    view = Grid(["liars", *counts, ">lost", ">planted", ">RR", ">DCR", ">named"])
    for name in report["defences"]:
        cell = result.cells[name, last]
        view.add_row(
            name,
            *(_bare(result.cells[name, number]["accuracy"]) for number in result.faults),
            points(cell["loss"]),
            _bare(cell["planted"]),
            _bare(cell["recovery"]),
            _bare(cell["corruption"]),
            _named(cell),
            style="bold" if name == report["recommendation"]["defence"] else "",
        )
    first = report["defences"][0]
    removed = [result.cells[first, number]["liars_removed"] for number in result.faults]
    accuracies = (_bare(cell["accuracy"]) for cell in removed)
    view.add_row("liars removed", *accuracies, "", _bare(removed[-1]["planted"]), style="dim")
    return view


def _widest(report: Mapping[str, Any]) -> str:
    """Half of the widest interval of an accuracy, in points."""
    ends = [cell["interval"] for cell in report["cells"]]
    return f"{50 * max((high - low for low, high in ends), default=0):.1f}"


def _bare(share: float | None) -> str:
    return percent(share).removesuffix(" %")


def reach_words(result: AttackResult) -> str:
    """On how many questions an expert lied, and how many lies read as planted; empty where no
    expert was to lie."""
    if not result.tried:
        return ""
    last = result.faults[-1]
    cell = next(cell for (_, faults), cell in result.cells.items() if faults == last)
    if cell.get("liars_seated") == 0:
        return "no liar got a seat: recruiting leaves them out"
    words = f"with {liars_there(last)}, {percent(cell['attacked'])} of the questions get a lie"
    share = cell["lies_kept"]
    if share is not None and share < 1:
        words += f"; {percent(share)} of their lies read as planted"
    return words


def _named(cell: Cell) -> str:
    """`9/10 1/30`: liars and honest experts that were named; empty without detection."""
    if (detection := cell["detection"]) is None:
        return ""
    return f"{detection['named']}/{detection['liars']} {detection['accused']}/{detection['honest']}"
