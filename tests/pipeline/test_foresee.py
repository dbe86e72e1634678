"""What is foreseen of stages that open an engine, on a machine that is described."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from orchestra.errors import InputError
from orchestra.pipeline import LocalWorkers, Pipeline, foresee
from orchestra.records import Brief, Kind, Question
from orchestra.roster import Expert, Roster
from orchestra.scheduling import Forecast, Machine

QUESTIONS = [Question(f"q{n}", f"How much is {n} + 1?", kind=Kind.NUMBER) for n in range(6)]


class Briefed(Pipeline):
    """Has its briefs already: nobody is asked for keywords."""

    async def brief(self, questions: Sequence[Question], **_: object) -> list[Brief]:
        return [Brief(question.id, (), "by hand") for question in questions]


def told(
    tag: str, *, strategy: str = "chain-of-thought", machine: Machine | None = None
) -> Forecast:
    roster = Roster(
        tuple(
            Expert(name, f"model-{name}", worker="scripted", memory_gib=gib, strategy=strategy)
            for name, gib in (("a", 30.0), ("b", 20.0), ("k", 10.0))
        )
    )
    workers = LocalWorkers({name: lambda request: "1" for name in roster.names})
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
def test_how_often_the_keyword_model_is_asked(strategy: str, runs: int) -> None:
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
