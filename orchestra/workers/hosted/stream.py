"""A reply that comes piece by piece, put together as if it had come whole.

Knows server-sent events (by the standard: WHATWG's, 9.2), and the pieces that OpenAI-compatible
servers send in them or without them; does not know what the reply means (`wire` does) nor where
the bytes come from.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from orchestra.errors import OrchestraError
from orchestra.workers.hosted.errors import finish
from orchestra.workers.hosted.usage import counts

_THINKS = ("thinking", "reasoning")
_BOM = b"\xef\xbb\xbf"
_LENIENT = 8 << 20
"""Bytes of JSON, at most, that is not quite JSON."""
_COSTLY = 128 << 20
"""Bytes, at most, that JSON may take as plain data."""
_FEW = 1 << 16
"""Bytes of JSON that cannot take much."""


class TooLarge(OrchestraError, ValueError):
    """What would take too much memory; nor would it another time."""


def parsed(raw: bytes | bytearray) -> object:
    """JSON as plain data, also where it holds `NaN`, `-Infinity`, half letters or a wrong byte.

    Raises:
        ValueError: it is no JSON.
        TooLarge: it would take too much memory.
    """
    if len(raw) > _FEW and _cost(raw) > _COSTLY:
        raise TooLarge("it has too many parts")
    try:
        strict: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        if len(raw) > _LENIENT:
            raise
        try:
            lenient: object = json.loads(raw.decode("utf-8-sig", "replace"))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        return lenient
    return strict


def _cost(raw: bytes | bytearray) -> int:
    """Bytes that JSON takes as plain data, at most: its parts, and letters of four bytes."""
    wide = 1 if raw.isascii() and b"\\u" not in raw else 4
    return wide * len(raw) + 64 * (raw.count(b",") + raw.count(b"[")) + 200 * raw.count(b"{")


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


def called(message: Mapping[str, Any]) -> list[str]:
    """The names of the tools that a message calls, at most eight; an empty one if it has none."""
    calls = message.get("tool_calls")
    found = list(calls[:_TOOLS]) if isinstance(calls, list) else []
    found.append(message.get("function_call"))
    parts = message.get("content")
    if isinstance(parts, list):
        found += [p for p in parts if isinstance(p, Mapping) and p.get("type") == "tool_use"]
    names = []
    for each in found:
        if isinstance(each, Mapping):
            function = each.get("function")
            names.append((function if isinstance(function, Mapping) else each).get("name"))
    told = [name[:100] for name in names if isinstance(name, str) and name][:_TOOLS]
    return told or [""] * bool(names)


def logprobs_of(told: object) -> list[float] | None:
    """The log-probability of every token that has one, in the shape of either API."""
    if not isinstance(told, Mapping):
        return None
    values = told.get("token_logprobs")
    if isinstance(content := told.get("content"), list):
        values = [token.get("logprob") for token in content if isinstance(token, Mapping)]
    if not isinstance(values, list):
        return None
    return [float(each) for each in values if isinstance(each, int | float)]


def _text(part: object) -> str:
    text = part.get("text") if isinstance(part, Mapping) else part
    return text if isinstance(text, str) else ""


_TEXTS = frozenset({"reasoning_content", "reasoning", "refusal"})
_CALLS = frozenset({"tool_calls", "function_call"})
_TOOLS = 8
_DATA = b"data:"
_DONE = (b"[DONE]", b'"[DONE]"')
_JSON = (b"{", b"[")
_DRAWS = 128
"""Draws of one reply, at most."""
_EVENT = 16 << 20
"""Bytes of one event, at most."""
_TOO_LONG = f"an event is longer than {_EVENT >> 20} MiB"
_OVERHEAD, _PARSED = 1024, 24
"""Bytes that a draw takes beside its texts, and that a byte of JSON takes as plain data."""


class Assembly:
    """The pieces of one reply."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._after_return = False
        self._came = self._begun = False
        self._fails = False
        self._event: object = None  # complete, but its empty line has not come
        self._lines = bytearray()  # of an event that takes several
        self._bare: bytearray | None = None  # JSON outside events
        self._odd = b""
        self._choices: dict[int, _Choice] = {}
        self._usage: Mapping[str, int] = {}
        self._other: object = None
        self._error: dict[str, Any] | None = None
        self._done = False
        self._size = 0  # of the last event
        self._kept = 0

    def feed(self, data: bytes) -> None:
        """Take in the next bytes, wherever they were cut.

        Raises:
            ValueError: an event is not what such servers send.
            TooLarge: it is far larger than any that they send.
        """
        if not data:
            return
        self._came = True
        if self._after_return and data.startswith(b"\n"):
            data = data[1:]
        self._after_return = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, last = data.split(b"\n")
        if lines and self._rest:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        for line in lines:
            self._line(line)
        if last:
            self._rest += last
            if len(self._rest) > _EVENT:
                raise TooLarge(_TOO_LONG)

    def end(self) -> None:
        """Nothing comes any more: the last event may lack its end. Half an event is none."""
        half = bool(self._rest)
        try:
            self._line(bytes(self._rest))
            self._line(b"")
        except ValueError:
            self._odd = b"" if half else self._odd
        self._rest.clear()
        bare, self._bare = self._bare, None
        if bare is not None:
            self._end_of_bare(bytes(bare))

    @property
    def done(self) -> bool:
        """Whether the server said that nothing follows, or that it failed."""
        return self._done or self._error is not None

    @property
    def whole(self) -> bool:
        """Whether the reply came to its end."""
        if self._choices and not self._done and self._error is None:
            return all(choice.ended for choice in self._choices.values())
        return self.done or self._other is not None

    @property
    def began(self) -> bool:
        """Whether anything came."""
        return self._came

    @property
    def odd(self) -> bytes:
        """The start of what came in place of events; nothing where events came."""
        return b"" if self._choices or self.whole else self._odd

    @property
    def held(self) -> int:
        """About how many bytes it holds."""
        waiting = len(self._rest) + len(self._lines) + len(self._bare or b"")
        return waiting + self._kept + _OVERHEAD * len(self._choices)

    def reply(self) -> object:
        """What a server that does not stream would have sent."""
        if self._error is not None:
            return self._error
        if not self._choices and self._other is not None:
            return self._other
        choices = [self._choices[index].told() for index in sorted(self._choices)]
        return {"choices": choices, **({"usage": self._usage} if self._usage else {})}

    def _line(self, line: bytes) -> None:
        if not self._begun:
            line, self._begun = line.removeprefix(_BOM), True
        if line.startswith(_DATA):
            self._data(line[len(_DATA) :])
        elif not line:
            if self._event is not None or self._lines:
                self._dispatch()
            self._fails = False
        elif line[:1] != b":":  # or else a comment
            self._field(line)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"event":
            self._fails = value.strip() == b"error"
        elif name == b"error":  # a field that llama.cpp made up
            self._error = {"error": parsed(value.strip()) or "no reason given"}
        elif self._bare is not None:
            self._bare += line + b"\n"
            if len(self._bare) > _EVENT and (self._choices or self._done):
                raise TooLarge(_TOO_LONG)
        elif line.lstrip().startswith(_JSON):
            self._bare = bytearray(line + b"\n")
        elif name not in (b"data", b"id", b"retry"):
            self._odd = self._odd or line[:_FEW]

    def _data(self, value: bytes) -> None:
        """A line of an event. One that is whole in itself waits for nothing but its empty line."""
        if self._event is not None:  # some send no empty lines
            self._dispatch()
        told = value.strip()
        if self._lines:
            self._lines += b"\n" + value
            if len(self._lines) > _EVENT:
                raise TooLarge(_TOO_LONG)
        elif told in _DONE:
            self._done = True
        elif told:
            self._size = len(told)
            try:
                self._event = parsed(told)
            except ValueError:
                self._lines += value

    def _dispatch(self) -> None:
        event, self._event = self._event, None
        if self._lines:
            event = self._joined()
        # Some send `null` to keep the line open.
        for each in event if isinstance(event, list) else (event,):
            if isinstance(each, dict):
                self._take(each)

    def _joined(self) -> object:
        """The event of several lines."""
        lines, self._lines = self._lines, bytearray()
        self._size = len(lines)
        try:
            return parsed(lines)
        except ValueError:
            self._odd = self._odd or bytes(lines[:_FEW])
            raise

    def _take(self, event: dict[str, Any]) -> None:
        if event.get("error") or event.get("object") == "error" or self._fails:
            told = {key: value for key, value in event.items() if key != "choices"}
            self._error = told if event.get("error") else {"error": told}
        choices = event.get("choices")
        last = False
        if isinstance(choices, list):
            for piece in choices:
                if isinstance(piece, dict):
                    self._add(piece)
                    last = bool(piece.get("finish_reason"))
        if not choices and not self._choices:
            self._other = event
            self._kept += _PARSED * self._size
        if last or not choices or event.get("usage"):
            self._usage = counts(event) or self._usage

    def _add(self, piece: Mapping[str, Any]) -> None:
        index = piece.get("index")
        index = index if isinstance(index, int) else 0
        choice = self._choices.get(index)
        if choice is None:
            if len(self._choices) >= _DRAWS:
                raise TooLarge(f"there are more than {_DRAWS} draws")
            choice = self._choices[index] = _Choice()
        self._kept += choice.add(piece)
        if piece.get("error"):
            self._kept += _PARSED * self._size
        if usage := piece.get("usage"):
            self._usage = counts({"usage": usage}) or self._usage

    def _end_of_bare(self, bare: bytes) -> None:
        """What came without any frame: one reply, or one event in each line."""
        try:
            events = [parsed(bare)]
        except ValueError:
            try:
                events = [parsed(line) for line in bare.splitlines() if line.strip()]
            except ValueError:
                self._odd = self._odd or bare[:_FEW]
                return
        pieces = self._choices or self._done or len(events) > 1 or b'"delta"' in bare
        if pieces:
            for event in events:
                if isinstance(event, dict):
                    self._take(event)
        else:
            self._other = events[0]


