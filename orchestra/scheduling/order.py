"""A residency order: what comes onto which device when, works, and how it leaves.

Knows jobs, costs and what was chosen for each engine; makes no choice but the order of
engines within a phase, where those that are resident already begin and those that will
stay come last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import networkx as nx

from orchestra.errors import InputError
from orchestra.scheduling.costs import CostModel, EngineCost
from orchestra.scheduling.jobs import Job, Node, visits
from orchestra.scheduling.residency_search import Stay

Comes = Literal["cold", "wake1", "wake2", "stays"]
"""How an engine comes: a fresh process, awake from a sleep, or it is there already."""
Leaves = Literal["exit", "sleep1", "sleep2", "stays"]
"""How an engine leaves: for good, asleep at a level, or not yet."""

_COMES: tuple[Comes, ...] = ("cold", "wake1", "wake2")
_LEAVES: tuple[Leaves, ...] = ("exit", "sleep1", "sleep2")


@dataclass(frozen=True, slots=True)
class Step:
    """One engine on one device: it comes, works and leaves."""

    device: int
    """From 0."""
    job: Job
    comes: Comes
    leaves: Leaves
    start: float
    """Seconds from the beginning until it comes."""
    coming: float
    """Seconds that it takes to come."""
    waiting: float
    """Seconds for which its device waited before, for others to finish the stage before: an
    engine comes when there is work for it, which is not known sooner."""
    working: float
    """Seconds of reading and writing."""
    leaving: float
    """Seconds that it takes to leave."""

    @property
    def worked(self) -> float:
        """When its work is done."""
        return self.start + self.coming + self.working

    @property
    def end(self) -> float:
        """When its device is free for the next."""
        return self.worked + self.leaving


@dataclass(frozen=True, slots=True)
class FirstCome:
    """What serving question by question takes on the same machine, at the same costs."""

    loads: int
    """Times that an engine comes, the latest used staying where they fit."""
    seconds: float
    """Until the busiest device is done, none waiting for another, each engine on the device that
    it has in the order and leaving as is cheapest. Batched as well: this flatters it."""


@dataclass(frozen=True)
class Order:
    """Who is resident when, and what that takes."""

    steps: tuple[Step, ...]
    """As they start; on one device one after another."""
    seconds: float
    """Until the last device is free."""
    lower_bound: float
    """No order on this machine takes less."""
    exact: bool
    """Whether this order is proven to be the best."""
    timed: bool
    """Whether seconds mean anything: every engine's times are measured or extrapolated."""
    peak_gib: tuple[float, ...]
    """For each device, most memory in use; 0 where memories are not known."""
    host_gib: float
    """Host memory that sleeping engines take."""
    experts: Mapping[str, tuple[str, ...]]
    """Load unit -> the experts that it holds."""
    first_come: FirstCome | None = None
    """None: the order of the questions is not known."""

    @property
    def loads(self) -> int:
        """Engines started from nothing."""
        return sum(step.comes == "cold" for step in self.steps)

    @property
    def wakes(self) -> int:
        """Engines woken from a sleep."""
        return sum(step.comes in ("wake1", "wake2") for step in self.steps)

    @property
    def fewest_loads(self) -> int:
        """Distinct load units: each must come once."""
        return len({step.job.unit for step in self.steps})

    @property
    def gap(self) -> float:
        """How much longer than the lower bound it takes at most, as a share of the bound."""
        return self.seconds / self.lower_bound - 1 if self.lower_bound else 0.0


def arrange(
    staged: Sequence[Sequence[Job]],
    devices: Mapping[str, int],
    stays: Mapping[str, Stay],
    costs: CostModel,
) -> tuple[Step, ...]:
    """The steps of all devices, each phase begun when the one before is done everywhere.

    Args:
        staged: jobs, phase by phase.
        devices: load unit -> its device.
        stays: load unit -> how it spends the time between its visits.
        costs: of every unit.
    """
    places = visits(staged)
    clocks = [0.0] * len(costs.machine.devices)
    steps: list[Step] = []
    opened = 0.0
    for phase, jobs in enumerate(staged):
        done = opened
        for job, number in _lined_up(jobs, phase, places, stays):
            device = devices[job.unit]
            cost = costs.units[job.unit]
            comes, coming = _coming(cost, stays[job.unit], number)
            leaves, leaving = _leaving(cost, stays[job.unit], number)
            start = max(clocks[device], opened)
            waiting = start - clocks[device]
            working = cost.work(job.input_tokens, job.output_tokens)
            step = Step(device, job, comes, leaves, start, coming, waiting, working, leaving)
            steps.append(step)
            clocks[device] = step.end
            done = max(done, step.worked)
        opened = done
    return tuple(sorted(steps, key=lambda step: step.start))


