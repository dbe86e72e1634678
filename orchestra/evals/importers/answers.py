"""Tables of answers: csv, jsonl or parquet with the columns question, model and answer's text.

Our own recordings are such a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from orchestra.components import component
from orchestra.errors import InputError, raise_all
from orchestra.evals.files import SUFFIXES, read_file, suffix_of
from orchestra.evals.importers.logs import (
    Found,
    LogFile,
    Remark,
    Sample,
    mapping,
    reason,
    seconds,
    whole,
)
from orchestra.evals.names import key_of

_NAMES: Mapping[str, tuple[str, ...]] = {
    "question_id": ("questionid", "qid", "id", "itemid", "docid", "customid", "sampleid", "taskid"),
    "model": ("model", "modelname", "modelid", "expert", "generator", "system", "llm"),
    "output": (
        *("output", "modeloutput", "modeloutputs", "generatedtext", "response", "modelresponse"),
        *("completion", "generation", "prediction", "modelanswer", "text"),
    ),
    "sample_index": ("sampleindex", "sample", "repeat", "epoch"),
    "prompt_tokens": ("prompttokens", "inputtokens"),
    "completion_tokens": ("completiontokens", "outputtokens"),
    "seconds": ("seconds", "latency", "duration"),
    "finish_reason": ("finishreason", "stopreason"),
}
_QUESTION = (
    "question",
    "options",
    "choices",
    "answer",
    "gold",
    "target",
    "category",
    "context",
    "kind",
)


@component("importer", "answers")
@dataclass(frozen=True)
class Answers:
    """Reads a table with a row for each answer; a file of one model may leave `model` out."""

    name: ClassVar[str] = "answers"
    meaning: ClassVar[str] = "a table (csv, jsonl, parquet): columns question_id, model, output"

    def recognises(self, log: LogFile) -> bool:
        """Columns for the question's id and the answer's text."""
        if suffix_of(log.path) not in SUFFIXES:
            return False
        names: Any = log.columns or mapping(log.beginning)
        if not names:
            line = log.head.partition(b"\n")[0].decode("utf-8", "replace")
            names = [each.strip(' "\r') for mark in ",;\t" for each in line.split(mark)]
        found = _columns(list(map(str, names)))
        return {"question_id", "output"} <= found.keys()

    def read(self, log: LogFile) -> Iterator[Found]:
        """A Sample for each row."""
        problems: list[InputError] = []
        rows = read_file(log.path, list, problems)
        raise_all(problems)
        found = _columns(list(rows.names))
        if not {"question_id", "output"} <= found.keys():
            has = ", ".join(f"`{name}`" for name in list(rows.names)[:20])
            hint = f"there are {has}; `question_id`, `model` and `output` are needed"
            raise InputError("has no columns of answers", place=log.place, hint=hint)
        asked = [name for name in rows.names if key_of(name) in _QUESTION]
        cells = rows.columns
        for at in range(len(rows)):
            row = {ours: cells[theirs][at] for ours, theirs in found.items() if theirs in cells}
            question = {n: cells[n][at] for n in asked if n in cells and cells[n][at] is not None}
            yield from _sample(row, question, log.path.stem)


def _columns(names: list[str]) -> dict[str, str]:
    """Our column -> the source's, best names first."""
    keys = {key_of(name): name for name in reversed(names)}
    found: dict[str, str] = {}
    for ours, theirs in _NAMES.items():
        name = next((keys[each] for each in theirs if each in keys), None)
        if name is not None:
            found[ours] = name
    return found


def _sample(row: Mapping[str, Any], question: Mapping[str, Any], stem: str) -> Iterator[Found]:
    if row.get("question_id") in (None, ""):
        yield Remark("a row without a question id is left out")
        return
    text = row.get("output")
    yield Sample(
        str(row.get("model") or stem),
        "",
        str(row["question_id"]),
        None if text is None else str(text),
        question if "question" in question else None,
        index=whole(row.get("sample_index")) or 0,
        prompt_tokens=whole(row.get("prompt_tokens")),
        completion_tokens=whole(row.get("completion_tokens")),
        seconds=seconds(row.get("seconds")),
        finish_reason=reason(row.get("finish_reason")),
    )
