"""Kinds of worker: what can be opened, what an identity covers, and what a kind says of itself."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from orchestra.components import component, index
from orchestra.errors import InputError, InputErrors
from orchestra.records import Generation, Message, Request, Sampling
from orchestra.roster import Expert, Roster, WorkerName
from orchestra.scheduling import CostModel
from orchestra.workers import ScriptedWorker, Worker
from orchestra.workers.pool import Opening, WorkerKind, WorkerPool, kind_of

if TYPE_CHECKING:
    from tests.conftest import Builder

REPOSITORY = Path(__file__).resolve().parents[2]


def request(expert: str, question: str = "q0") -> Request:
    return Request("key", question, expert, "generate", (Message("user", "?"),), Sampling())


def ask(workers: WorkerPool, expert: Expert, question: str = "q0") -> Generation:
    async def one() -> Generation:
        async with workers.open(expert) as worker:
            return [each async for each in worker.generate([request(expert.name, question)])][0]

    return asyncio.run(one())


def test_scripted_experts_play_their_scripts(build: Builder) -> None:
    roster = build.scripted("a", "b")
    workers = WorkerPool({"a": lambda r: "I am a", "b": lambda r: "I am b"})
    workers.check(roster)
    assert [ask(workers, expert).text for expert in roster] == ["I am a", "I am b"]


def test_recorded_experts_replay_their_model(build: Builder) -> None:
    rows = [{"question_id": "q0", "model": name, "output": f"{name} says"} for name in "ab"]
    roster = build.recorded(build.recordings(rows), "a", "b")
    workers = WorkerPool()
    workers.check(roster)
    assert [ask(workers, expert).text for expert in roster] == ["a says", "b says"]
    assert workers.recordings(roster["a"]) is workers.recordings(roster["b"])


def test_everything_that_cannot_be_opened_is_told_at_once(build: Builder) -> None:
    path = build.recordings([{"question_id": "q0", "model": "mathstral", "output": "x"}])
    roster = Roster.of(
        Expert("near", "mathstra", worker="recorded", recordings=path),
        Expert("gone", "m", worker="recorded", recordings=build.folder / "gone.parquet"),
        Expert("mute", "m", worker="scripted"),
        Expert("keyed", "m", worker="openai", base_url="http://x/v1", api_key_env="NO_SUCH_KEY"),
        Expert("served", "m", worker="remote"),
    )
    with pytest.raises(InputErrors) as caught:
        WorkerPool().check(roster)
    near, gone, mute, keyed, served = (str(error) for error in caught.value.errors)
    assert "unknown recorded model: 'mathstra'" in near
    assert "did you mean `mathstral`" in near
    assert "expert `near`" in near
    assert "gone.parquet: no such file" in gone
    assert "expert `mute` is scripted, but no script" in mute
    assert "expert `keyed`: the environment variable `NO_SUCH_KEY` is not set" in keyed
    assert "`worker: remote` is not part of this release" in served


def test_one_broken_file_is_told_once(build: Builder) -> None:
    roster = build.recorded(build.folder / "gone.parquet", "a", "b", "c")
    with pytest.raises(InputError, match="no such file") as caught:
        WorkerPool().check(roster)
    assert not isinstance(caught.value, InputErrors)


def test_identity_covers_the_recordings(build: Builder) -> None:
    def told(output: str) -> str:
        rows = [{"question_id": "q0", "model": "a", "output": output}]
        roster = build.recorded(build.recordings(rows), "a")
        return WorkerPool().identity(roster["a"])

    assert told("one") == told("one")
    assert told("one") != told("two")


def test_scripted_experts_of_one_model_are_two(build: Builder) -> None:
    first = Expert("a", "m", worker="scripted")
    second = Expert("b", "m", worker="scripted")
    workers = WorkerPool()
    assert workers.identity(first) != workers.identity(second)


def test_the_roster_names_the_shipped_kinds() -> None:
    assert sorted(index()["worker"]) == sorted(get_args(WorkerName))


@pytest.mark.parametrize(
    ("name", "hosted", "loads", "replayed", "free", "synthetic", "available"),
    [
        ("recorded", False, False, True, True, False, True),
        ("scripted", False, False, False, True, True, True),
        ("local", False, True, False, False, False, True),
        ("vllm", False, True, False, False, False, True),
        ("openai", True, False, False, False, False, True),
        ("litellm", True, False, False, False, False, True),
        ("remote", True, False, False, False, False, False),
    ],
)
def test_what_a_kind_says_of_itself(
    name: str,
    hosted: bool,
    loads: bool,
    replayed: bool,
    free: bool,
    synthetic: bool,
    available: bool,
) -> None:
    expert = Expert("a", "m", worker=name)
    kind = kind_of(expert)
    assert (kind.hosted, kind.loads, kind.replayed) == (hosted, loads, replayed)
    assert (kind.free, kind.synthetic, kind.available) == (free, synthetic, available)
    assert (expert.hosted, expert.loaded, expert.replayed) == (hosted, loads, replayed)


def test_adapters_of_one_base_are_one_unit_for_vllm_only() -> None:
    def units(worker: str) -> int:
        experts = [Expert(name, "base", worker=worker, adapter=name) for name in "ab"]
        assert len(CostModel.of(experts).units) == len({kind_of(e).unit(e) for e in experts})
        return len(CostModel.of(experts).units)

    assert (units("vllm"), units("local")) == (1, 2)


# A kind of one's own


@dataclass(frozen=True)
class Echo(WorkerKind):
    """Says its model's name."""

    def check(self, expert: Expert, pool: WorkerPool) -> None:
        if not expert.model.isalpha():
            raise InputError(f"{expert.model!r} cannot be said")

    def open(
        self, experts: Sequence[Expert], pool: WorkerPool, how: Opening
    ) -> AbstractAsyncContextManager[Worker]:
        calls = pool.shared(list)
        calls.append(experts[0].name)
        return nullcontext(ScriptedWorker(lambda request: f"{experts[0].model} {len(calls)}"))


@pytest.fixture
def echo(registry: None) -> None:
    component("worker", "echo")(Echo)


@pytest.mark.usefixtures("echo")
def test_a_roster_may_name_a_kind_of_ones_own() -> None:
    roster = Roster.loads(
        "schema: 1\nexperts: [{name: a, model: hello, worker: echo, engine: {loud: true}}]"
    )
    pool = WorkerPool()
    pool.check(roster)
    assert [ask(pool, roster["a"]).text for _ in range(2)] == ["hello 1", "hello 2"]
    assert not roster["a"].hosted
    with pytest.raises(InputError, match="'m1' cannot be said"):
        pool.check([Expert("b", "m1", worker="echo")])


@pytest.mark.usefixtures("echo")
def test_an_unknown_kind_has_near_names() -> None:
    with pytest.raises(InputError, match="unknown worker: 'ehco'") as caught:
        Roster.loads("schema: 1\nexperts: [{name: a, model: hello, worker: ehco}]", "r.yaml")
    assert "did you mean `echo`" in caught.value.hint
    assert "r.yaml:2 experts[0].worker" in caught.value.place


def test_only_kinds_know_the_names_of_kinds() -> None:
    """Nothing compares `expert.worker`: what it wants to know is an attribute of the kind."""
    compared = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for path in (REPOSITORY / "orchestra").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Attribute)
        and node.left.attr == "worker"
    ]
    assert compared == []
