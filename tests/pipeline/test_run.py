"""A pipeline's whole way, from questions to decisions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from orchestra.errors import InputError
from orchestra.evals import Item, profile_experts
from orchestra.pipeline import Batch, Pipeline, TagStage, WorkerPool, match, open_context
from orchestra.pipeline.stages.tag import Tag
from orchestra.records import Decision, Generation, Question, Request, Sampling
from orchestra.roster import Expert, Roster
from orchestra.runs import Ledger, RowKind
from orchestra.skills import RecruitmentTable
from orchestra.workers import ScriptedWorker
from orchestra.workers.scripted import Script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Builder

SHARES = {"a": 0.9, "b": 0.6, "c": 0.5, "d": 0.4}
SHIPPED = ["majority", "orchestra", "single-best", "symbolic-moe", "symbolic-moe-released"]


class House:
    """A profiled roster of scripted experts and questions to decide."""

    def __init__(self, build: Builder, n: int = 60, absent: float = 0.1) -> None:
        self.profile, self.test = build.items(90, prefix="p"), build.items(n, prefix="t")
        self.scripts = build.scripts([*self.profile, *self.test], SHARES, absent=absent)
        self.roster = build.scripted(*SHARES)
        self.workers = WorkerPool(self.scripts)
        self.table = asyncio.run(profile_experts(self.roster, self.profile, workers=self.workers))
        self.questions = [item.question for item in self.test]

    def pipeline(self, source: str | Path = "orchestra", *, seed: int = 0) -> Pipeline:
        return Pipeline.load(
            source, roster=self.roster, table=self.table, workers=self.workers, seed=seed
        )

    def run(self, source: str | Path = "orchestra", *, ledger: Ledger | None = None) -> Batch:
        return asyncio.run(self.pipeline(source).run(self.questions, ledger=ledger))

    def right(self, outcomes: Batch) -> int:
        gold = {item.question.id: item.gold for item in self.test}
        return sum(each.value == gold[each.question_id] for each in outcomes.decisions)


@pytest.fixture
def house(build: Builder) -> House:
    return House(build)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_pipelines_decide(house: House, name: str) -> None:
    outcomes = house.run(name)
    ids = [question.id for question in house.questions]
    assert [brief.question_id for brief in outcomes.briefs] == ids
    assert [plan.question_id for plan in outcomes.plans] == ids
    assert [ballot.question_id for ballot in outcomes.ballots] == ids
    assert [each.question_id for each in outcomes.decisions] == ids
    assert list(outcomes.rows) == ids
    assert house.right(outcomes) > len(ids) / 2
    assert outcomes.counts.calls <= 5 * len(ids)


# The paper's trimming looks at all questions of the batch, by design.
@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "symbolic-moe"])
def test_one_question_is_a_batch_of_one(house: House, name: str) -> None:
    pipeline = house.pipeline(name)
    batch = asyncio.run(pipeline.run(house.questions))
    for at in range(0, len(house.questions), 7):
        assert asyncio.run(pipeline.answer(house.questions[at])) == batch.decisions[at]


@pytest.mark.parametrize("block", [1, 7, 100])
@pytest.mark.parametrize("name", SHIPPED)
def test_blocks_of_questions_decide_as_all_at_once(house: House, name: str, block: int) -> None:
    pipeline = house.pipeline(name)
    whole = asyncio.run(pipeline.run(house.questions))
    parts = asyncio.run(pipeline.run(house.questions, block=block))
    assert parts.decisions == whole.decisions
    assert (parts.ballots, parts.trust) == (whole.ballots, whole.trust)
    assert parts.counts.calls == whole.counts.calls


@pytest.mark.parametrize("name", SHIPPED)
def test_the_order_of_questions_does_not_matter(house: House, name: str) -> None:
    first = {each.question_id: each for each in house.run(name).decisions}
    house.questions.reverse()
    second = {each.question_id: each for each in house.run(name).decisions}
    assert first == second


def test_no_questions(house: House) -> None:
    outcomes = asyncio.run(house.pipeline().run([]))
    assert (outcomes.decisions, outcomes.counts.calls) == ((), 0)


def test_two_questions_of_one_id(house: House) -> None:
    again = [*house.questions, replace(house.questions[3], text="another text")]
    with pytest.raises(InputError, match="more than once, the first is 't3'"):
        asyncio.run(house.pipeline().run(again))


def test_nobody_answers(build: Builder) -> None:
    roster = build.scripted("a", "b")
    workers = WorkerPool({"a": lambda r: "", "b": lambda r: "Hm."})
    pipeline = Pipeline.load("majority", roster=roster, workers=workers)
    decision = asyncio.run(pipeline.answer(build.items(1)[0].question))
    assert (decision.value, decision.confidence) == (None, None)
    assert decision.abstained == "empty"  # the reason of the first seat


def test_failures_stay_absent(build: Builder) -> None:
    def broken(request: Request) -> str:
        raise OSError("no engine")

    roster = build.scripted("a", "b")
    workers = WorkerPool({"a": broken, "b": broken})
    source = build.pipeline_file(route="all", generate={"draft": {"tolerance": 1.0}})
    decision = asyncio.run(
        Pipeline.load(source, roster=roster, workers=workers).answer(build.items(1)[0].question)
    )
    assert (decision.value, decision.abstained) == (None, "failed")


# A worker that answers in its own time


class Shuffled(WorkerPool):
    """Scripted workers whose generations arrive in another order for each seed."""

    def __init__(self, scripts: dict[str, Script], seed: int) -> None:
        super().__init__(scripts)
        self._own, self._seed = scripts, seed

    def _checked(self, expert: object) -> ScriptedWorker:
        return _Shuffled(self._own[expert.name], self._seed)  # type: ignore[attr-defined]


class _Shuffled(ScriptedWorker):
    def __init__(self, script: Script, seed: int) -> None:
        super().__init__(script)
        self._seed = seed

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        given = list(requests)
        order = Random(self._seed).sample(given, len(given))
        for request in order:
            await asyncio.sleep(0)
            async for generation in super().generate([request]):
                yield generation


def test_the_order_of_generations_does_not_matter(house: House) -> None:
    calm = house.run()
    for seed in range(4):
        house.workers = Shuffled(house.scripts, seed)
        assert house.run() == calm, seed


# Calibration


def test_calibration_rests_on_the_profile_only(house: House, build: Builder) -> None:
    one = house.run()
    other = build.items(33, prefix="other")
    house.scripts = build.scripts([*house.profile, *other], dict.fromkeys(SHARES, 0.1))
    house.workers, house.questions = WorkerPool(house.scripts), [i.question for i in other]
    two = house.run()
    assert one.calibration is not None
    assert one.calibration == two.calibration
    assert 0 < one.calibration.pairs <= len(house.profile)


def test_confidence_follows_from_calibration(house: House) -> None:
    outcomes = house.run()
    assert outcomes.calibration is not None
    for ballot, decision in zip(outcomes.ballots, outcomes.decisions, strict=True):
        if decision.value is not None:
            assert decision.confidence == outcomes.calibration.confidence(ballot.score)
    told = [each.confidence for each in outcomes.decisions if each.confidence is not None]
    # The experts are independent and right as often as they were on the profile.
    assert sum(told) / len(told) == pytest.approx(house.right(outcomes) / len(told), abs=0.1)


def test_without_a_table_there_is_no_confidence(house: House) -> None:
    pipeline = Pipeline.load("majority", roster=house.roster, workers=house.workers)
    decisions = asyncio.run(pipeline.run(house.questions)).decisions
    assert {each.confidence for each in decisions} == {None}


# Tables and rosters


def test_a_table_of_another_roster(house: House, build: Builder) -> None:
    roster = build.scripted("a", "x", "y")
    with pytest.raises(InputError, match="never seen 2 of the roster's 3 experts: `x`, `y`"):
        match(house.table, roster)


def test_a_table_is_cut_to_the_roster_in_its_order(house: House, build: Builder) -> None:
    assert match(house.table, build.scripted("c", "a")).experts == ("c", "a")


@pytest.mark.parametrize("name", ["symbolic-moe", "symbolic-moe-released"])
def test_symbolic_routing_needs_a_table(house: House, name: str) -> None:
    pipeline = Pipeline.load(name, roster=house.roster, workers=house.workers)
    with pytest.raises(InputError, match="needs a recruitment table"):
        asyncio.run(pipeline.run(house.questions))


def test_without_a_table_the_default_pipeline_asks_all_alike(house: House) -> None:
    pipeline = Pipeline.load("orchestra", roster=house.roster, workers=house.workers)
    plans = pipeline.plan(asyncio.run(pipeline.brief(house.questions)))
    assert {len(plan.seats) for plan in plans} == {4}
    assert {seat.weight for plan in plans for seat in plan.seats} == {plans[0].seats[0].weight}


def test_the_seed_is_the_pipelines_unless_one_is_given(house: House, build: Builder) -> None:
    source = build.pipeline_file(seed=5)
    assert Pipeline.load(source, roster=house.roster, workers=house.workers).seed == 5
    assert house.pipeline(source, seed=0).seed == 0


# Tagging


def tagged(roster: Roster, tag: Tag, question: Question, workers: WorkerPool) -> list[str]:
    async def run() -> Batch:
        identities = {expert.name: workers.identity(expert) for expert in roster}
        async with open_context(roster, workers, identities) as context:
            return await TagStage(tag).run(Batch.of([question]), context)

    return [skill for skill, _ in asyncio.run(run()).briefs[0].skills]


def test_briefs_know_the_number_of_options(house: House) -> None:
    briefs = asyncio.run(house.pipeline().brief(house.questions))
    assert {brief.choices for brief in briefs} == {4}
    assert {brief.tagger for brief in briefs} == {"category"}


def test_questions_are_tagged_as_the_table_was(build: Builder) -> None:
    items = [
        Item(Question("p", "What is the derivative of a polynomial?", ("1", "2")), "A"),
        Item(Question("r", "Which organelle makes the proteins of a cell?", ("1", "2")), "B"),
    ]
    roster, workers = build.scripted("a"), WorkerPool({"a": lambda r: "The answer is A."})
    table: RecruitmentTable = asyncio.run(
        profile_experts(roster, items, tagger="lexical", workers=workers)
    )
    pipeline = Pipeline.load("single-best", roster=roster, table=table, workers=workers)
    briefs = asyncio.run(pipeline.brief([item.question for item in items]))
    assert all(set(s for s, _ in brief.skills) <= set(table.skills) for brief in briefs)
    assert any(brief.skills for brief in briefs)


def test_an_expert_names_the_skills(build: Builder) -> None:
    roster = build.scripted("sorter")
    workers = WorkerPool({"sorter": lambda r: "algebra; geometry"})
    question = build.items(1)[0].question
    assert tagged(roster, Tag("keywords", "sorter"), question, workers)


@pytest.mark.parametrize(
    ("tag", "says"),
    [(Tag("keywords"), "needs an expert"), (Tag("keywords", "sortr"), "unknown expert: 'sortr'")],
)
def test_an_expert_that_cannot_name_skills(build: Builder, tag: Tag, says: str) -> None:
    with pytest.raises(InputError, match=says):
        tagged(build.scripted("sorter"), tag, build.items(1)[0].question, WorkerPool())


# The ledger


def test_the_ledger_keeps_every_step(house: House, tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        outcomes = house.run(ledger=ledger)
        assert tuple(ledger.rows(RowKind.BRIEF)) == outcomes.briefs
        assert tuple(ledger.rows(RowKind.PLAN)) == outcomes.plans
        assert tuple(ledger.rows(RowKind.BALLOT)) == outcomes.ballots
        assert tuple(ledger.rows(RowKind.DECISION)) == outcomes.decisions
        assert list(ledger.rows(RowKind.ANSWER)) == [
            answer for row in outcomes.rows.values() for answer in row.values()
        ]
        assert ledger.count(RowKind.GENERATION) == outcomes.counts.calls


def test_failures_of_a_whole_stage_stay_unless_they_are_tried_again(
    build: Builder, tmp_path: Path
) -> None:
    question = build.items(1)[0].question
    roster = build.scripted("a", "b", "c")
    source = build.pipeline_file(
        route="all", vote="majority", generate={"draft": {"tolerance": 1.0}}
    )

    def broken(request: Request) -> str:
        raise TimeoutError

    def decided(b: Script, retry: bool = False) -> tuple[str | None, int]:
        scripts: dict[str, Script] = {"a": lambda r: "A", "b": b, "c": b}
        scripts["a"] = lambda r: "The answer is (A)."
        pipeline = Pipeline.load(source, roster=roster, workers=WorkerPool(scripts))
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            batch = asyncio.run(pipeline.run([question], ledger=ledger, retry_failed=retry))
            decision = batch.decisions[0]
            assert list(ledger.rows(RowKind.DECISION)) == [decision]
            return decision.value, ledger.count(RowKind.FAILURE)

    assert decided(broken) == ("A", 2)
    assert decided(lambda r: "The answer is (B).") == ("A", 2)
    assert decided(lambda r: "The answer is (B).", retry=True) == ("B", 0)
    assert decided(broken) == ("B", 0)  # nothing is asked again


def test_failures_of_an_unfinished_block_are_asked_again(build: Builder, tmp_path: Path) -> None:
    asked = [item.question for item in build.items(4)]
    roster = build.scripted("a", "b")
    source = build.pipeline_file(
        route="all", vote="majority", generate={"draft": {"tolerance": 1.0}}
    )
    broken = True

    def says(request: Request) -> str:
        if request.question_id == asked[2].id and request.expert == "a" and broken:
            raise KeyboardInterrupt
        if request.expert == "b" and broken:
            raise TimeoutError
        return "The answer is (B)."

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        pipeline = Pipeline.load(source, roster=roster, workers=WorkerPool({"a": says, "b": says}))
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(pipeline.run(asked, ledger=ledger, block=2))
        assert ledger.count(RowKind.FAILURE) > 2
        broken = False
        batch = asyncio.run(pipeline.run(asked, ledger=ledger, block=2))
    silent = [draft.expert for row in batch.drafts for draft in row if draft.value is None]
    assert silent == ["b", "b"]  # those of the first block, which was whole


def test_sampling_with_replacement_replays_each_sample(build: Builder) -> None:
    items = build.items(40)
    path = build.recordings(build.rows(items, {"a": 0.5}, samples=2))
    roster = build.recorded(path, "a")
    source = build.pipeline_file(
        route={"posterior": {"seats": 3, "replacement": True, "fit": False}}, vote="majority"
    )
    outcomes = asyncio.run(
        Pipeline.load(source, roster=roster).run([item.question for item in items])
    )
    reasons = {
        (seat.sample, answer.absence)
        for row in outcomes.rows.values()
        for seat, answer in row.items()
    }
    assert reasons == {(0, None), (1, None), (2, "not_recorded")}
    values = [{answer.value for answer in row.values()} for row in outcomes.rows.values()]
    assert any(len(each - {None}) == 2 for each in values)  # samples differ


def test_a_resumed_run_does_not_ask_for_keywords_again(tmp_path: Path) -> None:
    asked: list[str] = []

    def script(request: Request) -> str:
        asked.append(request.stage)
        return "Keywords: algebra" if request.stage == "tag" else "The answer is (A)."

    expert = Expert("e", "m", worker="scripted", sampling=Sampling(temperature=0.7))
    pipeline = Pipeline.load(
        "majority",
        roster=Roster.of(expert),
        workers=WorkerPool({"e": script}),
        overrides=["tag={keywords: e}"],
    )
    question = Question("q", "Solve x + 1 = 2.", ("1", "2"))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        first = asyncio.run(pipeline.run([question], ledger=ledger))
        calls = len(asked)
        again = asyncio.run(pipeline.run([question], ledger=ledger))
    assert first.briefs[0].skills == again.briefs[0].skills == (("algebra", 1.0),)
    assert asked.count("tag") == 5
    assert len(asked) == calls


@pytest.mark.slow
def test_one_question_at_a_time_is_judged_by_earlier_ones_each_counted_once(
    build: Builder,
) -> None:
    """Six honest experts and two that turn: asked again and again, nothing swings."""
    items = build.items(120)
    shares = {f"e{i}": 0.75 for i in range(6)}
    by_id = {item.question.id: item for item in items}
    lying: list[bool] = [False]

    def turned(name: str) -> Script:
        def script(request: Request) -> str:
            item = by_id[request.question_id]
            if not lying[0]:
                return build.said(item, name, 0.75)
            return f"The answer is ({'A' if item.gold != 'A' else 'B'})."

        return script

    scripts = {**build.scripts(items, shares), "x": turned("x"), "y": turned("y")}
    roster = build.scripted(*scripts)
    workers = WorkerPool(scripts)
    table = asyncio.run(profile_experts(roster, items[:80], workers=workers))
    lying[0] = True
    pipeline = Pipeline.load(
        "robust", roster=roster, table=table, workers=workers, overrides=["route=all"]
    )

    async def ask() -> list[Decision]:
        return [await pipeline.answer(item.question) for item in items[80:]]

    asyncio.run(ask())
    again = asyncio.run(ask())
    last = asyncio.run(ask())
    assert [each.value for each in again] == [each.value for each in last]
    right = sum(d.value == item.gold for d, item in zip(last, items[80:], strict=True))
    batch = asyncio.run(pipeline.run([item.question for item in items[80:]]))
    assert {each.expert for each in batch.trust.suspects} == {"x", "y"}
    assert right >= sum(d.value == i.gold for d, i in zip(batch.decisions, items[80:], strict=True))
    assert replace(pipeline, seed=1).history.before("") == ()
