"""Recruitment tables written as a table file writes its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pytest

from orchestra.records import Absence, Brief, Mark, Outcome
from orchestra.skills import RecruitmentTable


class TableOf(Protocol):
    """Makes a table of experts' answers, one word a question: `+A` `-B` `?refused`, `.` unasked.

    `skills` has one word a question too, of skills joined by commas.
    """

    def __call__(
        self,
        answers: Mapping[str, str],
        skills: str,
        *,
        parents: Mapping[str, str] | None = None,
        prefix: str = "q",
        tagger: str = "category",
    ) -> RecruitmentTable: ...


def mark(question_id: str, expert: str, word: str) -> Mark | None:
    if word == ".":
        return None
    if word[0] == "?":
        return Mark(question_id, expert, Outcome.ABSENT, None, Absence(word[1:]))
    outcome = Outcome.CORRECT if word[0] == "+" else Outcome.WRONG
    return Mark(question_id, expert, outcome, word[1:])


@pytest.fixture(scope="session")
def table_of() -> TableOf:
    def made(
        answers: Mapping[str, str],
        skills: str,
        *,
        parents: Mapping[str, str] | None = None,
        prefix: str = "q",
        tagger: str = "category",
    ) -> RecruitmentTable:
        briefs = [
            Brief(f"{prefix}{i}", tuple((name, 1.0) for name in word.split(",")), tagger)
            for i, word in enumerate(skills.split())
        ]
        marks = [
            mark(brief.question_id, expert, word)
            for expert, row in answers.items()
            for brief, word in zip(briefs, row.split(), strict=True)
        ]
        return RecruitmentTable.build(
            briefs,
            [each for each in marks if each is not None],
            experts=list(answers),
            parents=parents or {},
            provenance={"tagger": tagger, "questions": str(len(briefs))},
            created="2026-01-01T00:00:00+00:00",
        )

    return made
