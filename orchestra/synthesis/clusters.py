"""Two clusters of unit vectors, and how far apart they stand.

Knows rows whose dot product is their cosine; does not know what they stand for. No random
starts: up to eight rows every way to part them is tried, above that 2-means begins with the
farthest pair.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

_EXACT = 8
_MOST_STEPS = 100
_DIGITS = 6
"""Rows are of single precision: what differs in later digits is a tie, and the first row's."""

Rows = NDArray[np.float64]
Labels = NDArray[np.bool_]


def bisect(rows: ArrayLike) -> Labels | None:
    """The two clusters with the most cosine between rows and their cluster's mean direction.

    Spherical 2-means (Dhillon and Modha 2001): the sum of the lengths of both clusters' sums is
    largest. Exact up to eight rows.

    Returns:
        For each row whether it is in the second cluster; the first row never is, and neither
        cluster is empty. None where fewer than two rows differ.
    """
    points = np.asarray(rows, dtype=np.float64)
    if len(points) < 2 or np.allclose(points, points[0], rtol=0, atol=1e-6):
        return None
    labels = _exact(points) if len(points) <= _EXACT else _two_means(points)
    return ~labels if labels[0] else labels


def silhouette(rows: ArrayLike, labels: Sequence[bool] | Labels) -> float:
    """Mean silhouette by cosine distance, in [-1, 1] (Rousseeuw 1987).

    A row alone in its cluster counts 0. Both clusters have a row.
    """
    points, second = np.asarray(rows, dtype=np.float64), np.asarray(labels, dtype=bool)
    distances = np.clip(1 - points @ points.T, 0, 2)
    same = second[:, None] == second[None, :]
    np.fill_diagonal(same, False)
    other = second[:, None] != second[None, :]
    mates, strangers = same.sum(axis=1), other.sum(axis=1)
    within = (distances * same).sum(axis=1) / np.maximum(mates, 1)
    beyond = (distances * other).sum(axis=1) / strangers
    widest = np.maximum(np.maximum(within, beyond), 1e-12)
    return float(np.where(mates > 0, (beyond - within) / widest, 0.0).mean())


def tightness(rows: ArrayLike) -> float:
    """Mean cosine of a cluster's pairs, rounded; 1 for a row alone."""
    points = np.asarray(rows, dtype=np.float64)
    pairs = np.triu_indices(len(points), 1)
    return round(float((points @ points.T)[pairs].mean()), _DIGITS) if len(points) > 1 else 1.0


def medoid(rows: ArrayLike) -> int:
    """The place of the row with the most cosine to all others; of equals the first."""
    points = np.asarray(rows, dtype=np.float64)
    cosines = points @ points.T
    return int(np.round(cosines.sum(axis=1) - np.diag(cosines), _DIGITS).argmax())


def _exact(points: Rows) -> Labels:
    """The best of all ways to part the rows in two."""
    count = len(points)
    ways = np.arange(1, 2 ** (count - 1))
    second = (ways[:, None] >> np.arange(count - 1)) & 1
    chosen = np.concatenate([np.zeros((len(ways), 1), dtype=second.dtype), second], axis=1)
    score = _lengths(chosen @ points) + _lengths((1 - chosen) @ points)
    return np.asarray(chosen[int(np.round(score, _DIGITS).argmax())], dtype=bool)


def _two_means(points: Rows) -> Labels:
    """Where 2-means comes to rest that begins with the farthest pair."""
    cosines = points @ points.T
    np.fill_diagonal(cosines, np.inf)
    pair = np.unravel_index(int(np.round(cosines, _DIGITS).argmin()), cosines.shape)
    centres = points[list(pair)]
    labels = np.zeros(len(points), dtype=bool)
    for _ in range(_MOST_STEPS):
        near = np.round(points @ centres.T, _DIGITS)
        new = near[:, 1] > near[:, 0]
        if new.all() or not new.any():
            new[pair[0]], new[pair[1]] = False, True
        if (new == labels).all():
            break
        labels = new
        sums = np.stack([points[~labels].sum(axis=0), points[labels].sum(axis=0)])
        centres = sums / np.maximum(_lengths(sums), 1e-12)[:, None]
    return labels


def _lengths(rows: Rows) -> Rows:
    return np.asarray(np.linalg.norm(rows, axis=-1), dtype=np.float64)
