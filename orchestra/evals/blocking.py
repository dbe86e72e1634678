"""Profiling and evaluating for callers without an event loop; one implementation, waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestra.evals.datasets import Item, load_dataset
from orchestra.evals.evaluate import ArmsAsked, evaluate_run
from orchestra.evals.profile import profile_experts
from orchestra.pipeline import LocalWorkers, Progress
from orchestra.pipeline.blocking import Pipeline, wait
from orchestra.roster import Roster
from orchestra.skills import RecruitmentTable


def profile(
    roster: Roster | str | Path,
    items: Sequence[Item] | str | Path,
    *,
    tagger: str = "category",
    workers: LocalWorkers | None = None,
    progress: Progress | None = None,
) -> RecruitmentTable:
    """Measure every expert on labelled questions.

    Args:
        roster: the experts, or their file.
        items: labelled questions, or their file.
        tagger: `category`, `lexical`, `embedding:MODEL` or `keywords:EXPERT`.
        workers: opens the experts; by default recordings only.
        progress: told how far it is.

    Raises:
        InputError: see `load_dataset`, `Roster.load` and `profile_experts`.
    """
    experts = roster if isinstance(roster, Roster) else Roster.load(roster)
    labelled = load_dataset(items) if isinstance(items, str | Path) else items
    return wait(
        profile_experts(experts, labelled, tagger=tagger, workers=workers, progress=progress)
    )


def evaluate(
    pipeline: Pipeline,
    items: Sequence[Item] | str | Path,
    *,
    out: str | Path,
    arms: ArmsAsked = "free",
    progress: Progress | None = None,
) -> Mapping[str, Any]:
    """Run a pipeline on labelled questions and return the content of its `report.json`.

    Args:
        pipeline: what decides.
        items: labelled questions, or their file.
        out: the run folder; the same call again resumes, and a finished run is only read.
        arms: `all` also asks every live expert every question, for the arms of the report.
        progress: told how far it is.

    Raises:
        InputError: see `load_dataset` and `evaluate_run`.
    """
    labelled = load_dataset(items) if isinstance(items, str | Path) else items
    return wait(evaluate_run(pipeline.twin, labelled, out, arms=arms, progress=progress)).report
