"""A simulated machine: a clock, the memory of devices and host, faults to inject, and a log.

Engines take the seconds and memory of the planner's own costs. No model is run and no device is
used, so all output is labelled simulated.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Literal

from orchestra.scheduling.costs import CostModel
from orchestra.workers.vllm.engine import Fingerprints

_QUIET = 8
"""Rounds of the loop in which no other task began to wait, until time passes. What one waiter's
return sets off (a gate, a task that ends, who gathers it) needs a round for each link."""


class Clock:
    """Simulated seconds since the beginning."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    async def until(self, second: float) -> None:
        """Wait; equal seconds come in the order in which they were asked for."""
        if second <= self.now:
            return
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # tasks of a loop that is closed wait no more
            self._loop, self._waiting = loop, []
        future = loop.create_future()
        self._numbers += 1
        heapq.heappush(self._waiting, (second, self._numbers, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._tick, loop, 0, self._numbers)
        await future

    def _tick(self, loop: asyncio.AbstractEventLoop, quiet: int, numbers: int) -> None:
        if numbers != self._numbers:
            quiet = 0
        if quiet < _QUIET:
            loop.call_soon(self._tick, loop, quiet + 1, self._numbers)
            return
        second, _, future = heapq.heappop(self._waiting)
        if not future.done():  # cancelled: no task waits, and no time passes
            self.now = second
            future.set_result(None)
        if self._waiting:
            loop.call_soon(self._tick, loop, 0, self._numbers)


FaultKind = Literal["garbage", "slow load", "out of memory", "death"]
"""What may go wrong: spoiled weights after a wake, a load that takes longer, a load that finds
no device memory, a process that dies at work."""
What = Literal[
    "load",
    "wake1",
    "wake2",
    "prefill",
    "decode",
    "sleep1",
    "sleep2",
    "exit",
    "garbage",
    "out of memory",
    "died",
    "given up",
]
"""What an event is; the last four take no time of their own."""

LABEL = "simulated"
"""The label of all simulated output."""
FAULTS: tuple[FaultKind, ...] = ("garbage", "slow load", "out of memory", "death")
"""Every kind of fault."""

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one engine."""

    unit: str
    kind: FaultKind
    on: int = 1
    """At which of its cold loads, wakes (for `garbage`) or batches (for `death`), from 1."""
    times: float = 3.0
    """A slow load takes so many times as long."""
    after: float = 0.5
    """Share of the batch that is answered before the process dies, at least 0 and below 1."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    at: float
    """Simulated second at which it began."""
    device: int
    unit: str
    what: What
    seconds: float
    """Simulated seconds that it took."""
    device_gib: float
    """Memory in use on its device meanwhile."""
    host_gib: float
    """Host memory in use meanwhile, by all engines that sleep or slept."""
    detail: str = ""

    def __str__(self) -> str:
        why = f" ({self.detail})" if self.detail else ""
        where = f"device {self.device}: `{self.unit}`"
        return f"{LABEL} {self.at:10.2f} s  {where} {self.what}, {self.seconds:.2f} s{why}"


@dataclass(frozen=True)
class Log:
    """What happened on a simulated machine, in the order of its beginnings."""

    events: tuple[Event, ...]
    devices: int

    @property
    def seconds(self) -> float:
        """Simulated seconds until the last device was free."""
        return max((event.at + event.seconds for event in self.events), default=0.0)

    @property
    def loads(self) -> int:
        """Engines started from nothing, failed starts not counted."""
        return self.count("load")

    @property
    def wakes(self) -> int:
        """Engines woken from a sleep, whatever they woke as."""
        return self.count("wake1") + self.count("wake2")

    @property
    def peak_gib(self) -> tuple[float, ...]:
        """For each device, most memory in use at once."""
        return tuple(
            max((each.device_gib for each in self.events if each.device == device), default=0.0)
            for device in range(self.devices)
        )

    @property
    def host_gib(self) -> float:
        """Most host memory in use at once."""
        return max((event.host_gib for event in self.events), default=0.0)

    @property
    def faults(self) -> tuple[Event, ...]:
        """What went wrong and was seen."""
        wrong = ("garbage", "out of memory", "died", "given up")
        return tuple(event for event in self.events if event.what in wrong)

    def count(self, what: What) -> int:
        """How many events of a kind there are."""
        return sum(event.what == what for event in self.events)

    def __str__(self) -> str:
        peaks = " and ".join(f"{gib:.0f}" for gib in self.peak_gib)
        return (
            f"{LABEL}: {self.seconds:,.0f} s, {self.loads} loads, {self.wakes} wakes, "
            f"{len(self.faults)} faults; at most {peaks} GiB on devices, "
            f"{self.host_gib:.0f} GiB on the host"
        )


class SimulatedMachine:
    """A simulated machine; engines are put on it by `SimulatedEngine`.

    Args:
        costs: what every load unit takes, and the machine, as the planner sees them.
        faults: what goes wrong.
        fingerprints: what each engine wrote at its first load; a run's own by default.
        report: called with one line when an engine died or is no longer what it was.
    """

    def __init__(
        self,
        costs: CostModel,
        *,
        faults: Iterable[Fault] = (),
        fingerprints: Fingerprints | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.costs = costs
        self.clock = Clock()
        self.fingerprints = fingerprints or Fingerprints()
        self._report = report or (lambda line: None)
        self._faults = {(each.unit, each.kind, each.on): each for each in faults}
        self._chances: Counter[tuple[str, FaultKind]] = Counter()
        self._events: list[Event] = []
        self._free = [0.0] * len(costs.machine.devices)
        self._awake: dict[object, tuple[int, float]] = {}
        self._hosted: dict[object, float] = {}

    @property
    def log(self) -> Log:
        """What has happened so far."""
        events = sorted(self._events, key=lambda event: event.at)
        return Log(tuple(events), len(self._free))

    def room(self, device: int) -> float:
        """GiB that are free on a device; 1 for a device whose memory is not known."""
        held = sum(gib for place, gib in self._awake.values() if place == device)
        return self.costs.room(device) - held

    def take(self, engine: object, device: int, gib: float) -> bool:
        """Take device memory for an engine, in place of what it has, if there is room."""
        had = self._awake.get(engine, (device, 0.0))[1]
        if gib > self.room(device) + had + _SLACK:
            return False
        self._awake[engine] = (device, gib)
        return True

    def take_host(self, engine: object, gib: float) -> bool:
        """Take host memory for an engine, more only than it has, if there is room."""
        if not self.host_fits(engine, gib):
            return False
        self._hosted[engine] = max(gib, self._hosted.get(engine, 0.0))
        return True

    def host_fits(self, engine: object, gib: float) -> bool:
        """Whether the host has room for an engine asleep; one of unknown size has."""
        most = self.costs.machine.host_gib
        more = max(0.0, gib - self._hosted.get(engine, 0.0))
        return most is None or sum(self._hosted.values()) + more <= most + _SLACK

    def give(self, engine: object, *, host: bool) -> None:
        """Give an engine's device memory back, and its host memory if it is gone for good."""
        self._awake.pop(engine, None)
        if host:
            self._hosted.pop(engine, None)

    async def turn(self, device: int, seconds: float) -> None:
        """Wait until a device is free, and have it for so long: engines work one at a time."""
        begin = max(self.clock.now, self._free[device])
        self._free[device] = begin + seconds
        await self.clock.until(begin)

    def fault(self, unit: str, kind: FaultKind) -> Fault | None:
        """What goes wrong at this chance, which is counted."""
        self._chances[unit, kind] += 1
        return self._faults.get((unit, kind, self._chances[unit, kind]))

    def note(
        self,
        device: int,
        unit: str,
        what: What,
        *,
        after: float = 0.0,
        seconds: float = 0.0,
        detail: str = "",
    ) -> None:
        """Write down what begins now, or `after` some seconds."""
        held = self.costs.room(device) - self.room(device)
        known = self.costs.machine.devices[device] is not None
        host, at = sum(self._hosted.values()), self.clock.now + after
        self._events.append(Event(at, device, unit, what, seconds, held * known, host, detail))

    def report(self, unit: str, line: str) -> None:
        """Report one line."""
        self._report(f"{LABEL}: {', '.join(self.costs.experts(unit))}: {line}")


def random_faults(
    units: Iterable[str], *, seed: int, chance: float, within: int = 2
) -> tuple[Fault, ...]:
    """Faults drawn for each unit and kind, the same for the same seed.

    Args:
        units: what may go wrong.
        seed: decides all.
        chance: of a fault at each of the chances, in [0, 1].
        within: how many first chances of a kind each unit has to go wrong.
    """
    faults: list[Fault] = []
    for unit in units:
        for kind in FAULTS:
            draw = Random(f"{seed}:{kind}:{unit}")
            for on in range(1, within + 1):
                hit, times, after = draw.random() < chance, draw.uniform(1.5, 5), draw.random()
                if hit:
                    faults.append(Fault(unit, kind, on, times, after))
    return tuple(faults)
