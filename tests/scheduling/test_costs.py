from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.roster import Expert
from orchestra.scheduling import (
    CostModel,
    EngineCost,
    Figure,
    Machine,
    Unit,
    engine,
    estimate,
    figures,
    load_units,
)
from orchestra.scheduling.costs import ELSEWHERE, UNKNOWN, read

FIGURES = [Figure(2, 10, "", ""), Figure(4, 20, "", ""), Figure(4, 30, "", "")]


def expert(name: str, worker: Any = "vllm", **rest: Any) -> Expert:
    return Expert(name, rest.pop("model", "base"), worker=worker, **rest)


@pytest.mark.parametrize(
    ("gib", "value"),
    [(1, 10), (2, 10), (3, 17.5), (4, 25), (8, 50)],
    ids=["below", "measured", "between", "mean of two", "in proportion"],
)
def test_a_figure_is_read_off_those_that_were_measured(gib: float, value: float) -> None:
    assert read(FIGURES, gib) == value


def test_what_does_not_grow_stays_the_largest() -> None:
    assert read(FIGURES, 400, grows=False) == 25


def test_every_figure_says_where_it_is_from() -> None:
    for table in figures().values():
        for rows in table.values():
            assert rows
            assert all(row.source and row.gib > 0 and row.value >= 0 for row in rows)


def test_measured_models_cost_what_was_measured() -> None:
    found = engine(15.3)
    assert (found.sleep1, found.wake1, found.sleep2, found.wake2) == (10.57, 2.19, 0.31, 6.53)
    assert found.host1_gib == 22.0
    assert engine(1.1).cold == 37.6


def test_reading_and_writing_take_only_the_seconds_that_are_known() -> None:
    assert EngineCost(10, 1).work(1_000, 1_000) == 0
    assert EngineCost(10, 1, token_in=0.25, token_out=0.5).work(4, 6) == 4


def test_one_level_one_cycle_of_8b_costs_more_than_level_two_and_three_less() -> None:
    found = engine(15.3)
    assert found.away(1, 1) == pytest.approx(12.76)
    assert found.away(2, 1) == pytest.approx(6.84)
    one, two = found.away(1, 3), found.away(2, 3)
    assert one is not None
    assert two is not None
    assert one < two


@given(st.floats(0.5, 200), st.floats(0.5, 200))
def test_larger_models_are_never_cheaper(one: float, other: float) -> None:
    small, large = engine(min(one, other)), engine(max(one, other))
    for name in ("cold", "sleep1", "wake1", "sleep2", "wake2", "token_in", "token_out"):
        assert getattr(small, name) <= getattr(large, name) + 1e-9


@pytest.mark.parametrize(
    ("worker", "memory", "basis"),
    [
        ("vllm", 16.0, "extrapolated"),
        ("vllm", None, "unknown"),
        ("recorded", 16.0, "extrapolated"),
        ("recorded", None, "unknown"),
        ("local", 0.001, "extrapolated"),
        ("openai", 16.0, "elsewhere"),
        ("remote", None, "elsewhere"),
    ],
)
def test_what_an_estimate_rests_on(worker: str, memory: float | None, basis: str) -> None:
    assert estimate(expert("a", worker, memory_gib=memory)).basis == basis


def test_engines_without_a_sleep_only_exit() -> None:
    for cost in (UNKNOWN, ELSEWHERE, engine(0.001, kind="local"), engine(0.001, kind="cpu")):
        assert cost.away(1, 1) is None
        assert cost.away(2, 1) is None
    assert EngineCost(3, 1).away(0, 2) == 8


def test_adapters_of_one_base_are_one_unit() -> None:
    experts = [
        expert("plain"),
        expert("law", adapter="lora/law"),
        expert("other", model="elsewhere"),
        expert("med", adapter="lora/med"),
        expert("long", engine={"max_model_len": 9}),
        expert("r1", "recorded"),
        expert("r2", "recorded"),
    ]
    assert load_units(experts) == (
        Unit("plain", ("plain", "law", "med"), "base"),
        Unit("other", ("other",), "elsewhere"),
        Unit("long", ("long",), "base"),
        Unit("r1", ("r1",), "base"),
        Unit("r2", ("r2",), "base"),
    )
    costs = CostModel.of(experts)
    assert costs.unit("med") == "plain"
    assert costs.experts("plain") == ("plain", "law", "med")
    assert costs.experts("stranger") == ("stranger",)


def test_a_unit_needs_the_memory_of_its_largest() -> None:
    pair = [expert("a", memory_gib=8.0), expert("b", adapter="x", memory_gib=9.0)]
    assert CostModel.of(pair).units["a"].device_gib == 9.0


def test_an_unknown_device_holds_one_engine_at_a_time() -> None:
    costs = CostModel.of([expert("a", memory_gib=8.0)], Machine((None, 80.0)))
    assert [costs.size("a", 0) / costs.room(0), costs.size("a", 1)] == [1.0, 8.0]
    assert CostModel.of([expert("a")], Machine((80.0,))).size("a", 0) == 80.0


@pytest.mark.parametrize("wrong", [((), None), ((0.0,), None), ((None,), -1.0)])
def test_a_machine_has_devices_and_memory(wrong: tuple[Any, Any]) -> None:
    with pytest.raises(InputError, match="at least one device"):
        Machine(*wrong)
