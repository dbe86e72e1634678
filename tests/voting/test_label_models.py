from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from orchestra.voting import Mmsr, OneCoin, Reputation, Robust, Voter, VoterContext, Weighted
from tests.voting.world import World, any_wrong, popular_wrong, simulate

LEARNERS = [OneCoin(), Mmsr(), Reputation()]
HONEST = World((0.75, 0.7, 0.65, 0.6, 0.55), follow=0.0)


@pytest.mark.parametrize("voter", LEARNERS, ids=lambda v: v.name)
def test_honest_experts_are_voted_on_as_well_as_by_the_profile(voter: Voter) -> None:
    batch = simulate(HONEST, seed=1)
    ours = batch.accuracy([b.winner for b in voter.vote(batch.polls, batch.evidence).ballots])
    usual = batch.accuracy([b.winner for b in Weighted().vote(batch.polls).ballots])
    assert ours > usual - 1.5


@pytest.mark.parametrize("voter", LEARNERS, ids=lambda v: v.name)
def test_one_who_turned_liar_loses_weight(voter: Voter) -> None:
    batch = simulate(HONEST, seed=2, liars=(0,), lie=any_wrong)
    votes = voter.vote(batch.polls, batch.evidence).ballots[0].votes
    weights = {vote.expert: vote.weight for vote in votes}
    assert weights["e0"] < min(weights[f"e{i}"] for i in range(1, 5))


def test_colluders_who_agree_most_are_believed_by_label_models_and_not_by_robust() -> None:
    """METHODS 5.2: why neither is used unguarded."""
    world = World((0.6, 0.55, 0.5, 0.45, 0.45))
    batch = simulate(world, seed=3, liars=(0, 1), lie=popular_wrong)
    won = {
        voter.name: batch.accuracy([b.winner for b in voter.vote(batch.polls, told).ballots])
        for voter, told in ((OneCoin(), VoterContext()), (Robust(), batch.evidence))
    }
    assert won["one-coin"] < 10
    assert won["robust"] > 40


@pytest.mark.parametrize("voter", LEARNERS, ids=lambda v: v.name)
def test_weights_do_not_depend_on_the_answers_that_they_weigh(voter: Voter) -> None:
    batch = simulate(HONEST, seed=4, profiled=40, asked=10)
    first = voter.vote(batch.polls, batch.evidence).ballots[3]
    for lie in "ABCD":
        polls = list(batch.polls)
        answers = {seat: replace(answer, value=lie) for seat, answer in polls[3].answers.items()}
        polls[3] = replace(polls[3], answers=answers)
        again = voter.vote(polls, batch.evidence).ballots[3]
        assert [v.weight for v in again.votes] == [v.weight for v in first.votes]


@pytest.mark.parametrize("voter", LEARNERS, ids=lambda v: v.name)
def test_one_liar_that_lies_everywhere_may_do(voter: Voter) -> None:
    batch = simulate(HONEST, seed=5, profiled=40, asked=20)
    told = [b.certificate for b in voter.vote(batch.polls, batch.evidence).ballots]
    assert {each.everywhere for each in told if each} == {1}
    assert any(each.experts > 1 for each in told if each)


@pytest.mark.parametrize(
    ("voter", "asked", "profiled"), list(product(LEARNERS, (0, 1, 3), (0, 5))), ids=str
)
def test_small_and_empty_batches(voter: Voter, asked: int, profiled: int) -> None:
    batch = simulate(HONEST, seed=6, profiled=profiled, asked=asked)
    assert len(voter.vote(batch.polls, batch.evidence).ballots) == asked
