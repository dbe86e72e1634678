"""A run's rows as a table in a file that other tools read: `.parquet`, `.jsonl` or `.csv`.

Columns and their types follow from the records. Rows are streamed, so that the texts of a
large run need no memory.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, get_args, get_origin, get_type_hints

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from orchestra.errors import InputError, unknown
from orchestra.evals import Item, mark_answer, mark_decision
from orchestra.records import Answer, Ballot, Decision, Generation, Outcome, Plan
from orchestra.runs import RECORDS, RowKind, RunView

_BATCH = 1_000

Row = dict[str, Any]


def export(view: RunView, what: str, path: Path | str, *, items: Sequence[Item] = ()) -> int:
    """Write one kind of row to a `.parquet`, `.jsonl` or `.csv` file; return how many rows.

    The file is there whole or not at all. Lists and objects are JSON in csv.

    Args:
        view: the run.
        what: a name of `WHAT`.
        path: where to; an existing file is replaced.
        items: the run's questions, where they are at hand: decisions and answers show them.

    Raises:
        InputError: the kind or the file's suffix is unknown, or the place cannot be written.
    """
    target = Path(path)
    if what not in WHAT:
        raise unknown("kind of row", what, WHAT)
    if target.suffix.lower() not in _WRITERS:
        raise unknown("file type", target.suffix, _WRITERS, place=str(target))
    schema, paths = _columns(what)
    rows = (
        {name: _value(record, path) for name, path in paths.items()}
        for record in _records(view, what, items)
    )
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        written = _WRITERS[target.suffix.lower()](part, schema, rows)
        os.replace(part, target)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror or error}", place=str(target)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return written


# Columns and rows, from records


@dataclass(frozen=True, slots=True)
class _Decided:
    """One question of a run: its votes, its decision and, where they are known, its item."""

    decision: Decision
    ballot: Ballot
    item: Item | None
    correct: bool | None


@dataclass(frozen=True, slots=True)
class _Answered:
    """One answer of one expert and, where it is known, its item."""

    answer: Answer
    item: Item | None
    correct: bool | None


WHAT: Mapping[str, tuple[type, str]] = MappingProxyType(
    {
        "decisions": (
            _Decided,
            "question_id=decision.question_id value=decision.value "
            "confidence=decision.confidence abstained=decision.abstained method=decision.method "
            "seats=ballot.votes.expert votes=ballot.votes question=item.question.text "
            "category=item.question.category gold=item.gold correct",
        ),
        "answers": (
            _Answered,
            "question_id=answer.question_id expert=answer.expert sample=answer.sample "
            "value=answer.value absence=answer.absence rule=answer.rule start=answer.span.0 "
            "end=answer.span.1 instead_of=answer.instead_of question=item.question.text "
            "category=item.question.category gold=item.gold correct",
        ),
        "generations": (
            Generation,
            "question_id expert sample layer text reasoning finish_reason "
            "input_tokens=usage.input_tokens output_tokens=usage.output_tokens "
            "estimated=usage.estimated seconds=usage.seconds money=usage.money "
            "failure=failure.kind failure_detail=failure.detail key",
        ),
        "plans": (Plan, "question_id router seed rivals seats reserves"),
        "ballots": (
            Ballot,
            "question_id winner support margin score method votes certificate alarms",
        ),
    }
)
"""What can be exported: the record behind each row, and its columns as `name` or `name=path`."""

_NULL_WHERE_EMPTY = frozenset({"instead_of"})
_ATOMS = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}


def _records(view: RunView, what: str, items: Sequence[Item]) -> Iterator[object]:
    by_id = {item.question.id: item for item in items}
    if what == "decisions":
        yield from _decided(view, by_id)
        return
    if what == "answers":
        yield from _answered(view, by_id)
        return
    for kind, record in RECORDS.items():
        if record is WHAT[what][0]:
            yield from view.ledger.rows(kind)


def _decided(view: RunView, items: Mapping[str, Item]) -> Iterator[_Decided]:
    ballots: dict[str, Ballot] = {b.question_id: b for b in view.ledger.rows(RowKind.BALLOT)}
    decision: Decision
    for decision in view.ledger.rows(RowKind.DECISION):
        item = items.get(decision.question_id)
        correct = None
        if item is not None and item.gold is not None:
            correct = mark_decision(decision, item, who="run").outcome is Outcome.CORRECT
        yield _Decided(decision, ballots[decision.question_id], item, correct)


def _answered(view: RunView, items: Mapping[str, Item]) -> Iterator[_Answered]:
    answer: Answer
    for answer in view.ledger.rows(RowKind.ANSWER):
        item = items.get(answer.question_id)
        correct = None
        if item is not None and item.gold is not None:
            correct = mark_answer(answer, item).outcome is Outcome.CORRECT
        yield _Answered(answer, item, correct)


def _columns(what: str) -> tuple[pa.Schema, dict[str, tuple[str, ...]]]:
    """The Arrow schema of a kind of row, and the path in the record of each column."""
    record, names = WHAT[what]
    pairs = (name.partition("=") for name in names.split())
    paths = {name: tuple((path or name).split(".")) for name, _, path in pairs}
    return pa.schema([(name, _type(record, path)) for name, path in paths.items()]), paths


def _type(hint: Any, path: Sequence[str] = ()) -> pa.DataType:
    """The Arrow type at a path in a record's type hints; `X | None` is an X that may be null."""
    members = [member for member in get_args(hint) if member not in (NoneType, Ellipsis)]
    if get_origin(hint) is tuple:
        if path and path[0].isdigit():
            return _type(members[int(path[0])], path[1:])
        return pa.list_(_type(members[0], path))
    if members:
        return _type(members[0], path)
    if path:
        return _type(get_type_hints(hint)[path[0]], path[1:])
    if is_dataclass(hint):
        return pa.struct([(field.name, _type(hint, (field.name,))) for field in fields(hint)])
    return pa.string() if issubclass(hint, Enum) else _ATOMS[hint]


def _value(value: Any, path: Sequence[str]) -> Any:
    """The value at a path in a record, as plain data; None where a part of it is absent."""
    for depth, name in enumerate(path):
        if value is None:
            return None
        if not isinstance(value, tuple):
            value = getattr(value, name)
        elif name.isdigit():
            value = value[int(name)]
        else:
            return [_value(member, path[depth:]) for member in value]
    return None if value == "" and path[-1] in _NULL_WHERE_EMPTY else _plain(value)


def _plain(value: Any) -> Any:
    """Plain data, with strings that UTF-8 can hold: a model may write half a surrogate pair."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


# Formats


def _parquet(path: Path, schema: pa.Schema, rows: Iterator[Row]) -> int:
    written = 0
    with pq.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, _BATCH)):
            writer.write_table(pa.Table.from_pylist(batch, schema))
            written += len(batch)
    return written


def _jsonl(path: Path, schema: pa.Schema, rows: Iterator[Row]) -> int:
    with path.open("wb") as file:
        return sum(1 for row in rows if file.write(orjson.dumps(row) + b"\n"))


def _csv(path: Path, schema: pa.Schema, rows: Iterator[Row]) -> int:
    written = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(schema.names)
        for row in rows:
            cells = row.values()
            writer.writerow(
                [orjson.dumps(c).decode() if isinstance(c, list | dict) else c for c in cells]
            )
            written += 1
    return written


_WRITERS: Mapping[str, Callable[[Path, pa.Schema, Iterator[Row]], int]] = MappingProxyType(
    {".parquet": _parquet, ".jsonl": _jsonl, ".csv": _csv}
)
