"""Sections, tables and rows of a red team's page, as HTML text.

Knows how they are written and escaped; does not know what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

_CODE = re.compile(r"`([^`]+)`")
_WORDS = frozenset({"Defence", "Worst attack", "Liars", "Suspect", "Is a liar", "Evidence"})
"""Columns that hold no figures."""


def prose(words: str) -> str:
    """Words with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(words))


def section(title: str, about: str, head: str, rows: Iterable[str]) -> str:
    """A section with one table.

    Args:
        title: its heading.
        about: what the columns mean; code between backticks.
        head: from `heading_row`.
        rows: from `figures_row` or `words_row`, or written by the caller.
    """
    return (
        f'<section><h2>{escape(title)}</h2><p class="soft">{prose(about)}</p>'
        f'<div class="scroll"><table class="wide"><thead>{head}</thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def heading_row(names: Sequence[str], *, chart: str = "") -> str:
    """The names of the columns; where there are charts, their axis."""
    first, *others = names
    cells = "".join(f'<th scope="col"{_sided(each)}>{escape(each)}</th>' for each in others)
    drawn = f'<td class="chart">{chart}</td>' if chart else ""
    return f'<tr><th scope="col">{escape(first)}</th>{cells}{drawn}</tr>'


def _sided(name: str) -> str:
    return "" if name in _WORDS else ' class="number figure"'


def figures_row(first: str, *others: str, chart: str = "", own: bool = False) -> str:
    """A row of figures, and a chart of them; `own` is the one that is recommended."""
    cells = "".join(f'<td class="number">{escape(each)}</td>' for each in others)
    drawn = f'<td class="chart">{chart}</td>' if chart else ""
    kind = ' class="own"' if own else ""
    return f'<tr{kind}><th scope="row">{escape(first)}</th>{cells}{drawn}</tr>'


def words_row(first: str, *others: str) -> str:
    """A row of words."""
    cells = "".join(f"<td>{escape(each)}</td>" for each in others)
    return f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'
