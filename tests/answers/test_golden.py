"""Hand-labelled endings of model answers: what each cascade reads, or why it reads nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestra.answers import read
from orchestra.records import Absence, Answer, Failure, Generation, Kind, Question

HERE = Path(__file__).parent
TEN_OPTIONS = tuple(f"option number {i}" for i in range(10))


def rows_of(name: str) -> Any:
    return yaml.safe_load((HERE / name).read_text(encoding="utf-8"))


CASCADES_HERE = ("stated", "official", "strict")
CHOICES: list[dict[str, Any]] = rows_of("golden_choice.yaml")
CONVENTIONS = ("official", "simple", "gpqa")
PUBLISHED: list[dict[str, str]] = rows_of("golden_conventions.yaml")
OPEN: list[tuple[str, dict[str, str]]] = [
    (kind, row) for kind, rows in rows_of("golden_open.yaml").items() for row in rows
]


def answer_to(text: str, question: Question, cascade: str, finish: str = "stop") -> Answer:
    return read(
        question, Generation("k", question.id, "e", text, finish_reason=finish), cascade=cascade
    )


def shown(answer: Answer) -> str | None:
    return answer.value if answer.absence is None else answer.absence.value


@pytest.mark.parametrize("row", CHOICES, ids=[repr(row["text"][-50:]) for row in CHOICES])
def test_choices(row: dict[str, Any]) -> None:
    question = Question("q", "?", tuple(row.get("options", TEN_OPTIONS)))
    finish = row.get("finish", "stop")
    answers = {each: answer_to(row["text"], question, each, finish) for each in CASCADES_HERE}
    assert {cascade: shown(answer) for cascade, answer in answers.items()} == {
        cascade: row.get(cascade, row["stated"]) for cascade in CASCADES_HERE
    }
    for cascade, answer in answers.items():
        assert answer.rule.split(":")[0] == (cascade if answer.value else "")


@pytest.mark.parametrize("row", PUBLISHED, ids=[repr(row["text"][-50:]) for row in PUBLISHED])
def test_published_conventions(row: dict[str, str]) -> None:
    question = Question("q", "?", TEN_OPTIONS[:4])
    names = {"gpqa": "gpqa-official"}
    found = {
        each: shown(answer_to(row["text"], question, names.get(each, each))) for each in CONVENTIONS
    }
    assert found == {each: row[each] for each in CONVENTIONS}


@pytest.mark.parametrize(("kind", "row"), OPEN, ids=[f"{k}-{r['text'][-50:]!r}" for k, r in OPEN])
def test_open_answers(kind: str, row: dict[str, str]) -> None:
    answer = answer_to(row["text"], Question("q", "?", kind=Kind(kind)), "stated")
    assert answer.value == row.get("value")
    assert answer.absence == row.get("absent")


def test_the_tables_are_large_enough_and_without_repeats() -> None:
    texts = [(row["text"], row.get("finish"), str(row.get("options"))) for row in CHOICES]
    assert len(texts) >= 180
    assert len(OPEN) >= 100
    assert len(set(texts)) == len(texts)


LENIENT = [
    ("The closest option is (B).", "B", "lenient:closing"),
    ("Of all these it matches (E) best.", "E", "lenient:closing"),
    ("The most likely of these is D, though none is exact.", "D", "lenient:closest"),
    ("The answer is (C). The closest option is (B).", "C", "lenient:said"),
    ("It lies between (A) and (B).", None, ""),
]


@pytest.mark.parametrize(("text", "letter", "rule"), LENIENT)
def test_lenient_guesses_where_stated_does_not(text: str, letter: str | None, rule: str) -> None:
    question = Question("q", "?", TEN_OPTIONS)
    answer = answer_to(text, question, "lenient")
    assert (answer.value, answer.rule) == (letter, rule)
    strictly = answer_to(text, question, "stated").value
    assert strictly in (None, letter)


@pytest.mark.parametrize(
    ("failure", "absence"),
    [
        (Failure("timeout"), Absence.FAILED),
        (Failure("not_recorded"), Absence.NOT_RECORDED),
    ],
)
def test_a_failed_call_has_no_answer_whatever_its_text(failure: Failure, absence: Absence) -> None:
    text = "The answer is (C)."
    generation = Generation("k", "q", "e", text, finish_reason="error", failure=failure)
    answer = read(Question("q", "?", TEN_OPTIONS), generation)
    assert (answer.value, answer.absence) == (None, absence)


@pytest.mark.parametrize(
    ("kind", "text", "spanned"),
    [
        (Kind.CHOICE, "<think>(A)?</think> So the answer is (C).", "C"),
        (Kind.CHOICE, "First.\nOption (C)", "C"),
        (Kind.CHOICE, "The answer is option number 2.", "option number 2."),
        (Kind.NUMBER, "The answer is $18 a day.", "18 a day"),
        (Kind.NUMBER, 'x {"answer": "18"}', '"18"'),
        (Kind.LITERAL, "We get\n[1, 2]\n", "[1, 2]"),
        (Kind.TEXT, "Answer: **Oslo**", "Oslo"),
    ],
)
def test_the_span_says_where_the_value_stands(kind: Kind, text: str, spanned: str) -> None:
    options = TEN_OPTIONS if kind is Kind.CHOICE else ()
    answer = answer_to(text, Question("q", "?", options, kind), "stated")
    assert answer.span is not None
    assert text[slice(*answer.span)] == spanned


def test_the_answer_carries_who_gave_it() -> None:
    generation = Generation("k", "other", "expert", "Answer: C", sample=3)
    answer = read(Question("q", "?", TEN_OPTIONS), generation)
    assert (answer.question_id, answer.expert, answer.sample) == ("q", "expert", 3)
