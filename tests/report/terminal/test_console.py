"""Data is shown as data: no escape sequence, markup or emoji code of a model reaches a terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestra.errors import visible
from orchestra.report import Terminal, plain
from orchestra.report.terminal.layout import Grid, Line, fact, heading

HOSTILE = [
    ("\x1b[2J", "␛[2J"),
    ("\x1b]0;title\x07", "␛]0;title"),
    ("\x1b]52;c;aGk=\x1b\\", "␛]52;c;aGk=␛\\"),
    ("\x9b2J", "�2J"),
    ("\x9d0;t\x9c", "�0;t�"),
    ("a\x00b", "a␀b"),
    ("a\x7fb", "a␡b"),
    ("\u202eabc\u202c", "�abc�"),
    ("half \ud835", "half �"),
    ("[0,1) and [/b]", "[0,1) and [/b]"),
    ("algebra [easy]", "algebra [easy]"),
    ("print(a[i])", "print(a[i])"),
    ("[/x]", "[/x]"),
    ("[link=file:///x]y[/link]", "[link=file:///x]y[/link]"),
    (":smile: :warning:", ":smile: :warning:"),
    ("\\[bold]", "\\[bold]"),
]


def views(text: str) -> list[RenderableType]:
    """Every way in which a view can hold a text."""
    grid = Grid(["name", ">figure", text])
    grid.add_row(text, text, Text(text))
    table = Table(text, title=text)
    table.add_row(text)
    table.add_row(Text(text))
    return [
        text,
        Text(text),
        Text.assemble("a ", (text, "bold")),
        Line(text),
        Line(Text(text), label=text),
        heading(text),
        fact(text, text),
        grid,
        table,
        Group(text, Text(text)),
    ]


@pytest.mark.parametrize(("data", "shown"), HOSTILE)
def test_every_view_shows_data_as_it_is(data: str, shown: str) -> None:
    for view in views(data):
        assert shown in plain(view, width=200), type(view)


@given(st.text(st.characters(min_codepoint=0, max_codepoint=0x2070), max_size=12))
def test_no_character_that_a_terminal_obeys_is_printed(data: str) -> None:
    for view in views(data):
        printed = plain(view, width=60)
        assert visible(printed) == printed


def test_own_styles_are_still_drawn() -> None:
    out = io.StringIO()
    Terminal(out, force_terminal=True, color_system="standard", width=40).print(Text("x", "bold"))
    assert out.getvalue() == "\x1b[1mx\x1b[0m\n"
