"""One roster with every kind of worker: measured, foreseen, run and reported in one go."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any
from urllib.request import urlopen

import pytest

from benchmarks.nursery import nursery
from benchmarks.provider import provider
from orchestra.embedded import Split, questions
from orchestra.evals import Item, write_items
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.records import LETTERS, Generation, Question
from orchestra.roster import Expert, Roster
from orchestra.runs import Account, RowKind, RunFolder
from orchestra.workers import Worker
from orchestra.workers.checkpoints import checkpoint_folder
from tests.conftest import Builder

OPTIONS = ("one", "two", "three", "four")
Json = dict[str, Any]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its processes")


def items(each: int, of: Split) -> list[Item]:
    """Sums for the checkpoint, lore that the provider knows, and what was recorded."""
    sums = [
        item
        for item in questions(4 * each, of=of)
        if item.question.category == "addition" and item.question.options
    ]
    found = [replace(item, profile=None) for item in sums[:each]]
    for n in range(each):
        gold = LETTERS[n * 7 % 4]
        lore = Question(
            f"{of.value}-lore-{n}", f"[gold:{gold}] Lore {n}?", OPTIONS, category="lore"
        )
        past = Question(f"{of.value}-past-{n}", f"Event {n}?", OPTIONS, category="past")
        found += [Item(lore, gold), Item(past, gold)]
    return found


def roster(build: Builder, everything: list[Item], url: str, *more: Json) -> Json:
    """An expert of each kind, good at one thing each."""
    said = {"archive": 0.25}
    rows = build.rows([i for i in everything if i.question.category != "past"], said)
    rows += build.rows([i for i in everything if i.question.category == "past"], {"archive": 1.0})
    hosted = {"worker": "openai", "base_url": f"{url}/v1"}
    price = {"input": 0.5, "output": 1.5}
    experts = [
        {
            "name": "archive",
            "model": "archive",
            "worker": "recorded",
            "recordings": str(build.recordings(rows)),
        },
        {"name": "abacus", "model": "embedded/abacus", "worker": "local", "strategy": "plain"},
        {"name": "mirror", "model": "embedded/mirror", "worker": "local", "strategy": "plain"},
        {"name": "lorist", "model": "lorist", **hosted, "price": price},
        {"name": "novice", "model": "novice", **hosted, "calls": {"stream": True}},
        *more,
    ]
    return {"schema": 1, "defaults": {"sampling": {"max_tokens": 64}}, "experts": experts}


def whole(build: Builder, *more: Json) -> tuple[Json, Json, list[Generation], Json]:
    """Plan, report, generations and the server's counts of one run by the command line."""
    path = build.folder
    profile, test = items(24, Split.PROFILE), items(16, Split.TEST)
    knows = {"lorist": 0.95, "novice": 0.1, "gpt-4o-mini": 0.9}
    with provider(knows=knows) as url, nursery() as commands:
        told = roster(build, [*profile, *test], url, *({**each} for each in more))
        for each in told["experts"]:
            if each["worker"] == "litellm":
                each["base_url"] = f"{url}/v1"
        (path / "roster.yaml").write_text(json.dumps(told))
        write_items(path / "profile.jsonl", profile)
        write_items(path / "test.jsonl", test)
        experts = ("--roster", path / "roster.yaml")
        asked = (*experts, "--table", path / "table.json", "--on", path / "test.jsonl")
        steps: tuple[tuple[object, ...], ...] = (
            ("profile", *experts, "--on", path / "profile.jsonl", "--out", path / "table.json"),
            ("plan", "orchestra", *asked, "--json"),
            ("run", "orchestra", *asked, "--out", path / "run", "--json"),
            ("report", path / "run", "--html", path / "page.html"),
        )
        done = [commands.run(*words) for words in steps]
        assert [each.code for each in done] == [0] * len(steps), [each.err for each in done]
        with urlopen(f"{url}/control") as reply:
            counts: Json = json.loads(reply.read())
    with RunFolder.inspect(path / "run") as run:
        generations: list[Generation] = list(run.ledger.rows(RowKind.GENERATION))
    return json.loads(done[1].out), json.loads(done[2].out), generations, counts


