"""The exercises' answers, worked out a second way; and that each is read back as itself."""

from __future__ import annotations

import re
from datetime import date, timedelta
from random import Random

import pytest

from orchestra.evals.scripted_skills import EXERCISES, Exercise, Worked, solve


def worked(text: str) -> Worked:
    found = solve(text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("text", "right", "slip"),
    [
        ("What is 478 plus 964?", "1442", "1332"),
        ("A library owns 950 books and buys 51 more. How many", "1001", "901"),
        ("What is the remainder when 26 times 12 is divided by 10?", "2", "6"),
        ("the letters of the made-up word 'banana' in alphabetical order.", "aaabnn", "abn"),
        ("Spell the made-up word 'tolar' backwards.", "ralot", "raolt"),
        ("Which number does the Roman numeral MCMXLIV stand for?", "1944", "2166"),
        ("Today is Monday. Which day of the week will it be in 9 days?", "Wednesday", "Thursday"),
        ("Today is Monday. Which day of the week was it 9 days ago?", "Saturday", "Wednesday"),
        ("How many minutes are 3 hours and 25 minutes?", "205", "325"),
        ("How many centimetres are 4 metres and 35 centimetres?", "435", "400"),
        ("Ben is older than Cleo. Ada is older than Ben. Who is the oldest?", "Ada", "Cleo"),
        (
            "Ada is older than Ben. Cleo is older than Dev. Ben is older than Cleo. "
            "Who is the second youngest?",
            "Cleo",
            "Ben",
        ),
    ],
)
def test_worked_by_hand(text: str, right: str, slip: str) -> None:
    found = worked(text)
    assert found.right == right
    assert slip in found.slips


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.skill)
def test_posed_questions_are_read_back_and_have_enough_slips(exercise: Exercise) -> None:
    draw = Random(1)
    for _ in range(300):
        text = exercise.pose(draw)
        found = solve(text)
        assert found is not None
        skill, result = found
        assert skill == exercise.skill
        assert len(result.slips) >= 3
        assert len({result.right, *result.slips}) == len(result.slips) + 1
        assert result.steps >= 1


def test_weekdays_agree_with_the_calendar() -> None:
    exercise = next(each for each in EXERCISES if each.skill == "weekdays")
    draw = Random(2)
    monday = date(2024, 1, 1)
    for _ in range(100):
        text = exercise.pose(draw)
        day, number = re.findall(r"is (\w+)\.|(\d+) days", text)
        start = next(
            each
            for each in (monday + timedelta(n) for n in range(7))
            if each.strftime("%A") == day[0]
        )
        shift = timedelta(int(number[1]) * (-1 if text.endswith("ago?") else 1))
        assert worked(text).right == (start + shift).strftime("%A")


def test_other_questions_are_not_read() -> None:
    assert solve("What is the capital of Utopia?") is None
