"""Parts that the terminal views share: headings, lines, tables, and intervals drawn in a line.

A line breaks between words, never inside a figure such as `49.7 – 52.0 %` or `3 liars`. In a
table that is too wide, headers and names fold, charts shrink or go, and the columns that still
do not fit continue in a second table; cells with figures never fold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from orchestra.errors import visible

_WHISKER = 17
_SHORT_WHISKER = 9
_SHORT_NAME = 12
"""Characters to which a column of names folds at most."""
_GAP = 2

_NUMBER = r"[-+±]?\$?\d++(?:[.,:/]\d++)*+"
_FIGURE = re.compile(
    rf"(?<![\w.]){_NUMBER}(?: (?:–|to|of) {_NUMBER})*(?: (?:%|[A-Za-z]+))?"
    rf"|\w+ {_NUMBER}(?=[,;:.)]|\s*$)",
    re.MULTILINE,
)
"""A number, or an interval, with its unit; or a name with its number, as in `seed 0`."""
_BLANK = "\ufdd0"
"""Stands for a blank inside a figure until the lines are broken. No text has this character. Rich
breaks lines at every kind of space, a non-breaking one too."""


def _joined(words: str | Text) -> Text:
    """The words, each figure without a blank at which a line may break."""
    text = words.copy() if isinstance(words, Text) else Text(visible(words))
    text.plain = _FIGURE.sub(lambda figure: figure[0].replace(" ", _BLANK), visible(text.plain))
    return text


class Line:
    """Words that take as many lines as they need.

    Args:
        words: the words, plain or styled.
        style: of all of them.
        label: stands before the first line; later lines begin under its end.
    """

    def __init__(self, words: str | Text, style: str = "", *, label: str = "") -> None:
        self._words, self._style, self._label = words, style, label

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - cell_len(self._label), _SHORT_NAME)
        text = _joined(self._words)
        text.stylize_before(self._style)
        label = self._label
        for line in text.wrap(console, width, overflow="fold"):
            line.plain = line.plain.replace(_BLANK, " ").rstrip()
            yield Text(label, self._style).append_text(line)
            label = " " * cell_len(label)


def heading(words: str) -> Line:
    """A heading with an empty line above it."""
    return Line(f"\n{words}", "bold")


def fact(name: str, words: str, *, width: int = 9) -> Line:
    """A named fact; the words of all facts begin in the same column."""
    return Line(words, label=f"{name:<{width}}")


@dataclass(frozen=True, slots=True)
class Whisker:
    """A value and its interval on an axis with these ends: `  ├──●──┤   `."""

    value: float | None
    interval: Sequence[float] | None
    ends: tuple[float, float]

    def drawn(self, width: int) -> Text:
        """The chart, `width` characters wide; empty without a value."""
        if self.value is None or self.interval is None:
            return Text("")
        low, middle, high = (
            self._cell(share, width) for share in (self.interval[0], self.value, self.interval[1])
        )
        line = [" "] * width
        line[low : high + 1] = ["─"] * (high + 1 - low)
        line[low], line[high] = "├", "┤"
        line[middle] = "●"
        return Text("".join(line), style="cyan")

    def _cell(self, value: float, width: int) -> int:
        span = max(self.ends[1] - self.ends[0], 1e-9)
        return min(max(round((value - self.ends[0]) / span * (width - 1)), 0), width - 1)


Cell = str | Text | Whisker


@dataclass(frozen=True, slots=True)
class _Column:
    """One column with its cells, and how narrow it may be."""

    name: str
    kind: str
    """`figures`, `names` or `chart`."""
    cells: tuple[Cell, ...]
    most: int
    """Its width where there is room."""
    least: int

    @classmethod
    def of(cls, name: str, cells: Sequence[Cell]) -> _Column:
        kind = {">": "figures", "~": "chart"}.get(name[:1], "names")
        name = name if kind == "names" else name[1:]
        if kind == "chart":
            return cls(name, kind, tuple(cells), _WHISKER, _SHORT_WHISKER)
        texts = [_joined(cell) for cell in cells if not isinstance(cell, Whisker)]
        cell = max((text.cell_len for text in texts), default=0)
        most = max(cell, cell_len(name))
        if kind == "names":
            words = (word for text in texts for word in text.plain.split())
            figure = max((cell_len(word) for word in words if _BLANK in word), default=0)
            return cls(name, kind, tuple(texts), most, min(most, max(_SHORT_NAME, figure)))
        word = max((cell_len(word) for word in name.split()), default=0)
        return cls(name, kind, tuple(texts), most, max(cell, word))


class Grid:
    """A plain table.

    Args:
        columns: names of the columns. One that begins with `>` holds figures and is set to the
            right; one that begins with `~` holds Whiskers.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._names = tuple(columns)
        self._rows: list[tuple[Cell, ...]] = []
        self._styles: list[str] = []

    def add_row(self, *cells: Cell, style: str = "") -> None:
        """Add a row; cells that are left out at its end are empty."""
        self._rows.append((*cells, *("",) * (len(self._names) - len(cells))))
        self._styles.append(style)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [
            _Column.of(name, [row[place] for row in self._rows])
            for place, name in enumerate(self._names)
        ]
        if _widths(columns, options.max_width) is None:
            columns = [column for column in columns if column.kind != "chart"]
        for number, block in enumerate(_blocks(columns, options.max_width)):
            if number:
                yield Text("")
            for segment in console.render(self._table(block, options.max_width), options):
                yield Segment(segment.text.replace(_BLANK, " "), segment.style, segment.control)

    def _table(self, columns: Sequence[_Column], room: int) -> Table:
        widths = _widths(columns, room) or [column.least for column in columns]
        view = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            show_edge=False,
            header_style="dim",
            padding=(0, 1, 0, 0),
        )
        for column, width in zip(columns, widths, strict=True):
            view.add_column(
                column.name,
                justify="right" if column.kind == "figures" else "left",
                width=width,
                overflow="fold",
            )
        for place, style in enumerate(self._styles):
            cells = (column.cells[place] for column in columns)
            view.add_row(
                *(
                    cell.drawn(width) if isinstance(cell, Whisker) else cell
                    for cell, width in zip(cells, widths, strict=True)
                ),
                style=style,
            )
        return view


def _widths(columns: Sequence[_Column], room: int) -> list[int] | None:
    """The width of each column; None where they do not fit."""
    widths = [column.most for column in columns]
    excess = sum(widths) + _GAP * (len(columns) - 1) - room
    for kind in ("figures", "chart", "names"):
        while excess > 0:
            wide = [
                (width, -place)
                for place, (column, width) in enumerate(zip(columns, widths, strict=True))
                if column.kind == kind and width > column.least
            ]
            if not wide:
                break
            widths[-max(wide)[1]] -= 1
            excess -= 1
    return widths if excess <= 0 else None


def _blocks(columns: Sequence[_Column], room: int) -> Iterator[list[_Column]]:
    """The columns in tables that fit, each with the first column."""
    first, *others = columns
    block = [first]
    for column in others:
        if len(block) > 1 and _widths([*block, column], room) is None:
            yield block
            block = [first]
        block.append(column)
    yield block
