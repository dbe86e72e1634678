from __future__ import annotations

import numpy as np
import pytest

from orchestra.records import Answer, Plan, Seat
from orchestra.voting import LabelledVotes, QuestionVotes
from orchestra.voting.split_accuracy import _reliance, below_chance, record
from orchestra.voting.vote_matrix import Panel, right_codes
from tests.voting.world import World, any_wrong, mimicry, simulate

FIVE = World((0.6, 0.6, 0.6, 0.6, 0.6))


def panel(known: tuple[LabelledVotes, ...]) -> tuple[Panel, np.ndarray]:
    found = Panel.of([each.poll for each in known])
    return found, right_codes(found, known)


def test_experts_that_differ_by_chance_only_are_not_moved() -> None:
    turns = []
    for seed in range(10):
        known, right = panel(simulate(FIVE, seed=seed).evidence.known)
        turns.append(record(known, right, range(5)).turn)
    assert np.abs(turns).mean() < 0.12


@pytest.mark.parametrize(
    ("turn", "members", "reliance"),
    [
        # Error 0.04: nobody to compare with, so two standard errors, 0.4, count.
        ([0.8, 0.4, -0.3], [], [0.75, 0.0, 0.0]),
        # Variance of true differences: (0.6 + 0.12) / 2.
        ([0.8, 0.4], [0, 1], [0.9, 0.9]),
        # None in truth: one alone differs.
        ([0.8, 0.1, 0.1], [1, 2], [0.75, 0.0, 0.0]),
    ],
)
def test_how_far_a_difference_counts(
    turn: list[float], members: list[int], reliance: list[float]
) -> None:
    usual, seen = np.full(len(turn), 0.5), np.full(len(turn), 95.0)
    assert _reliance(np.array(turn), usual, seen, members) == pytest.approx(reliance)


def test_a_mimic_is_worth_nothing_where_panels_are_split() -> None:
    world = World((0.6, 0.6, 0.6, 0.6, 0.7))
    batch = simulate(world, seed=1, liars=(4,), lie=mimicry, asleep=False)
    known, right = panel(batch.evidence.known)
    found = record(known, right, range(5))
    assert found.turn[4] < -1.5
    assert found.split[4] < 0.15
    assert (found.split[:4] > 0.3).all()
    assert found.on(np.full((5, 1), 0.6))[4, 0] < 0.3


def test_what_a_seat_expects_above_the_usual_is_kept() -> None:
    known, right = panel(simulate(FIVE, seed=2).evidence.known)
    found = record(known, right, range(5))
    shares = found.on(np.array([[0.4, 0.6, 0.8]] * 5))
    assert (np.diff(shares, axis=1) > 0.1).all()
    assert np.isnan(found.on(np.array([[np.nan]] * 5))).all()


@pytest.mark.parametrize(("liars", "below"), [((), set()), ((1, 3), {1, 3})])
def test_worse_than_guessing(liars: tuple[int, ...], below: set[int]) -> None:
    batch = simulate(FIVE, seed=3, liars=liars, lie=any_wrong, asleep=False)
    known, right = panel(batch.evidence.known)
    z, missing = below_chance(known, right, np.full(known.questions, 0.25))
    assert set(np.flatnonzero((z < -4.5) & (missing > 0.5)).tolist()) == below
    assert all(missing[i] == 1.0 for i in below)
    nobody, _ = below_chance(known, right, np.zeros(known.questions))
    assert (nobody == 0).all()  # open questions: there is no guessing


def test_answers_of_the_first_draw_count_and_the_right_one_is_found() -> None:
    seats = (Seat("a", 1, "r", 1, 0.5), Seat("a", 1, "r", 0, 0.7), Seat("b", 1, "r", 0, None))
    said = ["x", "y", None]
    answers = {s: Answer("q", s.expert, v) for s, v in zip(seats, said, strict=True)}
    known = (
        LabelledVotes(QuestionVotes(Plan("q", seats, "r", 0, rivals=2.0), answers), frozenset("y")),
    )
    found = Panel.of([known[0].poll])
    assert found.values == (("y",),)
    assert found.codes.tolist() == [[0], [-1]]
    assert found.expected.tolist() == [[0.7], [0.5]]
    assert right_codes(found, known).tolist() == [0]
    assert right_codes(found, (LabelledVotes(known[0].poll, frozenset()),)).tolist() == [-2]
