"""What is foreseen of stages that open an engine, on a machine that is described."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from orchestra.errors import BudgetExhausted, InputError
from orchestra.pipeline import Pipeline, WorkerPool, foresee
from orchestra.records import Brief, Kind, Mark, Outcome, Question, Request, Sampling
from orchestra.roster import Expert, Limits, Price, Roster
from orchestra.roster.strategies import StrategyName
from orchestra.scheduling import Forecast, Machine
from orchestra.scheduling.intervals import predicted
from orchestra.skills import KeywordTagger, RecruitmentTable
from orchestra.skills.lengths import Lengths

QUESTIONS = [Question(f"q{n}", f"How much is {n} + 1?", kind=Kind.NUMBER) for n in range(6)]


class Briefed(Pipeline):
    """Has its briefs already: nobody is asked for keywords."""

    async def brief(self, questions: Sequence[Question], **_: object) -> list[Brief]:
        return [Brief(question.id, (), "by hand") for question in questions]


def told(
    tag: str, *, strategy: StrategyName = "chain-of-thought", machine: Machine | None = None
) -> Forecast:
    roster = Roster(
        tuple(
            Expert(name, f"model-{name}", worker="scripted", memory_gib=gib, strategy=strategy)
            for name, gib in (("a", 30.0), ("b", 20.0), ("k", 10.0))
        )
    )
    workers = WorkerPool({name: lambda request: "1" for name in roster.names})
    made = Pipeline.load("majority", roster=roster, workers=workers, overrides=[f"tag={tag}"])
    pipeline = Briefed(made.spec, made.roster, made.workers, made.table, made.seed)
    return asyncio.run(foresee(pipeline, QUESTIONS, machine=machine))


def visits(found: Forecast) -> list[tuple[str, str, str, str]]:
    assert found.order is not None
    return [(s.job.unit, s.job.stage, s.comes, s.leaves) for s in found.order.steps]


def test_every_seat_is_planned_and_every_expert_loaded_once() -> None:
    found = told("category")
    assert [unit for unit, *_ in visits(found)] == ["a", "b", "k"]
    assert (found.loads.loads, found.loads.lower_bound, found.loads.first_come) == (3, 3, 18)
    assert found.order is not None
    assert found.order.timed


def test_the_keyword_model_comes_first_and_stays_for_its_seats() -> None:
    found = told("{keywords: k}")
    assert visits(found)[:2] == [
        ("k", "tag", "cold", "stays"),
        ("k", "generate", "stays", "exit"),
    ]
    assert found.loads.loads == 3
    assert found.order is not None
    assert found.order.steps[0].job.requests == 5 * len(QUESTIONS)


@pytest.mark.parametrize(("strategy", "runs"), [("chain-of-thought", 5), ("plain", 1)])
def test_how_often_the_keyword_model_is_asked(strategy: StrategyName, runs: int) -> None:
    order = told("{keywords: k}", strategy=strategy).order
    assert order is not None
    assert order.steps[0].job.requests == runs * len(QUESTIONS)


def test_the_machine_decides_who_stays_together() -> None:
    found = told("category", machine=Machine((60.0,)))
    assert found.loads.first_come == 3  # all three fit: nobody ever leaves
    assert told("category", machine=Machine((40.0,))).loads.first_come > 3


def test_an_expert_that_fits_nowhere_is_an_error_of_the_user() -> None:
    with pytest.raises(InputError, match="expert `a` takes 30 GiB"):
        told("category", machine=Machine((20.0,)))


URL = "http://127.0.0.1:9/v1"
WROTE = Lengths(40, 100.0, 25.0, 200.0, 60.0, 2.0)


class Anybody(WorkerPool):
    """Nobody is asked, so everybody may be foreseen."""

    def check(self, roster: Iterable[Expert]) -> None:
        """Everybody may come."""


def hosted(
    *experts: Expert,
    lengths: Mapping[str, Lengths] | None = None,
    tag: str = "category",
    **prices: Price,
) -> Forecast:
    roster = Roster(experts)
    briefs = [Brief(f"p{n}", (("sums", 1.0),), "category") for n in range(20)]
    marks = [Mark(b.question_id, e.name, Outcome.CORRECT, "1") for b in briefs for e in roster]
    table = RecruitmentTable.build(
        briefs,
        marks,
        experts=roster.names,
        provenance={"tagger": "category"},
        lengths=lengths or {},
    )
    made = Pipeline.load(
        "majority", roster=roster, table=table, workers=Anybody(), overrides=[f"tag={tag}"]
    )
    pipeline = made
    if tag != "category":
        pipeline = Briefed(made.spec, made.roster, made.workers, made.table, made.seed)
    return asyncio.run(foresee(pipeline, QUESTIONS, prices=prices))


def served(name: str = "a", **fields: Any) -> Expert:
    return Expert(name, f"m-{name}", worker="openai", base_url=URL, **fields)


def test_what_a_table_knows_of_lengths_is_used() -> None:
    found = hosted(served(price=Price(1.0, 5.0)), lengths={"a": WROTE})
    (a,) = found.shares
    assert (a.output_tokens, a.ceiling) == (200 * len(QUESTIONS), False)
    assert a.output == predicted(200, 60, seen=40, draws=len(QUESTIONS))
    assert a.input_tokens == round(a.reads.usual)
    assert a.reads.high / a.reads.low == pytest.approx(1.1 / 0.9)  # as counted
    assert found.money is not None
    assert found.money.low < found.money.usual < found.money.high


def test_estimated_tokens_say_nothing_of_tokens_a_character() -> None:
    (a,) = hosted(served(), lengths={"a": replace(WROTE, estimated=True)}).shares
    assert a.reads.high / a.reads.low == pytest.approx(5 / 3)


def test_an_old_table_leaves_ceilings() -> None:
    found = hosted(served(sampling=Sampling(max_tokens=300)))
    assert found.output.ends == (len(QUESTIONS), 300 * len(QUESTIONS))
    assert found.shares[0].ceiling
    assert found.time is None  # neither limits nor seconds


@pytest.mark.parametrize(
    ("second", "seconds", "at_least", "bottleneck"),
    [
        (served("b", limits=Limits(concurrency=2)), 12.0, False, f"calls at once to {URL}"),
        (Expert("b", "m", worker="local", memory_gib=1.0), None, False, "the engines of this"),
        (Expert("b", "m", worker="scripted"), 6.0, True, f"calls at once to {URL}"),
    ],
)
def test_time_where_servers_take_part(
    second: Expert, seconds: float | None, at_least: bool, bottleneck: str
) -> None:
    lengths = {name: replace(WROTE, output_sd=0.001) for name in "ab"}
    found = hosted(served(limits=Limits(concurrency=2)), second, lengths=lengths).time
    assert found is not None
    assert found.at_least is at_least
    assert found.bottleneck.startswith(bottleneck)
    if seconds is not None:  # 12 calls of 2 s in 2 places, or 6 of them; one runs on
        assert found.seconds.usual == pytest.approx(seconds + 1.0, rel=0.01)


def test_hosted_experts_are_not_loaded() -> None:
    found = hosted(served(), Expert("b", "m", worker="local", memory_gib=1.0))
    assert [unit for unit, *_ in visits(found)] == ["b"]
    assert (found.loads.loads, found.loads.lower_bound, found.loads.first_come) == (1, 1, 1)
    alone = hosted(served())
    assert alone.order is None
    assert alone.loads.loads == 0


def test_engines_alone_are_timed_as_ever() -> None:
    assert told("category").time is None


def test_prices_from_elsewhere_are_for_whom_the_roster_gives_none() -> None:
    both = served("a", price=Price(1.0, 1.0)), served("b")
    lengths = {"a": WROTE, "b": WROTE}
    assert hosted(*both, lengths=lengths).money is None
    found = hosted(*both, lengths=lengths, a=Price(9.0, 9.0), b=Price(2.0, 2.0))
    a, b = (share.money for share in found.shares)
    assert a is not None
    assert b == pytest.approx(2 * a)


RUNS = 5 * len(QUESTIONS)


def test_a_hosted_keyword_model_is_in_every_sum() -> None:
    paid = served("k", price=Price(1.0, 5.0))
    lengths = {"k": WROTE}
    without, found = (
        hosted(paid, lengths=lengths),
        hosted(paid, lengths=lengths, tag="{keywords: k}"),
    )
    tag = found.tag
    assert without.tag is None
    assert tag is not None
    assert found.shares == without.shares
    assert found.calls == without.calls + RUNS == 6 * len(QUESTIONS)
    assert (tag.seats, tag.output_tokens, tag.ceiling) == (RUNS, 200 * RUNS, False)
    assert tag.output.ends == (RUNS, 4_096 * RUNS)  # nobody measured keywords
    asked = KeywordTagger("k").messages(None, QUESTIONS[0])
    letters = sum(len(each.content) for each in asked) * RUNS
    assert tag.reads.usual == pytest.approx(letters * 25 / 100)
    assert found.input.usual == pytest.approx(without.input.usual + tag.reads.usual)
    assert found.output.usual == without.output.usual + tag.output.usual
    assert found.money is not None
    assert without.money is not None
    assert found.money.usual == pytest.approx(
        without.money.usual + (tag.reads.usual + 5 * 200 * RUNS) / 1e6
    )
    assert found.time is not None
    assert without.time is not None
    assert found.time.seconds.usual > without.time.seconds.usual + 2.0  # they come first
    assert found.loads.loads == 0


def test_of_an_old_table_a_keyword_model_has_its_ceiling() -> None:
    tag = hosted(served("k"), tag="{keywords: k}").tag
    assert tag is not None
    assert (tag.ceiling, tag.output_tokens) == (True, 4_096 * RUNS)
    plain = served("k", strategy="plain", sampling=Sampling(max_tokens=30))
    tag = hosted(plain, tag="{keywords: k}").tag
    assert tag is not None
    assert (tag.seats, tag.output_tokens) == (len(QUESTIONS), 30 * len(QUESTIONS))


def test_an_unpriced_keyword_model_makes_money_unknown() -> None:
    both = served("a", price=Price(1.0, 1.0)), served("k")
    assert hosted(*both, tag="{keywords: k}").money is None


@pytest.mark.parametrize(("calls", "enough"), [(5 * len(QUESTIONS), True), (7, False)])
def test_naming_skills_costs_no_more_than_the_budget(calls: int, enough: bool) -> None:
    asked: list[str] = []

    def reply(request: Request) -> str:
        asked.append(request.stage)
        return "Keywords: sums"

    roster = Roster((Expert("k", "m", worker="scripted"),))
    pipeline = Pipeline.load(
        "majority",
        roster=roster,
        workers=WorkerPool({"k": reply}),
        overrides=["tag={keywords: k}", f"budget.calls={calls}"],
    )
    if enough:
        assert asyncio.run(foresee(pipeline, QUESTIONS)).calls == 6 * len(QUESTIONS)
    else:
        with pytest.raises(BudgetExhausted, match=r"budget\.calls"):
            asyncio.run(foresee(pipeline, QUESTIONS))
    assert asked == ["tag"] * calls
