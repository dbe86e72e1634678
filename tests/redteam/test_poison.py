"""A profile on which liars lied: only their marks change, as if they had been asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestra.evals import profile_experts
from orchestra.pipeline import WorkerPool
from orchestra.records import Absence, Brief, Mark, Outcome
from orchestra.redteam import ATTACKS, Injected, Scene, lying_table, plant
from orchestra.skills import RecruitmentTable, read_table, write_table

if TYPE_CHECKING:
    from tests.conftest import Builder

NAMES = sorted(ATTACKS)
LYING = [name for name in NAMES if ATTACKS[name].on_profile]
SHARES = {"a": 0.9, "b": 0.6, "c": 0.5, "d": 0.4}
LONG = "a sentence that is far too long to be kept in a table"


def table(*rows: str, choices: int = 4, right: str = "A") -> RecruitmentTable:
    """One row of answers for each question, one letter for each expert; `-` absent, `.` unasked."""
    briefs = [Brief(f"q{i}", (("skill", 1.0),), "test", choices=choices) for i in range(len(rows))]
    names = "abcdef"[: len(rows[0])]
    marks = []
    for brief, row in zip(briefs, rows, strict=True):
        for name, value in zip(names, row, strict=True):
            if value == "-":
                absent = Absence.UNPARSED
                marks.append(Mark(brief.question_id, name, Outcome.ABSENT, None, absent))
            elif value != ".":
                outcome = Outcome.CORRECT if value == right else Outcome.WRONG
                marks.append(Mark(brief.question_id, name, outcome, value))
    return RecruitmentTable.build(briefs, marks, experts=list(names), provenance={"tagger": "test"})


def said(marked: RecruitmentTable, name: str) -> list[tuple[str, str | None] | None]:
    return [
        None if mark is None else (mark.outcome.value, mark.value) for mark in marked.marks[name]
    ]


@pytest.mark.parametrize("name", LYING)
def test_it_is_the_profile_that_liars_would_have_had(build: Builder, name: str) -> None:
    items = build.items(60)
    roster = build.scripted(*SHARES)
    workers = WorkerPool(build.scripts(items, SHARES, absent=0.1))
    honest = asyncio.run(profile_experts(roster, items, workers=workers))
    scenes = [
        Scene(item, {who: marks and marks.value for who, marks in zip(SHARES, row, strict=True)})
        for item, row in zip(items, zip(*honest.marks.values(), strict=True), strict=True)
    ]
    lies = plant(scenes, ATTACKS[name], liars=["a", "c"], seed=4)
    asked = asyncio.run(profile_experts(roster, items, workers=Injected(workers, lies)))
    made = lying_table(honest, ATTACKS[name], liars=["a", "c"], seed=4)
    known = [
        i
        for i, column in enumerate(zip(*honest.marks.values(), strict=True))
        if any(mark and mark.outcome is Outcome.CORRECT for mark in column)
    ]
    assert len(known) > 40
    assert asked.questions(known).marks == made.questions(known).marks
    assert made.tally("a").correct < honest.tally("a").correct


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LYING])
def test_who_is_honest_on_the_profile_leaves_it_alone(name: str) -> None:
    honest = table("AABB", "ABBC")
    assert lying_table(honest, ATTACKS[name], liars=["a"], seed=0) is honest


def test_nobody_lies() -> None:
    honest = table("AABB")
    assert lying_table(honest, ATTACKS["colluding"], liars=["z"], seed=0) is honest


@pytest.mark.parametrize(
    ("name", "row", "wanted"),
    [
        ("colluding", "AABBC", ("wrong", "B")),
        ("colluding", "BACCB", ("wrong", "C")),  # liars' own votes do not count
        ("colluding", "-ABBC", ("wrong", "B")),
        ("colluding", ".ABBC", None),
        ("colluding", "ABCCD", ("wrong", "C")),  # only the liar knew what is right
        ("mimic", "AAAAB", ("correct", "A")),
        ("mimic", "AABBA", ("wrong", "B")),
        ("mimic", "-AAAA", ("absent", None)),
    ],
)
def test_marks(name: str, row: str, wanted: tuple[str, str | None] | None) -> None:
    honest = table(row)
    lying = lying_table(honest, ATTACKS[name], liars=["a"], seed=0)
    assert said(lying, "a") == [wanted]
    for other in "bcde":
        assert lying.marks[other] == honest.marks[other]


def test_colluders_agree_and_others_draw_their_own() -> None:
    honest = table(*["AAAA"] * 60)
    colluding = lying_table(honest, ATTACKS["colluding"], liars=["a", "b"], seed=0)
    single = lying_table(honest, ATTACKS["random-wrong"], liars=["a", "b"], seed=0)
    assert said(colluding, "a") == said(colluding, "b")
    assert said(single, "a") != said(single, "b")
    for lying in (colluding, single):
        assert {value for row in ("a", "b") for _, value in filter(None, said(lying, row))} == {
            *"BCD"
        }


@pytest.mark.parametrize(("name", "alike"), [("colluding", True), ("deceptive", False)])
def test_open_answers_are_made_up(name: str, alike: bool) -> None:
    lying = lying_table(table("AAA", choices=0), ATTACKS[name], liars=["a", "b"], seed=0)
    (one,), (two,) = said(lying, "a"), said(lying, "b")
    assert one is not None
    assert one[0] == "wrong"
    assert one[1] not in {"A", None}
    assert (one == two) is alike
    popular = lying_table(table("AABB", choices=0), ATTACKS[name], liars=["a"], seed=0)
    assert said(popular, "a") == [("wrong", "B")]


def test_an_answer_that_nobody_got_right() -> None:
    honest = table(*["BC--"] * 30)
    lying = lying_table(honest, ATTACKS["promoter"], liars=["a"], seed=0)
    assert {value for _, value in filter(None, said(lying, "a"))} == {*"ABCD"}
    assert lying.tally("a").correct == 0


def test_it_is_a_table_like_any_other(tmp_path_factory: pytest.TempPathFactory) -> None:
    honest = table("AABB", "ABBC")
    lying = lying_table(honest, ATTACKS["colluding"], liars=["a"], seed=7)
    assert lying.provenance == {**honest.provenance, "attack": "colluding by a, seed 7"}
    path = tmp_path_factory.mktemp("tables") / "table.json"
    write_table(lying, path)
    assert replace(read_table(path), created="") == replace(lying, created="")
