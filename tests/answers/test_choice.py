"""`official` and `strict` against MMLU-Pro's own patterns, run as its scripts run them."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestra.answers import read
from orchestra.records import LETTERS, Answer, Generation, Question

TEN = tuple(f"option number {i}" for i in range(10))


def first_rule(text: str) -> str | None:
    found = re.search(r"answer is \(?([A-J])\)?", text)
    return found[1] if found else None


def all_rules(text: str) -> str | None:
    found = re.search(r".*[aA]nswer:\s*([A-J])", text)
    bare = re.search(r"\b[A-J]\b(?!.*\b[A-J]\b)", text, re.DOTALL)
    return first_rule(text) or (found[1] if found else None) or (bare[0] if bare else None)


def answer_by(cascade: str, text: str, options: tuple[str, ...] = TEN) -> Answer:
    return read(Question("q", "?", options), Generation("k", "q", "e", text), cascade=cascade)


FRAGMENTS = st.sampled_from(
    ["answer is ", "The answer is", "answer: ", "Answer:", "answer:answer: ", "nswer", "A", "C"]
    + ["(", ")", "(D)", "J", "K", "I", "b", " ", "\n", "\n\n", "\t", ".", ",", "_", "1", "é", "-"]
    + ["Increase", "Both", "**B**", "\\boxed{E}", "I am", "\u2028", "İ", "\r\n"]
)
TEXTS = st.lists(FRAGMENTS, max_size=14).map("".join)


@given(TEXTS)
@example("Answer: A\nanswer: B answer:\n C")
@example("answer:\n\n(A) Answer: K answer: D")
def test_official_is_the_published_cascade(text: str) -> None:
    assert answer_by("official", text).value == all_rules(text)


@given(TEXTS)
def test_strict_is_its_first_rule(text: str) -> None:
    assert answer_by("strict", text).value == first_rule(text)


@given(TEXTS, st.integers(min_value=1, max_value=9))
def test_a_letter_beyond_the_options_is_an_absence(text: str, count: int) -> None:
    letter = all_rules(text)
    wanted = letter if letter is not None and letter in "ABCDEFGHIJ"[:count] else None
    assert answer_by("official", text, TEN[:count]).value == wanted


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("The answer is (C).", "official:1"),
        ("Answer: C", "official:2"),
        ("So it must be C here", "official:3"),
    ],
)
def test_the_rule_is_named_by_its_number(text: str, rule: str) -> None:
    assert answer_by("official", text).rule == rule


def test_on_recorded_answers_of_real_models(shared_data: Path) -> None:
    items = pq.read_table(shared_data / "mmlu_pro.items.parquet").to_pylist()
    options = {row["question_id"]: tuple(row["options"]) for row in items}
    table = pq.read_table(shared_data / "mmlu_pro.recordings.parquet")
    for row in table.take(list(range(0, table.num_rows, 401))).to_pylist():
        text, allowed = row["output"], options[row["question_id"]]
        letter = all_rules(text)
        wanted = letter if letter and letter in LETTERS[: len(allowed)] else None
        assert answer_by("official", text, allowed).value == wanted
