from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import pytest

from orchestra.scheduling.placement import spread


def longest(busy: np.ndarray, homes: list[int], devices: int) -> float:
    loads = np.zeros((devices, busy.shape[1]))
    for unit, device in enumerate(homes):
        loads[device] += busy[unit]
    return float(loads.max(axis=0).sum())


@pytest.mark.parametrize("seed", range(20))
def test_near_the_best_of_all_assignments(seed: int) -> None:
    draw = Random(f"spread:{seed}")
    busy = np.array([[draw.uniform(0, 9) for _ in range(2)] for _ in range(7)])
    found = longest(busy, spread(busy, [1.0] * 7, [1.0, 1.0]), 2)
    best = min(longest(busy, list(homes), 2) for homes in product((0, 1), repeat=7))
    assert best <= found <= 1.1 * best


def test_what_fits_only_on_one_device_goes_there() -> None:
    busy = np.array([[5.0], [5.0], [1.0]])
    assert spread(busy, [30.0, 30.0, 10.0], [10.0, 40.0]) == [1, 1, 0]
