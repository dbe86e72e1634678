"""Load order: each expert once where that can be, late where others may still turn to it."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from orchestra.records import Plan, Seat
from orchestra.scheduling import first_come_loads, next_expert, possible_turns

ORDER = ("a", "b", "c", "d")


def plan(name: str, seats: str, reserves: str = "") -> Plan:
    def seated(names: str) -> tuple[Seat, ...]:
        return tuple(Seat(each, 1.0, "") for each in names)

    return Plan(name, seated(seats), "test", 0, seated(reserves))


@pytest.mark.parametrize(
    ("waiting", "turned_to", "chosen"),
    [
        ({"a": 1, "b": 9}, {}, "a"),
        ({"a": 1, "b": 9}, {"a": 3}, "b"),
        ({"a": 1, "b": 9}, {"a": 3, "b": 3}, "a"),
        ({"a": 0, "c": 2, "b": 0}, {"c": 50}, "c"),
        ({"d": 1, "b": 1}, {"b": 1, "d": 0}, "d"),
    ],
)
def test_next_expert(waiting: dict[str, int], turned_to: dict[str, int], chosen: str) -> None:
    assert next_expert(waiting, turned_to, ORDER) == chosen


@pytest.mark.parametrize(
    ("used", "calls", "turns"),
    [
        ({}, 2, {}),
        ({}, 3, {"c": 1}),
        ({}, 4, {"c": 1, "d": 1}),
        ({"q": 1}, 4, {"d": 1}),
        ({"q": 2}, 4, {}),
        ({}, 99, {"c": 1, "d": 1}),
    ],
)
def test_possible_turns(used: dict[str, int], calls: int, turns: dict[str, int]) -> None:
    assert possible_turns([plan("q", "ab", "cd")], used, calls) == Counter(turns)


@pytest.mark.parametrize(
    ("asked", "loads"),
    [([], 0), ([[]], 0), (["ab", "ab"], 4), (["ab", "ba"], 3), (["a", "a", "a"], 1)],
)
def test_first_come_loads(asked: list[str], loads: int) -> None:
    assert first_come_loads(asked) == loads


@pytest.mark.parametrize("seed", range(20))
def test_without_absences_everybody_is_loaded_once(seed: int) -> None:
    draw = Random(seed)
    plans = [plan(f"q{i}", "".join(draw.sample(ORDER, draw.randint(1, 3)))) for i in range(30)]
    waiting = Counter(seat.expert for each in plans for seat in each.seats)
    loaded = []
    while any(waiting.values()):
        name = next_expert(waiting, possible_turns(plans, {}, 5), ORDER)
        loaded.append(name)
        waiting[name] = 0
    assert sorted(loaded) == sorted({seat.expert for each in plans for seat in each.seats})
