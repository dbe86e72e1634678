from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.evals.contribution import EXACT, advice, contributions, shapley
from orchestra.evals.panel import (
    Votes,
    cofailure,
    dealt,
    effective_size,
    error_correlation,
    k_curve,
    placebo,
    regret,
    walks,
)
from orchestra.evals.receipt import check_receipt, receipt_of
from orchestra.evals.statistics import generator
from orchestra.records import Plan, Seat

steady = settings(deadline=None, max_examples=40)  # a busy machine is no failure


def votes(*rows: str, weights: list[float] | None = None, right: str = "a") -> Votes:
    """One row of letters for each expert, a letter for each question; `.` is no answer."""
    codes = np.array([[" abcd".find(x) - 1 if x != "." else -1 for x in row] for row in rows])
    correct = np.zeros((codes.shape[1], 4), dtype=bool)
    correct[:, "abcd".index(right)] = True
    weight = None if weights is None else np.repeat(np.array(weights)[:, None], len(rows[0]), 1)
    return Votes.of([f"e{i}" for i in range(len(rows))], codes, correct, weights=weight)


panels = st.integers(1, 6).flatmap(
    lambda n: st.lists(st.text("abc.", min_size=8, max_size=8), min_size=n, max_size=n)
)


def simulated(experts: int, questions: int, seed: int = 0) -> Votes:
    rng = generator(seed, "panel")
    right = rng.random((experts, questions)) < np.linspace(0.35, 0.75, experts)[:, None]
    codes = np.where(right, 0, rng.integers(1, 4, size=right.shape))
    correct = np.zeros((questions, 4), dtype=bool)
    correct[:, 0] = True
    return Votes.of([f"e{i:02}" for i in range(experts)], codes, correct)


class TestVotes:
    @pytest.mark.parametrize(
        ("rows", "score", "split"),
        [
            (["a", "a", "b"], 1.0, True),
            (["a", "b", "b"], 0.0, True),
            (["a", "b"], 0.5, True),
            (["a", "b", "c"], 1 / 3, True),
            (["a", "."], 1.0, False),
            (["b", "b"], 0.0, False),
            ([".", "."], 0.0, False),
        ],
    )
    def test_the_vote_is_right_as_often_as_its_leaders(
        self, rows: list[str], score: float, split: bool
    ) -> None:
        found = votes(*rows)
        assert found.score.tolist() == pytest.approx([score])
        assert found.split.tolist() == [split]

    def test_weights_decide(self) -> None:
        assert votes("a", "b", "b", weights=[3, 1, 1]).score.tolist() == [1.0]
        assert votes("a", "b", weights=[0, 1]).score.tolist() == [0.0]


class TestCoFailure:
    def test_counts_the_questions_that_nobody_has(self) -> None:
        found = cofailure(votes("aabb", "abab", "abb.").right)
        assert (found.n, found.failed, found.beta) == (4, 1, 0.25)
        assert found.ceiling.value == 0.75
        assert found.ceiling.interval.low < 0.25

    @steady
    @given(panels)
    def test_no_vote_is_above_the_ceiling(self, rows: list[str]) -> None:
        found = votes(*rows)
        assert found.score.mean() <= cofailure(found.right).ceiling.value + 1e-9


class TestCorrelation:
    def test_agrees_with_numpy_where_all_were_asked(self) -> None:
        right = simulated(4, 60).right
        found = error_correlation(right, np.ones(right.shape, dtype=bool))
        assert found == pytest.approx(np.corrcoef(right))

    def test_counts_only_questions_that_both_were_asked(self) -> None:
        right, asked = simulated(2, 60).right, np.ones((2, 60), dtype=bool)
        asked[0, 40:] = False
        found = error_correlation(right, asked)
        assert found[0, 1] == pytest.approx(np.asarray(np.corrcoef(right[:, :40]))[0, 1])
        asked[1, :40] = False
        assert np.isnan(error_correlation(right, asked)[0, 1])

    @pytest.mark.parametrize("n", [1, 2, 7])
    def test_copies_are_one_expert_and_independent_ones_are_all(self, n: int) -> None:
        alike, apart = effective_size(np.ones((n, n))), effective_size(np.eye(n))
        assert (alike.kish, alike.spectral) == pytest.approx((1, 1))
        assert (apart.kish, apart.spectral) == pytest.approx((n, n))

    def test_two_groups_of_copies_are_two_experts(self) -> None:
        blocks = np.repeat(np.repeat(np.eye(2), 3, axis=0), 3, axis=1)
        assert effective_size(blocks).spectral == pytest.approx(2)

    @steady
    @given(panels)
    def test_sizes_are_within_1_and_n(self, rows: list[str]) -> None:
        found = votes(*rows)
        size = effective_size(error_correlation(found.right, found.asked))
        assert 1 - 1e-9 <= size.spectral <= len(rows) + 1e-9
        assert 1 - 1e-9 <= size.kish <= len(rows) + 1e-9


