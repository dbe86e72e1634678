"""Plans of tools: ten graphs made by hand, with numbers computed by hand, under both rules."""

from __future__ import annotations

from typing import Any

import pytest

from orchestra.errors import InputError
from orchestra.evals.task_graphs import F1S, Sample, Scores, Tools, graph_of, score

MEDIA = Tools(
    frozenset(("Crop", "Caption", "Speak", "Read Text")),
    {"Crop": "image", "Caption": "text", "Speak": "audio", "Read Text": "text"},
)
PHONE = Tools(frozenset(("get_weather", "send_sms")))


def plan(*nodes: tuple[str, str], links: Any = None) -> dict[str, Any]:
    made = [{"task": tool, "arguments": [value] if value else []} for tool, value in nodes]
    return {"task_nodes": made, **({} if links is None else {"task_links": links})}


def phone(text: str) -> dict[str, Any]:
    nodes = [
        {"task": "get_weather", "arguments": [{"name": "place", "value": "Oslo"}]},
        {"task": "send_sms", "arguments": [{"name": "text", "value": text}]},
    ]
    return {
        "task_nodes": nodes,
        "task_links": [{"source": "get_weather", "target": "send_sms"}],
    }


CHAIN = plan(("Crop", "a.jpg"), ("Caption", "<node-0>"), ("Speak", "<node-1>"))
DAG = plan(("Crop", "a.jpg"), ("Caption", "b.jpg"), ("Speak", "<node-0> <node-1>"))
PAIR = plan(("Crop", "a.jpg"), ("Read Text", "<node-0>"))

# Gold, plan, node, edge, parameter and value F1 with the edit distance: released, then repaired.
GRAPHS: dict[str, tuple[Any, ...]] = {
    "copy": (CHAIN, CHAIN, (1, 1, 1, 1, 0), (1, 1, 1, 1, 0)),
    "missing": (CHAIN, None, (None,) * 5, (0, 0, 0, 0, 1)),
    "no nodes": (CHAIN, plan(), (0, 0, 0, 0, 1), (0, 0, 0, 0, 1)),
    "one tool less": (
        CHAIN,
        plan(("Crop", "a.jpg"), ("Caption", "<node-0>")),
        (4 / 5, 2 / 3, 4 / 5, 4 / 5, 1 / 5),
        (4 / 5, 2 / 3, 4 / 5, 4 / 5, 1 / 5),
    ),
    "a tool that does not exist": (
        CHAIN,
        plan(*((n["task"], n["arguments"][0]) for n in CHAIN["task_nodes"]), ("Paint", "<node-0>")),
        (1, 4 / 5, 6 / 7, 6 / 7, 1 / 7),
        (6 / 7, 4 / 5, 6 / 7, 6 / 7, 1 / 7),
    ),
    "a tool twice": (
        CHAIN,
        plan(("Crop", "a.jpg"), ("Crop", "a.jpg"), ("Caption", "<node-1>"), ("Speak", "<node-2>")),
        (1, 1, 1, 1, 1 / 7),
        (6 / 7, 1, 6 / 7, 6 / 7, 1 / 7),
    ),
    "one of two references": (
        DAG,
        plan(("Crop", "a.jpg"), ("Caption", "b.jpg"), ("Speak", "<node-0>")),
        (1, 1, 1, 1, 0),
        (1, 2 / 3, 6 / 7, 6 / 7, None),
    ),
    "underscore for a space": (
        PAIR,
        plan(("Crop", "a.jpg"), ("Read_Text", "<node-0>")),
        (1, 0, 1, 1, 0),
        (1, 1, 1, 1, 0),
    ),
    "cycle": (
        CHAIN,
        plan(("Crop", "<node-1>"), ("Caption", "<node-0>")),
        (4 / 5, 1 / 2, 2 / 5, 2 / 5, 1 / 5),
        (0, 0, 0, 0, 1),
    ),
    "dangling reference": (
        CHAIN,
        plan(("Crop", "a.jpg"), ("Caption", "<node-7>")),
        (4 / 5, 0, 4 / 5, 2 / 5, 1 / 5),
        (0, 0, 0, 0, 1),
    ),
    "another value": (
        phone("get_weather"),
        phone("hello"),
        (1, 1, 1, 1 / 2, 0),
        (1, 1, 1, 1 / 2, 0),
    ),
}


def numbers(found: Scores) -> list[float | None]:
    ratios = [*(found.f1[name] for name in F1S), found.edit_distance]
    return [None if each is None else each.value for each in ratios]


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("rule", ["released", "repaired"])
def test_hand_made_graphs_score_what_was_computed_by_hand(name: str, rule: str) -> None:
    gold, given, *expected = GRAPHS[name]
    tools = PHONE if gold == phone("get_weather") else MEDIA
    sample = Sample("1", gold, given, "dag" if gold is DAG else "chain")
    found = score([sample], tools, rule=rule)
    wanted = expected[rule == "repaired"]
    assert numbers(found) == [None if each is None else pytest.approx(each) for each in wanted]
    assert found.counted == (0 if wanted[0] is None else 1)


def test_f1_is_pooled_over_requests_and_has_an_interval() -> None:
    less = GRAPHS["one tool less"][1]
    both = [Sample("1", CHAIN, CHAIN, "chain"), Sample("2", CHAIN, less, "chain")]
    node = score(both, MEDIA, rule="repaired").f1["node"]
    assert node is not None
    assert node.value == pytest.approx(10 / 11)
    assert 0 < node.interval.low < node.value < node.interval.high <= 1


@pytest.mark.parametrize(
    ("given", "tools", "says"),
    [
        ({"task_nodes": 3}, MEDIA, "`task_nodes` must be a list"),
        ({"task_nodes": [{"tool": "Crop"}]}, MEDIA, "a tool's name as `task`"),
        ({"task_nodes": [{"task": "Crop", "arguments": "x"}]}, MEDIA, "`arguments` must be a list"),
        (GRAPHS["dangling reference"][1], MEDIA, "node 1 refers to node 7"),
        (GRAPHS["cycle"][1], MEDIA, "nodes wait for each other: "),
        (plan(("Crop", "<node-0>")), MEDIA, "nodes wait for each other: 0"),
        (plan(("get_weather", ""), links=[{"source": "x"}]), PHONE, "a `source` and a `target`"),
        (
            plan(("get_weather", ""), links=[{"source": "get_weather", "target": "send_sms"}]),
            PHONE,
            "names 'send_sms', which is no node",
        ),
    ],
)
def test_unsound_plans_are_refused(given: Any, tools: Tools, says: str) -> None:
    with pytest.raises(InputError, match=says):
        graph_of(given, tools)


def test_links_between_repeated_tools_join_those_that_follow() -> None:
    names = ("get_weather", ""), ("send_sms", ""), ("get_weather", "")
    links = [
        {"source": "get_weather", "target": "send_sms"},
        {"source": "send_sms", "target": "get_weather"},
    ]
    assert set(graph_of(plan(*names, links=links), PHONE).edges) == {(0, 1), (1, 2)}
