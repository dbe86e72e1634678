"""Intervals hold what they say, and sums of them too."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from orchestra.scheduling.intervals import (
    NOTHING,
    Span,
    exactly,
    longest,
    predicted,
    student,
    total,
)

TRIALS = 500
DRAWN = {
    "lognormal, little skewed": lambda rng, n: rng.lognormal(5.0, 0.5, n),
    "lognormal, skewed": lambda rng, n: rng.lognormal(5.0, 0.9, n),
    "exponential": lambda rng, n: rng.exponential(300.0, n),
    "normal": lambda rng, n: rng.normal(300.0, 50.0, n),
}


@pytest.mark.parametrize("runs", [1, 2, 10, 100, 1_000])
@pytest.mark.parametrize("seen", [30, 80, 200])
@pytest.mark.parametrize("kind", DRAWN)
def test_about_nineteen_sums_of_twenty_are_within(kind: str, seen: int, runs: int) -> None:
    rng = np.random.default_rng([seen, runs, len(kind)])
    inside = 0
    for _ in range(TRIALS):
        profile, run = DRAWN[kind](rng, seen), DRAWN[kind](rng, runs).sum()
        told = predicted(profile.mean(), profile.std(ddof=1), seen=seen, draws=runs)
        inside += told.low <= run <= told.high
    assert 0.90 <= inside / TRIALS <= 0.99


@given(st.floats(0.1, 1e4), st.floats(0, 1e4), st.integers(2, 500), st.integers(1, 10_000))
def test_an_interval_is_around_what_is_usual(
    mean: float, deviation: float, seen: int, draws: int
) -> None:
    told = predicted(mean, deviation, seen=seen, draws=draws)
    assert 0 <= told.low <= told.usual <= told.high < math.inf
    wider = predicted(mean, deviation * 1.5, seen=seen, draws=draws)
    assert wider.low <= told.low * (1 + 1e-9)
    assert wider.high >= told.high * (1 - 1e-9)


@pytest.mark.parametrize(("mean", "draws"), [(0.0, 5), (100.0, 0)])
def test_nothing_is_certain(mean: float, draws: int) -> None:
    assert predicted(mean, 3.0, seen=9, draws=draws) == NOTHING


def test_more_is_known_after_more_calls() -> None:
    few, many = (predicted(100.0, 80.0, seen=seen, draws=1_000) for seen in (30, 300))
    assert few.low < many.low < 100_000 < many.high < few.high


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 10, 29, 100, 10_000])
def test_student(freedom: int) -> None:
    assert student(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=2e-3)


CHANCE = Span(80.0, 100.0, 130.0)
BOUND = Span(5.0, 50.0, 50.0, bound=True)


@pytest.mark.parametrize(
    ("parts", "sum_"),
    [
        ([], NOTHING),
        ([CHANCE], CHANCE),
        ([CHANCE] * 4, Span(400 - 20 * 7**0.5, 400.0, 400 + 30 * 7**0.5)),  # between 2 and 4 ends
        ([BOUND] * 4, Span(20.0, 200.0, 200.0, bound=True)),
        ([CHANCE, BOUND], Span(85.0, 150.0, 180.0, bound=True)),
        ([CHANCE, exactly(7.0)], Span(87.0, 107.0, 137.0)),
        ([Span(0.0, 10.0, 12.0, bound=True), Span(0.0, 10.0, 12.0)], Span(0.0, 20.0, 24.0, True)),
    ],
)
def test_sums(parts: list[Span], sum_: Span) -> None:
    told = total(parts)
    assert told.ends == pytest.approx(sum_.ends)
    assert (told.usual, told.bound) == (sum_.usual, sum_.bound)


def test_a_ceiling_stays_one_in_a_sum_with_what_is_known() -> None:
    """Ends of bounds do not cancel: the sum of the most is the most of the sum."""
    told = total([BOUND, BOUND, CHANCE])
    assert told.high >= 2 * BOUND.high + CHANCE.usual
    assert told.bound


def test_sums_over_experts_that_are_alike() -> None:
    """Five experts that write more about the same questions."""
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(TRIALS):
        hard = rng.normal(size=(1, 380)) * 0.45 + rng.normal(size=(5, 380)) * 0.8
        wrote = np.exp(5 + hard)
        profile, run = wrote[:, :80], wrote[:, 80:]
        told = total(predicted(row.mean(), row.std(ddof=1), seen=80, draws=300) for row in profile)
        inside += told.low <= run.sum() <= told.high
    assert 0.90 <= inside / TRIALS <= 0.99


def test_what_takes_longest() -> None:
    assert longest([Span(1, 5, 6), Span(2, 3, 9)]) == Span(2, 5, 9)


def test_a_product() -> None:
    assert BOUND.times(2) == Span(10.0, 100.0, 100.0, bound=True)
    assert BOUND.ends == (5.0, 50.0)
