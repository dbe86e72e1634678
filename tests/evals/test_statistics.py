import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from orchestra.evals.statistics import (
    Interval,
    Spread,
    clopper_pearson,
    clustered_interval,
    generator,
    holm,
    mcnemar,
    mean_interval,
    paired_bootstrap,
    spread,
    student_t,
    wilson,
)

shares = st.lists(st.integers(0, 4).map(lambda right: right / 4), min_size=2, max_size=40)
trials = st.integers(0, 5_000).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.just(n), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
)
steady = settings(deadline=None, max_examples=60)  # a busy machine is no failure


def marks(right: int, n: int) -> list[int]:
    return [1] * right + [0] * (n - right)


class TestGenerator:
    def test_same_seed_and_purpose_draw_the_same(self) -> None:
        assert (
            generator(3, "routing").random(4).tolist() == generator(3, "routing").random(4).tolist()
        )

    @pytest.mark.parametrize(("seed", "purpose"), [(4, "routing"), (3, "voting")])
    def test_another_seed_or_purpose_draws_otherwise(self, seed: int, purpose: str) -> None:
        assert generator(3, "routing").random() != generator(seed, purpose).random()

    def test_draws_are_the_same_on_every_machine(self) -> None:
        assert generator(0, "x").bit_generator.random_raw() == 8304119280897088496


class TestWilson:
    @steady
    @given(trials)
    def test_holds_the_share_and_stays_within_0_and_1(self, trial: tuple[int, int, float]) -> None:
        successes, n, level = trial
        interval = wilson(successes, n, level=level)
        assert 0 <= interval.low < interval.high <= 1
        if n:
            assert interval.low <= successes / n <= interval.high

    @steady
    @given(trials)
    def test_mirrors_successes_and_failures(self, trial: tuple[int, int, float]) -> None:
        successes, n, level = trial
        here, there = wilson(successes, n, level=level), wilson(n - successes, n, level=level)
        assert here.low == pytest.approx(1 - there.high, abs=1e-12)
        assert here.high == pytest.approx(1 - there.low, abs=1e-12)

    @pytest.mark.parametrize(
        ("successes", "n"), [(0, 10), (10, 10), (3, 10), (99, 198), (7_000, 12_032)]
    )
    @pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
    def test_agrees_with_scipy(self, successes: int, n: int, level: float) -> None:
        oracle = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
        interval = wilson(successes, n, level=level)
        assert (interval.low, interval.high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)

    def test_knows_nothing_without_trials(self) -> None:
        assert wilson(0, 0) == Interval(0.0, 1.0)

    def test_touches_the_edge_exactly(self) -> None:
        assert wilson(0, 30).low == 0.0
        assert wilson(30, 30).high == 1.0

    @pytest.mark.parametrize("share", [0.05, 0.5, 0.93])
    def test_covers_the_truth_as_often_as_it_says(self, share: float) -> None:
        draws = generator(1, "coverage").binomial(80, share, 4_000)
        intervals = [wilson(int(right), 80) for right in draws]
        covered = np.mean([interval.low <= share <= interval.high for interval in intervals])
        assert 0.925 < covered < 0.975

    @pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3), (0, -1)])
    def test_refuses_impossible_counts(self, successes: int, n: int) -> None:
        with pytest.raises(ValueError, match="successes"):
            wilson(successes, n)

    @pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
    def test_refuses_a_level_that_is_no_probability(self, level: float) -> None:
        with pytest.raises(ValueError, match="level"):
            wilson(1, 2, level=level)


class TestStudentT:
    @pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 30, 197, 1_000, 12_031])
    @pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
    def test_agrees_with_scipy(self, freedom: int, level: float) -> None:
        oracle = stats.t.ppf((1 + level) / 2, freedom)
        assert student_t(freedom, level=level) == pytest.approx(oracle, rel=1e-9)

    def test_refuses_no_freedom(self) -> None:
        with pytest.raises(ValueError, match="freedom"):
            student_t(0)