def peaks(steps: Sequence[Step], costs: CostModel) -> tuple[float, ...]:
    """For each device, most memory in use at once."""
    awake: dict[tuple[int, str], float] = {}
    most = [0.0] * len(costs.machine.devices)
    for step in steps:
        awake[step.device, step.job.unit] = costs.units[step.job.unit].device_gib or 0.0
        held = sum(gib for (device, _), gib in awake.items() if device == step.device)
        most[step.device] = max(most[step.device], held)
        if step.leaves != "stays":
            del awake[step.device, step.job.unit]
    return tuple(most)


def _lined_up(
    jobs: Sequence[Job],
    phase: int,
    places: Mapping[str, tuple[int, ...]],
    stays: Mapping[str, Stay],
) -> list[tuple[Job, int]]:
    """Jobs with the number of each one's visit: those that are there, come and go, will stay."""
    rows: list[tuple[int, int, Job, int]] = []
    for index, job in enumerate(jobs):
        number = places[job.unit].index(phase)
        gaps = stays[job.unit].stays
        there = number > 0 and gaps[number - 1]
        will_stay = number < len(gaps) and gaps[number]
        rows.append((0 if there else 2 if will_stay else 1, index, job, number))
    return [(job, number) for _, _, job, number in sorted(rows, key=lambda each: each[:2])]


def _coming(cost: EngineCost, stay: Stay, number: int) -> tuple[Comes, float]:
    if number == 0:
        return "cold", cost.cold
    if stay.stays[number - 1]:
        return "stays", 0.0
    seconds = (cost.cold, cost.wake1, cost.wake2)[stay.level]
    assert seconds is not None
    return _COMES[stay.level], seconds


def _leaving(cost: EngineCost, stay: Stay, number: int) -> tuple[Leaves, float]:
    if number == len(stay.stays):
        return "exit", cost.exit
    if stay.stays[number]:
        return "stays", 0.0
    if stay.level == 1 and not all(stay.stays[:number]):
        return "sleep1", 0.0  # its host copy is kept from the first time
    seconds = (cost.exit, cost.sleep1, cost.sleep2)[stay.level]
    assert seconds is not None
    return _LEAVES[stay.level], seconds


_STAGES = ("tag", "generate", "judge", "synthesise")
"""The order of stages where jobs do not give their positions."""


def stage_graph(jobs: Iterable[Job]) -> nx.DiGraph[Node]:
    """A node for each job, an edge from each job of a phase to each of the next.

    Raises:
        InputError: a stage without a position is unknown, some jobs have a position and others
            none, or a unit has two jobs in one round of one layer of a stage.
    """
    graph: nx.DiGraph[Node] = nx.DiGraph()
    ranks: dict[tuple[int, ...], list[Job]] = {}
    for job in jobs:
        if job.node in graph:
            place = f"`{job.stage}` {job.layer}" + (f" round {job.round}" if job.round else "")
            raise InputError(f"unit {job.unit!r} has two jobs in {place}")
        graph.add_node(job.node, job=job)
        ranks.setdefault(_rank(job), []).append(job)
    if len({job.phase is None for row in ranks.values() for job in row}) > 1:
        raise InputError("some jobs have a phase and others have none")
    ranked = [ranks[rank] for rank in sorted(ranks)]
    for before, after in zip(ranked, ranked[1:], strict=False):
        graph.add_edges_from((a.node, b.node) for a in before for b in after)
    return graph


def phases(graph: nx.DiGraph[Node]) -> list[list[Job]]:
    """Jobs that may run side by side, phase after phase.

    Raises:
        InputError: jobs wait for each other in a circle.
    """
    try:
        generations = list(nx.topological_generations(graph))
    except nx.NetworkXUnfeasible:
        raise InputError("jobs wait for each other in a circle") from None
    return [[graph.nodes[node]["job"] for node in generation] for generation in generations]


def _rank(job: Job) -> tuple[int, ...]:
    """Without positions, layers are the generate and judge stages again."""
    if job.phase is not None:
        return (job.phase, job.layer, job.round)
    if job.stage not in _STAGES:
        raise InputError(f"no such stage: {job.stage!r}", hint=f"stages: {', '.join(_STAGES)}")
    if job.stage in ("tag", "synthesise"):
        return (0 if job.stage == "tag" else 2, job.layer, 0, job.round)
    return (1, job.layer, _STAGES.index(job.stage), job.round)
