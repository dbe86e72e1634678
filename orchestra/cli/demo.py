"""`orchestra demo`: every stage once, offline, and a folder for the other commands."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import click
from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.embedded import (
    ATTACK,
    LABEL,
    PIPELINES,
    TRAINING_SPECS,
    Recalled,
    Rehearsal,
    recall,
    rehearse,
)
from orchestra.evals import Comparison, Evaluation
from orchestra.records import LETTERS, Plan, Question
from orchestra.report import comparison_data, heat_map, heat_map_view, page, plan_data
from orchestra.report.format import ends_of, percent, points, probability, scale
from orchestra.report.terminal.layout import Grid, Line, Whisker, fact, heading
from orchestra.runs import write_whole
from orchestra.sync import wait

_OURS = PIPELINES[-1]
_BASELINES = {"random_k": "random seats", "oracle_all": "oracle"}
"""Arm -> its name here, short enough for a line of 80 characters."""
_RECALLED = {
    "best_single": "best single model",
    "random_k": "random models, majority",
    "oracle_all": "oracle of all",
}
_SKILLS = 4
"""Categories of real models that are shown."""


class _Given(options.Output):
    out: Path | None
    seed: int


@click.command("demo")
@click.option(
    "--out", "-o", type=options.PATH, help="The folder of all results. Default: a temporary one."
)
@click.option(
    "--seed",
    type=options.SEED,
    default=0,
    show_default=True,
    help="The seed of questions and choices.",
)
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Run every stage on a small example, offline.

    First replays what eight real models answered to MMLU-Pro: what each is good at, what a
    mixture gains at equal calls, what a liar costs. Then profiles ten tiny language models that
    ship with the package, recruits them for other questions, decides by vote and compares
    pipelines; another model names the skills of each question. The folder then holds a roster,
    questions, a table and runs for all other commands.
    """
    screen = Screen.of(given)
    folder = given["out"] or Path(tempfile.mkdtemp(prefix="orchestra-demo-"))
    with screen.progress() as progress:
        recalled = wait(recall(seed=given["seed"], progress=progress))
        done = wait(
            rehearse(folder, seed=given["seed"], command=options.command_line(), progress=progress)
        )
    for run in done.runs.values():
        assert run.folder is not None
        write_whole(run.folder / "report.html", page(run.report, done.table).encode())
    screen.show(
        {**_data(done), "recalled": _recalled_data(recalled)},
        Group(_recalled(recalled), _view(done, screen.width)),
    )


def _recalled_data(found: Recalled) -> dict[str, Any]:
    return {
        "label": "recorded letters of real models to MMLU-Pro",
        "profiled": len(found.table.briefs),
        "report": dict(found.report),
        "liar": {name: dict(cell) for name, cell in found.liar.items()},
    }


def _recalled(found: Recalled) -> RenderableType:
    """A screen about real models: the best skills of each, the mixture, its liar."""
    report, split = found.report, found.report["split"]
    title = f"Recorded: {len(found.table.experts)} real models, {report['n']:,} MMLU-Pro questions"
    robust, weighted = found.liar["robust"], found.liar["weighted"]
    told = robust["detection"]
    lines = (
        f"Where the models differ ({split['n']:,} questions): best single "
        f"{percent(split['arms']['best_single']['accuracy'])}, orchestra "
        f"{percent(split['accuracy'])}.",
        f"One model lies (`{ATTACK}`, simulated): it costs {_lost(weighted)} points with "
        f"the plain weighted vote, {_lost(robust)} with `robust`, which names "
        f"{told['named']} of {told['liars']} liars and accuses {told['accused']} of "
        f"{told['honest']} honest models.",
        "Letters only; answers of TIGER-AI-Lab/MMLU-Pro (Apache-2.0). All 24 models: "
        "`orchestra table shipped:mmlu-pro`.",
    )
    return Group(
        Line(title, "bold"),
        _skills_of(found),
        Text(""),
        _ways(report),
        *(Line(line) for line in lines),
        Text(""),
    )


def _lost(cell: Mapping[str, Any]) -> str:
    """In points; nothing rounds to -0.0."""
    return f"{round(100 * cell['loss'], 1) + 0.0:.1f}"


def _skills_of(found: Recalled) -> RenderableType:
    """Right of the profiled questions: each model overall, and in a few categories."""
    table = found.table
    best = sorted(table.skills, key=lambda skill: -_range(found, skill))[:_SKILLS]
    view = Grid(["model", ">all", *(f">{skill}" for skill in sorted(best))])
    ranked = sorted(table.experts, key=lambda name: -table.tally(name).correct)
    for name in ranked:
        cells = [table.tally(name, skill) for skill in (None, *sorted(best))]
        view.add_row(name, *(f"{100 * c.correct / max(c.seen, 1):.0f} %" for c in cells))
    words = f"right of {len(table.briefs)} profiled questions; the categories that differ most"
    return Group(view, Line(words, "dim"))


def _range(found: Recalled, skill: str) -> int:
    right = [found.table.tally(name, skill).correct for name in found.table.experts]
    return max(right) - min(right)


