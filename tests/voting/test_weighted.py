from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.records import Absence, Answer, Ballot, Plan, Seat
from orchestra.voting import Majority, QuestionVotes, Voter, Weighted
from orchestra.voting.weighted import winner

VOTERS = [Majority(), Weighted()]

Said = Sequence[tuple[float | None, str | None]]
"""(expected accuracy, answer) by seat."""


def setting(said: Said, *, rivals: float | None = 3.0) -> tuple[Plan, dict[Seat, Answer]]:
    seats = tuple(
        Seat(f"e{i}", 1.0, "because", accuracy=accuracy) for i, (accuracy, _) in enumerate(said)
    )
    answers = {
        seat: Answer("q", seat.expert, value, None if value else Absence.UNPARSED)
        for seat, (_, value) in zip(seats, said, strict=True)
    }
    return Plan("q", seats, "test", 0, rivals=rivals), answers


def ballot(voter: Voter, said: Said, *, rivals: float | None = 3.0) -> Ballot:
    return voter.vote([QuestionVotes(*setting(said, rivals=rivals))]).ballots[0]


@pytest.mark.parametrize(
    ("voter", "said", "winner"),
    [
        (Majority(), [(0.5, "A"), (0.5, "B"), (0.5, "B")], "B"),
        (Majority(), [(0.9, "A"), (0.4, "B"), (0.4, "B")], "B"),
        (Weighted(), [(0.9, "A"), (0.4, "B"), (0.4, "B")], "A"),
        (Weighted(), [(0.7, "A"), (0.6, "B"), (0.6, "B")], "B"),
        (Weighted(), [(0.05, "A"), (0.05, "A"), (0.5, "B")], "B"),
        # Ties: to the value with the more accurate supporter, then to the first in the alphabet.
        (Majority(), [(0.5, "A"), (0.6, "B")], "B"),
        (Majority(), [(0.6, "C"), (0.3, "A"), (0.5, "A"), (0.2, "C")], "C"),
        (Majority(), [(0.5, "B"), (0.5, "A")], "A"),
        (Majority(), [(None, "B"), (0.4, "A")], "B"),
        (Weighted(), [(0.1, "B"), (0.2, "A")], "A"),
        # Abstentions weigh nothing.
        (Majority(), [(0.9, None), (0.9, None), (0.3, "D")], "D"),
        (Weighted(), [(0.9, None), (0.3, "D")], "D"),
        (Majority(), [(0.9, None)], None),
        (Weighted(), [], None),
    ],
)
def test_who_wins(voter: Voter, said: Said, winner: str | None) -> None:
    found = ballot(voter, said)
    assert found.winner == winner
    assert found.method == voter.name
    assert [vote.value for vote in found.votes] == [value for _, value in said]


@pytest.mark.parametrize(("heavier", "wins"), [(4e-10, "B"), (2e-9, "A")])
def test_weights_that_differ_by_rounding_only_are_a_tie(heavier: float, wins: str) -> None:
    poll = QuestionVotes(*setting([(0.5, "A"), (0.6, "B")]))
    assert winner(poll, [1.0 + heavier, 1.0]) == wins


