"""Requests as an OpenAI-compatible server hears them, and its replies as Generations.

Knows the bodies of both kinds of API, chat and completions, and what servers of many makes do
with them; does not know HTTP, nor what a reply cost (`openai_usage`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from orchestra.errors import InputError, unknown
from orchestra.records import Failure, Generation, Request, Sampling, Usage
from orchestra.roster import Expert, Price
from orchestra.runs.foreign import mended
from orchestra.workers.hosted.errors import finish, of_error, of_no_choices, withheld
from orchestra.workers.hosted.stream import called, logprobs_of, said_and_thought
from orchestra.workers.hosted.usage import counts, usages

Structured = Literal["json_schema", "structured_outputs", "guided_choice", "grammar", "regex"]
"""How servers are told that the answer is one of a few texts: OpenAI's way, vLLM's, that of older
vLLM, llama.cpp's, SGLang's."""

_STRUCTURED: tuple[Structured, ...] = (
    "json_schema",
    "structured_outputs",
    "guided_choice",
    "grammar",
    "regex",
)
_APIS = ("chat", "completions")
RESERVED = frozenset(
    {
        "best_of",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "prompt",
        "stream",
        "stream_options",
    }
)
"""Keys of a body that an option cannot set: what a call costs at most follows from them."""
_LONGEST, _PER_TOKEN = 1 << 18, 64
"""Characters of the longest draw that is read, and of each token that it may have where these are
more: above all that honest servers send."""
_TOOL = re.compile("(?i)tool|function")
"""Reasons to end for which a model calls a tool."""
_NOTHING = {"prompt_tokens": 0, "completion_tokens": 0}
"""What a prompt costs that a filter let not pass."""


@dataclass(frozen=True)
class Dialect:
    """What one server wants said otherwise than others."""

    api: str = "chat"
    """`chat` or `completions`."""
    max_tokens_field: str = "max_tokens"
    """The key of the token limit; `max_completion_tokens` for models that reason."""
    structured: str = "json_schema"
    """A key of `Structured`."""
    omit: tuple[str, ...] = ()
    """Keys that the server does not take, such as `temperature`."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """More keys for every body, in the server's own words."""

    @property
    def path(self) -> str:
        """Below the server's root."""
        return "/chat/completions" if self.api == "chat" else "/completions"

    @classmethod
    def of(cls, expert: Expert, *, reserved: frozenset[str] = RESERVED) -> Dialect:
        """The dialect that an expert's `engine:` asks for.

        Args:
            expert: a hosted expert.
            reserved: keys of a body that its options cannot set.

        Raises:
            InputError: an option is not what it may be.
        """
        given = dict(expert.engine)
        api, structured = given.pop("api", "chat"), given.pop("structured", "json_schema")
        place = f"expert `{expert.name}`: engine"
        if api not in _APIS:
            raise unknown("api", str(api), _APIS, place=place)
        if structured not in _STRUCTURED:
            raise unknown("way to force an answer", str(structured), _STRUCTURED, place=place)
        limit, omit = given.pop("max_tokens_field", "max_tokens"), given.pop("omit", "")
        if not isinstance(limit, str) or not isinstance(omit, str) or not limit:
            raise InputError("`max_tokens_field` and `omit` are text", place=place)
        if taken := reserved.intersection(given):
            names = ", ".join(f"`{name}`" for name in sorted(taken))
            hint = "the expert's `model`, `sampling` and `calls` say these"
            raise InputError(f"cannot set {names}: orchestra does", place=place, hint=hint)
        dropped = tuple(omit.replace(",", " ").split())
        if limit in dropped:
            hint = "`max_tokens_field` says what the server calls it"
            raise InputError(
                f"`omit` cannot drop `{limit}`: nothing else bounds what a call costs",
                place=place,
                hint=hint,
            )
        return cls(str(api), limit, str(structured), dropped, _parsed(given))


