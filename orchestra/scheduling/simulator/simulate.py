"""Carries out an order on the twin, or serves question by question: what a run would be like.

Knows steps, stages and devices; does not plan, and takes no seconds of the plan for granted:
each engine takes what the twin makes it take, faults included, and stages wait as they must.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestra.scheduling.jobs import Job, Node
from orchestra.scheduling.order import Leaves, Order, Step, phases, stage_graph
from orchestra.scheduling.simulator.engine import TwinEngine
from orchestra.scheduling.simulator.machine import Log, SimulatedMachine


@dataclass(frozen=True)
class Carried:
    """What became of an order. All of it is simulated."""

    log: Log
    answered: Mapping[Node, int]
    """Job -> requests that were answered."""
    failed: Mapping[Node, int]
    """Job -> requests that an engine lost for good; without an entry none."""


async def carry_out(order: Order, twin: SimulatedMachine) -> Carried:
    """Do every step of an order, devices side by side, each stage after the one before."""
    stages = _Stages(step.job for step in order.steps)
    engines = {step.job.unit: TwinEngine(twin, step.job.unit, step.device) for step in order.steps}
    work = _Work(twin, engines, stages)
    await asyncio.gather(*(work.device(steps) for steps in _by_device(order.steps)))
    return Carried(twin.log, work.answered, work.failed)


async def serve(jobs: Iterable[Job], twin: SimulatedMachine, homes: Mapping[str, int]) -> Log:
    """Serve jobs in turn, as they come in: the latest used engines stay, the others make room.

    No device waits for another. Whoever makes room sleeps at level 1 where that leaves the host
    room for all asleep at level 2, else at level 2, else exits. All exit in the end.

    Args:
        jobs: one for each call, or each run of calls to one engine; their stages do not matter.
        twin: the machine.
        homes: load unit -> its device, as an order has it.
    """
    queues: dict[int, list[Job]] = {}
    for job in jobs:
        queues.setdefault(homes[job.unit], []).append(job)
    await asyncio.gather(*(_in_turn(queues[device], twin, device) for device in sorted(queues)))
    return twin.log


class _Stages:
    """Which jobs wait for which: all of a stage for all of the one before."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        staged = phases(stage_graph(jobs))
        self._phase = {job.node: place for place, row in enumerate(staged) for job in row}
        self._left = [len(row) for row in staged]
        self._open = [asyncio.Event() for _ in staged]
        for event in self._open[:1]:
            event.set()

    async def opened(self, node: Node) -> None:
        """Wait until a job may be done."""
        await self._open[self._phase[node]].wait()

    def done(self, node: Node) -> None:
        """A job is done."""
        phase = self._phase[node]
        self._left[phase] -= 1
        if not self._left[phase] and phase + 1 < len(self._open):
            self._open[phase + 1].set()


class _Work:
    """Does the steps of all devices."""

    def __init__(
        self, twin: SimulatedMachine, engines: Mapping[str, TwinEngine], stages: _Stages
    ) -> None:
        self._twin, self._engines, self._stages = twin, engines, stages
        self.answered: dict[Node, int] = {}
        self.failed: dict[Node, int] = {}

    async def device(self, steps: Sequence[Step]) -> None:
        """One step after another."""
        for step in steps:
            job, engine = step.job, self._engines[step.job.unit]
            await engine.come()
            await self._stages.opened(job.node)
            done = await engine.work(job.requests, job.input_tokens, job.output_tokens)
            self.answered[job.node] = done.answered
            if done.lost:
                self.failed[job.node] = job.requests - done.answered
            self._stages.done(job.node)
            await engine.leave(step.leaves)


def _by_device(steps: Iterable[Step]) -> list[list[Step]]:
    found: dict[int, list[Step]] = {}
    for step in steps:
        found.setdefault(step.device, []).append(step)
    return [found[device] for device in sorted(found)]


async def _in_turn(jobs: Sequence[Job], twin: SimulatedMachine, device: int) -> None:
    """One device's jobs; the first of `known` was used longest ago."""
    known: dict[str, TwinEngine] = {}
    for job in jobs:
        engine = known.pop(job.unit, None) or TwinEngine(twin, job.unit, device)
        if not engine.awake:
            await _make_room(twin, job.unit, device, known)
        known[job.unit] = engine
        await engine.come()
        await engine.work(job.requests, job.input_tokens, job.output_tokens)
    for engine in known.values():
        await engine.leave("exit")


async def _make_room(
    twin: SimulatedMachine, unit: str, device: int, known: Mapping[str, TwinEngine]
) -> None:
    # Copies on the host are not to drive out the processes that are asleep at level 2.
    spare = sum(cost.host2_gib for cost in twin.costs.units.values())
    for other in known.values():
        if twin.costs.size(unit, device) <= twin.room(device) + 1e-9:
            return
        if other.awake:
            await other.leave(_cheapest(other, spare))


def _cheapest(engine: TwinEngine, spare: float) -> Leaves:
    if engine.may_sleep(1, spare=spare):
        return "sleep1"
    return "sleep2" if engine.may_sleep(2) else "exit"
