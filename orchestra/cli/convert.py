"""`orchestra convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.errors import InputError
from orchestra.evals import described, load_dataset, write_items
from orchestra.report import converted_data, converted_view


class _Given(options.Output):
    source: Path
    target: Path


@click.command("convert")
@click.argument("source", metavar="IN", type=options.PATH)
@click.argument("target", metavar="OUT", type=options.PATH)
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Turn questions as people write them into items.

    IN is .csv, .tsv, .jsonl, .ndjson, .json or .parquet, OUT .jsonl, .csv or .parquet. Prints
    which columns were taken for what, which were not used, and what looks wrong. The options of
    GPQA and other sets with the right answer in a column of its own are shuffled, always in
    the same way.
    """
    screen = Screen.of(given)
    source, target = given["source"], given["target"]
    if target.exists() and source.exists() and target.samefile(source):
        hint = "name another file for the items"
        raise InputError("IN and OUT are one file", place=str(target), hint=hint)
    items = load_dataset(source)
    write_items(target, items)
    found = described(source, items)
    screen.show(converted_data(found, target), converted_view(found, target))
