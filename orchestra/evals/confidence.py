"""How far stated confidences can be trusted: calibration, and accuracy by confidence.

Knows confidences in [0, 1] and whether each answer was right, which are independent between
answers. Results for no answers are None or empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from orchestra.evals.statistics import (
    Estimate,
    Floats,
    Interval,
    Values,
    generator,
    mean_interval,
    pairs_of,
    scored_interval,
    wilson,
)

_STEPS = 12
"""Halvings in the search for an end of an interval."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose confidence falls in one range."""

    low: float
    """The range's lower end, included."""
    high: float
    """Its upper end, excluded but for 1."""
    n: int
    """How many answers, at least 1."""
    confidence: float
    """Their mean confidence."""
    accuracy: float
    """The share of them that is right."""
    interval: Interval
    """95 % of the accuracy, Wilson."""


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """The expected calibration error of a sample, and what it says of all such answers."""

    value: float
    """Of the sample. Too large on average: chance alone parts confidence and accuracy."""
    debiased: float
    """The calibration error under which half of all samples would have a larger `value`."""
    interval: Interval
    """Of the calibration error over the same bins, without that chance."""


@dataclass(frozen=True, slots=True)
class Selected:
    """The answers above some confidence."""

    coverage: float
    """The share of all answers that they are, in (0, 1]."""
    n: int
    accuracy: float
    """The share of them that is right."""
    interval: Interval
    """Of the accuracy, Wilson."""


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """How the share wrong falls where only the more confident answers are given."""

    area: Estimate
    """Mean share wrong over all coverages, in [0, 1] (AURC); 0 is best."""
    excess: float
    """`area` less that of the best order, in which every wrong answer comes last; 0 is best."""
    random: float
    """The area where confidence says nothing: the share wrong."""
    points: tuple[Selected, ...]
    """From the lowest coverage to all."""


def expected_calibration_error(
    confidence: Values, correct: Values, *, bins: int = 10
) -> float | None:
    """Mean gap between confidence and accuracy over equal bins of [0, 1], weighted by size.

    In [0, 1]; None for no values. A confidence on an edge counts in the bin above it.
    Guo et al., "On calibration of modern neural networks", arXiv 1706.04599.
    """
    stated, right = pairs_of(confidence, correct)
    if not len(stated):
        return None
    gaps = np.bincount(_bin_of(stated, bins), weights=right - stated, minlength=bins)
    return float(np.abs(gaps).sum() / len(stated))


def calibration_error(
    confidence: Values,
    correct: Values,
    *,
    bins: int = 10,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
) -> CalibrationError | None:
    """The expected calibration error with its interval; None for no values.

    The error of a sample is biased upwards, so resampling it covers nothing. The test is inverted
    instead: samples are drawn in which the gaps of all bins are the observed ones times a factor,
    and the interval holds the errors whose samples give the observed error or more, and or less,
    with probability (1 - level) / 2 at least. (On the bias: Kumar et al., "Verified uncertainty
    calibration", arXiv 1909.10155; Roelofs et al., arXiv 2012.08668.) At a true error of 0 only
    one side can miss.
    """
    value = expected_calibration_error(confidence, correct, bins=bins)
    if value is None:
        return None
    stated, right = pairs_of(confidence, correct)
    place = _bin_of(stated, bins)
    sizes = np.bincount(place, minlength=bins)
    there = sizes > 0
    n, sizes = len(stated), sizes[there]
    told = np.bincount(place, weights=stated, minlength=bins)[there] / sizes
    gap = np.bincount(place, weights=right - stated, minlength=bins)[there] / sizes
    # A gap that happens to be 0 says no more than its own error.
    size = np.sqrt(gap**2 + told * (1 - told) / sizes)
    shape = np.where((gap > 0) | ((gap == 0) & (told < 0.5)), size, -size)
    drawn = generator(seed, "calibration bins").multinomial(n, sizes / n, size=draws)

    def accuracies(factor: float) -> Floats:
        return np.clip(told + factor * shape, 0.0, 1.0)

    def error(factor: float) -> float:
        return float(np.abs(accuracies(factor) - told) @ sizes / n)

    def at_most(factor: float) -> float:
        rng = generator(seed, "calibration marks")  # the same draws for every factor
        hits = rng.binomial(drawn, accuracies(factor))
        found = np.abs(hits - drawn * told).sum(axis=1) / n - value
        return float((found < -1e-9).mean() + (np.abs(found) <= 1e-9).mean() / 2)

    tail = (1 - level) / 2
    low, middle, high = (error(_crossed(at_most, share)) for share in (1 - tail, 0.5, tail))
    return CalibrationError(value, middle, Interval(low, max(high, value)))


