"""`orchestra run`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.cli.question_options import chosen, reading
from orchestra.evals import ArmsAsked, evaluate_run
from orchestra.files import full_path
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.report import page, summary_view
from orchestra.runs import write_whole
from orchestra.sync import wait


class _Given(options.Output, options.Devices, options.Cached):
    pipeline: str
    roster: Path
    table: Path | None
    on: Path
    data: Path | None
    out: Path
    rows: str
    limit: int | None
    seed: int | None
    settings: tuple[str, ...]
    budget: tuple[str, ...]
    least_accuracy: float | None
    arms: ArmsAsked
    retry_failed: bool


@click.command("run")
@click.argument("pipeline")
@options.roster
@options.table
@options.on(True)
@click.option("--out", "-o", type=options.PATH, required=True, help="The run folder.")
@options.rows
@options.settings
@options.budget
@click.option(
    "--least-accuracy",
    type=click.FloatRange(0, 1),
    help="The exit code is 1 if the accuracy is lower.",
)
@click.option(
    "--arms",
    type=click.Choice(["free", "all"]),
    default="free",
    show_default=True,
    help="Experts asked for the baselines: recorded and scripted ones only (free), or all.",
)
@options.devices
@options.cache
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Make calls again that failed in stages that an interrupted run had completed.",
)
@options.output
@click.pass_context
def command(context: click.Context, **given: Unpack[_Given]) -> None:
    """Run a pipeline on questions; the same command again resumes.

    PIPELINE is a file or the name of a shipped one. Writes manifest.json, ledger.sqlite,
    report.json and report.html to the run folder. A finished run is only read.
    """
    screen = Screen.of(given)
    with screen.progress("load questions") as progress:
        loaded = Pipeline.load(
            given["pipeline"],
            roster=given["roster"],
            table=given["table"],
            workers=WorkerPool(report=screen.note, cache=options.cache_of(given)),
            seed=given["seed"],
            overrides=(
                *reading(given["on"]),
                *given["settings"],
                *(f"budget.{limit}" for limit in given["budget"]),
            ),
        )
        pipeline = replace(loaded, machine=options.machine(given))
        items = chosen(given, screen, seed=pipeline.seed)
        done = wait(
            evaluate_run(
                pipeline,
                items,
                given["out"],
                details={**_details(given), "command": options.command_line()},
                arms=given["arms"],
                retry_failed=given["retry_failed"],
                progress=progress,
            )
        )
        html = given["out"] / "report.html"
        if not done.resumed or not html.exists():
            progress("report", 0, 0)
            write_whole(html, page(done.report, pipeline.table).encode())
    if done.resumed:
        screen.note("the run is finished already: nothing was done")
    screen.show(
        {**done.report, "run": str(given["out"]), "resumed": done.resumed},
        summary_view(done.report),
    )
    _hold(context, screen, done.report["accuracy"], given["least_accuracy"])


def _details(given: _Given) -> dict[str, Any]:
    """The paths of the inputs, with which the run can be shown and marked; items have theirs."""
    paths = {"roster": given["roster"], "table": given["table"]}
    found: dict[str, Any] = {
        name: full_path(path) for name, path in paths.items() if path is not None
    }
    machine = asdict(options.machine(given))
    return {**found, "machine": machine, **options.project_details()}


def _hold(
    context: click.Context, screen: Screen, accuracy: float | None, least: float | None
) -> None:
    if least is not None and (accuracy is None or accuracy < least):
        screen.warn(f"accuracy {accuracy} is below the threshold {least}")
        context.exit(1)
