"""A question with its gold answer, and what is done with many: choose, count, digest, write.

Does not know where items come from, how an answer is extracted or how it is marked.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from io import BytesIO, StringIO
from math import sqrt
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from orchestra.errors import InputError, expect, unknown
from orchestra.evals.names import Reading
from orchestra.records import LETTERS, Kind, Question
from orchestra.runs import write_whole

if TYPE_CHECKING:
    from orchestra.evals.benchmarks.benchmark import Exam


@dataclass(frozen=True, slots=True)
class Item:
    """A question and what its right answer is. Stays inside `evals`."""

    question: Question
    gold: str | None
    """The option's letter for a choice, otherwise the gold value as given; None: no gold known."""
    profile: bool | None = None
    """True where the source sets the item apart for profiling, False for testing, if it says."""
    group: str = ""
    """The question that this item repeats, where a protocol asks each one several times."""
    grading: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What only marking may see beside the gold answer: hidden tests, accepted answers."""

    @property
    def cluster(self) -> str:
        """What its outcome depends on: the question that it repeats, or itself."""
        return self.group or self.question.id


class Dataset(tuple[Item, ...]):
    """Items in their order. A slice is a Dataset too."""

    reading: Reading = Reading()
    """How the source's columns were understood, where the items were read from one."""
    exam: Exam | None = None
    """Which benchmark they are, under which protocol, from which release; None: no benchmark."""
    source: Mapping[str, Any] = MappingProxyType({})
    """What finds them again, for manifests: `items` (a file or a name), `data`, `items_seed`."""

    @overload
    def __getitem__(self, at: SupportsIndex) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> Dataset: ...
    def __getitem__(self, at: SupportsIndex | slice) -> Item | Dataset:
        """The item at a place, or the Dataset of a slice."""
        return (
            self.some(super().__getitem__(at)) if isinstance(at, slice) else super().__getitem__(at)
        )

    def some(self, items: Iterable[Item]) -> Dataset:
        """A Dataset of some of the items, which knows where they are from."""
        found = Dataset(items)
        found.reading, found.exam, found.source = self.reading, self.exam, self.source
        return found

    @property
    def questions(self) -> tuple[Question, ...]:
        """The questions alone."""
        return tuple(item.question for item in self)

    def __repr__(self) -> str:
        gold = sum(item.gold is not None for item in self)
        categories = {item.question.category for item in self} - {""}
        within = f" in {len(categories)} categories" if categories else ""
        return f"Dataset({len(self):,} questions{within}, {gold:,} with a gold answer)"


def write_items(path: Path, items: Iterable[Item]) -> None:
    """Write items as `.jsonl`, `.csv` or `.parquet`, in the format that `load_dataset` reads.

    Raises:
        InputError: the file has another suffix, or cannot be written.
    """
    rows = [_row(item) for item in items]
    if path.suffix.lower() == ".jsonl":
        given = [
            {key: each for key, each in row.items() if each not in ("", [], {}, None)}
            for row in rows
        ]
        line = orjson.OPT_APPEND_NEWLINE
        content = b"".join(orjson.dumps(each, option=line) for each in given)
    elif path.suffix.lower() == ".csv":
        text = StringIO(newline="")
        writer = csv.DictWriter(text, list(_WRITTEN))
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, **_spelt(row, "options", "metadata", "grading")})
        content = text.getvalue().encode()
    elif path.suffix.lower() == ".parquet":
        buffer = BytesIO()
        fields = [pa.field(name, kind) for name, kind in _WRITTEN.items()]
        rows = [{**row, **_spelt(row, "metadata", "grading")} for row in rows]
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(fields)), buffer)
        content = buffer.getvalue()
    else:
        raise unknown("file type", path.suffix, (".jsonl", ".csv", ".parquet"), place=str(path))
    write_whole(path, content)


_WRITTEN: Mapping[str, pa.DataType] = {
    **dict.fromkeys(("question_id", "question"), pa.string()),
    "options": pa.list_(pa.string()),
    **dict.fromkeys(("answer", "kind", "category", "benchmark", "context"), pa.string()),
    "language": pa.string(),
    "profile": pa.bool_(),
    **dict.fromkeys(("metadata", "grading"), pa.string()),
}


def _spelt(row: Mapping[str, object], *names: str) -> dict[str, str]:
    """The cells as JSON, empty where there is nothing in them."""
    return {name: _json(row[name]).decode() if row[name] else "" for name in names}


def _json(content: object) -> bytes:
    return orjson.dumps(content, default=str, option=orjson.OPT_SORT_KEYS)


def _row(item: Item) -> dict[str, object]:
    question = item.question
    return {
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
        "metadata": dict(question.metadata),
        "grading": dict(item.grading),
    }


def source_of(items: Sequence[Item]) -> Mapping[str, Any]:
    """What finds the items again; empty where they are of no file and no benchmark."""
    return items.source if isinstance(items, Dataset) else {}


def items_digest(items: Sequence[Item]) -> str:
    """Content hash of items, as 32 hexadecimal characters.

    Covers id, text, options, gold, kind and context of each, and metadata and grading where
    there are any, and not the order of the items: the same questions in another order are the
    same exam. Prompts are not covered.
    """
    rows = [
        (q.id, q.text, q.options, item.gold, q.kind.value, q.context, *_more(item))
        for item in items
        for q in (item.question,)
    ]
    rows.sort(key=lambda row: str(row[0]))
    return blake2b(_json(rows), digest_size=16).hexdigest()


def _more(item: Item) -> tuple[Mapping[str, Any], ...]:
    both = (dict(item.question.metadata), dict(item.grading))
    return both if any(both) else ()


def take(items: Sequence[Item], limit: int | None, *, seed: int) -> Dataset:
    """At most `limit` questions, with all their repeats, in the order given; None takes all.

    Takes those with the smallest hash of seed and id, so that a larger limit contains
    a smaller one, and adding items to a file or sorting it moves nobody in or out by place.

    Raises:
        InputError: `limit` is below 1.
    """
    expect("limit", limit, (int, type(None)), "a whole number")
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1: {limit}")
    whole = items if isinstance(items, Dataset) else Dataset(items)
    ranks = {name: _rank(seed, name) for name in {each.cluster for each in items}}
    if limit is None or limit >= len(ranks):
        return whole
    chosen = set(sorted(ranks, key=ranks.__getitem__)[:limit])
    return whole.some(each for each in items if each.cluster in chosen)


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


def lopsided(items: Sequence[Item]) -> str:
    """A warning where gold letters are far from what the numbers of options make likely.

    Far: one letter is off by more than 4 standard deviations and by more than a tenth of all
    its questions.
    """
    letters = letter_histogram(items)
    chance = dict.fromkeys(letters, 0.0)
    room = dict.fromkeys(letters, 0)
    for item in items:
        if item.question.kind is Kind.CHOICE and item.gold is not None:
            for letter in item.question.letters:
                chance[letter] += 1 / len(item.question.options)
                room[letter] += 1
    far = [
        f"{letter} {count} of {chance[letter]:.0f} expected"
        for letter, count in letters.items()
        if abs(count - chance[letter]) > max(4 * sqrt(chance[letter]), 0.1 * room[letter])
    ]
    return f"gold letters are far from evenly spread: {', '.join(far)}" if far else ""


def _rank(seed: int, question_id: str) -> bytes:
    return blake2b(f"{seed}:{question_id}".encode(), digest_size=16).digest()
