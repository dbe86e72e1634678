"""Intervals and paired tests of marks.

Knows numbers only: shares, marks in [0, 1] and the clusters they fall in. Does not
know what was marked, for whom, or how a number is printed. Every result is finite,
so that a report stays valid JSON: where nothing is known an interval is as wide as
it can be, and a single number is None.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestra.skills.beta import Beta

Values = npt.ArrayLike
"""One number for each question (or sample): marks as bools or 0 and 1, or shares of samples."""
Floats = npt.NDArray[np.float64]

_CELLS = 1 << 20


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of plausible values, both ends included."""

    low: float
    high: float

    def rounded(self) -> list[float]:
        """Both ends as plain data for a report, to six digits."""
        return [round(self.low, 6), round(self.high, 6)]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, and the values that are plausible for what it estimates."""

    value: float
    interval: Interval

    def rounded(self) -> dict[str, Any]:
        """As plain data for a report, to six digits."""
        return {"value": round(self.value, 6), "interval": self.interval.rounded()}


@dataclass(frozen=True, slots=True)
class Spread:
    """How one number moved between repeats, seeds say."""

    mean: float
    deviation: float | None
    """Sample standard deviation (n - 1); None for a single repeat."""


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A random generator of its own for each (seed, purpose), the same on every machine."""
    state = blake2b(f"{seed}:{purpose}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(state, "big"))


def wilson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Score interval for a share of `n` independent trials; (0, 1) for none.

    Within [0, 1], never empty, and sound at 0 and `n` successes, where the usual
    p +- z*se has no width. Wilson, "Probable inference, the law of succession, and
    statistical inference", JASA 22 (1927).
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be within [0, n]: {successes} of {n}")
    return _score(successes / max(n, 1), n, _normal(level))


def clopper_pearson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Exact interval for a share of `n` independent trials; (0, 1) for none.

    Holds the truth at least as often as `level`, mostly more often: for bounds that must not be
    too tight. Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the
    case of the binomial", Biometrika 26 (1934), in its form with Beta quantiles.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be within [0, n]: {successes} of {n}")
    _normal(level)
    low = _beta(successes, n - successes + 1, (1 - level) / 2) if successes else 0.0
    high = _beta(successes + 1, n - successes, (1 + level) / 2) if successes < n else 1.0
    return Interval(low, high)


def mean_interval(values: Values, *, extremes: Sequence[float], level: float = 0.95) -> Interval:
    """Interval for the mean of independent values of any kind, within the two `extremes`.

    One value at each extreme is added, since a sample without rare values does not show that
    there are none; then mean +- t * error. (Agresti and Caffo, "Simple and effective confidence
    intervals for proportions", The American Statistician 54, 2000, add the same to shares.)
    Without values the interval is the extremes.
    """
    low, high = extremes
    numbers = np.append(_floats(values), [low, high])
    if len(numbers) < 4:
        return Interval(low, high)
    half = student_t(len(numbers) - 3, level=level) * numbers.std(ddof=1) / math.sqrt(len(numbers))
    mean = numbers.mean()
    return Interval(float(max(low, mean - half)), float(min(high, mean + half)))


def scored_interval(mean: float, error: float, n: int, *, level: float = 0.95) -> Interval:
    """Interval for a number in [0, 1] that has this standard error in a sample of `n`.

    Wilson's interval for as many independent trials as have the error, as in
    `clustered_interval`; an error of 0 at a mean of 0 or 1 is that of `n` trials.
    """
    if n < 2:
        return Interval(0.0, 1.0)
    if mean in (0.0, 1.0):
        return _score(mean, n, _normal(level))
    worth = mean * (1 - mean) / max(error * error, 1e-18)
    return _score(mean, worth, student_t(n - 1, level=level))


def clustered_interval(
    values: Values, clusters: Sequence[Hashable], *, level: float = 0.95
) -> Interval:
    """Interval for the mean of values in [0, 1] that depend on one another within clusters.

    For several samples of a question the cluster is the question. The standard error is
    sqrt(C/(C-1) * sum_c(sum_i(x_ci - mean))^2) / n for n values in C clusters (Miller,
    "Adding error bars to evals", arXiv 2411.00640, with the small-sample factor). The
    interval is Wilson's for the number of independent values with that error, with Student's
    t of C - 1 degrees of freedom (Franco et al., Journal of Survey Statistics and
    Methodology 7, 2019): mean +- t*error is too short near 0 and 1.

    With fewer than two clusters (0, 1). Where every value is 0, or every value 1, the
    error is 0 in the sample and not in truth: then each cluster is one value.
    """
    sums, sizes = _by_cluster(_shares(values), clusters)
    count, total = len(sums), sizes.sum()
    if count < 2:
        return Interval(0.0, 1.0)
    mean = float(sums.sum() / total)
    squares = float(((sums - mean * sizes) ** 2).sum())
    error = math.sqrt(count / (count - 1) * squares) / float(total)
    return scored_interval(mean, error, count, level=level)


