"""The embedded roster under real vLLM, end to end, beside the local worker."""

from __future__ import annotations

import asyncio
import importlib.util
from dataclasses import replace

import pytest

from orchestra.embedded import TAGGER, Split, embedded_roster, questions
from orchestra.evals import Item, profile_experts
from orchestra.pipeline import Outcomes, Pipeline
from orchestra.records import Decision
from orchestra.roster import Roster, WorkerName

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]


def run(worker: WorkerName, profile: tuple[Item, ...], test: tuple[Item, ...]) -> Outcomes:
    """Profile, recruit, generate and vote with one kind of worker for everybody."""
    shipped = embedded_roster()
    experts = shipped.subset([*shipped.recruits, "labeller"])
    roster = Roster(tuple(replace(expert, worker=worker) for expert in experts))

    async def whole() -> Outcomes:
        table = await profile_experts(roster, profile, tagger=TAGGER)
        pipeline = Pipeline.load("orchestra", roster=roster, table=table)
        return await pipeline.run([item.question for item in test])

    return asyncio.run(whole())


def told(decision: Decision) -> tuple[str, str | None]:
    return decision.question_id, decision.value


def test_vllm_decides_as_the_local_worker_does() -> None:
    profile, test = questions(10, of=Split.PROFILE), questions(25, of=Split.TEST)
    served, local = (run(worker, profile, test) for worker in ("vllm", "local"))
    assert served.drafts.failures == 0
    assert served.drafts.loads.loads == served.drafts.loads.lower_bound
    alike = [told(a) == told(b) for a, b in zip(served.decisions, local.decisions, strict=True)]
    assert sum(alike) / len(alike) >= 0.99, [
        (told(a), told(b))
        for a, b, same in zip(served.decisions, local.decisions, alike, strict=True)
        if not same
    ]
