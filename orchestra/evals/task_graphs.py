"""Plans of tool calls against gold plans: node, edge and parameter F1, edit distance of chains.

Two rules: `released` is `taskbench/evaluate.py` of microsoft/JARVIS at c62e0fa (Shen et al.,
TaskBench, arXiv:2311.18760) with what it does to plans that are missing or name tools that do not
exist; `repaired` counts those. Knows no benchmark and nothing of how a plan was asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import networkx as nx

from orchestra.errors import InputError, shown
from orchestra.evals.statistics import Interval, clustered_interval

_REFERENCE = re.compile(r"<node-(\d{1,6})>")
_MEDIA = {
    "image": ("jpg", "png", "jpeg", "gif", "bmp", "tiff", "svg", "ico"),
    "audio": ("mp3", "wav", "wma", "ogg", "aac", "flac", "aiff", "au"),
    "video": ("mp4", "avi", "mov", "flv", "wmv", "mkv", "webm", "m4v", "mpg", "mpeg"),
}
RULES = ("released", "repaired")
"""The names of the two rules."""
F1S = ("node", "edge", "parameter", "value")
"""What F1 is counted for: tools, links, names of a tool's parameters, these with their values."""

RawPlan = Mapping[str, Any]
"""A plan as it is written: `task_nodes` of `task` and `arguments`, and `task_links`."""


@dataclass(frozen=True)
class Tools:
    """The tools that a plan may name."""

    names: frozenset[str]
    outputs: Mapping[str, str] | None = None
    """Tool -> type of its output, where links follow from arguments such as `<node-0>`; None:
    plans give their links themselves, by the names of the tools."""


@dataclass(frozen=True)
class Sample:
    """One request: its gold plan, and the plan that was given for it."""

    name: str
    gold: RawPlan
    plan: RawPlan | None
    """None: no plan was found in the reply, or there was none."""
    type: str = ""
    """`single`, `chain` or `dag`."""


