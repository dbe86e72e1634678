"""A run tried again: its own settings change nothing, and what was never said counts nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from orchestra.errors import InputError
from orchestra.evals import evaluate_run, open_finished, profile_experts, replay
from orchestra.evals.finished import spec_of
from orchestra.evals.items import Item, write_items
from orchestra.evals.known import halves
from orchestra.evals.replay import decided, room_of
from orchestra.evals.variants import Variant, grid
from orchestra.pipeline import Pipeline, WorkerPool, load_spec
from orchestra.roster import Roster, yaml_text
from orchestra.runs import RowKind
from orchestra.skills import write_table

if TYPE_CHECKING:
    from tests.conftest import Builder

SHARES = {"a": 0.8, "b": 0.7, "c": 0.65, "d": 0.5}
PIPELINES: dict[str, dict[str, Any]] = {
    "fixed weights": {"route": {"posterior": {"seats": 3, "reserves": 1}}, "vote": "weighted"},
    "learns": {"route": {"posterior": {"seats": 3, "fit": False}}, "vote": "robust"},
    "replaces": {
        "route": {"posterior": {"seats": 2, "fit": False, "reserves": 2}},
        "generate": {"draft": {"calls": 4, "next_if_absent": True}},
        "vote": "one-coin",
    },
    "other rules": {"route": "all", "generate": {"draft": {"read": "lenient"}}, "vote": "majority"},
}


def finished(build: Builder, *, recorded: bool = True, **stages: Any) -> Path:
    """A finished run of 60 questions, with everything at hand that it was made of."""
    items = build.items(100)
    folder = build.folder
    if recorded:
        roster = build.recorded(build.recordings(build.rows(items, SHARES, absent=0.1)), *SHARES)
        workers = WorkerPool()
    else:
        roster = build.scripted(*SHARES)
        workers = WorkerPool(build.scripts(items, SHARES, absent=0.1))
    table = asyncio.run(profile_experts(roster, items[:40], workers=workers))
    write_table(table, folder / "table.json")
    write_items(folder / "items.jsonl", items[40:])
    entries = [
        {"name": e.name, "model": e.model, "worker": e.worker, "recordings": str(e.recordings)}
        if recorded
        else {"name": e.name, "model": e.model, "worker": e.worker}
        for e in roster
    ]
    (folder / "roster.yaml").write_bytes(orjson.dumps({"schema": 1, "experts": entries}))
    pipeline = Pipeline.load(
        build.pipeline_file(**stages), roster=roster, table=table, workers=workers, seed=3
    )
    details = {name.split(".")[0]: str(folder / name) for name in ("items.jsonl", "table.json")}
    details["roster"] = str(folder / "roster.yaml")
    asyncio.run(evaluate_run(pipeline, items[40:], folder / "run", details=details))
    return folder / "run"


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("name", PIPELINES)
def test_the_runs_own_settings_decide_as_the_run_did(
    build: Builder, name: str, recorded: bool
) -> None:
    run = finished(build, recorded=recorded, **PIPELINES[name])
    with open_finished(run) as view:
        own = Variant("own", (), spec_of(view), 3)
        room = room_of(view, own.spec, variants=[own])
        [(batch, lack)] = decided(room, [own], confident=True)
        for kind, column in (
            (RowKind.PLAN, batch.plans),
            (RowKind.BALLOT, batch.ballots),
            (RowKind.DECISION, batch.decisions),
            (RowKind.ANSWER, tuple(batch.answers.values())),
        ):
            assert sorted(map(repr, view.ledger.rows(kind))) == sorted(map(repr, column))
        report = view.read_report()
    assert not lack.questions
    assert any(each.confidence is not None for each in batch.decisions)
    told = replay(run)
    row = told["variants"][0]
    assert told["differing"] == 0
    assert row["accuracy"] == report["accuracy"]
    assert row["calls"] == pytest.approx(report["calls_per_question"], abs=1e-4)
    tokens = report["tokens"]["input"] + report["tokens"]["output"]
    assert row["tokens"] == pytest.approx(tokens / 60, abs=0.01)


def test_what_needs_another_call_is_left_out(build: Builder) -> None:
    run = finished(build, recorded=False, **PIPELINES["fixed weights"])
    told = replay(run, ["route={posterior: {seats: 1}},all", "vote=majority,weighted"])
    rows = {row["name"]: row for row in told["variants"]}
    lacking = {name: row["lacking"] for name, row in rows.items() if row["lacking"]}
    assert set(lacking) == {"mine route=all vote=majority", "mine route=all vote=weighted"}
    assert all(0 < each["questions"] <= 60 and each["calls"] for each in lacking.values())
    assert all("accuracy" not in rows[name] for name in lacking)
    assert told["tried"] == len(rows) - 2
    assert told["winner"]["tried"] == told["tried"]


def test_recorded_experts_are_free_to_read(build: Builder) -> None:
    run = finished(build, **PIPELINES["fixed weights"])
    told = replay(run, ["route=all,single-best"])
    assert [row["lacking"] for row in told["variants"]] == [None] * 3


@pytest.mark.slow
def test_the_winner_is_chosen_on_one_half_and_measured_on_the_other(build: Builder) -> None:
    run = finished(build, **PIPELINES["fixed weights"])
    settings = ["route.seats=1,2,3", "vote=majority,weighted,robust"]
    told = replay(run, settings)
    assert replay(run, settings, processes=2) == told
    winner = told["winner"]
    assert winner["chosen_on"]["n"] + winner["measured_on"]["n"] == told["n"] == 60
    assert winner["against_best_single"]["expert"] in SHARES
    low, high = winner["against_run"]["gain_interval"]
    assert low <= winner["against_run"]["gain"] <= high
    best = {row["accuracy"]: row["calls"] for row in told["variants"] if row["front"]["calls"]}
    assert sorted(best.values()) == [best[share] for share in sorted(best)]  # no free lunch
    assert not any(row["front"]["money"] for row in told["variants"])  # nobody knows a price


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["vote=majority,robsut"], "robsut"),
        (["route.seets=1,2"], "seets"),
        (["vote"], "not a setting with values"),
        (["vote=majority,"], "not a setting with values"),
        ([f"seed={','.join(map(str, range(6000)))}"], "6,000 variants are too many"),
    ],
)
def test_mistakes_are_named(build: Builder, settings: list[str], told: str) -> None:
    run = finished(build, **PIPELINES["fixed weights"])
    with pytest.raises(InputError, match=told):
        replay(run, settings)


def test_a_missing_table_is_said(build: Builder) -> None:
    run = finished(build, **PIPELINES["fixed weights"])
    (build.folder / "table.json").unlink()
    with pytest.raises(InputError, match="recruitment table, which the run rests on"):
        replay(run)


def test_a_combination_that_cannot_be_built_is_listed_beside_those_that_can() -> None:
    bases = {"robust-f1": partial(_shipped, "robust-f1")}
    made = grid(bases, ["vote=majority,{robust: {faults: 1}}", "vote.faults=0,1"], seed=0)
    assert [each.name for each in made.variants] == [
        "robust-f1 vote={robust: {faults: 1}} vote.faults=0",
        "robust-f1 vote={robust: {faults: 1}} vote.faults=1",
    ]
    assert len(made.impossible) == 2
    assert all("faults" in why for why in made.impossible.values())


def _shipped(name: str, settings: Sequence[str]) -> Any:
    return load_spec(name, overrides=settings)


def test_halves_are_balanced_and_stable(build: Builder) -> None:
    items = build.items(31)
    first, second = halves(items, seed=0, purpose="x")
    assert sorted(first + second) == list(range(31))
    assert abs(len(first) - len(second)) <= 1
    for category in ("algebra", "biology", "law"):
        counts = [sum(_at(items, place) == category for place in half) for half in (first, second)]
        assert abs(counts[0] - counts[1]) <= 1
    turned, _ = halves(items[::-1], seed=0, purpose="x")
    assert {30 - place for place in turned} == set(first)
    assert halves(items, seed=1, purpose="x") != (first, second)


def _at(items: Sequence[Item], place: int) -> str:
    return items[place].question.category


def test_a_room_needs_no_roster(build: Builder) -> None:
    run = finished(build, **PIPELINES["fixed weights"])
    (build.folder / "roster.yaml").unlink()
    told = replay(run, ["route=all", "vote=majority"])
    assert told["differing"] == 0
    assert told["variants"][1]["lacking"]["questions"] > 0


def test_what_an_aggregator_said_is_known_and_what_it_never_said_lacks(build: Builder) -> None:
    items = build.items(20)
    experts = [
        {"name": name, "model": name, "worker": "scripted", "roles": [role]}
        for name, role in (("a", "answer"), ("b", "answer"), ("chair", "synthesise"))
    ]
    (build.folder / "roster.yaml").write_text(yaml_text({"schema": 1, "experts": experts}))
    roster = Roster.load(build.folder / "roster.yaml")
    workers = WorkerPool(build.scripts(items, {"a": 0.8, "b": 0.5, "chair": 0.9}))
    write_items(build.folder / "items.jsonl", items)
    source = build.pipeline_file(route="all", vote="majority", synthesise={"moa": "chair"})
    pipeline = Pipeline.load(source, roster=roster, workers=workers)
    details = {
        "items": str(build.folder / "items.jsonl"),
        "roster": str(build.folder / "roster.yaml"),
    }
    report = asyncio.run(
        evaluate_run(pipeline, items, build.folder / "run", details=details)
    ).report
    told = replay(
        build.folder / "run",
        ["synthesise={moa: chair},{moa: {aggregator: chair, oblivious: true}},none"],
        workers=WorkerPool(build.scripts(items, {"chair": 0.9})),
    )
    own, otherwise, none = told["variants"]
    assert (told["differing"], own["accuracy"], own["calls"]) == (0, report["accuracy"], 3)
    assert otherwise["lacking"] == {"questions": 20, "calls": 20, "experts": {"chair": 20}}
    assert none["calls"] == 2
