"""How options and the right one among them are written: lists, mappings, letters, blocks of text.

Knows one question's cells, and for what a gold answer counts, those of its whole column. Knows no
column names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from orchestra.evals.cells import scalar, structured
from orchestra.records import LETTERS

_TEXTS = ("text", "texts", "choices", "options", "content", "option", "choice", "value", "answer")
_NAMES = ("label", "labels", "key", "keys", "letter", "id", "name")
_RIGHT = ("correct", "is_correct", "iscorrect", "is_answer", "right")
_OWN = re.compile(
    r"[(\[（]?\s?(?:([A-Za-zＡ-Ｚ])(?:\s?[)\]）.．:：、]|\s[-–—](?=\s))"
    r"|(\d{1,2})(?:\s?[)\]）]|[.:](?=\s)))\s*(\S.*)",
    re.DOTALL,
)
_MARK = re.compile(
    r"(?:(?<=[\s,;])|^)([(\[（]?)([A-Za-z])(?:[ ](?=\)))?([)\]）.．:：、])", re.MULTILINE
)
_LAST_LINE = re.compile(
    r"(?:the )?(?:correct )?answer(?: is)?\s*[:：]?"
    r"|(?:please |now )?(?:answer|choose|select|pick|give|respond|reply)\b.*",
    re.IGNORECASE,
)
_HEADING = re.compile(r"(?:answer )?(?:options|choices)(?: are)?\s*[:：]?", re.IGNORECASE)
_LETTER = re.compile(
    r"(?:(?:the )?(?:correct |right |final )?(?:answer|option|choice)(?: is)?\s*[:：_]?\s*)?"
    r"[(\[（*_`'\"]*\s*(\w{1,3})\s*[)\]）.．:：、*_`'\"]*",
    re.IGNORECASE,
)


_SHORT = 64


class Options(NamedTuple):
    """The options of one question, as they are written."""

    texts: list[str]
    labels: list[str] | None = None
    """What each is called in the source, where it says; None: A, B, C, ..."""
    right: int | None = None
    """Which one is marked as right, if one is."""


class Given(NamedTuple):
    """A gold answer and the options that it means one of."""

    gold: str | int | float
    options: Sequence[str]
    labels: Sequence[str] | None = None


# Options


def options_of(cell: object) -> Options | None:
    """The options that a cell holds; None where it holds none that are understood."""
    if isinstance(cell, str):
        data = structured(cell)
        if data is not None:
            return None if isinstance(data, str) else options_of(data)
        block = lettered(f"?\n{cell}") or lettered(f"? {cell}")
        return block and block[1]
    if isinstance(cell, Mapping):
        return _from_mapping(cell)
    if isinstance(cell, list) and cell and all(isinstance(each, Mapping) for each in cell):
        return _from_mappings(cell)
    if isinstance(cell, list):
        texts = [scalar(each) for each in cell]
        return None if any(each is None for each in texts) else unlabelled([t or "" for t in texts])
    return None


def _from_mapping(cell: Mapping[object, object]) -> Options | None:
    texts = next((cell[key] for key in _TEXTS if isinstance(cell.get(key), list)), None)
    if isinstance(texts, list):
        found = options_of(texts)
        names = next((cell[key] for key in _NAMES if isinstance(cell.get(key), list)), None)
        if found is None or not isinstance(names, list) or len(names) != len(found.texts):
            return found
        if "labels" in cell and set(names) <= {0, 1}:  # not names, but which is right
            return found._replace(right=names.index(1) if names.count(1) == 1 else None)
        return found._replace(labels=[str(name).strip() for name in names])
    pairs = {_name(str(key)): scalar(text) for key, text in cell.items() if text not in (None, "")}
    short = all(len(name) <= 2 for name in pairs)
    if not pairs or not short or any(text is None for text in pairs.values()):
        return None
    names_ = list(pairs)
    if all(name.isascii() and (name.isdecimal() or len(name) == 1) for name in names_):
        names_.sort(key=lambda name: (len(name), name))
    return Options(unlabelled([pairs[name] or "" for name in names_]).texts, names_)


def _name(key: str) -> str:
    """The letter or number of a key such as `option_a`."""
    found = re.fullmatch(
        r"(?:option|choice|answer|opt|op)?[\W_]*(\w{1,2})[\W_]*", key, re.IGNORECASE
    )
    return found[1].upper() if found else key


def _from_mappings(cells: Sequence[Mapping[object, object]]) -> Options | None:
    low = [{str(key).casefold(): value for key, value in cell.items()} for cell in cells]
    texts = [next((scalar(c[key]) for key in _TEXTS if key in c), None) for c in low]
    if any(text is None for text in texts):
        return None
    names = [next((scalar(c[key]) for key in _NAMES if key in c), None) for c in low]
    right = [at for at, c in enumerate(low) if any(c.get(key) in (True, 1) for key in _RIGHT)]
    found = unlabelled([text or "" for text in texts])
    labels = None if any(name is None for name in names) else [str(n).strip() for n in names]
    return Options(found.texts, labels or found.labels, right[0] if len(right) == 1 else None)


def unlabelled(texts: list[str]) -> Options:
    """Options without the letters or numbers that they carry, if all carry theirs in order."""
    found = [_OWN.fullmatch(text.strip()) for text in texts]
    if len(texts) > 1 and all(found):
        names = [(each[1] or each[2]) for each in found if each]
        plain = [unicodedata.normalize("NFKC", name).upper() for name in names]
        numbers = [str(number) for number in range(1, len(texts) + 1)]
        if plain == list(LETTERS[: len(texts)]) or plain == numbers:
            return Options([each[3] for each in found if each], plain)
    return Options(texts)


def lettered(text: str) -> tuple[str, Options] | None:
    """A question and the block of options A, B, ... that its text ends with; None: no clean one.

    The letters stand at the beginnings of lines, or in one line behind the question; they begin
    with A, have none left out and are all written in one way.
    """
    text = _without(_LAST_LINE, text)
    marks = list(_MARK.finditer(text))
    starts = [at for at, mark in enumerate(marks) if mark[2] in "Aa"]
    if not starts:
        return None
    block = marks[starts[-1] :]
    ways = {(mark[1], mark[3], mark[2].isupper()) for mark in block}
    order = "".join(mark[2] for mark in block).upper()
    if len(ways) > 1 or len(block) < 2 or order != LETTERS[: len(block)]:
        return None
    lines = all(not text[: mark.start()].rpartition("\n")[2].strip(" \t-*") for mark in block)
    bracket = block[0][3] in ")]）"
    if not lines and not (bracket or (len(block) > 2 and block[0][2].isupper())):
        return None
    ends = [*(mark.start() for mark in block[1:]), len(text)]
    texts = [
        text[mark.end() : end].strip(" \t\n\r-*") for mark, end in zip(block, ends, strict=True)
    ]
    if all(each.endswith((",", ";")) for each in texts[:-1]):
        texts = [each.rstrip(" ,;") for each in texts]
    stem = _without(_HEADING, text[: block[0].start()].rstrip(" \t\n\r-*"))
    clean = stem and all(re.search(r"\w|[^\W\s?.!]", each) for each in texts)
    if not clean or any("\n" in each for each in texts) or re.search(r"\b(?:or|and)$", texts[0]):
        return None
    return stem, Options(texts, list(LETTERS[: len(texts)]))


def _without(last: re.Pattern[str], text: str) -> str:
    """The text without a last line of that form."""
    head, _, line = text.rstrip().rpartition("\n")
    return head.rstrip() if last.fullmatch(line.strip()) else text.rstrip()


# Gold answers


def meant(rows: Sequence[Given], *, counted: bool = False, index: bool = False) -> list[set[int]]:
    """The positions of the options that each gold answer of a column may mean.

    A letter or label, else an option's text, else an option's number; where all answers of the
    column are whole numbers and some are no option's text, all are numbers of options. Whether
    those count from 0 or from 1 is what the column shows: both, where it shows nothing.

    Args:
        rows: the gold answers with their options.
        counted: whether whole numbers count from 0, as label columns of typed data sets do.
        index: whether the column's name says that it holds numbers of options.
    """
    numbers = [_whole(row.gold) for row in rows]
    texts = [_by_text(row) for row in rows]
    labels = [
        set() if index and row.labels and row.labels[0] == "1" else _by_label(row) for row in rows
    ]
    bases = _bases(rows, numbers, texts, counted=counted)
    if rows and all(number is not None for number in numbers) and not all(labels):
        typed = any(not isinstance(row.gold, str) for row in rows)
        placed = [_placed(row, number, bases) for row, number in zip(rows, numbers, strict=True)]
        if not all(texts):
            return placed
        return [a | b for a, b in zip(placed, texts, strict=True)] if typed else texts
    return [
        label or text or _placed(row, number, bases)
        for row, number, label, text in zip(rows, numbers, labels, texts, strict=True)
    ]


def _whole(gold: str | int | float) -> int | None:
    text = str(int(gold)) if isinstance(gold, float) and gold.is_integer() else str(gold).strip()
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _bases(
    rows: Sequence[Given],
    numbers: Sequence[int | None],
    texts: Sequence[set[int]],
    *,
    counted: bool,
) -> tuple[int, ...]:
    """From where whole numbers may count options: 0, 1, both, or no whole number."""
    seen = [
        (number, len(row.options))
        for row, number in zip(rows, numbers, strict=True)
        if number is not None
    ]
    if not seen or all(
        text for number, text in zip(numbers, texts, strict=True) if number is not None
    ):
        return (0,) if counted and seen else (0, 1) if seen else ()
    first = counted or any(number == 0 for number, _ in seen)
    last = any(number == count for number, count in seen)
    return (0, 1) if first is last else (0,) if first else (1,)


def _placed(row: Given, number: int | None, bases: Sequence[int]) -> set[int]:
    if number is None:
        return set()
    return {number - base for base in bases if 0 <= number - base < len(row.options)}


def _by_text(row: Given) -> set[int]:
    """Positions of the options whose text the answer is, as it is written or but for case."""
    text = _spelt(row.gold)
    same = {at for at, option in enumerate(row.options) if option.strip() == text}
    low = " ".join(text.casefold().split())
    return same or {
        at for at, option in enumerate(row.options) if " ".join(option.casefold().split()) == low
    }


def _by_label(row: Given) -> set[int]:
    """The position of the letter or label that the answer is, alone or before the option's text."""
    text = unicodedata.normalize("NFKC", _spelt(row.gold))
    names = [name.upper() for name in row.labels or LETTERS[: len(row.options)]]
    for at, name in enumerate(names):
        if text.upper() == name:
            return {at}
    found = _LETTER.fullmatch(text) if len(text) < _SHORT else None
    if found and (row.labels or not found[1].isdecimal()) and found[1].upper() in names:
        return {names.index(found[1].upper())}
    own = _OWN.fullmatch(text)
    if own and own[1] and own[1].upper() in names:
        at = names.index(own[1].upper())
        return {at} if row.options[at].strip() == own[3].strip() else set()
    return set()


