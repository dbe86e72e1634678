"""Plans -> an order of loads, with its price beside a naive order and the lower bound. Pure."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from orchestra.scheduling.batches import Arrivals, Loads, first_come_loads, longest_first
from orchestra.scheduling.costs import (
    CostModel,
    EngineCost,
    Figure,
    Machine,
    Unit,
    engine,
    estimate,
    figures,
    load_units,
)
from orchestra.scheduling.expert_cost import Asked, Length, Share, share_of
from orchestra.scheduling.forecast import Forecast, Limit, compare, forecast
from orchestra.scheduling.jobs import Job, Phase
from orchestra.scheduling.order import FirstCome, Order, Step

if TYPE_CHECKING:
    from orchestra.scheduling.order import phases, stage_graph
    from orchestra.scheduling.residency import schedule
    from orchestra.scheduling.simulator.engine import SimulatedEngine
    from orchestra.scheduling.simulator.machine import (
        Event,
        Fault,
        Log,
        SimulatedMachine,
        random_faults,
    )
    from orchestra.scheduling.simulator.workers import SimulatedWorkers, Writing

__all__ = [
    "Arrivals",
    "Asked",
    "CostModel",
    "EngineCost",
    "Event",
    "Fault",
    "Figure",
    "FirstCome",
    "Forecast",
    "Job",
    "Length",
    "Limit",
    "Loads",
    "Log",
    "Machine",
    "Order",
    "Phase",
    "Share",
    "SimulatedEngine",
    "SimulatedMachine",
    "SimulatedWorkers",
    "Step",
    "Unit",
    "Writing",
    "compare",
    "engine",
    "estimate",
    "figures",
    "first_come_loads",
    "forecast",
    "load_units",
    "longest_first",
    "phases",
    "random_faults",
    "schedule",
    "share_of",
    "stage_graph",
]

_LATE = {
    "Event": "orchestra.scheduling.simulator.machine",
    "Fault": "orchestra.scheduling.simulator.machine",
    "Log": "orchestra.scheduling.simulator.machine",
    "SimulatedMachine": "orchestra.scheduling.simulator.machine",
    "SimulatedWorkers": "orchestra.scheduling.simulator.workers",
    "SimulatedEngine": "orchestra.scheduling.simulator.engine",
    "Writing": "orchestra.scheduling.simulator.workers",
    "phases": "orchestra.scheduling.order",
    "random_faults": "orchestra.scheduling.simulator.machine",
    "schedule": "orchestra.scheduling.residency",
    "stage_graph": "orchestra.scheduling.order",
}
"""These load networkx or the workers, which takes longer than all the rest: only who plans or
simulates waits for it."""


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module 'orchestra.scheduling' has no attribute {name!r}")
