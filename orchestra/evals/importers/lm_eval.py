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
from orchestra.evals.importers.logs import (
    Found,
    LogFile,
    Remark,
    Sample,
    Stated,
    listed,
    mapping,
)
from orchestra.evals.names import MEANS, key_of
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
        if _is_samples(log):
            return True
        return log.path.name.startswith("results") and _is_results(log.beginning)

    def read(self, log: LogFile) -> Iterator[Found]:
        """The samples of a task, or the figures of a run."""
        if _is_samples(log):
            yield from _samples(log)
        else:
            yield from _results(log.json())


def _is_samples(log: LogFile) -> bool:
    """By the first keys; a document or its prompts may be longer than what is looked at."""
    keys = mapping(log.beginning).keys()
    told = {"arguments", "resps"} & keys or _SAMPLES.match(log.path.name)
    return {"doc_id", "doc"} <= keys and bool(told)


def _is_results(found: Any) -> bool:
    return isinstance(found, dict) and "results" in found and not {"eval", "plan"} & found.keys()


def _samples(log: LogFile) -> Iterator[Found]:
    matched = _SAMPLES.match(log.path.name)
    task = matched[1] if matched else log.path.stem
    model = _model(log.path, matched[2] if matched else None)
    numbers = _are_numbers(log)
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
        yield from _answers(line, model, task=task, key=key, numbers=numbers)


def _answers(
    line: Mapping[str, Any], model: str, *, task: str, key: str, numbers: bool | None
) -> Iterator[Found]:
    asked = _arguments(line.get("arguments"))
    doc = _question(line["doc"])
    target = line.get("target")
    prompt = asked[0][0] if asked and isinstance(asked[0][0], str) else ""
    other: dict[str, Any] = {"question": prompt or str(doc.get("question", "")), "answer": target}
    responses = listed(line.get("resps"))
    if scores := _likelihoods(responses):
        options, scores = _offered(asked, scores)
        best = max(range(len(scores)), key=scores.__getitem__)
        if options:
            gold = _letter(target, options, numbers)
            other = {**other, "options": options, "answer": gold}
            doc = _as_asked(doc, other)
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


def _offered(asked: Sequence[Sequence[Any]], scores: list[float]) -> tuple[list[str], list[float]]:
    """The options that were compared, with their scores; no options where they are unknown."""
    half = len(asked) // 2
    if len(asked) % 2 == 0 and half and asked[0][0] and not any(each[0] for each in asked[half:]):
        asked, scores = asked[:half], scores[:half]  # the rest is for acc_mutual_info
    texts = [each[1].strip() for each in asked if len(each) > 1 and isinstance(each[1], str)]
    whole = len(texts) == len(scores) <= len(LETTERS) and len(set(texts)) == len(texts)
    return (texts if whole else []), scores


def _as_asked(doc: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document with the options in the order in which they were compared.

    The recorded letter follows that order, and a document may have another one, or none.
    """
    if other["options"] == list(LETTERS[: len(other["options"])]):
        return doc  # letters were compared: those of the document's own options
    roles = {name: MEANS.get(key_of(name)) for name in doc}
    kept = {n: doc[n] for n, role in roles.items() if role in ("question", "context", "category")}
    if not any(roles[name] == "question" for name in kept):
        kept["question"] = other["question"]
    return {**kept, "options": other["options"], "answer": other["answer"]}


def _places(target: Any, options: Sequence[str]) -> tuple[int | None, int | None]:
    """Where a target is among the options, taken as a number from 0, and taken as a text."""
    told = str(target).strip()
    number = int(told) if re.fullmatch(r"[0-9]{1,2}", told) else len(options)
    text = options.index(told) if told in options else None
    return (number if number < len(options) else None), text


def _are_numbers(log: LogFile) -> bool | None:
    """Whether targets that may be either are numbers; None where no line tells.

    The tool's own mark of a line tells, and then for all lines: what is decided line by line would
    depend on what the model chose.
    """
    for line in log.lines():
        if not isinstance(line, dict) or line.get("acc") not in (0, 1):
            continue
        scores = _likelihoods(listed(line.get("resps")))
        options, scores = _offered(_arguments(line.get("arguments")), scores)
        places = _places(line.get("target"), options)
        if None in places or not scores:
            continue
        best = max(range(len(scores)), key=scores.__getitem__)
        number, text = ((best == at) is bool(line["acc"]) for at in places)
        if number != text:
            return number
    return None


def _letter(target: Any, options: Sequence[str], numbers: bool | None) -> str | None:
    """The letter of a target; None where it is no option, or may be two."""
    number, text = _places(target, options)
    if number is None or text is None or number == text:
        found = text if number is None else number
    else:
        found = None if numbers is None else number if numbers else text
    return None if found is None else LETTERS[found]


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
