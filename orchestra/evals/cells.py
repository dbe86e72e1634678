"""What single cells hold besides plain text: JSON or Python data, chats, passages, worked answers.

Knows no column names and no other cells.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from orchestra.runs.foreign import loads, mended

_DEPTH = 20
_TOKEN = re.compile(
    r"\s*(?:(?P<string>[bu]?(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"))"
    r"|(?P<array>array\(|np\.array\()|(?P<dtype>,\s*dtype=[\w.<>'\"]+\s*\)|\))"
    r"|(?P<mark>[\[\](){}:,])|(?P<word>[^\s\[\](){}:,'\"]+))",
    re.DOTALL,
)
_WORDS = {"None": None, "null": None, "nan": None, "NaN": None}
_FLAGS = {"True": True, "true": True, "False": False, "false": False}
_VALUES = (
    *("text", "value", "answer", "ground_truth", "groundtruth", "final_answer", "spans", "label"),
    *("answers", "aliases"),
)
_PASSAGES = (
    "contexts",
    "text",
    "texts",
    "sentences",
    "paragraphs",
    "context",
    "content",
    "passage",
)
_STATED = re.compile(
    r"(?:^|\n|[.!?]\s)[ \t]*(?:so |thus,? |hence,? |therefore,? )?(?:the )?"
    r"(?:final |correct )?answer(?:\s+is\s*:?|\s*:)\s*(\S[^\n]*?)\s*$",
    re.IGNORECASE,
)


def scalar(cell: object) -> str | None:
    """A cell's value as text; None where it is no single value."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float | Decimal) and cell == cell:
        return f"{cell:f}" if isinstance(cell, Decimal) else str(cell)
    return None


