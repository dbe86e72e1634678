"""`orchestra redteam`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.cli.question_options import chosen, reading
from orchestra.files import full_path
from orchestra.pipeline import Pipeline, Progress, WorkerPool
from orchestra.redteam import (
    Defence,
    Form,
    Information,
    Sweep,
    attacks_of,
    defences_of,
    numbers_of,
    redteam_run,
)
from orchestra.redteam.sweep import counted
from orchestra.report import redteam_page, redteam_view
from orchestra.runs import write_whole
from orchestra.sync import wait

_STEP = 50
"""The screen shows every fiftieth call; votes are counted by the batch."""


class _Given(options.Output, options.Cached):
    pipeline: str
    roster: Path
    table: Path | None
    on: Path
    data: Path | None
    out: Path
    attacks: tuple[str, ...]
    faults: str
    defences: tuple[str, ...]
    declare: int | None
    seeds: int
    form: Form
    layers: str | None
    information: Information
    rows: str
    limit: int | None
    seed: int | None
    settings: tuple[str, ...]
    budget: tuple[str, ...]


@click.command("redteam")
@click.argument("pipeline")
@options.roster
@options.table
@options.on(True)
@click.option("--out", "-o", type=options.PATH, required=True, help="The run folder.")
@click.option(
    "--attack",
    "attacks",
    multiple=True,
    default=("all",),
    metavar="NAME",
    help="An attack, or `NAME:SHARE` to lie on that share of the questions; may be repeated. "
    "Default: `all`, every attack of experts that answer.",
)
@click.option(
    "--faults",
    default="0..2",
    show_default=True,
    metavar="NUMBERS",
    help="The number of liars: 0..3, 2 or 0,1,3.",
)
@click.option(
    "--defence",
    "defences",
    multiple=True,
    metavar="NAME",
    help="A defence to compare; may be repeated: a vote (`robust`, `robust:1`), or `moa` and its "
    "defences if the pipeline has `synthesise`. Default: the pipeline's vote and all these.",
)
@click.option(
    "--declare",
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="Recommend a defence for at most this many liars. Default: the most of --faults.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="The number of random draws of liars.",
)
@click.option(
    "--form",
    type=click.Choice(["template", "live"]),
    default="template",
    show_default=True,
    help="The source of the lies: templates, or the lying models themselves (new calls).",
)
@click.option(
    "--layers",
    metavar="NUMBERS",
    help="Layers of a Mixture-of-Agents in which experts lie, from 0.",
)
@click.option(
    "--information",
    type=click.Choice(["full", "partial"]),
    default="full",
    show_default=True,
    help="The context that each expert reads: all of it, or one part each.",
)
@options.rows
@options.settings
@options.budget
@options.cache
@options.output
@click.pass_context
def command(context: click.Context, **given: Unpack[_Given]) -> None:
    """Attack your own panel with simulated liars, and compare defences.

    PIPELINE is a file or the name of a shipped one. Draws liars among its experts, and
    counts for each attack, number of liars and defence how often the decision is right,
    how often it is the liars' answer, and which experts are suspected. Recommends a
    defence, with its price on an honest panel. The same command resumes.

    Writes report.json and report.html to the run folder. The exit code is 1 if no lie of
    any attack read as planted, since then no defence can be recommended. Lies on recorded
    answers come from templates; with `--form live`, models that generate are instructed
    to lie.
    """
    screen = Screen.of(given)
    with screen.progress("load questions") as progress:
        pipeline = Pipeline.load(
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
        sweep, defences = _sweep(given), defences_of(given["defences"], pipeline)
        sweep.check(pipeline)
        items = chosen(given, screen, seed=pipeline.seed)
        _announce(screen, sweep, defences, pipeline, len(items))
        done = wait(
            redteam_run(
                pipeline,
                items,
                given["out"],
                sweep=sweep,
                defences=defences,
                details={"command": options.command_line(), **items.source, **_paths(given)},
                progress=_stepped(progress),
            )
        )
        html = given["out"] / "report.html"
        if not done.resumed or not html.exists():
            progress("report", 0, 0)
            write_whole(html, redteam_page(done.report).encode())
    if done.resumed:
        screen.note("the run is finished already: nothing was done")
    screen.show(
        {**done.report, "run": str(given["out"]), "resumed": done.resumed},
        redteam_view(done.report),
    )
    advice = done.report["recommendation"]
    if advice["defence"] is None:
        screen.warn(f"no recommendation: {advice['reason']}")
        context.exit(1)


def _sweep(given: _Given) -> Sweep:
    layers = given["layers"]
    return Sweep(
        attacks_of(given["attacks"]),
        numbers_of(given["faults"], place="--faults"),
        given["seeds"],
        given["form"],
        None if layers is None else numbers_of(layers, place="--layers"),
        given["information"],
        given["declare"],
    )


def _announce(
    screen: Screen, sweep: Sweep, defences: tuple[Defence, ...], pipeline: Pipeline, questions: int
) -> None:
    """Announce calls that every condition repeats."""
    conditions = len(list(sweep.conditions(pipeline.seed)))
    each = f"under {counted(conditions, 'condition')}"
    merging = [each.name for each in defences if each.merging is not None]
    if merging:
        screen.note(
            f"`{pipeline.spec.synthesise.aggregator}` is asked again {each}, for each of "
            f"{', '.join(merging)}: at least {len(merging) * questions * (conditions + 1):,} "
            "calls in all; `--defence` narrows them"
        )
    if sweep.form == "live":
        screen.note(
            f"liars are asked again {each}, for up to {counted(questions, 'question')} each; "
            "`--attack`, `--faults` and `--seeds` narrow them"
        )


def _stepped(progress: Progress) -> Progress:
    """Progress of votes in steps that the screen shows, without the stages of each condition."""
    deciding = False

    def update(stage: str, done: int, expected: int) -> None:
        nonlocal deciding
        deciding |= stage == "decide"
        if deciding and not expected:
            return
        if stage == "decide" and done != expected:
            done -= done % _STEP
        progress(stage, done, expected)

    return update


def _paths(given: _Given) -> dict[str, Any]:
    """The paths of the inputs, and the options that the project file stood for."""
    paths = {"roster": given["roster"], "table": given["table"]}
    found = {name: full_path(path) for name, path in paths.items() if path is not None}
    return {**found, **options.project_details()}
