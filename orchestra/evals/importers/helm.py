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
    listed,
    mapping,
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
        adapter = mapping(state.get("adapter_spec"))
        model = str(adapter.get("model_deployment") or adapter.get("model") or log.path.parent.name)
        model = str(adapter.get("model") or model)
        task = _task(log.path.parent)
        trials = max(int(whole(adapter.get("num_outputs")) or 1), 1)
        for each in listed(state.get("request_states")):
            if isinstance(each, dict):
                yield from _answers(each, model, task=task, draws=trials)
        yield from _stats(log.path.parent / "stats.json", model, task)


def _answers(state: Mapping[str, Any], model: str, *, task: str, draws: int) -> Iterator[Found]:
    instance = mapping(state.get("instance"))
    if instance.get("perturbation"):
        yield Remark("a perturbed instance is left out")
        return
    if state.get("reference_index") is not None:
        yield Remark("a request for the likelihood of one option is left out")
        return
    result = mapping(state.get("result"))
    question = _question(instance, mapping(state.get("output_mapping")))
    key = str(instance.get("id"))
    trial = whole(state.get("train_trial_index")) or 0
    completions = listed(result.get("completions"))
    if not result.get("success", True) or not completions:
        yield Sample(model, task, key, None, question, index=trial * draws)
        return
    for number, each in enumerate(completions):
        told = mapping(each)
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
            finish_reason=reason(mapping(told.get("finish_reason")).get("reason")),
        )


def _question(instance: Mapping[str, Any], letters: Mapping[str, Any]) -> Mapping[str, Any]:
    asked = mapping(instance.get("input"))
    text = asked.get("text")
    if not text and isinstance(asked.get("messages"), list):
        text = next((mapping(m).get("content") for m in reversed(asked["messages"])), "")
    references = [mapping(each) for each in listed(instance.get("references"))]
    texts = [str(mapping(each.get("output")).get("text", "")) for each in references]
    right = [
        told
        for told, each in zip(texts, references, strict=True)
        if "correct" in listed(each.get("tags"))
    ]
    category = mapping(instance.get("extra_data")).get("category") or instance.get("sub_split")
    found: dict[str, Any] = {"question": str(text or "")}
    if isinstance(category, str):
        found["category"] = category
    if letters:
        options = [str(letters[letter]) for letter in sorted(letters)]
        found["options"] = options
        gold = next((at for at, each in enumerate(options) if each in right), None)
        found["answer"] = None if gold is None else sorted(letters)[gold]
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
        named = mapping(mapping(each).get("name"))
        mean = mapping(each).get("mean")
        tested = named.get("split") in ("test", "valid", None) and not named.get("perturbation")
        if tested and named.get("name") in _METRICS and isinstance(mean, int | float):
            yield Stated(model, task, str(named["name"]), float(mean), whole(each.get("count")))