def body(
    expert: Expert, requests: Sequence[Request], dialect: Dialect, *, stream: bool
) -> dict[str, Any]:
    """The body of the call for these draws of one prompt."""
    first = requests[0]
    sampling = first.sampling
    said: dict[str, Any] = {"model": expert.adapter or expert.model}
    if dialect.api == "chat":
        said["messages"] = [{"role": m.role, "content": m.content} for m in first.messages]
    else:
        said["prompt"] = "\n\n".join(message.content for message in first.messages)
    said["temperature"] = sampling.temperature
    said[dialect.max_tokens_field] = sampling.max_tokens
    if sampling.top_p != 1:
        said["top_p"] = sampling.top_p
    if sampling.stop:
        said["stop"] = sampling.stop
    if sampling.seed is not None:
        said["seed"] = sampling.seed + first.sample
    if len(requests) > 1:
        said["n"] = len(requests)
    if sampling.logprobs:
        alternatives = {"logprobs": True, "top_logprobs": sampling.logprobs}
        said |= alternatives if dialect.api == "chat" else {"logprobs": sampling.logprobs}
    if sampling.choices:
        said |= _forced(sampling.choices, dialect.structured)
    if stream:
        said |= {"stream": True, "stream_options": {"include_usage": True}}
    for key in dialect.omit:
        said.pop(key, None)
    return {**said, **dialect.body}


def read_reply(
    reply: object,
    requests: Sequence[Request],
    dialect: Dialect,
    *,
    seconds: float,
    price: Price | None,
) -> list[Generation]:
    """The Generations that a reply holds, one for each request, in order.

    Draws of one call share the prompt: the first bears its tokens and the call itself. A draw
    that the reply lacks is a failure of kind `too_few`, for the next attempt.

    Args:
        reply: the body of a reply of status 200, as plain data.
        requests: what was asked.
        dialect: how it was asked.
        seconds: how long it took.
        price: what the expert charges.
    """
    told = counts(reply) if isinstance(reply, Mapping) else {}
    choices = _choices(reply)
    if choices is None and withheld(reply):
        choices, told = _choices(withheld_reply(len(requests))), told or _NOTHING
    if choices is None:  # what was charged for nothing is charged all the same
        cost = usages(told, requests, (), seconds=seconds, price=price)[0] if told else None
        return failed(requests, of_no_choices(reply), usage=cost)
    try:
        asked = choices[: len(requests)]
        draws = [_draw(choice, requests[0].sampling, dialect) for choice in asked]
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        odd = f"a choice of the reply is of an unknown shape: {type(error).__name__}"
        return failed(requests, Failure("malformed", odd, retryable=True))
    letters = [len(draw.text) + len(draw.reasoning) for draw in draws]
    costs = usages(told, requests, letters, seconds=seconds, price=price)
    found = [
        _generation(request, draw, cost)
        for request, draw, cost in zip(requests, draws, costs, strict=False)
    ]
    if len(found) < len(requests):
        lacking = Failure("too_few", f"{len(found)} draws of {len(requests)} came", retryable=True)
        found += failed(requests[len(found) :], lacking, usage=Usage())
    return found


def withheld_reply(draws: int) -> dict[str, Any]:
    """The reply of a server whose filter let the prompt not pass: an answer of its own."""
    choice = {"message": {}, "finish_reason": "content_filter"}
    return {"choices": [choice] * draws, "usage": _NOTHING}


def failed(
    requests: Sequence[Request], failure: Failure, *, usage: Usage | None = None
) -> list[Generation]:
    """The requests of a call that gave no text; the first bears what it cost, one call at least."""
    return [
        Generation(
            request.key,
            request.question_id,
            request.expert,
            text="",
            finish_reason="error",
            usage=(Usage(calls=1) if usage is None else usage) if index == 0 else Usage(),
            failure=failure,
            layer=request.layer,
            sample=request.sample,
        )
        for index, request in enumerate(requests)
    ]


@dataclass(frozen=True, slots=True)
class _Draw:
    """One choice of a reply."""

    text: str
    reasoning: str
    finish: str
    logprobs: tuple[float, ...] | None
    failure: Failure | None

    @classmethod
    def failed(cls, failure: Failure) -> _Draw:
        """One that is no answer."""
        return cls("", "", "error", None, failure)


