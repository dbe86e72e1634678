"""What is planned is what is carried out: the executor on simulated devices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.pipeline import Pipeline, WorkerPool, open_context
from orchestra.pipeline.batch import Batch
from orchestra.pipeline.engines import Visit
from orchestra.pipeline.executor import Executor
from orchestra.pipeline.forecast import foresee
from orchestra.pipeline.simulation import Rehearsed, rehearse_order
from orchestra.records import Question
from orchestra.roster import Expert, Roster
from orchestra.scheduling import (
    CostModel,
    EngineCost,
    Fault,
    Job,
    Machine,
    Order,
    SimulatedMachine,
    engine,
    random_faults,
    schedule,
)
from orchestra.workers.scripted import Script
from tests.scheduling.simulator.test_machine import obeyed

USUAL = (3.0, 8.0, 15.3, 15.3, 15.3, 18.0, 27.5, 30.0, 61.0)
STAGES = (("tag", 0), ("generate", 0), ("generate", 1), ("synthesise", 0))
Row = tuple[str, str, int, int, str, str, int]
"""Unit, stage, layer, round, comes, leaves, requests."""


@st.composite
def costs(draw: st.DrawFn) -> EngineCost:
    sleeps = draw(st.booleans())
    whole = st.integers(0, 12) if sleeps else st.none()
    return EngineCost(
        draw(st.integers(1, 40)),
        draw(st.integers(0, 3)),
        sleep1=draw(whole),
        wake1=draw(whole),
        sleep2=draw(whole),
        wake2=draw(whole),
        token_in=0.25,
        token_out=0.5,
        device_gib=draw(st.sampled_from([1.0, 3.0, 5.0, 8.0, None])),
        host1_gib=draw(st.integers(1, 8)),
        host2_gib=draw(st.sampled_from([0.25, 1.0])),
    )


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Job], CostModel]:
    """Up to four engines in up to four stages, on up to three devices, with tight memories."""
    names = "abcd"[: draw(st.integers(1, 4))]
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(STAGES))
    number = st.integers(0, 9)
    jobs = [
        Job(name, *stage, draw(number), draw(number), draw(number))
        for name, stage in draw(st.lists(pairs, min_size=1, max_size=8, unique=True))
    ]
    rooms = draw(st.lists(st.sampled_from([None, 8.0, 10.0, 14.0]), min_size=1, max_size=3))
    host = draw(st.sampled_from([None, 0.5, 4.0, 8.0, 16.0]))
    return jobs, CostModel({name: draw(costs()) for name in names}, Machine(tuple(rooms), host))


@st.composite
def positioned(draw: st.DrawFn) -> tuple[list[Job], CostModel]:
    """The same with stages of any name in any order, twice too, and rounds of dialogues."""
    jobs, known = draw(problems())
    places = st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 1))
    names = ("debate", "check", "debate")
    found: dict[tuple[Any, ...], Job] = {}
    for job in jobs:
        phase, layer, round_ = draw(places)
        moved = replace(job, stage=names[phase], phase=phase, layer=layer + 2 * phase, round=round_)
        found[moved.node] = moved
    return list(found.values()), known


def sixteen(seed: int, *, devices: int, layers: int = 1) -> tuple[list[Job], CostModel]:
    """A keyword model, sixteen experts, an aggregator, on 80 GiB devices."""
    draw = Random(f"sixteen:{seed}")
    names = [f"m{i:02}" for i in range(16)]
    jobs = [Job(names[0], "tag", 0, 1_000, 120_000, 30_000)]
    for layer in range(layers):
        calls = [draw.randint(50, 900) for _ in names]
        jobs += [
            Job(name, "generate", layer, n, 300.0 * n, draw.uniform(200, 900) * n)
            for name, n in zip(names, calls, strict=True)
        ]
    jobs.append(Job(names[-1], "synthesise", 0, 1_000, 900_000, 200_000))
    units = {name: engine(draw.choice(USUAL)) for name in names}
    return jobs, CostModel(units, Machine((80.0,) * devices, 256.0))


def planned(order: Order) -> dict[int, list[Row]]:
    """What an order foresees, for each device."""
    rows: dict[int, list[Row]] = {}
    for step in order.steps:
        job = step.job
        row = (job.unit, *job.key, step.comes, step.leaves, job.requests)
        rows.setdefault(step.device, []).append(row)
    return rows


def visited(visits: Iterable[Visit]) -> dict[int, list[Row]]:
    """What an executor did, for each device."""
    rows: dict[int, list[Row]] = {}
    for visit in visits:
        for phase, requests in visit.requests.items():
            row = (visit.unit, *phase, visit.comes, visit.leaves, requests)
            rows.setdefault(visit.device, []).append(row)
    return rows


def rehearsed(
    jobs: list[Job], known: CostModel, order: Order | None = None, *faults: Fault, **options: Any
) -> Rehearsed:
    machine = SimulatedMachine(known, faults=faults, **options)
    return asyncio.run(rehearse_order(jobs, known, order=order, machine=machine))


@settings(max_examples=50)
@given(st.one_of(problems(), positioned()))
def test_what_was_planned_is_carried_out(problem: tuple[list[Job], CostModel]) -> None:
    jobs, known = problem
    order = schedule(jobs, known)
    done = rehearsed(jobs, known, order)
    assert visited(done.visits) == planned(order)
    assert (done.log.loads, done.log.wakes) == (order.loads, order.wakes)
    assert done.log.loads >= order.fewest_loads
    assert done.answered == {job.node: job.requests for job in jobs}
    assert (done.failed, done.log.faults) == ({}, ())
    assert obeyed(done.log, known)
    if len(known.machine.devices) == 1:
        assert done.log.seconds == pytest.approx(order.seconds)


@settings(max_examples=50)
@given(problems())
def test_a_plan_made_as_it_goes_does_all_and_keeps_to_the_memories(
    problem: tuple[list[Job], CostModel],
) -> None:
    """Nothing was foreseen: every pass is planned from what waits, and nothing sleeps."""
    jobs, known = problem
    nothing = replace(schedule(jobs, known), steps=())
    done = rehearsed(jobs, known, nothing)
    assert done.answered == {job.node: job.requests for job in jobs}
    assert done.log.loads >= len({job.unit for job in jobs})
    assert obeyed(done.log, known)


@settings(max_examples=50)
@given(problems(), st.integers(0, 10**6), st.sampled_from([0.1, 0.5, 1.0]))
def test_whatever_goes_wrong_every_request_is_answered_or_recorded(
    problem: tuple[list[Job], CostModel], seed: int, chance: float
) -> None:
    jobs, known = problem
    order = schedule(jobs, known)
    faults = random_faults(known.units, seed=seed, chance=chance)
    done = rehearsed(jobs, known, order, *faults)
    assert {node: n + done.failed.get(node, 0) for node, n in done.answered.items()} == {
        job.node: job.requests for job in jobs
    }
    assert obeyed(done.log, known)
    assert done == rehearsed(jobs, known, order, *faults)
    spoiled = [place for place, each in enumerate(done.log.events) if each.what == "garbage"]
    for place in spoiled:
        unit = done.log.events[place].unit
        then = [each.what for each in done.log.events[place:] if each.unit == unit][1:3]
        assert then in (["exit", "load"], ["exit", "out of memory"])


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("devices", [1, 2, 4])
def test_sixteen_models_take_what_was_planned(devices: int, layers: int) -> None:
    jobs, known = sixteen(devices, devices=devices, layers=layers)
    order = schedule(jobs, known)
    done = rehearsed(jobs, known, order)
    assert visited(done.visits) == planned(order)
    # An engine that is the last of a stage exits when the next comes, which others may wait for.
    late = sum(known.units[step.job.unit].exit for step in order.steps) * (devices > 1)
    assert order.seconds - 1e-6 <= done.log.seconds <= order.seconds + late + 1e-6
    assert done.log.peak_gib == pytest.approx(order.peak_gib)
    assert done.log.host_gib <= order.host_gib + 1e-6
    assert obeyed(done.log, known)


MACHINES = {
    "one at a time": Machine(),
    "one device, sleep": Machine((10.0,), 64.0),
    "two devices": Machine((20.0, 10.0), 64.0),
}


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize(
    "settings_",
    [
        [],
        ["generate.calls=2"],
        ["synthesise=moa", "synthesise.aggregator=b"],
        ["synthesise=moa", "synthesise.aggregator=b", "synthesise.layers=3"],
        ["synthesise=moa", "synthesise.aggregator=b", "synthesise.defence=dropout-vote"],
    ],
    ids=["flat", "two of four", "moa", "three layers", "subsets"],
)
def test_a_pipeline_makes_the_visits_that_its_forecast_foresees(
    machine: Machine, settings_: list[str]
) -> None:
    roster = Roster.of(*(Expert(n, n, worker="scripted", memory_gib=10.0) for n in "abcd"))
    scripts: dict[str, Script] = {name: lambda request: "The answer is (A)." for name in "abcd"}
    pipeline = Pipeline.load(
        "majority",
        roster=roster,
        workers=WorkerPool(scripts),
        overrides=["route=all", "generate.calls=4", *settings_],
    )
    questions = [Question(f"q{i}", f"What is {i}?", ("x", "y")) for i in range(5)]
    order = asyncio.run(foresee(pipeline, questions, machine=machine)).order
    assert order is not None

    async def whole() -> Executor:
        async with open_context(
            roster,
            pipeline.workers,
            pipeline.identities,
            executor=partial(Executor, machine=machine, order=order),
        ) as context:
            await pipeline.advance(Batch.of(questions), context)
        return context.executor

    executor = asyncio.run(whole())
    assert visited(executor.visits) == planned(order)
    assert executor.loads == executor.opened == order.loads
    assert executor.wakes == executor.woken == order.wakes