class TestByHand:
    def test_majority(self) -> None:
        found = ballot(Majority(), [(0.5, "A"), (0.5, "B"), (0.5, "A"), (0.5, None), (0.5, "C")])
        assert [vote.weight for vote in found.votes] == [1.0] * 5
        assert found.support == pytest.approx(2 / 4)
        assert found.margin == pytest.approx(1 / 4)

    def test_weighted(self) -> None:
        found = ballot(Weighted(), [(0.75, "A"), (0.5, "B"), (0.1, "B")])
        assert [vote.weight for vote in found.votes] == pytest.approx([log(9), log(3), 0.01])
        cast = log(9) + log(3) + 0.01
        assert found.support == pytest.approx(log(9) / cast)
        assert found.margin == pytest.approx((log(9) - log(3) - 0.01) / cast)

    @pytest.mark.parametrize("voter", VOTERS)
    def test_score_is_the_posterior_of_independent_experts(self, voter: Voter) -> None:
        found = ballot(voter, [(0.75, "A"), (0.6, "A"), (0.5, "B")])
        a, b = 9 * 4.5, 3.0
        assert found.score == pytest.approx(a / (a + b + 2))

    def test_a_lone_expert_scores_its_accuracy(self) -> None:
        assert ballot(Weighted(), [(0.7, "A")]).score == pytest.approx(0.7)
        assert ballot(Weighted(), [(0.7, "A")], rivals=9.0).score == pytest.approx(0.7)

    def test_an_open_question_without_rivals_told_counts_four(self) -> None:
        found = ballot(Weighted(), [(0.5, "x")], rivals=None)
        assert found.votes[0].weight == pytest.approx(log(4))

    @pytest.mark.parametrize("voter", VOTERS)
    def test_nobody_voted(self, voter: Voter) -> None:
        found = ballot(voter, [(0.5, None), (0.7, None)])
        assert (found.winner, found.support, found.margin, found.score) == (None, 0, 0, 0)
        assert len(found.votes) == 2


@pytest.mark.parametrize("voter", VOTERS)
def test_only_those_asked_vote_and_in_the_plans_order(voter: Voter) -> None:
    plan, answers = setting([(0.5, "A"), (0.6, "B"), (0.7, None), (0.8, "C")])
    plan = Plan("q", plan.seats[:2], "test", 0, reserves=plan.seats[2:], rivals=3.0)
    asked = {seat: answers[seat] for seat in (plan.reserves[1], plan.seats[1])}
    (found,) = voter.vote([QuestionVotes(plan, asked)]).ballots
    assert [vote.expert for vote in found.votes] == ["e1", "e3"]


accuracies = st.none() | st.floats(0, 1) | st.sampled_from([0.2, 0.5, 0.5, 0.8])
saids = st.lists(st.tuples(accuracies, st.none() | st.sampled_from("ABC")), max_size=7)


@settings(max_examples=150)
@given(saids, st.sampled_from(VOTERS), st.none() | st.floats(1, 20), st.randoms())
def test_the_order_of_seats_and_answers_does_not_matter(
    said: Said, voter: Voter, rivals: float | None, random: Random
) -> None:
    plan, answers = setting(said, rivals=rivals)
    (first,) = voter.vote([QuestionVotes(plan, answers)]).ballots
    seats = list(plan.seats)
    random.shuffle(seats)
    turned = Plan("q", tuple(seats[:2]), "test", 0, reserves=tuple(seats[2:]), rivals=rivals)
    (again,) = voter.vote([QuestionVotes(turned, dict(reversed(answers.items())))]).ballots
    assert again.winner == first.winner
    assert (again.support, again.margin, again.score) == (first.support, first.margin, first.score)


@settings(max_examples=150)
@given(saids, st.sampled_from(VOTERS), st.none() | st.floats(1, 20))
def test_ballots_are_within_bounds(said: Said, voter: Voter, rivals: float | None) -> None:
    found = ballot(voter, said, rivals=rivals)
    values = {value for _, value in said if value is not None}
    assert (found.winner is None) == (not values)
    assert found.winner in values | {None}
    for share in (found.support, found.margin, found.score):
        assert 0 <= share <= 1 + 1e-12
    assert all(vote.weight > 0 for vote in found.votes)
    if found.winner is not None:
        assert found.support >= 1 / len(values) - 1e-9
        assert found.margin <= found.support + 1e-12


def test_many_sure_voters_do_not_overflow() -> None:
    found = ballot(Weighted(), [(1.0, "A")] * 200 + [(1.0, "B")] * 199)
    assert found.winner == "A"
    assert found.score == pytest.approx(1 / (1 + exp(-log(3 * 999))))
