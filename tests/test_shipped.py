"""Answers of real models that ship with the package: letters, and what commands need of them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import letters
from orchestra.cli import main
from orchestra.errors import InputError
from orchestra.evals import Item, evaluate_run, load_dataset, profile_experts, take
from orchestra.files import located, shipped_folder
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.records import Kind
from orchestra.roster import Expert, Roster
from orchestra.skills import read_table
from orchestra.workers import Recordings

NAME = "shipped:mmlu-pro"
SHARED = Path(os.environ.get("ORCHESTRA_SHARED_DATA") or Path(__file__).parents[2] / "shared/data")


def items() -> list[Item]:
    return list(load_dataset(NAME))


def test_what_ships_is_small_and_holds_no_text() -> None:
    folder = shipped_folder("skills") / "mmlu-pro"
    assert sum((folder / f"{n}.parquet").stat().st_size for n in ("items", "recordings")) < 200_000
    found = items()
    assert len(found) == 7_346
    assert sum(bool(item.profile) for item in found) == 350
    assert {item.question.kind for item in found} == {Kind.CHOICE}
    assert max(len(item.question.text) for item in found) < 60
    assert all(option.startswith("option ") for option in found[0].question.options)


def test_roster_table_and_recordings_fit_each_other() -> None:
    roster, table = Roster.load(NAME), read_table(NAME)
    assert len(roster.recruits) == 24
    assert set(table.experts) == set(roster.recruits)
    assert len(table.briefs) == 350
    assert Recordings.open(NAME).models == tuple(sorted(expert.model for expert in roster))
    asked = {brief.question_id for brief in table.briefs}
    assert asked == {item.question.id for item in items() if item.profile}


def test_the_table_is_what_profiling_gives() -> None:
    roster = Roster.load(NAME).subset(["Yi-34B", "gpt-4o-2024-05-13"])
    made = asyncio.run(profile_experts(roster, [item for item in items() if item.profile]))
    kept = read_table(NAME)
    assert {name: made.marks[name] for name in made.experts} == {
        name: kept.marks[name] for name in made.experts
    }


def test_nobody_counts_tokens_that_are_not_known() -> None:
    roster, table = Roster.load(NAME).subset(["Yi-34B"]), read_table(NAME).subset(["Yi-34B"])
    pipeline = Pipeline.load("single-best", roster=roster, table=table, workers=WorkerPool())
    some = take([item for item in items() if not item.profile], 20, seed=0)
    report = asyncio.run(evaluate_run(pipeline, some, None)).report
    assert (report["tokens"]["input"], report["tokens"]["output"], report["money"]) == (0, 0, 0)


def test_who_is_asked_does_not_depend_on_gold_answers() -> None:
    names = ("Yi-34B", "gemma-7b", "mathstral-7B")
    roster, table = Roster.load(NAME).subset(names), read_table(NAME).subset(names)
    pipeline = Pipeline.load("orchestra", roster=roster, table=table, workers=WorkerPool())
    some = take([item for item in items() if not item.profile], 40, seed=0)
    others = [replace(item, gold="AB"[item.gold == "A"]) for item in some]
    unknown = [replace(item, gold=None) for item in some]
    receipts = [
        asyncio.run(evaluate_run(pipeline, each, None)).report["receipt"]
        for each in (some, others, unknown)
    ]
    assert receipts[0] == receipts[1] == receipts[2]


def test_a_run_finds_its_questions_again(tmp_path: Path) -> None:
    given = ["-r", NAME, "-t", NAME, "--on", NAME]
    more = ["--rows", "rest", "--limit", "30", "--out", str(tmp_path / "run"), "-q"]
    ran = CliRunner().invoke(main, ["run", "orchestra", *given, *more])
    assert ran.exit_code == 0, ran.output
    marked = CliRunner().invoke(main, ["mark", str(tmp_path / "run"), "-q"])
    assert marked.exit_code == 0, marked.output
    assert CliRunner().invoke(main, ["table", NAME, "-q"]).exit_code == 0
    checked = CliRunner().invoke(main, ["check", NAME, "-q"])
    assert checked.exit_code == 0
    assert "4 files, nothing wrong" in checked.output
    assert "did you mean" in CliRunner().invoke(main, ["check", "shipped:mmlu", "-q"]).output


def test_an_unknown_name_lists_what_ships() -> None:
    with pytest.raises(InputError, match="shipped data") as raised:
        located("shipped:mmlu_pro", "items.parquet")
    assert "mmlu-pro" in raised.value.hint


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="no recorded answers on this machine")
def test_letters_are_what_the_reader_reads_and_decide_alike(tmp_path: Path) -> None:
    full, marks = letters.stated(SHARED)
    letters.write(full, marks, tmp_path)
    for name in ("items", "recordings"):
        made = (tmp_path / f"{name}.parquet").read_bytes()
        kept = located(NAME, f"{name}.parquet").read_bytes()
        assert made == kept, "run `python -m benchmarks.letters`"
    names = ("Yi-34B", "mathstral-7B", "gemma-7b")
    table = read_table(NAME).subset(names)
    texts = [
        Expert(name, name, worker="recorded", recordings=SHARED / "mmlu_pro.recordings.parquet")
        for name in names
    ]
    decided = []
    for roster, source in ((Roster.load(NAME).subset(names), items()), (Roster(texts), full)):
        pipeline = Pipeline.load("orchestra", roster=roster, table=table, workers=WorkerPool())
        rest = [item for item in source if not item.profile]
        batch = asyncio.run(pipeline.run([item.question for item in rest]))
        decided.append([(d.question_id, d.value, d.confidence) for d in batch.decisions])
    assert decided[0] == decided[1]