def _crossed(falling: Callable[[float], float], level: float) -> float:
    """Where a falling function of factors from 0 on comes down to a level; 0 if it starts there."""
    low, high = 0.0, 1.0
    if falling(low) <= level:
        return low
    while falling(high) > level and high < 1e3:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > level else (low, middle)
    return (low + high) / 2


def reliability(confidence: Values, correct: Values, *, bins: int = 10) -> list[Bin]:
    """Confidence beside accuracy, by the same bins as `expected_calibration_error`.

    Only bins with values, lowest first: the points of a reliability diagram.
    """
    stated, right = pairs_of(confidence, correct)
    place = _bin_of(stated, bins)
    sizes = np.bincount(place, minlength=bins)
    told = np.bincount(place, weights=stated, minlength=bins)
    true = np.bincount(place, weights=right, minlength=bins)
    return [
        Bin(
            i / bins,
            (i + 1) / bins,
            int(n),
            float(told[i] / n),
            float(true[i] / n),
            wilson(round(true[i]), int(n)),
        )
        for i, n in enumerate(sizes.tolist())
        if n
    ]


def _bin_of(stated: Floats, bins: int) -> np.ndarray:
    return np.minimum((stated * bins).astype(np.int64), bins - 1)


def brier(confidence: Values, correct: Values, *, level: float = 0.95) -> Estimate | None:
    """Mean squared gap between confidence and outcome, in [0, 1]; None for no values.

    Brier, "Verification of forecasts expressed in terms of probability" (1950), in its
    form for two outcomes.
    """
    stated, right = pairs_of(confidence, correct)
    if not len(stated):
        return None
    both = np.sort([stated**2, (1 - stated) ** 2], axis=0).mean(axis=1)
    values = (stated - right) ** 2
    inside = mean_interval(values, extremes=(both[0], both[1]), level=level)
    return Estimate(float(values.mean()), inside)


def risk_coverage(
    confidence: Values, correct: Values, *, points: int = 10, level: float = 0.95
) -> RiskCoverage | None:
    """Accuracy of the most confident answers at each coverage; None for no values.

    The area is the mean over k of the share wrong among the k most confident (El-Yaniv and Wiener,
    JMLR 11, 2010; Geifman et al., "Bias-reduced uncertainty estimation", arXiv 1805.08206, who also
    give the excess). Answers of equal confidence count in random order, on average. The error of
    the area is that of its influence function.

    Args:
        confidence: of each answer, in [0, 1].
        correct: whether it is right, 0 or 1.
        points: coverages that are reported, from 1 / points to 1.
        level: of the intervals.
    """
    stated, right = pairs_of(confidence, correct)
    n = len(stated)
    if not n:
        return None
    order = np.argsort(-stated, kind="stable")
    _, group, sizes = np.unique(-stated[order], return_inverse=True, return_counts=True)
    wrong = 1 - right[order]

    def alike(values: Floats) -> Floats:
        """Each value replaced by the mean over equal confidences."""
        return np.asarray((np.bincount(group, weights=values) / sizes)[group])

    ranks = np.arange(1, n + 1)
    errors = np.cumsum(alike(wrong))
    risk = errors / ranks
    area = float(risk.mean())
    # The area is the mean of these: an answer's own risk, and what it changes in those below.
    below = alike(np.cumsum((1 / ranks)[::-1])[::-1])
    influence = alike(risk) + wrong * below - alike(np.cumsum((risk / ranks)[::-1])[::-1])
    # Answers in random order weigh 1 on average and 2 in the square; two of them are added, as in
    # `mean_interval`, since a sample of few wrong answers, or few right ones, shows no spread.
    mild = (n * area + 1) / (n + 2)
    variance = (n * float(influence.var()) + 4 * mild * (1 - mild)) / (n + 2)
    inside = scored_interval(area, math.sqrt(variance / n), n // 2, level=level)
    best = float((np.maximum(ranks - right.sum(), 0) / ranks).mean())
    chosen = sorted({max(1, math.ceil(n * i / points)) for i in range(1, points + 1)})
    return RiskCoverage(
        Estimate(area, inside),
        max(area - best, 0.0),
        float(wrong.mean()),
        tuple(
            Selected(
                k / n, k, float(1 - risk[k - 1]), wilson(round(k - errors[k - 1]), k, level=level)
            )
            for k in chosen
        ),
    )
