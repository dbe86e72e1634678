"""Everything once, from labelled questions to compared runs, on the embedded experts.

Knows the order of a first visit and the folder it leaves behind, which every other
command can work on; does not know how any stage works, nor how results are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from orchestra.embedded.exercises import Split
from orchestra.embedded.questions import LABEL, TAGGER, questions, shipped_roster
from orchestra.errors import InputError
from orchestra.evals import Item, write_items
from orchestra.evals.compare import Comparison, compare
from orchestra.evals.evaluate import Evaluation, evaluate_run
from orchestra.evals.profile import profile_experts
from orchestra.pipeline import Pipeline, Progress
from orchestra.records import Brief, Mark, Outcome, Plan
from orchestra.roster import Roster
from orchestra.runs import write_whole
from orchestra.skills import RecruitmentTable, write_table

PIPELINES = ("single-best", "majority", "symbolic-moe", "orchestra")
"""The shipped pipelines that are run; the others are compared with the last."""

PROFILED = 25
"""Labelled questions for each skill."""
TESTED = 40
"""Other questions for each skill."""

_SHOWN = ("remainders", "sorting")
_MARKER = "demo.json"


@dataclass(frozen=True)
class Rehearsal:
    """What came of it."""

    folder: Path
    table: RecruitmentTable
    routed: tuple[tuple[Item, Brief, Plan], ...]
    """A few test questions, and whom `orchestra` asks."""
    runs: Mapping[str, Evaluation]
    """Pipeline -> its run, in `runs/` under that name."""
    comparisons: Mapping[str, Comparison]
    """Other pipeline -> `orchestra` against it."""
    telling: str
    """Id of a question that `orchestra` got right and the majority wrong; empty if none."""


async def rehearse(
    folder: Path,
    *,
    seed: int = 0,
    profiled: int = PROFILED,
    tested: int = TESTED,
    command: str = "",
    progress: Progress | None = None,
) -> Rehearsal:
    """Profile, route, run and compare in `folder`; the same call again resumes.

    Args:
        folder: where everything goes.
        seed: decides which questions.
        profiled: labelled questions for each skill.
        tested: other questions for each skill.
        command: what was typed, for the runs' manifests.
        progress: told how far it is.

    Raises:
        InputError: the folder holds something else.
    """
    _enter(folder, {"seed": seed, "profiled": profiled, "tested": tested})
    labelled = questions(profiled, of=Split.PROFILE, seed=seed)
    others = questions(tested, of=Split.TEST, seed=seed)
    write_items(folder / "profile.jsonl", labelled)
    write_items(folder / "test.jsonl", others)
    write_whole(folder / "roster.yaml", shipped_roster().read_bytes())
    roster = Roster.load(folder / "roster.yaml")
    table = await profile_experts(roster, labelled, tagger=TAGGER, progress=progress)
    write_table(table, folder / "table.json")
    paths = {"items": "test.jsonl", "roster": "roster.yaml", "table": "table.json"}
    details = {name: str((folder / path).resolve()) for name, path in paths.items()}
    pipelines = {
        name: Pipeline.load(name, roster=roster, table=table, seed=seed) for name in PIPELINES
    }
    runs = {
        name: await evaluate_run(
            pipeline,
            others,
            folder / "runs" / name,
            details={**details, "command": command},
            arms="all" if name == PIPELINES[-1] else "free",
            progress=progress,
        )
        for name, pipeline in pipelines.items()
    }
    marks = {name: run.marks(others) for name, run in runs.items()}
    ours = marks[PIPELINES[-1]]
    return Rehearsal(
        folder,
        table,
        await _routed(pipelines[PIPELINES[-1]], others),
        runs,
        {name: compare(ours, marks[name], seed=seed) for name in PIPELINES[:-1]},
        _telling(ours, marks["majority"]),
    )


def _enter(folder: Path, which: Mapping[str, int]) -> None:
    """Make the folder, or refuse it where it is somebody else's."""
    marker, mine = folder / _MARKER, {"schema": 1, "what": LABEL, **which}
    try:
        if marker.is_file():
            if orjson.loads(marker.read_bytes()) != mine:
                hint = "choose another --out"
                raise InputError(
                    "holds a demo of another seed or size", place=str(folder), hint=hint
                )
            return
        if folder.exists() and any(folder.iterdir()):
            hint = "choose an empty or a new folder with --out"
            raise InputError("is not empty, and no demo", place=str(folder), hint=hint)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(str(error), place=str(folder), hint="choose another --out") from error
    write_whole(marker, orjson.dumps(mine, option=orjson.OPT_APPEND_NEWLINE))


async def _routed(
    pipeline: Pipeline, items: Sequence[Item]
) -> tuple[tuple[Item, Brief, Plan], ...]:
    shown = [next(item for item in items if item.question.category == skill) for skill in _SHOWN]
    briefs = await pipeline.brief([item.question for item in shown])
    return tuple(zip(shown, briefs, pipeline.plan(briefs), strict=True))


def _telling(ours: Mapping[str, Mark], theirs: Mapping[str, Mark]) -> str:
    right, wrong = Outcome.CORRECT, Outcome.WRONG
    won = (q for q, m in ours.items() if m.outcome is right and theirs[q].outcome is wrong)
    return next(won, "")
