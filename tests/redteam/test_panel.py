"""Who would have been asked, and what a panel is without its liars."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from orchestra.pipeline import Batch, Generate
from orchestra.records import Absence, Answer, Draft, Plan, Question, Seat
from orchestra.redteam.panel import Honest, Panel, due

SEATS = tuple(Seat(name, 1.0, "") for name in "abxyz")
PLAN = Plan("q", SEATS[:2], "by hand", 0, reserves=SEATS[2:])
NEXT = Generate(calls=4, next_if_absent=True)


def row(said: str) -> dict[Seat, Answer]:
    """`A` a value, `-` no answer, `!` a call that failed, `.` nobody was asked; seat by seat."""
    found = {}
    for seat, word in zip(SEATS, said, strict=False):
        absence = {"-": Absence.EMPTY, "!": Absence.FAILED}.get(word)
        if word != ".":
            found[seat] = Answer("q", seat.expert, None if absence else word, absence)
    return found


@pytest.mark.parametrize(
    ("said", "settings", "asked"),
    [
        ("AB", Generate(), "ab"),
        ("A-C", Generate(), "ab"),
        ("ABC", NEXT, "ab"),
        ("A-CDE", NEXT, "abx"),
        ("--CDE", NEXT, "abxy"),
        ("---DE", NEXT, "abxy"),
        ("----E", NEXT, "abxy"),
        ("A!CDE", Generate(fallback=True), "abx"),
        ("!!!!!", Generate(fallback=True), "abxyz"),
        ("!-CDE", Generate(fallback=True), "abx"),
        ("!--DE", NEXT, "abxy"),
        ("!--DE", Generate(calls=3, next_if_absent=True, fallback=True), "abxy"),
        ("ABC", Generate(calls=1), "a"),
        ("A.", Generate(), None),
        ("A-.", NEXT, None),
        ("A.C", Generate(calls=1), "a"),
    ],
)
def test_who_is_asked(said: str, settings: Generate, asked: str | None) -> None:
    found = due(PLAN, row(said), settings)
    assert (None if found is None else "".join(seat.expert for seat in found)) == asked


def test_nobody_is_asked_twice() -> None:
    asked: list[str] = []

    async def ask(plans: Sequence[Plan]) -> Batch:
        asked.extend(plan.question_id for plan in plans)
        return Batch(
            tuple(Question(plan.question_id, "?") for plan in plans),
            drafts=tuple(
                tuple(Draft(s, Answer(plan.question_id, s.expert, "A")) for s in plan.seats)
                for plan in plans
            ),
        )

    honest = Honest(Generate())
    plans = [PLAN, Plan("r", SEATS[:1], "by hand", 0)]
    first = asyncio.run(honest.rows(plans, ask))
    again = asyncio.run(honest.rows([*plans, Plan("q", SEATS[1:2], "other", 0)], ask))
    assert asked == ["q", "r"]
    assert list(first["q"]) == [*SEATS[:2]]
    assert list(again["q"]) == [SEATS[1]]


def test_a_panel_without_some() -> None:
    panel = Panel((PLAN,), {"q": row("A-C")})
    left = panel.without(["b", "z"])
    assert [seat.expert for seat in left.plans[0].seats] == ["a"]
    assert [seat.expert for seat in left.plans[0].reserves] == ["x", "y"]
    assert [seat.expert for seat in left.rows["q"]] == ["a", "x"]
    assert (panel.calls, panel.seats, panel.asked) == (3, 3, frozenset("abx"))
    assert (left.calls, left.polls[0].plan) == (2, left.plans[0])


def test_repented_liars_say_what_they_said_honestly() -> None:
    panel = Panel((PLAN,), {"q": row("ABC")})
    found = panel.repented({"q": row("DE")}, ["a", "x"]).rows["q"]
    assert {seat.expert: answer.value for seat, answer in found.items()} == {
        "a": "D",
        "b": "B",
        "x": None,
    }


def test_nobody_has_a_seat_without_questions() -> None:
    assert Panel((), {}).seats == 0


@pytest.mark.parametrize(
    ("plan", "said", "equal"),
    [
        (PLAN, "AB", True),
        (PLAN, "AC", False),
        (PLAN, "A-", False),
        (PLAN, "A", False),
        (replace(PLAN, reserves=()), "AB", False),
    ],
)
def test_equal_panels_have_equal_stamps(plan: Plan, said: str, equal: bool) -> None:
    stamps = [Panel((each,), {"q": row(told)}).stamp for each, told in ((PLAN, "AB"), (plan, said))]
    assert (stamps[0] == stamps[1]) is equal
