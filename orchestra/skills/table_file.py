"""Recruitment tables on disk: readable JSON, checked when read.

Counts, estimates and the panel in the file are for people; only the evidence is read back, and
where the two contradict each other, the evidence counts.
"""

from __future__ import annotations

from dataclasses import asdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestra.errors import InputError, raise_all
from orchestra.files import located, read_file
from orchestra.records import Absence, Brief, Mark, Outcome
from orchestra.runs import write_whole
from orchestra.skills.agreement import agreement
from orchestra.skills.estimation import Beliefs
from orchestra.skills.lengths import Lengths
from orchestra.skills.table import RecruitmentTable, Tally, abridged, twice

SCHEMA = 1
_SIGN = {Outcome.CORRECT: "+", Outcome.WRONG: "-"}
_OUTCOME = {sign: outcome for outcome, sign in _SIGN.items()}
_ABSENCE = {f"?{absence}": absence for absence in Absence}
_SHOWN = 20
"""Most errors of one file in one message."""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Skill(_File):
    parent: str | None = None


class _Question(_File):
    id: str
    skills: list[tuple[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]]
    choices: Annotated[int, Field(ge=0)] = 0


_Count = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Lengths(_File):
    calls: Annotated[int, Field(ge=1)]
    letters: _Count
    input_tokens: _Count
    output_tokens: _Count
    output_sd: _Count | None = None
    seconds: _Count | None = None
    estimated: bool = False


class _Evidence(_File):
    questions: Annotated[list[_Question], Field(min_length=1)]
    answers: Annotated[dict[str, list[str]], Field(min_length=1)]
    lengths: dict[str, _Lengths] = Field(default_factory=dict)


class _Header(_File):
    schema_: Annotated[int, Field(alias="schema", ge=1)]


class _Table(_Header):
    created: str
    provenance: dict[str, str]
    skills: dict[str, _Skill]
    evidence: _Evidence


def write_table(table: RecruitmentTable, path: str | Path) -> None:
    """Write a table, whole or not at all; the same table gives the same bytes.

    Raises InputError if the path cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make its folder: {error.strerror}", place=str(path), hint="choose another"
        ) from error
    write_whole(target, orjson.dumps(as_json(table), option=orjson.OPT_INDENT_2))


def read_table(path: str | Path) -> RecruitmentTable:
    """Read a table back from its evidence; `shipped:NAME` is one that ships.

    Raises:
        InputError: the file is missing, is not a table, or is of a newer schema; every fault
            at once.
    """
    raw = read_file(located(path, "table.json"), hint="make one with `orchestra profile`")
    return _from_json(raw, str(path))


def as_json(table: RecruitmentTable) -> dict[str, Any]:
    """The whole table as plain data: counts, beliefs and agreement for people, and the evidence."""
    shared = agreement(table)
    return {
        "schema": SCHEMA,
        "created": table.created,
        "provenance": dict(table.provenance),
        "skills": _skills(table),
        "experts": _experts(table),
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
            **_lengths(table),
        },
    }


def _lengths(table: RecruitmentTable) -> dict[str, Any]:
    """Lengths of each expert's texts; no entry if they were not counted, as in older tables."""
    told = {name: asdict(table.lengths[name]) for name in table.experts if name in table.lengths}
    return {"lengths": told} if told else {}


def _skills(table: RecruitmentTable) -> dict[str, Any]:
    """Parents and question counts, also of skills without evidence, for their parents."""
    counts = dict(zip(table.skills, table.needs.sum(axis=0).astype(int).tolist(), strict=True))
    return {
        name: {"parent": table.parents.get(name), "questions": counts.get(name, 0)}
        for name in sorted({*counts, *table.parents, *table.parents.values()})
    }


def _experts(table: RecruitmentTable) -> dict[str, Any]:
    overall, by_skill = _estimates(table.global_beliefs), _estimates(table.beliefs)
    return {
        name: {
            **_counts(table.tally(name)),
            **overall[row][0],
            "absent_by_reason": table.absences(name),
            "skills": {
                skill: {**_counts(table.tally(name, skill)), **by_skill[row][column]}
                for column, skill in enumerate(table.skills)
            },
        }
        for row, name in enumerate(table.experts)
    }


