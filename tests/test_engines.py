"""The embedded roster under real vLLM, end to end, beside the local worker."""

from __future__ import annotations

import asyncio
import importlib.util
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from orchestra.embedded import TAGGER, Split, embedded_roster, questions
from orchestra.evals import Item, profile_experts
from orchestra.evals.profile import measure
from orchestra.pipeline import Batch, Pipeline, WorkerPool
from orchestra.records import Decision, Outcome
from orchestra.roster import Expert, Roster, WorkerName
from orchestra.runs import Account
from orchestra.workers import Worker

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]


class Counted(WorkerPool):
    """Writes down which experts are loaded together."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[list[str]] = []

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Worker]:
        self.opened.append([each.name for each in (expert, *others)])
        return super().open(expert, *others, account=account, **options)


def run(worker: WorkerName, profile: tuple[Item, ...], test: tuple[Item, ...]) -> Batch:
    """Profile, recruit, generate and vote with one kind of worker for everybody."""
    shipped = embedded_roster()
    experts = shipped.subset([*shipped.recruits, "labeller"])
    roster = Roster(tuple(replace(expert, worker=worker) for expert in experts))

    async def whole() -> Batch:
        table = await profile_experts(roster, profile, tagger=TAGGER)
        pipeline = Pipeline.load("orchestra", roster=roster, table=table)
        return await pipeline.run([item.question for item in test])

    return asyncio.run(whole())


def test_trained_adapters_of_one_base_share_one_load() -> None:
    base = replace(embedded_roster()["apprentice"], worker="vllm")
    adapted = [
        replace(base, name=name, adapter=f"embedded/apprentice-{name}")
        for name in ("weekdays", "reversal")
    ]
    roster = Roster((base, *adapted))
    items = [
        item
        for item in questions(30, of=Split.TEST)
        if item.question.category in ("weekdays", "reversal")
    ]
    workers = Counted()
    marks = asyncio.run(measure(roster, items, workers=workers))
    assert [sorted(each) for each in workers.opened] == [["apprentice", "reversal", "weekdays"]]
    skill = {item.question.id: item.question.category for item in items}
    right = {
        (name, each): sum(
            mark.outcome is Outcome.CORRECT
            for mark in marks
            if mark.who == name and skill[mark.question_id] == each
        )
        for name in roster.names
        for each in ("weekdays", "reversal")
    }
    for own, other in (("weekdays", "reversal"), ("reversal", "weekdays")):
        assert right[own, own] >= 27
        assert right[own, own] > right["apprentice", own]
        assert right[own, other] < 27


def told(decision: Decision) -> tuple[str, str | None]:
    return decision.question_id, decision.value


def test_vllm_decides_as_the_local_worker_does() -> None:
    profile, test = questions(10, of=Split.PROFILE), questions(25, of=Split.TEST)
    served, local = (run(worker, profile, test) for worker in ("vllm", "local"))
    assert served.counts.of("generate").failures == 0
    assert served.counts.loads.loads == served.counts.loads.lower_bound
    alike = [told(a) == told(b) for a, b in zip(served.decisions, local.decisions, strict=True)]
    assert sum(alike) / len(alike) >= 0.99, [
        (told(a), told(b))
        for a, b, same in zip(served.decisions, local.decisions, alike, strict=True)
        if not same
    ]