class TestClusteredInterval:
    @steady
    @given(shares)
    def test_its_ends_are_t_errors_away_from_the_mean(self, values: list[float]) -> None:
        mean = float(np.mean(values))
        if np.std(values) < 1e-6:
            return
        far = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
        interval = clustered_interval(values, range(len(values)))
        for end in (interval.low, interval.high):  # the error is that of the end, not of the mean
            error = far * math.sqrt(end * (1 - end) / (mean * (1 - mean)))
            assert abs(end - mean) == pytest.approx(error, abs=1e-6)

    def test_follows_the_published_formula(self) -> None:
        values = np.array([1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0.5])
        clusters = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3])
        gaps = values - values.mean()
        within = np.outer(gaps, gaps)[np.equal.outer(clusters, clusters)].sum()
        error = math.sqrt(within * 4 / 3) / len(values)
        interval = clustered_interval(values, clusters.tolist())
        mean = values.mean()
        for end in (interval.low, interval.high):
            own = error * math.sqrt(end * (1 - end) / (mean * (1 - mean)))
            assert abs(end - mean) == pytest.approx(stats.t.ppf(0.975, 3) * own)

    def test_copies_of_a_question_add_no_certainty(self) -> None:
        single = marks(30, 50)
        once = clustered_interval(single, range(50))
        fourfold = clustered_interval(single * 4, [*range(50)] * 4)
        assert (fourfold.low, fourfold.high) == pytest.approx((once.low, once.high))
        naive = clustered_interval(single * 4, range(200))
        assert naive.high - naive.low < 0.6 * (once.high - once.low)

    def test_order_and_names_of_clusters_do_not_matter(self) -> None:
        forward = clustered_interval([1, 0, 0.5, 1], ["a", "a", "b", "c"])
        assert forward == clustered_interval([1, 0.5, 0, 1], [3, 2, 1, 1])

    @pytest.mark.parametrize("values", [[], [1.0], [0.0, 1.0]])
    def test_knows_nothing_from_fewer_than_two_clusters(self, values: list[float]) -> None:
        assert clustered_interval(values, ["same"] * len(values)) == Interval(0.0, 1.0)

    @pytest.mark.parametrize("mark", [0, 1])
    def test_all_alike_is_as_uncertain_as_its_clusters(self, mark: int) -> None:
        interval = clustered_interval([mark] * 20, [number // 2 for number in range(20)])
        assert interval == wilson(10 * mark, 10)

    def test_refuses_values_that_are_no_shares(self) -> None:
        with pytest.raises(ValueError, match="within"):
            clustered_interval([0.5, 2.0], [1, 2])

    def test_refuses_clusters_of_another_length(self) -> None:
        with pytest.raises(ValueError, match="2 values, 3 clusters"):
            clustered_interval([0.5, 1.0], [1, 2, 3])


class TestPairedBootstrap:
    @steady
    @given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60), st.integers(0, 5))
    def test_mirrors_when_a_and_b_change_places(
        self, pairs: list[tuple[bool, bool]], seed: int
    ) -> None:
        a, b = [first for first, _ in pairs], [second for _, second in pairs]
        here = paired_bootstrap(a, b, seed=seed, draws=200)
        there = paired_bootstrap(b, a, seed=seed, draws=200)
        assert here.value == -there.value
        assert here.interval.low == pytest.approx(-there.interval.high, abs=1e-12)
        assert here.interval.high == pytest.approx(-there.interval.low, abs=1e-12)

    def test_of_distinct_values_agrees_with_it_too(self) -> None:
        gaps = generator(1, "values").random(1_500)  # more cells than one chunk holds
        found = paired_bootstrap(gaps, np.zeros(1_500), seed=0, draws=1_000)
        half = 1.96 * gaps.std() / math.sqrt(1_500)
        assert found.interval.low == pytest.approx(gaps.mean() - half, abs=0.003)
        assert found.interval.high == pytest.approx(gaps.mean() + half, abs=0.003)

    def test_agrees_with_the_paired_standard_error(self) -> None:
        a = marks(14, 14) + marks(0, 8) + marks(100, 176)
        b = marks(0, 14) + marks(8, 8) + marks(100, 176)
        found = paired_bootstrap(a, b, seed=0, draws=8_000)
        error = np.std(np.subtract(a, b)) / math.sqrt(198)
        assert found.value == pytest.approx(6 / 198)
        assert found.interval.low == pytest.approx(found.value - 1.96 * error, abs=0.004)
        assert found.interval.high == pytest.approx(found.value + 1.96 * error, abs=0.004)

    def test_is_narrower_than_unpaired_where_the_two_agree(self) -> None:
        a = marks(60, 100)
        found = paired_bootstrap(a, [1 - a[0], *a[1:]], seed=0)
        assert found.interval.high - found.interval.low < 0.08

    def test_a_sample_without_flips_does_not_show_that_there_are_none(self) -> None:
        a = marks(60, 100)
        same = paired_bootstrap(a, a, seed=0)
        assert same.value == 0
        assert same.interval.low == -same.interval.high
        assert 0.01 < same.interval.high < 0.04

    def test_resamples_clusters_as_wholes(self) -> None:
        a, b = marks(30, 50), marks(20, 50)
        once = paired_bootstrap(a, b, seed=0, draws=4_000)
        fourfold = paired_bootstrap(a * 4, b * 4, clusters=[*range(50)] * 4, seed=0, draws=4_000)
        assert fourfold.value == pytest.approx(once.value)
        assert fourfold.interval.low == pytest.approx(once.interval.low, abs=0.02)
        assert fourfold.interval.high == pytest.approx(once.interval.high, abs=0.02)

    def test_unequal_clusters_weigh_by_their_size(self) -> None:
        found = paired_bootstrap([1, 1, 1, 0], [0, 0, 0, 0], clusters=[*"aaab"], seed=0)
        assert found.value == 0.75
        assert found.interval.low < 0 < 0.75 < found.interval.high

    @pytest.mark.parametrize(("a", "b", "value"), [([], [], 0.0), ([1], [0], 1.0)])
    def test_knows_nothing_from_fewer_than_two_clusters(
        self, a: list[int], b: list[int], value: float
    ) -> None:
        found = paired_bootstrap(a, b, seed=0)
        assert (found.value, found.interval) == (value, Interval(-1.0, 1.0))

    def test_refuses_rows_of_unequal_length(self) -> None:
        with pytest.raises(ValueError, match="pairs"):
            paired_bootstrap([1, 0], [1], seed=0)


