"""`orchestra plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.questions import chosen
from orchestra.cli.screen import Screen
from orchestra.pipeline import Pipeline, foresee
from orchestra.pipeline.blocking import wait
from orchestra.report import forecast_data, forecast_view


class _Given(options.Output):
    pipeline: str
    roster: Path
    table: Path | None
    on: Path
    rows: str
    limit: int | None
    seed: int | None
    settings: tuple[str, ...]


@click.command("plan")
@click.argument("pipeline")
@options.roster
@options.table
@options.on(True)
@options.rows
@options.settings
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Foresee a run's calls, loads, tokens and money.

    PIPELINE is a file or the name of a shipped one. Prints seats by expert and batch,
    loads against serving question by question and against the lower bound, and
    estimates of tokens, money and time. Generates nothing.
    """
    screen = Screen.of(given)
    pipeline = Pipeline.load(
        given["pipeline"],
        roster=given["roster"],
        table=given["table"],
        seed=given["seed"],
        overrides=given["settings"],
    )
    items = chosen(
        given["on"], screen, rows=given["rows"], limit=given["limit"], seed=pipeline.seed
    )
    told = wait(foresee(pipeline, [item.question for item in items]))
    name = pipeline.spec.name
    screen.show(forecast_data(name, told), forecast_view(name, told))
