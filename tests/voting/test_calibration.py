"""Calibration: probabilities that hold, never reversed, left alone without evidence."""

from __future__ import annotations

from random import Random

import pytest

from orchestra.records import Ballot, Vote
from orchestra.voting import Calibration, calibrate, decide


def overconfident(seed: int, n: int) -> tuple[list[float], list[bool]]:
    """Scores whose log-odds are twice what they should be."""
    draw = Random(seed)
    true = [draw.uniform(0.3, 0.9) for _ in range(n)]
    odds = [(p / (1 - p)) ** 2 for p in true]
    return [o / (1 + o) for o in odds], [draw.random() < p for p in true]


def brier(shares: list[float], right: list[bool]) -> float:
    return sum((p - r) ** 2 for p, r in zip(shares, right, strict=True)) / len(right)


def test_it_mends_overconfidence_on_questions_it_has_not_seen() -> None:
    fitted = calibrate(*overconfident(1, 400))
    scores, right = overconfident(2, 4_000)
    assert fitted.slope == pytest.approx(0.5, abs=0.15)
    assert brier([fitted.confidence(s) for s in scores], right) < brier(scores, right) - 0.005


def test_confidence_rises_with_the_score() -> None:
    fitted = calibrate(*overconfident(3, 100))
    told = [fitted.confidence(score / 50) for score in range(51)]
    assert told == sorted(told)
    assert all(0 < each < 1 for each in told)


def test_a_useless_score_gives_the_base_rate_not_a_reversal() -> None:
    draw = Random(5)
    scores = [draw.random() for _ in range(300)]
    fitted = calibrate(scores, [score < 0.5 for score in scores])
    assert fitted.slope == 0.0


@pytest.mark.parametrize("n", [0, 1, 19])
def test_too_few_pairs_leave_the_score_as_it_is(n: int) -> None:
    fitted = calibrate([0.9] * n, [True] * n)
    assert fitted == Calibration(pairs=n)
    assert fitted.confidence(0.7) == pytest.approx(0.7)


@pytest.mark.parametrize("right", [True, False])
def test_all_right_or_all_wrong_stays_finite(right: bool) -> None:
    fitted = calibrate([0.99] * 50 + [0.01] * 50, [right] * 100)
    assert 0 < fitted.confidence(0.5) < 1


VOTES = (Vote("a", "A", 2.0), Vote("b", "B", 1.0), Vote("c", None, 1.0))


def test_a_decision_keeps_its_dissent() -> None:
    made = decide(Ballot("q", VOTES, "A", 2 / 3, 1 / 3, "weighted", 0.8), Calibration())
    assert (made.value, made.confidence, made.dissent) == ("A", 0.8, (VOTES[1],))
    assert made.abstained is None


def test_an_abstention_says_why() -> None:
    made = decide(Ballot("q", (), None, 0.0, 0.0, "weighted"), Calibration(), absence="truncated")
    assert (made.value, made.confidence, made.abstained) == (None, None, "truncated")


def test_without_a_profile_there_is_no_confidence() -> None:
    assert decide(Ballot("q", VOTES, "A", 1.0, 1.0, "majority", 0.8), None).confidence is None
