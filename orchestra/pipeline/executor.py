"""Makes the calls that wait: hosted experts side by side, engines in passes over the devices.

The order of engines is that of `scheduling`. Questions, prompts, answers and the ledger are the
caller's business, call by call.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Protocol, Self

from orchestra.errors import BudgetExhausted, OrchestraError
from orchestra.pipeline.engines import Engines, Load, Visit, Visiting
from orchestra.roster import Expert, Roster
from orchestra.runs import Account
from orchestra.scheduling.costs import CostModel, Machine
from orchestra.scheduling.jobs import Phase
from orchestra.scheduling.order import Order
from orchestra.scheduling.passes import Pass, Passes
from orchestra.workers.base import Worker, Workers


class Pending(Protocol):
    """One call that waits; one with a number `requests` stands for so many."""

    @property
    def expert(self) -> str:
        """Who is asked."""

    @property
    def stage(self) -> str:
        """The stage that asks."""

    @property
    def layer(self) -> int:
        """Its layer."""

    @property
    def round(self) -> int:
        """Which round of its dialogues."""


class Queue(Protocol):
    """The calls that wait."""

    def waiting(self) -> Mapping[str, int]:
        """Expert -> number of calls that wait for it, at least 1."""

    def take(self, expert: str) -> list[Any]:
        """All calls (`Pending`) that wait for an expert; they wait no more."""


OpenWorker = Callable[[], AbstractAsyncContextManager[Worker]]
"""Enters the worker of the experts of a visit; an engine is loaded then, and only then."""


class Ask(Protocol):
    """Makes calls: looks them up, generates what is unknown, and settles each."""

    async def __call__(
        self, calls: Sequence[Any], experts: Sequence[Expert], open_worker: OpenWorker
    ) -> None:
        """Settle every call; new calls may wait in the queue before it returns.

        Args:
            calls: what was taken from the queue.
            experts: those of the calls, all served by one worker.
            open_worker: the worker; not to be entered where every call has its answer already.
        """


class Executor:
    """An async context manager; leaving it unloads all engines. One may serve a whole process.

    Args:
        workers: opens the experts.
        roster: the experts.
        machine: what engines are loaded on, by default one device for one engine at a time; or
            a cost model, where the roster does not say what engines take.
        order: the forecast's order, which is carried out as far as calls are those foreseen.
        account: pays for all calls; None: nobody counts.
        alike: expert -> equal for experts that are alike but in name, which follow each other so
            that the ledger answers for the second.
        loaded: called with every load and wake.
    """

    def __init__(
        self,
        workers: Workers,
        roster: Roster | Sequence[Expert],
        *,
        machine: Machine | CostModel | None = None,
        order: Order | None = None,
        account: Account | None = None,
        alike: Callable[[str], object] = lambda name: name,
        loaded: Callable[[Load], None] | None = None,
    ) -> None:
        self.experts = {expert.name: expert for expert in roster}
        here = [expert for expert in roster if not expert.hosted]
        self.costs = (
            machine
            if isinstance(machine, CostModel)
            else CostModel.of(here, machine, load_key=workers.unit)
        )
        self.account, self.alike = account, alike
        self._workers = workers
        self._passes = Passes(self.costs, order=order)
        self._engines = Engines(
            workers, self.experts, costs=self.costs, loaded=loaded or (lambda load: None)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._engines.close()

    @property
    def visits(self) -> list[Visit]:
        """Every visit that calls asked for, whether or not the ledger had their answers."""
        return self._engines.visits

    @property
    def loads(self) -> int:
        """Loads that the visits need."""
        return sum(visit.comes == "cold" for visit in self.visits)

    @property
    def wakes(self) -> int:
        """Wakes that the visits need."""
        return sum(visit.comes.startswith("wake") for visit in self.visits)

    @property
    def opened(self) -> int:
        """Engines that were loaded."""
        return self._engines.opened

    @property
    def woken(self) -> int:
        """Engines that were woken from a sleep."""
        return self._engines.woken

    def unit(self, expert: Expert) -> str:
        """What is loaded for it."""
        return self.costs.unit(expert.name)

    async def drain(self, queue: Queue, ask: Ask, *, account: Account | None = None) -> None:
        """Make all calls that wait, and those that come to wait meanwhile.

        Raises:
            BudgetExhausted: the budget ended. Hosted calls under way have been paid for and
                settled, engines have given up; where a bug came up meanwhile, that is raised.
        """
        await _Drain(self, queue, ask, account or self.account).run()

    def follow(self, order: Order) -> None:
        """From now on carry out this order, as far as calls are those foreseen."""
        self._passes.follow(order)

    def plan(self, waiting: Mapping[str, Mapping[Phase, int]]) -> Pass:
        """The next pass; engines that it leaves out and that need not stay may leave."""
        devices = self._engines.devices
        awake = {unit: device for device in devices for unit in device.asked.awake}
        planned = self._passes.next(waiting, awake)
        for unit, device in awake.items():
            if unit not in waiting and planned.leaves.get(unit, "stays") != "stays":
                device.release(unit)
        return planned

    @asynccontextmanager
    async def visit(
        self, unit: str, requests: Mapping[Phase, int], planned: Pass
    ) -> AsyncIterator[Visiting]:
        """A visit of a unit, alone on its device, which ends as the pass has it."""
        device = self._engines.devices[self._passes.home(unit)]
        leaves = planned.leaves.get(unit, "exit")
        async with device.lock:
            device.begin(unit, requests)
            sleeps, phase = self._passes.sleeps(unit), next(iter(requests))
            visit = Visiting(device, unit, phase=phase, sleeps=sleeps)
            yield visit
            device.end(unit, leaves)
            if visit.opened:
                await device.leave(unit, leaves)

    def hosted(self, expert: Expert, account: Account | None) -> OpenWorker:
        """Opens the worker of an expert that is held elsewhere."""
        return lambda: self._workers.open(expert, account=account)


class _Drain:
    """Makes the calls of one queue."""

    def __init__(self, executor: Executor, queue: Queue, ask: Ask, account: Account | None) -> None:
        self._executor, self._queue, self._ask, self._account = executor, queue, ask, account
        self._tasks = _Tasks()
        self._taken: dict[str, list[Any]] = {}
        """Unit -> calls for engines that were taken and not yet asked."""
        self._absorbs = False
        """Whether units that are still to be visited take calls that come up meanwhile. Where more
        than one task is at work, these would depend on which is quicker."""

    async def run(self) -> None:
        try:
            while True:
                self._begin_hosted()
                if not self._tasks.engines:
                    self._begin_pass()
                if not self._tasks:
                    break
                await self._tasks.one()
        finally:
            await self._tasks.end()

    def _begin_hosted(self) -> None:
        """Every hosted expert by itself, but for those that are alike with one at work."""
        busy = {self._executor.alike(name) for name in self._tasks.hosted}
        for name in list(self._queue.waiting()):
            expert, alike = self._executor.experts[name], self._executor.alike(name)
            if expert.hosted and alike not in busy:
                busy.add(alike)
                self._absorbs = False
                opener = self._executor.hosted(expert, self._account)
                calls = self._queue.take(name)
                self._tasks.begin(self._ask(calls, [expert], opener), hosted=name)

    def _begin_pass(self) -> None:
        """What waits now, on every device that has something to do."""
        self._take(self._queue.waiting())
        if not self._taken:
            return
        waiting = {unit: _counted(calls) for unit, calls in self._taken.items()}
        planned = self._executor.plan(waiting)
        phases = {phase for counts in waiting.values() for phase in counts}
        self._absorbs = len(planned.lines) == 1 and not self._tasks.hosted
        for line in planned.lines:
            if not waiting.keys().isdisjoint(line):
                self._tasks.begin(self._pass(line, planned, phases))

    def _order(self, line: Sequence[str], planned: Pass) -> Iterator[str]:
        """The units of a line; where nothing was foreseen and calls may still come, those for
        which fewest may come first, so that the others can take them in one visit."""
        late = getattr(self._queue, "late", None)
        if planned.foreseen or late is None:
            yield from line
            return
        left = list(line)
        while left:
            experts = self._executor.costs.experts
            waiting = self._queue.waiting()
            there = [
                unit
                for unit in left
                if unit in self._taken or any(name in waiting for name in experts(unit))
            ]
            if not there:
                return
            coming = late()
            unit = min(there, key=lambda unit: sum(coming.get(n, 0) for n in experts(unit)))
            left.remove(unit)
            yield unit

    async def _pass(self, line: Sequence[str], planned: Pass, phases: set[Phase]) -> None:
        """Visit the units of one device once each."""
        for unit in self._order(line, planned) if self._absorbs else line:
            if self._absorbs:
                names = self._executor.costs.experts(unit)
                known = self._queue.waiting()
                self._take([name for name in names if name in known])
            calls = self._taken.pop(unit, [])
            later = [call for call in calls if _phase(call) not in phases]
            if later:
                self._taken[unit] = later
                calls = [call for call in calls if _phase(call) in phases]
            if calls:
                async with self._executor.visit(unit, _counted(calls), planned) as visit:
                    await self._asked(calls, visit)
                self._tasks.notify()

    async def _asked(self, calls: Sequence[Any], visit: Visiting) -> None:
        for part in self._parts(calls):
            experts = [self._executor.experts[name] for name in part]
            together = [call for row in part.values() for call in row]
            await self._ask(together, experts, _opener(visit, experts, self._account))

    def _parts(self, calls: Sequence[Any]) -> list[dict[str, list[Any]]]:
        """Calls by expert; of experts that are alike, each in a part of its own."""
        rows: dict[str, list[Any]] = {}
        for call in calls:
            rows.setdefault(call.expert, []).append(call)
        before: Counter[object] = Counter()
        parts: list[dict[str, list[Any]]] = []
        for name, row in rows.items():
            alike = self._executor.alike(name)
            place = before[alike]
            before[alike] += 1
            if place == len(parts):
                parts.append({})
            parts[place][name] = row
        return parts

    def _take(self, names: Iterable[str]) -> None:
        for name in list(names):
            expert = self._executor.experts[name]
            if not expert.hosted:
                calls = self._queue.take(name)
                self._taken.setdefault(self._executor.unit(expert), []).extend(calls)


def _phase(call: Pending) -> Phase:
    return Phase(call.stage, call.layer, call.round)


def _counted(calls: Iterable[Any]) -> dict[Phase, int]:
    counts: dict[Phase, int] = {}
    for call in calls:
        phase = _phase(call)
        counts[phase] = counts.get(phase, 0) + getattr(call, "requests", 1)
    return counts


def _opener(visit: Visiting, experts: Sequence[Expert], account: Account | None) -> OpenWorker:
    return lambda: visit.open(experts, account)


class _Tasks:
    """The tasks under way: hosted experts and devices."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], str] = {}
        """Task -> the hosted expert that it asks; empty for a device."""
        self._news = asyncio.Event()
        self._exhausted = False

    def __bool__(self) -> bool:
        return bool(self._tasks)

    @property
    def hosted(self) -> list[str]:
        """Hosted experts at work."""
        return [name for name in self._tasks.values() if name]

    @property
    def engines(self) -> bool:
        """Whether a device is at work."""
        return "" in self._tasks.values()

    def begin(self, work: Coroutine[Any, Any, None], *, hosted: str = "") -> None:
        """Start a task."""
        self._tasks[asyncio.create_task(work)] = hosted

    def notify(self) -> None:
        """New calls may wait."""
        self._news.set()

    async def one(self) -> None:
        """Wait until a task is done, or new calls may wait. Raises what went wrong."""
        self._news.clear()
        news = asyncio.create_task(self._news.wait())
        try:
            await asyncio.wait({*self._tasks, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        done = [task for task in self._tasks if task.done()]
        for task in done:
            del self._tasks[task]
        errors = [error for task in done if (error := task.exception()) is not None]
        for error in sorted(errors, key=lambda each: isinstance(each, BudgetExhausted)):
            self._exhausted = isinstance(error, BudgetExhausted)
            raise error

    async def end(self) -> None:
        """Cancel what is still at work.

        Where the budget is exhausted, hosted calls under way are paid for: they are awaited, and
        no more are begun since no budget is left. Raises what a bug raised meanwhile.
        """
        for task, hosted in self._tasks.items():
            if not self._exhausted or not hosted:
                task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for error in ended if self._exhausted else ():
            if isinstance(error, Exception) and not isinstance(error, OrchestraError):
                raise error
