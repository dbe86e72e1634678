"""ZeroEval: a `.json` list of one model's answers to one benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from orchestra.components import component
from orchestra.errors import InputError
from orchestra.evals.importers.logs import Found, LogFile, Remark, Sample

_GOLD = ("answer", "correct_answer", "solution")
_ASKED = ("question", "problem", "model_input")


_KINDS: Mapping[str, dict[str, Any]] = {"crux": {"kind": "literal"}, "gsm": {"kind": "number"}}
"""What the answers of its benchmarks are, where their form does not tell."""


@component("importer", "zeroeval")
@dataclass(frozen=True)
class ZeroEval:
    """Reads the result files of WildEval/ZeroEval."""

    name: ClassVar[str] = "zeroeval"
    meaning: ClassVar[str] = "ZeroEval: lists of sessions with `output` and `generator`"

    def recognises(self, log: LogFile) -> bool:
        """A list of sessions."""
        found = log.beginning
        if not isinstance(found, dict) or "output" not in found:
            return False
        return "session_id" in found or {"generator", "model_input"} <= found.keys()

    def read(self, log: LogFile) -> Iterator[Found]:
        """Each output of each session; folders are `<benchmark>/<model>.json`."""
        rows = log.json()
        if not isinstance(rows, list):
            raise InputError("is no list of sessions", place=log.place)
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                yield Remark("a row that is no session is left out")
                continue
            task = str(row.get("dataset") or log.path.parent.name)
            model = str(row.get("generator") or log.path.stem)
            key = str(row.get("id") or row.get("session_id") or number)
            outputs = row.get("output")
            texts = outputs if isinstance(outputs, list) else [outputs]
            question = _question(row) | _KINDS.get(task, {})
            for index, text in enumerate(texts or [None]):
                told = text if isinstance(text, str) else None
                yield Sample(model, task, key, told, question, index=index)


def _question(row: Mapping[str, Any]) -> dict[str, Any]:
    text = next((row[name] for name in _ASKED if isinstance(row.get(name), str)), "")
    found: dict[str, Any] = {"question": text}
    gold = next((row[name] for name in _GOLD if row.get(name) is not None), None)
    if isinstance(row.get("choices"), list) and row["choices"]:
        found["options"] = row["choices"]
    if gold is not None and not isinstance(gold, list | dict):
        found["answer"] = gold
    return found