def plain(raw: bytes) -> object:
    """A body as plain data, framed or not; as text where it is no JSON."""
    try:
        return parsed(raw)
    except ValueError:
        assembly = Assembly()
    with suppress(ValueError):
        assembly.feed(raw)
        assembly.end()
    return assembly.reply() if assembly.whole else raw.decode("utf-8", "replace")


class _Choice:
    """One draw as it grows; texts are kept as bytes, which take least."""

    def __init__(self) -> None:
        self.ended = False
        self._finish: object = None
        self._texts: dict[str, bytearray] = {}
        self._logprobs: array[float] | None = None
        self._tools: list[str] = []
        self._error: object = None

    def add(self, piece: Mapping[str, Any]) -> int:
        """Take in a piece, as far as it makes sense; about how many bytes that takes."""
        delta, size = piece.get("delta"), 0
        if delta is None and not self._texts:  # a stream of one piece
            delta = piece.get("message")
        if isinstance(delta, dict):
            size = self._heard(delta)
        if text := piece.get("text"):
            size += self._say("text", text)
        if told := piece.get("finish_reason"):
            self._finished(told)
        if error := piece.get("error"):
            self._error = self._error or error
        if told := piece.get("logprobs"):
            size += self._log(told)
        return size

    def _heard(self, delta: Mapping[str, Any]) -> int:
        content, size = delta.get("content"), 0
        if isinstance(content, str):
            size = self._say("content", content)
        elif content:
            said, thought = said_and_thought(content)
            size = self._say("content", said) + self._say("reasoning_content", thought)
        for key in _TEXTS.intersection(delta):
            size += self._say(key, delta[key])
        if len(self._tools) < _TOOLS and (_CALLS.intersection(delta) or isinstance(content, list)):
            self._tools += [name for name in called(delta) if name or not self._tools]
        return size

    def _log(self, told: object) -> int:
        values = logprobs_of(told)
        if values is None:
            return 0
        if self._logprobs is None:
            self._logprobs = array("d")
        self._logprobs.extend(values)
        return 8 * len(values)

    def told(self) -> dict[str, Any]:
        """The choice as it would have come whole."""
        texts: dict[str, Any] = {
            key: said.decode("utf-8", "surrogatepass") for key, said in self._texts.items()
        }
        text = texts.pop("text", "")
        if self._tools:
            texts["tool_calls"] = [{"name": name} for name in self._tools]
        values = self._logprobs
        return {
            "text": text,
            "message": texts,
            "finish_reason": self._finish,
            "logprobs": None if values is None else {"token_logprobs": values.tolist()},
            **({"error": self._error} if self._error else {}),
        }

    def _finished(self, told: object) -> None:
        """A reason that nobody knows is kept, but may be none: only a known one is an end."""
        how = finish(told) if isinstance(told, str) else "unknown"
        if how:
            self._finish = told
            self.ended = how != "unknown"

    def _say(self, key: str, said: object) -> int:
        if not isinstance(said, str) or not said:
            return 0
        raw = said.encode("utf-8", "surrogatepass")
        held = self._texts.get(key)
        if held is None:
            self._texts[key] = bytearray(raw)
        else:
            held += raw
        return len(raw)