class TestMcnemar:
    @steady
    @given(st.integers(0, 400), st.integers(0, 400))
    def test_equals_the_exact_binomial_test_and_is_symmetric(self, b: int, c: int) -> None:
        p = mcnemar(b, c)
        oracle = stats.binomtest(b, b + c).pvalue if b + c else 1.0
        assert p == pytest.approx(oracle, rel=1e-9)
        assert p == mcnemar(c, b)

    @pytest.mark.parametrize(
        ("b", "c"), [(5_000, 5_000), (4_900, 5_100), (4_700, 5_300), (4_000, 6_000)]
    )
    def test_stays_exact_for_ten_thousand(self, b: int, c: int) -> None:
        assert mcnemar(b, c) == pytest.approx(stats.binomtest(b, b + c).pvalue, rel=1e-9)

    @pytest.mark.parametrize(
        ("b", "c", "p"), [(0, 0, 1.0), (3, 3, 1.0), (0, 1, 1.0), (0, 6, 1 / 32)]
    )
    def test_small_counts(self, b: int, c: int, p: float) -> None:
        assert mcnemar(b, c) == pytest.approx(p)

    def test_underflows_to_zero_and_not_to_an_error(self) -> None:
        assert mcnemar(10_000, 0) == 0.0

    def test_refuses_negative_counts(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            mcnemar(-1, 2)


class TestClopperPearson:
    @pytest.mark.parametrize(
        ("successes", "n"), [(0, 1), (0, 30), (30, 30), (3, 10), (6_000, 7_000)]
    )
    @pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
    def test_agrees_with_scipy(self, successes: int, n: int, level: float) -> None:
        oracle = stats.binomtest(successes, n).proportion_ci(level, method="exact")
        interval = clopper_pearson(successes, n, level=level)
        assert (interval.low, interval.high) == pytest.approx((oracle.low, oracle.high), abs=1e-6)

    def test_knows_nothing_without_trials(self) -> None:
        assert clopper_pearson(0, 0) == Interval(0.0, 1.0)

    def test_refuses_impossible_counts(self) -> None:
        with pytest.raises(ValueError, match="successes"):
            clopper_pearson(4, 3)


class TestMeanInterval:
    @steady
    @given(st.lists(st.floats(-1, 1), max_size=30))
    def test_mirrors_and_stays_within_its_extremes(self, values: list[float]) -> None:
        here = mean_interval(values, extremes=(-1, 1))
        there = mean_interval([-each for each in values], extremes=(-1, 1))
        assert -1 <= here.low < here.high <= 1
        assert (here.low, here.high) == pytest.approx((-there.high, -there.low), abs=1e-9)

    def test_of_many_is_the_usual_one(self) -> None:
        values = generator(1, "values").normal(0, 0.2, 2_000).clip(-1, 1)
        found = mean_interval(values, extremes=(-1, 1))
        half = 1.96 * values.std() / math.sqrt(2_000)
        assert found.low == pytest.approx(values.mean() - half, abs=3e-4)
        assert found.high == pytest.approx(values.mean() + half, abs=3e-4)


class TestHolm:
    @pytest.mark.parametrize(
        ("p", "adjusted"),
        [
            ([], []),
            ([0.03], [0.03]),
            ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
            ([0.6, 0.5], [1.0, 1.0]),
            ([0.02, 0.02, 0.001], [0.04, 0.04, 0.003]),
        ],
    )
    def test_small_families(self, p: list[float], adjusted: list[float]) -> None:
        assert holm(p) == pytest.approx(adjusted)

    @steady
    @given(st.lists(st.floats(0, 1), max_size=12))
    def test_raises_p_keeps_their_order_and_stays_below_bonferroni(self, p: list[float]) -> None:
        found = holm(p)
        assert all(x <= y <= min(1, len(p) * x) for x, y in zip(p, found, strict=True))
        assert [found[i] for i in np.argsort(p, kind="stable")] == sorted(found)

    def test_keeps_the_chance_of_any_false_finding(self) -> None:
        rng = generator(0, "no differences")
        false = [min(holm(rng.random(6).tolist())) < 0.05 for _ in range(2_000)]
        assert np.mean(false) == pytest.approx(0.05, abs=0.015)

    def test_refuses_what_is_no_probability(self) -> None:
        with pytest.raises(ValueError, match="within"):
            holm([1.2])


class TestSpread:
    def test_is_mean_and_sample_deviation(self) -> None:
        found = spread([0.6, 0.7, 0.8])
        assert found is not None
        assert (found.mean, found.deviation) == pytest.approx((0.7, 0.1))

    def test_one_repeat_has_no_deviation(self) -> None:
        assert spread([0.6]) == Spread(0.6, None)

    def test_no_repeats_have_no_spread(self) -> None:
        assert spread([]) is None

    @pytest.mark.parametrize("values", [[math.nan], [math.inf, 1.0]])
    def test_refuses_what_no_report_could_hold(self, values: list[float]) -> None:
        with pytest.raises(ValueError, match="finite"):
            spread(values)


def test_every_result_of_nothing_and_of_extremes_is_valid_json() -> None:
    results: list[object] = []
    for values in ([], [0], [1], [0, 0, 0], [1, 1, 1]):
        clusters, n = range(len(values)), len(values)
        paired = paired_bootstrap(values, values, seed=0, draws=50)
        for interval in (
            wilson(sum(values), n),
            clustered_interval(values, clusters),
            paired.interval,
        ):
            results += [interval.low, interval.high]
        results.append(paired.value)
    assert json.loads(json.dumps(results, allow_nan=False)) == results
