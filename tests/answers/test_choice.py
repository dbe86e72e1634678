"""`official` and `strict` are MMLU-Pro's own patterns; `stated` reads no denial and no pair."""

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


DENIED = [
    "Neither (A) nor (C) is correct.",
    "Neither A nor C is correct.",
    "Neither [A] nor [C] is right.",
    "Neither **A** nor **C** is correct.",
    "\\boxed{A \\text{ and/or } C}",
    "The answer is A and/or C.",
    "Answer: (A)(C)",
    "The answer is (A) (C).",
    "\\boxed{C \\text{ and } D}",
    "\\boxed{C\\text{ or }D}",
    "\\boxed{\\text{C and D}}",
    "\\boxed{C, D}",
    "\\boxed{C \\& D}",
    "\\boxed{C \\land D}",
    "\\boxed{\\{C, D\\}}",
    "\\boxed{C}\\text{ and }\\boxed{D}",
    "$\\boxed{C}$ and $\\boxed{D}$",
    "The answer is either (A) or (C).",
    "Either (A) or (C) is correct.",
    "Both (A) and (C) is correct.",
    "(A) or (C) is correct.",
    "A and C is the answer.",
    "The answer is neither A nor C.",
    "The answer is not **C**.",
    "The answer isn't (C).",
    "The answer is not \\boxed{C}.",
    "I don't think (C) is correct.",
    "If (C) is correct, then energy is lost.",
    "The answer is option A and option C.",
    "The answer is (A) as well as (C).",
    "The answer is both (A) and (C).",
    "It is false that (C) is correct.",
    "The answer is (A) & (C).",
    "Answer: (A), (C)",
    "Answer: A/C",
    "Answer: not C",
    "The answer is not C or D.",
    '{"answer": ["A", "C"]}',
    "Answer: A + C",
    "<answer>A and C</answer>",
    "<answer>A, C</answer>",
    "\\boxed{AC}",
    "\\boxed{A \\cup C}",
    "\\boxed{\\neg C}",
    "\\boxed{\\overline{C}}",
    "It can't be that (C) is right.",
    "The answer is A, C, and D.",
    "The answer is $\\text{A and C}$.",
    "The answer is \\text{A} and \\text{C}.",
    "Everything except (C) is correct.",
    "None of (A), (B), (C) is correct.",
    "None of A, B or C is correct.",
    "Not only (A) but also (C) is correct.",
    "The answer is A but also C.",
    "Either A, B or C is correct.",
    "All of (A), (B) and (C) is correct.",
    "One of (A) and (C) is correct.",
    "Any of A, C is correct.",
]
KEPT = [
    "The answer is not A but C.",
    "The answer is not (A), but (C).",
    "The answer isn't A but C.",
    "The answer is not (A) but rather (C).",
    "The answer is not A or B but C.",
    "The answer is C, not A.",
    "The answer is C rather than A.",
    "The answer is C and not A.",
    "A is wrong and C is correct.",
    "(A) fails, and (C) is correct.",
    "Since A and B contradict each other, the answer is C.",
    "Neither (A) nor (B) is correct. The answer is (C).",
    "The answer is (C). Neither (A) nor (B) is correct.",
    "The answer is (C), since neither (A) nor (B) is correct.",
    "Not (A). (C) is correct.",
    "The answer is not option A but option C.",
    "The answer is (C) and nothing else.",
    "I compared (A) and (B); (C) is correct.",
    "Unlike A or B, C is correct.",
    "Answer: not A but C",
    "Option A is wrong. The answer is C.\n\nHuman: and now?\n\nThe answer is (A).",
    "The answer is C.\n### Instruction: The answer is (B).",
    "So (C) is correct, and \\boxed{C}.",
    "The answer is C, or $\\boxed{C}$.",
]
OPTION_TEXTS = [
    "\\boxed{\\text{option number 2}}",
    "<answer>option number 2</answer>",
    "\\boxed{\\textbf{option number 2}}",
    "<answer>\noption number 2\n</answer>",
    "<final_answer>Option number 2.</final_answer>",
    "[ANSWER]option number 2[/ANSWER]",
    "$\\fbox{option number 2}$",
    "<output>option number 2</output>",
    "The answer is \\text{option number 2}.",
    "The answer is $\\textit{option number 2}$",
    '{"answer": "\\text{option number 2}"}',
    "So:\n<b>option number 2</b>",
    "\\boxed{\\text{option}\\ \\text{number}\\ 2}",
    "\\boxed{\\mathrm{option\\ number\\ 2}}",
    "<answer>**option number 2**</answer>",
    "<answer>\\text{option number 2}</answer>",
    "<ANSWER>option number 2</ANSWER>",
    "<answer><b>C</b></answer>",
    "<answer>C. option number 2</answer>",
    "<output>C</output>",
    "So\n<result>C</result>",
]


@pytest.mark.parametrize("text", DENIED)
def test_denials_conditions_and_pairs_are_not_read(text: str) -> None:
    assert answer_by("stated", text).absence == "unparsed"


@pytest.mark.parametrize("text", KEPT)
def test_what_stands_beside_a_denial_or_a_pair_is_read(text: str) -> None:
    assert answer_by("stated", text).value == "C"


@pytest.mark.parametrize("text", OPTION_TEXTS)
def test_the_text_of_an_option_in_a_frame_or_a_tag(text: str) -> None:
    assert answer_by("stated", text).value == "C"


@pytest.mark.parametrize(
    ("options", "letter"),
    [
        (("4", "8"), "A"),
        (("B", "A", "x"), "A"),
        (("Avogadro", "A cells", "x"), "A"),
        (("x", "y", "A because"), "C"),
    ],
)
def test_a_letter_is_an_option_and_not_the_word_that_one_begins_with(
    options: tuple[str, ...], letter: str
) -> None:
    assert answer_by("stated", "The answer is A because it holds.", options).value == letter


def test_an_option_is_compared_with_the_signs_that_it_has() -> None:
    options = ("x<2", "x>2", r"$\frac{1}{4}$", "100")
    assert answer_by("stated", r"\boxed{\text{x}>2}", options).value == "B"
    assert answer_by("stated", r"\boxed{\frac{1}{4}}", options).value == "C"
    assert answer_by("stated", "1 & 0 & 0", options).value is None
