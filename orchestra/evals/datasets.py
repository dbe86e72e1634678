"""Questions with their gold answers: read from files or data in memory, checked all at once.

Never rewrites the text of a question or option. Gold answers of choices become letters; missing
ids are made from the content; missing kinds are inferred. Does not know benchmarks by name, how
an answer is extracted or how it is marked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex, TypeGuard, overload

import orjson

from orchestra.answers import canonical
from orchestra.answers.numbers import is_alone
from orchestra.errors import InputError, raise_all, unknown
from orchestra.evals.rows import Rows, read_file, read_list, read_memory, shown
from orchestra.records import LETTERS, Kind, Question
from orchestra.runs import write_whole

_SHOWN = 20
_ALSO_CALLED = {
    "question_id": ("id", "qid", "uid"),
    "question": ("prompt", "input", "text"),
    "options": ("choices",),
    "answer": ("gold", "target"),
}
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
_EXPRESSION = r"[-\d(][-\d\s.,()+*/×÷^%]*"
_BETWEEN = r"(?:plus|minus|times|(?:divided|multiplied) by|mod(?:ulo)?|percent of)\s+"
_ASKS_FOR_NUMBER = re.compile(
    r"\b(?:how many|(?:what|which) number|what is the (?:remainder|sum|product|number))\b"
    rf"|^(?:what is|what's|how much is|calculate|compute) {_EXPRESSION}"
    rf"(?:{_BETWEEN}{_EXPRESSION})*[?.=\s]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Item:
    """A question and what its right answer is. Stays inside `evals`."""

    question: Question
    gold: str | None
    """The option's letter for a choice, otherwise the gold value as given; None: no gold known."""
    profile: bool | None = None
    """True where the source sets the item apart for profiling, False for testing, if it says."""


class Dataset(tuple[Item, ...]):
    """Items in their order. A slice is a Dataset too."""

    __slots__ = ()

    @overload
    def __getitem__(self, at: SupportsIndex) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> Dataset: ...
    def __getitem__(self, at: SupportsIndex | slice) -> Item | Dataset:
        """The item at a place, or the Dataset of a slice."""
        return (
            Dataset(super().__getitem__(at)) if isinstance(at, slice) else super().__getitem__(at)
        )

    @property
    def questions(self) -> tuple[Question, ...]:
        """The questions alone."""
        return tuple(item.question for item in self)

    def __repr__(self) -> str:
        gold = sum(item.gold is not None for item in self)
        categories = {item.question.category for item in self} - {""}
        within = f" in {len(categories)} categories" if categories else ""
        return f"Dataset({len(self):,} questions{within}, {gold:,} with a gold answer)"


def load_dataset(source: object, *, limit: int | None = None, seed: int = 0) -> Dataset:
    """Questions from a file or from data in memory.

    Args:
        source: a `.parquet`, `.jsonl` or `.csv` file; a DataFrame of pandas or polars, a
            `datasets.Dataset` or a `pyarrow.Table`; a mapping from column names to lists; or
            strings, mappings, Questions and Items, also mixed. Columns are those of the file
            contract (docs/files.md); others are left out.
        limit: the most items, chosen by a hash of seed and id; None takes all.
        seed: of that choice.

    A missing `question_id` is a digest of the question's content. A missing `kind` is `choice`
    where there are options; else `number` where the question asks for one, or has a gold answer
    and all gold answers of the source are numbers; else `text`. The gold answer of a choice may
    be a letter, the option's text or, where it is clear from where it counts, the option's
    number. In csv an empty cell is an absent value, and `options` is a JSON list in its cell.

    Raises:
        InputError: the one thing that is wrong with the source.
        InputErrors: everything that is wrong with it, each with its place: `FILE:LINE`,
            `FILE row N` counted from 1 in parquet, `data[N]` in memory; past 20 only a count.
    """
    problems: list[InputError] = []
    rows, whole = _read(source, problems)
    problems = [*_misnamed(rows), *problems, *_check_types(rows)]
    items = _build(rows, whole, problems)
    if not items and not problems:
        problems.append(InputError("has no rows", place=rows.source))
    if len(problems) > _SHOWN:
        rest = InputError(f"and {len(problems) - _SHOWN} more problems", place=rows.source)
        problems = [*problems[:_SHOWN], rest]
    raise_all(problems)
    return take(Dataset(items), limit, seed=seed)


def write_items(path: Path, items: Iterable[Item]) -> None:
    """Write items as `.jsonl`, in the format that `load_dataset` reads."""
    write_whole(path, b"".join(map(_line, items)))


def _line(item: Item) -> bytes:
    question = item.question
    row: dict[str, object] = {
        "question_id": question.id,
        "question": question.text,
        "options": list(question.options),
        "answer": item.gold,
        "kind": question.kind.value,
        "category": question.category,
        "benchmark": question.benchmark,
        "context": question.context,
        "language": "" if question.language == "en" else question.language,
        "profile": item.profile,
    }
    given = {key: value for key, value in row.items() if value not in ("", [], None)}
    return orjson.dumps(given, option=orjson.OPT_APPEND_NEWLINE)


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


