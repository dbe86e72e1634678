"""`orchestra advise`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.evals import advise, keep_advice, load_dataset, recorded_experts
from orchestra.pipeline import WorkerPool
from orchestra.report import advice_view, page
from orchestra.runs import write_whole


class _Given(options.Output):
    recordings: tuple[Path, ...]
    items: Path
    read: str
    seed: int | None
    out: Path | None


@click.command("advise")
@click.option(
    "--recordings",
    type=options.PATH,
    required=True,
    multiple=True,
    metavar="FILE",
    help="Answers of models: .parquet or .jsonl. May be repeated.",
)
@click.option(
    "--items",
    type=options.PATH,
    required=True,
    metavar="FILE",
    help="The questions with their right answers.",
)
@click.option(
    "--read",
    default="stated",
    show_default=True,
    metavar="RULES",
    help="The rules that read answers: stated, lenient, official or strict.",
)
@options.seed
@click.option(
    "--out",
    "-o",
    type=options.PATH,
    metavar="DIR",
    help="Keep roster, recruitment table, items, figures and a run there, to go on with.",
)
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Say what a mixture of models would gain, from answers that are there already.

    Profiles the models on one half of the questions and replays every shipped pipeline that needs
    no new call on the other half, beside the best single model, random ones and a majority. Says
    which models can go, and how many questions it takes to see the gain.
    """
    screen = Screen.of(given)
    workers = WorkerPool(report=screen.note)
    with screen.progress("load questions") as progress:
        found = advise(
            recorded_experts(given["recordings"]),
            load_dataset(given["items"]),
            seed=given["seed"] or 0,
            read=given["read"],
            workers=workers,
            progress=progress,
        )
        if given["out"] is not None:
            facts = {"command": options.command_line(), **options.project_details()}
            done = keep_advice(
                found, given["out"], workers=workers, details=facts, progress=progress
            )
            html = given["out"] / "run" / "report.html"
            write_whole(html, page(done.report, found.table).encode())
    screen.show(found.to_dict(), advice_view(found.content))
    if given["out"] is not None:
        screen.note(f"wrote {given['out']}: roster.yaml, table.json, items.jsonl and a run")
