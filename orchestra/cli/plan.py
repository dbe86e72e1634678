"""`orchestra plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.cli.question_options import chosen, reading
from orchestra.pipeline import Pipeline, foresee
from orchestra.report import forecast_data, forecast_view
from orchestra.sync import wait


class _Given(options.Output, options.Devices):
    pipeline: str
    roster: Path
    table: Path | None
    on: Path
    data: Path | None
    rows: str
    limit: int | None
    seed: int | None
    settings: tuple[str, ...]
    budget: tuple[str, ...]


@click.command("plan")
@click.argument("pipeline")
@options.roster
@options.table
@options.on(True)
@options.rows
@options.settings
@options.budget
@options.devices
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Forecast a run's calls, loads, tokens, money and time.

    PIPELINE is a file or the name of a shipped one. Prints seats by expert; which engine
    is resident on which device and when; loads and time beside serving question by
    question and beside the lower bound; estimates of tokens, money and time; and whether
    a budget is enough for them. Generates no drafts: only a keyword tagger makes calls,
    within the budget.
    """
    screen = Screen.of(given)
    machine = options.machine(given)
    with screen.progress("load questions") as progress:
        pipeline = Pipeline.load(
            given["pipeline"],
            roster=given["roster"],
            table=given["table"],
            seed=given["seed"],
            overrides=(
                *reading(given["on"]),
                *given["settings"],
                *(f"budget.{limit}" for limit in given["budget"]),
            ),
        )
        items = chosen(given, screen, seed=pipeline.seed)
        progress("plan", 0, 0)
        forecast = wait(foresee(pipeline, [item.question for item in items], machine=machine))
    name, budget = pipeline.spec.name, pipeline.spec.budget
    screen.show(
        forecast_data(name, forecast, budget=budget), forecast_view(name, forecast, budget=budget)
    )
