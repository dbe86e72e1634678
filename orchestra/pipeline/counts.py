"""What calls took: the one place where calls, usage, failures and loads are added up.

Sums do not depend on the order in which calls end, so the same run has the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestra.records import Usage
from orchestra.scheduling import Loads

NO_LOADS = Loads(0, 0, 0)
"""Nothing was loaded."""


@dataclass(frozen=True)
class StageCounts:
    """What the calls of one stage took, replayed calls included."""

    calls: int = 0
    failures: int = 0
    """Calls that failed, other than for lack of a recording."""
    usage: Mapping[str, Usage] = field(default_factory=lambda: MappingProxyType({}))
    """Expert -> what all its calls cost; sorted by name."""


@dataclass(frozen=True)
class Counts:
    """What the calls of several stages took."""

    stages: Mapping[str, StageCounts] = field(default_factory=lambda: MappingProxyType({}))
    """Stage -> its counts, in the order in which stages made their first call."""
    loads: Loads = NO_LOADS
    """Loads of engines, beside those of first-come order and the fewest there can be."""

    def of(self, stage: str) -> StageCounts:
        """The counts of a stage; zeros where it made no call."""
        return self.stages.get(stage, StageCounts())

    @property
    def calls(self) -> int:
        """Calls of all stages."""
        return sum(each.calls for each in self.stages.values())

    @property
    def usage(self) -> Usage:
        """What all calls cost."""
        return total(each for stage in self.stages.values() for each in stage.usage.values())


def total(parts: Iterable[Usage]) -> Usage:
    """The sum of usages, the same in whatever order they come."""
    bill = _Bill()
    for part in parts:
        bill.add(part)
    return bill.total()


class Counter:
    """Adds up calls while they end."""

    def __init__(self) -> None:
        self._stages: dict[str, _Stage] = {}

    def add(self, stage: str, expert: str, usage: Usage, *, failed: bool) -> None:
        """Count one call."""
        counted = self._stages.get(stage)
        if counted is None:
            counted = self._stages[stage] = _Stage()
        counted.calls += 1
        counted.failures += failed
        bill = counted.bills.get(expert)
        if bill is None:
            bill = counted.bills[expert] = _Bill()
        bill.add(usage)

    def counts(self, loads: Loads = NO_LOADS) -> Counts:
        """Everything so far."""
        return Counts(
            {name: stage.counts() for name, stage in self._stages.items()},
            loads,
        )


class _Stage:
    def __init__(self) -> None:
        self.calls = 0
        self.failures = 0
        self.bills: dict[str, _Bill] = {}

    def counts(self) -> StageCounts:
        usage = {name: self.bills[name].total() for name in sorted(self.bills)}
        return StageCounts(self.calls, self.failures, usage)


class _Bill:
    """A sum of usages that does not depend on their order."""

    def __init__(self) -> None:
        self._counts = [0, 0, 0, 0, 0]
        self._estimated = False
        self._seconds: list[float] = []
        self._money: list[float] = []

    def add(self, usage: Usage) -> None:
        counts = self._counts
        counts[0] += usage.calls
        counts[1] += usage.input_tokens
        counts[2] += usage.output_tokens
        counts[3] += usage.reasoning_tokens
        counts[4] += usage.cached_tokens
        # A call that failed has no tokens that could be estimates.
        self._estimated |= usage.estimated and usage.input_tokens + usage.output_tokens > 0
        if usage.seconds:
            self._seconds.append(usage.seconds)
        if usage.money:
            self._money.append(usage.money)

    def total(self) -> Usage:
        calls, read, written, reasoning, cached = self._counts
        return Usage(
            calls,
            read,
            written,
            reasoning,
            cached,
            self._estimated,
            math.fsum(self._seconds),
            math.fsum(self._money),
        )
