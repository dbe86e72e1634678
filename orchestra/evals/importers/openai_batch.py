"""OpenAI's batch output, and that of `vllm run-batch`: answers without questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from orchestra.components import component
from orchestra.evals.importers.logs import (
    Found,
    LogFile,
    Remark,
    Sample,
    listed,
    mapping,
    reason,
    whole,
)


@component("importer", "openai-batch")
@dataclass(frozen=True)
class OpenAIBatch:
    """Reads output and error files of batches; `custom_id` is the question's id."""

    name: ClassVar[str] = "openai-batch"
    meaning: ClassVar[str] = "OpenAI batch output, `vllm run-batch` (needs the questions: `--on`)"

    def recognises(self, log: LogFile) -> bool:
        """Lines with `custom_id` and a response or an error; or the requests, beside them."""
        found = mapping(log.beginning)
        return "custom_id" in found and bool({"response", "error", "body"} & found.keys())

    def read(self, log: LogFile) -> Iterator[Found]:
        """Each choice of each response."""
        for line in log.lines():
            if isinstance(line, Remark):
                yield line
            elif isinstance(line, dict) and "body" in line and "response" not in line:
                yield Remark("a request of a batch is no answer")
            elif isinstance(line, dict) and line.get("custom_id") is not None:
                yield from _answers(line, str(line["custom_id"]))
            else:
                yield Remark("a line without `custom_id` is left out")


def _answers(line: Mapping[str, Any], key: str) -> Iterator[Found]:
    response = line.get("response")
    body = response.get("body") if isinstance(response, dict) else None
    status = response.get("status_code") if isinstance(response, dict) else None
    if not isinstance(body, dict) or line.get("error") or status not in (None, 200):
        yield Remark("a request that failed has no answer")
        return
    model = str(body.get("model") or "model")
    told = body.get("usage")
    usage: Mapping[str, Any] = told if isinstance(told, dict) else {}
    asked = whole(usage.get("prompt_tokens", usage.get("input_tokens")))
    written = whole(usage.get("completion_tokens", usage.get("output_tokens")))
    texts = list(_texts(body))
    for index, (text, ended) in enumerate(texts):
        yield Sample(
            model,
            "",
            key,
            text,
            index=index,
            prompt_tokens=asked,
            completion_tokens=written if len(texts) == 1 else None,  # the sum of all choices
            finish_reason=ended,
        )


def _texts(body: Mapping[str, Any]) -> Iterator[tuple[str | None, str | None]]:
    """Text and end of each choice, in the forms of chat, completions and responses."""
    if isinstance(body.get("output"), list):
        parts = [
            str(part.get("text") or "")
            for each in body["output"]
            if isinstance(each, dict) and each.get("type") == "message"
            for part in listed(each.get("content"))
            if isinstance(part, dict) and part.get("type") == "output_text"
        ]
        details = body.get("incomplete_details")
        ended = details.get("reason") if isinstance(details, dict) else "stop"
        yield "".join(parts), reason(ended)
        return
    for choice in listed(body.get("choices")):
        if isinstance(choice, dict):
            message = choice.get("message")
            text = message.get("content") if isinstance(message, dict) else choice.get("text")
            if isinstance(text, list):
                text = "".join(str(p.get("text") or "") for p in text if isinstance(p, dict))
            ended = reason(choice.get("finish_reason"))
            yield (text if isinstance(text, str) else ""), ended
