"""`orchestra compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.evals import Item, compare, compare_groups, decision_marks, items_of, open_finished
from orchestra.records import Mark
from orchestra.report import comparison_data, comparison_view


class _Given(options.Output):
    run_a: Path
    run_b: Path
    on: Path | None
    data: Path | None
    force: bool


@click.command("compare")
@click.argument("run_a", type=options.PATH)
@click.argument("run_b", type=options.PATH)
@options.on(False, words="The runs' questions, if the file has moved.")
@click.option(
    "--force", is_flag=True, help="Compare runs on different questions, over those that both have."
)
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Compare two runs question by question.

    Prints wins and losses, the difference with its 95 % interval (paired bootstrap), the
    exact McNemar p, and the same by category.
    """
    screen = Screen.of(given)
    with screen.progress("compare"):
        a, items = _marks(given["run_a"], given)
        b, _ = _marks(given["run_b"], given)
        groups = {item.question.id: item.question.category for item in items}
        repeats = {item.question.id: item.cluster for item in items}
        whole = compare(a, b, repeats=repeats, force=given["force"])
        parts = compare_groups(a, b, groups, repeats=repeats)
    names = (str(given["run_a"]), str(given["run_b"]))
    data = {"run_a": names[0], "run_b": names[1], **comparison_data(whole, parts)}
    screen.show(data, comparison_view(names, whole, parts))


def _marks(run: Path, given: _Given) -> tuple[dict[str, Mark], tuple[Item, ...]]:
    """The run's marks, and its questions."""
    with open_finished(run) as view:
        items = items_of(view, given["on"], data=given["data"])
        return decision_marks(view, items), items
