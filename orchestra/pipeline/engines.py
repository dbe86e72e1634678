"""Engines on their devices: how each comes, works, sleeps, wakes and exits.

Keeps two accounts by the same rules. `visits` lists what the calls ask of the engines, whether or
not the ledger has their answers: the same list for a run that was killed and resumed. `opened` and
`woken` count what was really done. Does not decide which engine is visited, nor when.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, NamedTuple

from orchestra.roster import Expert
from orchestra.runs import Account
from orchestra.scheduling.costs import CostModel
from orchestra.scheduling.jobs import Phase
from orchestra.scheduling.order import Comes, Leaves
from orchestra.scheduling.passes import Residents
from orchestra.workers.base import Worker, Workers
from orchestra.workers.budgeted import BudgetedWorker, worst_by


@dataclass(slots=True)
class Visit:
    """One engine on one device: how it comes, what it is asked, how it leaves."""

    device: int
    unit: str
    comes: Comes
    leaves: Leaves
    """`exit` until it is known to be otherwise."""
    requests: Mapping[Phase, int] = field(default_factory=dict)
    """(stage, layer, round) -> calls."""


class Load(NamedTuple):
    """One engine that was loaded, or woken from a sleep."""

    unit: str
    experts: tuple[str, ...]
    device: int
    comes: Comes
    phase: Phase
    """What it came for."""
    seconds: float


class Engines:
    """All devices of a machine, and what happens on them.

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
        self.costs = costs
        self.visits: list[Visit] = []
        self.opened = self.woken = 0
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

    def is_engine(self, unit: str) -> bool:
        """Whether something is loaded for a unit; recordings and functions only stand in."""
        return any(self._experts[name].loaded for name in self.costs.experts(unit))

    def count(self, load: Load) -> None:
        """Count a load or a wake, and report it."""
        self.opened += load.comes == "cold"
        self.woken += load.comes != "cold"
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


class Device:
    """The engines of one device.

    Args:
        engines: of all devices.
        number: from 0.
    """

    def __init__(self, engines: Engines, number: int) -> None:
        self._all, self.number = engines, number
        self.lock = asyncio.Lock()
        """Held during a visit: engines of one device work one after another."""
        self.asked = Residents(engines.costs, number)
        """The engines that would be there if nothing were in the ledger."""
        self._there = Residents(engines.costs, number)
        self._last: dict[str, Visit] = {}
        self._workers: dict[str, tuple[Worker, AsyncExitStack]] = {}

    def begin(self, unit: str, requests: Mapping[Phase, int]) -> None:
        """A visit begins."""
        comes, gone = self.asked.come(unit)
        for other in gone:
            self._last[other].leaves = "exit"
        if comes == "stays":
            self._last[unit].leaves = "stays"
        visit = self._last[unit] = Visit(self.number, unit, comes, "exit", requests)
        self._all.visits.append(visit)

    def end(self, unit: str, how: Leaves) -> None:
        """A visit ends."""
        self.asked.leave(unit, how)
        self._last[unit].leaves = how

    async def open(self, unit: str, phase: Phase, *, sleeps: bool) -> Worker:
        """A unit's engine: it is there, wakes, or is loaded, so that it can sleep if it must."""
        comes, gone = self._there.come(unit)
        for other in gone:
            await self._exit(other)
        if comes != "stays":
            since = asyncio.get_running_loop().time()
            if comes == "cold":
                held = AsyncExitStack()
                engine = self._all.open(unit, self.number, sleeps=sleeps)
                self._workers[unit] = await held.enter_async_context(engine), held
            else:
                worker: Any = self._workers[unit][0]
                if hasattr(worker, "wake"):
                    await worker.wake()
            seconds = asyncio.get_running_loop().time() - since
            experts = self._all.costs.experts(unit)
            self._all.count(Load(unit, experts, self.number, comes, phase, seconds))
        return self._workers[unit][0]

    async def leave(self, unit: str, how: Leaves) -> None:
        """Stay, sleep where the engine can, or exit when another comes."""
        if unit not in self._workers:
            return
        worker: Any = self._workers[unit][0]
        if how in ("sleep1", "sleep2"):
            if getattr(worker, "sleeps", hasattr(worker, "sleep")):
                await worker.sleep(1 if how == "sleep1" else 2)
            elif self._all.is_engine(unit):  # stand-ins follow the plan
                how = "exit"
        self._there.leave(unit, how)

    def release(self, unit: str) -> None:
        """A unit that was to stay exits when another comes."""
        self.asked.leave(unit, "exit")
        self._there.leave(unit, "exit")

    async def drop(self, unit: str) -> None:
        """An engine exits at once, if it is there."""
        self.asked.drop(unit)
        self._there.drop(unit)
        await self._exit(unit)

    async def close(self) -> None:
        """All engines exit."""
        for unit in self.asked.units:
            self._last[unit].leaves = "exit"
            self.asked.drop(unit)
        for unit in self._there.units:
            await self.drop(unit)

    async def _exit(self, unit: str) -> None:
        if unit in self._workers:
            await self._workers.pop(unit)[1].aclose()


class Visiting:
    """A visit under way; nothing is loaded before its worker is opened.

    Args:
        device: where.
        unit: what is visited.
        phase: what for.
        sleeps: load it so that it can sleep.
    """

    def __init__(self, device: Device, unit: str, *, phase: Phase, sleeps: bool) -> None:
        self._device, self._unit, self._phase, self._sleeps = device, unit, phase, sleeps
        self.opened = False
        """Whether its worker was opened."""

    @asynccontextmanager
    async def open(
        self, experts: Sequence[Expert], account: Account | None
    ) -> AsyncIterator[Worker]:
        """The engine, awake. One that is left by an exception may be in the middle of something."""
        try:
            worker = await self._device.open(self._unit, self._phase, sleeps=self._sleeps)
            self.opened = True
            yield worker if account is None else BudgetedWorker(worker, account, worst_by(experts))
        except BaseException:
            await self._device.drop(self._unit)
            raise
