"""`orchestra export`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.errors import OrchestraError
from orchestra.evals import Item, items_of
from orchestra.report import WHAT, export
from orchestra.runs import RunFolder, RunView


class _Given(options.Output):
    run: Path
    what: str
    to: Path


@click.command("export")
@click.argument("run", type=options.PATH)
@click.option("--what", type=click.Choice(list(WHAT)), required=True, help="The kind of rows.")
@click.option("--to", type=options.PATH, required=True, help="The file: .parquet, .jsonl or .csv.")
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Write a run's rows to a file for other tools.

    Lists (seats, votes) are lists in .parquet and .jsonl, and JSON in the cells of .csv.
    Decisions come with question, category, gold and correct where the run's questions are
    still at their place and unchanged.
    """
    screen = Screen.of(given)
    with RunFolder.inspect(given["run"]) as view:
        rows = export(view, given["what"], given["to"], items=_items(view, given["what"]))
    screen.show(
        {"run": str(given["run"]), "what": given["what"], "to": str(given["to"]), "rows": rows},
        f"wrote {rows:,} {given['what']} to {given['to']}",
    )


def _items(view: RunView, what: str) -> tuple[Item, ...]:
    """The run's questions, where decisions are exported and the questions are at hand."""
    if what != "decisions":
        return ()
    try:
        return items_of(view)
    except OrchestraError:
        return ()