def _generation(request: Request, draw: _Draw, usage: Usage) -> Generation:
    if draw.failure:
        return failed((request,), draw.failure, usage=usage)[0]
    return Generation(
        request.key,
        request.question_id,
        request.expert,
        text=draw.text,
        reasoning=draw.reasoning,
        finish_reason=draw.finish,
        usage=usage,
        logprobs=draw.logprobs,
        layer=request.layer,
        sample=request.sample,
    )


def _choices(reply: object) -> list[Any] | None:
    """The draws of a reply; None where it has none, or says that it is an error."""
    choices = reply.get("choices") if isinstance(reply, Mapping) else None
    if not isinstance(reply, Mapping) or not isinstance(choices, list) or reply.get("error"):
        return None
    return choices or None


def _draw(choice: Mapping[str, Any], sampling: Sampling, dialect: Dialect) -> _Draw:
    message: Mapping[str, Any] = choice.get("message") or {}
    if dialect.api == "chat":
        said, inner = said_and_thought(message.get("content"))
        text = said or _text(message.get("refusal"))
        thought = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
    else:
        text, inner = said_and_thought(choice.get("text"))
        thought = _text(choice.get("reasoning"))
        message = {}
    thought = thought or inner
    reason = choice.get("finish_reason")
    ended = finish(reason) if isinstance(reason, str) else "unknown"
    if ended == "error" or choice.get("error"):
        return _Draw.failed(of_error(choice.get("error") or reason))
    if len(text) + len(thought) > max(_LONGEST, _PER_TOKEN * sampling.max_tokens):
        told = f"the text is far longer than the {sampling.max_tokens:,} tokens that it may have"
        return _Draw.failed(Failure("malformed", told))
    if not text.strip() and (tools := _tools(message, reason)) is not None:
        return _Draw.failed(tools)
    if sampling.choices and dialect.structured == "json_schema":
        text = _unwrapped(text)
    asked = logprobs_of(choice.get("logprobs")) if sampling.logprobs else None
    logprobs = None if asked is None else tuple(asked)
    return _Draw(mended(text), mended(thought), ended or "unknown", logprobs, None)


def _tools(message: Mapping[str, Any], reason: object) -> Failure | None:
    """Why a draw without text is no answer, where it calls tools."""
    tools = called(message)
    if not tools and not (isinstance(reason, str) and _TOOL.search(reason)):
        return None
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(tools) if name)
    told = "the model called a tool in place of an answer, though it was offered none"
    return Failure("tool_call", f"{told}: {names}" if names else told)


def _text(content: object) -> str:
    return said_and_thought(content)[0]


def _forced(choices: Sequence[str], structured: str) -> dict[str, Any]:
    """The keys that leave a server no other texts than these."""
    if structured == "structured_outputs":
        return {"structured_outputs": {"choice": choices}}
    if structured == "guided_choice":
        return {"guided_choice": choices}
    if structured == "grammar":
        return {"grammar": "root ::= " + " | ".join(_quoted(choice) for choice in choices)}
    if structured == "regex":
        return {"regex": "(" + "|".join(_literal(choice) for choice in choices) + ")"}
    answer = {"type": "string", "enum": list(choices)}
    schema = {
        "type": "object",
        "properties": {"answer": answer},
        "required": ["answer"],
        "additionalProperties": False,
    }
    described = {"name": "answer", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": described}}


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # grammars have no halves of letters


def _literal(text: str) -> str:
    return "".join(f"\\{letter}" if letter in r"\.^$*+?{}[]|()" else letter for letter in text)


def _unwrapped(text: str) -> str:
    """The answer inside the object that was asked for; the text where there is none."""
    try:
        answer = orjson.loads(text)["answer"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return text
    return answer if isinstance(answer, str) else text


def _parsed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with objects and lists, which a roster holds as JSON text, as data."""
    found: dict[str, Any] = {}
    for key, value in options.items():
        found[key] = value
        if isinstance(value, str) and value[:1] in ("{", "["):
            try:
                found[key] = orjson.loads(value)
            except orjson.JSONDecodeError:
                found[key] = value
    return found
