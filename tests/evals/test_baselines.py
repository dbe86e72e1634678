"""The arms of a report: by hand on three questions, and beside the pipelines that they are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.evals import Item, evaluate_run, profile_experts
from orchestra.evals.baselines import Arms, best_single
from orchestra.evals.statistics import wilson
from orchestra.pipeline import Batch, Pipeline, WorkerPool, load_spec
from orchestra.records import (
    Absence,
    Answer,
    Brief,
    Draft,
    Kind,
    Mark,
    Outcome,
    Plan,
    Question,
    Seat,
)
from orchestra.routing import Pool
from orchestra.skills import RecruitmentTable

if TYPE_CHECKING:
    from tests.conftest import Builder

GOLD = "r"
PRIOR = {"a": 0.6, "b": 0.5, "c": 0.4}
# expert -> what it answers to questions 1, 2, 3; r is right, None absent
SAYS: Mapping[str, Sequence[str | None]] = {
    "a": ["r", "x", None],
    "b": ["x", "r", "r"],
    "c": ["r", "r", "y"],
}
IDS = ["1", "2", "3"]


def draft(each: str, expert: str, value: str | None, sample: int = 0) -> Draft:
    absence = None if value else Absence.UNPARSED
    answer = Answer(each, expert, value, absence, sample=sample)
    return Draft(Seat(expert, 1.0, "", sample, PRIOR.get(expert)), answer, tokens=10)


def table_of(prior: Mapping[str, float]) -> RecruitmentTable:
    """A profile of ten questions on which the experts had these shares."""
    briefs = [Brief(f"p{i}", (("s", 1.0),), "test") for i in range(10)]
    outcomes = (Outcome.WRONG, Outcome.CORRECT)
    marks = [
        Mark(brief.question_id, name, outcomes[i < 10 * share], GOLD if i < 10 * share else "x")
        for name, share in prior.items()
        for i, brief in enumerate(briefs)
    ]
    return RecruitmentTable.build(briefs, marks, experts=list(prior))


def arms(
    seated: Sequence[str] = ("ab", "ab", "ab"),
    says: Mapping[str, Sequence[str | None]] = SAYS,
    *,
    prior: Mapping[str, float] = PRIOR,
    samples: Mapping[str, Sequence[str | None]] | None = None,
    hidden: str = "",
) -> Arms:
    """`hidden` experts are live: only what the pipeline asked is known of them."""
    questions = tuple(Question(each, "?", kind=Kind.TEXT) for each in IDS)
    drafts = [
        tuple(draft(each, name, says[name][i]) for name in seated[i]) for i, each in enumerate(IDS)
    ]
    plans = [
        Plan(each, tuple(d.seat for d in row), "test", 0)
        for each, row in zip(IDS, drafts, strict=True)
    ]
    extra = {
        each: [draft(each, name, row[i]) for name, row in says.items() if name not in hidden]
        + [draft(each, "a", value, n) for n, value in enumerate((samples or {}).get(each, ()))]
        for i, each in enumerate(IDS)
    }
    briefs = tuple(Brief(each, (("s", 1.0),), "test") for each in IDS)
    return Arms(
        Batch(questions, briefs, tuple(plans), tuple(drafts)),
        {question.id: Item(question, GOLD) for question in questions},
        extra,
        Pool(tuple(says), table_of({name: prior[name] for name in says}) if prior else None),
        0,
        range(len((samples or {}).get("1", ()))),
    )


def shares(found: Arms) -> dict[str, float]:
    return {name: round(arm.accuracy * 3, 3) for name, arm in found.all().items()}


def test_by_hand() -> None:
    told = shares(arms())
    random = told.pop("random_k")
    assert random in (0, 1, 2, 3)
    assert told == {
        "best_single": 1,  # a: right on 1
        "best_single_hindsight": 2,  # b or c
        "majority_same_seats": 2,  # 1: r of a over x of b, a being better; 2: x of a; 3: r
        "majority_all": 3,  # 1: r; 2: r; 3: r against y, b being better than c
        "oracle_seats": 3,
        "oracle_all": 3,
    }


def test_on_some_questions() -> None:
    found = arms()
    part = found.on({"1", "3", "other"})
    assert set(part) == set(found.all())
    assert part["oracle_all"].accuracy == 1.0
    assert part["oracle_seats"].accuracy == 1.0
    assert part["best_single"].accuracy == 0.5
    assert part["best_single"].calls_per_question == 1
    assert found.on({"other"}) == {}
    assert found.on(set(IDS)) == found.all()


def test_cost_and_interval() -> None:
    found = arms(("ab", "b", "abc")).all()
    assert (found["best_single"].calls_per_question, found["best_single"].tokens) == (1, 30)
    assert (found["majority_same_seats"].calls_per_question, found["oracle_seats"].tokens) == (
        2,
        60,
    )
    assert (found["majority_all"].calls_per_question, found["oracle_all"].tokens) == (3, 90)
    assert found["random_k"].calls_per_question == 2
    assert found["best_single"].interval == wilson(1, 3)


def test_a_tie_goes_to_the_better_supporter_not_to_the_first() -> None:
    says = {"a": ["r"] * 3, "b": ["x"] * 3}
    assert shares(arms(("ba",) * 3, says, prior={"a": 0.6, "b": 0.5}))["majority_all"] == 3
    assert shares(arms(("ab",) * 3, says, prior={"a": 0.5, "b": 0.6}))["majority_all"] == 0


def test_values_that_are_marked_alike_count_apart() -> None:
    # 0.5 and 1/2 may both be right, but only equal values are votes for one thing.
    says: dict[str, list[str | None]] = {"a": ["x"] * 3, "b": ["x"] * 3, "c": ["r"] * 3}
    assert shares(arms(("abc",) * 3, says))["majority_same_seats"] == 0


def test_without_a_profile_there_is_no_best_single() -> None:
    assert "best_single" not in arms(prior={}).all()
    assert "best_single_hindsight" in arms(prior={}).all()


def test_a_live_expert_that_was_not_always_asked_keeps_the_pool_from_its_arms() -> None:
    told = arms(("ab", "ab", "b"), hidden="a").all()
    assert set(told) == {"majority_same_seats", "oracle_seats"}


def test_a_live_expert_that_was_always_asked_does_not() -> None:
    assert "oracle_all" in arms(("ab", "ab", "ab"), hidden="a").all()


def test_the_best_single_is_not_another_because_the_best_is_live() -> None:
    assert "best_single" not in arms(("b", "b", "b"), hidden="a").all()
    assert "best_single" in arms(("ab", "ab", "ab"), hidden="ac").all()


def test_self_consistency() -> None:
    samples: dict[str, list[str | None]] = {
        "1": ["r", "x", "x"],
        "2": ["x", "r", "r"],
        "3": [None, "r", None],
    }
    found = arms(samples=samples).all()
    assert found["self_consistency_same_calls"].accuracy == pytest.approx(2 / 3, abs=1e-6)
    assert found["self_consistency_same_calls"].calls_per_question == 3
    assert "self_consistency_same_calls" not in arms().all()


def test_no_questions_no_arms() -> None:
    assert Arms(Batch(()), {}, {}, Pool(("a",)), 0).all() == {}


def test_best_single_is_the_first_of_equals() -> None:
    assert best_single(Pool(("a", "b", "c"), table_of({"a": 0.5, "b": 0.7, "c": 0.7}))) == "b"


answers = st.lists(st.sampled_from(["r", "x", "y", None]), min_size=3, max_size=3)


@settings(max_examples=20)
@given(
    st.fixed_dictionaries({name: answers for name in "abc"}),
    st.lists(st.sampled_from(["a", "b", "ab", "ca", "abc"]), min_size=3, max_size=3),
    st.integers(0, 3),
)
def test_an_oracle_is_never_beaten(
    says: dict[str, list[str | None]], seated: list[str], seed: int
) -> None:
    told = shares(arms(seated, says))
    assert told["oracle_all"] == max(told.values())
    assert told["oracle_seats"] >= told["majority_same_seats"]
    assert told["best_single_hindsight"] >= told["best_single"]


def test_the_oracle_knows_further_draws_of_an_expert() -> None:
    found = arms(("a",) * 3, {"a": [None] * 3})
    rows = tuple(
        (*row, draft(row[0].answer.question_id, "a", "r", 1)) for row in found.batch.drafts
    )
    batch = Batch(found.batch.questions, found.batch.briefs, found.batch.plans, rows)
    told = shares(Arms(batch, found.items, {}, found.pool, 0))
    assert (told["oracle_seats"], told["oracle_all"], told["majority_all"]) == (3, 3, 0)


# Arms beside the pipelines that they are

SKILLED = {"a": 0.5, "b": 0.45, "c": 0.55, "d": 0.4}


THREE = ("generate.calls=3", "route.seats=3", "route.fit=false")
PIPELINES: Mapping[str, tuple[str, Sequence[str]]] = {
    "best_single": ("single-best", ()),
    "majority_all": ("majority", ()),
    "random_k": ("majority", ("route={random: 3}",)),
    "majority_same_seats": ("orchestra", (*THREE, "vote=majority")),
}


def test_an_arm_is_the_pipeline_run_on_the_same_calls(build: Builder) -> None:
    profile, items = build.items(30, prefix="p"), build.items(45)
    workers = WorkerPool(build.scripts([*profile, *items], SKILLED, absent=0.15))
    roster = build.scripted(*SKILLED)
    table = asyncio.run(profile_experts(roster, profile, workers=workers))

    def report(source: str, overrides: Sequence[str]) -> Mapping[str, Any]:
        spec = load_spec(source, overrides=overrides)
        pipeline = Pipeline(spec, roster, workers, table, seed=3)
        return asyncio.run(evaluate_run(pipeline, items, None)).report

    told = report("orchestra", THREE)["arms"]
    for arm, (source, overrides) in PIPELINES.items():
        own = report(source, overrides)
        same = ("accuracy", "interval", "calls_per_question")
        assert {k: told[arm][k] for k in same} == {k: own[k] for k in same}, arm
        assert told[arm]["tokens"] == own["tokens"]["input"] + own["tokens"]["output"]
