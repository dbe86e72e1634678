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
    on: Path | None
    data: Path | None


@click.command("export")
@click.argument("run", type=options.PATH)
@click.option("--what", type=click.Choice(list(WHAT)), required=True, help="The kind of rows.")
@click.option("--to", type=options.PATH, required=True, help="The file: .parquet, .jsonl or .csv.")
@options.on(False, words="The run's questions, if the file has moved.")
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Write a run's rows to a file for other tools.

    Lists (seats, votes) are lists in .parquet and .jsonl, and JSON in the cells of .csv.
    Decisions and answers come with question, category, gold and correct where the run's
    questions are still at their place and unchanged, or are given by --on.
    """
    screen = Screen.of(given)
    with screen.progress("export"), RunFolder.inspect(given["run"]) as view:
        if not view.finished:
            screen.note(
                f"the run is not finished ({view.manifest.status}): these are the rows so far"
            )
        rows = export(view, given["what"], given["to"], items=_items(view, given, screen))
    screen.show(
        {"run": str(given["run"]), "what": given["what"], "to": str(given["to"]), "rows": rows},
        f"wrote {rows:,} {given['what']} to {given['to']}",
    )


def _items(view: RunView, given: _Given, screen: Screen) -> tuple[Item, ...]:
    """The run's questions, where they are exported and at hand; InputError only with `--on`."""
    if given["what"] not in ("decisions", "answers"):
        return ()
    try:
        return items_of(view, given["on"], data=given["data"])
    except OrchestraError as error:
        if given["on"] is not None:
            raise
        screen.note(f"without question, category, gold and correct: {error}")
        return ()
