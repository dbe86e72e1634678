"""What putting drafts together would take, before any call."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from orchestra.pipeline import Batch, Synthesise, SynthesiseStage
from orchestra.pipeline.stage import CallEstimate
from orchestra.records import Plan, Question, Seat
from orchestra.roster import Roster
from orchestra.scheduling import Length

ROSTER = Roster.loads(
    "schema: 1\ndefaults: {worker: scripted, strategy: plain}\nexperts:\n"
    + "".join(f"  - {{name: {name}, model: {name}}}\n" for name in ("a", "b", "chief")),
    "roster",
)
QUESTIONS = {each: Question(each, "?", ("one", "two")) for each in "xyz"}
LENGTHS = {"a": Length(10), "b": Length(20), "chief": Length(5)}


def plan(question_id: str, names: str) -> Plan:
    return Plan(question_id, tuple(Seat(name, 1.0, "") for name in names), "by hand", 0)


def estimates(batch: Batch | None = None, **moa: Any) -> list[CallEstimate]:
    settings = Synthesise("moa", "chief", **moa)
    plans = (plan("x", "ab"), plan("y", "abb"), plan("z", ""))
    given = batch or Batch(tuple(QUESTIONS.values()), plans=plans)
    stage = SynthesiseStage(settings, drafts=2)
    return list(stage.forecast(given, ROSTER, LENGTHS))


@pytest.mark.parametrize(
    ("moa", "calls"),
    [
        ({}, {"chief": 2}),
        ({"defence": "cluster-prompt"}, {"chief": 2}),
        ({"defence": "dropout-vote"}, {"chief": 6}),
        ({"defence": "dropout-cluster"}, {"chief": 8}),
        ({"defence": "dropout-cluster", "subsets": 2}, {"chief": 6}),
        ({"layers": 3}, {"a": 4, "b": 4, "chief": 2}),
    ],
)
def test_calls(moa: dict[str, Any], calls: dict[str, int]) -> None:
    found: Counter[str] = Counter()
    for each in estimates(**moa):
        found[each.expert] += each.calls
    assert found == calls


def test_what_is_read_has_every_draft() -> None:
    (chief,) = estimates()
    # The question, its options and the drafts, numbered: 40 and 80 characters.
    letters = len("?\n\nA. one\nB. two" + "\n\nDrafts:" + "\n1. " + "x" * 40 + "\n2. " + "x" * 80)
    assert chief.letters == 2 * letters


def test_layers_and_rounds_follow_each_other() -> None:
    found = estimates(layers=3, defence="dropout-cluster")
    assert [(each.expert, each.stage, each.layer, each.round, each.calls) for each in found] == [
        ("a", "generate", 1, 0, 2),
        ("b", "generate", 1, 0, 2),
        ("a", "generate", 2, 1, 2),
        ("b", "generate", 2, 1, 2),
        ("chief", "synthesise", 3, 2, 6),
        ("chief", "synthesise", 3, 3, 2),
    ]


def test_nothing_to_do() -> None:
    assert estimates(Batch((QUESTIONS["x"],), plans=(plan("x", ""),))) == []
