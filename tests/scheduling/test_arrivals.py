from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.scheduling import Arrivals, CostModel, EngineCost, Machine, first_come_loads


def served(calls: str, sizes: dict[str, float | None], *devices: float | None) -> dict[str, int]:
    units = {name: EngineCost(1, 1, device_gib=gib) for name, gib in sizes.items()}
    arrivals = Arrivals(CostModel(units, Machine(devices or (None,))))
    for name in calls:
        arrivals.call(name)
    return dict(arrivals.comings)


SLOT: dict[str, float | None] = {"a": None, "b": None, "c": None}
GIB: dict[str, float | None] = {"a": 10.0, "b": 10.0, "c": 20.0}


@pytest.mark.parametrize(
    ("calls", "sizes", "devices", "comings"),
    [
        ("", SLOT, (None,), {}),
        ("aab", SLOT, (None,), {"a": 1, "b": 1}),
        ("abab", SLOT, (None,), {"a": 2, "b": 2}),
        ("abab", SLOT, (None, None), {"a": 1, "b": 1}),
        ("abcab", SLOT, (None, None), {"a": 2, "b": 2, "c": 1}),
        ("abacab", SLOT, (None, None), {"a": 1, "b": 2, "c": 1}),  # the latest used stays
        ("abab", GIB, (20.0,), {"a": 1, "b": 1}),
        ("abcab", GIB, (20.0,), {"a": 2, "b": 2, "c": 1}),
        ("abcab", GIB, (30.0, 10.0), {"a": 1, "b": 1, "c": 1}),  # as one device of 40
    ],
)
def test_comings(
    calls: str,
    sizes: dict[str, float | None],
    devices: tuple[float | None, ...],
    comings: dict[str, int],
) -> None:
    assert served(calls, sizes, *devices) == comings


@given(st.text("abc", max_size=40))
def test_one_slot_counts_what_serving_in_turn_counts(calls: str) -> None:
    assert sum(served(calls, SLOT).values()) == first_come_loads([calls])


def test_adapters_of_one_base_come_once() -> None:
    costs = CostModel({"a": EngineCost(1, 1)}, homes={"a": "a", "b": "a"})
    arrivals = Arrivals(costs)
    for name in "abab":
        arrivals.call(name)
    assert arrivals.comings == {"a": 1}


def test_a_thousand_questions_for_three_of_sixteen_by_zipf() -> None:
    """Serving in turn loads hundreds of times over: more memory helps, but not enough."""
    draw = Random("zipf")
    names = [f"m{i}" for i in range(16)]
    weights = [1 / rank for rank in range(1, 17)]
    counts = []
    for slots in (1, 4, 16):
        arrivals = Arrivals(
            CostModel({name: EngineCost(1, 0) for name in names}, Machine((None,) * slots))
        )
        for _ in range(1_000):
            asked: dict[str, None] = {}
            while len(asked) < 3:
                asked[draw.choices(names, weights)[0]] = None
            for name in asked:
                arrivals.call(name)
        counts.append(arrivals.comings.total())
    assert counts[0] > 2_000
    assert 1_000 < counts[1] < counts[0]
    assert counts[2] == 16
