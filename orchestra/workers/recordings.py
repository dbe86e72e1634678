"""Answers that models already gave, read back from a file row by row.

Knows the two formats of recordings (parquet, jsonl), which row holds which sample of
which model, and how to read only the rows that are wanted. The texts stay packed as
Arrow columns, or on disk where they are large. Does not know requests, experts or
what a missing answer means to a run.
"""

from __future__ import annotations

import difflib
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b, file_digest
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as kinds

from orchestra.errors import InputError, raise_all, unknown
from orchestra.files import Stamp, check_regular, located, stamp_of, unchanged
from orchestra.runs.foreign import loads, plain_columns, python_type

Rows = npt.NDArray[np.int64]
Names = Collection[str]

_SHOWN = 20
_BATCH_ROWS = 2048
_BATCH_BYTES = 4 << 20
_BUFFER_BYTES = 1 << 20
_KEEP_BYTES = 512 << 20
_LAST_SAMPLE = 2**31 - 1
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded sample. What the file does not say is None."""

    output: str
    """The model's whole text; empty where the file holds a null."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    finish_reason: str | None = None
    logprobs: tuple[float, ...] | None = None
    """Log-probability of each output token."""
    answer_only: bool = False
    """The text states the answer and is not the model's own: its length says nothing."""


class Recordings:
    """The recorded answers of one file, found by model, question and sample.

    Make one with `Recordings.open`. It may be shared between threads.
    """

    def __init__(self, path: Path, index: _Index, source: _Groups | _Lines, stamp: Stamp) -> None:
        self._path, self._stamp = path, stamp
        self._index, self._source = index, source

    @classmethod
    def open(cls, path: Path | str, *, keep_bytes: int = _KEEP_BYTES) -> Recordings:
        """Index the recordings of a `.parquet` or `.jsonl` file, or of `shipped:NAME`.

        Texts are read later.

        The texts of a parquet file are held in memory, packed, once any are asked for, if
        they are at most `keep_bytes` large; else each request reads its row groups again,
        in bounded memory. Lines of a jsonl file are always read from disk.

        Raises:
            InputError: the one thing that is wrong with the file.
            InputErrors: everything that is wrong with it, each with its place: `FILE:LINE`,
                or `FILE row N` counted from 1 in parquet; past 20 only a count.
        """
        path = located(path, "recordings.parquet")
        kind = path.suffix.lower()
        check_regular(path)
        with _translated(path):
            stamp = stamp_of(path)
            if path.stat().st_size == 0:
                raise InputError("is empty", place=str(path))
            if kind not in (".jsonl", ".parquet"):
                raise unknown("file type", path.suffix, (".jsonl", ".parquet"), place=str(path))
            opened = _open_jsonl(path) if kind == ".jsonl" else _open_parquet(path, keep_bytes)
        _raise_first([*opened.problems, *_doubles(opened)], path)
        return cls(path, opened.index, opened.source, stamp)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the recorded models, sorted."""
        return tuple(sorted(self._index.models))

    def __len__(self) -> int:
        return len(self._index.keys)

    def samples(self, model: str) -> tuple[int, ...]:
        """The sample indices that `model` has for any question, ascending.

        Raises:
            InputError: the file has no such model.
        """
        return self._index.samples_of(self._model(model))

    def texts(self, model: str, wanted: Sequence[tuple[str, int]]) -> list[Recorded | None]:
        """What `model` answered to each (question id, sample index); None: not recorded.

        Takes one pass over the rows concerned, so ask for many at a time.

        Raises:
            InputError: the file has no such model, can no longer be read, or was changed.
        """
        rows = self._index.find(self._model(model), wanted)
        needed, place = np.unique(rows[rows >= 0], return_inverse=True)
        stamp = None if self._source.in_memory else self._stamp
        with unchanged(self._path, stamp), _translated(self._path):
            found = self._source.fetch(needed)
        result: list[Recorded | None] = [None] * len(wanted)
        for at, number in zip(np.flatnonzero(rows >= 0).tolist(), place.tolist(), strict=True):
            result[at] = found[number]
        return result

    @cached_property
    def digest(self) -> str:
        """Content hash of the file, 32 hexadecimal digits; reads all of it once."""
        here = self._path
        with unchanged(here, self._stamp), _translated(here), here.open("rb") as file:
            return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()

    def _model(self, name: str) -> int:
        number = self._index.models.get(name)
        if number is None:
            raise unknown("recorded model", name, self._index.models, place=str(self._path))
        return number


# The index: which row holds which sample.


@dataclass(frozen=True, slots=True)
class _Index:
    """Rows under one sorted number for each (model, question, sample)."""

    models: Mapping[str, int]
    questions: Mapping[str, int]
    samples: Rows
    """The sample indices that occur, ascending."""
    keys: Rows
    rows: Rows

    @classmethod
    def of(cls, rows: Rows, *, models: Names, questions: Names, whose: Sequence[Rows]) -> _Index:
        """Index `rows`, in any order; `whose` is the model, question and sample of each.

        Models and questions are given by their positions in `models` and `questions`.
        """
        model, question, number = whose
        samples, sample = np.unique(number, return_inverse=True)
        keys = (model * len(questions) + question) * len(samples) + sample
        order = np.argsort(keys, kind="stable")
        return cls(
            models={name: at for at, name in enumerate(models)},
            questions={name: at for at, name in enumerate(questions)},
            samples=samples,
            keys=keys[order],
            rows=rows[order],
        )

    def find(self, model: int, wanted: Sequence[tuple[str, int]]) -> Rows:
        """The row of each (question, sample) of `model`, -1 where there is none."""
        question = np.array([self.questions.get(name, -1) for name, _ in wanted], np.int64)
        asked = np.array([sample for _, sample in wanted], np.int64)
        sample = np.searchsorted(self.samples, asked).clip(max=len(self.samples) - 1)
        known = (question >= 0) & (self.samples[sample] == asked)
        keys = (model * len(self.questions) + question) * len(self.samples) + sample
        at = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        return np.where(known & (self.keys[at] == keys), self.rows[at], -1)

    def samples_of(self, model: int) -> tuple[int, ...]:
        width = len(self.questions) * len(self.samples)
        low, high = np.searchsorted(self.keys, [model * width, (model + 1) * width])
        numbers = np.unique(self.keys[low:high] % len(self.samples))
        return tuple(self.samples[numbers].tolist())


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file that could be read, and what is wrong with single rows; the index has the others."""

    index: _Index
    source: _Groups | _Lines
    problems: Sequence[InputError]
    place: Callable[[int], str]
    """Where an indexed row stands, for a message."""


