"""Requests as a vLLM child hears them, and its answers as Generations.

Knows both languages and which requests are draws of one call; does not know processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestra.records import Failure, Generation, Request, Usage
from orchestra.roster import Price

_MOST_DRAWS = 64
"""Draws in one call: together they arrive, so together they should not be long in coming."""


@dataclass(frozen=True, slots=True)
class Call:
    """Draws of one expert for the same messages, made by one call of the engine."""

    number: int
    """Unique within an engine's life."""
    requests: tuple[Request, ...]
    """One for each draw, in the order of their samples."""

    def message(self, adapter: str) -> dict[str, Any]:
        """What the child is told."""
        first = self.requests[0]
        sampling = first.sampling
        seed = None if sampling.seed is None else sampling.seed + first.sample
        return {
            "id": self.number,
            "adapter": adapter,
            "messages": [
                {"role": message.role, "content": message.content} for message in first.messages
            ],
            "choices": sampling.choices,
            "sampling": {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": sampling.max_tokens,
                "stop": sampling.stop,
                "seed": seed,
                "logprobs": sampling.logprobs or None,
                "n": len(self.requests),
            },
        }


def calls(requests: Iterable[Request], *, start: int) -> Iterator[Call]:
    """The calls that the requests come to, in the order of their first requests.

    Draws share a call where the engine draws them apart: not greedily, and with a seed only if
    their samples follow each other, since draw `i` of a call has the seed `seed + i`.
    """
    together: dict[object, list[Request]] = {}
    for request in requests:
        drawn = request.sampling.temperature > 0
        key = (request.expert, request.messages, request.sampling) if drawn else request.key
        together.setdefault(key, []).append(request)
    number = start
    for group in together.values():
        for run in _runs(sorted(group, key=lambda request: request.sample)):
            yield Call(number, tuple(run))
            number += 1


def _runs(draws: Sequence[Request]) -> Iterator[Sequence[Request]]:
    first = 0
    for end in range(1, len(draws) + 1):
        if end < len(draws) and end - first < _MOST_DRAWS:
            follows = draws[end].sample == draws[end - 1].sample + 1
            if follows or draws[first].sampling.seed is None:
                continue
        yield draws[first:end]
        first = end


def read_answer(
    call: Call, answer: Mapping[str, Any], *, seconds: float, price: Price | None
) -> list[Generation]:
    """The Generations of a call that was answered.

    Args:
        call: what was asked.
        answer: what the child said to it.
        seconds: the engine's time that falls to the call.
        price: what the expert charges.
    """
    if "failure" in answer:
        kind, detail = answer["failure"]
        return [failed(request, kind, detail) for request in call.requests]
    part = seconds / len(call.requests)
    return [
        Generation(
            request.key,
            request.question_id,
            request.expert,
            text=draw["text"],
            reasoning=draw["reasoning"],
            finish_reason=draw["finish"],
            usage=Usage(
                calls=1,
                input_tokens=answer["read"],
                output_tokens=draw["written"],
                reasoning_tokens=draw["thought"],
                # Draws of one call share the prompt: it is read for the first of them.
                cached_tokens=answer["read"] if index else answer["cached"],
                seconds=part,
                money=price.money(answer["read"], draw["written"]) if price else 0.0,
            ),
            logprobs=None if draw["logprobs"] is None else tuple(draw["logprobs"]),
            layer=request.layer,
            sample=request.sample,
        )
        for index, (request, draw) in enumerate(zip(call.requests, answer["draws"], strict=True))
    ]


def failed(request: Request, kind: str, detail: str, *, retryable: bool = False) -> Generation:
    """A request that got no text."""
    return Generation(
        request.key,
        request.question_id,
        request.expert,
        text="",
        finish_reason="error",
        failure=Failure(kind, detail, retryable),
        layer=request.layer,
        sample=request.sample,
    )
