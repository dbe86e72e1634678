"""Engines on their devices: how each comes, works, sleeps, wakes and exits.

Knows what has room, which engines are loaded, and every visit so far; it is the one place where
engines are loaded and where loads are counted. Does not decide who is visited, nor when.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Literal, NamedTuple

from orchestra.roster import Expert
from orchestra.runs import Account
from orchestra.scheduling.costs import CostModel
from orchestra.scheduling.jobs import Phase
from orchestra.scheduling.order import Comes, Leaves
from orchestra.workers.base import Worker, Workers
from orchestra.workers.budgeted import BudgetedWorker, worst_by

_SLACK = 1e-9


@dataclass(slots=True)
class Visit:
    """One engine on one device: how it came, what it was asked, how it left."""

    device: int
    unit: str
    comes: Comes
    leaves: Leaves
    """`exit` until it is known to be otherwise."""
    requests: dict[Phase, int] = field(default_factory=dict)
    """(stage, layer, round) -> calls."""


class Load(NamedTuple):
    """One coming of an engine: a load, or a wake from a sleep."""

    unit: str
    experts: tuple[str, ...]
    device: int
    comes: Comes
    phase: Phase
    """What it came for first."""
    seconds: float


class Engines:
    """All devices of a machine, and what happened on them.

    Args:
        workers: opens the engines.
        experts: expert -> its entry in the roster.
        costs: what units take of which room.
        loaded: called with every load and wake.
    """

    def __init__(
        self,
        workers: Workers,
        experts: Mapping[str, Expert],
        *,
        costs: CostModel,
        loaded: Callable[[Load], None],
    ) -> None:
        self.costs, self.visits, self.loads, self.wakes = costs, list[Visit](), 0, 0
        self._experts, self._loaded = experts, loaded
        self._open: Callable[..., AbstractAsyncContextManager[Worker]] = workers.open
        self._options = _options(self._open)
        self.devices = [Device(self, i) for i in range(len(costs.machine.devices))]

    def open(self, unit: str, device: int, *, sleeps: bool) -> AbstractAsyncContextManager[Worker]:
        """An engine that is not yet loaded, for all experts of a unit."""
        options: dict[str, Any] = {"sleeps": True} if sleeps else {}
        if len(self.devices) > 1:
            options["device"] = device
        given = {name: value for name, value in options.items() if name in self._options}
        return self._open(*(self._experts[name] for name in self.costs.experts(unit)), **given)

    def record(self, device: int, unit: str, comes: Comes) -> Visit:
        """A visit that begins."""
        visit = Visit(device, unit, comes, "exit")
        self.visits.append(visit)
        return visit

    def count(self, load: Load) -> None:
        """Count a load or a wake, and report it."""
        self.loads += load.comes == "cold"
        self.wakes += load.comes != "cold"
        self._loaded(load)

    async def close(self) -> None:
        """All engines exit."""
        await asyncio.gather(*(device.close() for device in self.devices))


def _options(opens: Callable[..., object]) -> frozenset[str]:
    """The options of `Workers.open` beyond the protocol's that these workers know."""
    parameters = signature(opens).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return frozenset({"device", "sleeps"})
    return frozenset(parameters)


@dataclass(slots=True)
class _Engine:
    """A loaded engine, awake or asleep."""

    worker: Worker
    held: AsyncExitStack
    gib: float
    visit: Visit
    """The latest, whose end may still be open."""
    level: Literal[0, 1, 2] = 0
    """How deep it sleeps; 0: it is awake."""
    leaving: bool = False
    """Whether it exits as soon as another comes."""


