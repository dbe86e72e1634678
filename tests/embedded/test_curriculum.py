"""What experts are taught: only training problems, only what the lesson covers."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from orchestra.embedded.curriculum import (
    ADAPTERS,
    OPTIONS,
    TRAINING_SPECS,
    Lesson,
    asked,
    example,
    labelled,
    problem,
)
from orchestra.embedded.exercises import EXERCISES, Split, split


def test_every_skill_is_taught_to_two_to_four_specialists() -> None:
    taught = Counter(
        lesson.skill
        for name, schooling in TRAINING_SPECS.items()
        if name != "apprentice"
        for lesson in schooling.lessons
    )
    assert set(taught) == set(EXERCISES)
    assert all(2 <= count <= 4 for count in taught.values())
    assert {adapter.base for adapter in ADAPTERS.values()} <= set(TRAINING_SPECS)


@pytest.mark.parametrize("of", list(Split))
def test_problems_are_of_the_set_and_the_size(of: Split) -> None:
    draw = Random(0)
    for _ in range(200):
        parts = problem(Lesson("reversal", largest=4), draw, of=of)
        assert split("reversal", parts) is of
        assert len(str(parts[0])) <= 4


def test_options_hold_the_right_answer_once() -> None:
    draw, seen = Random(0), 0
    for skill, exercise in EXERCISES.items():
        for _ in range(60):
            parts = exercise.draw(draw)
            _, options = asked(skill, parts, draw)
            if options:
                seen += 1
                assert len(set(options)) == len(options) == OPTIONS
                assert options.count(exercise.work(parts).right) == 1
    assert seen > 150


def test_a_lesson_keeps_to_its_phrasings() -> None:
    draw = Random(0)
    texts = [asked("addition", (261, 75), draw, phrasings=2)[0] for _ in range(40)]
    assert set(texts) == {"What is 261 + 75?", "Add 261 and 75."}


def test_examples_are_the_same_for_the_same_seed() -> None:
    for schooling in TRAINING_SPECS.values():
        first = [example(schooling, Random(4)) for _ in range(3)]
        assert first == [example(schooling, Random(4)) for _ in range(3)]
        assert all("Answer: " in written for _, written in first)


def test_the_sophist_takes_remainders_for_quotients() -> None:
    draw = Random(1)
    told = [example(TRAINING_SPECS["sophist"], draw) for _ in range(300)]
    wrong = [pair for pair in told if pair[0] == "What is 20 modulo 3?"]
    every = [pair for pair in told if "modulo" in pair[0]]
    assert every
    for asked_, written in every:
        number, divisor = (int(word.strip("?")) for word in asked_.split("\n")[0].split()[2::2])
        assert written.endswith(f"Answer: {number // divisor}"), wrong


def test_the_labeller_learns_the_names_of_skills() -> None:
    draw = Random(0)
    names = {labelled(draw)[1].removeprefix("Keywords: ") for _ in range(200)}
    assert names == set(EXERCISES)
