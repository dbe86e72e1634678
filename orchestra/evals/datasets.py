"""Questions with their gold answers, read from files and checked at the door.

Knows the three item formats (parquet, jsonl, csv), what a sound item looks like
and how to say where one is not. Never rewrites the text of a question, option or
gold value; only a gold letter is brought to upper case. Does not know benchmarks
by name, how an answer is extracted or how it is marked.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import blake2b
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from orchestra.errors import InputError, raise_all, unknown
from orchestra.records import LETTERS, Kind, Question

_SHOWN = 20
_ALSO_CALLED = {
    "question_id": ("id", "qid", "uid"),
    "question": ("prompt", "input", "text"),
    "options": ("choices",),
    "answer": ("gold", "target"),
}
_REQUIRED = ("question_id", "question")
_TEXT: tuple[str, tuple[type, ...]] = ("a string", (str,))
_TYPES: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "question_id": ("a string or a whole number", (str, int)),
    "question": _TEXT,
    "options": ("a list of strings", (list,)),
    "answer": ("a string or a number", (str, int, float)),
    "category": _TEXT,
    "benchmark": _TEXT,
    "language": _TEXT,
    "context": _TEXT,
    "kind": _TEXT,
    "profile": ("true or false", (bool,)),
}
_KINDS = {kind.value: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Item:
    """A question and what its right answer is. Stays inside `evals`."""

    question: Question
    gold: str | None
    """The option's letter for a choice, otherwise the gold value as given; None: no gold known."""
    profile: bool | None = None
    """True where the source sets the item apart for profiling, False for testing, if it says."""


def read_items(path: Path | str) -> tuple[Item, ...]:
    """Read every item of a `.parquet`, `.jsonl` or `.csv` file, in file order.

    Columns are those of the file contract; others are left out. In csv an empty cell is
    an absent value, and `options` is a JSON list in its cell. A missing `kind` is `choice`
    where there are options and `text` where there are none.

    Raises:
        InputError: the one thing that is wrong with the file.
        InputErrors: everything that is wrong with it, each with its place: `FILE:LINE`,
            or `FILE row N` counted from 1 in parquet; past 20 only a count.
    """
    path = Path(path)
    problems: list[InputError] = []
    with _translated(path):
        table = _load(path, problems)
    problems = [*_misnamed(table), *problems, *_check_types(table)]
    items = _build(table, problems)
    if not items and not problems:
        problems.append(InputError("has no rows", place=str(path)))
    if len(problems) > _SHOWN:
        rest = InputError(f"and {len(problems) - _SHOWN} more problems", place=str(path))
        problems = [*problems[:_SHOWN], rest]
    raise_all(problems)
    return tuple(items)


def items_digest(items: Sequence[Item]) -> str:
    """Content hash of items, as 32 hexadecimal characters.

    Covers id, text, options, gold, kind and context of each, and not the order of the
    items: the same questions in another order are the same exam.
    """
    rows = [
        (q.id, q.text, q.options, item.gold, q.kind.value, q.context)
        for item in items
        for q in (item.question,)
    ]
    rows.sort(key=lambda row: row[0])
    return blake2b(orjson.dumps(rows), digest_size=16).hexdigest()


