"""Intervals of shares by skill: that they hold the truth, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.coverage import OTHERS, UNEQUAL, WORLDS, by_skill, measure, overall, profile
from orchestra.records import Brief, Mark, Outcome
from orchestra.skills import RecruitmentTable
from orchestra.skills.beta import Floats
from orchestra.skills.uncertainty import Uncertainty, _curvature, _solved

FAST: Mapping[str, tuple[int | str, int]] = {
    "8 × 3, any share from 20 to 90 %": (7, 10),
    "24 × 14, cells differ much": (10, 1),
    "8 × 8, half are specialists": (25, 4),
    "8 × 6, near 97 %": (UNEQUAL, 5),
}


@pytest.mark.parametrize("name", FAST)
def test_intervals_hold_the_truth(name: str) -> None:
    size, seeds = FAST[name]
    assert by_skill(WORLDS[name], size, seeds).coverage >= 0.92


@pytest.mark.slow
def test_every_interval_holds_the_truth_at_every_size() -> None:
    found = measure(cells=2_000, sizes=(5, 25, 200))
    told = {
        (part, name, size): row["coverage"]
        for part, rows in found.items()
        for name, sizes in rows.items()
        for size, row in sizes.items()
    }
    assert {place: held for place, held in told.items() if held < 0.915} == {}


def test_overall_intervals_hold_the_truth() -> None:
    assert overall(WORLDS["8 × 6, skills do not matter"], 7, 20).coverage >= 0.92


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("n", [20, 200])
def test_intervals_of_reports_hold_the_truth(name: str, n: int) -> None:
    assert OTHERS[name](n, 200).coverage >= 0.92


def table(counts: list[list[tuple[int, int]]]) -> Uncertainty:
    both = np.array(counts, dtype=np.float64)
    return Uncertainty(both[..., 0], both[..., 1])


cell = st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
counts = st.integers(1, 4).flatmap(
    lambda skills: st.lists(
        st.lists(cell, min_size=skills, max_size=skills), min_size=1, max_size=6
    )
)


@settings(max_examples=10)
@given(counts)
def test_any_counts_have_an_interval(cells: list[list[tuple[int, int]]]) -> None:
    found = table(cells)
    low, middle, high = (found.quantile(level) for level in (0.025, 0.5, 0.975))
    assert ((low >= 0) & (low < middle) & (middle < high) & (high <= 1)).all()
    assert ((found.beta.alpha > 0) & (found.beta.beta > 0)).all()
    turned = Uncertainty(found.correct[::-1], found.total[::-1])
    assert turned.quantile(0.025)[::-1] == pytest.approx(low, abs=1e-4)


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        ([[(0, 0)]], 0.0, 1.0),  # nothing is known
        ([[(25, 50)]], 0.365, 0.635),  # one cell: what its own counts say
        ([[(50, 50)]], 0.93, 1.0),
        ([[(0, 50)]], 0.0, 0.07),
        ([[(5_000, 10_000)]], 0.49, 0.51),
        ([[(5_000, 10_000), (3, 5)]], 0.49, 0.51),
    ],
)
def test_by_hand(cells: list[list[tuple[int, int]]], low: float, high: float) -> None:
    found = table(cells)
    ends = found.quantile(0.025)[0, 0], found.quantile(0.975)[0, 0]
    assert ends == pytest.approx((low, high), abs=0.02)


def width(found: Uncertainty) -> Floats:
    return found.quantile(0.975) - found.quantile(0.025)


def test_few_questions_borrow_only_what_the_others_show() -> None:
    """Where skills are alike a rare one is nearly known; where they differ it is not."""
    alike = width(table([[(100, 200)] * 5 + [(3, 6)]] * 4))[0, -1]
    apart = width(table([[(20, 200), (180, 200)] * 2 + [(100, 200), (3, 6)]] * 4))[0, -1]
    alone = width(table([[(3, 6)]]))[0, 0]
    assert alike < 0.3 < apart < alone


@pytest.mark.parametrize("name", ["8 × 6, nothing differs", "1 × 6, any share", "2 × 2, any share"])
def test_a_skill_is_no_better_known_than_the_whole(name: str) -> None:
    rng = np.random.default_rng(0)
    world = WORLDS[name]
    each = np.repeat(np.arange(world.skills), 12).tolist()
    found = profile(world.shares(rng), each, rng)
    logit = [
        np.log(b.quantile(q) / (1 - b.quantile(q)))
        for b in (found.beliefs, found.global_beliefs)
        for q in (0.025, 0.975)
    ]
    assert (logit[1] - logit[0] > 0.95 * (logit[3] - logit[2])).all()


def test_questions_of_several_skills_are_not_counted_twice() -> None:
    def made(skills: tuple[str, ...]) -> RecruitmentTable:
        briefs = [Brief(f"q{i}", tuple((s, 1.0) for s in skills), "") for i in range(40)]
        marks = [
            Mark(f"q{i}", who, Outcome.CORRECT if (i + row) % 2 else Outcome.WRONG, "A")
            for row, who in enumerate("abc")
            for i in range(40)
        ]
        return RecruitmentTable.build(briefs, marks, experts=list("abc"))

    once, thrice = (made(each).beliefs for each in (("s",), ("s", "t", "u")))
    widths = [(b.quantile(0.975) - b.quantile(0.025))[0, 0] for b in (once, thrice)]
    assert 0.75 * widths[0] < widths[1] < 1.25 * widths[0]


def test_intervals_stand_in_the_columns_of_their_skills() -> None:
    """Skills of different depth are fitted apart: parents after children in the alphabet."""
    briefs = [Brief(f"q{i}", (("algebra" if i < 60 else "torts", 1.0),), "") for i in range(90)]
    marks = [
        Mark(f"q{i}", who, Outcome.CORRECT if i < 60 else Outcome.WRONG, "A")
        for who in "ab"
        for i in range(90)
    ]
    parents = {"algebra": "science", "torts": "law"}
    made = RecruitmentTable.build(briefs, marks, experts=["a", "b"], parents=parents)
    assert made.skills == ("algebra", "law", "science", "torts")
    low, high = made.beliefs.quantile(0.025)[0], made.beliefs.quantile(0.975)[0]
    assert (low[[0, 2]] > 0.85).all()
    assert (high[[1, 3]] < 0.15).all()
    assert ((low <= made.beliefs.mean[0]) & (made.beliefs.mean[0] <= high)).all()


@pytest.mark.parametrize("shape", [(2, 5), (5, 2), (3, 3)])
def test_the_shorter_term_is_solved_and_the_longer_one_follows(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    experts, skills = shape
    weight = rng.uniform(1, 5, size=(1, *shape))
    a, d = weight.sum(axis=2) + 0.5, weight.sum(axis=1) + 2.0
    score = rng.normal(size=(1, experts)), rng.normal(size=(1, skills))
    whole = np.block([[np.diag(a[0]), weight[0]], [weight[0].T, np.diag(d[0])]])
    step = np.linalg.solve(whole, np.concatenate([score[0][0], score[1][0]]))
    first, second = _solved(weight, (a, d), score)
    assert np.concatenate([first[0], second[0]]) == pytest.approx(step)
    inverse = np.linalg.inv(whole)
    sums = [
        [
            inverse[e, e] + inverse[experts + s, experts + s] + 2 * inverse[e, experts + s]
            for s in range(skills)
        ]
        for e in range(experts)
    ]
    variance, log_determinant = _curvature(weight, a, d)
    assert variance[0] == pytest.approx(np.array(sums))
    assert log_determinant[0] == pytest.approx(np.linalg.slogdet(whole)[1])
