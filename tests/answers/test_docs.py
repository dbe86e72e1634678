"""Every example in docs/answers.md is what really happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestra.answers import CASCADES, read
from orchestra.records import Absence, Generation, Kind, Question

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "answers.md").read_text(encoding="utf-8")
OPTIONS = ("iron", "tin", "gold", "B cells")


def rows_of(heading: str) -> list[list[str]]:
    """The cells of every table row under a heading, without their backticks."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip().strip("`") for cell in row] for row in rows]
    return [row for row in cells if not row[0].startswith("---")]


CHOICES = [row for row in rows_of("Choices") if ":" in row[0] and len(row) == 3]
CONTRASTS = [row for row in rows_of("Choices") if len(row) == 4 and row[1] != "stated"]
OPEN = [row for row in rows_of("Open answers") if len(row) == 4 and row[0] != "kind"]
NUMBERS = [row for row in rows_of("Open answers") if len(row) == 3 and row[0] != "number"]


def generation(text: str) -> Generation:
    return Generation("k", "q", "e", text)


@pytest.mark.parametrize(("rule", "text", "letter"), CHOICES)
def test_choices(rule: str, text: str, letter: str) -> None:
    answer = read(Question("q", "?", OPTIONS), generation(text), cascade=rule.partition(":")[0])
    assert (answer.rule, answer.value) == (rule, letter)


@pytest.mark.parametrize(("text", "stated", "official", "because"), CONTRASTS)
def test_contrasts(text: str, stated: str, official: str, because: str) -> None:
    assert because
    for cascade, expected in (("stated", stated), ("official", official)):
        answer = read(Question("q", "?", OPTIONS), generation(text), cascade=cascade)
        assert (answer.value or answer.absence) == expected


@pytest.mark.parametrize(("kind", "rule", "text", "value"), OPEN)
def test_open_answers(kind: str, rule: str, text: str, value: str) -> None:
    answer = read(Question("q", "?", kind=Kind(kind)), generation(text))
    assert (answer.rule, answer.value) == (rule, value)


@pytest.mark.parametrize(("text", "value", "because"), NUMBERS)
def test_numbers(text: str, value: str, because: str) -> None:
    assert because
    answer = read(Question("q", "?", kind=Kind.NUMBER), generation(f"\\boxed{{{text}}}"))
    assert (answer.value or answer.absence) == value


def test_every_rule_and_absence_is_on_the_page() -> None:
    on_page = set(re.findall(r"`([\w-]+:\w+)`", PAGE))
    choices = {
        f"{cascade}:{rule}"
        for cascade, kinds in CASCADES.items()
        for rule, _ in kinds[Kind.CHOICE]
        if cascade != "lenient" or rule.startswith("clos")
    }
    opened = {f"stated:{rule}" for kind in Kind for rule, _ in CASCADES["stated"][kind]}
    assert on_page == choices | opened
    assert {row[0] for row in rows_of("No answer, and why")[1:]} == set(Absence)
    assert [row[0] for row in rows_of("Six cascades")[1:]] == list(CASCADES)
