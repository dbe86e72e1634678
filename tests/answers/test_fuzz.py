"""Nothing in a text makes `read` raise, answer outside the options, or take long."""

from __future__ import annotations

import gc
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.answers import CASCADES, canonical, read
from orchestra.records import Absence, Answer, Generation, Kind, Question

TEN = tuple(f"option number {i}" for i in range(10))
# The cascades differ for choices only.
WAYS = [(Kind.CHOICE, cascade) for cascade in CASCADES]
WAYS += [(kind, "stated") for kind in Kind if kind is not Kind.CHOICE]

FRAGMENTS = st.sampled_from(
    ["The answer is ", "Answer:", '"answer": ', "(C)", "C", "I", "A ", "**", "\\boxed{", "}", "{"]
    + ["####", "```", "\n", "1,234", "-", "1/0", "9" * 5000, "1e999", "0x" + "f" * 5000, "٣", "²"]
    + ["½", "\\frac{1}{", "[", "]", "(", ")", "'", '"', "\\", "\x00", "\ud800", "İ", "\u0301", "é"]
    + [
        "<think>",
        "</think>",
        "<answer>",
        "答案是",
        "Antwort ist ",
        "option number 3",
        "and ",
        "not ",
    ]
    + ["Question:", "\nQ:", "True", "lambda: ", "{1: ", "b'", "assert f(1) == ", "closest ", "+"]
)
TEXTS = st.one_of(
    st.lists(FRAGMENTS, max_size=20).map("".join),
    st.text(max_size=200),
    st.text(st.characters(), max_size=200),
)


def answer_to(text: str, kind: Kind, cascade: str, count: int = 10) -> Answer:
    question = Question("q", "?", TEN[:count] if kind is Kind.CHOICE else (), kind)
    return read(question, Generation("k", "q", "e", text), cascade=cascade)


@pytest.mark.parametrize(("kind", "cascade"), WAYS)
@given(text=TEXTS, count=st.integers(min_value=0, max_value=10))
@settings(max_examples=60)
def test_any_text_gives_a_value_or_a_reason(
    kind: Kind, cascade: str, text: str, count: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = answer_to(text, kind, cascade, count)
    assert (answer.value is None) != (answer.absence is None)
    assert answer.absence not in (Absence.TRUNCATED, Absence.FAILED, Absence.NOT_RECORDED)
    if answer.value is None:
        assert (answer.rule, answer.span) == ("", None)
        return
    assert answer.rule.split(":")[0] == cascade
    assert answer.span is not None
    assert 0 <= answer.span[0] <= answer.span[1] <= len(text)
    if kind is Kind.CHOICE:
        assert answer.value in "ABCDEFGHIJ"[:count]


@given(text=TEXTS, kind=st.sampled_from(sorted(Kind)))
def test_reading_is_repeatable_and_canonical_values_are_their_own(text: str, kind: Kind) -> None:
    first = answer_to(text, kind, "stated")
    assert answer_to(text, kind, "stated") == first
    if first.value is not None and kind is not Kind.CODE:
        assert canonical(first.value, kind) == first.value


@given(
    before=TEXTS.filter(lambda text: not set(text) & set("<[") and "\\" not in text),
    letter=st.sampled_from("ABCDEFGHIJ"),
)
def test_a_plain_last_statement_is_read_whatever_stands_before(before: str, letter: str) -> None:
    text = f"{before.replace('Q', '')}\n\nTherefore the answer is ({letter})."
    assert answer_to(text, Kind.CHOICE, "stated").value == letter


UNITS = (
    ["a", "A", "A ", "I ", "1", "1,", "1 ", "\n", "\r\n", " ", "\t", "*", "** ", "**A", "_", "("]
    + ["(A) ", "[", "{", "-", "- ", "+1", "\\", '"', "'", "''", "$", "`", "```", "```\n", "<", "< "]
    + [
        "answer",
        "answer is",
        "answer is ",
        "answer is (",
        "answer is A, ",
        "Answer: ",
        "answer: \n",
    ]
    + ["answer =", "answer, ", "answer to ", "answer that is ", "the answer is the option "]
    + ["answer: A and ", "if the answer is A ", "A is the correct ", " is A is ", "correct option "]
    + [
        '"answer": "',
        '"answer": ',
        '"answer": "a',
        "\\boxed{",
        "\\boxed{A",
        "####",
        "#### 1",
        "...",
    ]
    + [
        "<think>",
        "</think>",
        "[/THINK]",
        "<answer>",
        "[ANSWER]",
        "assert f(",
        "closest ",
        "likely ",
    ]
    + ["\nQuestion:", "The answer is (C).\nQuestion:", "\nLet's combine", "none of the ", "cannot "]
    + ["答案", "正解は", "Antwort ", "Antwort ist ", "İ", "\u0300\u0323", "\ud800", "٣", "²", "1/"]
    + [
        "\\text{",
        "\\frac{1}",
        "1e9",
        "0x1",
        "b''",
        "I choose ",
        "go with ",
        "not ",
        "True,",
        "\ufdfa",
    ]
    + [
        "\u2212",
        "\u2014",
        "1 111 ",
        "1,",
        "1 (a ",
        "f(1) == ",
        "'a' ",
        "[1, 2] ",
        "x = 1, ",
        "\u00bd",
    ]
)


def seconds_for(text: str) -> float:
    """Process time of the slowest of all ways to read `text`."""
    slowest = 0.0
    gc.disable()  # a collection takes as long as the heap of all tests is large
    for kind, cascade in WAYS:
        start = time.process_time()
        answer_to(text, kind, cascade)
        slowest = max(slowest, time.process_time() - start)
    gc.enable()
    return slowest


@pytest.mark.parametrize("unit", UNITS, ids=map(ascii, UNITS))
def test_time_is_linear_in_the_length(unit: str) -> None:
    """Texts of 10 and 40 thousand characters: a quadratic search would take 16 times as long."""
    for _ in range(3):  # a busy machine may spoil one measurement
        long = seconds_for(unit * (40_000 // len(unit)))
        # Below 15 milliseconds the clock is coarser than the difference.
        if long < 0.015 or long < 9 * seconds_for(unit * (10_000 // len(unit))):
            return
    pytest.fail(f"40 thousand characters of {unit!a} took {long:.3f} seconds")


@pytest.mark.parametrize("unit", ["a", "answer is", "\n", "1", '"answer": "'])
def test_a_megabyte_takes_less_than_half_a_second(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    assert any(seconds_for(text) < 0.5 for _ in range(3))


@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.LITERAL, Kind.TEXT])
@pytest.mark.parametrize("unit", [unit for unit in UNITS if len(unit) < 8], ids=ascii)
def test_long_values_are_spelt_or_dropped_quickly(unit: str, kind: Kind) -> None:
    text = unit * (20_000 // len(unit))
    start = time.process_time()
    for length in (2_000, 20_000):
        canonical(text[:length], kind)
    assert time.process_time() - start < 0.5


def test_every_cascade_knows_every_kind() -> None:
    assert {name: set(kinds) for name, kinds in CASCADES.items()} == {
        name: set(Kind)
        for name in ("stated", "lenient", "official", "strict", "simple", "gpqa-official")
    }