def structured(text: str) -> Any:
    """The list or mapping that a text spells, in JSON, in Python or as numpy prints it; or None."""
    text = text.strip()
    if not (text[:1] in ("[", "{", "(") and text[-1:] in ("]", "}", ")")):
        return None
    try:
        return loads(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        pass
    try:
        value, end = _value(_tokens(text), 0, _DEPTH)
    except (ValueError, SyntaxError, IndexError):
        return None
    return mended(value) if end and isinstance(value, list | dict) else None


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError("no literal")
        tokens.append((found.lastgroup or "", found[0].strip()))
        at = found.end()
    return [*tokens, ("end", "")]


def _value(tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[Any, bool]:
    """The whole value, and whether nothing follows it."""
    value, at = _part(tokens, at, depth)
    return value, tokens[at][0] == "end"


def _part(tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[Any, int]:
    kind, text = tokens[at]
    if not depth:
        raise ValueError("too deep")
    if kind == "string":
        return ast.literal_eval(text.removeprefix("b")), at + 1
    if kind == "word":
        return _word(text), at + 1
    if kind == "array":
        value, at = _part(tokens, at + 1, depth - 1)
        if tokens[at][0] != "dtype":
            raise ValueError("an array is not closed")
        return value, at + 1
    if text in ("[", "("):
        return _list(tokens, at + 1, depth - 1)
    if text == "{":
        return _dict(tokens, at + 1, depth - 1)
    raise ValueError("no literal")


def _word(text: str) -> Any:
    if text in _WORDS or text in _FLAGS:
        return _FLAGS.get(text)
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else float(text)


def _list(tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    while tokens[at][1] not in ("]", ")"):
        value, at = _part(tokens, at, depth)
        values.append(value)
        at += tokens[at][1] == ","  # numpy prints none
    return values, at + 1


def _dict(tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[dict[Any, Any], int]:
    values: dict[Any, Any] = {}
    while tokens[at][1] != "}":
        key, at = _part(tokens, at, depth)
        if tokens[at][1] != ":" or isinstance(key, list | dict):
            raise ValueError("no mapping")
        values[key], at = _part(tokens, at + 1, depth)
        at += tokens[at][1] == ","
    return values, at + 1


def passage(cell: object) -> str | None:
    """The text of a passage that may be written in parts; None where it is none."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, Mapping):
        return next((passage(cell[key]) for key in _PASSAGES if key in cell), None)
    if isinstance(cell, list):
        parts = [passage(each) for each in cell]
        return None if None in parts else "\n\n".join(part for part in parts if part)
    return None


class Chat(NamedTuple):
    """A question that is asked at the end of a conversation."""

    question: str
    context: str
    """Earlier turns of user and assistant, if any."""
    answer: str | None
    """The reply to the last question, if the conversation has one."""
    system: bool
    """Whether there is a system message, which is no part of the question."""


def chat(cell: object) -> Chat | None:
    """The question that a list of messages ends with; None where the cell holds no such list."""
    if not isinstance(cell, list) or not all(isinstance(each, Mapping) for each in cell):
        return None
    turns = [_turn(each) for each in cell]
    said = [(role, text) for role, text in turns if role in ("user", "assistant")]
    if not said or len(said) + sum(role == "system" for role, _ in turns) < len(turns):
        return None
    answer = said.pop()[1] if said[-1][0] == "assistant" else None
    if not said or said[-1][0] != "user":
        return None
    *earlier, (_, question) = said
    context = "\n\n".join(f"{role}: {text}" for role, text in earlier)
    return Chat(question, context, answer, len(turns) > len(said) + (answer is not None))


_ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "ai", "chatgpt"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}


def _turn(message: Mapping[str, object]) -> tuple[str, str]:
    role = message.get("role", message.get("from"))
    text = message.get("content", message.get("value", message.get("text")))
    if isinstance(text, list):
        text = "".join(str(part.get("text", "")) for part in text if isinstance(part, Mapping))
    known = _ROLES.get(role.casefold(), "") if isinstance(role, str) else ""
    return (known, text) if isinstance(text, str) else ("", "")


# Gold answers


def gold_value(cell: object) -> tuple[object, bool]:
    """The one value that a gold cell holds, and whether others were left out.

    Takes the first of several accepted answers. A cell that is not understood comes back as it is.
    """
    if isinstance(cell, Mapping):
        key = next((key for key in _VALUES if cell.get(key) not in (None, [], "")), None)
        value, several = (cell, False) if key is None else gold_value(cell[key])
        return value, several or (key == "value" and len(cell.get("aliases") or ()) > 1)
    if isinstance(cell, list):
        values = [each for each in cell if each is not None]
        if not values:
            return None, False
        first, several = gold_value(values[0])
        return first, several or any(each != values[0] for each in values[1:])
    if isinstance(cell, float) and math.isnan(cell):
        return None, False
    return (scalar(cell) if isinstance(cell, Decimal) else cell), False


def worked(text: str) -> str | None:
    """The value at the end of a worked answer: after `####`, boxed or tagged; None: no mark."""
    if "####" in text:
        return text.rpartition("####")[2].strip().partition("\n")[0].strip() or None
    if "\\boxed" in text:
        return _boxed(text)
    for start, end in (("<answer>", "</answer>"), ("[ANSWER]", "[/ANSWER]")):
        stop = text.rfind(end)
        at = text.rfind(start, 0, max(stop, 0))
        if at >= 0:
            return text[at + len(start) : stop].strip() or None
    return None


def stated(text: str) -> str | None:
    """The value of a last sentence `The answer is X` behind other text; None: there is none."""
    found = _STATED.search(text[-1000:])
    if found is None or not text[: len(text) - len(text[-1000:]) + found.start()].strip():
        return None
    return found[1].removesuffix(".").strip() or None


def _boxed(text: str) -> str | None:
    """What the last box holds, with its brackets in balance."""
    at = text.rfind("\\boxed")
    start = text.find("{", at)
    if start < 0 or text[at + 6 : start].strip():
        return None
    depth = 0
    for end in range(start, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if not depth:
            value = text[start + 1 : end].strip()
            words = re.fullmatch(r"\\(?:text|mathrm|textbf|mbox)\{([^{}]*)\}", value)
            return words[1].strip() if words else value
    return None
