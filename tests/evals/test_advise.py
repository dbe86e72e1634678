"""Advice from answers that are there: the right verdict, and an honest one where little is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestra.errors import InputError
from orchestra.evals import (
    Advised,
    Item,
    advise,
    evaluate_run,
    keep_advice,
    load_dataset,
    recorded_experts,
    replay,
)
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.roster import Roster
from orchestra.skills import read_table

if TYPE_CHECKING:
    from tests.conftest import Builder

SHARES = {"a": 0.72, "b": 0.7, "c": 0.68, "d": 0.66, "e": 0.3}


def advised(build: Builder, items: Sequence[Item], rows: Sequence[Mapping[str, Any]]) -> Advised:
    return advise(recorded_experts([build.recordings(rows)]), items)


def arm(found: Advised, name: str) -> Mapping[str, Any]:
    return next(row for row in found.content["arms"] if row["name"].startswith(name))


@pytest.mark.slow
def test_independent_experts_gain_and_the_useless_one_can_go(build: Builder) -> None:
    items = build.items(300)
    found = advised(build, items, build.rows(items, SHARES))
    told = found.content
    assert told["questions"] == {
        "given": 300,
        "without_gold": 0,
        "not_common": 0,
        "profile": 150,
        "test": 150,
    }
    gain = arm(found, told["chosen"])["gain"]
    assert gain["interval"][0] > 0
    assert found.verdict.startswith(f"a mixture gains {100 * gain['value']:+.1f} points")
    assert told["contributions"][-1]["name"] == "e"
    assert arm(found, "oracle")["accuracy"] >= arm(found, "best in hindsight")["accuracy"]
    assert told["ceiling"]["value"] == arm(found, "oracle")["accuracy"]
    assert [row["name"] for row in told["not_replayed"]] == [
        "symbolic-moe",
        "symbolic-moe-released",
    ]
    assert not any("draws" in row["name"] for row in told["arms"])
    assert advised(build, items[::-1], build.rows(items, SHARES)).content == told


def test_copies_of_one_expert_gain_nothing(build: Builder) -> None:
    items = build.items(200)
    rows = build.rows(items, {"a": 0.7})
    found = advised(build, items, [{**row, "model": name} for name in "xyz" for row in rows])
    assert found.verdict.startswith("no gain of a mixture can be shown: +0.0 points")
    assert found.content["panel"]["worth"] == pytest.approx(1.0)


def test_draws_of_one_expert_are_self_consistency(build: Builder) -> None:
    items = build.items(120)
    found = advised(build, items, build.rows(items, {"a": 0.7, "b": 0.6}, samples=3))
    assert arm(found, "self-consistency of 2 draws")["calls"] == 2
    names = [row["name"] for row in found.content["arms"]]
    assert "symbolic-moe" in names  # its draws are all there


@pytest.mark.slow
def test_arms_agree_with_runs(build: Builder) -> None:
    """The replayed pipelines are those that `orchestra run` runs."""
    items = build.items(160)
    path = build.recordings(build.rows(items, SHARES, absent=0.1))
    found = advise(recorded_experts([path]), items)
    test = [item for item in found.items if not item.profile]
    for name in ("orchestra", "majority", "robust", "single-best"):
        pipeline = Pipeline.load(name, roster=found.roster, table=found.table)
        report = asyncio.run(evaluate_run(pipeline, test, None)).report
        row = arm(found, name)
        assert (row["accuracy"], row["calls"]) == (
            report["accuracy"],
            report["calls_per_question"],
        )


def partly(items: Sequence[Item], build: Builder) -> list[dict[str, object]]:
    """Three experts that answered everything, and one that answered ten questions."""
    few = {item.question.id for item in items[:10]}
    rows = build.rows(items, {"a": 0.7, "b": 0.7, "c": 0.7, "rare": 0.9})
    return [row for row in rows if row["model"] != "rare" or row["question_id"] in few]


def test_an_expert_with_few_answers_is_left_out_and_none_of_its_gaps_is_wrong(
    build: Builder,
) -> None:
    items = build.items(100)
    found = advised(build, items, partly(items, build))
    rare = next(row for row in found.content["experts"] if row["name"] == "rare")
    assert (rare["used"], rare["answered"]) == (False, 10)
    assert found.content["questions"]["not_common"] == 0
    gap = [row for row in partly(items, build) if (row["model"], row["question_id"]) != ("c", "q5")]
    found = advised(build, items, gap)
    assert found.roster.names == ("a", "b", "c")
    assert found.content["questions"]["not_common"] == 1


MESSY: dict[str, tuple[int, dict[str, float], str]] = {
    "one model": (40, {"a": 0.7}, "there is one model"),
    "two models": (40, {"a": 0.7, "b": 0.7}, "test questions are too few"),
    "three questions": (3, {"a": 0.7, "b": 0.6, "c": 0.5}, "test questions are too few"),
    "two questions": (2, {"a": 0.7, "b": 0.6}, "1 test questions are too few"),
    "nobody is right": (100, {"a": 0.0, "b": 0.0}, "no gain of a mixture can be shown"),
    "everybody is right": (100, {"a": 1.0, "b": 1.0}, "no gain of a mixture can be shown"),
}


@pytest.mark.parametrize("name", MESSY)
def test_little_is_told_of_little(build: Builder, name: str) -> None:
    count, shares, verdict = MESSY[name]
    items = build.items(count)
    assert verdict in advised(build, items, build.rows(items, shares)).verdict


def test_an_unreadable_expert_is_named(build: Builder) -> None:
    items = build.items(100)
    rows = build.rows(items, {"a": 0.7, "b": 0.6})
    rows += [{**row, "model": "mute model!", "output": "Hm."} for row in rows[:100]]
    found = advised(build, items, rows)
    mute = next(row for row in found.content["experts"] if row["name"].startswith("mute"))
    assert mute == {
        "name": "mute-model",
        "answered": 100,
        "readable": 0,
        "used": True,
        "n": 50,
        "accuracy": 0.0,
        "interval": mute["interval"],
    }


def test_without_gold_nothing_can_be_compared(build: Builder) -> None:
    items = build.items(20)
    rows = build.rows(items, {"a": 0.7, "b": 0.6})
    bare = [replace(item, gold=None) for item in items]
    with pytest.raises(InputError, match="0 of 20 questions have a gold answer"):
        advised(build, bare, rows)
    found = advised(build, [*items[:10], *bare[10:]], rows)
    assert found.content["questions"]["without_gold"] == 10


def test_models_of_other_questions_are_told_apart(build: Builder) -> None:
    items = build.items(50)
    rows = build.rows(items[:30], {"a": 0.7}) + build.rows(items[30:], {"b": 0.7, "c": 0.6})
    assert advised(build, items, rows).roster.names == ("b", "c")
    assert "there is one model" in advised(build, items, rows[:50]).verdict
    with pytest.raises(InputError, match="no model answered two of the 20 questions"):
        advised(build, build.items(20, prefix="other"), rows)


def test_equal_names_in_two_files_are_two_experts(build: Builder) -> None:
    items = build.items(4)
    rows = build.rows(items, {"a b": 0.7, "a-b": 0.7})
    paths = [build.recordings(rows, name) for name in ("one", "two")]
    assert recorded_experts(paths).names == ("a-b", "a-b-2", "a-b-3", "a-b-4")


@pytest.mark.slow
def test_what_is_kept_can_be_gone_on_with(build: Builder, tmp_path: Path) -> None:
    items = build.items(60)
    found = advised(build, items, build.rows(items, SHARES))
    done = keep_advice(found, tmp_path / "kept", workers=WorkerPool())
    kept = tmp_path / "kept"
    assert load_dataset(kept / "items.jsonl")[0].profile is not None
    assert Roster.load(kept / "roster.yaml").names == found.roster.names
    table = read_table(kept / "table.json")
    assert len(table.briefs) == found.content["questions"]["profile"]
    assert done.report["accuracy"] == arm(found, found.content["chosen"])["accuracy"]
    assert replay(kept / "run", ["vote=majority"])["differing"] == 0
    again = keep_advice(found, kept, workers=WorkerPool())
    assert again.resumed
    (kept / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"other things in it, such as 'mine\.txt'"):
        keep_advice(found, kept, workers=WorkerPool())


def _tables() -> Any:
    return pytest.param("mmlu_pro", 24, 7_346), pytest.param("zeroeval", 26, 1_223)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "experts", "count"), _tables())
def test_real_models(shared_data: Path, name: str, experts: int, count: int) -> None:
    recorded = recorded_experts([shared_data / f"{name}.recordings.parquet"])
    found = advise(recorded, load_dataset(shared_data / f"{name}.items.parquet"))
    assert (len(found.roster), len(found.items)) == (experts, count)
    chosen = arm(found, found.content["chosen"])
    assert chosen["accuracy"] > arm(found, "single-best")["accuracy"]
    assert chosen["calls"] <= 6
    assert arm(found, "oracle")["accuracy"] > 0.9
