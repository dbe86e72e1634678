"""`orchestra compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.errors import InputError
from orchestra.evals import (
    Item,
    compare_all,
    compare_groups,
    decision_marks,
    items_of,
    open_finished,
)
from orchestra.records import Mark
from orchestra.report import comparisons_data, comparisons_view


class _Given(options.Output):
    runs: tuple[Path, ...]
    on: Path | None
    data: Path | None
    flips: int
    force: bool


@click.command("compare")
@click.argument("runs", type=options.PATH, nargs=-1, required=True, metavar="RUN_A RUN_B...")
@options.on(False, words="The runs' questions, if the file has moved.")
@click.option(
    "--flips",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Show so many of the questions on which the runs differ, and who is right.",
)
@click.option(
    "--force", is_flag=True, help="Compare runs on different questions, over those that both have."
)
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Compare runs question by question.

    Of two runs: wins and losses, the difference with its 95 % interval (paired bootstrap),
    the exact McNemar p, and the same by category. Of more: each two, with p adjusted for the
    number of pairs (Holm). Says how large a difference so many questions can show.
    """
    screen = Screen.of(given)
    names = [str(run) for run in given["runs"]]
    if len(set(names)) < len(names) and len(names) > 2:
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError("the run stands twice among those to compare", place=twice)
    with screen.progress("compare"):
        read = [_marks(run, given) for run in given["runs"]]
        if len(names) == 2 and names[0] == names[1]:
            names[1] = f"{names[1]} (again)"
        marks = dict(zip(names, [found for found, _ in read], strict=False))
        items = {item.question.id: item for _, found in read for item in found}
        repeats = {each: item.cluster for each, item in items.items()}
        pairs = compare_all(marks, repeats=repeats, force=given["force"])
        groups = {each: item.question.category for each, item in items.items()}
        a, b, *more = marks.values()
        parts = {} if more else compare_groups(a, b, groups, repeats=repeats)
    listed = given["flips"]
    screen.show(
        comparisons_data(pairs, parts, flips=(marks, items, listed)),
        comparisons_view(pairs, parts, flips=(marks, items, listed)),
    )


def _marks(run: Path, given: _Given) -> tuple[dict[str, Mark], tuple[Item, ...]]:
    """The run's marks, and its questions."""
    with open_finished(run) as view:
        items = items_of(view, given["on"], data=given["data"])
        return decision_marks(view, items), items
