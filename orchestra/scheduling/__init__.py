"""Plans -> an order of loads, with its price beside a naive order and the lower bound. Pure."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from orchestra.scheduling.arrivals import Arrivals
from orchestra.scheduling.batches import Loads, first_come_loads, next_expert, possible_turns
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
from orchestra.scheduling.enough import Limit, compare
from orchestra.scheduling.forecast import Forecast, forecast
from orchestra.scheduling.jobs import Job
from orchestra.scheduling.longest import longest_first
from orchestra.scheduling.order import FirstCome, Order, Step
from orchestra.scheduling.shares import Asked, Length, Share, share_of

if TYPE_CHECKING:
    from orchestra.scheduling.graph import phases, stage_graph
    from orchestra.scheduling.residency import schedule
    from orchestra.scheduling.simulate import Carried, carry_out, serve
    from orchestra.scheduling.twin import Event, Fault, Log, Twin, random_faults
    from orchestra.scheduling.twin_engine import TwinEngine
    from orchestra.scheduling.twin_workers import TwinWorkers, Writing

__all__ = [
    "Arrivals",
    "Asked",
    "Carried",
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
    "Share",
    "Step",
    "Twin",
    "TwinEngine",
    "TwinWorkers",
    "Unit",
    "Writing",
    "carry_out",
    "compare",
    "engine",
    "estimate",
    "figures",
    "first_come_loads",
    "forecast",
    "load_units",
    "longest_first",
    "next_expert",
    "phases",
    "possible_turns",
    "random_faults",
    "schedule",
    "serve",
    "share_of",
    "stage_graph",
]

_LATE = {
    "Carried": "orchestra.scheduling.simulate",
    "Event": "orchestra.scheduling.twin",
    "Fault": "orchestra.scheduling.twin",
    "Log": "orchestra.scheduling.twin",
    "Twin": "orchestra.scheduling.twin",
    "TwinEngine": "orchestra.scheduling.twin_engine",
    "TwinWorkers": "orchestra.scheduling.twin_workers",
    "Writing": "orchestra.scheduling.twin_workers",
    "carry_out": "orchestra.scheduling.simulate",
    "phases": "orchestra.scheduling.graph",
    "random_faults": "orchestra.scheduling.twin",
    "schedule": "orchestra.scheduling.residency",
    "serve": "orchestra.scheduling.simulate",
    "stage_graph": "orchestra.scheduling.graph",
}
"""These load networkx or the workers, which takes longer than all the rest: only who plans or
simulates waits for it."""


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module 'orchestra.scheduling' has no attribute {name!r}")