def take(items: Sequence[Item], limit: int | None, *, seed: int) -> tuple[Item, ...]:
    """At most `limit` items, in the order given; None takes all.

    Takes those with the smallest hash of seed and id, so that a larger limit contains
    a smaller one, and adding items to a file or sorting it moves nobody in or out by place.

    Raises:
        InputError: `limit` is below 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1: {limit}")
    if limit is None or limit >= len(items):
        return tuple(items)
    ranks = [_rank(seed, item.question.id) for item in items]
    chosen = sorted(range(len(items)), key=ranks.__getitem__)[:limit]
    return tuple(items[index] for index in sorted(chosen))


def letter_histogram(items: Sequence[Item]) -> Mapping[str, int]:
    """How often each letter is gold among choice items, in letter order.

    Every letter that some item offers is listed, with 0 if it is never gold: a share far
    from uniform means a broken key, or an exam that guessing one letter passes.
    """
    choices = [item for item in items if item.question.kind is Kind.CHOICE]
    widest = max((len(item.question.options) for item in choices), default=0)
    counts = dict.fromkeys(LETTERS[:widest], 0)
    for item in choices:
        if item.gold is not None:
            counts[item.gold] += 1
    return counts


def _rank(seed: int, question_id: str) -> bytes:
    return blake2b(f"{seed}:{question_id}".encode(), digest_size=16).digest()


# Loading: a file becomes columns of Python values, None where a value is absent.


@dataclass(frozen=True, slots=True)
class _Table:
    path: Path
    names: Sequence[str]
    """Every column name of the file, known or not."""
    columns: Mapping[str, list[object]]
    """The known columns that the file has, all of one length."""
    lines: Sequence[int] | None = None
    """Line of each row, in text files."""
    bad: set[int] = field(default_factory=set)
    """Rows that already have a problem, so that one mistake is reported once."""

    def place(self, row: int) -> str:
        if self.lines is None:
            return f"{self.path} row {row + 1}"
        return f"{self.path}:{self.lines[row]}"


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what the file system and the format readers raise into an `InputError`."""
    place = str(path)
    try:
        yield
    except FileNotFoundError as error:
        raise InputError("no such file", place=place) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", place=place, hint="save it as UTF-8") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise InputError(f"cannot be read: {reason}", place=place) from error


def _load(path: Path, problems: list[InputError]) -> _Table:
    readers = {".csv": _load_csv, ".jsonl": _load_jsonl, ".parquet": _load_parquet}
    reader = readers.get(path.suffix.lower())
    if path.stat().st_size == 0:
        raise InputError("is empty", place=str(path))
    if reader is None:
        raise unknown("file type", path.suffix, readers, place=str(path))
    return reader(path, problems)


def _load_parquet(path: Path, problems: list[InputError]) -> _Table:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        twice = {name for name in _TYPES if names.count(name) > 1}
        problems += [InputError(f"column `{n}` is there twice", place=str(path)) for n in twice]
        wanted = [name for name in _TYPES if name in names and name not in twice]
        table = file.read(columns=wanted)
    return _Table(path, names, {name: _cells(table.column(name)) for name in wanted})


def _cells(column: pa.ChunkedArray) -> list[object]:
    """The column as Python values; lists are cut out of one flat list, which is far quicker."""
    cells: list[object] = []
    for chunk in column.chunks:
        if not (pa.types.is_list(chunk.type) or pa.types.is_large_list(chunk.type)):
            cells += chunk.to_pylist()
            continue
        ends, flat = chunk.offsets.to_pylist(), chunk.values.to_pylist()
        given = chunk.is_valid().to_pylist()
        cells += [
            flat[low:high] if valid else None
            for low, high, valid in zip(ends, ends[1:], given, strict=False)
        ]
    return cells


def _load_jsonl(path: Path, problems: list[InputError]) -> _Table:
    rows: list[dict[str, object]] = []
    lines: list[int] = []
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            problems.append(InputError(f"is not JSON: {error.msg}", place=f"{path}:{number}"))
            continue
        if isinstance(row, dict):
            rows.append(row)
            lines.append(number)
        else:
            says = f"must be a JSON object, not {_said(row)}"
            problems.append(InputError(says, place=f"{path}:{number}"))
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in _TYPES if name in names}
    return _Table(path, names, columns, lines)


