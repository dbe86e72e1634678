"""Columns that follow from the records, and values that a file can hold."""

from __future__ import annotations

import pyarrow as pa
import pytest

from orchestra.evals import Item
from orchestra.records import (
    Absence,
    Answer,
    Ballot,
    Certificate,
    Generation,
    Question,
    Usage,
    Vote,
)
from orchestra.report.export import WHAT, _Answered, _columns, _value

ITEM = Item(Question("q", "Which?", ("x", "y"), category="law"), "B")
COLUMNS = {
    "decisions": "question_id value confidence abstained method seats votes "
    "question category gold correct",
    "answers": "question_id expert sample value absence rule start end instead_of "
    "question category gold correct",
    "generations": "question_id expert sample layer text reasoning finish_reason input_tokens "
    "output_tokens estimated seconds money failure failure_detail key",
    "plans": "question_id router seed rivals seats reserves",
    "ballots": "question_id winner support margin score method votes certificate alarms",
}


@pytest.mark.parametrize("what", WHAT)
def test_columns_are_the_ones_that_other_tools_know(what: str) -> None:
    assert _columns(what)[0].names == COLUMNS[what].split()


@pytest.mark.parametrize(
    ("what", "column", "kind"),
    [
        ("decisions", "confidence", pa.float64()),
        ("decisions", "seats", pa.list_(pa.string())),
        ("decisions", "correct", pa.bool_()),
        ("answers", "absence", pa.string()),
        ("answers", "start", pa.int64()),
        ("generations", "input_tokens", pa.int64()),
        ("generations", "failure", pa.string()),
        ("ballots", "alarms", pa.list_(pa.string())),
    ],
)
def test_types_follow_from_the_records(what: str, column: str, kind: pa.DataType) -> None:
    assert _columns(what)[0].field(column).type == kind


@pytest.mark.parametrize(
    ("what", "record", "values"),
    [
        (
            "answers",
            _Answered(Answer("q", "a", "B", rule="stated:text", span=(3, 4)), ITEM, True),
            {"value": "B", "absence": None, "start": 3, "end": 4, "instead_of": None}
            | {"question": "Which?", "category": "law", "gold": "B", "correct": True},
        ),
        (
            "answers",
            _Answered(Answer("q", "a", None, Absence.EMPTY, instead_of="b"), None, None),
            {"absence": "empty", "start": None, "instead_of": "b", "gold": None, "correct": None},
        ),
        (
            "generations",
            Generation("k", "q", "a", "half \ud83d pair", usage=Usage(output_tokens=7)),
            {"text": "half ? pair", "reasoning": "", "output_tokens": 7, "failure": None},
        ),
        (
            "ballots",
            Ballot("q", (Vote("a", "B", 1.0),), "B", 1, 1, "m", certificate=Certificate(1, 0.5, 1)),
            {
                "votes": [{"expert": "a", "value": "B", "weight": 1.0}],
                "certificate": {"experts": 1, "weight": 0.5, "everywhere": 1, "guaranteed": None},
                "alarms": [],
            },
        ),
    ],
)
def test_values(what: str, record: object, values: dict[str, object]) -> None:
    schema, paths = _columns(what)
    row = {name: _value(record, path) for name, path in paths.items()}
    assert {name: row[name] for name in values} == values
    assert pa.Table.from_pylist([row], schema).to_pylist() == [row]
