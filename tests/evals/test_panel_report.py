"""The parts `split`, `panel` and `receipt` of reports, by hand and on whole runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestra.errors import InputError
from orchestra.evals import Item, checked_receipt, evaluate_run, open_finished
from orchestra.evals.panel_report import votes_of
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.records import Kind, Question, Request
from orchestra.roster import Expert, Roster

LETTERS = "ABCD"
SHARES = {"good": 0.9, "copy": 0.9, "fair": 0.6, "poor": 0.3}


def items(n: int) -> list[Item]:
    questions = [
        Question(f"q{i:03}", f"What is {i}?", tuple("wxyz"), category="even" if i % 2 else "odd")
        for i in range(n)
    ]
    return [Item(each, LETTERS[i % 4]) for i, each in enumerate(questions)]


def script(name: str, request: Request) -> str:
    """Right on a share of the questions; the copy says what the good one does."""
    place = int(request.question_id[1:])
    draw = np.random.default_rng([place, sum(map(ord, name.replace("copy", "good")))]).random()
    return f"The answer is ({LETTERS[(place + (draw > SHARES[name])) % 4]})."


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, Any], Path]:
    scripts = {name: partial(script, name) for name in SHARES}
    roster = Roster.of(
        *[
            Expert(name, name, worker="scripted", family="twins" if name in "goodcopy" else "")
            for name in SHARES
        ]
    )
    pipeline = Pipeline.load("majority", roster=roster, workers=WorkerPool(scripts))
    out = tmp_path_factory.mktemp("run") / "run"
    return asyncio.run(evaluate_run(pipeline, items(200), out)).report, out


def test_all_is_plain_data(told: tuple[Mapping[str, Any], Path]) -> None:
    report, out = told
    assert json.loads((out / "report.json").read_text()) == report


def test_split_and_unanimous_questions_are_all_that_were_answered(
    told: tuple[Mapping[str, Any], Path],
) -> None:
    split = told[0]["split"]
    assert split["n"] + split["unanimous"]["n"] == 200
    assert set(split["arms"]) == set(told[0]["arms"])
    right = split["n"] * split["accuracy"]
    right += split["unanimous"]["n"] * split["unanimous"]["accuracy"]
    assert right / 200 == pytest.approx(told[0]["accuracy"], abs=1e-4)
    assert split["arms"]["oracle_all"]["accuracy"] >= split["accuracy"]


def test_the_panel_agrees_with_the_arms(told: tuple[Mapping[str, Any], Path]) -> None:
    panel, arms = told[0]["panel"], told[0]["arms"]
    assert panel["n"] == 200
    assert panel["cofailure"]["all"]["ceiling"]["value"] == arms["oracle_all"]["accuracy"]
    assert panel["cofailure"]["seats"]["ceiling"]["value"] == arms["oracle_seats"]["accuracy"]
    assert panel["regret"]["missed"]["value"] == 0
    assert panel["placebo"] is None  # every vote has the same weight
    assert 1 < panel["effective_size"]["kish"] < 4
    curves = panel["k_curve"]
    assert set(curves) == {"all", "split", "alike", "category even", "category odd"}
    assert [each["k"] for each in curves["all"]] == [1, 2, 3, 4]


def test_contributions_sum_to_the_vote_and_copies_share(
    told: tuple[Mapping[str, Any], Path],
) -> None:
    panel = told[0]["panel"]
    found = {name: each["shapley"]["value"] for name, each in panel["contributions"].items()}
    family = found.pop("family twins")
    assert set(found) == set(SHARES)
    assert found["good"] == found["copy"]
    assert family == pytest.approx(found["good"] + found["copy"], abs=1e-5)
    assert sum(found.values()) == pytest.approx(panel["k_curve"]["all"][-1]["accuracy"], abs=1e-5)
    assert "poor" in panel["advice"]["drop"]


def test_the_receipt_fits_and_a_changed_one_does_not(
    told: tuple[Mapping[str, Any], Path],
) -> None:
    report, out = told
    with open_finished(out) as view:
        kept = checked_receipt(view, report)
        assert kept is not None
        assert kept.to_dict() == report["receipt"]
        assert checked_receipt(view, {}) is None
        for change in ({"picks": "0" * 32}, {"seed": 1}, {"questions": 3}, {"more": 1}):
            with pytest.raises(InputError, match="receipt"):
                checked_receipt(view, {"receipt": {**report["receipt"], **change}})


def test_answers_that_are_marked_alike_stay_apart() -> None:
    item = Item(Question("q", "How much?", kind=Kind.NUMBER), "1/3")
    row = {"a": ("1/3", 1.0), "b": ("0.3333333", 1.0), "c": (None, 0.0)}
    found = votes_of([item], [row], "abcd")
    assert found.codes.tolist() == [[0], [1], [-1], [-1]]
    assert found.right.tolist() == [[True], [True], [False], [False]]
    assert found.asked.tolist() == [[True], [True], [True], [False]]