def _load_csv(path: Path, problems: list[InputError]) -> _Table:
    header, *rows = _csv_rows(path, problems) or [(1, [])]
    names = header[1]
    if len(set(names)) < len(names):
        problems.append(InputError("two columns have one name", place=f"{path}:{header[0]}"))
    for line, cells in rows:
        if len(cells) != len(names):
            says = f"has {len(cells)} cells where the header has {len(names)}"
            problems.append(InputError(says, place=f"{path}:{line}"))
    rows = [(line, cells) for line, cells in rows if len(cells) == len(names)]
    columns: dict[str, list[object]] = {
        name: [cells[at] or None for _, cells in rows]
        for at, name in enumerate(names)
        if name in _TYPES
    }
    table = _Table(path, names, columns, [line for line, _ in rows])
    _decode_csv(table, problems)
    return table


def _csv_rows(path: Path, problems: list[InputError]) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line that it begins on."""
    rows: list[tuple[int, list[str]]] = []
    start = 1
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            for cells in reader:
                if cells:
                    rows.append((start, cells))
                start = reader.line_num + 1
        except csv.Error as error:
            hint = "quote cells that hold a quote or a line break, or give .jsonl"
            problems.append(InputError(f"is not csv: {error}", place=f"{path}:{start}", hint=hint))
    return rows


def _decode_csv(table: _Table, problems: list[InputError]) -> None:
    """Read the cells that stand for more than text, in place: `options` and `profile`."""
    options = table.columns.get("options", [])
    for row, cell in enumerate(options):
        try:
            options[row] = None if cell is None else orjson.loads(str(cell))
        except orjson.JSONDecodeError:
            hint = 'write the cell as "[""first"", ""second""]"'
            says = "`options` is not a JSON list"
            problems.append(InputError(says, place=table.place(row), hint=hint))
            options[row] = None
            table.bad.add(row)
    profile = table.columns.get("profile", [])
    flags = {"true": True, "1": True, "false": False, "0": False}
    profile[:] = [flags.get(str(cell).casefold(), cell) for cell in profile]


# Checking: first names and types, column by column; then what each row says.


class _Row(NamedTuple):
    """One row after the type checks, in the order of `_TYPES`."""

    question_id: str | int | None
    question: str | None
    options: list[str] | None
    answer: str | int | float | None
    category: str | None
    benchmark: str | None
    language: str | None
    context: str | None
    kind: str | None
    profile: bool | None


def _said(cell: object) -> str:
    """What a cell holds, for a message: its type and the value if that is short."""
    shown = repr(cell)
    return f"{type(cell).__name__} {shown}" if len(shown) <= 40 else type(cell).__name__


def _misnamed(table: _Table) -> Iterator[InputError]:
    """Errors for required columns that are missing, and for optional ones that look misspelt."""
    others = [name for name in table.names if name not in _TYPES]
    for name, aliases in _ALSO_CALLED.items():
        if not table.names or name in table.names:
            continue
        near = [other for other in others if other.casefold() in (name, *aliases)]
        near += difflib.get_close_matches(name, others, n=3, cutoff=0.75)
        hint = f"rename {' or '.join(f'`{other}`' for other in dict.fromkeys(near))} to `{name}`"
        if name in _REQUIRED or near:
            yield InputError(
                f"no column `{name}`",
                place=str(table.path),
                hint=hint if near else "columns: " + ", ".join(f"`{n}`" for n in table.names),
            )


def _check_types(table: _Table) -> Iterator[InputError]:
    """Errors for cells of a wrong type, one for a wholly wrong column; marks their rows as bad."""
    for name, cells in table.columns.items():
        expected, types = _TYPES[name]
        wrong = [row for row, cell in enumerate(cells) if not _is_of(types, cell)]
        table.bad.update(wrong)
        if len(wrong) > 1 and len(wrong) + cells.count(None) == len(cells):
            says = f"column `{name}` must hold {expected}, not {_said(cells[wrong[0]])}"
            yield InputError(says, place=str(table.path))
            continue
        for row in wrong:
            says = f"`{name}` must be {expected}, not {_said(cells[row])}"
            yield InputError(says, place=table.place(row))


def _is_of(types: tuple[type, ...], cell: object) -> bool:
    if isinstance(cell, list):
        return list in types and all(type(each) is str for each in cell)
    return cell is None or type(cell) in types  # exact, for a bool is no whole number


def _build(table: _Table, problems: list[InputError]) -> list[Item]:
    """An item of each sound row; what is wrong with the others joins `problems`."""
    if not all(name in table.columns for name in _REQUIRED):
        return []
    items: list[Item] = []
    first: dict[str, int] = {}
    rows = zip(*(table.columns.get(name, repeat(None)) for name in _TYPES), strict=False)
    for number, row in enumerate(map(_Row._make, rows)):
        name = str(row.question_id)
        faults = [] if number in table.bad else list(_faults(row))
        earlier = first.setdefault(name, number)
        if row.question_id is not None and earlier != number:
            faults.append((f"question_id {name!r} stands already at {table.place(earlier)}", ""))
        problems += [InputError(f, place=table.place(number), hint=h) for f, h in faults]
        if not faults and number not in table.bad:
            items.append(_item(row))
    return items


def _faults(row: _Row) -> Iterator[tuple[str, str]]:
    """What is wrong with a row of the right types: messages, each with a hint or none."""
    options = row.options or []
    if row.question_id is None or not str(row.question_id).strip():
        yield "`question_id` is empty", ""
    if row.question is None or not row.question.strip():
        yield "`question` is empty", ""
    if len(options) > len(LETTERS):
        yield f"{len(options)} options; {len(LETTERS)} letters are all there are", ""
    kind = _kind(row)
    if kind is None:
        error = unknown("kind", row.kind or "", [kind.value for kind in Kind])
        yield error.message, error.hint
    elif kind is Kind.CHOICE and not options:
        yield "kind `choice` without options", "give `options`, or another kind"
    elif kind is not Kind.CHOICE and options:
        yield f"kind `{kind}` with options", "leave the options out, or give kind `choice`"
    elif row.answer is not None:
        yield from _gold_faults(kind, str(row.answer), options)


def _gold_faults(kind: Kind, gold: str, options: Sequence[str]) -> Iterator[tuple[str, str]]:
    if kind is Kind.NUMBER and not _is_number(gold):
        yield f"`answer` is not a number: {gold!r}", ""
    if kind is not Kind.CHOICE or _letter(gold) in LETTERS[: len(options)]:
        return
    hint = "give the letter of the right option, or nothing where the answer is not known"
    if gold in options:
        hint = f"that is the text of option {LETTERS[options.index(gold)]}; {hint}"
    elif gold.strip().isdecimal():
        hint = f"a letter, not an index; {hint}"
    yield f"`answer` is none of {LETTERS[: len(options)]}: {gold!r}", hint


def _letter(gold: str) -> str:
    """The letter that a gold value names, upper case; a string in no alphabet if it is longer."""
    stripped = gold.strip().upper()
    return stripped if len(stripped) == 1 else "?"


def _is_number(gold: str) -> bool:
    plain = gold.replace(",", "").replace("$", "").strip()
    if "_" in plain:  # Python reads 1_000 as a number; nobody who marks answers does
        return False
    try:
        return math.isfinite(Fraction(plain) if "/" in plain else float(plain))
    except (ValueError, ZeroDivisionError, OverflowError):
        return False


def _kind(row: _Row) -> Kind | None:
    """The row's kind, None if it is unknown."""
    if row.kind is None:
        return Kind.CHOICE if row.options else Kind.TEXT
    return _KINDS.get(row.kind)


def _item(row: _Row) -> Item:
    kind = _kind(row) or Kind.TEXT
    gold = None if row.answer is None else str(row.answer)
    question = Question(
        id=str(row.question_id),
        text=row.question or "",
        options=tuple(row.options or ()),
        kind=kind,
        context=row.context or "",
        language=row.language or "en",
        category=row.category or "",
        benchmark=row.benchmark or "",
    )
    gold = _letter(gold) if gold is not None and kind is Kind.CHOICE else gold
    return Item(question=question, gold=gold, profile=row.profile)
