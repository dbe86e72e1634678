"""Rows of questions from files: parquet, csv and its kin, JSON in lines or whole, also compressed.

Finds out encodings, separators and how JSON is laid out, and says what it found. Does not know
what a sound row is.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO, StringIO
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from orchestra.errors import InputError, shown, unknown
from orchestra.evals.rows import Choose, Columns, Rows, cells, turned
from orchestra.files import check_regular
from orchestra.runs.foreign import loads, mended

_LARGEST = 4 << 30
_SEPARATORS = (",", ";", "\t", "|")


def read_file(
    path: Path, choose: Choose, problems: list[InputError], *, content: bytes | None = None
) -> Rows:
    """The rows of a data file; unsound lines join `problems`.

    Args:
        path: the file.
        choose: the columns to read.
        problems: where unsound lines are told.
        content: what is in it, where it is part of an archive; `path` then is for messages.

    Raises:
        InputError: the file is not there, is empty, or cannot be read.
    """
    suffix = suffix_of(path)
    if content is None:
        check_regular(path)
    with _translated(path):
        if (path.stat().st_size if content is None else len(content)) == 0:
            raise InputError("is empty", place=str(path))
        if suffix == ".parquet":
            return _read_parquet(path, choose, problems, content)
        if suffix not in SUFFIXES:
            hint = "save the sheet as csv" if suffix.startswith(".xls") else ""
            error = unknown("file type", suffix, SUFFIXES, place=str(path))
            raise InputError(error.message, hint=hint) if hint else error
        text, notes = _text(path, content)
        return _TEXTS[suffix](_File(path, text, notes, choose, problems))


def suffix_of(path: Path) -> str:
    """What kind of data file a name says, `.gz` left out: `.csv`, `.jsonl`, ..."""
    name = path.name.casefold().removesuffix(".gz")
    return Path(name).suffix


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what the file system and the format readers raise into an `InputError`."""
    place = str(path)
    try:
        yield
    except FileNotFoundError as error:
        raise InputError("no such file", place=place) from error
    except (OSError, ValueError, EOFError, zlib.error, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise InputError(f"cannot be read: {reason}", place=place) from error


class _File:
    """A text file on its way to rows."""

    def __init__(
        self, path: Path, text: str, notes: list[str], choose: Choose, problems: list[InputError]
    ) -> None:
        self.path, self.text, self.notes = path, text, notes
        self.choose, self.problems = choose, problems

    def wrong(self, message: str, line: int, hint: str = "") -> None:
        """Tell what is wrong with a line."""
        self.problems.append(InputError(message, place=f"{self.path}:{line}", hint=hint))

    def rows(
        self, table: tuple[list[str], Columns], place: Callable[[int], str], *, texts: bool = False
    ) -> Rows:
        """The rows of a table, with all that is known of the file."""
        notes = tuple(self.notes)
        return Rows(str(self.path), *table, place, texts=texts, notes=notes)


# Text and its encoding


def _text(path: Path, content: bytes | None) -> tuple[str, list[str]]:
    """The file's text, and what is unusual about how it is stored."""
    if path.name.casefold().endswith(".gz"):
        with gzip.open(path if content is None else BytesIO(content)) as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise InputError("holds more than 4 GiB", place=str(path), hint="split it")
    elif content is None:
        content = path.read_bytes()
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "")):
        if content.startswith(mark):
            if name:
                return content.decode(name, "replace"), []
            content = content.removeprefix(mark)
    if content[1:2] == b"\0" or content[:1] == b"\0":  # letters of two bytes, without a mark
        order = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        return content.decode(order, "replace"), []
    try:
        return content.decode(), []
    except UnicodeDecodeError as error:
        return _other(content, path, error)


