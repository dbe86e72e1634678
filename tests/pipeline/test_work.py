"""Work: which seats wait for which expert, and which reserves come next."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.pipeline.stages.generate import Generate
from orchestra.pipeline.work import Work
from orchestra.records import Absence, Answer, Plan, Question, Seat

QUESTIONS = {f"q{i}": Question(f"q{i}", "?", ("one", "two")) for i in range(3)}


def plan(question_id: str, seats: str, reserves: str = "") -> Plan:
    made = [Seat(name, 1.0, "test") for name in seats + reserves]
    return Plan(question_id, tuple(made[: len(seats)]), "test", 0, tuple(made[len(seats) :]))


def told(name: str, said: str) -> Answer:
    """`+` an answer, `-` nothing readable, `!` a failed call."""
    absence = {"+": None, "-": Absence.UNPARSED, "!": Absence.FAILED}[said]
    return Answer("q0", name, "B" if said == "+" else None, absence)


def test_seats_wait_for_their_expert() -> None:
    plans = [plan("q0", "abc"), plan("q1", "ba"), plan("q2", "c", "a")]
    work = Work(plans, QUESTIONS, Generate(calls=2))
    waiting = {name: [question.id for question, _ in asks] for name, asks in work.waiting.items()}
    assert waiting == {"a": ["q0", "q1"], "b": ["q0", "q1"], "c": ["q2"]}
    assert work.outstanding == 5
    assert [(question.id, seat.expert) for question, seat in work.take("a")] == [
        ("q0", "a"),
        ("q1", "a"),
    ]
    assert set(work.waiting) == {"b", "c"}
    assert work.outstanding == 5  # they wait no more, and are not settled


def play(work: Work, says: dict[str, str]) -> str:
    """Ask whoever waits, in alphabetical order, to the end; who was asked, in order."""
    asked = ""
    while work.waiting:
        name = min(work.waiting)
        for question, seat in work.take(name):
            asked += seat.expert
            work.settled(question, told(seat.expert, says.get(seat.expert, "+")))
    assert work.outstanding == 0
    return asked


NEXT: dict[str, Any] = {"next_if_absent": True}
FALL: dict[str, Any] = {"fallback": True}
BOTH: dict[str, Any] = {**NEXT, **FALL}


@pytest.mark.parametrize(
    ("options", "calls", "says", "asked"),
    [
        ({}, 5, {"a": "!", "b": "-"}, "ab"),
        (NEXT, 5, {"a": "!", "b": "-"}, "abcd"),
        (NEXT, 5, {"a": "-", "b": "-", "c": "-", "d": "-"}, "abcde"),
        (NEXT, 3, {"a": "-", "b": "-"}, "abc"),
        (NEXT, 2, {"a": "-", "b": "!"}, "ab"),
        (FALL, 2, {"a": "-", "b": "-"}, "ab"),
        (FALL, 2, {"a": "!"}, "abc"),
        (FALL, 2, {"a": "!", "b": "!", "c": "!"}, "abcde"),
        (FALL, 1, {"a": "!"}, "ac"),
        (FALL, 2, {name: "!" for name in "abcdef"}, "abcdef"),  # and then there is nobody
        (BOTH, 2, {"a": "-", "b": "!"}, "abc"),
        (BOTH, 3, {"a": "-", "b": "!"}, "abcd"),
        (BOTH, 1, {"a": "!"}, "ac"),  # the seat beyond `calls` takes no reserve away
        (BOTH, 1, {"a": "-"}, "a"),
    ],
)
def test_reserves(options: dict[str, Any], calls: int, says: dict[str, str], asked: str) -> None:
    work = Work([plan("q0", "ab", "cdef")], QUESTIONS, Generate(calls=calls, **options))
    assert play(work, says) == asked


@given(
    st.permutations("abc"),
    st.text("+-!", min_size=9, max_size=9),
    st.integers(1, 8),
    st.booleans(),
    st.booleans(),
)
def test_whatever_the_order_the_same_are_asked(
    order: list[str], says: str, calls: int, following: bool, fallback: bool
) -> None:
    """Reserves come in order, as many as `calls` leaves, and one more for each failure."""
    names = "abcdefghi"
    said = dict(zip(names, says, strict=True))
    settings = Generate(calls=calls, next_if_absent=following, fallback=fallback)
    work = Work([plan("q0", "abc", "defghi")], QUESTIONS, settings)
    seats = "abc"[:calls]
    rank = {name: at for at, name in enumerate(order)}
    asked = ""
    while work.waiting:
        name = min(work.waiting, key=lambda each: rank.get(each, -1))
        for question, seat in work.take(name):
            asked += seat.expert
            work.settled(question, told(seat.expert, said[seat.expert]))
    reserves = [name for name in names[3:] if name in asked]
    assert set(asked) == {*seats, *reserves}
    assert reserves == list(names[3 : 3 + len(reserves)])
    failed = sum(said[name] == "!" for name in asked) if fallback else 0
    empty = sum(said[name] == "-" or (said[name] == "!" and not fallback) for name in asked)
    wanted = failed + (min(empty, max(calls - 3, 0)) if following else 0)
    assert len(reserves) == min(wanted, 6)


@pytest.mark.parametrize("names", ["a", "ab", "ba"])
def test_the_next_one_is_among_those_that_are_named(names: str) -> None:
    work = Work([plan("q0", "ab"), plan("q1", "bc")], QUESTIONS, Generate())
    assert work.next(names, "abc") in names


def test_an_expert_that_questions_may_turn_to_comes_late() -> None:
    plans = [plan("q0", "a"), plan("q1", "b", "a")]
    assert Work(plans, QUESTIONS, Generate(calls=2, **NEXT)).next("ab", "ab") == "b"
    assert Work(plans, QUESTIONS, Generate(calls=2)).next("ab", "ab") == "a"


def test_outstanding_never_grows_but_by_reserves() -> None:
    work = Work([plan("q0", "ab", "cd")], QUESTIONS, Generate(calls=4, **NEXT))
    counts = [work.outstanding]
    while work.waiting:
        for question, seat in work.take(min(work.waiting)):
            work.settled(question, told(seat.expert, "-" if seat.expert == "a" else "+"))
            counts.append(work.outstanding)
    assert counts == [2, 2, 1, 0]
    assert all(later <= earlier for earlier, later in pairwise(counts))
