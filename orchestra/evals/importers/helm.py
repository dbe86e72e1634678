"""HELM: the `scenario_state.json` of a run folder, with what stands beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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
    reason,
    seconds,
    whole,
)

_METRICS = (
    "exact_match",
    "quasi_exact_match",
    "chain_of_thought_correctness",
    "final_num_exact_match",
)


@component("importer", "helm")
@dataclass(frozen=True)
class Helm:
    """Reads run folders of Stanford's HELM."""

    name: ClassVar[str] = "helm"
    meaning: ClassVar[str] = "HELM: run folders (`scenario_state.json`)"

    def recognises(self, log: LogFile) -> bool:
        """The file of all requests and results."""
        found = log.beginning
        named = log.path.name == "scenario_state.json"
        return named and isinstance(found, dict) and "adapter_spec" in found

    def read(self, log: LogFile) -> Iterator[Found]:
        """Each completion, and the run's own figures."""
        state = log.json()
        adapter = _mapping(state.get("adapter_spec"))
        model = str(adapter.get("model_deployment") or adapter.get("model") or log.path.parent.name)
        model = str(adapter.get("model") or model)
        task = _task(log.path.parent)
        trials = max(int(whole(adapter.get("num_outputs")) or 1), 1)
        for each in state.get("request_states") or []:
            if isinstance(each, dict):
                yield from _answers(each, model, task=task, draws=trials)
        yield from _stats(log.path.parent / "stats.json", model, task)


def _answers(state: Mapping[str, Any], model: str, *, task: str, draws: int) -> Iterator[Found]:
    instance = _mapping(state.get("instance"))
    if instance.get("perturbation"):
        yield Remark("a perturbed instance is left out")
        return
    if state.get("reference_index") is not None:
        yield Remark("a request for the likelihood of one option is left out")
        return
    result = _mapping(state.get("result"))
    question = _question(instance, _mapping(state.get("output_mapping")))
    key = str(instance.get("id"))
    trial = whole(state.get("train_trial_index")) or 0
    completions = result.get("completions") or []
    if not result.get("success", True) or not completions:
        yield Sample(model, task, key, None, question, index=trial * draws)
        return
    for number, each in enumerate(completions):
        told = _mapping(each)
        tokens = told.get("tokens")
        yield Sample(
            model,
            task,
            key,
            str(told.get("text") or ""),
            question,
            index=trial * max(draws, len(completions)) + number,
            completion_tokens=len(tokens) if isinstance(tokens, list) and tokens else None,
            seconds=seconds(result.get("request_time")),
            finish_reason=reason(_mapping(told.get("finish_reason")).get("reason")),
        )


def _question(instance: Mapping[str, Any], mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    asked = _mapping(instance.get("input"))
    text = asked.get("text")
    if not text and isinstance(asked.get("messages"), list):
        text = next((_mapping(m).get("content") for m in reversed(asked["messages"])), "")
    references = [_mapping(each) for each in instance.get("references") or []]
    texts = [str(_mapping(each.get("output")).get("text", "")) for each in references]
    right = [
        told
        for told, each in zip(texts, references, strict=True)
        if "correct" in (each.get("tags") or [])
    ]
    category = _mapping(instance.get("extra_data")).get("category") or instance.get("sub_split")
    found: dict[str, Any] = {"question": str(text or "")}
    if isinstance(category, str):
        found["category"] = category
    if mapping:
        options = [str(mapping[letter]) for letter in sorted(mapping)]
        found["options"] = options
        gold = next((at for at, each in enumerate(options) if each in right), None)
        found["answer"] = None if gold is None else sorted(mapping)[gold]
    else:
        found["answer"] = right[0] if right else None
    return found


def _task(folder: Path) -> str:
    """The run's name without its model: `mmlu_pro:subject=law`."""
    try:
        named = LogFile(folder / "run_spec.json").json().get("name")
    except (InputError, AttributeError):
        named = None
    name = re.sub(r",?model(_deployment)?=[^,]*", "", str(named or folder.name))
    return name.rstrip(":,") or "helm"


def _stats(path: Path, model: str, task: str) -> Iterator[Found]:
    try:
        stats = LogFile(path).json()
    except InputError:
        return
    for each in stats if isinstance(stats, list) else ():
        named = _mapping(_mapping(each).get("name"))
        mean = _mapping(each).get("mean")
        tested = named.get("split") in ("test", "valid", None) and not named.get("perturbation")
        if tested and named.get("name") in _METRICS and isinstance(mean, int | float):
            yield Stated(model, task, str(named["name"]), float(mean), whole(each.get("count")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
