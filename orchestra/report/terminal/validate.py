"""The facts, warnings and errors of each checked file, for a terminal and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.evals import Checked
from orchestra.report.format import counted
from orchestra.report.terminal.layout import Line, fact


def checked_data(files: Sequence[Checked]) -> dict[str, Any]:
    """Every file with its facts, warnings and errors, and how many errors there are."""
    return {
        "errors": sum(len(file.errors) for file in files),
        "warnings": sum(len(file.warnings) for file in files),
        "files": [_data(file) for file in files],
    }


def _data(file: Checked) -> dict[str, Any]:
    return {
        "path": file.path,
        "kind": file.kind,
        "sound": not file.errors,
        "facts": dict(file.facts),
        "warnings": list(file.warnings),
        "errors": [
            {"message": error.message, "place": error.place, "hint": error.hint}
            for error in file.errors
        ],
    }


def converted_data(source: Checked, target: Path) -> dict[str, Any]:
    """What was read, and where the items are."""
    return {**_data(source), "to": str(target), "items": source.facts["questions"]}


def converted_view(source: Checked, target: Path) -> RenderableType:
    """A few lines on what was read, then where the items are."""
    done = f"wrote {source.facts['questions']:,} items to {target}"
    return Group(*_lines(source), Line(done, "bold green"))


def checked_view(files: Sequence[Checked]) -> RenderableType:
    """A few lines for each file, then the count."""
    errors = sum(len(file.errors) for file in files)
    wrong = counted(errors, "error") if errors else "nothing wrong"
    total = f"{counted(len(files), 'file')}, {wrong}"
    lines = (line for file in files for line in _lines(file))
    return Group(*lines, Line(total, "bold red" if errors else "bold green"))


def _lines(file: Checked) -> Iterator[RenderableType]:
    verdict = ("wrong", "red") if file.errors else ("sound", "green")
    yield Line(Text.assemble((file.path, "bold"), (f"  {file.kind}  ", "dim"), verdict))
    for name, value in file.facts.items():
        yield fact(f"  {name}", _words(value), width=19)
    for warning in file.warnings:
        yield Line(f"warning: {warning}", "yellow", label="  ")
    for error in file.errors:
        yield Line(f"error: {error}", "red", label="  ")
    yield Text("")


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {number}" for name, number in value.items()) or "–"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return str(value) if value != "" else "–"
