"""Beta distributions, elementwise over arrays: quantiles and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_HALF_LOG_TWO_PI = 0.9189385332046727


@dataclass(frozen=True)
class Beta:
    """Beta distributions of a share, one for each place of two arrays of one shape."""

    alpha: Floats
    """First parameter, above 0."""
    beta: Floats
    """Second parameter, above 0."""

    @classmethod
    def of(cls, mean: Floats, variance: Floats) -> Beta:
        """The distributions of this mean, in (0, 1), and variance, below mean (1 - mean)."""
        strength = mean * (1 - mean) / variance - 1
        return cls(strength * mean, strength * (1 - mean))

    @property
    def mean(self) -> Floats:
        """Expected share, in (0, 1)."""
        return self.alpha / (self.alpha + self.beta)

    def quantile(self, level: float) -> Floats:
        """The share that is exceeded with probability 1 - `level`; `level` in (0, 1)."""
        return mixed_quantile(
            np.ones((1, *[1] * self.alpha.ndim)), Beta(self.alpha[None], self.beta[None]), level
        )


def mixed_quantile(weight: Floats, parts: Beta, level: float) -> Floats:
    """Quantile of mixtures of Beta distributions, to 1e-7: eighths of their integral, eight times.

    Args:
        weight: of the components, which are the first axis of `parts`, as its shape or one that
            broadcasts to it; they sum to 1 along that axis.
        parts: the components.
        level: probability below the quantile, in (0, 1).
    """
    low = np.zeros(parts.alpha.shape[1:])
    scale = log_beta(parts.alpha, parts.beta)
    for step in 8.0 ** -np.arange(1.0, 9.0):
        points = low + step * np.arange(1.0, 8.0).reshape(-1, *[1] * low.ndim)
        below = _share_below(points[:, None], parts.alpha, parts.beta, scale)
        low = low + step * ((below * weight).sum(axis=1) < level).sum(axis=0)
    return np.asarray(low + step / 2)


def _share_below(x: Floats, alpha: Floats, beta: Floats, scale: Floats) -> Floats:
    """Regularised incomplete beta function, by its continued fraction (DLMF 8.17.22)."""
    # The fraction converges fast below the mean; above it, Beta(beta, alpha) is read from 1 - x.
    far = x > (alpha + 1) / (alpha + beta + 2)
    a, b, x = np.where(far, beta, alpha), np.where(far, alpha, beta), np.where(far, 1 - x, x)
    fraction = np.ones_like(x)
    terms = 10 + int(np.sqrt(max(alpha.max(initial=0), beta.max(initial=0))))
    for m in range(terms, 0, -1):
        fraction = 1 - (a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)) / fraction
        fraction = 1 + m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)) / fraction
    fraction = 1 - (a + b) * x / (a + 1) / fraction
    share = np.exp(a * np.log(x) + b * np.log1p(-x) - scale) / (a * fraction)
    return np.asarray(np.where(far, 1 - share, share))


def log_beta(a: Floats, b: Floats) -> Floats:
    """Logarithm of the beta function, elementwise."""
    return np.asarray(log_gamma(a) + log_gamma(b) - log_gamma(a + b))


def log_gamma(x: Floats) -> Floats:
    """Logarithm of the gamma function for x above 0, to 1e-10: Stirling's series from x + 8."""
    product = np.ones_like(x)
    for each in range(8):
        product = product * (x + each)
    far = x + 8
    series = 1 / (12 * far) - 1 / (360 * far**3) + 1 / (1260 * far**5) - 1 / (1680 * far**7)
    return np.asarray((far - 0.5) * np.log(far) - far + _HALF_LOG_TWO_PI + series - np.log(product))


def logit(share: Floats) -> Floats:
    """Log-odds of shares, which are kept 1e-6 away from 0 and 1."""
    safe = np.clip(share, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(safe / (1 - safe)))


def sigmoid(x: Floats) -> Floats:
    """The share of log-odds, for log-odds from -30 to 30; others count as those."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30.0, 30.0))))