@dataclass(frozen=True)
class Ratio:
    """An F1 or a mean with its 95 % interval over requests."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Scores:
    """What plans reach under one rule; None where there is nothing to count."""

    n: int
    """Requests."""
    counted: int
    """Requests in the denominators: under `released` those with a plan that it can read."""
    f1: Mapping[str, Ratio | None]
    """By the names of `F1S`: micro F1 over all counted requests, in [0, 1]."""
    edit_distance: Ratio | None
    """1 - ratio of the tools in their order, in [0, 1]; `repaired`: of chains alone."""


def graph_of(plan: RawPlan, tools: Tools) -> nx.DiGraph[int]:
    """A plan's nodes by their number, each with its `tool`, and the links between them.

    A link between tools that stand several times in a plan joins the first with the first one
    behind it.

    Raises:
        InputError: the plan has another form, refers to nodes that it does not have, or has a
            cycle.
    """
    graph = _graph(plan, tools)
    try:
        cycle = nx.find_cycle(graph)
    except nx.NetworkXNoCycle:
        return graph
    raise InputError("nodes wait for each other: " + " -> ".join(str(a) for a, *_ in cycle))


def _graph(plan: RawPlan, tools: Tools) -> nx.DiGraph[int]:
    nodes = _nodes(plan)
    names = [_spaced(node["task"]) for node in nodes]
    graph: nx.DiGraph[int] = nx.DiGraph()
    for at, name in enumerate(names):
        graph.add_node(at, tool=name)
    if tools.outputs is None:
        for source, target in _links(plan):
            for each in (source, target):
                if _spaced(each) not in names:
                    raise InputError(f"a link names {each!r}, which is no node of the plan")
            graph.add_edge(*_joined(names, _spaced(source), _spaced(target)))
        return graph
    for at, node in enumerate(nodes):
        for number in _references(node):
            if number >= len(nodes):
                says = f"node {at} refers to node {number}, and there are {len(nodes)} nodes"
                raise InputError(says, hint="nodes are counted from 0")
            graph.add_edge(number, at)
    return graph


def score(samples: Sequence[Sample], tools: Tools, *, rule: str) -> Scores:
    """What the plans reach under a rule of `RULES`.

    F1 is 2 TP / (2 TP + FP + FN), pooled over requests; its interval takes each request as one
    cluster. `released`: a plan that is missing or unreadable leaves the denominators, a tool that
    does not exist counts nowhere, each thing counts once in a request, and the edit distance is
    over plans of every type. `repaired`: a missing plan, or one that `graph_of` refuses, has
    found nothing; tools that do not exist are wrong; things count as often as they are there.
    """
    take, ids = (_released, _known(tools)) if rule == "released" else (_repaired, _spaced)
    counts: dict[str, dict[Hashable, tuple[int, int]]] = {name: {} for name in F1S}
    distances: list[float] = []
    counted = 0
    for sample in samples:
        both = take(sample, tools)
        if both is None:
            continue
        counted += 1
        gold, plan = both
        for name, (right, there) in zip(F1S, zip(gold, plan, strict=True), strict=True):
            counts[name][sample.name] = _agreed(right, there)
        if rule == "released" or sample.type == "chain":
            orders = [_order(each, ids) for each in (sample.gold, sample.plan)]
            distances.append(1 - _alike(*orders) if any(plan) or rule == "released" else 1.0)
    return Scores(
        len(samples),
        counted,
        {name: _f1(found) for name, found in counts.items()},
        _mean(distances),
    )


# What a plan holds, as far as it has the form


def _nodes(plan: RawPlan) -> list[Mapping[str, Any]]:
    nodes = plan.get("task_nodes")
    if not isinstance(nodes, list):
        raise InputError(f"`task_nodes` must be a list of nodes, not {shown(nodes)}")
    for node in nodes:
        if not isinstance(node, Mapping) or not isinstance(node.get("task"), str):
            raise InputError(f"a node must have a tool's name as `task`: {shown(node)}")
        if not isinstance(node.get("arguments", []), list):
            raise InputError(f"`arguments` must be a list, not {shown(node['arguments'])}")
    return nodes


def _links(plan: RawPlan) -> list[tuple[str, str]]:
    links = plan.get("task_links", [])
    if not isinstance(links, list):
        raise InputError(f"`task_links` must be a list, not {shown(links)}")
    found = []
    for link in links:
        ends = [link.get(end) for end in ("source", "target")] if isinstance(link, Mapping) else []
        if len(ends) != 2 or not all(isinstance(end, str) for end in ends):
            raise InputError(f"a link must have a `source` and a `target`: {shown(link)}")
        found.append((str(ends[0]), str(ends[1])))
    return found


def _value(argument: object) -> str:
    """An argument without names as text, as the released script takes one."""
    if isinstance(argument, Mapping):
        argument = next(iter(argument.values()), "")
    if isinstance(argument, list):
        argument = " ".join(map(str, argument))
    return argument if isinstance(argument, str) else str(argument)


def _references(node: Mapping[str, Any]) -> list[int]:
    values = map(_value, node.get("arguments", []))
    return [int(number) for value in values for number in _REFERENCE.findall(value)]


def _joined(names: Sequence[str], source: str, target: str) -> tuple[int, int]:
    starts = [at for at, name in enumerate(names) if name == source]
    ends = [at for at, name in enumerate(names) if name == target]
    behind = [(start, end) for start in starts for end in ends if start < end]
    return behind[0] if behind else (starts[0], ends[0])


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _media(value: str) -> str:
    """The kind of media that a file's name in a text stands for; `text` without one."""
    for kind, endings in _MEDIA.items():
        if any(f".{ending}" in value for ending in endings):
            return kind
    return "text"


# Things that are counted: tools, links, parameters, parameters with values

_Things = tuple[list[Hashable], list[Hashable], list[Hashable], list[Hashable]]


def _released(sample: Sample, tools: Tools) -> tuple[_Things, _Things] | None:
    """Each thing once; None where the released script leaves the request out."""
    if sample.plan is None:
        return None
    try:
        gold = _as_released(sample.gold, tools, ())
        plan = _as_released(sample.plan, tools, gold[-1])
    except (InputError, KeyError, TypeError):
        return None
    spaced = tools.outputs is not None
    known = {_spaced(name) if spaced else name for name in tools.names}
    return _once(gold, known), _once(plan, known)


def _once(things: _Things, known: Set[str]) -> _Things:
    """The same without what is there again, and without tools that do not exist."""
    tools, *others = (list(dict.fromkeys(each)) for each in things)
    links, parameters, values = others
    return [each for each in tools if each in known], links, parameters, values


