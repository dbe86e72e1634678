"""The demo's whole way on fewer questions, once, and the folder it leaves."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestra.embedded import EXERCISES, PIPELINES, TAGGER, Rehearsal, rehearse
from orchestra.errors import InputError
from orchestra.evals import Item, load_dataset
from orchestra.roster import Roster
from orchestra.skills import read_table

rehearse_few = partial(rehearse, profiled=6, tested=4, seed=5)


@pytest.fixture
def done(rehearsed: Rehearsal) -> Rehearsal:
    return rehearsed


def test_every_pipeline_has_a_report(done: Rehearsal) -> None:
    assert tuple(done.runs) == PIPELINES
    assert [run.report["n"] for run in done.runs.values()] == [4 * len(EXERCISES)] * len(PIPELINES)


def test_the_labeller_names_the_skills_that_questions_are_of(done: Rehearsal) -> None:
    assert done.table.provenance["tagger"] == TAGGER
    assert len(done.table.briefs) == 6 * len(EXERCISES)
    skills = {item.question.id: item.question.category for item in _items(done, "profile")}
    named = [brief.skills == ((skills[brief.question_id], 1.0),) for brief in done.table.briefs]
    assert sum(named) > 0.9 * len(named)


def test_experts_that_were_taught_differently_answer_differently(done: Rehearsal) -> None:
    """Real checkpoints: whoever was taught a skill is better at it than those who were not."""
    scribe, abacus = (
        [done.table.tally(name, skill).correct for skill in ("sorting", "addition")]
        for name in ("scribe", "abacus")
    )
    assert scribe[0] > abacus[0]
    assert abacus[1] > scribe[1]


def test_arms_and_pipelines_agree(done: Rehearsal) -> None:
    report = done.runs["orchestra"].report
    for arm, name in (("best_single", "single-best"), ("majority_all", "majority")):
        own, told = done.runs[name].report, report["arms"][arm]
        assert (told["accuracy"], told["interval"]) == (own["accuracy"], own["interval"])
        assert (
            told["calls_per_question"]
            == sum(each["calls"] for each in own["seats"].values()) / own["questions"]
        )
    majority = done.runs["majority"].report
    assert majority["arms"]["majority_same_seats"] == majority["arms"]["majority_all"]
    assert majority["arms"]["majority_same_seats"]["accuracy"] == majority["accuracy"]
    assert done.comparisons["single-best"].accuracy_a == pytest.approx(report["accuracy"], abs=1e-6)
    assert report["accuracy"] <= report["arms"]["oracle_all"]["accuracy"]


def test_the_folder_works_for_other_commands(done: Rehearsal) -> None:
    assert Roster.load(done.folder / "roster.yaml").recruits == done.table.experts
    assert read_table(done.folder / "table.json").marks == done.table.marks
    asked = {item.question.id for item in _items(done, "test")}
    assert {item.question.id for item, _, _ in done.routed} <= asked


def test_the_same_again_only_reads_the_runs(done: Rehearsal) -> None:
    again = asyncio.run(rehearse_few(done.folder))
    assert all(run.resumed for run in again.runs.values())
    assert again.comparisons == done.comparisons


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "roster.yaml").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        asyncio.run(rehearse(tmp_path))
    assert (tmp_path / "roster.yaml").read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["roster.yaml"]


@pytest.mark.parametrize("other", [{"seed": 1}, {"tested": 5}])
def test_another_seed_or_size_needs_another_folder(done: Rehearsal, other: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="another seed or size"):
        asyncio.run(rehearse_few(done.folder, **other))


def _items(done: Rehearsal, name: str) -> tuple[Item, ...]:
    return tuple(load_dataset(done.folder / f"{name}.jsonl"))