def _ways(report: Mapping[str, Any]) -> RenderableType:
    view = Grid(["way", ">right", ">95 %", "~", ">calls"])
    arms = report["arms"]
    rows = [(words, arms[name]) for name, words in _RECALLED.items()]
    rows.insert(2, ("orchestra", report))
    ends = scale([row["interval"] for _, row in rows])
    for name, row in rows:
        view.add_row(
            name,
            percent(row["accuracy"]),
            ends_of(row["interval"]),
            Whisker(row["accuracy"], row["interval"], ends),
            f"{row['calls_per_question']:.2f}",
            style="bold" if name == "orchestra" else "",
        )
    return view


def _data(done: Rehearsal) -> dict[str, Any]:
    return {
        "label": LABEL,
        "folder": str(done.folder),
        "profiled": len(done.table.briefs),
        "routed": [
            {
                "question": item.question.text,
                "options": list(item.question.options),
                **plan_data(brief, plan, len(plan.seats)),
            }
            for item, brief, plan in done.routed
        ],
        "reports": {name: run.report for name, run in done.runs.items()},
        "comparisons": {
            name: comparison_data(found, {}) for name, found in done.comparisons.items()
        },
    }


def _view(done: Rehearsal, width: int) -> RenderableType:
    report = done.runs[_OURS].report
    profiled, tested = len(done.table.briefs), report["n"]
    return Group(
        Line(f"orchestra demo. {LABEL[0].upper()}{LABEL[1:]}.", "bold"),
        *(fact(f"  {name}", s.character, width=17) for name, s in TRAINING_SPECS.items()),
        heading(f"1. Profile: {profiled} labelled questions, each asked of every expert"),
        heat_map_view(heat_map(done.table), width=width),
        heading("2. Route: which experts are asked, and why"),
        *(part for item, brief, plan in done.routed for part in _routed(item.question, plan)),
        heading(f"3. Run: {tested} other questions, {LABEL}"),
        _runs(done.runs),
        heading(f"4. Compare, question by question: {_OURS} against ..."),
        _comparisons(done.comparisons),
        heading("5. Next commands"),
        *_next(done),
    )


def _routed(question: Question, plan: Plan) -> list[RenderableType]:
    offered = zip(LETTERS, question.options, strict=False)
    shown = "  ".join(f"{letter}) {text}" for letter, text in offered)
    lines: list[RenderableType] = [Line(f"{question.text}  {shown}".rstrip(), "italic")]
    for seat in plan.seats:
        lines.append(Line(f"{seat.expert}: {seat.reason}", label="    "))
    if plan.reserves:
        names = ", ".join(seat.expert for seat in plan.reserves)
        lines.append(Line(f"where an answer is absent: {names}", "dim", label="    "))
    return [*lines, Text("")]


def _runs(runs: Mapping[str, Evaluation]) -> RenderableType:
    view = Grid(["pipeline", ">right", ">95 %", "~", ">calls", ">loads", ">unbatched"])
    arms = runs[_OURS].report["arms"]
    rows = [(name, run.report) for name, run in runs.items()]
    others = [(words, arms[name]) for name, words in _BASELINES.items() if name in arms]
    ends = scale([row["interval"] for _, row in (*rows, *others)])
    for name, row in (*rows, *others):
        loads = (row["loads"], row["loads_first_come"]) if "loads" in row else ("", "")
        view.add_row(
            name,
            percent(row["accuracy"]),
            ends_of(row["interval"]),
            Whisker(row["accuracy"], row["interval"], ends),
            f"{row['calls_per_question']:.2f}",
            *(str(each) for each in loads),
            style="bold" if name == _OURS else "",
        )
    legend = (
        "calls: for each question, the tagger's included; loads: how often an expert is loaded "
        "for the whole batch; unbatched: how often if questions were served one by one; random "
        "seats: a majority of as many random experts; oracle: right where any expert is right"
    )
    return Group(view, Line(legend, "dim"))


def _comparisons(found: Mapping[str, Comparison]) -> RenderableType:
    view = Grid(["against", ">points", ">95 % interval", ">won", ">lost", ">McNemar p"])
    for name, each in found.items():
        interval = f"{points(each.interval.low)} to {points(each.interval.high)}"
        view.add_row(
            name,
            points(each.difference),
            interval,
            str(each.wins),
            str(each.losses),
            probability(each.p),
        )
    return view


def _next(done: Rehearsal) -> list[RenderableType]:
    """Commands to continue with, in short lines that can be copied."""
    run, other = f"runs/{_OURS}", "runs/majority"
    lines = [
        f"cd {done.folder}",
        f"orchestra report {run}  # as a page: {run}/report.html",
        f"orchestra compare {run} {other}",
        f"orchestra show {run} {done.telling}  # right, unlike majority"
        if done.telling
        else f"orchestra show {run}",
        "orchestra table table.json",
        "orchestra run orchestra --roster roster.yaml --table table.json \\",
        "    --on test.jsonl --set route.seats=3 --out runs/three",
    ]
    return [Text(f"  {line}") for line in lines]
