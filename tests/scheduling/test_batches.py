"""First-come order, and the order of requests within a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.records import Message, Request, Sampling
from orchestra.scheduling import (
    Arrivals,
    CostModel,
    EngineCost,
    Machine,
    first_come_loads,
    longest_first,
)


@pytest.mark.parametrize(
    ("asked", "loads"),
    [([], 0), ([""], 0), (["a"], 1), (["ab", "ab"], 4), (["ab", "ba"], 3), (["aa", "a"], 1)],
)
def test_first_come_loads(asked: Sequence[str], loads: int) -> None:
    assert first_come_loads(asked) == loads


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


def request(name: str, letters: int, most: int = 10_000) -> Request:
    asked = (Message("user", "x" * letters),)
    return Request(name, name, "a", "generate", asked, Sampling(max_tokens=most))


GIVEN = [request("p", 10), request("q", 30), request("r", 20), request("s", 30)]


@pytest.mark.parametrize(
    ("lengths", "order"),
    [
        ({}, "qsrp"),
        ({"p": 900.0, "q": 1.0, "r": 5.0, "s": 3.0}, "prsq"),
        ({"p": 40.0}, "qsrp"),  # four tokens a letter: q and s 120, r 80
        ({"q": 10.0}, "qsrp"),
        ({"q": 1.0, "s": 1.0}, "qsrp"),
        ({"p": 500.0, "q": 30.0}, "psrq"),  # 530 tokens for 40 letters
    ],
)
def test_the_longest_come_first(lengths: Mapping[str, float], order: str) -> None:
    assert "".join(each.key for each in longest_first(GIVEN, lengths)) == order


def test_nobody_is_expected_to_write_more_than_it_may() -> None:
    given = [request("p", 10, most=50), request("q", 10)]
    assert [each.key for each in longest_first(given, {"p": 900.0, "q": 60.0})] == ["q", "p"]


@given(
    st.lists(st.integers(0, 5), max_size=30), st.dictionaries(st.integers(0, 29), st.floats(0, 9))
)
def test_nothing_is_lost_and_equals_keep_their_order(
    letters: list[int], lengths: dict[int, float]
) -> None:
    given = [request(f"{i:02}", count) for i, count in enumerate(letters)]
    told = {f"{i:02}": length for i, length in lengths.items()}
    ordered = longest_first(given, told)
    assert sorted(each.key for each in ordered) == [each.key for each in given]
    alike = [each.key for each in longest_first([request(each.key, 3) for each in given])]
    assert alike == [each.key for each in given]