class TestShapley:
    def test_is_what_its_definition_gives(self) -> None:
        panel = votes("ab.a", "abba", "bacb", "c.aa", weights=[1.0, 1.5, 0.7, 1.1])
        worth = {}
        for size in range(5):
            for group in combinations(range(4), size):
                alone = np.array([[i in group] for i in range(4)]) * panel.weights
                worth[group] = Votes.of(
                    panel.experts, panel.codes, panel.correct, weights=alone
                ).score
        values, noise = shapley(panel, seed=0)
        for i in range(4):
            total = np.zeros(4)
            for group, before in worth.items():
                if i not in group:
                    orders = [6, 2, 2, 6][len(group)] / 24  # |S|! (n - |S| - 1)! / n!
                    total += orders * (worth[tuple(sorted((*group, i)))] - before)
            assert values[i] == pytest.approx(total)
        assert noise.tolist() == [0] * 4

    @steady
    @given(panels)
    def test_values_sum_to_the_vote_and_those_without_votes_have_none(
        self, rows: list[str]
    ) -> None:
        panel = votes(*rows)
        values, _ = shapley(panel, seed=0)
        assert values.sum(axis=0) == pytest.approx(panel.score)
        assert values[~panel.given] == pytest.approx(0)

    @steady
    @given(panels)
    def test_copies_share_alike(self, rows: list[str]) -> None:
        values, _ = shapley(votes(*rows, rows[0]), seed=0)
        assert values[0] == pytest.approx(values[-1])

    def test_sampled_values_sum_to_the_vote_and_agree_with_exact_ones(self) -> None:
        panel = simulated(EXACT, 300)
        exact, _ = shapley(panel, seed=0)
        walked = walks(panel, seed=1)
        assert walked.gains.sum(axis=0) == pytest.approx(panel.score)
        far = (walked.gains.mean(axis=1) - exact.mean(axis=1)) / walked.noise
        assert np.abs(far).max() < 4
        assert 0.4 < np.sqrt((far**2).mean()) < 1.8

    def test_without_votes_nobody_adds_anything(self) -> None:
        panel = votes("..", "..")
        assert not shapley(panel, seed=0)[0].any()
        assert contributions(panel, seed=0)["e0"].left_out.value == 0

    def test_is_the_same_for_one_seed_beyond_exact_sizes(self) -> None:
        panel = simulated(EXACT + 2, 40)
        first, noise = shapley(panel, seed=5)
        assert (first == shapley(panel, seed=5)[0]).all()
        assert (first != shapley(panel, seed=6)[0]).any()
        assert (noise > 0).all()


class TestContributions:
    def test_left_out_is_the_difference_of_two_votes(self) -> None:
        found = contributions(votes("aab", "abb", "bab", weights=[1.2, 1, 1]), seed=0)
        assert {name: each.left_out.value for name, each in found.items()} == pytest.approx(
            {"e0": 1 / 3, "e1": 0, "e2": 0}
        )
        assert found["e0"].votes == 3

    def test_a_family_is_left_out_as_a_whole(self) -> None:
        panel = votes("aaab", "aaab", "bbba")
        found = contributions(panel, seed=0, families={"e0": "twins", "e1": "twins", "e2": ""})
        assert set(found) == {"e0", "e1", "e2", "family twins"}
        assert found["family twins"].shapley.value == pytest.approx(
            found["e0"].shapley.value + found["e1"].shapley.value
        )
        assert found["family twins"].left_out.value == pytest.approx(0.75 - 0.25)

    def test_a_copy_can_go_and_both_copies_cannot(self) -> None:
        one = simulated(1, 2_000)
        codes = np.concatenate([np.zeros((1, 2_000), dtype=np.int64), one.codes, one.codes])
        codes[0, :400] = 1
        panel = Votes.of(["best", "weak", "copy"], codes, one.correct)
        found = advice(panel, seed=0)
        assert set(found.drop) == {"weak", "copy"}
        assert found.loss.value <= 0

    def test_experts_that_are_needed_stay(self) -> None:
        panel = simulated(3, 60)
        assert advice(panel, seed=0, margin=0.001).drop == ()

    def test_draws_of_an_expert_count_together(self) -> None:
        panel = votes("aaab", "aaab", "bbba")
        owners = {"e0": "twice", "e1": "twice"}
        found = contributions(panel, seed=0, owners=owners)
        assert set(found) == {"twice", "e2"}
        assert found["twice"].left_out.value == pytest.approx(0.75 - 0.25)
        assert set(advice(panel, seed=0, owners=owners, margin=1.5).drop) <= {"twice", "e2"}

    def test_one_expert_always_stays(self) -> None:
        assert len(advice(votes("a" * 900, "a" * 900), seed=0).drop) == 1