def share_interval(right: Sequence[bool], clusters: Sequence[Hashable]) -> Interval:
    """95 % interval of a share: Wilson's, or that of clusters where several values are of one."""
    if len(set(clusters)) == len(right):
        return wilson(sum(right), len(right))
    return clustered_interval([float(each) for each in right], clusters)


def student_t(freedom: int, *, level: float = 0.95) -> float:
    """The t that a Student variable stays within, on both sides, with probability `level`.

    Newton's method on the finite series for whole degrees of freedom (at least 1) of
    Abramowitz and Stegun, 26.7.3 and 26.7.4. The normal quantile is below every t
    quantile and the distribution is concave above 0, so the steps only ever go up.
    """
    if freedom < 1:
        raise ValueError(f"degrees of freedom must be at least 1: {freedom}")
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
    scale *= 2 / math.sqrt(freedom * math.pi)
    t = _normal(level)
    for _ in range(100):
        density = scale * (1 + t * t / freedom) ** (-(freedom + 1) / 2)
        step = (level - _within(t, freedom)) / density
        t += step
        if step <= 1e-12 * t:
            break
    return t


def paired_bootstrap(
    a: Values,
    b: Values,
    *,
    clusters: Sequence[Hashable] | None = None,
    seed: int,
    draws: int = 2000,
    level: float = 0.95,
) -> Estimate:
    """Mean of a - b over the same questions, with a percentile bootstrap interval.

    `a[i]` and `b[i]` are marks in [0, 1] of one question (or of one sample of it).
    Questions are resampled, or `clusters` where they are given, each with all its
    values. Exchanging a and b mirrors the result. With fewer than two clusters the
    interval is (-1, 1), and with no values at all the difference is 0.

    Two more clusters stand among those that are drawn, one where all is won and one where all
    is lost: a sample with few flips or none does not show that there are none (Bonett and Price,
    "Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data", Journal of Educational and Behavioral Statistics 37, 2012).
    """
    first, second = pairs_of(a, b)
    gaps = first - second
    sums, sizes = _by_cluster(gaps, range(len(gaps)) if clusters is None else clusters)
    value = float(gaps.mean()) if len(gaps) else 0.0
    if len(sums) < 2:
        return Estimate(value, Interval(-1.0, 1.0))
    # The sign of the first flip, so that exchanging a and b exchanges these two, too.
    size = sizes.mean() * next((np.sign(each) for each in sums if each), 1.0)
    sums, sizes = np.append(sums, [size, -size]), np.append(sizes, [abs(size)] * 2)
    means = _resampled(sums, sizes, generator(seed, "paired bootstrap"), draws)
    interval = _middle(means, level)
    if not gaps.any():
        half = max(-interval.low, interval.high)
        interval = Interval(-half, half)
    return Estimate(value, interval)


def mcnemar(b: int, c: int) -> float:
    """Exact two-sided p of McNemar's test, in [0, 1]; 1 for no discordant question.

    `b` questions only the first got right, `c` only the second. Under no difference b is
    binomial(b + c, 1/2), so p = 2 P(X <= min(b, c)), at most 1 (McNemar, Psychometrika
    1947, in its exact binomial form). The tail is summed as multiples of its largest
    term, which does not underflow before p itself does.
    """
    if b < 0 or c < 0:
        raise ValueError(f"counts must not be negative: {b}, {c}")
    n, fewer = b + c, min(b, c)
    log_largest = math.lgamma(n + 1) - math.lgamma(fewer + 1) - math.lgamma(n - fewer + 1)
    falling = np.arange(fewer, 0, -1, dtype=np.float64)
    multiples = np.cumprod(falling / (n + 1 - falling))
    tail = math.exp(log_largest - n * math.log(2)) * (1.0 + float(multiples.sum()))
    return min(1.0, 2 * tail)


