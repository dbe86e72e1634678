"""A run's rows as a table in a file that other tools read.

Knows which columns each kind of row has and the three formats; streams, so that the
texts of a large run need no memory. Does not compute anything.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from orchestra.errors import InputError, unknown
from orchestra.records import Answer, Ballot, Decision, Generation, Plan, Seat, Vote
from orchestra.runs import RowKind, RunView

_BATCH = 1_000
_TEXT, _REAL, _WHOLE = pa.string(), pa.float64(), pa.int64()
_VOTE = pa.struct([("expert", _TEXT), ("value", _TEXT), ("weight", _REAL)])
_CERTIFICATE = pa.struct(
    [
        ("experts", _WHOLE),
        ("weight", _REAL),
        ("everywhere", _WHOLE),
        ("guaranteed", pa.bool_()),
    ]
)
_SEAT = pa.struct(
    [
        ("expert", _TEXT),
        ("weight", _REAL),
        ("reason", _TEXT),
        ("sample", _WHOLE),
        ("accuracy", _REAL),
    ]
)

Row = dict[str, Any]


def export(view: RunView, what: str, path: Path | str) -> int:
    """Write one kind of row to a `.parquet`, `.jsonl` or `.csv` file; how many rows there were.

    The file is there whole or not at all. Lists are JSON in csv.

    Args:
        view: the run.
        what: a name of `WHAT`.
        path: where to; an existing file is replaced.

    Raises:
        InputError: the kind or the file's suffix is unknown, or the place cannot be written.
    """
    target = Path(path)
    if what not in WHAT:
        raise unknown("kind of row", what, WHAT)
    if target.suffix.lower() not in _WRITERS:
        raise unknown("file type", target.suffix, _WRITERS, place=str(target))
    schema, rows = WHAT[what]
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        written = _WRITERS[target.suffix.lower()](part, schema, rows(view))
        os.replace(part, target)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror or error}", place=str(target)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return written


# Rows, kind by kind


def _decisions(view: RunView) -> Iterator[Row]:
    ballots: dict[str, Ballot] = {b.question_id: b for b in view.ledger.rows(RowKind.BALLOT)}
    decision: Decision
    for decision in view.ledger.rows(RowKind.DECISION):
        votes = ballots[decision.question_id].votes
        yield {
            "question_id": decision.question_id,
            "value": decision.value,
            "confidence": decision.confidence,
            "abstained": decision.abstained,
            "method": decision.method,
            "seats": [vote.expert for vote in votes],
            "votes": [_vote(vote) for vote in votes],
        }


def _answers(view: RunView) -> Iterator[Row]:
    answer: Answer
    for answer in view.ledger.rows(RowKind.ANSWER):
        start, end = answer.span or (None, None)
        yield {
            "question_id": answer.question_id,
            "expert": answer.expert,
            "sample": answer.sample,
            "value": answer.value,
            "absence": answer.absence,
            "rule": answer.rule,
            "start": start,
            "end": end,
            "instead_of": answer.instead_of or None,
        }


def _generations(view: RunView) -> Iterator[Row]:
    for kind in (RowKind.GENERATION, RowKind.FAILURE):
        generation: Generation
        for generation in view.ledger.rows(kind):
            usage, failure = generation.usage, generation.failure
            yield {
                "question_id": generation.question_id,
                "expert": generation.expert,
                "sample": generation.sample,
                "layer": generation.layer,
                "text": generation.text,
                "reasoning": generation.reasoning,
                "finish_reason": generation.finish_reason,
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "estimated": usage.estimated,
                "seconds": usage.seconds,
                "money": usage.money,
                "failure": failure.kind if failure else None,
                "failure_detail": failure.detail if failure else None,
                "key": generation.key,
            }


def _plans(view: RunView) -> Iterator[Row]:
    plan: Plan
    for plan in view.ledger.rows(RowKind.PLAN):
        yield {
            "question_id": plan.question_id,
            "router": plan.router,
            "seed": plan.seed,
            "rivals": plan.rivals,
            "seats": [_seat(seat) for seat in plan.seats],
            "reserves": [_seat(seat) for seat in plan.reserves],
        }


def _ballots(view: RunView) -> Iterator[Row]:
    ballot: Ballot
    for ballot in view.ledger.rows(RowKind.BALLOT):
        yield {
            "question_id": ballot.question_id,
            "winner": ballot.winner,
            "support": ballot.support,
            "margin": ballot.margin,
            "score": ballot.score,
            "method": ballot.method,
            "votes": [_vote(vote) for vote in ballot.votes],
            "certificate": None if ballot.certificate is None else asdict(ballot.certificate),
            "alarms": list(ballot.alarms),
        }


def _vote(vote: Vote) -> Row:
    return asdict(vote)


def _seat(seat: Seat) -> Row:
    return asdict(seat)


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


WHAT: Mapping[str, tuple[pa.Schema, Callable[[RunView], Iterator[Row]]]] = MappingProxyType(
    {
        "decisions": (
            _schema(
                question_id=_TEXT,
                value=_TEXT,
                confidence=_REAL,
                abstained=_TEXT,
                method=_TEXT,
                seats=pa.list_(_TEXT),
                votes=pa.list_(_VOTE),
            ),
            _decisions,
        ),
        "answers": (
            _schema(
                question_id=_TEXT,
                expert=_TEXT,
                sample=_WHOLE,
                value=_TEXT,
                absence=_TEXT,
                rule=_TEXT,
                start=_WHOLE,
                end=_WHOLE,
                instead_of=_TEXT,
            ),
            _answers,
        ),
        "generations": (
            _schema(
                question_id=_TEXT,
                expert=_TEXT,
                sample=_WHOLE,
                layer=_WHOLE,
                text=_TEXT,
                reasoning=_TEXT,
                finish_reason=_TEXT,
                input_tokens=_WHOLE,
                output_tokens=_WHOLE,
                estimated=pa.bool_(),
                seconds=_REAL,
                money=_REAL,
                failure=_TEXT,
                failure_detail=_TEXT,
                key=_TEXT,
            ),
            _generations,
        ),
        "plans": (
            _schema(
                question_id=_TEXT,
                router=_TEXT,
                seed=_WHOLE,
                rivals=_REAL,
                seats=pa.list_(_SEAT),
                reserves=pa.list_(_SEAT),
            ),
            _plans,
        ),
        "ballots": (
            _schema(
                question_id=_TEXT,
                winner=_TEXT,
                support=_REAL,
                margin=_REAL,
                score=_REAL,
                method=_TEXT,
                votes=pa.list_(_VOTE),
                certificate=_CERTIFICATE,
                alarms=pa.list_(_TEXT),
            ),
            _ballots,
        ),
    }
)
"""What can be exported: the columns of each kind of row, and where its rows come from."""


# Formats


def _parquet(path: Path, schema: pa.Schema, rows: Iterable[Row]) -> int:
    written = 0
    with pq.ParquetWriter(path, schema) as writer:
        for batch in _batches(rows):
            writer.write_table(pa.Table.from_pylist([_sound(row) for row in batch], schema))
            written += len(batch)
    return written


def _jsonl(path: Path, schema: pa.Schema, rows: Iterable[Row]) -> int:
    written = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(_sound(row)) + b"\n")
            written += 1
    return written


def _csv(path: Path, schema: pa.Schema, rows: Iterable[Row]) -> int:
    written = 0
    file: IO[str]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(schema.names)
        for row in rows:
            cells = (_sound(row)[name] for name in schema.names)
            writer.writerow([orjson.dumps(c).decode() if isinstance(c, list) else c for c in cells])
            written += 1
    return written


_WRITERS: Mapping[str, Callable[[Path, pa.Schema, Iterable[Row]], int]] = MappingProxyType(
    {".parquet": _parquet, ".jsonl": _jsonl, ".csv": _csv}
)


def _batches(rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
    waiting = iter(rows)
    while batch := list(islice(waiting, _BATCH)):
        yield batch


def _sound(row: Row) -> Row:
    """The row with strings that UTF-8 can hold: models may say half a surrogate pair."""
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }
