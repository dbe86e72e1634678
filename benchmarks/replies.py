"""What the loopback provider says: the text, its tokens, and the JSON that carries them.

Knows the formats of chat completions and completions, whole and in parts; does not know HTTP,
faults or counts. What is said depends on the model's name, the messages and `Model` alone.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

Json = dict[str, Any]

THOUGHT = "Let me think about that for a moment."
TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")
OPTION = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]", re.MULTILINE)
GOLD = re.compile(r"\[gold:([A-Z])\]")


class Call(NamedTuple):
    """One request for text."""

    chat: bool
    """Whether it is a chat; else a completion."""
    model: str
    """The model's name."""
    prompt: str
    """The text of all messages."""
    digest: str
    """Its name in the counts."""
    asked: Json
    """The body."""


class Said(NamedTuple):
    """One of the `n` choices."""

    thought: tuple[str, ...]
    """Tokens of the reasoning."""
    tokens: tuple[str, ...]
    """Tokens of the text."""
    finish: str
    """`stop` or `length`."""
    letter: str
    """The option that it states."""

    @property
    def text(self) -> str:
        """The text."""
        return "".join(self.tokens)


def digest(model: str, messages: Any, *, seed: int | None = None, marker: str = "") -> str:
    """The name of a prompt in the counts; `messages` as sent, or the prompt of a completion.

    The marker is the `x-sample` header, or else the `user` of the request.
    """
    told = orjson.dumps([model, messages, seed, marker])
    return blake2b(told, digest_size=8).hexdigest()


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    told = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(told, "big") / 2**64


def read_call(chat: bool, asked: Json, sample: str) -> Call:
    sent = asked["messages"] if chat else asked["prompt"]
    parts = [each.get("content") or "" for each in sent] if chat else [sent]
    texts = [part if isinstance(part, str) else str(orjson.dumps(part), "utf-8") for part in parts]
    model: str = asked["model"]
    marker = sample or asked.get("user") or ""
    name = digest(model, sent, seed=asked.get("seed"), marker=marker)
    return Call(chat, model, "\n".join(texts), name, asked)


@lru_cache(maxsize=256)
def tokens_of(text: str) -> tuple[str, ...]:
    return tuple(TOKEN.findall(text))


@dataclass(frozen=True)
class Model:
    """What is said; the fields are those of the provider's `Settings`."""

    knows: float | dict[str, float] | None = None
    """Chance to say the planted answer."""
    varies: float = 0.0
    """Chance that a draw is another one."""
    words: int = 0
    """Words before the answer."""

    def says(self, call: Call, place: int) -> Said:
        """The choice at one place among the `n`."""
        letter = self.letter(call, place)
        text = self.shaped(call, letter)
        if text is None:
            text = f"The answer is ({letter})."
            if self.words:
                text = " ".join(f"word{n}" for n in range(self.words)) + "\n" + text
        stops = call.asked.get("stop") or ()
        for stop in (stops,) if isinstance(stops, str) else stops:
            text = text.split(stop, 1)[0]
        tokens = tokens_of(text)
        thought = tokens_of(THOUGHT) if call.chat and "reason" in call.model else ()
        most = call.asked.get("max_completion_tokens") or call.asked.get("max_tokens")
        if most is None or most >= len(thought) + len(tokens):
            return Said(thought, tokens, "stop", letter)
        left = max(0, most - len(thought))
        return Said(thought[:most], tokens[:left], "length", letter)

    def letter(self, call: Call, place: int) -> str:
        """The option that is stated."""
        letters: list[str] = sorted(set(OPTION.findall(call.prompt))) or list("ABCD")
        if self.varies and chance("varies", call.digest, place) < self.varies:
            return letters[int(chance("other", call.digest, place) * len(letters))]
        drawn = blake2b(f"{call.model}\n{call.prompt}".encode(), digest_size=8).digest()
        pick = int.from_bytes(drawn, "big")
        gold = None if self.knows is None else GOLD.search(call.prompt)
        if gold is None:
            return letters[pick % len(letters)]
        knows = self.knows.get(call.model, 0.0) if isinstance(self.knows, dict) else self.knows
        if chance("knows", call.model, call.prompt) < (knows or 0.0):
            return str(gold[1])
        wrong = [each for each in letters if each != gold[1]] or [gold[1]]
        return wrong[pick % len(wrong)]

    def shaped(self, call: Call, letter: str) -> str | None:
        """Text of the shape that is asked for, or None if none is."""
        form = call.asked.get("response_format") or {}
        if form.get("type") == "json_schema":
            return str(orjson.dumps(filled(form["json_schema"]["schema"], letter)), "utf-8")
        if form.get("type") == "json_object":
            return str(orjson.dumps({"answer": letter}), "utf-8")
        outputs = call.asked.get("structured_outputs") or {}
        choices = outputs.get("choice") or call.asked.get("guided_choice")
        return None if choices is None else str(chosen(choices, letter))


def filled(schema: Json, letter: str) -> Any:
    """A value that the schema allows."""
    if "enum" in schema:
        return chosen(schema["enum"], letter)
    if "const" in schema:
        return schema["const"]
    match schema.get("type", "object"):
        case "object":
            return {name: filled(each, letter) for name, each in schema["properties"].items()}
        case "array":
            return [filled(schema["items"], letter)]
        case "integer" | "number":
            return schema.get("minimum", ord(letter) - ord("A"))
        case "boolean":
            return True
    return f"The answer is ({letter})."


