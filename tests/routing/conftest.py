"""Pools whose experts' records are written as one character a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Protocol

import pytest

from orchestra.records import Absence, Brief, Mark, Outcome
from orchestra.routing import Pool
from orchestra.skills import RecruitmentTable


class PoolOf(Protocol):
    """Makes a pool from records: `+` right, `-` or a letter wrong, `?` unparsed, `.` unasked.

    Letters are wrong answers that tell themselves apart. `skills` has one word a question, of
    skills joined by commas; a single word holds for all.
    """

    def __call__(
        self,
        records: Mapping[str, str],
        skills: str = "s",
        *,
        parents: Mapping[str, str] | None = None,
        choices: int = 4,
    ) -> Pool: ...


class Drawn(Protocol):
    """Makes a pool of experts that are right at random with given shares, by skill in turn."""

    def __call__(
        self, shares: Mapping[str, float | Sequence[float]], questions: int, *, seed: int = 0
    ) -> Pool: ...


def brief(question_id: str, *skills: str, choices: int = 4) -> Brief:
    return Brief(question_id, tuple((skill, 1.0) for skill in skills), "test", choices=choices)


def mark(question_id: str, expert: str, sign: str) -> Mark | None:
    if sign == ".":
        return None
    if sign == "?":
        return Mark(question_id, expert, Outcome.ABSENT, None, Absence.UNPARSED)
    if sign == "+":
        return Mark(question_id, expert, Outcome.CORRECT, "R")
    return Mark(question_id, expert, Outcome.WRONG, sign)


def made(
    records: Mapping[str, str],
    skills: str = "s",
    *,
    parents: Mapping[str, str] | None = None,
    choices: int = 4,
) -> Pool:
    count = len(next(iter(records.values())))
    words = skills.split() if " " in skills else [skills] * count
    briefs = [brief(f"p{i}", *word.split(","), choices=choices) for i, word in enumerate(words)]
    marks = [
        mark(each.question_id, expert, sign)
        for expert, row in records.items()
        for each, sign in zip(briefs, row, strict=True)
    ]
    known = [each for each in marks if each is not None]
    table = RecruitmentTable.build(briefs, known, experts=list(records), parents=parents or {})
    return Pool(tuple(records), table)


@pytest.fixture(scope="session")
def pool_of() -> PoolOf:
    return made


@pytest.fixture(scope="session")
def drawn() -> Drawn:
    def pool(
        shares: Mapping[str, float | Sequence[float]], questions: int, *, seed: int = 0
    ) -> Pool:
        draw = Random(seed)
        by_skill = {
            name: [share] if isinstance(share, float) else list(share)
            for name, share in shares.items()
        }
        skills = len(next(iter(by_skill.values())))
        records = {
            name: "".join(
                "+" if draw.random() < row[i % skills] else draw.choice("xyz")
                for i in range(questions)
            )
            for name, row in by_skill.items()
        }
        return made(records, " ".join(f"s{i % skills}" for i in range(questions)))

    return pool
