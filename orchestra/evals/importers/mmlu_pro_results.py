"""MMLU-Pro's `eval_results`: a zip, or a `.json`, of the answers of one model.

The stored `pred` of some models is a random letter where none was found, so texts are read anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from orchestra.components import component
from orchestra.errors import InputError
from orchestra.evals.importers.logs import Found, LogFile, Remark, Sample, Stated
from orchestra.runs.foreign import loads

_TEXTS = ("model_outputs", "generated_text")
_TASK = "mmlu_pro"
_NAME = re.compile(r"(?i)^(?:model_outputs_)?(.+?)(?:_\d+[-_]?shots?)?(?:_result|_summary)?$")


@component("importer", "mmlu-pro")
@dataclass(frozen=True)
class MmluProResults:
    """Reads the answers that the scripts of TIGER-AI-Lab/MMLU-Pro write and publish."""

    name: ClassVar[str] = "mmlu-pro"
    meaning: ClassVar[str] = "MMLU-Pro: zips of `eval_results`, files of its local and API scripts"

    def recognises(self, log: LogFile) -> bool:
        """A list of questions with options and texts, alone or in a zip."""
        inside = [each for each in log.members if each.endswith(".json")]
        if inside and not {"header.json", "_journal/start.json"} & set(log.members):
            return "model_outputs" in log.path.name or _is_one(_peeked(log, inside[0]))
        return _is_one(log.beginning) or _is_summary(log)

    def read(self, log: LogFile) -> Iterator[Found]:
        """Each answer, and the accuracy of the stored letters."""
        model = _model(log)
        if not log.members:
            yield from _summary(log.json(), model) if _is_summary(log) else _rows(log.json(), model)
        for member in log.members:
            if member.endswith(".json") and not member.startswith("__MACOSX"):
                yield from _rows(_inside(log, member), model)


def _is_one(row: Any) -> bool:
    if not isinstance(row, dict):
        return False
    asked = {"question_id", "options"} <= row.keys()
    return asked and bool({*_TEXTS, "pred"} & row.keys())


def _is_summary(log: LogFile) -> bool:
    total = log.beginning.get("total") if isinstance(log.beginning, dict) else None
    named = log.path.name.endswith("_summary.json")
    return named and isinstance(total, dict) and "acc" in total


def _peeked(log: LogFile, member: str) -> Any:
    try:
        rows = _inside(log, member)
    except InputError:
        return None
    return rows[0] if isinstance(rows, list) and rows else None


def _inside(log: LogFile, member: str) -> Any:
    try:
        return loads(log.member(member))
    except ValueError as error:
        raise InputError(f"is no whole JSON: {error}", place=f"{log.path}/{member}") from None


def _model(log: LogFile) -> str:
    """From the file's name, or from the folder above `CoT`, which local runs write."""
    parts = log.path.parts
    if "CoT" in parts[1:-1]:
        return parts[parts.index("CoT") - 1]
    stem = re.sub(r"(\.json)?\.(zip|json)$", "", log.path.name, flags=re.IGNORECASE)
    matched = _NAME.match(stem)
    found = matched[1] if matched else stem
    # Scripts for APIs write a file for each subject into the model's folder.
    return log.path.parent.name if stem.endswith(("_result", "_summary")) else found


def _rows(rows: Any, model: str) -> Iterator[Found]:
    if not isinstance(rows, list):
        raise InputError("is no list of answers")
    right = seen = 0
    for row in rows:
        if not isinstance(row, dict) or row.get("question_id") is None:
            yield Remark("a row without a question id is left out")
            continue
        text = next((row[name] for name in _TEXTS if isinstance(row.get(name), str)), None)
        yield Sample(model, _TASK, str(row["question_id"]), text, _asked(row))
        seen += 1
        right += row.get("pred") is not None and row.get("pred") == row.get("answer")
    if seen and any(isinstance(row, dict) and "pred" in row for row in rows):
        yield Remark("`pred` may hold random letters, so texts are read anew")
        yield Stated(model, _TASK, "pred", right / seen, seen)


def _asked(row: Mapping[str, Any]) -> Mapping[str, Any]:
    names = ("question", "options", "answer", "category")
    return {name: row[name] for name in names if row.get(name) is not None}


def _summary(found: Any, model: str) -> Iterator[Found]:
    total = found["total"]
    if isinstance(total.get("acc"), int | float):
        corr, wrong = total.get("corr"), total.get("wrong")
        n = (
            int(corr + wrong)
            if isinstance(corr, int | float) and isinstance(wrong, int | float)
            else None
        )
        yield Stated(model, _TASK, "acc", float(total["acc"]), n)
