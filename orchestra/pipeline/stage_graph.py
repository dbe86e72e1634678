"""The stages of a pipeline as a graph: which columns of a batch each reads and writes.

Nodes are occurrences of stages, edges lead from the last stage that wrote a column to the stage
that reads it. Does not run any stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import networkx as nx

from orchestra.components import find, origin
from orchestra.errors import InputError, raise_all

STAGES = ("tag", "route", "generate", "vote", "synthesise")
"""The built-in stages, in the order in which a file without `stages:` runs them."""

_COLUMNS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        "tag": (("questions",), ("briefs",)),
        "route": (("briefs",), ("plans",)),
        "generate": (("questions", "plans"), ("drafts",)),
        "vote": (("plans", "drafts"), ("ballots", "decisions", "trust")),
        "synthesise": (("questions", "drafts", "ballots", "decisions", "trust"), ("decisions",)),
    }
)
"""Built-in stage -> the columns it reads, the columns it writes."""

_GIVEN = "questions"


@dataclass(frozen=True)
class StageSpec:
    """One occurrence of one stage in a pipeline."""

    stage: str
    """A built-in stage, or the name of a component `stage`."""
    name: str
    """The component's name; the stage's own where the stage is a component itself."""
    options: Any
    """What the component's class built of the file's options."""
    occurrence: int = 0
    """How often this stage stands before it."""
    place: str = field(default="", compare=False, repr=False)
    """Where it stands in its file, for messages."""

    @property
    def label(self) -> str:
        """The stage, with its occurrence from the second on: `generate[1]`."""
        return f"{self.stage}[{self.occurrence}]" if self.occurrence else self.stage

    @property
    def kind(self) -> str:
        """The stage under which the registry knows the component."""
        return self.stage if self.stage in STAGES else "stage"

    @property
    def idle(self) -> bool:
        """Whether it changes nothing."""
        return (self.stage, self.name) == ("synthesise", "none")

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns it needs: `reads` of its component, or those of its stage."""
        return tuple(getattr(self.options, "reads", _COLUMNS.get(self.stage, ((), ()))[0]))

    @property
    def writes(self) -> tuple[str, ...]:
        """The columns it fills: `writes` of its component, or those of its stage."""
        return tuple(getattr(self.options, "writes", _COLUMNS.get(self.stage, ((), ()))[1]))

    @cached_property
    def identity(self) -> str:
        """Digest of the component's name, version and options."""
        return find(self.kind, self.name).identity(self.options)

    @property
    def origin(self) -> str:
        """Where the component comes from: `orchestra`, a distribution, or a module."""
        return origin(self.kind, self.name)


def stage_graph(stages: Sequence[StageSpec]) -> Any:
    """A networkx DiGraph: labels as nodes with their `spec`, `columns` on each edge.

    Stages that change nothing are left out. Its lexicographical topological order by `position`
    is the order of `stages`.

    Raises:
        InputError: a stage reads a column that no stage before it writes; all of them at once.
    """
    graph = nx.DiGraph()
    writers: dict[str, str] = {}
    errors: list[InputError] = []
    for position, each in enumerate(stages):
        if each.idle:
            continue
        graph.add_node(each.label, spec=each, position=position)
        for column in each.reads:
            if column in writers:
                _join(graph, writers[column], each.label, column)
            elif column != _GIVEN:
                errors.append(_unwritten(each, column))
        writers.update(dict.fromkeys(each.writes, each.label))
    raise_all(errors)
    return graph


def draw(graph: Any) -> str:
    """A stage graph as text: `tag -> route -> generate -> vote`, or a tree where it branches."""
    order = list(
        nx.lexicographical_topological_sort(graph, key=lambda node: graph.nodes[node]["position"])
    )
    reduced = nx.transitive_reduction(graph)
    if all(reduced.has_edge(*pair) for pair in zip(order, order[1:], strict=False)):
        return " -> ".join(order)
    return "\n".join(nx.generate_network_text(reduced, ascii_only=True))


def _join(graph: Any, writer: str, reader: str, column: str) -> None:
    columns = graph.edges[writer, reader]["columns"] if graph.has_edge(writer, reader) else ()
    graph.add_edge(writer, reader, columns=(*columns, column))


def _unwritten(each: StageSpec, column: str) -> InputError:
    writers = [f"`{stage}`" for stage, (_, writes) in _COLUMNS.items() if column in writes]
    return InputError(
        f"`{each.label}` reads `{column}`, which no stage before it writes",
        place=each.place,
        hint=f"{' or '.join(writers)} writes it: put it before `{each.label}`" if writers else "",
    )
