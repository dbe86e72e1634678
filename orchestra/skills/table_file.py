"""Recruitment tables on disk: readable JSON, checked when read.

Knows the file's shape (CONTRACTS, schema 1) and nothing of estimation. Counts in the
file are for people; the evidence is what is read back.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestra.errors import InputError, raise_all
from orchestra.records import Absence, Brief, Mark, Outcome
from orchestra.skills.agreement import agreement
from orchestra.skills.table import RecruitmentTable, Tally

SCHEMA = 1
_SIGN = {Outcome.CORRECT: "+", Outcome.WRONG: "-"}
_OUTCOME = {sign: outcome for outcome, sign in _SIGN.items()}


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Skill(_File):
    parent: str | None = None


class _Question(_File):
    id: str
    skills: list[tuple[str, Annotated[float, Field(gt=0, strict=False)]]]
    choices: Annotated[int, Field(ge=0)] = 0


class _Evidence(_File):
    questions: Annotated[list[_Question], Field(min_length=1)]
    answers: Annotated[dict[str, list[str]], Field(min_length=1)]


class _Table(_File):
    schema_: Annotated[int, Field(alias="schema", ge=1, le=SCHEMA)]
    created: str
    provenance: dict[str, str]
    skills: dict[str, _Skill]
    evidence: _Evidence


def write_table(table: RecruitmentTable, path: str | Path) -> None:
    """Write a table, whole or not at all. Raises InputError if the place cannot be written."""
    target = Path(path)
    temporary = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(orjson.dumps(as_json(table), option=orjson.OPT_INDENT_2))
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(
            f"cannot write: {error.strerror}", place=str(target), hint="choose another --out"
        ) from error


def read_table(path: str | Path) -> RecruitmentTable:
    """Read a table back from its evidence.

    Raises:
        InputError: the file is missing, is not a table, or is of a newer schema; every fault
            at once.
    """
    source = Path(path)
    try:
        raw = source.read_bytes()
    except OSError as error:
        hint = "make one with `orchestra profile`"
        raise InputError(f"cannot read: {error.strerror}", place=str(path), hint=hint) from error
    return _from_json(raw, str(path))


def as_json(table: RecruitmentTable) -> dict[str, Any]:
    """The whole table as plain data: counts, beliefs and agreement for people, and the evidence."""
    shared = agreement(table)
    return {
        "schema": SCHEMA,
        "created": table.created,
        "provenance": dict(table.provenance),
        "skills": {
            name: {"parent": table.parents.get(name), "questions": int(count)}
            for name, count in zip(table.skills, table._membership.sum(axis=0), strict=True)
        },
        "experts": {name: _expert(table, name) for name in table.experts},
        "panel": {
            "effective_size": round(shared.effective_size, 4),
            "mean_correlation": round(shared.mean_correlation, 4),
            "same_wrong_given_both_wrong": round(shared.pooled, 4),
            "experts": list(table.experts),
            "error_agreement": np.round(shared.matrix, 4).tolist(),
        },
        "evidence": {
            "questions": [
                {
                    "id": brief.question_id,
                    "skills": [list(pair) for pair in brief.skills],
                    "choices": brief.choices,
                }
                for brief in table.briefs
            ],
            "answers": {name: [_spell(mark) for mark in row] for name, row in table.marks.items()},
        },
    }


def _expert(table: RecruitmentTable, name: str) -> dict[str, Any]:
    row = table.experts.index(name)
    low, high = (table.beliefs.quantile(level)[row] for level in (0.025, 0.975))
    top = [float(table.global_beliefs.quantile(level)[row, 0]) for level in (0.025, 0.975)]
    mean = table.beliefs.mean[row]
    return {
        **_counts(table.tally(name)),
        "estimate": round(float(table.global_beliefs.mean[row, 0]), 4),
        "interval": [round(edge, 4) for edge in top],
        "absent_by_reason": table.absences(name),
        "skills": {
            skill: {
                **_counts(table.tally(name, skill)),
                "estimate": round(float(mean[i]), 4),
                "interval": [round(float(low[i]), 4), round(float(high[i]), 4)],
            }
            for i, skill in enumerate(table.skills)
        },
    }


def _counts(tally: Tally) -> dict[str, int]:
    return {
        "correct": tally.correct,
        "seen": tally.seen,
        "absent": tally.absent,
        "score": tally.score,
    }


def _spell(mark: Mark | None) -> str:
    """`+B` right, `-C` wrong, `?unparsed` absent, the empty string never asked."""
    if mark is None:
        return ""
    if mark.outcome is Outcome.ABSENT:
        return f"?{mark.absence or Absence.UNPARSED}"
    return f"{_SIGN[mark.outcome]}{mark.value}"


def _from_json(raw: bytes, place: str) -> RecruitmentTable:
    file = _validated(raw, place)
    questions = file.evidence.questions
    errors: list[InputError] = []
    for name, row in file.evidence.answers.items():
        if len(row) != len(questions):
            errors.append(
                InputError(
                    f"{len(row)} answers for {len(questions)} questions",
                    place=f"{place} evidence.answers.{name}",
                )
            )
    raise_all(errors)
    briefs = tuple(
        Brief(q.id, tuple(q.skills), file.provenance.get("tagger", ""), choices=q.choices)
        for q in questions
    )
    marks = {
        name: tuple(
            _read(text, brief.question_id, name, place)
            for text, brief in zip(row, briefs, strict=True)
        )
        for name, row in file.evidence.answers.items()
    }
    parents = {name: skill.parent for name, skill in file.skills.items() if skill.parent}
    return RecruitmentTable(briefs, marks, parents, file.provenance, file.created)


def _validated(raw: bytes, place: str) -> _Table:
    """The one place where pydantic's errors become ours."""
    try:
        return _Table.model_validate_json(raw)
    except ValidationError as error:
        found = [
            InputError(each["msg"], place=f"{place} {'.'.join(map(str, each['loc']))}".strip())
            for each in error.errors(include_url=False)[:20]
        ]
    raise_all(found)
    raise AssertionError("pydantic refused a table without saying why")


def _read(text: str, question_id: str, expert: str, place: str) -> Mark | None:
    if not text:
        return None
    sign, value = text[0], text[1:]
    if sign in _OUTCOME:
        return Mark(question_id, expert, _OUTCOME[sign], value)
    if sign == "?" and value in set(Absence):
        return Mark(question_id, expert, Outcome.ABSENT, None, Absence(value))
    raise InputError(
        f"not an answer: {text!r}",
        place=f"{place} evidence.answers.{expert}",
        hint="`+B` right, `-C` wrong, `?unparsed` absent, empty for never asked",
    )
