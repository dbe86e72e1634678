"""Logs of several tools and models as one set of questions, with the answers of each model.

The same question in several logs is one question if text and options are the same, in the same
order: answers name letters. Texts go to the recordings as they are read, and are not kept.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from orchestra.answers import read
from orchestra.components import build, names
from orchestra.errors import InputError, InputErrors, unknown
from orchestra.evals.datasets import load_dataset
from orchestra.evals.importers.logs import Importer, LogFile, Remark, Sample, Stated
from orchestra.evals.items import Dataset, Item
from orchestra.evals.marking import mark_answer
from orchestra.evals.statistics import Interval, clustered_interval, wilson
from orchestra.records import Generation, Mark, Outcome

_BLOCK = 1_000
_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("question_id", "model", "output")),
        pa.field("sample_index", pa.int32()),
        *(pa.field(name, pa.int32()) for name in ("prompt_tokens", "completion_tokens")),
        pa.field("seconds", pa.float64()),
        pa.field("finish_reason", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Imported:
    """What the logs hold of one model."""

    samples: int
    questions: int
    failed: int
    """Calls that gave no text; they are not in the recordings."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many answers of a model are right by our reading, of questions with gold."""

    n: int
    right: int
    absent: int
    interval: Interval
    """95 %; several answers to one question are a cluster."""


@dataclass(frozen=True)
class Imports:
    """Results of other tools: questions, answers and what the logs themselves state."""

    items: Dataset
    """The questions, with gold answers where the logs have them."""
    recordings: Path
    """The answers."""
    models: Mapping[str, Imported]
    """By the model's name in the recordings, sorted."""
    formats: Mapping[str, int]
    """Format -> number of files."""
    stated: tuple[Stated, ...]
    notes: tuple[str, ...]
    """What was left out or is doubtful, once each."""

    def accuracy(self) -> dict[str, Accuracy]:
        """Model -> how its recorded answers are marked here."""
        by_id = {item.question.id: item for item in self.items}
        marks: dict[str, list[Mark]] = {model: [] for model in self.models}
        with pq.ParquetFile(self.recordings) as file:
            for batch in file.iter_batches(_BLOCK):
                for row in batch.to_pylist():
                    item = by_id.get(row["question_id"])
                    if item is not None and item.gold is not None:
                        marks[row["model"]].append(_marked(item, row))
        return {model: _accuracy(each) for model, each in marks.items()}


def _marked(item: Item, row: Mapping[str, Any]) -> Mark:
    told = Generation(
        key="",
        question_id=item.question.id,
        expert=row["model"],
        text=row["output"],
        finish_reason=row["finish_reason"] or "stop",
    )
    return mark_answer(read(item.question, told), item)


def _accuracy(marks: Sequence[Mark]) -> Accuracy:
    right = [each.outcome is Outcome.CORRECT for each in marks]
    asked = [each.question_id for each in marks]
    once = len(set(asked)) == len(asked)
    interval = wilson(sum(right), len(right)) if once else clustered_interval(right, asked)
    absent = sum(each.outcome is Outcome.ABSENT for each in marks)
    return Accuracy(len(marks), sum(right), absent, interval)