def _doubles(opened: _Opened) -> list[InputError]:
    hint = "number the samples of one question in a column `sample_index`"
    index = opened.index
    models, questions = list(index.models), list(index.questions)
    errors = []
    for at in np.flatnonzero(index.keys[1:] == index.keys[:-1]).tolist():
        rest, sample = divmod(int(index.keys[at]), len(index.samples))
        model, question = divmod(rest, len(questions))
        earlier, place = (opened.place(row) for row in index.rows[at : at + 2].tolist())
        says = f"sample {index.samples[sample]} of question {questions[question]!r}"
        says += f" by model {models[model]!r} stands already at {earlier}"
        errors.append(InputError(says, place=place, hint=hint))
    return errors


# What a file may hold, and how it is said that it does not.

_TEXT: tuple[str, tuple[type, ...]] = ("a string", (str,))
_NUMBER: tuple[str, tuple[type, ...]] = ("a number", (int, float))
_KEY_COLUMNS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "question_id": ("a string or a whole number", (str, int)),
    "model": _TEXT,
    "sample_index": ("a whole number", (int,)),
}
_TEXT_COLUMNS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "output": _TEXT,
    "prompt_tokens": _NUMBER,  # not only whole ones: pandas turns integers with gaps into floats
    "completion_tokens": _NUMBER,
    "seconds": _NUMBER,
    "finish_reason": _TEXT,
    "logprobs": ("a list of numbers", (list,)),
    "answer_only": ("true or false", (bool,)),
}
_COLUMNS = {**_KEY_COLUMNS, **_TEXT_COLUMNS}
_REQUIRED = ("question_id", "model", "output")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what the file system and the format readers raise into an `InputError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError("no such file", place=str(path)) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise InputError(f"cannot be read: {reason}", place=str(path)) from error


def _raise_first(problems: Sequence[InputError], path: Path) -> None:
    """Raise all problems together; of very many the first, and the count of the rest."""
    if len(problems) > _SHOWN:
        rest = InputError(f"and {len(problems) - _SHOWN} more problems", place=str(path))
        problems = [*problems[:_SHOWN], rest]
    raise_all(problems)


def _missing(path: Path, names: Names) -> Iterator[InputError]:
    """An error for each required column that is not among `names`, with its near names."""
    others = [name for name in names if name not in _COLUMNS]
    for wanted in _REQUIRED:
        if wanted not in names:
            near = difflib.get_close_matches(wanted, others, n=3, cutoff=0.5) or others[:12]
            hint = f"which of these is it: {', '.join(f'`{name}`' for name in near)}?"
            yield InputError(f"no column `{wanted}`", place=str(path), hint=hint if near else "")


# Parquet: the key columns are read at once, the texts by row group.


def _open_parquet(path: Path, keep_bytes: int) -> _Opened:
    schema = pq.read_schema(path)
    names = schema.names
    _raise_first([*_missing(path, names), *_mistyped(path, schema)], path)
    with pq.ParquetFile(path, read_dictionary=["question_id", "model"]) as file:
        texts = [name for name in _TEXT_COLUMNS if name in names]
        groups = (file.metadata.row_group(number) for number in range(file.num_row_groups))
        keep = sum(group.total_byte_size for group in groups) <= keep_bytes
        table = plain_columns(file.read(columns=[n for n in _KEY_COLUMNS if n in names]))
    if not table.num_rows:
        raise InputError("has no rows", place=str(path))
    sample = _samples(table)
    unsound = {
        "`question_id` is empty": table["question_id"].is_null().to_numpy(),
        "`model` is empty": table["model"].is_null().to_numpy(),
        f"`sample_index` must be from 0 to {_LAST_SAMPLE}": (sample < 0) | (sample > _LAST_SAMPLE),
    }
    problems = [
        InputError(says, place=f"{path} row {row + 1}")
        for says, rows in unsound.items()
        for row in np.flatnonzero(rows).tolist()
    ]
    sound = np.flatnonzero(~np.any(list(unsound.values()), axis=0))
    models, model = _coded(table["model"])
    questions, question = _coded(table["question_id"])
    whose = [numbers[sound] for numbers in (model, question, sample)]
    index = _Index.of(sound, models=models, questions=questions, whose=whose)
    source = _Groups(path, texts, keep=keep)
    return _Opened(index, source, problems, lambda row: f"{path} row {row + 1}")


def _mistyped(path: Path, schema: pa.Schema) -> Iterator[InputError]:
    for field in schema:
        expected, types = _COLUMNS.get(field.name, ("", ()))
        if field.name not in ("question_id", "model"):
            types = (*types, type(None))
        if expected and schema.names.count(field.name) > 1:
            yield InputError(f"column `{field.name}` is there twice", place=str(path))
        elif expected and python_type(field.type) not in types:
            says = f"column `{field.name}` must hold {expected}, not {field.type}"
            yield InputError(says, place=str(path))


def _samples(keys: pa.Table) -> Rows:
    if "sample_index" not in keys.column_names:
        return np.zeros(keys.num_rows, np.int64)
    column = pc.fill_null(keys.column("sample_index").cast(pa.int64()), 0)
    return np.asarray(column.to_numpy(), np.int64)


def _coded(column: pa.ChunkedArray) -> tuple[list[str], Rows]:
    """The distinct names in a column, and for each row the position of its own (of null: 0)."""
    if kinds.is_integer(column.type):
        column = column.cast(pa.string())
    column = column.dictionary_encode().unify_dictionaries()
    codes = [chunk.indices.fill_null(0).to_numpy() for chunk in column.chunks]
    return column.chunk(0).dictionary.to_pylist(), np.concatenate(codes).astype(np.int64)


@dataclass(frozen=True)
class _Groups:
    """Texts in a parquet file, kept packed from the first fetch on if `keep`."""

    path: Path
    names: Sequence[str]
    """The text columns that the file has."""
    keep: bool

    @property
    def in_memory(self) -> bool:
        return "_kept" in self.__dict__

    def fetch(self, rows: Rows) -> list[Recorded]:
        found: list[Recorded] = []
        for start, batch in self._kept if self.keep else self._stream(rows):
            low, high = np.searchsorted(rows, [start, start + batch.num_rows])
            if low < high:
                found += _unpack(batch.take(pa.array(rows[low:high] - start)))
            if high == len(rows):
                break
        return found

    @cached_property
    def _kept(self) -> list[tuple[int, pa.RecordBatch]]:
        return list(self._stream(None))

    def _stream(self, rows: Rows | None) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Batches with the number of their first row, of the row groups that hold `rows`."""
        # Unbuffered and in small batches this is quicker than reading a table, in half the space.
        with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            start = 0
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group)
                end = start + size.num_rows
                affordable = _BATCH_BYTES * size.num_rows // max(1, size.total_byte_size)
                batch_rows = max(1, min(_BATCH_ROWS, affordable))
                needed = rows is None or np.diff(np.searchsorted(rows, [start, end])).any()
                groups = [group] if needed else []
                for batch in file.iter_batches(batch_rows, groups, columns=self.names):
                    yield start, plain_columns(batch)
                    start += batch.num_rows
                start = end


def _unpack(batch: pa.RecordBatch) -> list[Recorded]:
    cells = {name: batch.column(name).to_pylist() for name in batch.schema.names}
    columns = [cells.get(name, repeat(None)) for name in _TEXT_COLUMNS]
    return [_recorded(row) for row in zip(*columns, strict=False)]


def _recorded(cells: Sequence[Any]) -> Recorded:
    """A sample from its cells in the order of `_TEXT_COLUMNS`; null and NaN become None."""
    output, prompt, completion, seconds, reason, logprobs, answer_only = cells
    return Recorded(
        output or "",
        None if prompt is None or prompt != prompt else int(prompt),
        None if completion is None or completion != completion else int(completion),
        None if seconds is None or seconds != seconds else float(seconds),
        reason,
        None if logprobs is None else tuple(logprobs),
        bool(answer_only),
    )


# Lines of JSON: the keys are read at once, the texts by the offset of their line.


@dataclass(frozen=True, slots=True)
class _Lines:
    """Texts in a jsonl file, found by where their lines begin."""

    path: Path
    offsets: Rows
    in_memory: ClassVar[bool] = False

    def fetch(self, rows: Rows) -> list[Recorded]:
        found: list[Recorded] = []
        with self.path.open("rb") as file:
            for offset in self.offsets[rows].tolist():
                file.seek(offset)
                row = _loads(file.readline())
                found.append(_recorded([row.get(name) for name in _TEXT_COLUMNS]))
        return found


def _open_jsonl(path: Path) -> _Opened:
    models: dict[str, int] = {}
    questions: dict[str, int] = {}
    model, question, sample, offsets, lines = (array("q") for _ in range(5))
    faults: list[tuple[str, int, str]] = []
    names: set[str] = set()
    for number, offset, line in _numbered_lines(path):
        row, wrong = _checked(line)
        names.update(row)
        faults += [(name, number, says) for name, says in wrong]
        if not wrong:
            model.append(models.setdefault(row["model"], len(models)))
            question.append(questions.setdefault(str(row["question_id"]), len(questions)))
            sample.append(row.get("sample_index") or 0)
            offsets.append(offset)
            lines.append(number)
    if not faults and not models:
        raise InputError("has no rows", place=str(path))
    problems = list(_missing(path, sorted(names or _REQUIRED)))
    problems += [
        InputError(says, place=f"{path}:{number}")
        for name, number, says in faults
        if name in names or not name  # a column that no line has was said once, above
    ]
    whose = [np.array(numbers, np.int64) for numbers in (model, question, sample)]
    rows = np.arange(len(lines))
    index = _Index.of(rows, models=models, questions=questions, whose=whose)
    source = _Lines(path, np.array(offsets, np.int64))
    return _Opened(index, source, problems, lambda row: f"{path}:{lines[row]}")


def _numbered_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Number from 1, offset in bytes and text of each line that is not blank."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, offset, line
            offset += len(line)


def _loads(line: bytes) -> Any:
    return loads(line.removeprefix(_BYTE_ORDER_MARK))


def _checked(line: bytes) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The line as an object, and what is wrong with it: (column or "", message) pairs."""
    try:
        row = _loads(line)
    except ValueError as error:
        return {}, [("", f"is not JSON: {getattr(error, 'msg', error)}")]
    if not isinstance(row, dict):
        return {}, [("", f"must be a JSON object, not {type(row).__name__}")]
    return row, list(_faults(row))


def _faults(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, (expected, types) in _COLUMNS.items():
        cell = row.get(name)
        if cell is None:
            if name in _REQUIRED and (name in _KEY_COLUMNS or name not in row):
                yield name, f"`{name}` is empty"
        elif not _is_of(types, cell):
            yield name, f"`{name}` must be {expected}, not {type(cell).__name__}"
        elif name == "sample_index" and not 0 <= cell <= _LAST_SAMPLE:
            yield name, f"`{name}` must be from 0 to {_LAST_SAMPLE}"


def _is_of(types: tuple[type, ...], cell: object) -> bool:
    if isinstance(cell, list):
        return list in types and all(type(each) in (int, float) for each in cell)
    return type(cell) in types  # exact, for a bool is no whole number