def holm(p: Sequence[float]) -> list[float]:
    """p values of one family of tests, adjusted for their number, in the same order.

    The smallest is multiplied by the number of tests, the next by one less, and so on; none is
    below a smaller one's, none above 1. A test whose adjusted p is below 0.05 keeps the chance of
    any false finding in the family below 0.05, whatever the tests have in common. Holm, "A simple
    sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    numbers = _shares(p)
    order = np.argsort(numbers, kind="stable")
    steps = numbers[order] * np.arange(len(numbers), 0, -1)
    adjusted = np.empty(len(numbers))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(each) for each in adjusted]


def spread(values: Values) -> Spread | None:
    """Mean and sample standard deviation of a number over repeats; None for no repeats."""
    numbers = _floats(values)
    if not len(numbers):
        return None
    deviation = float(numbers.std(ddof=1)) if len(numbers) > 1 else None
    return Spread(float(numbers.mean()), deviation)


def pairs_of(a: Values, b: Values) -> tuple[Floats, Floats]:
    """Two rows of as many numbers in [0, 1]. Raises ValueError for any others."""
    first, second = _shares(a), _shares(b)
    if first.shape != second.shape:
        raise ValueError(f"pairs do not match: {len(first)} and {len(second)} values")
    return first, second


def _floats(values: Values) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise ValueError("values must be one row of finite numbers")
    return numbers


def _shares(values: Values) -> Floats:
    numbers = _floats(values)
    if ((numbers < 0) | (numbers > 1)).any():
        raise ValueError("values must be within [0, 1]")
    return numbers


def _normal(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must be within (0, 1): {level}")
    return NormalDist().inv_cdf((1 + level) / 2)


def _score(share: float, n: float, z: float) -> Interval:
    """Wilson's interval for a share of `n` values; (0, 1) for none."""
    if n == 0:
        return Interval(0.0, 1.0)
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # The ends are exactly 0 and 1 for no and for all successes; rounding must not miss them.
    low = 0.0 if share == 0 else max(0.0, (middle - half) / scale)
    high = 1.0 if share == 1 else min(1.0, (middle + half) / scale)
    return Interval(low, high)


def _beta(a: float, b: float, level: float) -> float:
    return float(Beta(np.array([float(a)]), np.array([float(b)])).quantile(level)[0])


def _within(t: float, freedom: int) -> float:
    """Probability that a Student variable is within [-t, t]: A(t | freedom) of A&S 26.7."""
    angle = math.atan(t / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    odd = freedom % 2
    steps = np.arange(1, (freedom - odd) // 2, dtype=np.float64)
    ratios = (2 * steps + odd - 1) / (2 * steps + odd)
    series = 1.0 + float(np.cumprod(ratios * square).sum())
    if not odd:
        return math.sin(angle) * series
    if freedom == 1:
        return 2 * angle / math.pi
    return 2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * series)


def _by_cluster(values: Floats, clusters: Sequence[Hashable]) -> tuple[Floats, Floats]:
    """Sum and size of each cluster, in order of first appearance."""
    if len(clusters) != len(values):
        raise ValueError(f"{len(values)} values, {len(clusters)} clusters")
    numbers: dict[Hashable, int] = {}
    place = np.fromiter(
        (numbers.setdefault(c, len(numbers)) for c in clusters), np.int64, len(values)
    )
    sums = np.bincount(place, weights=values, minlength=len(numbers))
    sizes = np.bincount(place, minlength=len(numbers))
    return sums.astype(np.float64), sizes.astype(np.float64)


def _resampled(sums: Floats, sizes: Floats, rng: np.random.Generator, draws: int) -> Floats:
    """Means of `draws` resamples of clusters, given each cluster's sum and size.

    Equal clusters are interchangeable, so how often each *distinct* one is drawn is one
    multinomial: for marks that is two or three numbers a draw, whatever the sample's size.
    Distinct clusters stand in order of first appearance, which a change of sign keeps.
    """
    pairs = np.stack([sums, sizes], axis=1)
    _, first, counts = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    kinds, shares = pairs[first[order]], counts[order] / len(sums)
    means = np.empty(draws)
    chunk = max(1, _CELLS // len(kinds))
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        drawn = rng.multinomial(len(sums), shares, size=size) @ kinds
        means[start : start + size] = drawn[:, 0] / drawn[:, 1]
    return means


def _middle(means: Floats, level: float) -> Interval:
    outside = (1 - level) / 2
    low, high = np.quantile(means, [outside, 1 - outside])
    return Interval(float(low), float(high))
