"""Two clusters of directions: what is found, and how far apart it stands."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.synthesis import bisect, silhouette
from orchestra.synthesis.clustering import Rows, medoid, tightness


def at(*degrees: float) -> Rows:
    """Unit vectors of the plane."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def around(*groups: tuple[float, int]) -> Rows:
    """`count` directions within a few degrees of each `(direction, count)`."""
    return at(*[angle + 3 * i for angle, count in groups for i in range(count)])


@pytest.mark.parametrize(
    ("rows", "second"),
    [
        (at(0, 10, 90), [2]),
        (at(90, 0, 10), [1, 2]),
        (at(0, 90), [1]),
        (at(0, 5, 80, 85), [2, 3]),
        (at(0, 5, 10, 120), [3]),
        (around((0, 7), (90, 1)), [7]),
        (around((0, 7), (90, 2)), [7, 8]),  # nine: 2-means
        (around((90, 3), (0, 17)), list(range(3, 20))),
    ],
)
def test_two_clusters(rows: Rows, second: list[int]) -> None:
    labels = bisect(rows)
    assert labels is not None
    assert np.flatnonzero(labels).tolist() == second


@pytest.mark.parametrize("rows", [at(), at(40), at(40, 40), at(*[7] * 12), np.zeros((4, 3))])
def test_what_does_not_differ_is_not_parted(rows: Rows) -> None:
    assert bisect(rows) is None


def brute(rows: Rows) -> float:
    """The best sum of lengths, one way to part the rows after another."""
    best = 0.0
    for size in range(1, len(rows)):
        for chosen in combinations(range(len(rows)), size):
            rest = [i for i in range(len(rows)) if i not in chosen]
            sums = rows[list(chosen)].sum(axis=0), rows[rest].sum(axis=0)
            best = max(best, float(np.linalg.norm(sums[0]) + np.linalg.norm(sums[1])))
    return best


@given(st.lists(st.floats(0, 180), min_size=2, max_size=8))
def test_up_to_eight_rows_no_other_way_is_better(degrees: list[float]) -> None:
    rows = at(*degrees)
    labels = bisect(rows)
    if labels is None:
        assert max(degrees) - min(degrees) < 0.01
        return
    sums = rows[labels].sum(axis=0), rows[~labels].sum(axis=0)
    found = float(np.linalg.norm(sums[0]) + np.linalg.norm(sums[1]))
    assert found == pytest.approx(brute(rows), abs=1e-6)


@given(st.lists(st.floats(0, 180), min_size=9, max_size=30))
def test_many_rows_have_two_clusters_of_the_nearer_ones(degrees: list[float]) -> None:
    rows = at(*degrees)
    labels = bisect(rows)
    if labels is not None:
        assert not labels[0]
        assert labels.any()


@pytest.mark.parametrize(
    ("rows", "second", "expected"),
    [
        # 0 and 60 degrees are 0.5 apart, 0 and 90 are 1, 60 and 90 are 1 - 0.866.
        (at(0, 0, 90), [2], (1 + 1 + 0) / 3),
        (at(0, 60, 90), [2], ((1 - 0.5) / 1 + (0.134 - 0.5) / 0.5 + 0) / 3),
        (at(0, 0, 90, 90), [2, 3], 1.0),
        (at(0, 90, 0, 90), [2, 3], -0.5),
        (at(0, 90), [1], 0.0),
    ],
)
def test_silhouettes_by_hand(rows: Rows, second: list[int], expected: float) -> None:
    labels = [i in second for i in range(len(rows))]
    assert silhouette(rows, labels) == pytest.approx(expected, abs=1e-3)


def test_tightness_and_the_medoid() -> None:
    assert tightness(at(10)) == 1
    assert tightness(at(0, 60, 60)) == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert medoid(at(0, 20, 60)) == 1
    assert medoid(at(80, 80)) == 0
