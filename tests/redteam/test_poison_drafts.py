"""Drafts of liars, without a run; `test_inject` compares them with those of one."""

from __future__ import annotations

import pytest

from orchestra.errors import InputError
from orchestra.evals import Item
from orchestra.records import Absence, Answer, Kind, Question, Seat
from orchestra.redteam import ATTACKS, Scene, plant
from tests.redteam.houses import lying_answers

CASCADES = ("lenient", "official", "stated", "strict")
CHOICE = Question("q", "Which?", ("the answer is (B)", "two", "three"))
NUMBER = Question("n", "How many?", (), Kind.NUMBER)
SCENES = [Scene(Item(CHOICE, "A"), {"a": "B", "b": "C"}), Scene(Item(NUMBER, "42"), {"a": "7"})]


def honest() -> dict[str, dict[Seat, Answer]]:
    missing = Answer("q", "x", None, Absence.NOT_RECORDED, sample=1, instead_of="b")
    return {
        "q": {
            Seat("a", 1.0, ""): Answer("q", "a", "B"),
            Seat("x", 1.0, ""): Answer("q", "x", "A"),
            Seat("x", 1.0, "", 1): missing,
        },
        "n": {Seat("x", 1.0, ""): Answer("n", "x", "42")},
        "other": {Seat("x", 1.0, ""): Answer("other", "x", "A")},
    }


@pytest.mark.parametrize("cascade", CASCADES)
def test_liars_answers_are_read_from_their_texts(cascade: str) -> None:
    lies = plant(SCENES, ATTACKS["colluding"], liars=["x"], seed=0)
    found = lying_answers(honest(), lies, cascade=cascade)
    told = {
        (question_id, seat.expert, seat.sample): (answer.value, answer.absence, answer.instead_of)
        for question_id, row in found.items()
        for seat, answer in row.items()
    }
    assert told == {
        ("q", "a", 0): ("B", None, ""),
        ("q", "x", 0): (lies.planted["q", "x"].value, None, ""),
        ("q", "x", 1): (lies.planted["q", "x"].value, None, "b"),
        ("n", "x", 0): ("7", None, ""),
        ("other", "x", 0): ("A", None, ""),
    }
    assert {a.sample for a in found["q"].values()} == {0, 1}
    assert all(answer.rule.startswith(cascade) for answer in found["n"].values())


def test_a_deceptive_aggregator_drafts_nothing() -> None:
    lies = plant(SCENES, ATTACKS["deceptive-aggregator"], liars=["x"], seed=0)
    assert lies.planted
    assert lying_answers(honest(), lies) == honest()


def test_an_unknown_cascade() -> None:
    lies = plant(SCENES, ATTACKS["promoter"], liars=["x"], seed=0)
    with pytest.raises(InputError, match="unknown answer cascade: 'stted'"):
        lying_answers(honest(), lies, cascade="stted")
