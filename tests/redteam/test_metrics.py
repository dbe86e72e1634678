"""Metrics and the recommendation, against trials that were counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestra.evals import Item
from orchestra.pipeline.stages.synthesise import Synthesise
from orchestra.records import Certificate, Question, Suspicion, Trust
from orchestra.redteam import attacks_of
from orchestra.redteam.defences import Defence
from orchestra.redteam.inject import Reason
from orchestra.redteam.metrics import Metrics
from orchestra.redteam.recommend import failed_attacks, honest_part, recommend
from orchestra.redteam.sweep import Condition, Decided, Trial, Values
from orchestra.voting import Majority, Robust, Weighted

ITEMS = [Item(Question(f"q{i}", "Which?", ("one", "two", "three")), "A") for i in range(4)]
WEIGHTED = Defence("weighted", "vote=weighted", Weighted())
MAJORITY = Defence("majority", "vote=majority", Majority())
ROBUST = Defence("robust", "vote=robust", Robust())
DEFENCES = [WEIGHTED, MAJORITY, ROBUST]
ATTACK = attacks_of(["promoter"])[0]
HOLDS = Certificate(2, 0.3, 2)
WEAK = Certificate(1, 0.1, 1)


def values(said: str) -> Values:
    """`AB-A`: one letter for each question, `-` for an abstention."""
    return tuple([None if letter == "-" else letter for letter in said])


def suspects(*names: str) -> Trust:
    return Trust(tuple(Suspicion(name, "changed", 6.0, 0.5, "evidence") for name in names))


def decided(said: str, trust: Trust | None = None, **more: Any) -> Decided:
    return Decided(values(said), 8, (HOLDS, HOLDS, HOLDS, WEAK), trust, **more)


def trial(
    seed: int, liar: str, said: dict[str, str], *, without: str, planted: str, named: str
) -> Trial:
    return Trial(
        Condition(ATTACK, 1, seed),
        (liar,),
        frozenset("abcd") - frozenset({"d"} if liar != "d" else ()),
        3,
        tuple(frozenset(letter.strip("-")) for letter in planted),
        values(without),
        {
            "weighted": decided(said["weighted"]),
            "majority": decided(said["majority"]),
            "robust": decided(said["robust"], suspects(*named), broken=seed),
        },
        kept=1.0 - seed / 2,
    )


HONEST = Trial(
    None,
    (),
    frozenset("abcd"),
    3,
    (frozenset(),) * 4,
    values("AAAC"),
    {
        "weighted": decided("AAAC"),
        "majority": decided("AABC"),
        "robust": decided("AACC", suspects("c")),
    },
)
TRIALS = [
    trial(
        0,
        "a",
        {"weighted": "BBAC", "majority": "BBBB", "robust": "ABAC"},
        without="AAAC",
        planted="BBBB",
        named="ac",
    ),
    trial(
        1,
        "b",
        {"weighted": "BAAC", "majority": "BBBB", "robust": "AA-C"},
        without="AA-C",
        planted="B--B",
        named="",
    ),
]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(ITEMS, HONEST, defences=DEFENCES, questions=4, seed=0)


def test_a_cell_by_hand(metrics: Metrics) -> None:
    cell = metrics.cell(ROBUST, TRIALS)
    assert cell["accuracy"] == 4 / 8  # A.A. and AA..
    assert cell["by_seed"] == [0.5, 0.5]
    assert cell["loss"] == 1 / 8  # without liars 3 and 2 of 4
    assert cell["loss_interval"][0] <= cell["loss"] <= cell["loss_interval"][1]
    assert cell["planted"] == 1 / 8  # the B of the first seed
    assert cell["attacked"] == 6 / 8
    assert cell["lies_kept"] == 0.75
    assert cell["liars_seated"] == 2
    # Weighted is wrong on q0 q1 q3 and on q0 q3: robust is right on q0, and on q0.
    assert (cell["recovery"], cell["recovery_n"]) == (2 / 5, 5)
    # Weighted is right on q0 q1 q2 of the honest panel: robust says B on q1 of the first seed.
    assert (cell["corruption"], cell["corruption_n"]) == (round(1 / 6, 6), 6)
    assert cell["abstained"] == 1 / 8
    assert cell["baseline"] == "weighted"
    # Without liars nobody comes to B of its own accord.
    assert cell["liars_removed"]["accuracy"] == 5 / 8
    assert cell["liars_removed"]["planted"] == 0
    assert cell["calls_per_question"] == 2
    assert cell["certificate"] == {
        "mean": 1.75,
        "everywhere": 1.75,
        "guaranteed": 0.75,
        "promised": 6,
        "violated": 1,
    }


def test_detection_counts_those_that_were_asked(metrics: Metrics) -> None:
    told = metrics.cell(ROBUST, TRIALS)["detection"]
    # a, b, c had seats under both seeds; of the first a is a liar and named, and c is accused.
    assert (told["liars"], told["named"], told["honest"], told["accused"]) == (2, 1, 4, 1)
    assert told["all_named"] == 0.5
    assert [(each["expert"], each["liar"]) for each in told["suspects"]] == [
        ("a", True),
        ("c", False),
    ]
    assert metrics.cell(WEIGHTED, TRIALS)["detection"] is None


def test_the_undefended_way_recovers_nothing_of_its_own(metrics: Metrics) -> None:
    cell = metrics.cell(WEIGHTED, TRIALS)
    assert cell["recovery"] == 0
    assert cell["corruption"] == 0.5  # q0 q1 of the first seed and q0 of the second, of six


def test_where_nobody_lies(metrics: Metrics) -> None:
    cell = metrics.cell(WEIGHTED, [HONEST])
    assert (cell["planted"], cell["lies_kept"], cell["liars_removed"]["planted"]) == (None,) * 3
    assert (cell["accuracy"], cell["loss"], cell["attacked"]) == (0.75, 0, 0)


def test_a_hundred_seeds_that_say_the_same_are_no_more_than_one(metrics: Metrics) -> None:
    told = metrics.cell(MAJORITY, [HONEST] * 100)
    low, high = told["interval"]
    assert high - low > 0.5


def test_a_defence_of_a_moa_is_held_against_the_moa() -> None:
    moa = Defence("moa", "", merging=Synthesise("moa"))
    guarded = Defence("cluster-filter", "", merging=Synthesise("moa", defence="cluster-filter"))
    defences: dict[str, list[Defence]] = {"moa": [moa, guarded], "weighted": [WEIGHTED, guarded]}
    for name, compared in defences.items():
        metrics = Metrics(ITEMS, HONEST, defences=compared, questions=4, seed=0)
        assert metrics.baseline(guarded) == name
        assert metrics.baseline(WEIGHTED) == "weighted"


def test_the_price_on_an_honest_panel(metrics: Metrics) -> None:
    told = honest_part(metrics, DEFENCES, declared=1)
    assert (told["best_undefended"], told["accuracy"]) == ("weighted", 0.75)
    prices = {name: row["price"] for name, row in told["defences"].items()}
    assert prices == {"weighted": 0, "majority": 0.25, "robust": 0.25}
    assert told["defences"]["robust"]["guaranteed"] == 0.75
    assert told["defences"]["robust"]["detection"]["accused"] == 1
    assert honest_part(metrics, DEFENCES, declared=2)["defences"]["robust"]["guaranteed"] == 0


def cell(defence: str, attack: str, faults: int, accuracy: float) -> dict[str, Any]:
    return {
        "defence": defence,
        "attack": attack,
        "faults": faults,
        "accuracy": accuracy,
        "interval": [accuracy, accuracy],
        "loss": 0.1,
        "loss_interval": [0.0, 0.2],
    }


CELLS = [
    *(cell(defence.name, "x", 0, 0.0) for defence in DEFENCES),
    *(cell("weighted", attack, n, a) for attack, n, a in [("x", 1, 0.6), ("y", 1, 0.5)]),
    *(cell("majority", attack, n, a) for attack, n, a in [("x", 1, 0.5), ("y", 1, 0.9)]),
    *(cell("robust", attack, n, a) for attack, n, a in [("x", 1, 0.4), ("y", 1, 0.9)]),
    *(cell("weighted", attack, n, a) for attack, n, a in [("x", 2, 0.1), ("y", 2, 0.5)]),
    *(cell("majority", attack, n, a) for attack, n, a in [("x", 2, 0.5), ("y", 2, 0.0)]),
    *(cell("robust", attack, n, a) for attack, n, a in [("x", 2, 0.3), ("y", 2, 0.3)]),
]


@pytest.mark.parametrize(
    ("declared", "defence", "attack", "accuracy"),
    [
        (0, "weighted", None, 0.75),
        (1, "weighted", "y", 0.5),  # as majority, and cheaper on an honest panel
        (2, "robust", "x", 0.3),
    ],
)
def test_the_best_at_its_worst(
    metrics: Metrics, declared: int, defence: str, attack: str | None, accuracy: float
) -> None:
    honest = honest_part(metrics, DEFENCES, declared=declared)
    told = recommend(CELLS, honest, DEFENCES, declared=declared, panel=5)
    assert (told["defence"], told["attack"], told["accuracy"]) == (defence, attack, accuracy)
    assert told["setting"] == f"vote={defence}"
    assert [row["accuracy"] for row in told["ranking"]] == sorted(
        (row["accuracy"] for row in told["ranking"]), reverse=True
    )


MUTE = [{**each, "lies_kept": 0.0 if each["attack"] == "y" else 0.5} for each in CELLS]


def test_an_attack_in_which_nobody_lied_counts_for_nothing(metrics: Metrics) -> None:
    honest = honest_part(metrics, DEFENCES, declared=2)
    told = recommend(MUTE, honest, DEFENCES, declared=2, panel=5)
    assert (told["defence"], told["attack"], told["accuracy"]) == ("majority", "x", 0.5)
    assert told["left_out"] == ["y by 1", "y by 2"]
    assert recommend(CELLS, honest, DEFENCES, declared=2, panel=5)["left_out"] == []


@pytest.mark.parametrize(("declared", "defence"), [(0, "weighted"), (1, None), (2, None)])
def test_nothing_is_recommended_where_nobody_lied(
    metrics: Metrics, declared: int, defence: str | None
) -> None:
    cells = [{**each, "lies_kept": 0.0} for each in CELLS]
    honest = honest_part(metrics, DEFENCES, declared=declared)
    told = recommend(cells, honest, DEFENCES, declared=declared, panel=5)
    usual = recommend(CELLS, honest, DEFENCES, declared=declared, panel=5)
    assert told.keys() == usual.keys()
    assert told["defence"] == defence
    assert (told["setting"] is None) is (told["reason"] is not None) is (defence is None)


def test_why_an_attack_failed_is_its_commonest_reason() -> None:
    crashes = (Reason("crash", each) for each in ("one", "three", "four"))
    reasons = (Reason("timeout", "slow", 3), Reason("crash", "two", 2), *crashes)
    mute = [replace(each, kept=0.0, reasons=reasons) for each in TRIALS]
    cells = [{"attack": "promoter", "faults": 1, "lies_kept": 0.0}]
    told = failed_attacks(cells, mute)
    assert told.keys() == {"promoter"}
    assert told["promoter"]["1"].endswith("16 calls of liars failed, most often crash: two")
    assert failed_attacks(cells, TRIALS)["promoter"]["1"].endswith("rests on it")
    assert (
        failed_attacks([{**cells[0], "lies_kept": 0.1}, {**cells[0], "lies_kept": None}], mute)
        == {}
    )


@pytest.mark.parametrize(
    ("declared", "panel", "warned"), [(0, 0, False), (1, 3, False), (1, 2, True), (2, 4, True)]
)
def test_half_of_a_panel_is_warned_about(
    metrics: Metrics, declared: int, panel: int, warned: bool
) -> None:
    honest = honest_part(metrics, DEFENCES, declared=declared)
    told = recommend(CELLS, honest, DEFENCES, declared=declared, panel=panel)
    assert (told["warning"] is not None) is warned
