"""lm-evaluation-harness: `samples_*.jsonl` and `results_*.json` (FORMATS as of lm-eval 0.4).

Each document stands once per filter; its responses are taken once, and read by our own rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from orchestra.components import component
from orchestra.errors import InputError
from orchestra.evals.importers.logs import Found, LogFile, Remark, Sample, Stated
from orchestra.records import LETTERS

_SAMPLES = re.compile(r"samples_(.+?)(?:_(\d{4}-\d\d-\d\dT.*))?\.jsonl$")
_SHARES = re.compile(r"acc|acc_norm|exact_match|em|pass@\d+|.*accuracy|.*_acc|quasi_exact_match")


@component("importer", "lm-eval")
@dataclass(frozen=True)
class LmEval:
    """Reads samples and results of `lm_eval --log_samples`."""

    name: ClassVar[str] = "lm-eval"
    meaning: ClassVar[str] = "lm-evaluation-harness: `samples_*.jsonl`, `results_*.json`"

    def recognises(self, log: LogFile) -> bool:
        """Lines of documents with responses, or a file of results."""
        first = log.first
        if isinstance(first, dict) and {"doc_id", "doc", "resps"} <= first.keys():
            return True
        return log.path.name.startswith("results") and _is_results(log.beginning)

    def read(self, log: LogFile) -> Iterator[Found]:
        """The samples of a task, or the figures of a run."""
        if isinstance(log.first, dict) and "resps" in log.first:
            yield from _samples(log)
        else:
            yield from _results(log.json())


def _is_results(found: Any) -> bool:
    return isinstance(found, dict) and "results" in found and not {"eval", "plan"} & found.keys()


def _samples(log: LogFile) -> Iterator[Found]:
    matched = _SAMPLES.match(log.path.name)
    task = matched[1] if matched else log.path.stem
    model = _model(log.path, matched[2] if matched else None)
    seen: set[Any] = set()
    for line in log.lines():
        if isinstance(line, Remark):
            yield line
            continue
        if not isinstance(line, dict) or not isinstance(line.get("doc"), dict):
            yield Remark("a line without a document is left out")
            continue
        key = str(line.get("doc_id"))
        if key in seen:
            continue
        seen.add(key)
        yield from _answers(line, model, task=task, key=key)


def _answers(line: Mapping[str, Any], model: str, *, task: str, key: str) -> Iterator[Found]:
    asked = _arguments(line.get("arguments"))
    options = [each[1].strip() for each in asked if len(each) > 1 and isinstance(each[1], str)]
    doc = _question(line["doc"])
    target = line.get("target")
    prompt = asked[0][0] if asked and isinstance(asked[0][0], str) else ""
    other: dict[str, Any] = {"question": prompt or str(doc.get("question", "")), "answer": target}
    responses = line.get("resps")
    responses = responses if isinstance(responses, list) else []
    if scores := _likelihoods(responses):
        if options and len(options) == len(scores):
            other = {**other, "options": options, "answer": _letter(target, options)}
        best = max(range(len(scores)), key=scores.__getitem__)
        texts: Sequence[Any] = [f"The answer is ({LETTERS[best]})."] if best < len(LETTERS) else []
        yield Remark("a choice by log-likelihood is recorded as a text that states its letter")
    else:
        texts = responses[0] if responses and isinstance(responses[0], list) else responses
    for index, text in enumerate(texts):
        told = text if isinstance(text, str) else None
        yield Sample(model, task, key, told, doc, other, index)


def _question(doc: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document in columns that the reader of items knows."""
    choices = [doc.get(f"choice{i}") for i in range(1, 5)]
    if "Question" in doc and all(isinstance(each, str) for each in choices):  # GPQA, processed
        answer = str(doc.get("answer", "")).strip("() ")
        return {"question": doc["Question"], "options": choices, "answer": answer}
    return doc


def _arguments(given: Any) -> list[list[Any]]:
    """The requests of a document, each a list of its arguments."""
    each = list(given.values()) if isinstance(given, dict) else given
    if not isinstance(each, list):
        return []
    found = [list(one.values()) if isinstance(one, dict) else one for one in each]
    return [one for one in found if isinstance(one, list) and one]


def _likelihoods(responses: Sequence[Any]) -> list[float]:
    """The log-likelihood of each option, where responses are pairs of one and a flag."""
    scores = []
    for each in responses:
        pair = each[0] if isinstance(each, list) and len(each) == 1 else each
        if not (isinstance(pair, list) and len(pair) == 2 and str(pair[1]) in ("True", "False")):
            return []
        try:
            scores.append(float(pair[0]))
        except (TypeError, ValueError):
            return []
    return scores


def _letter(target: Any, options: Sequence[str]) -> Any:
    """The letter of a target that counts from 0; other targets as they are."""
    told = str(target).strip()
    if told.isdigit() and int(told) < min(len(options), len(LETTERS)) and told not in options:
        return LETTERS[int(told)]
    return target


def _model(path: Path, date: str | None) -> str:
    """The model, as the results beside the samples name it, else the folder."""
    beside = sorted(path.parent.glob("results*.json"))
    same = [each for each in beside if date and date in each.name] or beside[-1:]
    for each in same:
        try:
            found = LogFile(each).json()
        except InputError:
            continue
        if isinstance(found, dict) and (name := _model_of(found)):
            return name
    return path.parent.name.replace("__", "/") or "model"


def _model_of(found: Mapping[str, Any]) -> str:
    config = found.get("config")
    arguments = config.get("model_args") if isinstance(config, dict) else None
    named = arguments.get("model") if isinstance(arguments, dict) else None
    matched = re.search(r"(?:^|,)(?:pretrained|model)=([^,]+)", str(arguments or ""))
    inner = named or (matched[1] if matched else "")
    return str(found.get("model_name") or inner or "")


def _results(found: Any) -> Iterator[Found]:
    if not isinstance(found, dict) or not isinstance(found.get("results"), dict):
        return
    model, sizes = _model_of(found) or "model", found.get("n-samples")
    for task, figures in found["results"].items():
        size = sizes.get(task) if isinstance(sizes, dict) else None
        n = size.get("effective") if isinstance(size, dict) else None
        for metric, value in figures.items() if isinstance(figures, dict) else ():
            plain = metric.partition(",")[0]
            share = isinstance(value, int | float) and 0 <= value <= 1
            if share and _SHARES.fullmatch(plain):
                yield Stated(
                    model, str(task), metric, float(value), n if isinstance(n, int) else None
                )
