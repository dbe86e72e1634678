from __future__ import annotations

import numpy as np
import pytest

from orchestra.voting.clones import Clones, groups, shares
from orchestra.voting.drift import DriftTest
from orchestra.voting.trust import Trusted
from orchestra.voting.vote_matrix import Panel, everybody, folded
from tests.voting.world import Batch, World, any_wrong, popular_wrong, simulate

SIX = World((0.65, 0.6, 0.58, 0.55, 0.52, 0.5))


def drift(batch: Batch) -> DriftTest:
    known = [each.poll for each in batch.evidence.known]
    names = everybody([*known, *batch.polls])
    folds = folded([poll.plan.question_id for poll in batch.polls])
    return DriftTest(
        Panel.of(known, names), Panel.of(batch.polls, names), np.ones(len(names)), folds
    )


def test_honest_experts_deviate_as_chance_has_it() -> None:
    """Over 40 panels of six: about standard normal, and never near the limit of 5."""
    found = np.array(
        [
            drift(simulate(SIX, seed=seed, asked=200)).of(range(6)).deviation[-1]
            for seed in range(40)
        ]
    )
    assert abs(found.mean()) < 0.3
    assert 0.7 < found.std() < 1.3
    assert found.max() < 4.5


@pytest.mark.parametrize("asked", [20, 60, 600])
def test_harder_questions_move_nobody_far(asked: int) -> None:
    """The batch is of another difficulty than the profile: everybody agrees less."""
    easy = simulate(World(tuple(min(p + 0.25, 0.95) for p in SIX.skills)), seed=1, asked=asked)
    hard = simulate(SIX, seed=2, asked=asked)
    found = drift(Batch(hard.polls, easy.evidence, hard.gold)).of(range(6))
    assert (found.deviation[-1] < 5).all() or (found.effect[-1] < 0.08).all()


def test_each_fold_is_judged_by_the_others() -> None:
    batch = simulate(SIX, seed=3, liars=(2,), lie=any_wrong, asked=100)
    test = drift(batch)
    found = test.of(range(6))
    assert found.deviation.shape == (11, 6)
    assert (found.deviation[:, 2] > 5).all()
    spared = list(batch.polls)
    first = int(np.flatnonzero(folded([p.plan.question_id for p in spared]) == 0)[0])
    spared[first] = simulate(SIX, seed=4, asked=100).polls[first]
    again = drift(Batch(tuple(spared), batch.evidence, batch.gold)).of(range(6))
    assert (again.deviation[0] == found.deviation[0]).all()
    assert (again.deviation[1] != found.deviation[1]).any()


@pytest.mark.parametrize("liars", [(), (1,), (0, 5), (2, 3)])
def test_the_largest_sound_group_are_the_honest(liars: tuple[int, ...]) -> None:
    test = drift(simulate(SIX, seed=5, liars=liars, lie=popular_wrong))
    group = Trusted(test, range(6)).fold(test.count)
    assert group.sound
    assert set(group.members) == set(range(6)) - set(liars)


def test_most_experts_moved_and_no_group_is_sound() -> None:
    test = drift(simulate(SIX, seed=6, liars=(0, 1, 2, 3), lie=any_wrong))
    group = Trusted(test, range(6)).fold(test.count)
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
