from __future__ import annotations

import numpy as np
import pytest

from orchestra.voting import Robust
from orchestra.voting.clones import Clones, groups, shares
from orchestra.voting.drift import DriftTest, Habits, changed, lying
from orchestra.voting.trust import Trusted
from orchestra.voting.vote_matrix import Panel, everybody, folded, right_codes
from tests.voting.world import Batch, World, any_wrong, mimicry, popular_wrong, simulate

SIX = World((0.65, 0.6, 0.58, 0.55, 0.52, 0.5))
EIGHT = World((0.65, 0.62, 0.6, 0.58, 0.55, 0.52, 0.5, 0.48))
NINE = World((0.8, 0.75, 0.7, 0.6, 0.55, 0.52, 0.5, 0.48, 0.45))
ELEVEN = World((0.62, 0.6, 0.58, 0.56, 0.54, 0.52, 0.5, 0.48, 0.46, 0.44, 0.42))


def drift(batch: Batch) -> DriftTest:
    known = [each.poll for each in batch.evidence.known]
    names = everybody([*known, *batch.polls])
    panel = Panel.of(known, names)
    return DriftTest(
        panel,
        right_codes(panel, batch.evidence.known),
        batch=Panel.of(batch.polls, names),
        weights=np.ones(len(names)),
        folds=folded([poll.plan.question_id for poll in batch.polls]),
        experts=range(len(names)),
    )


def each(test: DriftTest) -> Habits:
    """The habits of every expert among all others."""
    return test.habits([(row,) for row in test.experts], ())


def test_honest_experts_deviate_as_chance_has_it() -> None:
    """Over 30 panels of six: about standard normal, and seldom near a limit."""
    tests = [drift(simulate(SIX, seed=seed, asked=200)) for seed in range(30)]
    habits = [each(test) for test in tests]
    pairs = [test.habits([(0, 1), (2, 3)], ()) for test in tests]
    for found in (
        [changed(one).deviation for one in habits],
        [lying(one, one.dissent).deviation for one in habits],
        [lying(two, two.dissent).deviation for two in pairs],
    ):
        whole = np.array([deviation[:, -1] for deviation in found])
        assert abs(whole.mean()) < 0.6
        assert 0.6 < whole.std() < 1.3
        assert whole.max() < 4.4


def test_the_deviation_of_a_change_by_hand() -> None:
    """50 : 50 and 70 : 30 at one level: chi squared 25 / 3 with one degree of freedom."""
    before, now = np.zeros((2, 1, 1, 4, 4))
    before[0, 0, 3, :2], now[0, 0, 3, :2] = (50, 50), (70, 30)
    found = changed(Habits(before, now, np.zeros((1, 1, 4))))
    by_hand = ((25 / 3) ** (1 / 3) - (1 - 2 / 9)) / (2 / 9) ** 0.5
    assert found.deviation[0, 0] == pytest.approx(by_hand)
    assert found.effect[0, 0] == pytest.approx((25 / 3 - 1) / 50)


def test_too_few_answers_to_compare_are_no_drift() -> None:
    found = changed(each(drift(simulate(SIX, seed=1, asked=4))))
    assert (found.deviation == 0).all()
    assert (found.effect == 0).all()


@pytest.mark.parametrize("asked", [20, 60, 600])
def test_harder_questions_move_nobody_far(asked: int) -> None:
    """The batch is of another difficulty than the profile: everybody agrees less."""
    easy = simulate(World(tuple(min(p + 0.25, 0.95) for p in SIX.skills)), seed=1, asked=asked)
    hard = simulate(SIX, seed=2, asked=asked)
    test = drift(Batch(hard.polls, easy.evidence, hard.gold))
    assert Trusted(test).fold(test.count).members == tuple(range(6))


@pytest.mark.parametrize("rate", [0.2, 0.3, 0.5])
@pytest.mark.parametrize("liars", [(2,), (1, 4)])
def test_the_share_of_lies_is_fitted(rate: float, liars: tuple[int, ...]) -> None:
    batch = simulate(SIX, seed=3, liars=liars, lie=popular_wrong, rate=rate, asked=2000)
    habits = drift(batch).habits([liars], liars)
    found = lying(habits, habits.dissent)
    assert found.effect[0, -1] == pytest.approx(rate, abs=0.12)
    assert found.deviation[0, -1] > 2.5


