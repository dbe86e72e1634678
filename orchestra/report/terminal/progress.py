"""How far a run is: a bar in terminals, a line of text in notebooks, lines where output is kept.

Something is seen within a second, and moves from then on, whatever the work is busy with.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import repeat

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from orchestra.errors import visible
from orchestra.pipeline import Progress
from orchestra.report.terminal.console import Terminal

_PAUSE = 0.1
"""Seconds between two updates of a bar: an update costs more than a replayed call."""
_LINE_PAUSE = 0.5
"""Seconds between two updates of a line of text, which is written over the last."""
_FIRST, _LONGEST = 0.6, 30.0
"""Seconds to the first of several lines, and the most between two; each wait is twice the last."""


@contextmanager
def progress_bar(console: Console | None = None, first: str = "starting") -> Iterator[Progress]:
    """Show progress on a console.

    Args:
        console: by default standard error.
        first: what is done until the first stage reports; a stage that expects 0 has no count.
    """
    console = console or Terminal(stderr=True)
    if console.is_jupyter and find_spec("ipywidgets") is None:
        with _told(_rewritten, first, repeat(_LINE_PAUSE), ends=True) as progress:
            yield progress
        print(file=sys.stderr)
    elif console.is_terminal or console.is_jupyter:
        with _bars(console, first) as progress:
            yield progress
    else:
        say = partial(console.print, markup=False, soft_wrap=True)
        pauses = (min(_FIRST * 2**count, _LONGEST) for count in range(1_000_000))
        with _told(say, first, pauses) as progress:
            yield progress


@contextmanager
def _bars(console: Console, first: str) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {first: bars.add_task(first, total=None, count="")}
        due = 0.0

        def update(stage: str, done: int, expected: int) -> None:
            nonlocal due
            now = time.monotonic()
            if stage in tasks and now < due and done != expected:
                return
            due = now + _PAUSE
            count = f"{done:,}/{expected:,}" if expected else ""
            if stage not in tasks:
                for endless in [each for each in bars.tasks if each.total is None]:
                    bars.remove_task(endless.id)
                    del tasks[endless.description]
                tasks[stage] = bars.add_task(stage, total=expected or None, count=count)
            bars.update(tasks[stage], completed=done, total=expected or None, count=count)

        yield update


@contextmanager
def _told(
    say: Callable[[str], None], first: str, pauses: Iterable[float], *, ends: bool = False
) -> Iterator[Progress]:
    """Words about the latest report, said by a thread of its own.

    Work that keeps the interpreter busy for long has no time to report; and a notebook shows only
    what threads say that were started by its own cell. With `ends`, the first words and the last
    are said in any case.
    """
    latest, began, ended = (first, 0, 0), time.monotonic(), threading.Event()

    def update(stage: str, done: int, expected: int) -> None:
        nonlocal latest
        latest = stage, done, expected

    def tell() -> None:
        stage, done, expected = latest
        count = f" {done:,} of {expected:,}" if expected else ""
        say(f"{stage}{count}, {time.monotonic() - began:.0f} s")

    def speak() -> None:
        for pause in pauses:
            if ended.wait(pause):
                return
            tell()

    if ends:
        tell()
    speaker = threading.Thread(target=speak, name="orchestra-progress", daemon=True)
    speaker.start()
    try:
        yield update
    finally:
        ended.set()
        speaker.join()
        if ends:
            tell()


def _rewritten(words: str) -> None:
    print(f"\r{visible(words)}", end="   ", file=sys.stderr, flush=True)
