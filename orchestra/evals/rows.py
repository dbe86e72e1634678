"""Rows of questions as columns with the place of each row, from tables and lists in memory.

Recognises tables of pandas, polars, datasets and pyarrow, of which only those that are loaded
already can be meant. Does not know what a sound row is.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

from orchestra.errors import InputError
from orchestra.runs.foreign import mended, plain_columns

Columns = dict[str, list[object]]
Choose = Callable[[Sequence[str]], Collection[str]]
"""Which of a source's columns may be of use; the others are not read."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of Python values, None where a value is absent, all of one length."""

    source: str
    """The file, or what the data in memory is."""
    names: Sequence[str]
    """Every column name of the source, of use or not."""
    columns: Mapping[str, list[object]]
    """The columns that may be of use."""
    place: Callable[[int], str]
    """Where a row is, for messages."""
    bad: set[int] = field(default_factory=set)
    """Rows that already have a problem, so that one mistake is reported once."""
    indexed: bool = False
    """Whether whole numbers in `answer` count options from 0, as label columns do."""
    numbered: bool = False
    """Whether the name of the gold column says that it holds numbers of options."""
    texts: bool = False
    """Whether every cell is text, whatever it stands for: csv."""
    notes: tuple[str, ...] = ()
    """What a person should know of how the source was read."""

    def __len__(self) -> int:
        return max(map(len, self.columns.values()), default=0)


def cells(column: pa.ChunkedArray) -> list[object]:
    """The column as Python values; lists are cut out of one flat list, which is far quicker."""
    found: list[object] = []
    if not pa.types.is_decimal(column.type):  # as text, not as the nearest float
        column = plain_columns(pa.table({"column": column})).column(0)
    for chunk in column.chunks:
        if not (pa.types.is_list(chunk.type) or pa.types.is_large_list(chunk.type)):
            found += map(plain, chunk.to_pylist())
            continue
        ends, flat = chunk.offsets.to_pylist(), [plain(each) for each in chunk.values.to_pylist()]
        given = chunk.is_valid().to_pylist()
        found += [
            flat[low:high] if valid else None
            for low, high, valid in zip(ends, ends[1:], given, strict=False)
        ]
    return found


def plain(cell: object) -> object:
    """A cell as text, number, flag, list or mapping: numbers and texts of other types are those."""
    if cell is None or isinstance(cell, str | int | float):
        return cell
    if isinstance(cell, list | tuple):
        return [plain(each) for each in cell]
    if isinstance(cell, Mapping):
        return {key: plain(each) for key, each in cell.items()}
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    if isinstance(cell, Decimal):
        return int(cell) if cell.is_finite() and cell == cell.to_integral_value() else str(cell)
    if isinstance(cell, datetime.date | datetime.time | UUID):
        return str(cell)
    # Of anything else only the type is of use, and comparing it might do anything.
    return plain(cell.tolist()) if hasattr(cell, "tolist") else type(cell)


# Data in memory


def read_memory(data: Any, choose: Choose, problems: list[InputError]) -> Rows | None:
    """The rows of a table in memory; None where the data is none but perhaps a list of rows.

    A table is a DataFrame of pandas or polars, a `datasets.Dataset`, a `pyarrow.Table` or a
    mapping from column names to lists.

    Raises:
        InputError: the data holds several tables, or columns of different lengths.
    """
    library = _library(data)
    if library == "datasets" and isinstance(data, Mapping):
        splits = ", ".join(f"{name!r}" for name in data)
        raise InputError("the data has several splits", hint=f"choose one of {splits}")
    if isinstance(data, Mapping):
        return _of_mapping(data, choose)
    if library == "polars":
        data = data.collect() if hasattr(data, "collect") else data
        return _table("DataFrame", data.columns, _taken(data, choose, lambda each: each.to_list()))
    if library == "pandas":
        names = [str(name) for name in data.columns]
        twice = {name for name in choose(names) if names.count(name) > 1}
        problems += [InputError(f"column `{n}` is there twice", place="DataFrame") for n in twice]
        columns = {
            name: _pandas(data.iloc[:, names.index(name)])
            for name in choose(names)
            if name not in twice
        }
        return _table("DataFrame.iloc", names, columns)
    if library == "pyarrow":
        return _table("Table", data.column_names, _taken(data, choose, cells))
    if library == "datasets":
        columns = _taken(data, choose, list)
        for name in columns:
            labels = getattr(data.features.get(name), "names", None)
            if labels is not None:
                columns[name] = [
                    labels[at] if isinstance(at, int) and 0 <= at < len(labels) else at
                    for at in columns[name]
                ]
        return _table("Dataset", data.column_names, columns, indexed=True)
    return None


def _of_mapping(data: Mapping[Any, Any], choose: Choose) -> Rows | None:
    """The table that a mapping from names to lists is; None where it is one row."""
    columns = {str(name): column for name, column in data.items()}
    chosen = choose(list(columns))
    listed = all(
        isinstance(columns[n], list | tuple) or hasattr(columns[n], "tolist") for n in chosen
    )
    rows = any(
        isinstance(each, Mapping) and ("role" in each or "from" in each)
        for name in chosen
        if isinstance(columns[name], list)
        for each in columns[name][:1]
    )
    if not chosen or not listed or rows:
        return None
    lengths = {len(columns[name]) for name in chosen}
    if len(lengths) > 1:
        raise InputError("the columns have different lengths", place="data")
    return _table("data", list(columns), {name: list(columns[name]) for name in chosen})


def read_list(data: Sequence[Mapping[str, object]], choose: Choose) -> Rows:
    """Rows that are mappings, in their order."""
    names, columns = turned(data, choose)
    return _table("data", names, columns)


def turned(rows: Sequence[Mapping[str, object]], choose: Choose) -> tuple[list[str], Columns]:
    """Every name in the rows, and those that may be of use as columns."""
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    return names, {name: [row.get(name) for row in rows] for name in choose(names)}


def _library(data: object) -> str:
    """The package that the table's class is of; empty where the data is no table of one."""
    kinds = {"DataFrame", "LazyFrame", "Dataset", "DatasetDict", "Table"}
    for kind in type(data).__mro__:
        library = kind.__module__.partition(".")[0]
        if kind.__name__ in kinds and library in ("pandas", "polars", "datasets", "pyarrow"):
            return library
    return ""


def _taken(data: Any, choose: Choose, read: Callable[[Any], list[object]]) -> Columns:
    names = list(getattr(data, "column_names", ())) or list(data.columns)
    return {name: read(data[name]) for name in choose(names)}


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
    values = {key: [mended(plain(cell)) for cell in column] for key, column in columns.items()}
    return Rows(
        name, [str(each) for each in names], values, lambda row: f"{name}[{row}]", indexed=indexed
    )