def _other(content: bytes, path: Path, error: UnicodeDecodeError) -> tuple[str, list[str]]:
    """Text that is no UTF-8: with halves of letters, or by its looks in Windows-1252."""
    try:
        return mended(content.decode("utf-8", "surrogatepass")), []
    except UnicodeDecodeError:
        pass
    known = re.sub(r"[\x00-\x7f\ufffd]", "", content.decode("utf-8", "replace"))
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        known, text = "?", ""
    # Words of Western Europe have accents here and there; other alphabets give long runs of them.
    if known or re.search(r"[^\x00-\x7f]{3}", text):
        line = content.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8 text: byte 0x{content[error.start]:02x} at {error.start}"
        raise InputError(message, place=f"{path}:{line}", hint="save it as UTF-8") from error
    return text, ["is not UTF-8, and was read as Windows-1252 (Latin-1)"]


# Parquet


def _read_parquet(
    path: Path, choose: Choose, problems: list[InputError], content: bytes | None
) -> Rows:
    with pq.ParquetFile(path if content is None else BytesIO(content)) as file:
        names = file.schema_arrow.names
        chosen = choose(names)
        twice = {name for name in chosen if names.count(name) > 1}
        problems += [InputError(f"column `{n}` is there twice", place=str(path)) for n in twice]
        wanted = [name for name in chosen if name not in twice]
        table = file.read(columns=wanted)
    columns = {name: cells(table.column(name)) for name in wanted}
    return Rows(str(path), names, columns, lambda row: f"{path} row {row + 1}")


# JSON


def _read_json(file: _File) -> Rows:
    """JSON of any layout: a list, rows under a key, columns, or an object a line."""
    text = file.text.lstrip()
    lines = suffix_of(file.path) != ".json"
    first = text.partition("\n")[0].strip()
    if lines and first not in ("[", "{") and not (text.startswith("[{") or text.startswith("[ {")):
        return _read_lines(file)
    try:
        data = loads(file.text.encode("utf-8", "surrogatepass"))
    except ValueError as error:
        try:
            loads(first.encode("utf-8", "surrogatepass"))
        except ValueError:
            if lines:
                return _read_lines(file)
            line = getattr(error, "lineno", 1)
            message = f"is not JSON: {getattr(error, 'msg', error)}"
            raise InputError(message, place=f"{file.path}:{line}") from error
        return _read_lines(file)
    rows = _laid_out(data, file)
    place = partial(_row, file.path)
    whole = [row for row in rows if isinstance(row, dict)]
    if len(whole) < len(rows):
        at = next(at for at, row in enumerate(rows) if not isinstance(row, dict))
        count = len(rows) - len(whole)
        message = f"{count} rows are no JSON objects; the first is {shown(rows[at])}"
        file.problems.append(InputError(message, place=place(at)))
    return file.rows(turned(whole, file.choose), place)


def _row(path: Path, row: int) -> str:
    return f"{path} row {row + 1}"


def _line(path: Path, lines: Sequence[int], row: int) -> str:
    return f"{path}:{lines[row]}"


def _laid_out(data: object, file: _File) -> Sequence[object]:
    """The rows of a JSON document."""
    if isinstance(data, list):
        return data
    if not isinstance(data, dict):
        raise InputError(f"must be a list of objects, not {shown(data)}", place=str(file.path))
    names = set(file.choose(list(data)))
    if "question" in {name.casefold() for name in names} or len(names) > 1:
        if all(isinstance(data[name], list) for name in names):  # columns
            longest = max(map(len, data.values()))
            return [
                {n: column[at] for n, column in data.items() if at < len(column)}
                for at in range(longest)
            ]
        if all(isinstance(data[name], dict) for name in names):  # columns, by the names of rows
            keys = dict.fromkeys(key for column in data.values() for key in column)
            return [{n: column.get(key) for n, column in data.items()} for key in keys]
        return [data]
    lists = {n: each for n, each in data.items() if _objects(each)}
    if len(lists) > 1:
        hint = "write one of them into a file of its own: " + ", ".join(f"`{n}`" for n in lists)
        raise InputError("holds several lists of rows", place=str(file.path), hint=hint)
    if lists:
        ((name, rows),) = lists.items()
        file.notes.append(f"the rows are those of `{name}`")
        return [row["row"] if set(row) >= {"row", "row_idx"} else row for row in rows]
    if data and all(isinstance(each, dict) for each in data.values()):  # rows by their ids
        return [{"question_id": name, **row} for name, row in data.items()]
    return [data]


