"""How long any order takes at least: the largest of several bounds, each proven.

Knows jobs and costs; builds no order. All bounds hold for the orders that `order.py` can
write: a job runs whole on one device, a device does one thing at a time, and an engine
comes directly before its work, where it may wait for the stage before to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestra.scheduling.costs import CostModel
from orchestra.scheduling.jobs import Job, visits
from orchestra.scheduling.residency_search import Resident, Room, least


@dataclass(frozen=True, slots=True)
class _Part:
    """What one job takes at least."""

    first: bool
    last: bool
    come: float
    work: float
    leave: float

    @property
    def whole(self) -> float:
        return self.come + self.work + self.leave


def lower_bound(staged: Sequence[Sequence[Job]], costs: CostModel) -> float:
    """Seconds that every order on the machine takes at least."""
    if not staged:
        return 0.0
    devices = len(costs.machine.devices)
    parts = _parts(staged, costs)
    shared = sum(part.whole for row in parts for part in row) + _coming_back(staged, costs)
    return max(shared / devices, _one_engine(staged, parts), _stages(parts, devices))


def _parts(staged: Sequence[Sequence[Job]], costs: CostModel) -> list[list[_Part]]:
    """First visits must load and last ones must exit; between, an engine may stay for nothing."""
    places = visits(staged)
    parts: list[list[_Part]] = []
    for phase, jobs in enumerate(staged):
        row: list[_Part] = []
        for job in jobs:
            cost, seen = costs.units[job.unit], places[job.unit]
            first, last = phase == seen[0], phase == seen[-1]
            work = cost.work(job.input_tokens, job.output_tokens)
            come, leave = cost.cold if first else 0.0, cost.exit if last else 0.0
            row.append(_Part(first, last, come, work, leave))
        parts.append(row)
    return parts


def _coming_back(staged: Sequence[Sequence[Job]], costs: CostModel) -> float:
    """Leaving and coming back on all devices, at least: as if they were one with all the memory."""
    devices = range(len(costs.machine.devices))
    residents = [
        Resident(unit, seen, min(costs.size(unit, device) for device in devices), costs.units[unit])
        for unit, seen in visits(staged).items()
    ]
    whole = sum(costs.room(device) for device in devices)
    return least(residents, Room(len(staged), whole, costs.machine.host_gib))


def _one_engine(staged: Sequence[Sequence[Job]], parts: Sequence[Sequence[_Part]]) -> float:
    """The busiest engine's jobs are done one after another."""
    whole: dict[str, float] = {}
    for jobs, row in zip(staged, parts, strict=True):
        for job, part in zip(jobs, row, strict=True):
            whole[job.unit] = whole.get(job.unit, 0.0) + part.whole
    return max(whole.values())


def _stages(parts: Sequence[Sequence[_Part]], devices: int) -> float:
    """No stage begins before the one before has ended, so their times add.

    What must happen within a stage: all its work, all its loads but at most one on each device
    that may be done before it, all its exits but at most one on each device that may be done
    after it. In the first stage every load counts, in the last every exit.
    """
    final = len(parts) - 1
    return sum(
        max(
            _shared(row, devices, begins=place == 0, ends=place == final),
            _pair(row, devices),
            max(
                part.come * (place == 0) + part.work + part.leave * (place == final) for part in row
            ),
        )
        for place, row in enumerate(parts)
    )


def _shared(row: Sequence[_Part], devices: int, *, begins: bool, ends: bool) -> float:
    comes = np.sort([part.come for part in row])
    leaves = np.sort([part.leave for part in row])
    inside = sum(part.work for part in row)
    inside += float(comes.sum() if begins else comes[: max(0, len(row) - devices)].sum())
    inside += float(leaves.sum() if ends else leaves[: max(0, len(row) - devices)].sum())
    return inside / devices


def _pair(row: Sequence[_Part], devices: int) -> float:
    """Of the longest jobs, one more than there are devices, two share a device."""
    if len(row) <= devices:
        return 0.0
    works = sorted((part.work for part in row), reverse=True)
    # The later of the two comes after the other's work.
    return works[devices - 1] + works[devices] + min(part.come for part in row)