def _estimates(beliefs: Beliefs) -> list[list[dict[str, Any]]]:
    """Mean and 95 % interval of each cell."""
    edges = (beliefs.mean, beliefs.quantile(0.025), beliefs.quantile(0.975))
    cells = np.round(np.stack(edges, axis=2), 4).tolist()
    return [
        [{"estimate": mean, "interval": [low, high]} for mean, low, high in row] for row in cells
    ]


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
    return f"{_SIGN[mark.outcome]}{mark.value or ''}"


def _from_json(raw: bytes, place: str) -> RecruitmentTable:
    file = _validated(raw, place)
    raise_all(_contradictions(file, place))
    briefs = tuple(
        Brief(q.id, tuple(q.skills), file.provenance.get("tagger", ""), choices=q.choices)
        for q in file.evidence.questions
    )
    marks = {
        name: tuple(
            _mark(text, brief.question_id, name) for text, brief in zip(row, briefs, strict=True)
        )
        for name, row in file.evidence.answers.items()
    }
    lengths = {
        name: Lengths(**file.evidence.lengths[name].model_dump())
        for name in marks
        if name in file.evidence.lengths
    }
    return RecruitmentTable(briefs, marks, _parents(file), file.provenance, file.created, lengths)


def _validated(raw: bytes, place: str) -> _Table:
    """The one place where pydantic's errors become InputErrors."""
    try:
        schema = _Header.model_validate_json(raw).schema_
        if schema > SCHEMA:
            raise InputError(
                f"a table of schema {schema}, this version reads up to {SCHEMA}",
                place=place,
                hint="a newer version wrote it: upgrade `orchestra`",
            )
        return _Table.model_validate_json(raw)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise InputError(
                "not a recruitment table, which is one JSON object",
                place=place,
                hint="make one with `orchestra profile`",
            ) from None
        found = [
            InputError(each["msg"], place=_place(place, *each["loc"]))
            for each in error.errors(include_url=False)[:_SHOWN]
        ]
    raise_all(found)
    raise AssertionError("pydantic refused a table without saying why")


def _contradictions(file: _Table, place: str) -> list[InputError]:
    """The errors of a file of the right shape."""
    questions = file.evidence.questions
    spot = _place(place, "evidence", "questions")
    errors = [
        InputError(error.message, place=spot) for error in twice([each.id for each in questions])
    ]
    for name, row in file.evidence.answers.items():
        spot = _place(place, "evidence", "answers", name)
        if len(row) != len(questions):
            told = f"{len(row)} answers for {len(questions)} questions"
            errors.append(InputError(told, place=spot))
        errors.extend(
            InputError(
                f"not an answer: {text!r}",
                place=f"{spot}.{i}",
                hint="`+B` right, `-C` wrong, `?unparsed` absent, empty for never asked",
            )
            for i, text in enumerate(row)
            if text and text[0] not in _OUTCOME and text not in _ABSENCE
        )
    return [*errors, *_circles(file, place)][:_SHOWN]


def _circles(file: _Table, place: str) -> list[InputError]:
    try:
        TopologicalSorter({name: [up] for name, up in _parents(file).items()}).prepare()
    except CycleError as error:
        circle = " -> ".join(f"`{name}`" for name in error.args[1])
        spot = _place(place, "skills")
        return [InputError(f"the parents go round in a circle: {circle}", place=spot)]
    return []


def _parents(file: _Table) -> dict[str, str]:
    return {name: skill.parent for name, skill in file.skills.items() if skill.parent}


def _mark(text: str, question_id: str, expert: str) -> Mark | None:
    if not text:
        return None
    if text in _ABSENCE:
        return Mark(question_id, expert, Outcome.ABSENT, None, _ABSENCE[text])
    return abridged(Mark(question_id, expert, _OUTCOME[text[0]], text[1:]))


def _place(file: str, *path: int | str) -> str:
    return f"{file} {'.'.join(map(str, path))}".strip()
