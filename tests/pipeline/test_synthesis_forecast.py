"""What putting drafts together would take, before any call."""

from __future__ import annotations

import pytest

from orchestra.pipeline import Generate, Synthesise
from orchestra.pipeline.stages.synthesise import Merging
from orchestra.records import Plan, Question, Seat
from orchestra.roster import Roster
from orchestra.scheduling import CostModel, Job, Length

ROSTER = Roster.loads(
    "schema: 1\ndefaults: {worker: scripted, strategy: plain}\nexperts:\n"
    + "".join(f"  - {{name: {name}, model: {name}}}\n" for name in ("a", "b", "chief")),
    "roster",
)
QUESTIONS = {each: Question(each, "?", ("one", "two")) for each in "xyz"}
LENGTHS = {"a": Length(10), "b": Length(20), "chief": Length(5)}


def plan(question_id: str, names: str) -> Plan:
    return Plan(question_id, tuple(Seat(name, 1.0, "") for name in names), "by hand", 0)


def merging(**moa: object) -> Merging:
    plans = [plan("x", "ab"), plan("y", "abb"), plan("z", "")]
    settings = Synthesise("moa", "chief", **moa)  # type: ignore[arg-type]
    return Merging.of(settings, Generate(calls=2), plans)


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
def test_calls(moa: dict[str, object], calls: dict[str, int]) -> None:
    shares = merging(**moa).shares(QUESTIONS, ROSTER, LENGTHS)
    assert {share.expert: share.seats for share in shares} == calls
    for share in shares:
        assert share.output_tokens == share.seats * LENGTHS[share.expert].tokens


def test_what_is_read_has_every_draft() -> None:
    (chief,) = merging().shares(QUESTIONS, ROSTER, LENGTHS)
    # The question, its options and the drafts, numbered: 40 and 80 characters.
    letters = len("?\n\nA. one\nB. two" + "\n\nDrafts:" + "\n1. " + "x" * 40 + "\n2. " + "x" * 80)
    assert chief.input_tokens == -(-2 * letters // 4)


def test_jobs_follow_layer_by_layer() -> None:
    one = merging(layers=3)
    shares = one.shares(QUESTIONS, ROSTER, LENGTHS)
    jobs = one.jobs(shares, CostModel.of(ROSTER))
    assert [(job.unit, job.stage, job.layer, job.requests) for job in jobs] == [
        ("a", "generate", 1, 2),
        ("b", "generate", 1, 2),
        ("a", "generate", 2, 2),
        ("b", "generate", 2, 2),
        ("chief", "synthesise", 3, 2),
    ]
    assert all(isinstance(job, Job) for job in jobs)


def test_nothing_to_do() -> None:
    nobody = Merging.of(Synthesise("moa", "chief"), Generate(), [plan("x", "")])
    alone = Merging.of(Synthesise(), Generate(), [plan("x", "ab")])
    for each in (nobody, alone):
        assert each.shares(QUESTIONS, ROSTER, LENGTHS) == []
        assert each.jobs([], CostModel.of(ROSTER)) == []
