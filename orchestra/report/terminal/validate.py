"""What `check` found in each file, for a terminal and as plain data.

Knows Checked records from `evals`; checks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from orchestra.evals import Checked


def checked_data(found: Sequence[Checked]) -> dict[str, Any]:
    """Every file with its facts, warnings and errors, and how many errors there are."""
    return {
        "errors": sum(len(each.errors) for each in found),
        "warnings": sum(len(each.warnings) for each in found),
        "files": [
            {
                "path": each.path,
                "kind": each.kind,
                "sound": not each.errors,
                "facts": dict(each.facts),
                "warnings": list(each.warnings),
                "errors": [
                    {"message": error.message, "place": error.place, "hint": error.hint}
                    for error in each.errors
                ],
            }
            for each in found
        ],
    }


def checked_view(found: Sequence[Checked]) -> RenderableType:
    """A few lines for each file, then the count."""
    parts: list[RenderableType] = []
    for each in found:
        parts += [_title(each), *_lines(each)]
    errors = sum(len(each.errors) for each in found)
    total = f"{len(found)} files, " + (f"{errors} errors" if errors else "nothing wrong")
    return Group(*parts, Text(total, style="bold red" if errors else "bold green"))


def _title(each: Checked) -> Text:
    text = Text(each.path, style="bold")
    text.append(f"  {each.kind}  ", style="dim")
    text.append("wrong" if each.errors else "sound", style="red" if each.errors else "green")
    return text


def _lines(each: Checked) -> list[RenderableType]:
    lines = [Text(f"{name:<16} {_told(value)}") for name, value in each.facts.items()]
    lines += [Text(f"warning: {words}", style="yellow") for words in each.warnings]
    lines += [Text(f"error: {error}", style="red") for error in each.errors]
    return [*(Padding(line, (0, 0, 0, 2)) for line in lines), Text("")]


def _told(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {number}" for name, number in value.items()) or "–"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "–"
    return str(value) if value != "" else "–"
