from __future__ import annotations

from itertools import product
from math import lgamma, log

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import beta as scipy_beta

from orchestra.skills.beta import Beta, Floats, log_gamma, mixed_quantile
from orchestra.skills.estimation import Beliefs, hierarchical, log_odds, overall

PARAMETERS = (0.04, 0.3, 0.5, 1.0, 2.0, 30.0, 400.0, 20_000.0)
LEVELS = (0.001, 0.025, 0.5, 0.9, 0.975)


def strength(beliefs: Beliefs, total: Floats) -> float:
    """The pseudo-questions behind a hierarchical belief."""
    return float((beliefs.alpha + beliefs.beta - total)[0, 0])


class TestQuantile:
    @pytest.mark.parametrize("level", LEVELS)
    def test_agrees_with_scipy_over_the_range_of_parameters(self, level: float) -> None:
        alpha, beta = np.array(list(product(PARAMETERS, PARAMETERS))).T
        found = Beta(alpha, beta).quantile(level)
        assert found == pytest.approx(scipy_beta.ppf(level, alpha, beta), abs=1e-6)

    @settings(max_examples=30)
    @given(st.floats(0.05, 500), st.floats(0.05, 500), st.floats(0.001, 0.999))
    def test_agrees_with_scipy(self, alpha: float, beta: float, level: float) -> None:
        found = Beta(np.array([alpha]), np.array([beta])).quantile(level)
        assert found == pytest.approx(scipy_beta.ppf(level, [alpha], [beta]), abs=1e-6)

    def test_of_the_uniform_is_the_level(self) -> None:
        ones = np.ones((2, 3))
        assert Beta(ones, ones).quantile(0.2) == pytest.approx(np.full((2, 3), 0.2), abs=1e-6)

    def test_of_nothing_is_nothing(self) -> None:
        assert Beta(np.ones((2, 0)), np.ones((2, 0))).quantile(0.5).shape == (2, 0)

    def test_of_a_mixture(self) -> None:
        # Half of it is uniform on (0, 1), half Beta(2, 1): P(x < q) = (q + q^2) / 2.
        parts = Beta(np.array([[1.0], [2.0]]), np.array([[1.0], [1.0]]))
        found = mixed_quantile(np.array([[0.5], [0.5]]), parts, 0.375)
        assert found == pytest.approx([0.5], abs=1e-6)

    @settings(max_examples=30)
    @given(st.floats(1e-3, 1e6))
    def test_log_gamma(self, x: float) -> None:
        assert log_gamma(np.array([x])) == pytest.approx([lgamma(x)], rel=1e-9, abs=1e-9)

    def test_a_belief_lies_within_its_interval(self) -> None:
        beliefs = Beliefs(np.array([[1.0, 30.0]]), np.array([[2.0, 10.0]]))
        assert beliefs.mean == pytest.approx(np.array([[1 / 3, 0.75]]))
        assert (beliefs.quantile(0.025) < beliefs.mean).all()
        assert (beliefs.mean < beliefs.quantile(0.975)).all()


def test_overall_is_a_uniform_prior_and_the_counts() -> None:
    beliefs = overall(np.array([3.0, 0.0]), np.array([10.0, 0.0]))
    assert beliefs.alpha.tolist() == [[4.0], [1.0]]
    assert beliefs.beta.tolist() == [[8.0], [1.0]]


counts = st.integers(1, 4).flatmap(
    lambda skills: st.lists(
        st.lists(
            st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
            min_size=skills,
            max_size=skills,
        ),
        min_size=1,
        max_size=5,
    )
)


def split(cells: list[list[tuple[int, int]]]) -> tuple[Floats, Floats, Floats]:
    """Correct, total, and a share one level up for each cell."""
    both = np.array(cells, dtype=np.float64)
    correct, total = both[..., 0], both[..., 1]
    above = (correct.sum(axis=1) + 1) / (total.sum(axis=1) + 2)
    return correct, total, np.repeat(above[:, None], correct.shape[1], axis=1)


