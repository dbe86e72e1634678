"""Carries an order's jobs out on a simulated machine, by the executor that runs use.

Knows jobs and phases; each phase waits for the one before. All of it is simulated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from orchestra import scheduling
from orchestra.pipeline.engines import Visit
from orchestra.pipeline.executor import Executor, OpenWorker
from orchestra.roster import Expert
from orchestra.scheduling.costs import CostModel
from orchestra.scheduling.jobs import Job, Node
from orchestra.scheduling.order import Order, phases, stage_graph
from orchestra.scheduling.simulator.machine import Log, SimulatedMachine
from orchestra.scheduling.simulator.workers import SimulatedWorker, SimulatedWorkers


@dataclass(frozen=True)
class Rehearsed:
    """What became of some jobs. All of it is simulated."""

    visits: tuple[Visit, ...]
    """As the executor of a run lists them."""
    log: Log
    answered: Mapping[Node, int]
    """Job -> requests that were answered."""
    failed: Mapping[Node, int]
    """Job -> requests that an engine lost for good; without an entry none."""


async def rehearse_order(
    jobs: Iterable[Job],
    costs: CostModel,
    *,
    order: Order | None = None,
    machine: SimulatedMachine | None = None,
) -> Rehearsed:
    """Do all jobs, phase by phase.

    Args:
        jobs: of all stages.
        costs: of every unit, and the machine.
        order: what was planned for them; None: it is planned here.
        machine: a simulated machine of these costs; by default one without faults.
    """
    known = list(jobs)
    planned = order or scheduling.schedule(known, costs)
    machine = machine or SimulatedMachine(costs)
    names = [name for unit in costs.units for name in costs.experts(unit)]
    roster = [Expert(name, name, worker="scripted") for name in names]
    work = _Work(known, costs)
    async with Executor(
        SimulatedWorkers(machine), roster, machine=costs, order=planned
    ) as executor:
        await executor.drain(work, work)
    return Rehearsed(tuple(executor.visits), machine.log, work.answered, work.failed)


@dataclass(frozen=True, slots=True)
class _Call:
    """A whole job as one call of its unit's first expert."""

    job: Job
    expert: str
    stage: str
    layer: int
    round: int
    requests: int


@dataclass
class _Work:
    """The jobs that wait, and what asks them."""

    jobs: Sequence[Job]
    costs: CostModel
    answered: dict[Node, int] = field(default_factory=dict)
    failed: dict[Node, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._phases = phases(stage_graph(self.jobs))
        self._waiting: dict[str, list[_Call]] = {}
        self._open = 0
        self._begin()

    def _begin(self) -> None:
        """Let the next phase wait, if the one before is done."""
        if self._open or not self._phases:
            return
        for job in self._phases.pop(0):
            name = self.costs.experts(job.unit)[0]
            call = _Call(job, name, job.stage, job.layer, job.round, job.requests)
            self._waiting.setdefault(name, []).append(call)
            self._open += 1

    def waiting(self) -> Mapping[str, int]:
        return {name: len(calls) for name, calls in self._waiting.items()}

    def take(self, expert: str) -> list[_Call]:
        return self._waiting.pop(expert)

    async def __call__(
        self, calls: Sequence[_Call], experts: Sequence[Expert], open_worker: OpenWorker
    ) -> None:
        async with open_worker() as opened:
            worker = cast("SimulatedWorker", opened)
            for call in calls:
                job = call.job
                done = await worker.work(job.requests, job.input_tokens, job.output_tokens)
                self.answered[job.node] = done.answered
                if done.lost:
                    self.failed[job.node] = job.requests - done.answered
                self._open -= 1
        self._begin()