def take(items: Sequence[Item], limit: int | None, *, seed: int) -> Dataset:
    """At most `limit` items, in the order given; None takes all.

    Takes those with the smallest hash of seed and id, so that a larger limit contains
    a smaller one, and adding items to a file or sorting it moves nobody in or out by place.

    Raises:
        InputError: `limit` is below 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1: {limit}")
    if limit is None or limit >= len(items):
        return Dataset(items)
    ranks = [_rank(seed, item.question.id) for item in items]
    chosen = sorted(range(len(items)), key=ranks.__getitem__)[:limit]
    return Dataset(items[index] for index in sorted(chosen))


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


def _read(source: Any, problems: list[InputError]) -> tuple[Rows, Mapping[int, Item]]:
    """The rows of the source, and the items among them that are complete already, by place."""
    if isinstance(source, str | Path):
        return read_file(_file(source), _TYPES, problems), {}
    if (table := read_memory(source, _TYPES, problems)) is not None:
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
    rows = read_list(mappings, _TYPES)
    rows.bad.update(bad)
    return rows, whole


def _text(each: object) -> str | None:
    return each if isinstance(each, str) else None


def _file(source: str | Path) -> Path:
    path = Path(source)
    if isinstance(source, str) and not path.suffix and not path.exists():
        raise InputError(
            f"neither a file nor a benchmark of this release: {source!r}",
            hint="give a .parquet, .jsonl or .csv file, or data in memory (a single question is "
            "a list of one); benchmarks by name are not part of this release",
        )
    return path


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


def _misnamed(table: Rows) -> Iterator[InputError]:
    """Errors for required columns that are missing, and for optional ones that look misspelt."""
    others = [name for name in table.names if name not in _TYPES]
    for name, aliases in _ALSO_CALLED.items():
        if not table.names or name in table.names:
            continue
        near = [other for other in others if other.casefold() in (name, *aliases)]
        near += difflib.get_close_matches(name, others, n=3, cutoff=0.75)
        hint = f"rename {' or '.join(f'`{other}`' for other in dict.fromkeys(near))} to `{name}`"
        if name == "question" or near:
            yield InputError(
                f"no column `{name}`",
                place=table.source,
                hint=hint if near else "columns: " + ", ".join(f"`{n}`" for n in table.names),
            )


def _check_types(table: Rows) -> Iterator[InputError]:
    """Errors for cells of a wrong type, one for a wholly wrong column; marks their rows as bad."""
    for name, cells in table.columns.items():
        expected, types = _TYPES[name]
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
    bases: tuple[int, ...]
    """From where `answer` may count options: 0, 1 or both."""


def _habits(rows: Rows, cells: Sequence[_Row]) -> _Habits:
    golds = [
        str(row.answer)
        for row in cells
        if not row.options and row.kind is None and row.answer is not None
    ]
    numbered = [
        (int(row.answer), len(row.options))
        for row in cells
        if row.options and _is_index(row.answer) and str(row.answer) not in row.options
    ]
    first = rows.indexed or any(index == 0 for index, _ in numbered)
    last = any(index == count for index, count in numbered)
    bases = () if not numbered else (0, 1) if first is last else (0,) if first else (1,)
    return _Habits(bool(golds) and all(map(_is_number, golds)), bases)


def _build(rows: Rows, whole: Mapping[int, Item], problems: list[InputError]) -> list[Item]:
    """An item of each sound row; what is wrong with the others joins `problems`."""
    if "question" not in rows.columns:
        return []
    columns = (rows.columns.get(name, repeat(None, len(rows))) for name in _TYPES)
    cells = [_Row._make(row) for row in zip(*columns, strict=True)]
    habits = _habits(rows, [row for at, row in enumerate(cells) if at not in rows.bad])
    items: list[Item] = []
    first: dict[str, int] = {}
    for number, row in enumerate(cells):
        if number in rows.bad:
            continue
        item = whole.get(number)
        faults = [] if item is not None else list(_faults(row, habits))
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
    text, offered = str(gold).strip(), LETTERS[: len(options)]
    if len(text) == 1 and text.upper() in offered:
        return {text.upper()}
    pairs = zip(offered, options, strict=False)
    meant = {letter for letter, option in pairs if option.strip() == text}
    if _is_index(gold):
        places = {int(text) - base for base in habits.bases}
        meant |= {offered[at] for at in places if 0 <= at < len(offered)}
    return meant


def _is_index(gold: str | int | float | None) -> TypeGuard[str | int]:
    return str(gold).strip().isdecimal()


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
    if _ASKS_FOR_NUMBER.search((row.question or "").strip()):
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
    )
    return Item(question=question, gold=gold, profile=row.profile)
