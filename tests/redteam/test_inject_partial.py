"""Each expert sees its own part of the context, and nothing of the others'."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.evals import Item
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.records import Question, Request
from orchestra.redteam import ATTACKS, Injected, PartialInformation, Scene, plant
from orchestra.redteam.inject import part

if TYPE_CHECKING:
    from tests.conftest import Builder

CONTEXT = "The first part. And the second. Then the third."
QUESTIONS = [
    Question("with", "Which part?", ("one", "two"), context=CONTEXT),
    Question("without", "Which part?", ("one", "two")),
]


@given(st.text(max_size=40), st.integers(1, 9))
def test_parts_make_up_the_whole_and_are_equal(context: str, parts: int) -> None:
    cut = [part(context, place, parts) for place in range(parts)]
    assert "".join(cut) == context
    assert max(map(len, cut)) - min(map(len, cut)) <= 1


def heard(build: Builder, wrap: bool = True, liar: str = "") -> dict[tuple[str, str], Request]:
    """(question, expert) -> what the expert was asked, in a run of three of whom two share."""
    requests: list[Request] = []

    def listen(request: Request) -> str:
        requests.append(request)
        return "The answer is (A)"

    workers: WorkerPool = WorkerPool(dict.fromkeys("abc", listen))
    if wrap:
        workers = PartialInformation(workers, ["a", "b"], questions=QUESTIONS)
    if liar:
        scenes = [Scene(Item(question, "A"), {}) for question in QUESTIONS]
        lies = plant(scenes, ATTACKS["promoter"], liars=[liar], seed=0)
        workers = Injected(workers, lies, form="live")
    roster = build.scripted("a", "b", "c", system=CONTEXT)
    asyncio.run(Pipeline.load("majority", roster=roster, workers=workers).run(QUESTIONS))
    return {(each.question_id, each.expert): each for each in requests}


def test_who_is_shown_what(build: Builder) -> None:
    whole, partly = heard(build, wrap=False), heard(build)
    rest = whole["with", "a"].messages[1].content.removeprefix(CONTEXT)
    half = len(CONTEXT) // 2
    told = {"a": CONTEXT[:half], "b": CONTEXT[half:], "c": CONTEXT}
    for name, own in told.items():
        system, user = partly["with", name].messages
        assert user.content == own + rest
        assert system.content == CONTEXT  # a system prompt is no part of the question
        assert partly["without", name].messages == whole["without", name].messages


def test_a_liar_knows_its_part_only(build: Builder) -> None:
    before, after = heard(build), heard(build, liar="b")
    assert {key: each.messages for key, each in after.items() if key[1] != "b"} == {
        key: each.messages for key, each in before.items() if key[1] != "b"
    }
    honest, lying = before["with", "b"].messages[1], after["with", "b"].messages[1]
    assert lying.content.startswith(honest.content)
    assert "Your result is option B" in lying.content


@pytest.mark.parametrize(("name", "kept"), [("a", False), ("b", False), ("c", True)])
def test_the_identity_tells_the_part(build: Builder, name: str, kept: bool) -> None:
    workers, roster = WorkerPool(), build.scripted("a", "b", "c")
    shares = [["a", "b"], ["b", "a"], ["a", "b", "x"]]
    identities = [
        PartialInformation(workers, share, questions=QUESTIONS).identity(roster[name])
        for share in shares
    ]
    assert len({workers.identity(roster[name]), *identities}) == (1 if kept else 4)
