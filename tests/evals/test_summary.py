"""The content of `report.json`: the promised names, honest numbers, valid JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestra.evals import Item, evaluate_run, profile_experts, wilson
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.records import Failure, Generation, Kind, Question, Request, Usage
from orchestra.roster import Roster
from orchestra.workers.scripted import Script

if TYPE_CHECKING:
    from tests.conftest import Builder

PROMISED = {
    "schema",
    "pipeline",
    "benchmark",
    "protocol",
    "n",
    "accuracy",
    "interval",
    "absent",
    "by_category",
    "by_skill",
    "calls",
    "calls_per_question",
    "tokens",
    "loads",
    "loads_lower_bound",
    "money",
    "seconds",
    "confidence",
    "arms",
    "split",
    "panel",
    "receipt",
}
SHARES = {"a": 0.8, "b": 0.5, "c": 0.4}


def no_constants(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def evaluated(pipeline: Pipeline, items: list[Item], out: Path) -> dict[str, Any]:
    asyncio.run(evaluate_run(pipeline, items, out))
    text = (out / "report.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text, parse_constant=no_constants)
    return told


def scripted(
    build: Builder, scripts: Mapping[str, Script], source: str | Path = "majority", **fields: object
) -> Pipeline:
    roster = build.scripted(*scripts, **fields)
    return Pipeline.load(source, roster=roster, workers=WorkerPool(scripts))


@pytest.fixture
def told(build: Builder) -> dict[str, Any]:
    """A run of the default pipeline over forty questions."""
    profile, items = build.items(60, prefix="p"), build.items(40)
    roster = build.scripted(*SHARES, price={"input": 1.0, "output": 2.0})
    workers = WorkerPool(build.scripts([*profile, *items], SHARES, absent=0.2))
    table = asyncio.run(profile_experts(roster, profile, workers=workers))
    pipeline = Pipeline.load("orchestra", roster=roster, table=table, workers=workers)
    return evaluated(pipeline, items, build.folder / "run")


def test_the_promised_names(told: dict[str, Any]) -> None:
    assert told.keys() >= PROMISED
    assert told["schema"] == 1
    assert (told["pipeline"], told["benchmark"]) == ("orchestra", "facts")
    assert "stated" in told["protocol"]
    assert set(told["arms"]) == {
        "best_single",
        "best_single_hindsight",
        "random_k",
        "majority_same_seats",
        "majority_all",
        "oracle_seats",
        "oracle_all",
    }
    for arm in told["arms"].values():
        assert set(arm) == {"accuracy", "interval", "calls_per_question", "tokens"}
    assert {"ece", "brier", "abstained"} <= told["confidence"].keys()


def test_the_numbers_agree_with_each_other(told: dict[str, Any]) -> None:
    assert told["n"] == told["questions"] == 40
    assert told["calls_per_question"] == told["calls"] / 40
    right = round(told["accuracy"] * 40)
    interval = wilson(right, 40)
    assert told["interval"] == [round(interval.low, 6), round(interval.high, 6)]
    assert sum(each["n"] for each in told["by_category"].values()) == 40
    assert set(told["by_category"]) == {"algebra", "biology", "law"}
    assert told["by_skill"] == told["by_category"]
    whole = sum(each["accuracy"] * each["n"] for each in told["by_category"].values())
    assert whole == pytest.approx(right, abs=1e-3)
    experts = told["tokens"]["generate"].values()
    assert sum(each["input"] for each in experts) == told["tokens"]["input"]
    assert sum(each["output"] for each in experts) == told["tokens"]["output"]
    assert told["arms"]["majority_same_seats"]["calls_per_question"] == told["calls_per_question"]
    assert told["arms"]["oracle_all"]["accuracy"] >= told["accuracy"]
    assert 3 == told["loads_lower_bound"] <= told["loads"] <= told["loads_first_come"]


def test_tokens_of_scripts_are_estimates_and_said_to_be(told: dict[str, Any]) -> None:
    assert told["tokens"]["estimated"] is True
    assert any("estimates" in note for note in told["notes"])
    assert any("scripted" in note for note in told["notes"])


def test_nothing_absent(build: Builder) -> None:
    items = build.items(9)
    told = evaluated(scripted(build, build.scripts(items, SHARES)), items, build.folder / "run")
    assert (told["absent"], told["seat_absent"]) == ({}, {})
    assert told["confidence"]["abstained"] == 0
    assert told["confidence"]["ece"] is None
    assert told["accuracy_among_answered"] == told["accuracy"]


def test_absences_by_reason_and_never_wrong(build: Builder) -> None:
    items = build.items(6)
    texts = {"q0": "", "q1": "Hm.", "q2": "I cannot answer this question."}

    def says(request: Request) -> str | Generation:
        who = (request.key, request.question_id, request.expert)
        if request.question_id == "q3":
            return Generation(*who, text="It is (", finish_reason="length")
        if request.question_id == "q4":
            return Generation(*who, text="", failure=Failure("timeout"))
        return texts.get(request.question_id, f"The answer is ({items[5].gold}).")

    source = build.pipeline_file(
        route="all", vote="majority", generate={"draft": {"tolerance": 1.0}}
    )
    told = evaluated(scripted(build, {"a": says}, source), items, build.folder / "run")
    assert told["absent"] == {
        "empty": 1,
        "failed": 1,
        "refused": 1,
        "truncated": 1,
        "unparsed": 1,
    }
    assert told["seat_absent"] == told["absent"]
    assert told["accuracy"] == pytest.approx(1 / 6, abs=1e-6)
    assert told["accuracy_among_answered"] == 1
    assert told["confidence"]["abstained"] == 5


def test_questions_without_gold(build: Builder) -> None:
    items = build.items(4)
    scripts = build.scripts(items, {"a": 1.0})
    asked = [replace(item, gold=None) for item in items]
    told = evaluated(scripted(build, scripts), asked, build.folder / "run")
    assert (told["questions"], told["n"]) == (4, 0)
    assert (told["accuracy"], told["interval"], told["accuracy_among_answered"]) == (None,) * 3
    assert (told["by_category"], told["absent"], told["arms"]) == ({}, {}, {})
    assert (told["panel"], told["split"]["n"]) == ({}, 0)
    assert told["calls"] == 4


def test_only_questions_with_gold_are_marked(build: Builder) -> None:
    items = build.items(4)
    scripts = build.scripts(items, {"a": 1.0})
    asked = [items[0], replace(items[1], gold=None), items[2], items[3]]
    told = evaluated(scripted(build, scripts), asked, build.folder / "run")
    assert (told["questions"], told["n"], told["accuracy"]) == (4, 3, 1.0)
    assert told["calls"] == 4
    assert told["arms"]["oracle_all"]["calls_per_question"] == 1


def test_money_is_the_sum_of_what_calls_cost(build: Builder) -> None:
    def says(request: Request) -> Generation:
        who = (request.key, request.question_id, request.expert)
        return Generation(*who, text="The answer is (A).", usage=Usage(1, 9, 3, money=0.1))

    told = evaluated(scripted(build, {"a": says, "b": says}), build.items(3), build.folder / "run")
    assert told["money"] == 0.6
    assert told["tokens"]["estimated"] is False
    assert told["tokens"]["generate"] == {n: {"input": 27, "output": 9} for n in "ab"}


def test_prices_of_recorded_experts(build: Builder) -> None:
    items = build.items(5)
    rows = [
        {**row, "prompt_tokens": 1_000_000, "completion_tokens": 500_000}
        for row in build.rows(items, {"a": 1.0})
    ]
    roster = build.recorded(build.recordings(rows), "a", price={"input": 2.0, "output": 4.0})
    told = evaluated(Pipeline.load("majority", roster=roster), items, build.folder / "run")
    assert told["money"] == 20.0
    assert (told["tokens"]["estimated"], told["notes"]) == (False, [])


def test_questions_of_the_profile_are_pointed_out(build: Builder) -> None:
    items = build.items(30)
    workers = WorkerPool(build.scripts(items, SHARES))
    roster = build.scripted(*SHARES)
    table = asyncio.run(profile_experts(roster, items[:10], workers=workers))
    pipeline = Pipeline.load("single-best", roster=roster, table=table, workers=workers)
    told = evaluated(pipeline, items, build.folder / "run")
    assert any(
        note.startswith("10 of these 30 questions are in the profile") for note in told["notes"]
    )


@pytest.mark.parametrize(
    ("kind", "gold", "said", "right"),
    [
        (Kind.NUMBER, "18.0", "The answer is $18.", True),
        (Kind.LITERAL, "' a '", "The answer is ' a '", True),
        (Kind.LITERAL, "True", "The answer is 1", False),
        (Kind.TEXT, "Eiffel Tower", "The answer is the Eiffel tower.", True),
    ],
)
def test_open_answers(build: Builder, kind: Kind, gold: str, said: str, right: bool) -> None:
    items = [Item(Question("q", "Say.", kind=kind), gold)]
    told = evaluated(scripted(build, {"a": lambda r: said}), items, build.folder / "run")
    assert (told["accuracy"], told["n"]) == (float(right), 1)
    assert told["by_category"] == {
        "none": {"n": 1, **{k: told[k] for k in ("accuracy", "interval")}}
    }


# Arms from real runs


def recorded(build: Builder, items: list[Item], samples: int) -> Roster:
    rows = build.rows(items, SHARES, absent=0.1, samples=samples)
    return build.recorded(build.recordings(rows), *SHARES)


@pytest.fixture
def items(build: Builder) -> list[Item]:
    return build.items(120)


@pytest.mark.parametrize(("samples", "there"), [(1, False), (2, False), (3, True), (4, True)])
def test_self_consistency_where_there_are_enough_samples(
    build: Builder, items: list[Item], samples: int, there: bool
) -> None:
    roster = recorded(build, items, samples)
    table = asyncio.run(profile_experts(roster, items[:60]))
    pipeline = Pipeline.load("majority", roster=roster, table=table)
    told = evaluated(pipeline, items[60:], build.folder / "run")
    assert ("self_consistency_same_calls" in told["arms"]) is there
    if there:
        arm = told["arms"]["self_consistency_same_calls"]
        assert arm["calls_per_question"] == 3
        assert arm["accuracy"] == pytest.approx(by_hand(build, items[60:]), abs=1e-6)


def by_hand(build: Builder, items: list[Item]) -> float:
    """Share right of the majority of three samples of `a`, ties to the first letter."""
    right = 0
    for item in items:
        said = [build.said(item, "a", SHARES["a"], absent=0.1, sample=s) for s in range(3)]
        letters = [text.partition("(")[2][:1] for text in said if "(" in text]
        ranked = sorted(set(letters), key=lambda letter: (-letters.count(letter), letter))
        right += ranked[:1] == [item.gold]
    return right / len(items)


def test_one_call_is_no_self_consistency(build: Builder, items: list[Item]) -> None:
    roster = recorded(build, items, 3)
    table = asyncio.run(profile_experts(roster, items[:60]))
    pipeline = Pipeline.load("single-best", roster=roster, table=table)
    told = evaluated(pipeline, items[60:], build.folder / "run")
    assert "self_consistency_same_calls" not in told["arms"]
    assert told["arms"]["best_single"]["accuracy"] == told["accuracy"]
    assert (
        told["arms"]["best_single"]["tokens"] == told["tokens"]["input"] + told["tokens"]["output"]
    )
