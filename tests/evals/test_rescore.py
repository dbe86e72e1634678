"""Marking a run again by the same rules changes nothing, whatever stood in for what."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestra.evals import evaluate_run, open_finished, profile_experts, reread
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.records import Absence, Request
from orchestra.runs import RowKind

if TYPE_CHECKING:
    from tests.conftest import Builder

SETTINGS: dict[str, dict[str, Any]] = {
    "seats only": {"calls": 3},
    "next if absent": {"calls": 5, "next_if_absent": True},
    "fallback": {"calls": 3, "fallback": True},
    "both": {"calls": 4, "next_if_absent": True, "fallback": True},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_same_rules_change_nothing(build: Builder, tmp_path: Path, setting: str) -> None:
    items = build.items(60)
    gold = {item.question.id: item.gold for item in items}

    def says(request: Request) -> str:
        turn = hash_of(request.question_id, request.expert)
        if profiled:
            return f"The answer is ({gold[request.question_id]})."
        if turn == 0:
            raise OSError("no engine")
        return "Hm." if turn == 1 else f"The answer is ({gold[request.question_id]})."

    names = "abcdef"
    roster = build.scripted(*names)
    workers = WorkerPool(dict.fromkeys(names, says))
    profiled = True
    table = asyncio.run(profile_experts(roster, items[:20], workers=workers))
    profiled = False
    source = build.pipeline_file(
        route={"posterior": {"seats": 3, "fit": False, "reserves": 3}},
        vote="majority",
        generate={"draft": {**SETTINGS[setting], "tolerance": 1.0}},
    )
    pipeline = Pipeline.load(source, roster=roster, table=table, workers=workers)
    asyncio.run(evaluate_run(pipeline, items[20:], tmp_path / "run"))
    with open_finished(tmp_path / "run") as view:
        answers = list(view.ledger.rows(RowKind.ANSWER))
        again = reread(view, items[20:])
    assert any(answer.absence is Absence.FAILED for answer in answers)
    replaced = sum(bool(answer.instead_of) for answer in answers)
    assert (replaced > 0) is (setting != "seats only")
    assert (again.after, again.gained, again.lost, again.unasked) == (again.before, (), (), 0)


def hash_of(question_id: str, expert: str) -> int:
    """0 to 4, the same in every process."""
    return sum(ord(letter) for letter in question_id + expert) % 5
