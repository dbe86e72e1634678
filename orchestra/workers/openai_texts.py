"""JSON and texts as servers of many makes really send them.

Knows JSON with numbers that are none, half letters, and texts that come as lists of parts; does
not know what a text is of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

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
