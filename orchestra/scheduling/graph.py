"""The stages of a run as a graph: which engine works when, and what must be finished before.

Knows the order of stages: the keyword stage first, layers one after another, the
synthesis last; does not know what anything costs. A stage runs over the whole batch, so all
of its jobs are finished before the next stage begins.
"""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx

from orchestra.errors import InputError
from orchestra.scheduling.jobs import Job, Node

_STAGES = ("tag", "generate", "judge", "synthesise")


def stage_graph(jobs: Iterable[Job]) -> nx.DiGraph[Node]:
    """A node for each job, an edge from each job of a stage to each of the next.

    Raises:
        InputError: a stage is unknown, or a unit has two jobs in one layer of a stage.
    """
    graph: nx.DiGraph[Node] = nx.DiGraph()
    stages: dict[tuple[int, int, int], list[Job]] = {}
    for job in jobs:
        if job.node in graph:
            raise InputError(f"unit {job.unit!r} has two jobs in `{job.stage}` {job.layer}")
        graph.add_node(job.node, job=job)
        stages.setdefault(_rank(job), []).append(job)
    ranked = [stages[rank] for rank in sorted(stages)]
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


def _rank(job: Job) -> tuple[int, int, int]:
    """Layers are the generate and judge stages again; the synthesis reads the last layer."""
    if job.stage not in _STAGES:
        raise InputError(f"no such stage: {job.stage!r}", hint=f"stages: {', '.join(_STAGES)}")
    if job.stage in ("tag", "synthesise"):
        return (0 if job.stage == "tag" else 2, job.layer, 0)
    return (1, job.layer, _STAGES.index(job.stage))
