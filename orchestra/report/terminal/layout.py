"""Pieces that several terminal reports share: headings, tables and intervals drawn in a line.

Knows shapes only; does not know what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

_LINE = 17


def heading(words: str) -> Text:
    """A heading with an empty line above it."""
    return Text(f"\n{words}", style="bold")


def grid(columns: Sequence[str]) -> Table:
    """A plain table; a column whose name begins with `>` is set to the right."""
    view = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        header_style="dim",
        padding=(0, 1, 0, 0),
    )
    for name in columns:
        right = name.startswith(">")
        view.add_column(
            name.lstrip(">"),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
        )
    return view


def whisker(
    value: float | None, interval: Sequence[float] | None, ends: tuple[float, float]
) -> Text:
    """`  ├──●──┤   `: a value and its interval on an axis with these ends."""
    if value is None or interval is None:
        return Text("")
    low, mid, high = (_cell(each, ends) for each in (interval[0], value, interval[1]))
    line = [" "] * _LINE
    line[low : high + 1] = ["─"] * (high + 1 - low)
    line[low], line[high] = "├", "┤"
    line[mid] = "●"
    return Text("".join(line), style="cyan")


def _cell(value: float, ends: tuple[float, float]) -> int:
    span = max(ends[1] - ends[0], 1e-9)
    return min(max(round((value - ends[0]) / span * (_LINE - 1)), 0), _LINE - 1)
