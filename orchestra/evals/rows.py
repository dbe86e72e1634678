"""Rows of questions from files and from data in memory, as columns with the place of each row.

Reads parquet, jsonl and csv, and tables of pandas, polars, datasets and pyarrow, of which only
those that are loaded already are recognised. Does not know what a sound row is.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from orchestra.errors import InputError, unknown

Columns = dict[str, list[object]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of Python values, None where a value is absent, all of one length."""

    source: str
    """The file, or what the data in memory is."""
    names: Sequence[str]
    """Every column name of the source, known or not."""
    columns: Mapping[str, list[object]]
    """The known columns that the source has."""
    place: Callable[[int], str]
    """Where a row is, for messages."""
    bad: set[int] = field(default_factory=set)
    """Rows that already have a problem, so that one mistake is reported once."""
    indexed: bool = False
    """Whether whole numbers in `answer` count options from 0, as label columns do."""

    def __len__(self) -> int:
        return max(map(len, self.columns.values()), default=0)


def shown(cell: object) -> str:
    """What a cell holds, for a message: its type and the value if that is short."""
    value = repr(cell)
    return f"{type(cell).__name__} {value}" if len(value) <= 40 else type(cell).__name__


# Files


def read_file(path: Path, known: Collection[str], problems: list[InputError]) -> Rows:
    """The rows of a `.parquet`, `.jsonl` or `.csv` file; unsound lines join `problems`.

    Raises:
        InputError: the file is not there, is empty, or cannot be read.
    """
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    with _translated(path):
        if path.stat().st_size == 0:
            raise InputError("is empty", place=str(path))
        reader = readers.get(path.suffix.lower())
        if reader is None:
            raise unknown("file type", path.suffix, readers, place=str(path))
        return reader(path, known, problems)


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


def _line(path: Path, lines: Sequence[int], row: int) -> str:
    return f"{path}:{lines[row]}"


def _read_parquet(path: Path, known: Collection[str], problems: list[InputError]) -> Rows:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        twice = {name for name in known if names.count(name) > 1}
        problems += [InputError(f"column `{n}` is there twice", place=str(path)) for n in twice]
        wanted = [name for name in known if name in names and name not in twice]
        table = file.read(columns=wanted)
    columns = {name: _cells(table.column(name)) for name in wanted}
    return Rows(str(path), names, columns, lambda row: f"{path} row {row + 1}")


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


def _read_jsonl(path: Path, known: Collection[str], problems: list[InputError]) -> Rows:
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
            message = f"must be a JSON object, not {shown(row)}"
            problems.append(InputError(message, place=f"{path}:{number}"))
    names, columns = _turned(rows, known)
    return Rows(str(path), names, columns, partial(_line, path, lines))


