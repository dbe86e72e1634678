"""Real vLLM on a GPU: decisions, adapters, sleep and wake, and what the worker costs."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Sequence
from typing import Literal

import pytest

from benchmarks.vllm_overhead import measure
from orchestra.records import Message, Request, Sampling
from orchestra.roster import Expert
from orchestra.workers.vllm.engine import VllmEngine
from tests.gpu.conftest import Bench, Card

pytestmark = pytest.mark.gpu

Record = Callable[[str, object], None]
SKILLS = ("weekdays", "reversal")
SMALL = {"gpu_memory_utilization": 0.3, "max_model_len": 512}
ASKED = ("What day is 3 days after a Monday?", "Write `abcd` backwards.", "What is 12 + 34?")


def test_embedded_experts_decide_as_with_the_local_worker(
    bench: Bench, gpu: Card, record_property: Record
) -> None:
    # In single precision, which is what `local` computes in: half would decide near ties otherwise.
    whole = bench.roster("vllm", gib=gpu.gib * 0.8, share=0.8, dtype="float32", enforce_eager=True)
    run = bench.folder / "vllm"
    given = ("--roster", whole, "--table", bench.folder / "table.json")
    report = bench("run", "orchestra", *given, "--on", bench.folder / "test.jsonl", "--out", run)
    served, local = bench.decided(run), bench.decided(bench.folder / "runs" / "orchestra")
    differing = sorted(each for each in local if served[each] != local[each])
    record_property("other decisions than `local`", f"{len(differing)} of {len(local)}")
    assert report["loads"] == report["loads_lower_bound"]
    assert len(differing) <= 0.01 * len(local), differing


def test_two_adapters_share_an_engine_and_each_knows_its_own_skill(bench: Bench, gpu: Card) -> None:
    base = {"model": "embedded/apprentice"}
    adapted = [{"name": n, "adapter": f"embedded/apprentice-{n}", **base} for n in SKILLS]
    roster = bench.roster("adapters", "apprentice", *adapted, gib=gpu.gib * 0.3, share=0.3)
    out, on = bench.folder / "adapters.json", bench.questions("adapters", *SKILLS)
    table = bench("profile", "--roster", roster, "--on", on, "--out", out)
    experts = table["experts"]
    for own, other in (SKILLS, SKILLS[::-1]):
        counted = experts[own]["skills"]
        assert counted[own]["correct"] >= 0.9 * counted[own]["seen"]
        assert counted[own]["correct"] > experts["apprentice"]["skills"][own]["correct"]
        assert counted[other]["correct"] < 0.9 * counted[other]["seen"]


def experts(*adapters: str) -> list[Expert]:
    """The apprentice without an adapter, and with each."""
    model = "embedded/apprentice"
    plain = Expert("plain", model, worker="vllm", engine=SMALL)
    return [plain] + [
        Expert(name, model, worker="vllm", adapter=f"embedded/apprentice-{name}", engine=SMALL)
        for name in adapters
    ]


async def texts(engine: VllmEngine, asked: Sequence[Expert]) -> dict[str, str]:
    """What each expert answers each question with, drawn greedily."""
    requests = [
        Request(
            f"{expert.name} {number}",
            str(number),
            expert.name,
            "generate",
            (Message("user", text),),
            Sampling(temperature=0.0, max_tokens=48),
        )
        for expert in asked
        for number, text in enumerate(ASKED)
    ]
    found = [each async for each in engine.generate(requests)]
    assert [each.failure for each in found if each.failure] == []
    return {each.key: each.text for each in found}


def used_gib() -> float:
    """Memory of the first GPU that is taken, by anybody."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[0]) / 1024


@pytest.mark.parametrize("adapters", [(), SKILLS], ids=["no adapter", "two adapters"])
@pytest.mark.parametrize("level", [1, 2])
def test_an_engine_wakes_as_what_it_was(
    gpu: Card, record_property: Record, level: Literal[1, 2], adapters: tuple[str, ...]
) -> None:
    asked, reported = experts(*adapters), list[str]()

    async def whole() -> None:
        clock = asyncio.get_running_loop().time
        idle = used_gib()
        async with VllmEngine(asked, sleeps=True, report=reported.append) as engine:
            before, pid, awake = await texts(engine, asked), engine.pid, used_gib()
            since = clock()
            await engine.sleep(level)
            slept, asleep = clock() - since, used_gib()
            since = clock()
            await engine.wake()
            record_property("seconds to sleep", f"{slept:.2f}")
            record_property("seconds to wake", f"{clock() - since:.2f}")
            record_property("GiB awake, asleep", f"{awake - idle:.1f}, {asleep - idle:.1f}")
            record_property("restarted cold", reported or "no")
            assert asleep - idle < 0.5 * (awake - idle)
            assert await texts(engine, asked) == before
            if not adapters:  # those of level 2 may have lost theirs: then the canary restarts it
                assert engine.pid == pid

    asyncio.run(whole())
    assert not reported or (adapters and level == 2)
    assert all("tokens are not those" in line for line in reported)


def test_the_worker_is_measured_beside_a_bare_generate(record_property: Record) -> None:
    """No assert on time: the ratio is recorded."""
    found = asyncio.run(measure("embedded/abacus", **SMALL))
    record_property("worker / bare, wall", found["wall_ratio"])
    record_property("worker / bare, CPU", found["cpu_ratio"])
    assert found["same_text_share"] >= 0.99
