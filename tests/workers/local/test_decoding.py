"""How a token is chosen from logits, and when rounding could have chosen it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.workers.local.decoding import drawn, greedy

LOGS = np.log(np.array([[0.5, 0.3, 0.15, 0.05]], np.float32))


@pytest.mark.parametrize(
    ("row", "best", "near"),
    [
        ([1.0, 3.0, 2.0], 1, False),
        ([3.0, 2.9995, 0.0], 0, True),
        ([2.0, 2.0, 2.0], 0, True),
        ([2.0, 1.998, 0.0], 0, False),
        ([7.0], 0, False),
    ],
)
def test_the_likeliest_token(row: list[float], best: int, near: bool) -> None:
    assert greedy(np.array([row], np.float32)) == ([best], [near])


@pytest.mark.parametrize(
    ("draw", "top_p", "token", "near"),
    [
        (0.25, 1.0, 0, False),
        (0.49995, 1.0, 0, True),
        (0.50005, 1.0, 1, True),
        (0.6, 1.0, 1, False),
        (0.9, 1.0, 2, False),
        (0.97, 1.0, 3, False),
        (0.99999, 1.0, 3, False),
        (0.99999, 0.9, 2, False),
        (0.99999, 0.7, 1, False),
        (0.6, 0.7, 0, False),
        (0.7, 0.7, 1, False),
        (0.97, 0.80005, 2, True),
        (0.3, 0.4, 0, False),
        (0.99, 0.0001, 0, False),
    ],
)
def test_where_a_draw_falls(draw: float, top_p: float, token: int, near: bool) -> None:
    assert drawn(LOGS, np.array([draw]), 1.0, top_p) == ([token], [near])


@pytest.mark.parametrize(("temperature", "token"), [(1.0, 2), (0.5, 1), (0.1, 0), (1e-5, 0)])
def test_temperature_sharpens(temperature: float, token: int) -> None:
    assert drawn(LOGS, np.array([0.85]), temperature, 1.0)[0] == [token]


@given(
    st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12),
    st.floats(0, 1, exclude_max=True),
    st.floats(0.05, 1),
    st.floats(0.2, 2),
    st.integers(0, 2**32 - 1),
)
def test_what_is_not_near_survives_rounding(
    row: list[float], draw: float, top_p: float, temperature: float, seed: int
) -> None:
    logits = np.array([row], np.float32)
    [token], [near] = drawn(logits, np.array([draw]), temperature, top_p)
    noise = np.random.default_rng(seed).uniform(-4e-5, 4e-5, logits.shape)
    [again], _ = drawn((logits + noise).astype(np.float32), np.array([draw]), temperature, top_p)
    assert near or token == again


@given(
    st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12, unique=True),
    st.floats(0, 1, exclude_max=True),
    st.floats(0.05, 0.999),
)
def test_only_the_nucleus_is_drawn(row: list[float], draw: float, top_p: float) -> None:
    [token], _ = drawn(np.array([row], np.float32), np.array([draw]), 1.0, top_p)
    share = np.exp(np.array(row)) / np.exp(np.array(row)).sum()
    assert share[share > share[token]].sum() < top_p + 1e-6