def chosen(allowed: list[Any], letter: str) -> Any:
    return letter if letter in allowed else allowed[ord(letter) % len(allowed)]


def usage_of(call: Call, said: list[Said], cached: float) -> Json:
    prompt = max(1, (len(call.prompt) + 3) // 4)
    thought = sum(len(each.thought) for each in said)
    completion = thought + sum(len(each.tokens) for each in said)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": int(prompt * cached)},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def likely(said: Said, token: str, top: int) -> list[tuple[str, float]]:
    """The likeliest tokens of one place and their log-probabilities, the said one first."""
    if token != said.letter:
        found = [(token, -0.01)] + [(f" other{n}", -5.0 - n) for n in range(top)]
    else:
        rest = [each for each in "ABCDEFGHIJ" if each != token][:9]
        found = [(token, math.log(0.7))] + [
            (each, math.log(0.3 / 2 ** (n + 1))) for n, each in enumerate(rest)
        ]
    return found[: max(top, 1)]


def logprobs_of(call: Call, said: Said, tokens: tuple[str, ...]) -> Json | None:
    """Log-probabilities of some of the tokens, in the form of the endpoint."""
    asked = call.asked.get("logprobs")
    if asked is None or asked is False:
        return None
    top = call.asked.get("top_logprobs") or 0 if call.chat else int(asked)
    places = [likely(said, each, top) for each in tokens]
    if not call.chat:
        ends = [sum(map(len, tokens[:n])) for n in range(len(tokens))]
        return {
            "tokens": list(tokens),
            "token_logprobs": [place[0][1] for place in places],
            "top_logprobs": [dict(place[:top]) for place in places] if top else None,
            "text_offset": ends,
        }

    def entry(token: str, value: float) -> Json:
        return {"token": token, "logprob": value, "bytes": list(token.encode())}

    content = [
        {**entry(*place[0]), "top_logprobs": [entry(*each) for each in place[:top]]}
        for place in places
    ]
    return {"content": content, "refusal": None}


def frame(call: Call, number: int, choices: list[Json], *, part: bool = False) -> Json:
    kind = "chat.completion" if call.chat else "text_completion"
    return {
        "id": f"{'chatcmpl' if call.chat else 'cmpl'}-{number}",
        "object": f"{kind}.chunk" if part and call.chat else kind,
        "created": int(time.time()),
        "model": call.model,
        "choices": choices,
    }


def choice_of(call: Call, said: Said, place: int, thoughts: str) -> Json:
    told: Json = {"index": place, "finish_reason": said.finish}
    told["logprobs"] = logprobs_of(call, said, said.tokens)
    if not call.chat:
        return {**told, "text": said.text}
    message: Json = {"role": "assistant", "content": said.text, "refusal": None}
    if said.thought:
        message[thoughts] = "".join(said.thought)
    return {**told, "message": message}


def deltas(call: Call, said: Said, place: int, thoughts: str) -> Iterator[Json]:
    """The choices of one draw's events, a token in each."""

    def choice(token: str, name: str, finish: str | None = None) -> Json:
        told: Json = {"index": place, "finish_reason": finish, "logprobs": None}
        if name in ("content", "text") and token:
            told["logprobs"] = logprobs_of(call, said, (token,))
        if call.chat:
            return {**told, "delta": {name: token} if token else {}}
        return {**told, "text": token}

    if call.chat:
        start = {"role": "assistant", "content": ""}
        yield {"index": place, "finish_reason": None, "logprobs": None, "delta": start}
    for token in said.thought:
        yield choice(token, thoughts)
    for token in said.tokens:
        yield choice(token, "content" if call.chat else "text")
    yield choice("", "text", said.finish)


class Answer(NamedTuple):
    """All that is answered to one request."""

    call: Call
    """What was asked."""
    number: int
    """Which request it is."""
    said: list[Said]
    """The choices."""
    usage: Json
    """What it costs."""
    thoughts: str
    """The field that reasoning goes into."""

    def whole(self) -> Json:
        """The body of a plain answer."""
        places = enumerate(self.said)
        choices = [choice_of(self.call, each, place, self.thoughts) for place, each in places]
        return {**frame(self.call, self.number, choices), "usage": self.usage}

    def events(self) -> list[bytes]:
        """The events of a stream."""
        options = self.call.asked.get("stream_options") or {}
        with_usage = options.get("include_usage")
        none: Json = {"usage": None} if with_usage else {}
        found = [
            event({**frame(self.call, self.number, [choice], part=True), **none})
            for place, each in enumerate(self.said)
            for choice in deltas(self.call, each, place, self.thoughts)
        ]
        if with_usage:
            last = frame(self.call, self.number, [], part=True)
            found.append(event({**last, "usage": self.usage}))
        return [*found, b"data: [DONE]\n\n"]

    def nothing(self) -> Json:
        """An answer without choices."""
        return frame(self.call, self.number, [], part=bool(self.call.asked.get("stream")))


def event(told: Json) -> bytes:
    return b"data: " + orjson.dumps(told) + b"\n\n"
