"""Voters: weights, ties, abstentions, and that the order of arrival never matters."""

from __future__ import annotations

from math import isclose, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.records import Answer, Ballot, Plan, Seat
from orchestra.voting import Majority, Voter, Weighted


def panel(*accuracies: float, rivals: float = 3.0) -> Plan:
    seats = tuple(Seat(f"e{i}", 1.0, "", accuracy=p) for i, p in enumerate(accuracies))
    return Plan("q", seats, "test", 0, rivals=rivals)


def ballot(voter: Voter, plan: Plan, values: str) -> Ballot:
    """`values` has one letter for each seat; `-` for no answer, `.` for a seat not asked."""
    answers = {
        seat: Answer("q", seat.expert, None if value == "-" else value)
        for seat, value in zip(plan.seats, values, strict=True)
        if value != "."
    }
    return voter.vote(plan, answers)


@pytest.mark.parametrize(
    ("voter", "accuracies", "values", "winner"),
    [
        (Majority(), (0.5, 0.5, 0.5), "AAB", "A"),
        (Majority(), (0.9, 0.5, 0.5), "ABB", "B"),
        (Weighted(), (0.9, 0.5, 0.5), "ABB", "A"),  # ln 27 against 2 ln 3
        (Weighted(), (0.7, 0.6, 0.6), "ABB", "B"),  # ln 7 against 2 ln 4.5
        (Majority(), (0.4, 0.6), "AB", "B"),  # a tie goes to the better supporter
        (Majority(), (0.6, 0.4), "BA", "B"),
        (Majority(), (0.5, 0.5), "BA", "A"),  # a full tie to the smaller value
        (Weighted(), (0.1, 0.05), "-C", "C"),  # worse than chance is still the only vote
        (Majority(), (0.9, 0.8), "--", None),
        (Weighted(), (0.9, 0.8, 0.7), ".-C", "C"),
    ],
)
def test_winner(
    voter: Voter, accuracies: tuple[float, ...], values: str, winner: str | None
) -> None:
    assert ballot(voter, panel(*accuracies), values).winner == winner


def test_weights_are_log_odds_of_being_right_against_the_rivals() -> None:
    votes = ballot(Weighted(), panel(0.8, 0.6, rivals=9.0), "AB").votes
    assert [vote.weight for vote in votes] == pytest.approx([log(36), log(13.5)])


def test_score_is_the_posterior_of_independent_experts() -> None:
    # Four options: odds of A are 3 * .8 / .2 = 12 against 3 * .6 / .4 = 4.5 for B, 1 for each other
    assert isclose(ballot(Weighted(), panel(0.8, 0.6), "AB").score, 12 / (12 + 4.5 + 2))


def test_support_and_margin_are_shares_of_the_weight_cast() -> None:
    found = ballot(Majority(), panel(0.5, 0.5, 0.5, 0.5, 0.5), "AAB-A")
    assert (found.support, found.margin) == (0.75, 0.5)
    assert [vote.value for vote in found.votes] == ["A", "A", "B", None, "A"]


def test_nobody_voted() -> None:
    found = ballot(Weighted(), panel(0.5, 0.5), "--")
    assert (found.winner, found.support, found.margin, found.score) == (None, 0.0, 0.0, 0.0)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.2, 0.5, 0.5, 0.9]), st.sampled_from("ABC-")),
        min_size=1,
        max_size=7,
    ),
    st.randoms(use_true_random=False),
    st.sampled_from([Majority(), Weighted()]),
)
def test_arrival_order_never_matters(
    rows: list[tuple[float, str]], shuffle: object, voter: Voter
) -> None:
    plan = panel(*(accuracy for accuracy, _ in rows))
    values = [value for _, value in rows]
    answers = {
        seat: Answer("q", seat.expert, None if value == "-" else value)
        for seat, value in zip(plan.seats, values, strict=True)
    }
    pairs = list(answers.items())
    shuffle.shuffle(pairs)  # type: ignore[attr-defined]
    seats = list(plan.seats)
    shuffle.shuffle(seats)  # type: ignore[attr-defined]
    turned = Plan("q", tuple(seats), "test", 0, rivals=plan.rivals)
    first, second = voter.vote(plan, answers), voter.vote(turned, dict(pairs))
    assert voter.vote(plan, dict(pairs)) == first
    assert second.winner == first.winner
    assert 0.0 <= first.margin <= first.support <= 1.0
    assert 0.0 <= first.score <= 1.0
