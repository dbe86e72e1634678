"""From the jobs of all stages to a residency order, beside first-come order and a lower bound.

Knows the parts: graph, costs, who stays, which device. On one device the order is the best
there is wherever `Order.exact` says so, which holds for 16 engines and usually for many
more; on several it is a heuristic with a proven bound. Pure: the same jobs, the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from orchestra.errors import InputError
from orchestra.scheduling.bounds import lower_bound
from orchestra.scheduling.costs import CostModel, EngineCost
from orchestra.scheduling.jobs import Job, visits
from orchestra.scheduling.order import FirstCome, Order, arrange, peaks, phases, stage_graph
from orchestra.scheduling.placement import spread
from orchestra.scheduling.residency_search import Chosen, Resident, Room, choose, ways

EXACT = 16
"""Up to this many engines on a device, the search is given room to prove its result."""
_WIDE, _NARROW = 131_072, 4_096


_NO_HOMES: Mapping[str, int] = MappingProxyType({})


def schedule(
    jobs: Iterable[Job],
    costs: CostModel,
    *,
    comings: Mapping[str, int] | None = None,
    homes: Mapping[str, int] = _NO_HOMES,
    width: int = _WIDE,
) -> Order:
    """Decide who is resident when.

    Args:
        jobs: of all stages, at most one for each unit, stage, layer and round.
        costs: of every unit that has a job, and the machine.
        comings: load unit -> how often it comes in first-come order; None: not known.
        homes: load unit -> the device that it is on already.
        width: most partial choices that the search keeps; fewer are quicker.

    Raises:
        InputError: an engine fits on no device, or there are two jobs where one may be.
    """
    staged = phases(stage_graph(jobs))
    homes = _homes(staged, costs, homes)
    chosen = _chosen(staged, homes, costs, width)
    stays = {unit: stay for part in chosen for unit, stay in part.stays.items()}
    steps = arrange(staged, homes, stays, costs)
    seconds = max((step.end for step in steps), default=0.0)
    bound = min(lower_bound(staged, costs), seconds)
    alone = len(chosen) == 1 and chosen[0].exact
    return Order(
        steps,
        seconds,
        bound,
        exact=alone or seconds <= bound * (1 + 1e-9),
        timed=all(costs.units[unit].timed for unit in homes),
        peak_gib=peaks(steps, costs),
        host_gib=sum(stay.host_gib for stay in stays.values()),
        experts={unit: costs.experts(unit) for unit in homes},
        first_come=None if comings is None else _first_come(staged, homes, costs, comings),
    )


def _homes(
    staged: Sequence[Sequence[Job]], costs: CostModel, known: Mapping[str, int]
) -> dict[str, int]:
    """Load unit -> its device."""
    places = visits(staged)
    units = list(places)
    rooms = [costs.room(device) for device in range(len(costs.machine.devices))]
    sizes = [min(costs.size(unit, device) for device in range(len(rooms))) for unit in units]
    for unit, size in zip(units, sizes, strict=True):
        if size > max(rooms):
            raise InputError(
                f"expert `{unit}` takes {size:g} GiB, the largest device has {max(rooms):g}",
                hint="plan for a larger device, or give the expert's true `memory_gib`",
            )
    if len(rooms) == 1:
        return dict.fromkeys(units, 0)
    busy = np.zeros((len(units), len(staged)))
    row = {unit: i for i, unit in enumerate(units)}
    for phase, jobs in enumerate(staged):
        for job in jobs:
            busy[row[job.unit], phase] += _busy(costs.units[job.unit], job, phase, places[job.unit])
    fixed = {row[unit]: device for unit, device in known.items() if unit in row}
    return dict(zip(units, spread(busy, sizes, rooms, fixed=fixed), strict=True))


def _busy(cost: EngineCost, job: Job, phase: int, places: Sequence[int]) -> float:
    """Seconds for which a job keeps its device, if its engine always leaves as is cheapest."""
    away = min(each for level in (0, 1, 2) if (each := cost.away(level, 1)) is not None)
    seconds = cost.work(job.input_tokens, job.output_tokens)
    seconds += cost.cold if phase == places[0] else away
    return seconds + (cost.exit if phase == places[-1] else 0.0)


def _chosen(
    staged: Sequence[Sequence[Job]], homes: Mapping[str, int], costs: CostModel, most: int
) -> list[Chosen]:
    """What is decided for each device, each with its share of the host."""
    places = visits(staged)
    shares = _shares(places, homes, costs)
    choices: list[Chosen] = []
    for device in range(len(costs.machine.devices)):
        residents = [
            Resident(unit, places[unit], costs.size(unit, device), costs.units[unit])
            for unit in places
            if homes[unit] == device
        ]
        width = min(most, _WIDE if len(residents) <= EXACT else _NARROW)
        room = Room(len(staged), costs.room(device), shares[device])
        choices.append(choose(residents, room, width=width))
    return choices


def _shares(
    places: Mapping[str, Sequence[int]], homes: Mapping[str, int], costs: CostModel
) -> list[float | None]:
    """The host's memory for each device, by what its engines would take if all of them slept."""
    devices, host = len(costs.machine.devices), costs.machine.host_gib
    if host is None or devices == 1:
        return [host] * devices
    wanted = [0.0] * devices
    for unit, seen in places.items():
        wanted[homes[unit]] += costs.units[unit].host1_gib * (len(seen) > 1)
    whole = sum(wanted)
    return [host * each / whole if whole else 0.0 for each in wanted]


def _first_come(
    staged: Sequence[Sequence[Job]],
    homes: Mapping[str, int],
    costs: CostModel,
    comings: Mapping[str, int],
) -> FirstCome:
    """The better of two ways to share the host between engines that leave and come back.

    Either those that save most for a GiB have all they want, or each has room for level 2
    first: neither is always the better one, and first come must not look worse than it is.
    """
    busy = [0.0] * len(costs.machine.devices)
    for job in (job for jobs in staged for job in jobs):
        busy[homes[job.unit]] += costs.units[job.unit].work(job.input_tokens, job.output_tokens)
    for unit in homes:
        busy[homes[unit]] += costs.units[unit].cold + costs.units[unit].exit
    again = {unit: times - 1 for unit, times in comings.items() if times > 1}
    for_all = {unit: costs.units[unit].host2_gib for unit in again}
    ends = []
    for reserved in ({}, for_all):
        away = list(busy)
        for unit, seconds in _away(again, costs, reserved).items():
            away[homes[unit]] += seconds
        ends.append(max(away))
    return FirstCome(sum(comings.values()), min(ends))


def _away(
    again: Mapping[str, int], costs: CostModel, reserved: Mapping[str, float]
) -> dict[str, float]:
    """Seconds of leaving and coming back: most saved for a GiB first, without `reserved`."""
    host = costs.machine.host_gib
    worth = {unit: _worth(costs.units[unit], times, host) for unit, times in again.items()}
    left, rest = host, sum(reserved.values())
    away: dict[str, float] = {}
    for unit in sorted(again, key=lambda unit: (-worth[unit], unit)):
        rest -= reserved.get(unit, 0.0)
        room = None if left is None else max(0.0, left - rest)
        stay = next(ways(costs.units[unit], (), again[unit], room))
        left = None if left is None else left - stay.host_gib
        away[unit] = stay.seconds
    return away


def _worth(cost: EngineCost, times: int, host_gib: float | None) -> float:
    """Seconds that a GiB of the host saves an engine that leaves so often."""
    best, *others = ways(cost, (), times, host_gib)
    return (others[-1].seconds - best.seconds) / best.host_gib if others else 0.0