def import_results(
    paths: Iterable[Path | str],
    recordings: Path | str,
    *,
    format: str | None = None,
    on: Path | str | Sequence[Item] | None = None,
) -> Imports:
    """Read results of other tools, and write their texts as recordings.

    Args:
        paths: files, and folders that are searched for them.
        recordings: the `.parquet` file to write.
        format: a component `importer`; None: told by the files' content.
        on: the questions, where the logs do not hold them, or to take gold answers from.

    Raises:
        InputError: a named file is of no known format, nothing was found, or the recordings
            cannot be written. What is wrong with single rows is a note.
    """
    target = Path(recordings)
    if target.suffix.lower() != ".parquet":
        raise unknown("file type", target.suffix, (".parquet",), place=str(target))
    given = (
        None
        if on is None
        else on
        if isinstance(on, Sequence) and not isinstance(on, str)
        else load_dataset(on)
    )
    logs = list(_logs([Path(each) for each in paths], _importers(format), format))
    if any(target.exists() and log.path.samefile(target) for _, log in logs):
        hint = "name another file for the recordings"
        raise InputError("is read and would be replaced", place=str(target), hint=hint)
    partial = target.with_name(f".{target.name}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _Gathering(partial, None if given is None else Dataset(given)) as gathered:
            for importer, log in logs:
                gathered.add(importer, log)
        items, kept = gathered.items()
        partial.replace(target)
    except OSError as error:
        says = f"cannot be written: {error.strerror or error}"
        raise InputError(says, place=str(target)) from None
    finally:
        partial.unlink(missing_ok=True)
    return Imports(
        items,
        target,
        gathered.models(kept),
        dict(Counter(importer.name for importer, _ in logs)),
        tuple(gathered.stated),
        tuple(gathered.notes()),
    )


# Which files


def _importers(format: str | None) -> list[Importer]:
    """Those to try, `answers` last, as any table may be one."""
    chosen = [format] if format else sorted(names("importer"), key=lambda n: (n == "answers", n))
    return [build("importer", each, {}) for each in chosen]


def _logs(
    paths: Sequence[Path], importers: Sequence[Importer], format: str | None
) -> Iterator[tuple[Importer, LogFile]]:
    seen: set[Path] = set()
    known = ", ".join(f"`{each.name}`" for each in importers)
    for path in paths:
        if not path.exists():
            raise InputError("no such file or folder", place=str(path))
        found = 0
        for each in _files(path) if path.is_dir() else [path]:
            log = LogFile(each)
            fits = (i for i in importers if i.recognises(log) or (format and not path.is_dir()))
            importer = next(fits, None)
            if importer is not None:
                found += 1
                if each.resolve() not in seen:
                    seen.add(each.resolve())
                    yield importer, log
        if not found:
            what = "no file in this folder is of a" if path.is_dir() else "is of no"
            raise InputError(f"{what} known format", place=str(path), hint=f"formats: {known}")


def _files(folder: Path) -> Iterator[Path]:
    """The regular files below a folder, in order; links to folders are not followed."""
    for here, inner, files in os.walk(folder):
        inner[:] = sorted(each for each in inner if not each.startswith("."))
        for name in sorted(files):
            path = Path(here) / name
            if not name.startswith(".") and path.is_file():
                yield path


# What they hold


@dataclass(slots=True)
class _Variant:
    """A question as some log has it."""

    id: str
    question: Mapping[str, Any]
    otherwise: Mapping[str, Any] | None


@dataclass(slots=True)
class _Tally:
    samples: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    questions: dict[str, set[str]] = field(default_factory=dict)


class _Gathering:
    """Collects what importers find."""

    def __init__(self, path: Path, given: Dataset | None) -> None:
        self.stated: list[Stated] = []
        self._given = given
        self._ids = {} if given is None else _by_name(given)
        self._variants: dict[tuple[str, str], dict[str, _Variant]] = {}
        self._asked: dict[str, _Variant] = {}
        self._seen: dict[tuple[str, str, int], bytes] = {}
        self._remarks: dict[str, Counter[str]] = {}
        self._tally = _Tally()
        self._rows: list[dict[str, Any]] = []
        self._path = path

    def __enter__(self) -> _Gathering:
        self._writer = pq.ParquetWriter(self._path, _SCHEMA, compression="zstd")
        return self

    def __exit__(self, *raised: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, importer: Importer, log: LogFile) -> None:
        """Everything that one file holds."""
        for found in importer.read(log):
            if isinstance(found, Stated):
                self.stated.append(found)
            elif isinstance(found, Remark):
                self._remark(found.words, log.path.name)
            else:
                self._sample(found)

    def _remark(self, words: str, file: str = "", *, times: int = 1) -> None:
        self._remarks.setdefault(words, Counter())[file] += times

    def _sample(self, sample: Sample) -> None:
        name = self._name(sample)
        if name is None:
            self._remark("an answer to none of the given questions is left out")
            return
        if sample.output is None:
            self._tally.failed[sample.model] += 1
            return
        key = (sample.model, name, sample.index)
        told = blake2b(sample.output.encode("utf-8", "replace"), digest_size=8).digest()
        if key in self._seen:
            same = self._seen[key] == told
            words = "an answer that is there twice" if same else "a second, other answer of a model"
            self._remark(f"{words} to one question is left out")
            return
        self._seen[key] = told
        self._tally.samples[sample.model] += 1
        self._tally.questions.setdefault(sample.model, set()).add(name)
        row = {each: getattr(sample, each, None) for each in _SCHEMA.names}
        self._rows.append({**row, "question_id": name, "sample_index": sample.index})
        if len(self._rows) >= _BLOCK:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, _SCHEMA))
            self._rows = []

    def _name(self, sample: Sample) -> str | None:
        """The question's id: that of the given items, or its own."""
        if self._given is not None:
            keys = [sample.key, f"{sample.task}-{sample.key}"]
            keys += [_words(each) for each in (sample.question, sample.otherwise) if each]
            return next((self._ids[key] for key in keys if key in self._ids), None)
        if sample.question is None and sample.otherwise is None:
            raise InputError(
                "these logs do not hold the questions", hint="name them with `--on ITEMS`"
            )
        question = sample.question or sample.otherwise or {}
        variants = self._variants.setdefault((sample.task, sample.key), {})
        told = _digest(question)
        if told not in variants:
            plain = f"{sample.task}-{sample.key}" if sample.task else sample.key
            name = plain if not variants else f"{plain}~{told[:6]}"
            variants[told] = _Variant(name, question, sample.otherwise)
            if len(variants) == 2:
                self._remark("a question that logs have in several forms is several questions")
        return variants[told].id

    # What it comes to

    def items(self) -> tuple[Dataset, frozenset[str]]:
        """The questions, and the ids of those that have answers and are sound."""
        if self._given is not None:
            answered = frozenset().union(*self._tally.questions.values())
            return Dataset(i for i in self._given if i.question.id in answered), answered
        tasks: dict[str, list[_Variant]] = {}
        answered = frozenset().union(*self._tally.questions.values())
        for (task, _), variants in self._variants.items():
            tasks.setdefault(task, []).extend(v for v in variants.values() if v.id in answered)
        items = [item for task, each in tasks.items() for item in self._task(task, each)]
        if not items:
            says = "no question with an answer was found in these files"
            raise InputError(says, hint="; ".join(self.notes()))
        return Dataset(items), frozenset(item.question.id for item in items)

    def _task(self, task: str, variants: Sequence[_Variant]) -> Iterator[Item]:
        """The items of a task, by the columns that give more of them a gold answer."""
        found = self._read(task, [_row(v.id, v.question, task) for v in variants])
        gold = sum(item.gold is not None for item in found)
        if gold < len(variants) and any(v.otherwise for v in variants):
            again = [_row(v.id, v.otherwise or v.question, task) for v in variants]
            other = self._read(task, again)
            if sum(item.gold is not None for item in other) > gold:
                found = other
        if lost := len(variants) - len(found):
            self._remark(f"{task}: a question that cannot be read is left out", times=lost)
        yield from found

    def _read(self, task: str, rows: list[dict[str, Any]]) -> list[Item]:
        """The rows that are sound."""
        try:
            return list(load_dataset(rows))
        except (InputError, InputErrors):
            sound = [row for row in rows if _is_sound(row)]
        try:
            return list(load_dataset(sound)) if sound else []
        except (InputError, InputErrors) as error:
            self._remark(f"{task}: {str(error).splitlines()[0][:200]}")
            return []

    def models(self, kept: frozenset[str]) -> dict[str, Imported]:
        tally = self._tally
        return {
            model: Imported(
                sum(1 for m, q, _ in self._seen if m == model and q in kept),
                len(tally.questions.get(model, set()) & kept),
                tally.failed[model],
            )
            for model in sorted(tally.samples)
        }

    def notes(self) -> Iterator[str]:
        """What was left out, and how often, each once."""
        for words, files in self._remarks.items():
            count, named = files.total(), [each for each in files if each]
            times = [f"{count:,} times"] if count > 1 else []
            where = (
                [f"in {named[0] if len(named) == 1 else f'{len(named)} files'}"] if named else []
            )
            yield f"{words} ({', '.join(times + where)})" if times or where else words
        for model, count in sorted(self._tally.failed.items()):
            yield f"{model}: {count:,} failed calls are not recorded; they count as absent"