def test_each_fold_is_judged_by_the_others() -> None:
    batch = simulate(SIX, seed=3, liars=(2,), lie=any_wrong, asked=100)
    found = changed(each(drift(batch)))
    assert found.deviation.shape == (6, 11)
    assert (found.deviation[2] > 5).all()
    spared = list(batch.polls)
    first = int(np.flatnonzero(folded([p.plan.question_id for p in spared]) == 0)[0])
    spared[first] = simulate(SIX, seed=4, asked=100).polls[first]
    again = changed(each(drift(Batch(tuple(spared), batch.evidence, batch.gold))))
    assert (again.deviation[:, 0] == found.deviation[:, 0]).all()
    assert (again.deviation[:, 1] != found.deviation[:, 1]).any()


@pytest.mark.parametrize("liars", [(), (1,), (0, 5), (2, 3)])
def test_the_largest_sound_group_are_the_honest(liars: tuple[int, ...]) -> None:
    test = drift(simulate(SIX, seed=5, liars=liars, lie=popular_wrong))
    group = Trusted(test).fold(test.count)
    assert group.sound
    assert set(group.members) == set(range(6)) - set(liars)


PART_TIME = [
    # panel, liars, share of the questions
    (SIX, (1, 4), 0.3),
    (EIGHT, (0, 5), 0.3),
    (EIGHT, (1, 2, 6), 0.3),
    (EIGHT, (3, 7), 0.5),
    (NINE, (0, 8), 0.3),
    (NINE, (1, 3, 5), 0.2),
    (ELEVEN, (2, 9), 0.3),
    (ELEVEN, (0, 4, 10), 0.2),
]


@pytest.mark.parametrize(("world", "liars", "rate"), PART_TIME)
def test_part_time_liars_are_named_and_nobody_else(
    world: World, liars: tuple[int, ...], rate: float
) -> None:
    batch = simulate(world, seed=1, liars=liars, lie=popular_wrong, rate=rate, asked=2000)
    suspects = Robust().vote(batch.polls, batch.evidence).trust.suspects
    assert {each.expert for each in suspects} == {f"e{liar}" for liar in liars}


def test_the_evidence_names_the_other_liar() -> None:
    batch = simulate(EIGHT, seed=2, liars=(0, 5), lie=popular_wrong, rate=0.3, asked=1000)
    suspects = Robust().vote(batch.polls, batch.evidence).trust.suspects
    assert {each.expert for each in suspects} == {"e0", "e5"}
    (first,) = [each for each in suspects if each.expert == "e0"]
    assert "of the questions it shares with `e5` an answer that most of the others" in first.detail
    assert first.effect == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize("asked", [5, 60, 600])
@pytest.mark.parametrize(
    "world",
    [World((0.6, 0.55, 0.5)), World((0.9,) * 4), SIX, EIGHT, NINE, ELEVEN, World((0.3,) * 7)],
)
def test_honest_experts_are_not_accused(world: World, asked: int) -> None:
    for seed in range(2):
        test = drift(simulate(world, seed=100 + seed, asked=asked))
        assert Trusted(test).fold(test.count).members == tuple(range(len(world.skills)))


def test_an_honest_expert_that_errs_where_a_liar_lies_is_not_accused() -> None:
    """A liar tells the most popular wrong answer, so whoever is wrong agrees with it."""
    for seed in range(3):
        batch = simulate(EIGHT, seed=seed, liars=(3,), lie=popular_wrong, asked=1000)
        test = drift(batch)
        assert set(Trusted(test).fold(test.count).members) == set(range(8)) - {3}


def test_mimics_change_how_they_dissent_and_not_how_often() -> None:
    test = drift(simulate(EIGHT, seed=4, liars=(2, 6), lie=mimicry, asked=1000))
    assert set(Trusted(test).fold(test.count).members) == set(range(8)) - {2, 6}


def test_most_experts_moved_and_no_group_is_sound() -> None:
    test = drift(simulate(SIX, seed=6, liars=(0, 1, 2, 3), lie=any_wrong))
    group = Trusted(test).fold(test.count)
    assert (group.members, group.sound) == (tuple(range(6)), False)


