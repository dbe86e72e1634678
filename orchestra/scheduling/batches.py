"""First-come order, with which a plan is compared, and the order of requests within a batch.

In first-come order questions are served one after another and the latest used engines stay; all
devices are taken as one with all their memory, which flatters this order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestra.records import Request
from orchestra.scheduling.costs import CostModel

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Loads:
    """How often models were loaded, beside what a naive order and the best one would need."""

    loads: int
    """Loads of this schedule."""
    first_come: int
    """Loads if each question were served in turn, its seats in their order, one model at a time."""
    lower_bound: int
    """Distinct experts: no order takes fewer loads on one slot."""


def first_come_loads(asked: Iterable[Sequence[str]]) -> int:
    """Loads when questions are served one after another on one slot.

    Args:
        asked: for each question, its experts in the order they were called.
    """
    loads, resident = 0, None
    for experts in asked:
        for expert in experts:
            loads += expert != resident
            resident = expert
    return loads


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


def longest_first(
    requests: Sequence[Request], lengths: Mapping[str, float] | None = None
) -> list[Request]:
    """The requests of one load by expected output length, longest first.

    Args:
        requests: of one load; equal lengths keep their order.
        lengths: request key -> expected output tokens, where known. Others are expected to write
            in proportion to their prompt, at the rate of those that are known, and none more
            than `max_tokens`.
    """
    known = lengths or {}
    rate = _rate(requests, known)

    def expected(request: Request) -> float:
        length = known.get(request.key)
        guess = _letters(request) * rate if length is None else length
        # A prompt's letters are no tokens: without any known length they only rank.
        return min(guess, request.sampling.max_tokens) if known else guess

    return sorted(requests, key=expected, reverse=True)


def _rate(requests: Sequence[Request], lengths: Mapping[str, float]) -> float:
    """Output tokens for each letter of a prompt."""
    given = [request for request in requests if request.key in lengths]
    letters = sum(_letters(request) for request in given)
    return sum(lengths[request.key] for request in given) / letters if letters else 1.0


def _letters(request: Request) -> int:
    return sum(len(message.content) for message in request.messages)
