"""No order goes below the bound: not the planner's, and none of any other assignment."""

from __future__ import annotations

from itertools import permutations, product
from random import Random

import pytest

from orchestra.scheduling import CostModel, EngineCost, Job, Machine, phases, stage_graph
from orchestra.scheduling.bounds import lower_bound
from orchestra.scheduling.jobs import visits
from orchestra.scheduling.order import arrange
from orchestra.scheduling.residency_search import Resident, Room, Stay, choose


def problem(seed: int) -> tuple[list[list[Job]], CostModel]:
    draw = Random(f"bounds:{seed}")
    stages = [("tag", 0), ("generate", 0), ("generate", 1)][: draw.randint(1, 3)]
    names = "abcd"
    jobs = [
        Job(name, *stage, 1, 0, draw.randint(1, 60))
        for stage in stages
        for name in names
        if draw.random() < 0.7
    ] or [Job("a", "generate", 0, 1, 0, 5)]
    units = {
        name: EngineCost(draw.randint(0, 30), draw.randint(0, 5), token_out=1.0, device_gib=5.0)
        for name in names
    }
    devices: tuple[float | None, ...] = (draw.choice([None, 5.0, 10.0]),) * 2
    return phases(stage_graph(jobs)), CostModel(units, Machine(devices))


@pytest.mark.parametrize("seed", range(30))
def test_no_assignment_and_no_order_is_below_the_bound(seed: int) -> None:
    staged, costs = problem(seed)
    places = visits(staged)
    bound = lower_bound(staged, costs)
    for homes in product((0, 1), repeat=len(places)):
        devices = dict(zip(places, homes, strict=True))
        stays: dict[str, Stay] = {}
        for device in (0, 1):
            here = [
                Resident(unit, seen, costs.size(unit, device), costs.units[unit])
                for unit, seen in places.items()
                if devices[unit] == device
            ]
            stays |= choose(here, Room(len(staged), costs.room(device), None)).stays
        for last in permutations(staged[-1]):
            steps = arrange([*staged[:-1], last], devices, stays, costs)
            assert max(step.end for step in steps) >= bound - 1e-9


def test_the_bound_is_met_where_nothing_can_be_shared() -> None:
    """One engine of two stages on two devices."""
    cost = EngineCost(10, 2, token_out=1.0)
    staged = phases(stage_graph([Job("a", "tag", 0, 1, 0, 5), Job("a", "generate", 0, 1, 0, 7)]))
    assert lower_bound(staged, CostModel({"a": cost}, Machine((None, None)))) == 24


def test_nothing_to_do() -> None:
    assert lower_bound([], CostModel({})) == 0.0
