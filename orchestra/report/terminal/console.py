"""The one door to terminals: what is printed there is data, never markup or a command.

Rich draws styles with escape sequences of its own; those in data are made visible, and brackets
in data stay brackets.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from orchestra.errors import visible


class Terminal(Console):
    """A console for views that hold data of others.

    Args:
        file: where it writes; by default standard output.
        options: those of `rich.console.Console`.
    """

    def __init__(self, file: IO[str] | None = None, **options: Any) -> None:
        super().__init__(file=file, markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as it is: no markup, no emoji codes, no escape sequences."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of a renderable; every part of a view passes here."""
        if (
            isinstance(renderable, Text)
            and (plain := visible(renderable.plain)) != renderable.plain
        ):
            renderable = renderable.copy()
            renderable.plain = plain
        return super().render(renderable, options)


def plain(view: RenderableType, *, width: int = 100) -> str:
    """A view as text without styles, lines without blanks at their ends."""
    file = StringIO()
    Terminal(file, width=width).print(view)
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().splitlines())