class TestCurve:
    @steady
    @given(panels)
    def test_ends_are_the_mean_expert_and_the_vote_of_all(self, rows: list[str]) -> None:
        panel = votes(*rows)
        found = walks(panel, seed=0, pairs=2)
        assert found.curve[-1] == pytest.approx(panel.score)
        assert not found.curve[0].any()

    def test_kinds_apart(self) -> None:
        panel = votes("aaaab", "aabbb", "aaaaa")
        kinds = {"all": np.ones(5, dtype=bool), "split": panel.split, "none": np.zeros(5, bool)}
        found = k_curve(walks(panel, seed=0).curve, kinds)
        assert set(found) == {"all", "split"}
        assert [each.k for each in found["all"]] == [1, 2, 3]
        assert found["all"][2].accuracy == pytest.approx(0.8)
        assert found["split"][2].accuracy == pytest.approx(2 / 3)
        for row in found["all"]:
            assert row.interval.low <= row.accuracy <= row.interval.high


class TestRegret:
    def test_seats_that_missed_somebody(self) -> None:
        panel = votes("aabb", "bbab", "bbbb")
        seated = np.array([[True] * 4, [False] * 4, [False] * 4])
        found = regret(panel.experts, panel.right, seated, seed=0)
        assert found.missed.value == 0.25
        assert (found.best_set, found.best_covered, found.covered) == (("e0",), 0.5, 0.5)
        assert found.lost.value == 0

    @steady
    @given(panels, st.integers(1, 3))
    def test_the_best_set_is_the_best(self, rows: list[str], size: int) -> None:
        panel = votes(*rows)
        size = min(size, len(rows))
        seated = np.zeros(panel.codes.shape, dtype=bool)
        seated[:size] = True
        found = regret(panel.experts, panel.right, seated, seed=0)
        best = max(
            panel.right[list(group)].any(axis=0).mean()
            for group in combinations(range(len(rows)), size)
        )
        assert len(found.best_set) == size
        assert best * (1 - 1 / np.e) <= found.best_covered <= best + 1e-9


class TestPlacebo:
    def test_weights_that_matter_are_missed(self) -> None:
        strong = simulated(5, 800)
        accuracy = strong.right.mean(axis=1)
        weights = np.repeat(np.log(3 * accuracy / (1 - accuracy))[:, None], 800, 1)
        found = placebo(
            Votes.of(strong.experts, strong.codes, strong.correct, weights=weights), seed=0
        )
        assert found is not None
        assert found.gain.interval.low > 0
        assert found.accuracy.value < found.accuracy.value + found.gain.value

    def test_equal_weights_have_none(self) -> None:
        assert placebo(votes("ab", "ba", "aa"), seed=0) is None

    def test_voters_of_a_question_keep_its_weights_among_them(self) -> None:
        panel = votes("a.", "ba", ".b", weights=[2, 1, 1])
        found = placebo(panel, seed=0, draws=40)
        assert found is not None  # the second question has equal weights, the first exchanges two
        assert 0.25 < found.accuracy.value < 0.75

    def test_a_deal_is_a_permutation(self) -> None:
        names = ["b", "a", "c"]
        assert sorted(dealt(names, 3).values()) == sorted(dealt(names, 3)) == ["a", "b", "c"]
        assert dealt(names, 3) == dealt(names[::-1], 3)


class TestReceipt:
    plans = (
        Plan("q1", (Seat("ann", 0.7, "best"), Seat("ben", 0.3, "next")), "top", 0),
        Plan("q2", (Seat("ann", 1.0, "best"),), "top", 0, (Seat("ben", 0.1, "spare"),)),
    )

    def test_fits_the_plans_in_any_order(self) -> None:
        kept = receipt_of(self.plans, pipeline="p", table="t", seed=0)
        check_receipt(kept, self.plans[::-1])
        assert kept.questions == 2

    @pytest.mark.parametrize(
        "changed",
        [
            plans[:1],
            (plans[0], Plan("q2", (Seat("ben", 1.0, "best"),), "top", 0, plans[1].reserves)),
            (plans[0], Plan("q2", (Seat("ann", 0.9, "best"),), "top", 0, plans[1].reserves)),
            (plans[0], Plan("q2", plans[1].seats, "top", 0)),
            (plans[0], Plan("q3", plans[1].seats, "top", 0, plans[1].reserves)),
        ],
    )
    def test_does_not_fit_other_picks(self, changed: tuple[Plan, ...]) -> None:
        kept = receipt_of(self.plans, pipeline="p", table="t", seed=0)
        with pytest.raises(InputError, match="receipt"):
            check_receipt(kept, changed)
