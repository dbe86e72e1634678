"""What servers list, and which experts answer a tiny call, for a terminal and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.report.terminal.layout import Grid, Line
from orchestra.roster import Served
from orchestra.workers.live import LiveCheck

_EXCERPT = 40
"""Characters of a reply that are shown."""


def served_data(found: Served) -> dict[str, Any]:
    """The list of a server as plain data."""
    return {
        "base_url": found.base_url,
        "note": found.note,
        "models": [
            {
                "id": model.id,
                "context": model.context,
                "owner": model.owner or None,
                "base": model.base or None,
                "answers": not model.other_use,
                "other_use": model.other_use or None,
            }
            for model in found.models
        ],
    }


def served_view(found: Served) -> RenderableType:
    """A row for each model; columns that no model fills are left out."""
    rows = [
        {
            "model": model.id,
            ">context": f"{model.context:,}" if model.context else "",
            "owner": model.owner,
            "adapter of": model.base,
            "use": f"{model.other_use}: no expert" if model.other_use else "",
        }
        for model in found.models
    ]
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    view = Grid(names)
    for row in rows:
        view.add_row(*(row[name] for name in names))
    count = "1 model" if len(rows) == 1 else f"{len(rows):,} models"
    return Group(Line(f"{found.base_url}: {count}", "bold"), Text(""), view)


def live_data(found: Sequence[LiveCheck]) -> list[dict[str, Any]]:
    """Every call as plain data."""
    return [asdict(each) for each in found]


def live_view(found: Sequence[LiveCheck]) -> RenderableType:
    """A line for each expert, and what to do below those that are wrong."""
    return Group(*(line for each in found for line in _live(each)))


def _live(each: LiveCheck) -> Iterator[Line]:
    style = {"ok": "green", "wrong": "red", "not called": "dim"}[each.outcome]
    words = Text.assemble((each.expert, "bold"), "  ", (each.outcome, style))
    if each.outcome == "ok":
        text = " ".join(each.text.split())
        text = text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"
        words.append(f"  {1000 * each.seconds:,.0f} ms")
        words.append(f"  {text!r}" if text else "", "dim")
    yield Line(words)
    for detail in each.details:
        yield Line(detail, style if each.outcome == "wrong" else "dim", label="    ")
    if each.hint:
        yield Line(each.hint, label="    hint: ")