class Device:
    """The engines of one device, the latest used last."""

    def __init__(self, engines: Engines, number: int) -> None:
        self._all, self.number = engines, number
        self.lock = asyncio.Lock()
        """Held during a visit: engines of one device work one after another."""
        self.engines: dict[str, _Engine] = {}

    @property
    def awake(self) -> list[str]:
        """Units that are ready."""
        return [unit for unit, engine in self.engines.items() if not engine.level]

    async def come(self, unit: str, phase: Phase, *, sleeps: bool) -> _Engine:
        """A unit's engine, awake: it is there, wakes, or is loaded so that it can sleep."""
        engine = self.engines.pop(unit, None)
        if engine is not None:
            self.engines[unit] = engine  # the latest used from now on
            if not engine.level:
                if engine.leaving:
                    engine.visit.leaves = "stays"
                engine.leaving = False
                engine.visit = self._all.record(self.number, unit, "stays")
                return engine
        await self._make_room(unit)
        since = asyncio.get_running_loop().time()
        comes: Comes = "cold"
        if engine is None:
            engine = await self._load(unit, sleeps)
        else:
            comes = "wake1" if engine.level == 1 else "wake2"
            await engine.worker.wake()  # type: ignore[attr-defined]
            engine.level = 0
            engine.visit = self._all.record(self.number, unit, comes)
        seconds = asyncio.get_running_loop().time() - since
        experts = self._all.costs.experts(unit)
        self._all.count(Load(unit, experts, self.number, comes, phase, seconds))
        return engine

    async def leave(self, unit: str, how: Leaves) -> None:
        """Stay, sleep where the engine can, or exit when another comes."""
        engine = self.engines.get(unit)
        if engine is None:
            return
        worker = engine.worker
        if how == "stays":
            engine.visit.leaves = how
        elif how in ("sleep1", "sleep2") and getattr(worker, "sleeps", hasattr(worker, "sleep")):
            engine.level = 1 if how == "sleep1" else 2
            engine.visit.leaves = how
            await worker.sleep(engine.level)  # type: ignore[attr-defined]
        else:
            engine.leaving = True

    async def drop(self, unit: str) -> None:
        """An engine exits, if it is there."""
        engine = self.engines.pop(unit, None)
        if engine is not None:
            engine.visit.leaves = "exit"
            await engine.held.aclose()

    async def close(self) -> None:
        """All engines exit."""
        for unit in list(self.engines):
            await self.drop(unit)

    async def _load(self, unit: str, sleeps: bool) -> _Engine:
        held = AsyncExitStack()
        worker = await held.enter_async_context(self._all.open(unit, self.number, sleeps=sleeps))
        gib = self._all.costs.size(unit, self.number)
        engine = _Engine(worker, held, gib, self._all.record(self.number, unit, "cold"))
        self.engines[unit] = engine
        return engine

    async def _make_room(self, unit: str) -> None:
        """Those that are to leave do, and of the others the least lately used as far as needed."""
        for other in [name for name, engine in self.engines.items() if engine.leaving]:
            await self.drop(other)
        room = self._all.costs.room(self.number) + _SLACK
        size = self._all.costs.size(unit, self.number)
        awake = [name for name in self.awake if name != unit]
        while awake and sum(self.engines[name].gib for name in awake) + size > room:
            await self.drop(awake.pop(0))


class Residency:
    """Loads of the way that decided: those of a run with an empty ledger.

    A visit whose calls are all in the ledger opens nothing, but counts here, so that a run that
    was killed and resumed reports the loads of one that was not.
    """

    def __init__(self, costs: CostModel) -> None:
        self._costs, self.loads = costs, 0
        self._there: list[dict[str, Leaves]] = [{} for _ in costs.machine.devices]

    def visit(self, device: int, unit: str, leaves: Leaves) -> None:
        """A unit is visited and leaves so."""
        there = self._there[device]
        before = there.pop(unit, None)
        if before is None or before.startswith("sleep"):
            self.loads += before is None
            for other in [name for name, how in there.items() if how == "exit"]:
                del there[other]
            self._make_room(device, unit)
        there[unit] = leaves

    def _make_room(self, device: int, unit: str) -> None:
        there = self._there[device]
        awake = [name for name, how in there.items() if not how.startswith("sleep")]
        room = self._costs.room(device) + _SLACK - self._costs.size(unit, device)
        while awake and sum(self._costs.size(name, device) for name in awake) > room:
            del there[awake.pop(0)]


class Visiting:
    """A visit under way; nothing is loaded before it is asked for.

    Args:
        device: where.
        unit: what is visited.
        requests: the calls, by phase; at least one entry.
        sleeps: load it so that it can sleep.
        leaves: how it leaves.
    """

    def __init__(
        self,
        device: Device,
        unit: str,
        *,
        requests: Mapping[Phase, int],
        sleeps: bool,
        leaves: Leaves,
    ) -> None:
        self._device, self._unit, self._requests = device, unit, dict(requests)
        self._sleeps, self._leaves = sleeps, leaves
        self._opened = False

    @asynccontextmanager
    async def open(
        self, experts: Sequence[Expert], account: Account | None
    ) -> AsyncIterator[Worker]:
        """The engine, awake. One that is left by an exception may be in the middle of something."""
        try:
            if not self._opened:
                engine = await self._device.come(
                    self._unit, next(iter(self._requests)), sleeps=self._sleeps
                )
                engine.visit.requests |= self._requests
                self._opened = True
            worker = self._device.engines[self._unit].worker
            yield worker if account is None else BudgetedWorker(worker, account, worst_by(experts))
        except BaseException:
            await self._device.drop(self._unit)
            raise

    async def end(self) -> None:
        """Leave as is planned, where it came."""
        if self._opened:
            await self._device.leave(self._unit, self._leaves)