def _row(name: str, question: Mapping[str, Any], task: str) -> dict[str, Any]:
    kept = {key: each for key, each in question.items() if key not in ("question_id", "id")}
    return {"question_id": name, **({"benchmark": task} if task else {}), **kept}


def _is_sound(row: Mapping[str, Any]) -> bool:
    try:
        load_dataset([row])
    except (InputError, InputErrors):
        return False
    return True


def _digest(question: Mapping[str, Any]) -> str:
    """Of all that a model is asked; keys of answers are repaired between releases."""
    told = {
        k: [each.strip() if isinstance(each, str) else each for each in v]
        if isinstance(v, list)  # releases of a benchmark differ in the space around options
        else v
        for k, v in question.items()
        if not re.fullmatch(r"(?i)answer.*|.*id|cot_content|src", k)
    }
    content = orjson.dumps(told, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return blake2b(content, digest_size=8).hexdigest()


def _by_name(items: Dataset) -> dict[str, str]:
    """Id, or what is asked -> id."""
    ids = {item.question.id: item.question.id for item in items}
    for item in items:
        question = {"question": item.question.text, "options": list(item.question.options)}
        ids.setdefault(_words(question), item.question.id)
    return ids


def _words(question: Mapping[str, Any]) -> str:
    """Text and options without outer white space, as a key that is no id."""
    options = question.get("options") or question.get("choices") or []
    told = [
        str(question.get("question", "")),
        *map(str, options if isinstance(options, list) else []),
    ]
    return "\0".join(each.strip() for each in told)
