"""One seed, one report: byte for byte but for the seconds, twice and however answers arrive."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.provider import provider
from orchestra.evals import Item, evaluate_run, profile_experts
from orchestra.pipeline import Pipeline, WorkerPool, shipped_pipelines
from orchestra.records import Generation, Request
from orchestra.roster import Expert, Limits, Price, Roster
from orchestra.skills import RecruitmentTable
from orchestra.workers import Worker

if TYPE_CHECKING:
    from tests.conftest import Builder

SHARES = {"a": 0.8, "b": 0.6, "c": 0.5, "d": 0.3}


class AtOnce:
    """A worker that is asked many things at once and answers in an order of its own."""

    def __init__(self, worker: Worker, seed: int) -> None:
        self._worker, self._random = worker, Random(seed)

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        requests = list(requests)
        pauses = [self._random.randrange(4) for _ in requests]
        for done in asyncio.as_completed(map(self._one, requests, pauses)):
            yield await done

    async def _one(self, request: Request, pause: int) -> Generation:
        for _ in range(pause):
            await asyncio.sleep(0)
        return [each async for each in self._worker.generate([request])][0]


class AtOnceWorkers(WorkerPool):
    """Recorded experts, each asked everything at once."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def open(
        self, expert: Expert, *others: Expert, **options: Any
    ) -> AbstractAsyncContextManager[Worker]:
        return self._at_once(super().open(expert, *others, **options))

    @asynccontextmanager
    async def _at_once(self, inside: AbstractAsyncContextManager[Worker]) -> AsyncIterator[Worker]:
        async with inside as worker:
            yield AtOnce(worker, self._seed)


def without_seconds(folder: Path) -> bytes:
    told = (folder / "report.json").read_bytes()
    return re.sub(rb'\n  "seconds": [\d.e-]+', b"", told)


@pytest.fixture
def house(build: Builder) -> tuple[Roster, RecruitmentTable, list[Item]]:
    profile, test = build.items(60, prefix="p"), build.items(80)
    rows = build.rows([*profile, *test], SHARES, absent=0.15, samples=2)
    prices = {"price": {"input": 0.13, "output": 0.77}}
    roster = build.recorded(build.recordings(rows), *SHARES, **prices)
    return roster, asyncio.run(profile_experts(roster, profile)), test


def run(
    house: tuple[Roster, RecruitmentTable, list[Item]],
    out: Path,
    *,
    source: str = "orchestra",
    seed: int = 0,
    workers: WorkerPool | None = None,
) -> bytes:
    roster, table, items = house
    pipeline = Pipeline.load(source, roster=roster, table=table, seed=seed, workers=workers)
    asyncio.run(evaluate_run(pipeline, items, out))
    return without_seconds(out)


@pytest.mark.parametrize("source", shipped_pipelines())
def test_twice(
    house: tuple[Roster, RecruitmentTable, list[Item]], source: str, tmp_path: Path
) -> None:
    first = run(house, tmp_path / "one", source=source)
    assert b'"seconds"' not in first
    assert b'"accuracy"' in first
    assert first == run(house, tmp_path / "two", source=source)


def test_another_seed_draws_others(
    house: tuple[Roster, RecruitmentTable, list[Item]], tmp_path: Path
) -> None:
    first = run(house, tmp_path / "one", source="symbolic-moe", seed=1)
    assert first != run(house, tmp_path / "two", source="symbolic-moe", seed=2)


def test_however_answers_arrive(
    house: tuple[Roster, RecruitmentTable, list[Item]], tmp_path: Path
) -> None:
    calm = run(house, tmp_path / "calm")
    for seed in range(4):
        wild = run(house, tmp_path / f"wild {seed}", workers=AtOnceWorkers(seed))
        assert wild == calm, seed


def test_with_what_an_interrupted_run_left(
    house: tuple[Roster, RecruitmentTable, list[Item]], tmp_path: Path
) -> None:
    class Interrupted(AtOnceWorkers):
        def open(
            self, expert: Expert, *others: Expert, **options: Any
        ) -> AbstractAsyncContextManager[Worker]:
            if expert.name == "b":
                raise KeyboardInterrupt
            return super().open(expert, *others, **options)

    roster, table, items = house
    pipeline = Pipeline.load("majority", roster=roster, table=table)
    broken = Pipeline(pipeline.spec, roster, Interrupted(3), pipeline.table, pipeline.seed)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(evaluate_run(broken, items, tmp_path / "run"))
    whole = run(house, tmp_path / "whole", source="majority")
    assert run(house, tmp_path / "run", source="majority") == whole


def test_hosted_at_any_concurrency(
    build: Builder, house: tuple[Roster, RecruitmentTable, list[Item]], tmp_path: Path
) -> None:
    told = []
    with provider(latency=[0.0, 0.02]) as url:
        for most in (1, 3, 40):
            roster = Roster.of(
                *(
                    Expert(
                        name,
                        name,
                        worker="openai",
                        base_url=f"{url}/v1",
                        price=Price(0.5, 1.5),
                        limits=Limits(concurrency=most),
                    )
                    for name in SHARES
                )
            )
            out = tmp_path / str(most)
            told.append(run((roster, house[1], house[2][:30]), out))
    assert b'"attempts"' in told[0]
    assert told[0] == told[1] == told[2]
