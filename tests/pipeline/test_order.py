"""A run carries out the order that `orchestra plan` prints, and counts what workers really load."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestra.embedded import Split, embedded_roster, questions
from orchestra.evals import Item, evaluate_run
from orchestra.pipeline import Batch, Pipeline, WorkerPool, foresee
from orchestra.pipeline.engines import Visit
from orchestra.roster import Expert, Roster
from orchestra.scheduling import Machine
from orchestra.workers import Worker

if TYPE_CHECKING:
    from tests.conftest import Builder

Row = tuple[str, str, int, int, str, str, int]
"""Unit, stage, layer, round, how it comes, how it leaves, requests."""


def executed(visits: list[Visit]) -> dict[int, list[Row]]:
    """Device -> what was visited."""
    found: dict[int, list[Row]] = {}
    for each in visits:
        for phase, requests in each.requests.items():
            row = (each.unit, *phase, each.comes, each.leaves, requests)
            found.setdefault(each.device, []).append(row)
    return found


def compared(
    pipeline: Pipeline, items: Sequence[Item], machine: Machine | None = None
) -> tuple[dict[int, list[Row]], dict[int, list[Row]], Batch]:
    """What is planned, what is done, and the batch."""
    asked = [item.question for item in items]
    pipeline = replace(pipeline, machine=machine)
    order = asyncio.run(foresee(pipeline, asked, machine=machine)).order
    assert order is not None
    planned: dict[int, list[Row]] = {}
    for step in order.steps:
        job = step.job
        row = (job.unit, job.stage, job.layer, job.round, step.comes, step.leaves, job.requests)
        planned.setdefault(step.device, []).append(row)

    async def run() -> tuple[Batch, list[Visit]]:
        async with pipeline.open() as context:
            batch = await pipeline.advance(Batch.of(asked), context)
        return batch, context.executor.visits

    batch, visits = asyncio.run(run())
    return planned, executed(visits), batch


def house(names: tuple[str, ...], **settings: str) -> Pipeline:
    """Embedded experts that all answer, and the chair."""
    roster = embedded_roster()
    experts = [replace(each, memory_gib=1.0) for each in roster if each.name in (*names, "chair")]
    overrides = ["route=all", "vote=majority", *(f"{k}={v}" for k, v in settings.items())]
    return Pipeline.load("majority", roster=Roster.of(*experts), overrides=overrides)


THREE = ("abacus", "mirror", "almanac")
SETTINGS: dict[str, dict[str, str]] = {
    "flat": {},
    "two layers": {"synthesise": "{moa: {aggregator: chair, layers: 2}}"},
    "three layers": {"synthesise": "{moa: {aggregator: chair, layers: 3}}"},
    "two rounds": {"synthesise": "{moa: {aggregator: chair, defence: dropout-cluster}}"},
}
MACHINES = {
    "one at a time": None,
    "room for two": Machine((2.0,)),
    "two devices": Machine((1.0, 1.0)),
}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_run_makes_the_visits_that_were_planned(setting: str, machine: str) -> None:
    items = questions(1, of=Split.TEST)[:6]
    planned, done, batch = compared(house(THREE, **SETTINGS[setting]), items, MACHINES[machine])
    assert done == planned
    loads = sum(row[4] == "cold" for rows in planned.values() for row in rows)
    assert batch.counts.loads.loads == loads
    assert batch.counts.loads.lower_bound <= loads


class Counting(WorkerPool):
    """Workers that count what they load, and may be killed at a number of loads."""

    def __init__(self, scripts: dict[str, Any], stop: int = 0) -> None:
        super().__init__(scripts)
        self.opened: Counter[str] = Counter()
        self._stop = stop

    def open(
        self, expert: Expert, *others: Expert, **options: Any
    ) -> AbstractAsyncContextManager[Worker]:
        if self.opened.total() == self._stop > 0:
            raise KeyboardInterrupt
        self.opened[expert.name] += 1
        return super().open(expert, *others, **options)


@pytest.mark.parametrize("stop", range(1, 4))
def test_spent_loads_are_those_that_workers_made(build: Builder, tmp_path: Path, stop: int) -> None:
    items = build.items(12)
    roster = build.scripted("a", "b", "c", "d")
    source = build.pipeline_file(route="all", vote="majority", generate={"draft": {"calls": 4}})
    scripts = {name: lambda request: "The answer is (A)." for name in "abcd"}

    def run(folder: str, workers: Counting) -> dict[str, Any]:
        pipeline = Pipeline.load(source, roster=roster, workers=workers)
        return dict(asyncio.run(evaluate_run(pipeline, items, tmp_path / folder)).report)

    first, second, whole = Counting(scripts, stop), Counting(scripts), Counting(scripts)
    with pytest.raises(KeyboardInterrupt):
        run("killed", first)
    resumed, straight = run("killed", second), run("straight", whole)
    for report in (resumed, straight):  # baselines are asked outside the run
        assert report["loads"] == report["loads_lower_bound"] == 4
    assert straight["spent"]["loads"] == 4
    assert resumed["spent"]["loads"] == first.opened.total() + 4 - stop
    assert resumed["spent"]["calls"] == straight["spent"]["calls"] == 48
    without = {"seconds", "spent"}
    assert {k: v for k, v in resumed.items() if k not in without} == {
        k: v for k, v in straight.items() if k not in without
    }
