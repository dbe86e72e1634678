"""Digests and request keys: equal for equal things, different for different ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.records import Message, Sampling
from orchestra.runs import digest, request_key

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates too: models and bad files produce them.
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Pair:
    second: int
    first: object


EQUAL = {
    "key order": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "tuple and list": ((1, (2,)), [1, [2]]),
    "dataclass and mapping": (Pair(2, "x"), {"first": "x", "second": 2}),
    "nested dataclass": ((Message("user", "hi"),), [{"role": "user", "content": "hi"}]),
    "enum and value": (Colour.RED, "red"),
    "enum as key": ({Colour.RED: 1}, {"red": 1}),
    "whole float and integer": (Sampling(temperature=0), Sampling(temperature=0.0)),
    "negative zero": (-0.0, 0),
    "the largest whole float that is exact": (2.0**53, 2**53),
    "read-only mapping": (MappingProxyType({"a": 1}), {"a": 1}),
    "array scalars": ([np.float64(0.5), np.int64(3), np.float32(0.5)], [0.5, 3, 0.5]),
}

DIFFERENT = [
    None,
    "",
    "None",
    0,
    "0",
    False,
    True,
    1,
    0.1,
    [],
    {},
    [1, 2],
    [2, 1],
    [[1], 2],
    {"a": 1},
    {"a": None},
    ["a", 1],
    2**53 + 2,
    2.0**53 + 2,
    2**64,
    float(2**64) + 2**20,
    "\ud800",
    "\ufffd",
    "\\ud800",
    Sampling(),
    Sampling(seed=0),
    Sampling(stop=("\n",)),
]

REFUSED = {
    "set": ({1, 2}, TypeError, "plain data"),
    "bytes": (b"x", TypeError, "plain data"),
    "class": (Pair, TypeError, "plain data"),
    "number as key": ({1: 2}, TypeError, "string keys"),
    "nan": ([float("nan")], ValueError, "finite"),
    "infinity": ({"a": float("-inf")}, ValueError, "finite"),
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_equal_values_have_one_digest(one: object, other: object) -> None:
    assert digest(one) == digest(other)


def test_different_values_have_different_digests() -> None:
    assert len({digest(value) for value in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize(("value", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_canonical_form_is_refused(
    value: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        digest(value)


@given(PLAIN)
def test_a_digest_is_32_hexadecimal_digits(value: object) -> None:
    found = digest(value)
    assert len(found) == 32
    assert set(found) <= set("0123456789abcdef")
    assert digest([value]) != found


def test_digests_do_not_move_between_versions() -> None:
    # A change here makes every ledger in the world stale: raise keys.SCHEMA with it.
    assert digest({"b": [1.5, None, True], "a": "é"}) == "682dc9d5b76ee365aeef4d8da81b5816"


PARTS: Mapping[str, object] = {
    "expert": digest("e"),
    "messages": digest("m"),
    "sampling": digest("s"),
    "stage": "generate",
    "layer": 0,
    "sample": 0,
}
OTHER: Mapping[str, object] = {
    "expert": digest("m"),
    "messages": digest("e"),
    "sampling": digest("t"),
    "stage": "judge",
    "layer": 1,
    "sample": 1,
}


def key_of(parts: Mapping[str, object]) -> str:
    return request_key(**parts)  # type: ignore[arg-type]


def test_every_part_of_a_request_counts() -> None:
    keys = [key_of(PARTS)] + [key_of({**PARTS, name: OTHER[name]}) for name in PARTS]
    swapped = key_of({**PARTS, "expert": PARTS["messages"], "messages": PARTS["expert"]})
    assert len({*keys, swapped}) == 8


def test_layer_and_sample_are_not_mixed_up() -> None:
    seen = {key_of({**PARTS, "layer": i, "sample": j}) for i in range(12) for j in range(12)}
    assert len(seen) == 144


def test_request_keys_do_not_move_between_versions() -> None:
    assert key_of(PARTS) == "3ed745384a150d08f229a14d3f93fb30"