def _turned(
    rows: Sequence[Mapping[str, object]], known: Collection[str]
) -> tuple[list[str], Columns]:
    """Every name in the rows, and the known ones as columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return names, {name: [row.get(name) for row in rows] for name in known if name in names}


def _read_csv(path: Path, known: Collection[str], problems: list[InputError]) -> Rows:
    header, *rows = _csv_rows(path, problems) or [(1, [])]
    names = header[1]
    if len(set(names)) < len(names):
        problems.append(InputError("two columns have one name", place=f"{path}:{header[0]}"))
    for line, cells in rows:
        if len(cells) != len(names):
            message = f"has {len(cells)} cells where the header has {len(names)}"
            problems.append(InputError(message, place=f"{path}:{line}"))
    rows = [(line, cells) for line, cells in rows if len(cells) == len(names)]
    columns: Columns = {
        name: [cells[at] or None for _, cells in rows]
        for at, name in enumerate(names)
        if name in known
    }
    place = partial(_line, path, [line for line, _ in rows])
    table = Rows(str(path), names, columns, place)
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


def _decode_csv(table: Rows, problems: list[InputError]) -> None:
    """Read the cells that stand for more than text, in place: `options` and `profile`."""
    options = table.columns.get("options", [])
    for row, cell in enumerate(options):
        try:
            options[row] = None if cell is None else orjson.loads(str(cell))
        except orjson.JSONDecodeError:
            hint = 'write the cell as "[""first"", ""second""]"'
            message = "`options` is not a JSON list"
            problems.append(InputError(message, place=table.place(row), hint=hint))
            options[row] = None
            table.bad.add(row)
    profile = table.columns.get("profile", [])
    flags = {"true": True, "1": True, "false": False, "0": False}
    profile[:] = [flags.get(str(cell).casefold(), cell) for cell in profile]


# Data in memory


def read_memory(data: Any, known: Collection[str], problems: list[InputError]) -> Rows | None:
    """The rows of a table in memory; None where the data is none but perhaps a list of rows.

    A table is a DataFrame of pandas or polars, a `datasets.Dataset`, a `pyarrow.Table` or a
    mapping from column names to lists.

    Raises:
        InputError: the data holds several tables.
    """
    library = _library(data)
    if library == "datasets" and isinstance(data, Mapping):
        names = ", ".join(f"{name!r}" for name in data)
        raise InputError("the data has several splits", hint=f"choose one of {names}")
    if isinstance(data, Mapping):
        if "question" not in data or isinstance(data["question"], str):
            return None
        return _table("data", data, {name: list(data[name]) for name in known if name in data})
    if library == "polars":
        data = data.collect() if hasattr(data, "collect") else data
        return _table("DataFrame", data.columns, _taken(data, known, lambda each: each.to_list()))
    if library == "pandas":
        problems += [
            InputError(f"column `{name}` is there twice", place="DataFrame")
            for name in known
            if list(data.columns).count(name) > 1
        ]
        known = [name for name in known if list(data.columns).count(name) == 1]
        return _table("DataFrame.iloc", data.columns, _taken(data, known, _pandas))
    if library == "pyarrow":
        return _table("Table", data.column_names, _taken(data, known, _cells))
    if library == "datasets":
        columns = _taken(data, known, list)
        labels = getattr(data.features.get("answer"), "names", None)
        if labels is not None:
            answers = columns["answer"]
            columns["answer"] = [labels[at] if isinstance(at, int) else at for at in answers]
        return _table("Dataset", data.column_names, columns, indexed=True)
    return None


def read_list(data: Sequence[Mapping[str, object]], known: Collection[str]) -> Rows:
    """Rows that are mappings, in their order."""
    names, columns = _turned(data, known)
    return _table("data", names, columns)


def _library(data: object) -> str:
    """The package that the table's class is of; empty where the data is no table of one."""
    kinds = {"DataFrame", "LazyFrame", "Dataset", "DatasetDict", "Table"}
    for kind in type(data).__mro__:
        library = kind.__module__.partition(".")[0]
        if kind.__name__ in kinds and library in ("pandas", "polars", "datasets", "pyarrow"):
            return library
    return ""


def _taken(data: Any, known: Collection[str], read: Callable[[Any], list[object]]) -> Columns:
    there = set(getattr(data, "column_names", ())) or set(data.columns)
    return {name: read(data[name]) for name in known if name in there}


def _pandas(series: Any) -> list[object]:
    """A column of pandas; whole numbers beside missing values, which it makes floats, are whole."""
    cells = [
        None if absent else cell
        for cell, absent in zip(series.tolist(), series.isna().tolist(), strict=True)
    ]
    given = [cell for cell in cells if cell is not None]
    if all(isinstance(cell, float) and cell.is_integer() for cell in given):
        return [None if cell is None else int(cell) for cell in cells]
    return cells


def _table(name: str, names: Any, columns: Columns, *, indexed: bool = False) -> Rows:
    """A table in memory, with arrays and their numbers as lists and numbers of Python."""
    plain = {
        key: [cell.tolist() if hasattr(cell, "tolist") else _listed(cell) for cell in cells]
        for key, cells in columns.items()
    }
    return Rows(
        name, [str(each) for each in names], plain, lambda row: f"{name}[{row}]", indexed=indexed
    )


def _listed(cell: object) -> object:
    return list(cell) if isinstance(cell, tuple) else cell
