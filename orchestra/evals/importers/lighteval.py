"""lighteval: parquet files of details, and its results; the options stand in the prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from orchestra.components import component
from orchestra.evals.cells import structured
from orchestra.evals.importers.logs import Found, LogFile, Remark, Sample, Stated, listed
from orchestra.records import LETTERS

_FILE = re.compile(r"details_(.+?)_\d{4}-\d\d-\d\dT.*\.parquet$")
_OPTION = re.compile(r"(?m)^\s*\(?([A-Z])[).:]\s+(.+?)\s*$")
_SHARES = re.compile(r"(?i)(?!.*_stderr$).*(acc|em|exact_match|extractive_match|pass@)")


@component("importer", "lighteval")
@dataclass(frozen=True)
class Lighteval:
    """Reads what `lighteval --save-details` writes."""

    name: ClassVar[str] = "lighteval"
    meaning: ClassVar[str] = "lighteval: `details_*.parquet`, `results_*.json`"

    def recognises(self, log: LogFile) -> bool:
        """Details of documents and responses, or a file of results."""
        names = {each.strip("_") for each in log.columns}
        found = log.beginning
        return {"doc", "model_response"} <= names or (
            isinstance(found, dict) and "config_general" in found
        )

    def read(self, log: LogFile) -> Iterator[Found]:
        """The samples of a task, or the figures of a run."""
        if not log.columns:
            yield from _results(log.json())
            return
        matched = _FILE.search(log.path.name)
        task = matched[1].partition("|")[2].partition("|")[0] if matched else ""
        model = _model(log.path)
        for number, row in enumerate(log.rows()):
            cells = {name.strip("_"): _mapping(each) for name, each in row.items()}
            yield from _answers(cells, model, task or (matched[1] if matched else "task"), number)


def _model(path: Path) -> str:
    """From `details/<organisation>/<model>/<date>/`."""
    parts = path.parts[:-1]
    inner = parts[parts.index("details") + 1 :] if "details" in parts else parts[-2:]
    named = [each for each in inner if not re.match(r"\d{4}-\d\d-\d\dT", each)]
    return "/".join(named[:2]) or "model"


def _answers(
    cells: Mapping[str, Mapping[str, Any]], model: str, task: str, number: int
) -> Iterator[Found]:
    doc, response = cells.get("doc", {}), cells.get("model_response", {})
    question = _question(doc)
    key = str(doc["id"]) if doc.get("id") not in (None, "") else str(number)
    texts = listed(response.get("text"))
    if not texts and listed(response.get("logprobs")):
        scores = [_number(each) for each in response["logprobs"]]
        best = max(range(len(scores)), key=scores.__getitem__)
        texts = [f"The answer is ({LETTERS[best]})."] if best < len(LETTERS) else []
        yield Remark("a choice by log-likelihood is recorded as a text that states its letter")
    tokens = listed(response.get("output_tokens"))
    prompt = response.get("input_tokens")
    if not texts:
        yield Sample(model, task, key, None, question)
    for index, text in enumerate(texts):
        spent = tokens[index] if index < len(tokens) else None
        yield Sample(
            model,
            task,
            key,
            text if isinstance(text, str) else None,
            question,
            index=index,
            prompt_tokens=len(prompt) if isinstance(prompt, list) and prompt else None,
            completion_tokens=len(spent) if isinstance(spent, list) and spent else None,
        )


def _question(doc: Mapping[str, Any]) -> Mapping[str, Any]:
    """The question, and its options where they are choices or can be read from the prompt."""
    text = str(doc.get("original_query") or doc.get("query") or "")
    choices = [str(each).strip() for each in listed(doc.get("choices"))]
    gold = doc.get("gold_index")
    gold = gold[0] if isinstance(gold, list) and gold else gold
    at = gold if isinstance(gold, int) and 0 <= gold < len(choices) else None
    right = None if at is None else choices[at]
    lettered = choices == list(LETTERS[: len(choices)]) and len(choices) > 1
    if lettered:
        found = _OPTION.findall(text)[-len(choices) :]
        if [letter for letter, _ in found] == choices:
            stem = text[: text.rindex(found[0][1])]
            stem = re.sub(r"\s*\(?A[).:]\s*$", "", stem)
            return {"question": stem, "options": [told for _, told in found], "answer": right}
        return {"question": text, "options": choices, "answer": right}
    if len(choices) > 1:
        return {"question": text, "options": choices, "answer": None if at is None else LETTERS[at]}
    return {"question": text, "answer": right}


def _results(found: Any) -> Iterator[Found]:
    head, results = _mapping(_mapping(found).get("config_general")), _mapping(found).get("results")
    config = _mapping(head.get("model_config"))
    model = str(head.get("model_name") or config.get("model_name") or "model")
    for task, figures in _mapping(results).items():
        for metric, value in _mapping(figures).items():
            if isinstance(value, int | float) and 0 <= value <= 1 and _SHARES.match(metric):
                yield Stated(model, str(task), metric, float(value))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("-inf")


def _mapping(value: Any) -> Mapping[str, Any]:
    """The cell as a mapping; some versions write it as the text of one."""
    found = structured(value) if isinstance(value, str) else value
    return found if isinstance(found, Mapping) else {}