def _objects(data: object) -> bool:
    return isinstance(data, list) and bool(data) and all(isinstance(each, dict) for each in data)


def _read_lines(file: _File) -> Rows:
    rows: list[Mapping[str, object]] = []
    lines: list[int] = []
    for number, line in enumerate(file.text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = loads(line.encode("utf-8", "surrogatepass"))
        except ValueError as error:
            file.wrong(f"is not JSON: {getattr(error, 'msg', error)}", number)
            continue
        if isinstance(row, dict):
            rows.append(row)
            lines.append(number)
        else:
            file.wrong(f"must be a JSON object, not {shown(row)}", number)
    return file.rows(turned(rows, file.choose), partial(_line, file.path, lines))


# csv and its kin


def _read_csv(file: _File) -> Rows:
    text, line = file.text, 1
    if found := re.match(r"(?i)sep=(.)\r?\n", text):  # what Excel writes for itself
        text, line, separator = text[found.end() :], 2, found[1]
    else:
        separator = "\t" if suffix_of(file.path) == ".tsv" else _separator(text, file.choose)
    records = _records(file, text, separator, line)
    (first, names), *rows = records or [(1, [])]
    names = [name.strip() for name in names]
    if not file.choose(names) and (headless := _headless(records)):
        file.notes.append("there is no header: the columns are question, options and letter")
        names, rows = headless, records
    twice = [name for name in file.choose(names) if names.count(name) > 1]
    if twice:
        file.wrong("two columns have one name", first)
    lines = []
    whole = []
    for number, given in rows:
        while len(given) > len(names) and not given[-1].strip():
            given.pop()
        if len(given) == len(names):
            whole.append(given)
            lines.append(number)
        elif any(given):
            file.wrong(f"has {len(given)} cells where the header has {len(names)}", number)
    columns: Columns = {
        name: [row[names.index(name)] or None for row in whole] for name in file.choose(names)
    }
    named = [name for name in names if name]
    return file.rows((named, columns), partial(_line, file.path, lines), texts=True)


def _separator(text: str, choose: Choose) -> str:
    """The separator under which the header has most columns of use, or else most columns."""

    def columns(separator: str) -> tuple[int, int]:
        try:
            names = next(csv.reader(text[:65536].splitlines()[:1], delimiter=separator), [])
        except csv.Error:
            return 0, 0
        return len(choose([name.strip() for name in names])), len(names)

    return max(_SEPARATORS, key=columns)


def _records(file: _File, text: str, separator: str, line: int) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line that it begins on."""
    # The library has one limit for the process; it is only ever raised, never lowered.
    csv.field_size_limit(max(csv.field_size_limit(), min(len(text) + 1, 2**31 - 1)))
    rows: list[tuple[int, list[str]]] = []
    start = line
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((start, row))
            start = line + reader.line_num
    except csv.Error as error:
        hint = "quote cells that hold a quote or a line break, or give .jsonl"
        file.wrong(f"is not csv: {error}", start, hint)
    return rows


def _headless(records: Sequence[tuple[int, list[str]]]) -> list[str] | None:
    """Names for rows of question, options and a letter, where all are such rows."""
    width = len(records[0][1]) if records else 0
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: max(width - 2, 0)]
    if len(letters) < 2 or width > 28:
        return None
    rows = [row for _, row in islice(records, 1000)]
    fits = all(len(row) == width and row[-1].strip() in [*letters] for row in rows)
    return ["question", *letters, "answer"] if fits else None


_TEXTS: Mapping[str, Callable[[_File], Rows]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".json": _read_json,
}
SUFFIXES = (".parquet", *_TEXTS)
"""The kinds of data files that are read; all but parquet also as `.gz`."""
