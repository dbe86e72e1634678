"""How far a run is: a bar in terminals and notebooks, a line of text where no bar can be drawn."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from orchestra.pipeline import Progress
from orchestra.report.terminal.console import Terminal

_PAUSE = 0.1
"""Seconds between two updates of a bar: an update costs more than a replayed call."""
_LINE_PAUSE = 0.5
"""Seconds between two updates of a line of text."""


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Progress]:
    """Show progress on a console, by default standard error; show nothing where nobody looks."""
    console = console or Terminal(stderr=True)
    if console.is_jupyter and find_spec("ipywidgets") is None:
        with _line() as progress:
            yield progress
    elif console.is_terminal or console.is_jupyter:
        with _bars(console) as progress:
            yield progress
    else:
        yield lambda stage, done, expected: None


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {"": bars.add_task("starting", total=None)}
        due = 0.0

        def update(stage: str, done: int, expected: int) -> None:
            nonlocal due
            now = time.monotonic()
            if now < due and done != expected:
                return
            due = now + _PAUSE
            if "" in tasks:
                bars.remove_task(tasks.pop(""))
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=expected)
            bars.update(tasks[stage], completed=done, total=expected)

        yield update


@contextmanager
def _line() -> Iterator[Progress]:
    due = 0.0

    def update(stage: str, done: int, expected: int) -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due or done == expected:
            due = now + _LINE_PAUSE
            print(f"\r{stage} {done:,} of {expected:,}", end="   ", file=sys.stderr, flush=True)

    print("starting", end="   ", file=sys.stderr, flush=True)
    yield update
    print(file=sys.stderr)
