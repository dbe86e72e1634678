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
from orchestra.scheduling.forecast import Forecast, Length, Share, forecast
from orchestra.scheduling.jobs import Job
from orchestra.scheduling.longest import longest_first
from orchestra.scheduling.order import FirstCome, Order, Step

if TYPE_CHECKING:
    from orchestra.scheduling.graph import phases, stage_graph
    from orchestra.scheduling.residency import schedule

__all__ = [
    "Arrivals",
    "CostModel",
    "EngineCost",
    "Figure",
    "FirstCome",
    "Forecast",
    "Job",
    "Length",
    "Loads",
    "Machine",
    "Order",
    "Share",
    "Step",
    "Unit",
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
    "schedule",
    "stage_graph",
]

_LATE = {
    "phases": "orchestra.scheduling.graph",
    "schedule": "orchestra.scheduling.residency",
    "stage_graph": "orchestra.scheduling.graph",
}
"""These load networkx, which takes as long as all the rest: only who plans waits for it."""


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module 'orchestra.scheduling' has no attribute {name!r}")
