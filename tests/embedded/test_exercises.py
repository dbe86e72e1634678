"""Exercises: what they say is right, and the three sets stay apart."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.embedded.exercises import EXERCISES, Parts, Split, numeral, quotient, split

SKILLS = sorted(EXERCISES)


@pytest.mark.parametrize(
    ("skill", "parts", "right", "paper"),
    [
        ("addition", (261, 75), "336", "1+5>6 6+7>13 2+0>3=633"),
        ("addition", (950, 60), "1010", "0+0>0 5+6>11 9+0>10=0101"),
        ("subtraction", (607, 258), "349", "7-8>9* 0-5>4* 6-2>3=943"),
        ("subtraction", (64, 60), "4", "4-0>4 6-6>0=4"),
        ("sorting", ("hcv",), "chv", ""),
        ("reversal", ("abc",), "cba", "1a2b3c>3c2b1a"),
        ("remainders", (387, 9), "0", "9: 3>3 38>2 27>0"),
        ("roman numerals", ("MCMXXIV",), "1924", ""),
        ("weekdays", (45, "before", "Wednesday"), "Sunday", "7: 4>4 45>3 Wed-3 Tue Mon Sun"),
        ("weekdays", (7, "after", "Friday"), "Friday", "7: 7>0 Fri+0"),
        ("units", (34, "hours", "minutes"), "2040", "60: 4>24 3>20=402"),
    ],
)
def test_worked(skill: str, parts: Parts, right: str, paper: str) -> None:
    worked = EXERCISES[skill].work(parts)
    assert (worked.right, worked.paper) == (right, paper)


def test_a_wrong_method_is_wrong() -> None:
    worked = quotient((387, 9))
    assert (worked.right, worked.paper) == ("43", "9: 3>0 38>4 27>3")


@given(st.sampled_from(SKILLS), st.randoms(use_true_random=False))
def test_every_problem_can_be_asked_in_every_way(skill: str, draw: Random) -> None:
    exercise = EXERCISES[skill]
    parts = exercise.draw(draw)
    worked = exercise.work(parts)
    assert exercise.size(parts) >= 1
    assert len(set(worked.slips)) == len(worked.slips) >= 3
    assert worked.right not in worked.slips
    texts = [each.format(*parts) for each in exercise.phrasings]
    assert len(set(texts)) == len(texts) >= 3
    for text in texts:
        assert all(str(part) in text for part in parts)


@given(st.integers(1, 3999))
def test_numerals_read_back(number: int) -> None:
    assert EXERCISES["roman numerals"].work((numeral(number),)).right == str(number)


@pytest.mark.parametrize("skill", SKILLS)
def test_the_sets_have_their_shares(skill: str) -> None:
    draw = Random(0)
    found = [split(skill, EXERCISES[skill].draw(draw)) for _ in range(2_000)]
    for each, share in ((Split.TRAIN, 0.7), (Split.PROFILE, 0.1), (Split.TEST, 0.2)):
        assert abs(found.count(each) / len(found) - share) < 0.06
