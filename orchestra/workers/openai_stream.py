"""A reply that comes piece by piece, put together as if it had come whole.

Knows server-sent events and the pieces that OpenAI-compatible servers send; does not know what
the reply means (`openai_wire` does) nor where the bytes come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
_MARK = b"data:"
_DONE = b"[DONE]"


class Assembly:
    """The pieces of one reply."""

    def __init__(self) -> None:
        self._rest = b""
        self._choices: dict[int, dict[str, Any]] = {}
        self._usage: Mapping[str, Any] | None = None
        self._error: object = None
        self._done = False

    def feed(self, data: bytes) -> None:
        """Take in the next bytes, wherever they were cut.

        Raises:
            ValueError: an event is not what such servers send.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.strip())

    @property
    def whole(self) -> bool:
        """Whether the reply came to its end."""
        finished = (choice["finish_reason"] for choice in self._choices.values())
        return self._error is not None or self._done or bool(self._choices) and all(finished)

    def reply(self) -> dict[str, Any]:
        """What a server that does not stream would have sent."""
        if self._error is not None:
            return {"error": self._error}
        choices = [self._choices[index] for index in sorted(self._choices)]
        return {"choices": choices, **({"usage": self._usage} if self._usage else {})}

    def _line(self, line: bytes) -> None:
        if not line.startswith(_MARK):  # comments, event names and blank lines say nothing
            return
        told = line[len(_MARK) :].strip()
        if told == _DONE:
            self._done = True
            return
        event = orjson.loads(told)
        if not isinstance(event, dict):
            raise ValueError("an event is not an object")
        if event.get("error"):
            self._error = event["error"]
        if isinstance(event.get("usage"), dict):
            self._usage = event["usage"]
        for piece in event.get("choices") or ():
            self._add(piece)

    def _add(self, piece: Mapping[str, Any]) -> None:
        choice = self._choices.setdefault(
            int(piece.get("index") or 0),
            {"message": {}, "text": "", "finish_reason": None, "logprobs": None},
        )
        message, delta = choice["message"], piece.get("delta") or {}
        for key in _TEXTS:
            if isinstance(said := delta.get(key), str):
                message[key] = message.get(key, "") + said
        if isinstance(said := piece.get("text"), str):
            choice["text"] += said
        choice["finish_reason"] = piece.get("finish_reason") or choice["finish_reason"]
        if isinstance(told := piece.get("logprobs"), dict):
            held = choice["logprobs"] = choice["logprobs"] or {}
            for key, values in told.items():
                if isinstance(values, list):
                    held[key] = held.get(key, []) + values
