"""The work of a run as load units see it: one job for each engine, stage and layer.

Knows totals only, so that a million requests are as small as one; does not know what
anything costs or what comes before what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Node(NamedTuple):
    """Names one job in the stage graph."""

    unit: str
    stage: str
    layer: int


@dataclass(frozen=True, slots=True)
class Job:
    """All requests of one load unit in one layer of one stage."""

    unit: str
    stage: str
    """`tag`, `generate`, `judge` or `synthesise`, as in a Request."""
    layer: int = 0
    requests: int = 0
    input_tokens: float = 0.0
    output_tokens: float = 0.0

    @property
    def node(self) -> Node:
        """Its place in the stage graph."""
        return Node(self.unit, self.stage, self.layer)


def visits(staged: Sequence[Sequence[Job]]) -> dict[str, tuple[int, ...]]:
    """Load unit -> the phases that it has a job in, ascending."""
    found: dict[str, list[int]] = {}
    for place, jobs in enumerate(staged):
        for job in jobs:
            found.setdefault(job.unit, []).append(place)
    return {unit: tuple(places) for unit, places in found.items()}
