"""The device of each engine, so that all are done at about the same time.

Knows how long each engine is busy in each phase, and which devices hold it. The largest
go first, each to where it prolongs the run least; then single moves and swaps as long as
they help. A heuristic: how far it may be from the best is known from the lower bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Score = tuple[float, float]

_SWEEPS = 50


def spread(
    busy: Array,
    sizes: Sequence[float],
    devices: Sequence[float],
    *,
    fixed: Mapping[int, int] = MappingProxyType({}),
) -> list[int]:
    """Unit -> device, by place.

    Args:
        busy: units by phases, seconds.
        sizes: memory of each unit.
        devices: memory of each device; each unit fits on at least one.
        fixed: unit -> the device that it is on already.
    """
    fits = [[d for d, room in enumerate(devices) if size <= room] for size in sizes]
    for unit, device in fixed.items():
        fits[unit] = [device]
    loads = np.zeros((len(devices), busy.shape[1]))
    homes = [-1] * len(sizes)
    for unit in sorted(range(len(sizes)), key=lambda each: (-busy[each].sum(), each)):
        best = min(fits[unit], key=lambda device: (*_placed(loads, device, busy[unit]), device))
        loads[best] += busy[unit]
        homes[unit] = best
    for _ in range(_SWEEPS):
        moved = _moves(busy, fits, loads, homes)
        swapped = _swaps(busy, fits, loads, homes)
        if not (moved or swapped):
            break
    return homes


def _score(loads: Array) -> Score:
    """How long the run takes if every phase waits for the slowest, then how uneven it is."""
    return float(loads.max(axis=0).sum()), float((loads.sum(axis=1) ** 2).sum())


def _placed(loads: Array, device: int, busy: Array) -> Score:
    tried = loads.copy()
    tried[device] += busy
    return _score(tried)


def _better(new: Score, old: Score) -> bool:
    """By more than rounding."""
    least = 1e-9 * max(1.0, old[0])
    if abs(new[0] - old[0]) > least:
        return new[0] < old[0]
    return new[1] < old[1] * (1 - 1e-9)


def _moves(busy: Array, fits: list[list[int]], loads: Array, homes: list[int]) -> bool:
    """Move single units while that helps."""
    helped = False
    for unit, allowed in enumerate(fits):
        for device in allowed:
            helped |= _try(loads, homes, busy, [(unit, device)])
    return helped


def _swaps(busy: Array, fits: list[list[int]], loads: Array, homes: list[int]) -> bool:
    """Exchange two units while that helps."""
    helped = False
    for one in range(len(homes)):
        for other in range(one):
            here, there = homes[one], homes[other]
            if here != there and there in fits[one] and here in fits[other]:
                helped |= _try(loads, homes, busy, [(one, there), (other, here)])
    return helped


def _try(loads: Array, homes: list[int], busy: Array, changes: list[tuple[int, int]]) -> bool:
    tried = loads.copy()
    for unit, device in changes:
        tried[homes[unit]] -= busy[unit]
        tried[device] += busy[unit]
    if not _better(_score(tried), _score(loads)):
        return False
    loads[:] = tried
    for unit, device in changes:
        homes[unit] = device
    return True
