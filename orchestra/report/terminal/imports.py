"""What was imported from other tools, beside what their files state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.evals.importers.gather import Accuracy, Imports
from orchestra.evals.importers.logs import Stated
from orchestra.report.format import counted
from orchestra.report.terminal.layout import Grid, Line

_SHOWN = 20


def imported_data(
    found: Imports, accuracy: Mapping[str, Accuracy], written: Sequence[Path]
) -> dict[str, Any]:
    """Everything that was found, as plain data."""
    return {
        "formats": dict(found.formats),
        "questions": len(found.items),
        "gold": sum(item.gold is not None for item in found.items),
        "models": {
            model: {**asdict(each), "accuracy": _told(accuracy[model])}
            for model, each in found.models.items()
        },
        "stated": [asdict(each) for each in found.stated],
        "notes": list(found.notes),
        "written": [str(path) for path in written],
    }


def _told(accuracy: Accuracy) -> dict[str, Any] | None:
    if not accuracy.n:
        return None
    interval = [round(accuracy.interval.low, 6), round(accuracy.interval.high, 6)]
    share = round(accuracy.right / accuracy.n, 6)
    return {"accuracy": share, "interval": interval, "n": accuracy.n, "absent": accuracy.absent}


def imported_view(
    found: Imports, accuracy: Mapping[str, Accuracy], written: Sequence[Path]
) -> RenderableType:
    """Formats and sizes, a row for each model, notes, and what was written."""
    formats = ", ".join(f"{counted(n, 'file')} of {name}" for name, n in found.formats.items())
    gold = sum(item.gold is not None for item in found.items)
    size = f"{counted(len(found.items), 'question')}, {gold:,} with a gold answer"
    view = Grid(["model", ">answers", ">right", "95 %", ">absent", ">stated", "by"])
    for model, each in found.models.items():
        stated = [one for one in found.stated if one.model == model]
        view.add_row(model, f"{each.samples:,}", *_ours(accuracy[model]), *_theirs(stated))
    notes = [Line(f"note: {words}") for words in found.notes[:_SHOWN]]
    if len(found.notes) > _SHOWN:
        notes.append(Line(f"note: and {len(found.notes) - _SHOWN} more; `--json` has all"))
    return Group(
        Line(formats, "bold"),
        Line(size),
        Text(""),
        view,
        *notes,
        *(Line(f"wrote {path}", "bold green") for path in written),
    )


def _ours(accuracy: Accuracy) -> Iterator[str]:
    if not accuracy.n:
        yield from ("", "", "")
        return
    low, high = 100 * accuracy.interval.low, 100 * accuracy.interval.high
    yield f"{100 * accuracy.right / accuracy.n:.1f} %"
    yield f"{low:.1f} – {high:.1f}"
    yield f"{100 * accuracy.absent / accuracy.n:.1f} %"


def _theirs(stated: Sequence[Stated]) -> Iterator[str]:
    """The largest figure of the log, and what it is called; parts are weighed by their size."""
    names = dict.fromkeys(one.metric for one in stated)
    if not names:
        yield from ("", "")
        return
    best = max(names, key=lambda name: _mean([s for s in stated if s.metric == name]))
    yield f"{100 * _mean([s for s in stated if s.metric == best]):.1f} %"
    yield best if len(names) == 1 else f"{best} (of {len(names)})"


def _mean(stated: Sequence[Stated]) -> float:
    weights = [one.n or 1 for one in stated]
    return sum(w * one.value for w, one in zip(weights, stated, strict=True)) / sum(weights)