def _spelt(gold: str | int | float) -> str:
    return str(int(gold)) if isinstance(gold, float) and gold.is_integer() else str(gold).strip()


def runs_of(names: Mapping[str, str]) -> Iterator[tuple[list[str], list[str]]]:
    """Groups of columns that hold one option each: their names, and what each option is called.

    `names` are column names with their keys. A group has one stem (`option`, `choice`, nothing)
    and letters from A or numbers from 0 or 1, none left out.
    """
    groups: dict[str, dict[str, str]] = {}
    for name, key in names.items():
        found = _COLUMN.fullmatch(key)
        if found and not (found[1] == "" and found[2].isdecimal()):
            groups.setdefault(found[1], {}).setdefault(found[2].upper(), name)
    for group in groups.values():
        for start in ("A", "0", "1"):
            wanted = LETTERS if start == "A" else [str(n) for n in range(int(start), 27)]
            count = next((at for at, each in enumerate(wanted) if each not in group), len(wanted))
            if count > 1:
                yield [group[each] for each in wanted[:count]], list(wanted[:count])
                break


_COLUMN = re.compile(
    r"(option|options|opt|op|choice|choices|answer|answers|ans|ending|sol|alternative|candidate|hypothesis|)"
    r"([a-z]|\d{1,2})"
)
