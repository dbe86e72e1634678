"""A reply that comes piece by piece, put together as if it had come whole.

Knows server-sent events and the pieces that OpenAI-compatible servers send; does not know what
the reply means (`openai_wire` does) nor where the bytes come from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

_THINKS = ("thinking", "reasoning")


def parsed(raw: bytes) -> object:
    """JSON as plain data, also where it holds `NaN`, `-Infinity`, half letters or a wrong byte.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        strict: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            lenient: object = json.loads(raw.decode("utf-8-sig", "replace"))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        return lenient
    return strict


def said_and_thought(content: object) -> tuple[str, str]:
    """A text that may come as a list of parts, and what parts that think hold."""
    if isinstance(content, str):
        return content, ""
    if not isinstance(content, list):
        return "", ""
    said, thought = [], []
    for part in content:
        if isinstance(part, Mapping) and part.get("type") in _THINKS:
            inner = part.get("thinking") or part.get("text")
            parts = inner if isinstance(inner, list) else [inner]
            thought += [_text(each) for each in parts]
        else:
            said.append(_text(part))
    return "".join(said), "".join(thought)


def mended(text: str) -> str:
    """The text with letters that were cut in two whole again; lone halves become U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text(part: object) -> str:
    text = part.get("text") if isinstance(part, Mapping) else part
    return text if isinstance(text, str) else ""


_TEXTS = ("reasoning_content", "reasoning", "refusal")
_DATA = b"data:"
_ERROR = b"error:"  # a field that llama.cpp made up
_EVENT = b"event:"
_DONE = (b"[DONE]", b'"[DONE]"')


class Assembly:
    """The pieces of one reply."""

    def __init__(self) -> None:
        self._rest = b""
        self._choices: dict[int, _Choice] = {}
        self._usage: Mapping[str, Any] | None = None
        self._error: object = None
        self._fails = False
        self._done = False

    def feed(self, data: bytes) -> None:
        """Take in the next bytes, wherever they were cut.

        Raises:
            ValueError: an event is not what such servers send.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.strip())

    def end(self) -> None:
        """Nothing comes any more: the last line may lack its end. Half an event is none."""
        rest, self._rest = self._rest, b""
        try:
            self._line(rest.strip())
        except ValueError:
            return

    @property
    def done(self) -> bool:
        """Whether the server said that nothing follows."""
        return self._done

    @property
    def whole(self) -> bool:
        """Whether the reply came to its end."""
        finished = (choice.finish for choice in self._choices.values())
        return self._error is not None or self._done or bool(self._choices) and all(finished)

    def reply(self) -> dict[str, Any]:
        """What a server that does not stream would have sent."""
        if self._error is not None:
            return {"error": self._error}
        choices = [self._choices[index].told() for index in sorted(self._choices)]
        return {"choices": choices, **({"usage": self._usage} if self._usage else {})}

    def _line(self, line: bytes) -> None:
        if line.startswith(_DATA):
            self._event(line[len(_DATA) :].strip())
        elif line.startswith(_ERROR):
            self._error = parsed(line[len(_ERROR) :].strip()) or "no reason given"
        elif line.startswith(_EVENT):
            self._fails = line[len(_EVENT) :].strip() == b"error"
        elif not line:
            self._fails = False
        # comments say nothing

    def _event(self, told: bytes) -> None:
        if told in _DONE:
            self._done = True
            return
        event = parsed(told) if told else None
        if not isinstance(event, dict):  # some send `null`, or nothing, to keep the line open
            return
        if event.get("error") or event.get("object") == "error" or self._fails:
            self._error = event.get("error") or event
        if isinstance(usage := event.get("usage"), dict) and usage:
            self._usage = usage
        choices = event.get("choices")
        for piece in choices if isinstance(choices, list) else ():
            if isinstance(piece, dict):
                self._add(piece)

    def _add(self, piece: Mapping[str, Any]) -> None:
        index = piece.get("index")
        choice = self._choices.setdefault(index if isinstance(index, int) else 0, _Choice())
        choice.add(piece)
        if isinstance(usage := piece.get("usage"), dict) and usage:
            self._usage = usage


class _Choice:
    """One draw as it grows; texts are kept in pieces, as long ones would be copied too often."""

    def __init__(self) -> None:
        self.finish: object = None
        self._texts: dict[str, list[str]] = {}
        self._logprobs: dict[str, list[Any]] | None = None
        self._error: object = None

    def add(self, piece: Mapping[str, Any]) -> None:
        """Take in a piece, as far as it makes sense."""
        delta = piece.get("delta")
        if delta is None and not self._texts:  # a stream of one piece
            delta = piece.get("message")
        if isinstance(delta, dict):
            said, thought = said_and_thought(delta.get("content"))
            self._say("content", said)
            self._say("reasoning_content", thought)
            for key in _TEXTS:
                self._say(key, delta.get(key))
        self._say("text", piece.get("text"))
        self.finish = piece.get("finish_reason") or self.finish
        self._error = piece.get("error") or self._error
        if isinstance(told := piece.get("logprobs"), dict):
            held = self._logprobs = self._logprobs or {}
            for key, values in told.items():
                if isinstance(values, list):
                    held.setdefault(key, []).extend(values)

    def told(self) -> dict[str, Any]:
        """The choice as it would have come whole."""
        texts = {key: "".join(pieces) for key, pieces in self._texts.items()}
        return {
            "text": texts.pop("text", ""),
            "message": texts,
            "finish_reason": self.finish,
            "logprobs": self._logprobs,
            **({"error": self._error} if self._error else {}),
        }

    def _say(self, key: str, said: object) -> None:
        if isinstance(said, str) and said:
            self._texts.setdefault(key, []).append(said)
