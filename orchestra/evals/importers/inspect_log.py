"""Inspect: eval logs, as `.json` or as `.eval` (a zip with a file for each sample)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from orchestra.components import component
from orchestra.errors import InputError, MissingExtra
from orchestra.evals.importers.logs import (
    Found,
    LogFile,
    Remark,
    Sample,
    Stated,
    listed,
    mapping,
    reason,
    seconds,
    whole,
)
from orchestra.records import LETTERS
from orchestra.runs.foreign import loads

_STARTS = ("header.json", "_journal/start.json")
_ATTACHED = "attachment://"
_LIMITS = frozenset(
    ("context", "time", "working", "message", "token", "turn", "cost", "operator", "custom")
)


@dataclass(frozen=True, slots=True)
class _Head:
    """What a log says of all its samples."""

    model: str
    task: str


@component("importer", "inspect")
@dataclass(frozen=True)
class Inspect:
    """Reads the logs of UK AISI's Inspect; epochs are draws of a question."""

    name: ClassVar[str] = "inspect"
    meaning: ClassVar[str] = "Inspect: logs, `.eval` or `.json`"

    def recognises(self, log: LogFile) -> bool:
        """A log with its head, or an archive of one."""
        if log.members:
            return bool({*_STARTS} & set(log.members)) or any(map(_is_sample, log.members))
        if _is_cut(log):
            return True
        found = log.beginning
        return isinstance(found, dict) and "eval" in found and "version" in found

    def read(self, log: LogFile) -> Iterator[Found]:
        """Each sample's answer, and the figures of the log."""
        if _is_cut(log):
            yield Remark("an archive that is cut off or damaged is left out")
            return
        if not log.members:
            content = log.json()
            head = _head(content)
            yield from _stated(content, head)
            for sample in listed(content.get("samples")):
                yield from _answer(sample, head)
            return
        start = _started(log)
        head = _head(start)
        yield from _stated(start, head)
        for member in dict.fromkeys(filter(_is_sample, log.members)):
            try:
                sample = loads(log.member(member))
            except MissingExtra:
                raise
            except (InputError, ValueError):
                yield Remark("a sample that is damaged is left out")
                continue
            yield from _answer(sample, head)


def _is_cut(log: LogFile) -> bool:
    """An archive of Inspect without the list of its files, which is written last."""
    first = tuple(name.encode() for name in (*_STARTS, "samples/"))
    return log.head[:2] == b"PK" and not log.members and log.head[30:].startswith(first)


def _is_sample(member: str) -> bool:
    return member.startswith("samples/") and member.endswith(".json")


def _started(log: LogFile) -> Mapping[str, Any]:
    """The head; that of a log that is still being written stands in its journal."""
    for name in _STARTS:
        if name in log.members:
            try:
                return mapping(loads(log.member(name)))
            except ValueError as error:
                raise InputError(f"is no JSON: {error}", place=f"{log.path}/{name}") from None
    return {}


def _head(content: Any) -> _Head:
    told = mapping(mapping(content).get("eval"))
    task = str(told.get("task") or "inspect").rpartition("/")[2]
    return _Head(str(told.get("model") or "model"), task)


def _stated(content: Any, head: _Head) -> Iterator[Found]:
    results = mapping(mapping(content).get("results"))
    for score in listed(results.get("scores")):
        for name, metric in mapping(mapping(score).get("metrics")).items():
            value = mapping(metric).get("value")
            if name in ("accuracy", "mean") and isinstance(value, int | float) and 0 <= value <= 1:
                scorer = mapping(score).get("scorer") or mapping(score).get("name")
                n = whole(results.get("completed_samples"))
                yield Stated(head.model, head.task, f"{scorer} {name}", float(value), n)


def _answer(sample: Any, head: _Head) -> Iterator[Found]:
    if not isinstance(sample, dict) or sample.get("id") is None:
        yield Remark("a sample without an id is left out")
        return
    attached = mapping(sample.get("attachments"))
    output = mapping(sample.get("output"))
    choices = listed(output.get("choices"))
    choice = mapping(choices[0]) if choices else {}
    ended = str(choice.get("stop_reason") or "")
    text: str | None = _text(mapping(choice.get("message")).get("content"), attached)
    text = text or str(output.get("completion") or "")
    limit = str(mapping(sample.get("limit")).get("type") or "")
    if sample.get("error") or output.get("error") or not (text or (choices and not limit)):
        text = None  # the call failed, or a limit stopped it before there was an answer
    if limit:
        yield Remark(
            f"the tool stopped samples at a limit: {limit if limit in _LIMITS else 'other'}"
        )
    usage = mapping(output.get("usage"))
    yield Sample(
        str(output.get("model") or head.model) if head.model == "model" else head.model,
        head.task,
        str(sample["id"]),
        text,
        _question(sample, attached),
        index=max((whole(sample.get("epoch")) or 1) - 1, 0),
        prompt_tokens=whole(usage.get("input_tokens")),
        completion_tokens=whole(usage.get("output_tokens")),
        seconds=seconds(output.get("time")),
        finish_reason=reason(ended),
    )


def _question(sample: Mapping[str, Any], attached: Mapping[str, Any]) -> Mapping[str, Any]:
    asked = sample.get("input")
    if isinstance(asked, list):
        users = [mapping(m) for m in asked if mapping(m).get("role") == "user"]
        asked = _text(users[-1].get("content"), attached) if users else ""
    text = _resolved(str(asked or ""), attached)
    options = listed(sample.get("choices"))
    target = sample.get("target")
    if isinstance(target, list):
        target = target[0] if len(target) == 1 else None
    found: dict[str, Any] = {"question": text, "answer": target}
    category = mapping(sample.get("metadata")).get("category")
    if isinstance(category, str):
        found["category"] = category
    if options:
        found["options"] = [_resolved(str(each), attached) for each in options]
        # Targets are letters of the options as they stand here, whatever order was shown.
        told = str(target or "").strip()
        found["answer"] = told if told in LETTERS[: len(options)] and told else target
    return found


def _text(content: Any, attached: Mapping[str, Any]) -> str:
    """The text of a message without its reasoning."""
    if isinstance(content, str):
        return _resolved(content, attached)
    parts: Sequence[Any] = content if isinstance(content, list) else ()
    texts = [str(p.get("text") or "") for p in map(mapping, parts) if p.get("type") == "text"]
    return "\n".join(_resolved(each, attached) for each in texts)


def _resolved(text: str, attached: Mapping[str, Any]) -> str:
    """Long texts stand once in a log, under their hash."""
    if _ATTACHED not in text:
        return text
    pattern = re.escape(_ATTACHED) + r"([0-9a-f]+)"
    return re.sub(pattern, lambda m: str(attached.get(m[1], m[0])), text)
