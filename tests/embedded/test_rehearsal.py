"""The demo's whole way, once, and the folder it leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from orchestra.errors import InputError
from orchestra.evals.rehearsal import PIPELINES, Rehearsal, rehearse
from orchestra.roster import Roster
from orchestra.skills import read_table


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    return asyncio.run(rehearse(tmp_path_factory.mktemp("demo") / "folder"))


def test_every_pipeline_has_a_report_that_says_it_is_synthetic(done: Rehearsal) -> None:
    assert tuple(done.runs) == PIPELINES
    for run in done.runs.values():
        assert run.report["n"] == 320
        assert any("synthetic" in note for note in run.report["notes"])


def test_arms_and_pipelines_agree(done: Rehearsal) -> None:
    report = done.runs["orchestra"].report
    single = done.runs["single-best"].report
    assert report["arms"]["best_single"]["accuracy"] == single["accuracy"]
    assert done.comparisons["single-best"].accuracy_a == pytest.approx(report["accuracy"], abs=1e-6)
    assert report["accuracy"] <= report["arms"]["oracle_all"]["accuracy"]


def test_the_folder_works_for_other_commands(done: Rehearsal) -> None:
    assert Roster.load(done.folder / "roster.yaml").names == done.table.experts
    assert read_table(done.folder / "table.json").marks == done.table.marks


def test_the_same_again_only_reads_the_runs(done: Rehearsal) -> None:
    again = asyncio.run(rehearse(done.folder))
    assert all(run.resumed for run in again.runs.values())
    assert again.comparisons == done.comparisons


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "roster.yaml").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        asyncio.run(rehearse(tmp_path))
    assert (tmp_path / "roster.yaml").read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["roster.yaml"]


def test_another_seed_needs_another_folder(done: Rehearsal) -> None:
    with pytest.raises(InputError, match="another seed"):
        asyncio.run(rehearse(done.folder, seed=1))
