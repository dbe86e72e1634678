"""`orchestra advise`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.errors import InputError
from orchestra.evals import Dataset, advise, keep_advice, load_dataset, recorded_experts
from orchestra.evals.advise_files import ADVICE_FILES
from orchestra.evals.importers.gather import import_results
from orchestra.pipeline import WorkerPool
from orchestra.report import advice_view, page
from orchestra.runs import claim_folder, write_whole


class _Given(options.Output):
    paths: tuple[Path, ...]
    format: str | None
    recordings: tuple[Path, ...]
    items: Path | None
    read: str
    seed: int | None
    out: Path | None


@click.command("advise")
@click.argument("paths", metavar="[PATH]...", type=options.PATH, nargs=-1)
@click.option(
    "--format", metavar="NAME", help="The format of the files; told by content by default."
)
@click.option(
    "--recordings",
    type=options.PATH,
    multiple=True,
    metavar="FILE",
    help="Answers of models: .parquet or .jsonl. May be repeated.",
)
@click.option(
    "--items",
    type=options.PATH,
    metavar="FILE",
    help="The questions with their right answers; needed where the files do not hold them.",
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

    PATH is a file or a folder of results of other tools, as `orchestra import` takes them;
    `--recordings` and `--items` are files of our own.

    Profiles the models on one half of the questions and replays every shipped pipeline that needs
    no new call on the other half, beside the best single model, random ones and a majority. Says
    which models can go, and how many questions it takes to see the gain.
    """
    screen = Screen.of(given)
    workers = WorkerPool(report=screen.note)
    with TemporaryDirectory() as folder, screen.progress("load questions") as progress:
        recordings, items = _answers(given, Path(folder), screen)
        found = advise(
            recorded_experts(recordings),
            items,
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


def _answers(given: _Given, folder: Path, screen: Screen) -> tuple[list[Path], Dataset]:
    """The recordings, and the questions that they answer; what is imported stays in `--out`."""
    recordings, items = list(given["recordings"]), given["items"]
    if given["paths"]:
        if given["out"] is not None:
            claim_folder(given["out"], ADVICE_FILES, hint="choose another --out")
        where = (given["out"] or folder) / "recordings.parquet"
        found = import_results(given["paths"], where, format=given["format"], on=items)
        for words in found.notes:
            screen.note(words)
        return [*recordings, where], found.items
    if not recordings or items is None:
        hint = "`orchestra advise RESULTS...`, or `--recordings FILE --items FILE`"
        raise InputError("there are no answers to compare", hint=hint)
    return recordings, load_dataset(items)
