"""Experts by skills: the cells of a recruitment table for a page, and their view in a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestra.errors import raise_all, unknown
from orchestra.report.format import counted, independence, reasons
from orchestra.report.terminal.layout import Grid, Line
from orchestra.skills import Beliefs, RecruitmentTable, Tally, agreement

_WIDEST = 14
"""Characters of the widest column; longer names are folded."""
_NARROWEST = 7
_NAME = 30


@dataclass(frozen=True, slots=True)
class Cell:
    """The estimate of one expert on one skill."""

    estimate: float
    """Expected share right of the questions seen, in (0, 1)."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end."""
    tally: Tally


@dataclass(frozen=True)
class HeatMap:
    """Cells in the order they are shown: experts best first, skills with most evidence first."""

    experts: tuple[str, ...]
    skills: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]
    """(expert, skill) -> cell."""
    overall: Mapping[str, Cell]
    absent: Mapping[str, Mapping[str, int]]
    """Expert -> reason -> how many."""
    hidden: int
    """Skills that the table has and that are not shown."""
    questions: int
    panel: float
    """Effective number of independent votes."""

    @property
    def seen(self) -> list[int]:
        """For each skill, the most questions that any expert was asked."""
        return [
            max(self.cells[name, skill].tally.seen for name in self.experts)
            for skill in self.skills
        ]

    def head(self, most: int) -> HeatMap:
        """The same map with at most the first `most` skills."""
        left_out = max(len(self.skills) - most, 0)
        return replace(self, skills=self.skills[:most], hidden=self.hidden + left_out)


def heat_map(table: RecruitmentTable, *, skills: Sequence[str] = ()) -> HeatMap:
    """The cells of some skills; without any named, of all.

    Raises:
        InputError: a skill is not in the table.
    """
    raise_all([unknown("skill", each, table.skills) for each in skills if each not in table.skills])
    seen = {
        skill: max(table.tally(name, skill).seen for name in table.experts)
        for skill in table.skills
    }
    shown = tuple(sorted(set(skills or table.skills), key=lambda each: (-seen[each], each)))
    by_skill, whole = _ends(table.beliefs), _ends(table.global_beliefs)
    row = {name: i for i, name in enumerate(table.experts)}
    column = {name: i for i, name in enumerate(table.skills)}
    overall = {n: Cell(*whole[i][0], table.tally(n)) for n, i in row.items()}
    return HeatMap(
        experts=tuple(sorted(table.experts, key=lambda n: (-overall[n].estimate, row[n]))),
        skills=shown,
        cells={
            (name, skill): Cell(*by_skill[i][column[skill]], table.tally(name, skill))
            for name, i in row.items()
            for skill in shown
        },
        overall=overall,
        absent={name: table.absences(name) for name in table.experts},
        hidden=len(table.skills) - len(shown),
        questions=len(table.briefs),
        panel=agreement(table).effective_size,
    )


def fitting(shown: HeatMap, width: int) -> HeatMap:
    """The map with as many skills as fit beside the experts' names in `width` characters."""
    return shown.head(len(next(_blocks(shown, width), ())))


def heat_map_data(shown: HeatMap) -> dict[str, Any]:
    """The map as plain data, experts best first."""
    return {
        "questions": shown.questions,
        "effective_panel": round(shown.panel, 4),
        "skills": list(shown.skills),
        "experts": {
            name: {
                **_plain(shown.overall[name]),
                "absent_by_reason": dict(shown.absent[name]),
                "skills": {skill: _plain(shown.cells[name, skill]) for skill in shown.skills},
            }
            for name in shown.experts
        },
    }


def heat_map_view(shown: HeatMap, *, width: int = 80, path: str = "TABLE") -> RenderableType:
    """The map for a terminal: an overall table, then skills in blocks that fit `width`.

    `path` is the table's file, for the command that shows hidden skills.
    """
    title = Line(f"{shown.questions:,} profiled questions\n", "bold")
    parts: list[RenderableType] = [title, _overall(shown)]
    for skills in _blocks(shown, width):
        parts += [Text(""), _block(shown, skills)]
    lines = [
        "percent right of the questions seen, ± half the 95 % interval; absent is not right",
        independence(len(shown.experts), shown.panel),
    ]
    if shown.hidden:
        command = f"orchestra table {shlex.quote(path)}"
        lines.append(f"{counted(shown.hidden, 'more skill')}: `{command} --all`, or `--skill NAME`")
    return Group(*parts, Text(""), *(Line(line, "dim") for line in lines))


def _plain(cell: Cell) -> dict[str, Any]:
    return {
        "estimate": round(cell.estimate, 4),
        "interval": [round(cell.low, 4), round(cell.high, 4)],
        "correct": cell.tally.correct,
        "seen": cell.tally.seen,
        "absent": cell.tally.absent,
    }


def _ends(beliefs: Beliefs) -> list[list[tuple[float, float, float]]]:
    """Estimate, low and high, by row and column."""
    grids = (beliefs.mean, beliefs.quantile(0.025), beliefs.quantile(0.975))
    return [
        list(zip(*rows, strict=True))
        for rows in zip(*(grid.tolist() for grid in grids), strict=True)
    ]


def _blocks(shown: HeatMap, width: int) -> Iterator[tuple[str, ...]]:
    block: list[str] = []
    room = whole = width - _names(shown) - 2
    for skill in shown.skills:
        if block and room < _width(skill):
            yield tuple(block)
            block, room = [], whole
        block.append(skill)
        room -= _width(skill) + 2
    if block:
        yield tuple(block)


def _names(shown: HeatMap) -> int:
    """Characters of the experts' column; longer names fold."""
    return min(max((cell_len(name) for name in (*shown.experts, "questions")), default=0), _NAME)


def _width(skill: str) -> int:
    """Characters of a skill's column: its longest word, within reason."""
    longest = max((cell_len(word) for word in skill.split()), default=0)
    return min(max(longest, _NARROWEST), _WIDEST)


def _overall(shown: HeatMap) -> Grid:
    view = Grid(["expert", ">overall", ">right", ">seen", "absent"])
    for name in shown.experts:
        cell = shown.overall[name]
        counts = (f"{cell.tally.correct:,}", f"{cell.tally.seen:,}")
        view.add_row(name, _words(cell), *counts, reasons(shown.absent[name]))
    return view


def _block(shown: HeatMap, skills: Sequence[str]) -> Table:
    view = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    view.add_column("expert", width=_names(shown), vertical="bottom", overflow="fold")
    for skill in skills:
        width = _width(skill)
        view.add_column(skill, justify="right", width=width, vertical="bottom", overflow="fold")
    for name in shown.experts:
        view.add_row(name, *(_words(shown.cells[name, skill]) for skill in skills))
    seen = replace(shown, skills=tuple(skills)).seen
    view.add_row("questions", *map(str, seen), style="dim")
    return view


def _words(cell: Cell) -> Text:
    """`46 ±9` on a ground that is the darker the better; `none` where there is no evidence."""
    if not cell.tally.seen:
        return Text("none", style="dim")
    half = (cell.high - cell.low) / 2
    words = f"{100 * cell.estimate:>2.0f} ±{100 * half:<2.0f}"
    level = round(255 - 175 * min(max((cell.estimate - 0.1) / 0.8, 0.0), 1.0))
    ink = "black" if level > 150 else "white"
    return Text(words, style=f"{ink} on rgb({level},{min(level + 25, 255)},255)")
