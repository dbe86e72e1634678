"""Questions with their gold answers: read from files or data in memory, checked all at once.

Never rewrites the text of a question or option. Gold answers of choices become letters; missing
ids are made from the content; missing kinds are inferred. Does not know benchmarks by name, how
an answer is extracted or how it is marked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from orchestra.answers import canonical
from orchestra.answers.numbers import is_alone
from orchestra.errors import InputError, raise_all, shown, unknown
from orchestra.evals.benchmarks.benchmark import hint_of_names, is_benchmark, load_benchmark
from orchestra.evals.choices import Given, meant
from orchestra.evals.columns import arrange
from orchestra.evals.files import read_file
from orchestra.evals.items import Dataset, Item, take
from orchestra.evals.names import misnamed, useful
from orchestra.evals.rows import Rows, read_list, read_memory
from orchestra.files import full_path, is_shipped, located
from orchestra.question import asks_for_number
from orchestra.records import LETTERS, Kind, Question
from orchestra.runs.foreign import mended

_SHOWN = 20
_VALUES = re.compile(
    r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\b[A-Z]+\b|\d+(?:\.\d+)?|(?<=stands already at ).*"
)
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
    "metadata": ("an object", (dict,)),
    "grading": ("an object", (dict,)),
}
_KINDS = {kind.value: kind for kind in Kind}


def load_dataset(
    source: object, *, data: str | Path | None = None, limit: int | None = None, seed: int = 0
) -> Dataset:
    """Questions of a benchmark, from a file or from data in memory.

    Args:
        source: a `.parquet`, `.csv`, `.tsv`, `.jsonl`, `.ndjson` or `.json` file, all but the
            first also as `.gz`; `shipped:NAME`, questions that ship without their texts; a
            DataFrame of pandas or polars, a `datasets.Dataset` or a `pyarrow.Table`; a mapping
            from column names to lists; or strings, mappings,
            Questions and Items, also mixed; or the name of a benchmark, with a split or a
            protocol of it: `mmlu_pro`, `gpqa:diamond:simple`. Columns are those of the file
            contract, or go by the other names and forms that docs/files.md lists; the rest is
            left out. `Dataset.reading` says what was taken for what.
        data: the files of the benchmark's release: a folder, an archive or a file. None: a pinned
            revision is downloaded through `huggingface_hub`, if that is installed.
        limit: the most questions, chosen by a hash of seed and id; None takes all.
        seed: of that choice, and of the benchmark's own draws.

    A missing `question_id` is a digest of the question's content. A missing `kind` is `choice`
    where there are options; else `number` where the question asks for one, or has a gold answer
    and all gold answers of the source are numbers; else `text`. The gold answer of a choice may
    be a letter, the option's text or, where it is clear from where it counts, the option's
    number. In csv an empty cell is an absent value, and `options` is a list in its cell.

    Raises:
        InputError: the one thing that is wrong with the source.
        InputErrors: everything that is wrong with it, each with its place: `FILE:LINE`,
            `FILE row N` counted from 1 in parquet and json, `data[N]` in memory. A mistake that
            many rows have is one error with their number; past 20 errors only a count.
    """
    if isinstance(source, str | Path) and is_benchmark(str(source)):
        return take(load_benchmark(str(source), data=data, seed=seed), limit, seed=seed)
    if data is not None:
        raise InputError(
            f"`data` is for benchmarks by name, and {shown(source)} is none",
            hint=hint_of_names(str(source)),
        )
    problems: list[InputError] = []
    try:
        rows, whole = _read(source, problems)
        rows, reading = arrange(rows, problems)
    except RecursionError:
        raise InputError("holds data that is nested too deeply", place=str(source)[:200]) from None
    problems = [*misnamed(rows, reading), *problems, *_check_types(rows)]
    items = _build(rows, whole, problems)
    if not items and not problems:
        problems.append(InputError("has no rows", place=rows.source))
    problems = _once(problems)
    if len(problems) > _SHOWN:
        rest = InputError(f"and {len(problems) - _SHOWN} more problems", place=rows.source)
        problems = [*problems[:_SHOWN], rest]
    raise_all(problems)
    built = source.some(items) if isinstance(source, Dataset) else Dataset(items)
    if isinstance(source, str | Path):
        built.source = {"items": full_path(source)}
    built.reading = reading if built.exam is None else built.reading
    return take(built, limit, seed=seed)


def _read(source: Any, problems: list[InputError]) -> tuple[Rows, Mapping[int, Item]]:
    """The rows of the source, and the items among them that are complete already, by place."""
    if isinstance(source, str | Path):
        source = located(source, "items.parquet") if is_shipped(source) else source
        return read_file(_file(source), useful, problems), {}
    if (table := read_memory(source, useful, problems)) is not None:
        return table, {}
    if isinstance(source, Mapping | Item | Question):
        source = [source]
    if not isinstance(source, Iterable):
        raise InputError(f"not questions: {shown(source)}", hint="a file, a list or a DataFrame")
    whole: dict[int, Item] = {}
    mappings: list[Mapping[str, object]] = []
    bad: set[int] = set()
    for at, each in enumerate(source):
        if isinstance(each, Item | Question):
            whole[at] = each if isinstance(each, Item) else Item(each, None)
        elif not isinstance(each, str | Mapping):
            problems.append(InputError(f"not a question: {shown(each)}", place=f"data[{at}]"))
            bad.add(at)
        mappings.append(each if isinstance(each, Mapping) else {"question": _text(each)})
    rows = read_list(mappings, useful)
    rows.bad.update(bad)
    return rows, whole


def _text(each: object) -> str | None:
    return mended(each) if isinstance(each, str) else None


def _file(source: str | Path) -> Path:
    path = Path(source)
    if not path.suffix and not path.exists():
        raise InputError(
            f"neither a file nor a benchmark: {str(source)!r}",
            hint="give a .parquet, .jsonl, .json or .csv file, data in memory (a single question "
            f"is a list of one), or a benchmark: {hint_of_names(str(source))}",
        )
    return path


def _once(problems: Sequence[InputError]) -> list[InputError]:
    """Errors that differ in places and values alone as one, with their number and first places."""
    alike: dict[str, list[InputError]] = {}
    for problem in problems:
        words = problem.message.removeprefix(f"{problem.place}: ") + problem.hint
        alike.setdefault(_VALUES.sub("#", words), []).append(problem)
    return [_of_all(group) for group in alike.values()]


def _of_all(group: Sequence[InputError]) -> InputError:
    first = group[0]
    if len(group) == 1:
        return first
    places = ", ".join(each.place for each in group[1:4]) + (", ..." if len(group) > 4 else "")
    message = first.message.removeprefix(f"{first.place}: ")
    message += f" (and {len(group) - 1} more like it: {places})"
    return InputError(message, place=first.place, hint=first.hint)


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
    metadata: Mapping[str, Any] | None
    grading: Mapping[str, Any] | None
    labels: list[str] | None = None
    """What the source calls the options."""


def _check_types(table: Rows) -> Iterator[InputError]:
    """Errors for cells of a wrong type, one for a wholly wrong column; marks their rows as bad."""
    for name, (expected, types) in _TYPES.items():
        cells = table.columns.get(name, [])
        wrong = [row for row, cell in enumerate(cells) if not _is_of(types, cell)]
        table.bad.update(wrong)
        if len(wrong) > 1 and len(wrong) + cells.count(None) == len(cells):
            message = f"column `{name}` must hold {expected}, not {shown(cells[wrong[0]])}"
            yield InputError(message, place=table.source)
            continue
        for row in wrong:
            message = f"`{name}` must be {expected}, not {shown(cells[row])}"
            yield InputError(message, place=table.place(row))


def _is_of(types: tuple[type, ...], cell: object) -> bool:
    if isinstance(cell, list):
        return list in types and all(type(option) is str for option in cell)
    return cell is None or type(cell) in types  # exact, for a bool is no whole number


class _Habits(NamedTuple):
    """What the rows of one source show together, for what a row alone leaves open."""

    numeric: bool
    """Whether every gold answer of a question without options and kind is a number."""
    golds: Mapping[int, set[str]]
    """The letters that a gold answer may mean, by the identity of its options."""


def _habits(rows: Rows, cells: Sequence[_Row]) -> _Habits:
    golds = [
        str(row.answer)
        for row in cells
        if not row.options and row.kind is None and row.answer is not None
    ]
    chosen = [row for row in cells if row.options and row.answer is not None]
    given = [Given(row.answer or 0, row.options or [], row.labels) for row in chosen]
    found = meant(given, counted=rows.indexed, index=rows.numbered)
    letters = {
        id(row.options): {LETTERS[at] for at in each if at < len(LETTERS)}
        for row, each in zip(chosen, found, strict=True)
    }
    return _Habits(bool(golds) and all(map(_is_number, golds)), letters)


def _build(rows: Rows, whole: Mapping[int, Item], problems: list[InputError]) -> list[Item]:
    """An item of each sound row; what is wrong with the others joins `problems`."""
    if "question" not in rows.columns:
        return []
    columns = (rows.columns.get(name, repeat(None, len(rows))) for name in (*_TYPES, "labels"))
    cells = [_Row._make(row) for row in zip(*columns, strict=True)]
    habits = _habits(rows, [row for at, row in enumerate(cells) if at not in rows.bad])
    items: list[Item] = []
    first: dict[str, int] = {}
    for number, row in enumerate(cells):
        if number in rows.bad:
            continue
        item = whole.get(number)
        faults = list(_faults(row, habits) if item is None else _unanswerable(item))
        name = str(row.question_id or "") if item is None else item.question.id
        earlier = first.setdefault(name, number) if name else number
        if earlier != number:
            faults.append((f"question_id {name!r} stands already at {rows.place(earlier)}", ""))
        problems += [InputError(f, place=rows.place(number), hint=h) for f, h in faults]
        if not faults:
            items.append(item or _item(row, habits))
    return _named(items, set(first))


def _named(items: Sequence[Item], taken: set[str]) -> list[Item]:
    """The items with ids: a missing one is made from the content, the same in every source."""
    named: list[Item] = []
    for item in items:
        question = item.question
        if not question.id:
            content = [question.text, question.options, question.context]
            name = blake2b(orjson.dumps(content), digest_size=6).hexdigest()
            number = 1
            while (made := name if number == 1 else f"{name}-{number}") in taken:
                number += 1
            taken.add(made)
            item = replace(item, question=replace(question, id=made))
        named.append(item)
    return named


def _unanswerable(item: Item) -> Iterator[tuple[str, str]]:
    if item.question.kind is Kind.CHOICE and not item.question.options:
        yield "kind `choice` without options", "give `options`, or another kind"


def _faults(row: _Row, habits: _Habits) -> Iterator[tuple[str, str]]:
    """What is wrong with a row of the right types: messages, each with a hint or none."""
    options = row.options or []
    if row.question_id is not None and not str(row.question_id).strip():
        yield "`question_id` is empty", ""
    if row.question is None or not row.question.strip():
        yield "`question` is empty", ""
    if len(options) > len(LETTERS):
        yield f"{len(options)} options; {len(LETTERS)} letters are all there are", ""
    kind = _kind(row, habits)
    if kind is None:
        error = unknown("kind", row.kind or "", [kind.value for kind in Kind])
        yield error.message, error.hint
    elif kind is Kind.CHOICE and not options:
        yield "kind `choice` without options", "give `options`, or another kind"
    elif kind is not Kind.CHOICE and options:
        yield f"kind `{kind}` with options", "leave the options out, or give kind `choice`"
    elif row.answer is not None:
        yield from _gold_faults(kind, row.answer, options, habits)


def _gold_faults(
    kind: Kind, gold: str | int | float, options: Sequence[str], habits: _Habits
) -> Iterator[tuple[str, str]]:
    if kind is Kind.NUMBER and not _is_number(str(gold)):
        yield f"`answer` is not a number: {gold!r}", ""
    elif kind is not Kind.CHOICE and canonical(str(gold), kind) is None:
        yield f"no answer of kind `{kind}` can equal `answer`: {shown(gold)}", "give a short value"
    if kind is not Kind.CHOICE:
        return
    meant = sorted(_letters(gold, options, habits))
    if len(meant) > 1:
        yield f"`answer` may mean {' or '.join(meant)}: {gold!r}", "give the option's letter"
    elif not meant:
        hint = "give the right option's letter or text, or nothing where the answer is not known"
        yield f"`answer` is none of {LETTERS[: len(options)]}: {gold!r}", hint


def _letters(gold: str | int | float, options: Sequence[str], habits: _Habits) -> set[str]:
    """The letters that a gold answer may mean: its own, those of its text, those of its number."""
    return habits.golds.get(id(options), set())


def _is_number(gold: str) -> bool:
    """Whether an answer is marked by this gold value as the number that it spells."""
    # Python reads 1_000 as a number; nobody who marks answers does.
    return "_" not in gold and is_alone(gold, words=0) and canonical(gold, Kind.NUMBER) is not None


def _kind(row: _Row, habits: _Habits) -> Kind | None:
    """The row's kind, None if it is unknown."""
    if row.kind is not None:
        return _KINDS.get(row.kind)
    if row.options:
        return Kind.CHOICE
    if asks_for_number(row.question or ""):
        fits = row.answer is None or _is_number(str(row.answer))
    else:
        fits = row.answer is not None and habits.numeric
    return Kind.NUMBER if fits else Kind.TEXT


def _item(row: _Row, habits: _Habits) -> Item:
    kind = _kind(row, habits) or Kind.TEXT
    gold = None if row.answer is None else str(row.answer)
    if row.answer is not None and kind is Kind.CHOICE:
        (gold,) = _letters(row.answer, row.options or [], habits)
    question = Question(
        id="" if row.question_id is None else str(row.question_id),
        text=row.question or "",
        options=tuple(row.options or ()),
        kind=kind,
        context=row.context or "",
        language=row.language or "en",
        category=row.category or "",
        benchmark=row.benchmark or "",
        metadata=row.metadata or {},
    )
    return Item(question, gold, row.profile, grading=row.grading or {})
