"""First-come order: how often each engine comes if questions are served one after another.

Knows who is called for and what has room; does not plan. The latest used stay resident,
all devices taken as one with all their memory, which flatters this order.
"""

from __future__ import annotations

from collections import Counter

from orchestra.scheduling.costs import CostModel

_SLACK = 1e-9


class Arrivals:
    """Counts the comings of a stream of calls.

    Args:
        costs: which experts share an engine, and what the machine has room for.
    """

    def __init__(self, costs: CostModel) -> None:
        devices = range(len(costs.machine.devices))
        self.costs = costs
        self.comings: Counter[str] = Counter()
        self._units = dict(costs.homes)
        self._room = sum(costs.room(device) for device in devices)
        self._sizes = {
            unit: min(costs.size(unit, device) for device in devices) for unit in costs.units
        }
        self._held = 0.0
        self._resident: dict[str, None] = {}
        self._last = ""

    def call(self, expert: str) -> None:
        """One call to an expert, after all before it."""
        unit = self._units.get(expert, expert)
        if unit == self._last:
            return
        self._last = unit
        if unit in self._resident:
            del self._resident[unit]  # put in again below, as the latest used
        else:
            self._make_room(self._sizes[unit])
            self.comings[unit] += 1
        self._resident[unit] = None

    def _make_room(self, size: float) -> None:
        while self._resident and self._held + size > self._room + _SLACK:
            oldest = next(iter(self._resident))
            del self._resident[oldest]
            self._held -= self._sizes[oldest]
        self._held += size