class TestHierarchical:
    def test_without_evidence_is_what_is_known_above(self) -> None:
        above = np.array([[0.3, 0.3], [0.8, 0.8]])
        nothing = np.zeros((2, 2))
        assert hierarchical(nothing, nothing, above).mean == pytest.approx(above)

    def test_an_unseen_skill_is_not_moved_by_the_seen_one(self) -> None:
        total = np.array([[40.0, 0.0], [40.0, 0.0]])
        above = np.full((2, 2), 0.5)
        beliefs = hierarchical(total * 0.9, total, above)
        assert beliefs.mean[:, 1] == pytest.approx([0.5, 0.5])
        assert (beliefs.mean[:, 0] > 0.7).all()

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
    def test_much_evidence_is_the_share_itself(self, share: float) -> None:
        total = np.array([[1e6, 10.0]])
        beliefs = hierarchical(total * share, total, np.full((1, 2), 0.4))
        assert beliefs.mean[0, 0] == pytest.approx(share, abs=1e-3)

    def test_little_evidence_moves_little(self) -> None:
        total = np.array([[200.0, 2.0], [200.0, 2.0]])
        correct = np.array([[100.0, 2.0], [100.0, 0.0]])
        lucky, unlucky = hierarchical(correct, total, np.full((2, 2), 0.5)).mean[:, 1]
        assert 0.5 < lucky < 0.6
        assert 0.4 < unlucky < 0.5

    def test_a_skill_hard_for_everybody_is_expected_to_be_hard_for_the_untested(self) -> None:
        total = np.array([[100.0], [100.0], [0.0]])
        correct = np.array([[20.0], [25.0], [0.0]])
        assert hierarchical(correct, total, np.full((3, 1), 0.6)).mean[2, 0] < 0.35

    @settings(max_examples=30)
    @given(counts)
    def test_is_a_proper_belief_near_the_evidence(self, cells: list[list[tuple[int, int]]]) -> None:
        correct, total, above = split(cells)
        beliefs = hierarchical(correct, total, above)
        assert (beliefs.alpha > correct).all()
        assert (beliefs.beta > total - correct).all()

    @settings(max_examples=30)
    @given(counts, st.data())
    def test_one_more_right_answer_never_lowers_a_belief(
        self, cells: list[list[tuple[int, int]]], data: st.DataObject
    ) -> None:
        correct, total, above = split(cells)
        cell = tuple(data.draw(st.integers(0, size - 1)) for size in correct.shape)
        assume(correct[cell] < total[cell])
        more = correct.copy()
        more[cell] += 1
        before, after = hierarchical(correct, total, above), hierarchical(more, total, above)
        # Another strength is another prior for everybody; only under one prior need this hold.
        assume(strength(before, total) == pytest.approx(strength(after, total)))
        assert after.mean[cell] > before.mean[cell]

    @settings(max_examples=30)
    @given(counts)
    def test_the_order_of_experts_does_not_matter(self, cells: list[list[tuple[int, int]]]) -> None:
        correct, total, above = split(cells)
        straight = hierarchical(correct, total, above)
        turned = hierarchical(correct[::-1], total[::-1], above[::-1])
        assume(strength(straight, total) == pytest.approx(strength(turned, total[::-1])))
        assert turned.mean[::-1] == pytest.approx(straight.mean)

    def test_real_specialists_are_believed_at_once(self) -> None:
        total = np.full((4, 4), 30.0)
        correct = np.where(np.eye(4) > 0, 28.0, 8.0)
        beliefs = hierarchical(correct, total, np.full((4, 4), 13 / 30))
        assert strength(beliefs, total) <= 25
        assert (beliefs.mean.diagonal() > 0.7).all()

    def test_differences_that_chance_explains_are_shrunk(self) -> None:
        rng = np.random.default_rng(0)
        total = np.full((12, 14), 25.0)
        correct = rng.binomial(25, 0.5, size=total.shape).astype(np.float64)
        beliefs = hierarchical(correct, total, np.full(total.shape, 0.5))
        assert strength(beliefs, total) >= 90
        assert beliefs.mean.std() < (correct / total).std() / 2


@pytest.mark.parametrize(
    ("share", "rivals", "weight"),
    [
        (0.5, 1.0, 0.01),
        (0.75, 1.0, log(3)),
        (0.75, 9.0, log(27)),
        (0.25, 3.0, 0.01),
        (0.2, 1.0, 0.01),
        (1.0, 1.0, log(999)),
        (0.0, 3.0, 0.01),
    ],
)
def test_log_odds(share: float, rivals: float, weight: float) -> None:
    assert log_odds(share, rivals) == pytest.approx(weight)