def _as_released(raw: RawPlan, tools: Tools, earlier: Sequence[Hashable]) -> _Things:
    """The script's reading: what cannot be read is taken for the argument before it.

    `earlier` are the gold plan's arguments, which stand before the first one of a plan.
    """
    nodes = _nodes(raw)
    links: list[Hashable] = []
    given: list[tuple[Hashable, ...]] = []
    if tools.outputs is None:
        names = [node["task"] for node in nodes]
        links += _links(raw)
        for name, node in zip(names, nodes, strict=True):
            for each in node.get("arguments", []):
                given.append((name, each["name"], str(each["value"])))
        return [*names], links, [each[:2] for each in given], [*given]
    names = [_spaced(node["task"]) for node in nodes]
    before = earlier[-1][1:] if earlier and isinstance(earlier[-1], tuple) else ()
    for at, node in enumerate(nodes):
        for argument in map(_value, node.get("arguments", [])):
            found = _REFERENCE.search(argument)
            source = int(found[1]) if found else -1
            if source == at:
                continue
            if found is None:
                before = (_media(argument.strip("'")), argument)
            elif source < len(names):
                # The source is spelt with spaces, the target as it stands.
                links.append((names[source], node["task"]))
                before = (tools.outputs.get(names[source], "other"), names[source])
            if not before:  # here the script takes what another request left behind
                raise InputError("the first argument cannot be read")
            given.append((names[at], *before))
    return [*names], links, [each[:2] for each in given], [*given]


def _repaired(sample: Sample, tools: Tools) -> tuple[_Things, _Things] | None:
    """As many of each thing as there are; nothing of a plan that is missing or unsound.

    None where the gold plan is none: that says nothing of the plan.
    """
    plan: _Things = ([], [], [], [])
    try:
        gold = _as_repaired(sample.gold, _graph(sample.gold, tools), tools)
    except InputError:
        return None
    if sample.plan is not None:
        with suppress(InputError):
            plan = _as_repaired(sample.plan, graph_of(sample.plan, tools), tools)
    return gold, plan


def _as_repaired(raw: RawPlan, graph: nx.DiGraph[int], tools: Tools) -> _Things:
    names = [graph.nodes[at]["tool"] for at in graph]
    links = [(names[a], names[b]) for a, b in graph.edges if a != b]
    given: list[tuple[str, str, str]] = []
    for at, node in enumerate(_nodes(raw)):
        for argument in node.get("arguments", []):
            given += [(names[at], *each) for each in _parameters(argument, names, tools)]
    return [*names], [*links], [each[:2] for each in given], [*given]


def _parameters(argument: object, names: Sequence[str], tools: Tools) -> Iterable[tuple[str, str]]:
    """The parameters of an argument as (name, value), one for each node that it refers to."""
    if tools.outputs is None:
        if not isinstance(argument, Mapping):
            return [("", _value(argument))]
        return [(str(argument.get("name", "")), str(argument.get("value", "")))]
    value = _value(argument)
    sources = [int(each) for each in _REFERENCE.findall(value)]
    return [(tools.outputs.get(names[at], "other"), names[at]) for at in sources] or [
        (_media(value), value)
    ]


# Numbers


def _agreed(gold: Sequence[Hashable], plan: Sequence[Hashable]) -> tuple[int, int]:
    """2 TP and FP + FN of two multisets."""
    both = (Counter(gold) & Counter(plan)).total()
    return 2 * both, len(gold) + len(plan) - 2 * both


def _f1(counts: Mapping[Hashable, tuple[int, int]]) -> Ratio | None:
    values: list[float] = []
    clusters: list[Hashable] = []
    for name, (right, wrong) in counts.items():
        values += [1.0] * right + [0.0] * wrong
        clusters += [name] * (right + wrong)
    if not values:
        return None
    return Ratio(sum(values) / len(values), clustered_interval(values, clusters))


def _mean(values: Sequence[float]) -> Ratio | None:
    if not values:
        return None
    return Ratio(sum(values) / len(values), clustered_interval(values, range(len(values))))


def _known(tools: Tools) -> Callable[[str], Hashable]:
    """The tool, 0 for all that do not exist: to the released script they are one tool."""
    spaced = tools.outputs is not None
    return lambda name: each if (each := _spaced(name) if spaced else name) in tools.names else 0


def _order(raw: RawPlan | None, spell: Callable[[str], Hashable]) -> list[Hashable]:
    try:
        return [] if raw is None else [spell(node["task"]) for node in _nodes(raw)]
    except InputError:
        return []


def _alike(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """Levenshtein's ratio, 2 L / (|a| + |b|) with L the longest common subsequence; 1 for none."""
    row = [0] * (len(b) + 1)
    for left in a:
        new = [0]
        for at, right in enumerate(b):
            new.append(row[at] + 1 if left == right else max(row[at + 1], new[-1]))
        row = new
    return 2 * row[-1] / (len(a) + len(b)) if a or b else 1.0
