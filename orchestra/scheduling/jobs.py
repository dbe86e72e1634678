"""The work of a run as load units see it: one job for each engine, stage and layer.

Knows totals only, so that a million requests are as small as one; does not know what
anything costs or what comes before what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Phase(NamedTuple):
    """What is asked together: one round of one layer of a stage."""

    stage: str
    layer: int = 0
    round: int = 0


class Node(NamedTuple):
    """Names one job in the stage graph."""

    unit: str
    stage: str
    layer: int
    round: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """All requests of one load unit in one round of one layer of one stage."""

    unit: str
    stage: str
    """The stage's name, as in a Request."""
    layer: int = 0
    requests: int = 0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    round: int = 0
    """Which round of the stage's dialogues, from 0."""
    phase: int | None = None
    """The stage's position in the pipeline; None: `tag`, then the layers of `generate` and
    `judge`, then `synthesise`. Layers and rounds of one position follow each other."""

    @property
    def node(self) -> Node:
        """Its place in the stage graph."""
        return Node(self.unit, self.stage, self.layer, self.round)

    @property
    def key(self) -> Phase:
        """What it is part of."""
        return Phase(self.stage, self.layer, self.round)


def visits(staged: Sequence[Sequence[Job]]) -> dict[str, tuple[int, ...]]:
    """Load unit -> the phases that it has a job in, ascending."""
    phases: dict[str, list[int]] = {}
    for place, jobs in enumerate(staged):
        for job in jobs:
            phases.setdefault(job.unit, []).append(place)
    return {unit: tuple(places) for unit, places in phases.items()}
