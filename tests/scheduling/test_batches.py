from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.records import Plan, Seat
from orchestra.scheduling import first_come_loads, next_expert, possible_turns


def seats(names: str) -> tuple[Seat, ...]:
    return tuple(Seat(name, 1.0, "because") for name in names)


def plan(question_id: str, asked: str, reserves: str = "") -> Plan:
    return Plan(question_id, seats(asked), "test", 0, reserves=seats(reserves))


@pytest.mark.parametrize(
    ("waiting", "turned_to", "chosen"),
    [
        ({"a": 1}, {}, "a"),
        ({"b": 1, "c": 9}, {}, "b"),
        ({"a": 0, "c": 1}, {}, "c"),
        ({"a": 5, "b": 1}, {"a": 1}, "b"),
        ({"a": 5, "b": 1}, {"a": 1, "b": 1}, "a"),
        ({"a": 5, "b": 1, "c": 1}, {"a": 3, "b": 2, "c": 1}, "c"),
        ({"a": 1}, {"a": 7, "b": 0}, "a"),
    ],
)
def test_next_expert(waiting: Mapping[str, int], turned_to: Mapping[str, int], chosen: str) -> None:
    assert next_expert(waiting, turned_to, "abc") == chosen


@pytest.mark.parametrize(
    ("plans", "used", "calls", "turns"),
    [
        ([], {}, 5, {}),
        ([plan("q", "a", "bcd")], {}, 3, {"b": 1, "c": 1}),
        ([plan("q", "a", "bcd")], {"q": 1}, 3, {"c": 1}),
        ([plan("q", "a", "bcd")], {"q": 2}, 3, {}),
        ([plan("q", "a", "bcd")], {}, 9, {"b": 1, "c": 1, "d": 1}),
        ([plan("q", "abc", "d")], {}, 3, {}),
        ([plan("q", "abc", "d")], {}, 2, {}),
        ([plan("q", "a", "bc"), plan("r", "b", "ca")], {"r": 1}, 3, {"a": 1, "b": 1, "c": 1}),
        ([plan("q", "a", "b"), plan("r", "c", "b")], {}, 2, {"b": 2}),
    ],
)
def test_possible_turns(
    plans: Sequence[Plan], used: Mapping[str, int], calls: int, turns: Mapping[str, int]
) -> None:
    assert possible_turns(plans, used, calls) == turns


@pytest.mark.parametrize(
    ("asked", "loads"),
    [([], 0), ([""], 0), (["a"], 1), (["ab", "ab"], 4), (["ab", "ba"], 3), (["aa", "a"], 1)],
)
def test_first_come_loads(asked: Sequence[str], loads: int) -> None:
    assert first_come_loads(asked) == loads


def served(
    plans: Sequence[Plan], order: str, absent: frozenset[tuple[str, str]], calls: int
) -> tuple[list[str], dict[str, list[str]]]:
    """The loads in their order, and who was asked for each question, all as a run would."""
    waiting = {
        name: [each for each in plans for seat in each.seats if seat.expert == name]
        for name in order
    }
    unsettled = Counter({p.question_id: len(p.seats) for p in plans})
    used: Counter[str] = Counter()
    loads: list[str] = []
    asked: dict[str, list[str]] = {p.question_id: [] for p in plans}
    while any(waiting.values()):
        turns = possible_turns([p for p in plans if unsettled[p.question_id]], used, calls)
        name = next_expert({each: len(row) for each, row in waiting.items()}, turns, order)
        loads.append(name)
        batch, waiting[name] = waiting[name], []
        for each in batch:
            key = each.question_id
            unsettled[key] -= 1
            asked[key].append(name)
            spare = each.reserves[used[key] : max(calls - len(each.seats), 0)]
            if (key, name) in absent and spare:
                used[key] += 1
                unsettled[key] += 1
                waiting[spare[0].expert].append(each)
    return loads, asked


orders = st.permutations("abcde")
rosters = st.lists(st.tuples(orders, st.integers(1, 4)), min_size=1, max_size=8)


@given(rosters)
def test_without_absences_each_expert_is_loaded_once(drawn: list[tuple[list[str], int]]) -> None:
    plans = [
        plan(f"q{i}", "".join(names[:size]), "".join(names[size:]))
        for i, (names, size) in enumerate(drawn)
    ]
    loads, asked = served(plans, "abcde", frozenset(), calls=5)
    assert sorted(loads) == sorted({seat.expert for each in plans for seat in each.seats})
    for each in plans:
        assert sorted(asked[each.question_id]) == sorted(seat.expert for seat in each.seats)


@given(
    rosters,
    st.sets(st.tuples(st.sampled_from([f"q{i}" for i in range(8)]), st.sampled_from("abcde"))),
)
def test_with_absences_nobody_is_asked_twice_and_calls_are_kept_to(
    drawn: list[tuple[list[str], int]], absent: set[tuple[str, str]]
) -> None:
    plans = [
        plan(f"q{i}", "".join(names[:size]), "".join(names[size:]))
        for i, (names, size) in enumerate(drawn)
    ]
    loads, asked = served(plans, "abcde", frozenset(absent), calls=4)
    assert all(len(set(row)) == len(row) <= 4 for row in asked.values())
    assert set(loads) == {name for row in asked.values() for name in row}


def test_experts_that_others_turn_to_are_loaded_last() -> None:
    """One order of reserves, as for a single skill: every expert is loaded once all the same."""
    plans = [plan(f"q{i}", "abc", "de") for i in range(4)]
    absent = frozenset({("q0", "a"), ("q0", "d"), ("q1", "c"), ("q3", "b")})
    loads, _ = served(plans, "edcba", absent, calls=5)
    assert sorted(loads) == list("abcde")