@pytest.mark.parametrize(
    ("ids", "past", "folds"),
    [
        ([], 0, set()),
        (["a"], 0, {0}),
        (["a"], 2, {-1, 0}),
        (list("abcdefghijklmno"), 0, set(range(10))),
    ],
)
def test_folds(ids: list[str], past: int, folds: set[int]) -> None:
    found = folded(ids, past)
    assert set(found.tolist()) == folds
    counts = np.bincount(found[past:]) if ids else np.zeros(1)
    assert counts.max() - counts.min() <= 1


def test_folds_go_by_id_and_not_by_place() -> None:
    ids = [f"q{i}" for i in range(50)]
    first = dict(zip(ids, folded(ids).tolist(), strict=True))
    again = dict(zip(ids[::-1], folded(ids[::-1]).tolist(), strict=True))
    assert first == again


def test_clones_are_those_that_dissent_together() -> None:
    batch = simulate(SIX, seed=7, liars=(3, 4), lie=popular_wrong)
    panel = Panel.of(batch.polls)
    weights = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 1.0])
    nowhere = np.full(panel.questions, -1)
    assert Clones(panel, weights, nowhere).alike(0) == {(3, 4)}
    honest = simulate(SIX, seed=7)
    assert Clones(Panel.of(honest.polls), np.ones(6), nowhere).alike(0) == frozenset()


def dissent(same: int, both: int, agreed: int = 5) -> Panel:
    """Three light experts lead with 0; two others dissent on `both` questions, `same` times alike,
    and agree with the three on the rest."""
    pair = [[1] * both, [1] * same + [2] * (both - same)]
    codes = np.array([row + [0] * agreed for row in (*pair, *[[0] * both] * 3)])
    values = (("A", "B", "C"),) * (both + agreed)
    return Panel(
        tuple("abcde"), codes, np.full(codes.shape, 0.5), np.full(both + agreed, 3.0), values
    )


@pytest.mark.parametrize(
    ("same", "both", "alike"),
    # Wilson's interval for the share, 3.3 deviations down, above three quarters.
    [(32, 32, False), (33, 33, True), (89, 100, False), (90, 100, True), (150, 200, False)],
)
def test_how_often_clones_dissent_alike(same: int, both: int, alike: bool) -> None:
    panel = dissent(same, both)
    found = Clones(panel, np.full(5, 0.1), np.full(panel.questions, -1))
    assert ((0, 1) in found.alike(0)) == alike


def test_without_an_answer_of_others_nobody_dissents() -> None:
    panel = dissent(40, 40)
    weights = np.array([0.1, 0.1, 0.0, 0.0, 0.0])
    assert (0, 1) not in Clones(panel, weights, np.full(panel.questions, -1)).alike(0)


def test_a_fold_is_judged_by_the_dissent_in_the_others() -> None:
    panel = dissent(40, 40)
    clones = Clones(panel, np.full(5, 0.1), np.array([0] * 40 + [1] * 5))
    assert [(0, 1) in clones.alike(fold) for fold in range(3)] == [False, True, True]


def test_liars_do_not_make_a_clique_of_the_honest() -> None:
    """Whose company is not sought cannot lead, so nobody dissents from it."""
    batch = simulate(SIX, seed=8, liars=(0, 1, 2), lie=popular_wrong)
    weights = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    alike = Clones(Panel.of(batch.polls), weights, np.full(600, -1)).alike(0)
    assert groups(alike) == [(0, 1, 2)]


@pytest.mark.parametrize(
    ("alike", "found"),
    [
        ([], []),
        ([(0, 1)], [(0, 1)]),
        ([(0, 1), (0, 2), (1, 2), (3, 4)], [(0, 1, 2), (3, 4)]),
        # One that echoes now this and now that expert makes no group of them.
        ([(0, 4), (1, 4), (2, 4), (3, 4)], [(0, 4)]),
        ([(0, 1), (1, 2), (2, 3)], [(0, 1), (2, 3)]),
    ],
)
def test_in_a_group_every_two_are_alike(
    alike: list[tuple[int, int]], found: list[tuple[int, ...]]
) -> None:
    assert groups(alike) == found


def test_a_group_has_one_vote() -> None:
    assert shares([(0, 1, 2), (3, 4)], 6).tolist() == pytest.approx([1 / 3] * 3 + [0.5] * 2 + [1])
