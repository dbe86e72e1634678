"""One question, asked by a person: its kind, its drafts as they come, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestra.errors import InputError, WorkerError
from orchestra.evals import Asked, AskedDraft, ask, asked_question, profile_experts
from orchestra.pipeline import History, Pipeline, WorkerPool
from orchestra.records import Brief, Plan, Question, Request
from orchestra.workers.scripted import Script
from tests.conftest import Builder


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"question": "Explain how TLS works."}, "open"),
        ({"question": "What is the capital of France?"}, "open"),
        ({"question": "请解释量子纠缠。"}, "open"),
        ({"question": "Write a limerick about 7 cats"}, "open"),
        ({"question": "Who?", "context": "Ann came. Bob went."}, "open"),
        ({"question": "How many days has a leap year?"}, "number"),
        ({"question": "Which is prime?", "options": ["9", "11"]}, "choice"),
        ({"question": "What is it?", "kind": "text"}, "text"),
        ({"question": "How many are there, and why?", "kind": "open"}, "open"),
        ({"question": "Write it.", "kind": "code"}, "code"),
        ({"question": "What does f(1) return?", "kind": "literal"}, "literal"),
    ],
)
def test_the_kind_of_answer(row: dict[str, Any], kind: str) -> None:
    assert asked_question(row).kind == kind


@pytest.mark.parametrize("row", [{"question": " "}, {"question": "Which?", "kind": "choice"}])
def test_what_is_no_question(row: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        asked_question(row)


def told(
    build: Builder, scripts: dict[str, Script], question: Question, *overrides: str
) -> tuple[Asked, list[str]]:
    """What comes of a question, and what was told on the way."""
    pipeline = Pipeline.load(
        "majority",
        roster=build.scripted(*scripts),
        workers=WorkerPool(scripts),
        overrides=overrides,
    )
    events: list[str] = []

    def planned(brief: Brief, plan: Plan) -> None:
        events.append("plan " + " ".join(seat.expert for seat in plan.seats))

    def drafted(draft: AskedDraft) -> None:
        events.append(f"{draft.seat.expert}: {draft.text or draft.failure}")

    return asyncio.run(ask(pipeline, question, planned=planned, drafted=drafted)), events


def says(text: str) -> Callable[[Request], str]:
    return lambda request: text


OPEN = asked_question({"question": "Why?"})


def test_the_plan_comes_first_and_then_each_draft(build: Builder) -> None:
    scripts: dict[str, Script] = {"a": says("<think>hm</think>One."), "b": says("Two.\n\nThree.")}
    asked, events = told(build, scripts, OPEN)
    assert events[0] == "plan a b"
    assert sorted(events[1:]) == ["a: One.", "b: Two.\n\nThree."]
    assert [draft.text for draft in asked.drafts] == ["One.", "Two.\n\nThree."]
    assert asked.decision.text in ("One.", "Two.\n\nThree.")
    assert asked.decision.confidence is None


def test_later_layers_and_aggregators_are_no_drafts(build: Builder) -> None:
    def merges(request: Request) -> str:
        return "All in all." if request.stage == "synthesise" else f"Layer {request.layer}."

    scripts: dict[str, Script] = {"a": merges, "b": merges}
    asked, events = told(build, scripts, OPEN, "synthesise={moa: {aggregator: a, layers: 2}}")
    assert events == ["plan a b", "a: Layer 0.", "b: Layer 0."]
    assert asked.decision.text == "All in all."
    assert asked.usage.calls == 2 + 2 + 1


def test_failures(build: Builder) -> None:
    def breaks(request: Request) -> str:
        raise ConnectionError("gone")

    scripts: dict[str, Script] = {"a": breaks, "b": says("Here.")}
    asked, _ = told(build, scripts, OPEN)
    assert asked.decision.text == "Here."
    assert asked.drafts[0].failure is not None
    with pytest.raises(WorkerError, match=r"every call failed:\n  expert `a`"):
        told(build, {"a": breaks, "b": breaks}, OPEN)


@pytest.mark.slow
def test_liars_of_earlier_processes_have_no_vote(build: Builder, tmp_path: Path) -> None:
    """Six honest experts and two that turn after the profile."""
    items = build.items(130)
    by_id = {item.question.id: item for item in items}
    lying = [False]

    def turned(name: str) -> Script:
        def script(request: Request) -> str:
            item = by_id[request.question_id]
            if not lying[0]:
                return build.said(item, name, 0.75)
            return f"The answer is ({'A' if item.gold != 'A' else 'B'})."

        return script

    honest = {f"e{i}": 0.75 for i in range(6)}
    scripts = {**build.scripts(items, honest), "x": turned("x"), "y": turned("y")}
    roster, workers = build.scripted(*scripts), WorkerPool(scripts)
    table = asyncio.run(profile_experts(roster, items[:80], workers=workers))
    lying[0] = True

    pipeline = Pipeline.load(
        "robust", roster=roster, table=table, workers=workers, overrides=["route=all"]
    )
    batch = asyncio.run(pipeline.run([item.question for item in items[80:129]]))
    path, identities = tmp_path / "trust.json", pipeline.identities
    for poll in batch.votes:  # as if each had been asked by a process of its own
        History(identities, path).add(poll)

    def suspects(history: History) -> set[str]:
        asked = asyncio.run(ask(pipeline, items[129].question, history=history))
        return {each.expert for each in asked.trust.suspects}

    assert suspects(History(identities, path)) == {"x", "y"}
    assert suspects(History()) == set()
