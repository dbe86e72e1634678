"""`orchestra mark`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click
import orjson

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.evals import items_of, open_finished, reread
from orchestra.report import reread_data, reread_view
from orchestra.runs import write_whole


class _Given(options.Output):
    run: Path
    rule: str | None
    on: Path | None
    data: Path | None
    out: Path | None


@click.command("mark")
@click.argument("run", type=options.PATH)
@click.option(
    "--rule",
    metavar="NAME",
    help="The rules that read answers: stated, lenient, official, simple, ...",
)
@options.on(False, words="The run's questions, if the file has moved.")
@click.option("--out", "-o", type=options.PATH, help="Also write the result to this file, as JSON.")
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Mark a run again by other rules, without any call.

    Reads every text of the run again, counts the same votes and prints accuracy before and
    after, for the decisions and for each expert. The run itself is unchanged.
    """
    screen = Screen.of(given)
    with screen.progress("mark"), open_finished(given["run"]) as view:
        found = reread(view, items_of(view, given["on"], data=given["data"]), rule=given["rule"])
    data = reread_data(found)
    if given["out"] is not None:
        write_whole(given["out"], orjson.dumps(data, option=orjson.OPT_INDENT_2))
    screen.show(data, reread_view(found))
