"""`orchestra replay`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Unpack

import click
import orjson

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.evals import open_finished, replay
from orchestra.pipeline import WorkerPool
from orchestra.report import sweep_page, sweep_view
from orchestra.runs import claim_folder, write_whole


class _Given(options.Output):
    run: Path
    settings: tuple[str, ...]
    pipelines: tuple[str, ...]
    on: Path | None
    to: Path | None
    processes: int | None


@click.command("replay")
@click.argument("run", type=options.PATH)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="STAGE.OPTION=VALUE,...",
    help="Values to try for one option, such as route.seats=1,3,5. May be repeated: all "
    "combinations are tried.",
)
@click.option(
    "--pipelines",
    multiple=True,
    metavar="NAME,...",
    help="Pipeline files or names of shipped ones to try. Default: the run's own.",
)
@options.on(False, words="The run's questions, if the file has moved.")
@click.option(
    "--to", type=options.PATH, metavar="SWEEP", help="Write sweep.json and sweep.html there."
)
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    help="Processes that work at once. Default: one a core, at most four.",
)
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Try other settings on the generations of a finished run, without any call.

    Any router, vote, number of seats, rule that reads answers or defence is tried again on what
    the experts said, in all combinations. A variant that needs a generation that is not there is
    left out and listed. The winner is chosen on one half of the questions and measured on the
    other.
    """
    screen = Screen.of(given)
    with open_finished(given["run"]):  # before a folder is made
        pass
    if given["to"] is not None:
        claim_folder(given["to"], ("sweep.json", "sweep.html"), hint="choose another --to")
    with screen.progress("replay") as progress:
        found = replay(
            given["run"],
            given["settings"],
            pipelines=[each for names in given["pipelines"] for each in names.split(",")],
            on=given["on"],
            workers=WorkerPool(),
            processes=given["processes"] or min(os.cpu_count() or 1, 4),
            progress=progress,
        )
        if given["to"] is not None:
            progress("report", 0, 0)
            content = orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            write_whole(given["to"] / "sweep.json", content)
            write_whole(given["to"] / "sweep.html", sweep_page(found).encode())
            screen.note(f"wrote {given['to'] / 'sweep.json'} and sweep.html")
    screen.show(found, sweep_view(found))
