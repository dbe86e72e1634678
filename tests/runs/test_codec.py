"""Records survive being written and read, whatever a model put in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra import records
from orchestra.records import (
    Absence,
    Answer,
    Brief,
    Decision,
    Generation,
    Mark,
    Message,
    Outcome,
    Plan,
    Question,
    Seat,
    Usage,
    Vote,
)
from orchestra.runs import decode, encode

CLASSES: list[type[Any]] = sorted(
    {
        value
        for value in vars(records).values()
        if isinstance(value, type) and is_dataclass(value) and value.__module__ == records.__name__
    },
    key=lambda cls: cls.__name__,
)

NAN, INFINITY = float("nan"), float("inf")
STRANGE = {
    "minus infinity": Generation("k", "q", "e", "", logprobs=(-0.5, -INFINITY)),
    "nan": Generation("k", "q", "e", "", usage=Usage(seconds=NAN)),
    "infinite weight": Plan("q", (Seat("e", INFINITY, "r"),), "r", 1),
    "nan in a pair": Brief("q", (("algebra", NAN),), "t"),
    "nan where none may be": Decision("q", None, NAN, "m"),
    "lone surrogate": Generation("k", "q", "e", "half \ud83d of a pair \udc00"),
    "long integer": Plan("q", (), "r", 2**70),
    "both": Generation("k", "\udfff", "e", "", logprobs=(INFINITY,)),
    "null character": Generation("k", "q", "e", "\0\x1f\u2028"),
}


def ours(cls: type[Any]) -> st.SearchStrategy[Any]:
    return st.from_type(cls)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_record_comes_back_as_it_was(cls: type[Any]) -> None:
    @settings(max_examples=25, deadline=None)
    @given(ours(cls))
    def check(record: Any) -> None:
        back = decode(cls, encode(record))
        # NaN is not equal to itself; the text of two equal records is, types of numbers included.
        assert back == record or repr(back) == repr(record)

    check()


@pytest.mark.parametrize("record", STRANGE.values(), ids=STRANGE)
def test_what_json_cannot_hold_comes_back(record: object) -> None:
    assert repr(decode(type(record), encode(record))) == repr(record)


def test_a_body_is_plain_json() -> None:
    answer = Answer("q", "e", None, absence=Absence.REFUSED, span=(1, 2))
    assert json.loads(encode(answer)) == {
        "question_id": "q",
        "expert": "e",
        "value": None,
        "absence": "refused",
        "rule": "",
        "span": [1, 2],
        "sample": 0,
        "instead_of": "",
    }


def test_scalars_of_array_libraries_become_plain_numbers() -> None:
    scalars: tuple[Any, ...] = (np.float64(0.25), np.int64(2), np.float32(0.5))
    back = decode(Seat, encode(Seat("e", scalars[0], "r", scalars[1], scalars[2])))
    assert back == Seat("e", 0.25, "r", sample=2, accuracy=0.5)
    assert type(back.weight) is float
    assert type(back.sample) is int


def test_types_are_rebuilt() -> None:
    plan = Plan("q", (Seat("e", 1.0, "r"),), "r", 1)
    back = decode(Plan, encode(plan))
    assert type(back.seats) is tuple
    assert type(back.seats[0]) is Seat
    mark = decode(Mark, encode(Mark("q", "e", Outcome.ABSENT, absence=Absence.EMPTY)))
    assert (type(mark.outcome), type(mark.absence)) == (Outcome, Absence)
    question = decode(Question, encode(Question("q", "t", metadata={"source": "s"})))
    with pytest.raises(TypeError):
        question.metadata["source"] = "x"  # type: ignore[index]


def test_a_missing_field_takes_its_default() -> None:
    assert decode(Vote, b'{"expert":"e","value":null,"weight":1.0}') == Vote("e", None, 1.0)
    assert decode(Usage, b"{}") == Usage()


DAMAGED = {
    "not JSON": (Vote, b"{"),
    "not JSON in the dialect": (Vote, b' {"expert":'),
    "not an object": (Vote, b"[1]"),
    "null": (Vote, b"null"),
    "empty": (Vote, b""),
    "not text": (Vote, b' {"expert":"\xff"}'),
    "missing field": (Vote, b'{"expert":"e"}'),
    "unknown field": (Usage, b'{"callz":1}'),
    "unknown enum value": (Mark, b'{"question_id":"q","who":"w","outcome":"maybe"}'),
    "null for a tuple": (Brief, b'{"question_id":"q","skills":null,"tagger":"t"}'),
    "short pair": (Brief, b'{"question_id":"q","skills":[["a"]],"tagger":"t"}'),
    "text for a record": (Generation, b'{"key":"","question_id":"","expert":"","usage":"x"}'),
}


@pytest.mark.parametrize(("cls", "body"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_body_is_a_value_error(cls: type[Any], body: bytes) -> None:
    with pytest.raises(ValueError, match=f"not a {cls.__name__}"):
        decode(cls, body)


@pytest.mark.parametrize("value", [{1, 2}, b"x", object()])
def test_what_is_not_data_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="plain data"):
        encode(Message("user", value))
    with pytest.raises(TypeError):
        encode(value)


@dataclass(frozen=True, slots=True)
class Odd:
    table: Mapping[str, Vote] = field(default_factory=dict)
    triple: tuple[int, str, float | None] = (0, "", None)
    shares: Mapping[str, float] = field(default_factory=dict)


@pytest.mark.parametrize(
    "record",
    [
        Odd(),
        Odd({"a": Vote("e", "A", 1.0)}, (1, "x", 0.5)),
        Odd(triple=(1, "", NAN)),
        Odd(shares={"a": -INFINITY}),
    ],
)
def test_shapes_that_records_may_have_one_day(record: Odd) -> None:
    assert decode(Odd, encode(record)).table == record.table
    assert decode(Odd, encode(record)).shares == record.shares
    assert repr(decode(Odd, encode(record)).triple) == repr(record.triple)


@dataclass(frozen=True, slots=True)
class Wide:
    either: Vote | Message


@dataclass(frozen=True, slots=True)
class Loose:
    some: set[str]


@pytest.mark.parametrize("cls", [Wide, Loose])
def test_shapes_that_cannot_be_rebuilt_are_refused(cls: type[Any]) -> None:
    with pytest.raises(TypeError, match="records hold no"):
        decode(cls, b"{}")
