import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.evals.confidence import (
    brier,
    calibration_error,
    expected_calibration_error,
    reliability,
    risk_coverage,
)
from orchestra.evals.statistics import generator, wilson

told = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30)
steady = settings(deadline=None, max_examples=60)  # a busy machine is no failure


def apart(pairs: list[tuple[float, bool]]) -> tuple[list[float], list[float]]:
    return [stated for stated, _ in pairs], [float(right) for _, right in pairs]


class TestCalibration:
    @pytest.mark.parametrize(
        ("confidence", "correct", "error"),
        [
            ([1.0, 1.0, 0.0], [1, 1, 0], 0.0),
            ([1.0, 1.0], [0, 0], 1.0),
            ([0.75] * 4, [1, 1, 1, 0], 0.0),
            ([0.5, 0.5, 0.95, 0.95], [1, 1, 1, 0], 0.475),
            ([0.1], [True], 0.9),
            ([0.61, 0.69], [0, 1], 0.15),  # one bin: gaps of opposite sign cancel
            ([0.59, 0.61], [0, 1], 0.49),  # two bins: they do not
        ],
    )
    def test_calibration_error(
        self, confidence: list[float], correct: list[int], error: float
    ) -> None:
        assert expected_calibration_error(confidence, correct) == pytest.approx(error)

    def test_one_bin_compares_the_means(self) -> None:
        assert expected_calibration_error([0.2, 0.8], [1, 1], bins=1) == pytest.approx(0.5)

    @steady
    @given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
    def test_stays_within_0_and_1(self, pairs: list[tuple[float, bool]]) -> None:
        confidence, correct = [stated for stated, _ in pairs], [right for _, right in pairs]
        for measure in (expected_calibration_error, brier):
            found = measure(confidence, correct)
            assert found is not None
            assert 0 <= (found if isinstance(found, float) else found.value) <= 1 + 1e-12

    @pytest.mark.parametrize(
        ("confidence", "correct", "score"),
        [([1.0, 0.0], [1, 0], 0.0), ([0.5], [1], 0.25), ([0.8, 0.4], [1, 0], 0.1)],
    )
    def test_brier(self, confidence: list[float], correct: list[int], score: float) -> None:
        found = brier(confidence, correct)
        assert found is not None
        assert found.value == pytest.approx(score)
        assert found.interval.low <= score <= found.interval.high

    def test_no_values_have_no_score(self) -> None:
        assert expected_calibration_error([], []) is None
        assert brier([], []) is None

    def test_refuses_confidence_beyond_1(self) -> None:
        with pytest.raises(ValueError, match="within"):
            brier([1.2], [1])

    def test_error_of_a_sound_confidence_is_chance_and_its_interval_says_so(self) -> None:
        rng = generator(3, "sound")
        stated = rng.random(400)
        found = calibration_error(stated, rng.random(400) < stated)
        assert found is not None
        assert found.value > 0.02
        assert found.debiased < found.value
        assert found.interval.low == 0

    def test_error_of_a_wrong_confidence_is_found(self) -> None:
        rng = generator(4, "too sure")
        stated = rng.random(400)
        found = calibration_error(stated, rng.random(400) < 0.6 * stated)
        assert found is not None
        assert 0.08 < found.interval.low < 0.2 < found.interval.high < 0.32
        assert found.debiased == pytest.approx(0.2, abs=0.06)

    @settings(deadline=None, max_examples=15)
    @given(told, st.integers(0, 3))
    def test_interval_is_within_0_and_1_and_the_same_every_time(
        self, pairs: list[tuple[float, bool]], seed: int
    ) -> None:
        found = calibration_error(*apart(pairs), seed=seed, draws=50)
        assert found is not None
        assert 0 <= found.interval.low <= found.debiased <= found.interval.high <= 1 + 1e-9
        assert found.value <= found.interval.high
        assert found == calibration_error(*apart(pairs), seed=seed, draws=50)


class TestReliability:
    def test_bins_hold_what_was_said_and_what_was_right(self) -> None:
        low, high = reliability([0.31, 0.39, 0.9, 1.0], [0, 1, 1, 1])
        assert (low.low, low.high, low.n) == (0.3, 0.4, 2)
        assert low.confidence == pytest.approx(0.35)
        assert low.accuracy == 0.5
        assert (high.low, high.n, high.accuracy) == (0.9, 2, 1.0)

    @steady
    @given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
    def test_the_gaps_between_its_points_are_the_calibration_error(
        self, told: list[tuple[float, bool]]
    ) -> None:
        stated, right = [c for c, _ in told], [float(r) for _, r in told]
        bins = reliability(stated, right)
        gap = sum(each.n * abs(each.confidence - each.accuracy) for each in bins) / len(told)
        assert gap == pytest.approx(expected_calibration_error(stated, right), abs=1e-9)


class TestRiskCoverage:
    def test_follows_its_definition(self) -> None:
        found = risk_coverage([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], points=4)
        assert found is not None
        assert found.area.value == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
        assert found.excess == pytest.approx(found.area.value - (0 + 0 + 1 / 3 + 2 / 4) / 4)
        assert found.random == 0.5
        assert [each.accuracy for each in found.points] == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])
        assert [each.n for each in found.points] == [1, 2, 3, 4]

    def test_confidence_that_says_nothing_has_the_risk_of_all_at_every_coverage(self) -> None:
        found = risk_coverage([0.5] * 10, [1, 0] * 5)
        assert found is not None
        assert found.area.value == pytest.approx(0.5)
        assert {round(each.accuracy, 9) for each in found.points} == {0.5}

    @steady
    @given(told)
    def test_is_bounded_and_does_not_depend_on_the_order(
        self, pairs: list[tuple[float, bool]]
    ) -> None:
        found, turned = risk_coverage(*apart(pairs)), risk_coverage(*apart(pairs[::-1]))
        assert found is not None
        assert turned is not None
        assert 0 <= found.excess <= found.area.value <= 1
        assert 0 <= found.area.interval.low <= found.area.interval.high <= 1
        assert turned.area.value == pytest.approx(found.area.value)
        assert turned.area.interval.low == pytest.approx(found.area.interval.low)
        assert found.points[-1].coverage == 1

    @steady
    @given(st.integers(0, 20), st.integers(0, 20))
    def test_the_best_order_has_no_excess(self, right: int, wrong: int) -> None:
        n = right + wrong
        marks = [1] * right + [0] * wrong
        found = risk_coverage([1 - i / max(n, 1) for i in range(n)], marks)
        if found is None:
            assert n == 0
        else:
            assert found.excess == pytest.approx(0)


def test_every_result_of_nothing_and_of_extremes_is_valid_json() -> None:
    results: list[object] = []
    for values in ([], [0], [1], [0, 0, 0], [1, 1, 1]):
        score, area = brier(values, values), risk_coverage(values, values)
        error = calibration_error(values, values, draws=20)
        results += [] if score is None else [score.value, score.interval.low, score.interval.high]
        results += [] if area is None else [area.area.value, area.area.interval.low, area.excess]
        results += [] if error is None else [error.value, error.debiased, error.interval.high]
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    assert all(math.isfinite(float(str(each))) for each in results)
    assert np.isfinite(wilson(0, 0).high)