@needs_fork
def test_every_kind_of_worker_in_one_run(build: Builder) -> None:
    plan, report, generations, counts = whole(build)
    asked = {each.expert for each in generations}
    assert asked >= {"archive", "abacus", "lorist"}
    assert plan["experts"].keys() >= asked
    # Each is asked what it is good at, so that together they are nearly always right.
    assert report["accuracy"] > 0.85
    told = report["spending"]
    assert told["prices"] == {"lorist": "roster", "novice": "unknown"}
    hosted = [each for each in generations if each.expert in ("lorist", "novice")]
    profiled = 2 * 3 * 24
    assert counts["received"] == counts["paid"] == len(hosted) + profiled
    assert told["experts"]["lorist"]["money"] == pytest.approx(
        sum(each.usage.money for each in hosted), abs=1e-8
    )
    assert told["money"] == told["experts"]["lorist"]["money"] > 0
    assert (build.folder / "page.html").stat().st_size > 10_000


@pytest.mark.engine
@pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="litellm is not installed")
@needs_fork
def test_litellm_beside_all_others(build: Builder) -> None:
    mini = {"name": "mini", "model": "openai/gpt-4o-mini", "worker": "litellm"}
    _, report, generations, counts = whole(build, mini)
    told = report["spending"]
    assert told["prices"] == {"lorist": "roster", "novice": "unknown", "mini": "litellm"}
    assert {each.expert for each in generations} >= {"archive", "abacus", "lorist"}
    hosted = [each for each in generations if each.expert in told["prices"]]
    assert counts["received"] == len(hosted) + 3 * 3 * 24
    assert report["accuracy"] > 0.85


class Waiting(WorkerPool):
    """The first engine and the first hosted expert wait for each other to be open."""

    def __init__(self) -> None:
        super().__init__()
        self.met = asyncio.Barrier(2)
        self.waited: dict[bool, str] = {}

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Worker]:
        return self._opened(super().open(expert, *others, account=account, **options), expert)

    @asynccontextmanager
    async def _opened(
        self, opened: AbstractAsyncContextManager[Worker], expert: Expert
    ) -> AsyncIterator[Worker]:
        async with opened as worker:
            if expert.hosted not in self.waited:
                self.waited[expert.hosted] = expert.name
                await self.met.wait()
            yield worker


def test_hosted_experts_are_asked_beside_an_engine(build: Builder) -> None:
    test = items(2, Split.TEST)
    with provider() as url:
        told = roster(build, test, url)
        told["experts"] = told["experts"][1:]  # recordings are not waited for
        experts = Roster.loads(json.dumps(told), "roster")

        async def run() -> dict[bool, str]:
            workers = Waiting()
            pipeline = Pipeline.load("majority", roster=experts, workers=workers)
            async with asyncio.timeout(60):  # if they took turns, it would be for ever
                outcomes = await pipeline.run([item.question for item in test])
            assert outcomes.counts.of("generate").failures == 0
            assert outcomes.counts.calls == 4 * len(test)
            return workers.waited

        assert asyncio.run(run()).keys() == {True, False}


@contextmanager
def vllm_server(model: str) -> Iterator[str]:
    """A server of one embedded checkpoint, under its own name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "model": checkpoint_folder(model),
        "served-model-name": "served",
        "host": "127.0.0.1",
        "port": port,
        "dtype": "float32",
        "max-model-len": 256,
        "max-num-seqs": 32,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager", *words],
        env={**os.environ, **quiet, "VLLM_CPU_KVCACHE_SPACE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            until = time.monotonic() + 300
            while not answers(f"http://127.0.0.1:{port}/health"):
                assert process.poll() is None, "the server did not start"
                assert time.monotonic() < until, "the server is not ready"
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        with urlopen(url) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@pytest.mark.engine
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_a_served_checkpoint_says_what_the_local_one_says() -> None:
    test = [each for each in questions(40, of=Split.TEST) if each.question.category == "addition"]
    with vllm_server("embedded/abacus") as url:
        common = {"strategy": "plain", "sampling": {"max_tokens": 96}}
        served = {"name": "served", "model": "served", "worker": "openai", "base_url": url}
        local = {"name": "local", "model": "embedded/abacus", "worker": "local"}
        decided = []
        for expert in (served, local):
            told = {"schema": 1, "defaults": common, "experts": [expert]}
            pipeline = Pipeline.load("majority", roster=Roster.loads(json.dumps(told), "roster"))
            outcomes = asyncio.run(pipeline.run([item.question for item in test]))
            assert outcomes.counts.of("generate").failures == 0
            decided.append([decision.value for decision in outcomes.decisions])
    assert len(test) == 40
    assert decided[0] == decided[1]
