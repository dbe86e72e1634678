from __future__ import annotations

import networkx as nx
import pytest

from orchestra.errors import InputError
from orchestra.scheduling import Job, phases, stage_graph


def jobs(*words: str) -> list[Job]:
    """`a:generate1` is a job of `a` in layer 1 of `generate`."""
    found = []
    for word in words:
        unit, _, stage = word.partition(":")
        found.append(
            Job(
                unit,
                stage.rstrip("0123456789"),
                int(stage.lstrip("abcdefghijklmnopqrstuvwxyz") or 0),
            )
        )
    return found


def test_stages_come_in_their_order_whatever_order_they_are_given_in() -> None:
    given = jobs(
        "z:synthesise", "b:generate1", "a:generate", "a:judge", "b:generate", "k:tag", "c:judge1"
    )
    staged = phases(stage_graph(given))
    assert [sorted(f"{job.unit}:{job.stage}{job.layer}" for job in row) for row in staged] == [
        ["k:tag0"],
        ["a:generate0", "b:generate0"],
        ["a:judge0"],
        ["b:generate1"],
        ["c:judge1"],
        ["z:synthesise0"],
    ]


def test_every_job_of_a_stage_waits_for_every_one_before() -> None:
    graph = stage_graph(jobs("a:tag", "b:generate", "c:generate", "a:synthesise"))
    assert nx.is_directed_acyclic_graph(graph)
    assert {(a.unit, b.unit) for a, b in graph.edges} == {
        ("a", "b"), ("a", "c"), ("b", "a"), ("c", "a")
    }  # fmt: skip
    assert phases(stage_graph([])) == []


@pytest.mark.parametrize("wrong", [("a:vote",), ("a:tag", "a:tag")])
def test_what_is_no_graph_of_stages(wrong: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        stage_graph(jobs(*wrong))


def test_a_circle_is_refused() -> None:
    graph = stage_graph(jobs("a:tag", "a:generate"))
    first, second = graph.nodes
    graph.add_edge(second, first)
    with pytest.raises(InputError, match="circle"):
        phases(graph)
