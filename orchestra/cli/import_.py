"""`orchestra import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.evals import load_dataset, recorded_experts, write_items
from orchestra.evals.importers.gather import Imports, import_results
from orchestra.report import imported_data, imported_view
from orchestra.roster import yaml_text
from orchestra.runs import write_whole


class _Given(options.Output):
    paths: tuple[Path, ...]
    to: Path
    items: Path | None
    roster: Path | None
    format: str | None
    on: Path | None
    data: Path | None


@click.command("import")
@click.argument("paths", metavar="PATH...", type=options.PATH, nargs=-1, required=True)
@click.option(
    "--to",
    type=options.PATH,
    required=True,
    metavar="RECORDINGS",
    help="The file of answers to write (.parquet).",
)
@click.option(
    "--items", type=options.PATH, help="Write the questions there (.jsonl, .csv or .parquet)."
)
@click.option("--roster", type=options.PATH, help="Write an expert for each model there (YAML).")
@click.option(
    "--format", metavar="NAME", help="The format of the files; told by content if absent."
)
@options.on(False, words="The questions, where the files do not hold them.")
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Turn results of other tools into recordings, items and a roster.

    PATH is a file or a folder that is searched: results of lm-evaluation-harness, Inspect, HELM,
    lighteval, MMLU-Pro and ZeroEval, outputs of OpenAI batches and of `vllm run-batch`, tables of
    answers. Texts are taken, not the letters that a tool read in them; what the files state is
    shown beside our own reading. `orchestra profile` and `run` then need nothing else.
    """
    screen = Screen.of(given)
    with screen.progress("read results"):
        on = given["on"] and load_dataset(given["on"], data=given["data"])
        found = import_results(given["paths"], given["to"], format=given["format"], on=on)
        accuracy = found.accuracy()
    if given["items"] is not None:
        write_items(given["items"], found.items)
    if given["roster"] is not None:
        write_whole(given["roster"], yaml_text(_roster(found, given["roster"])).encode())
    written = [each for each in (given["to"], given["items"], given["roster"]) if each is not None]
    screen.show(imported_data(found, accuracy, written), imported_view(found, accuracy, written))


def _roster(found: Imports, at: Path) -> dict[str, Any]:
    """The roster as its file has it, with the recordings' path from where it stands."""
    target = found.recordings.resolve()
    folder = at.resolve().parent
    where = target.relative_to(folder) if target.is_relative_to(folder) else target
    return {
        "schema": 1,
        "defaults": {"worker": "recorded", "recordings": str(where)},
        "experts": [
            {"name": each.name, "model": each.model} for each in recorded_experts([target])
        ],
    }
