"""Finds the value that a text states for an open question: number, literal, text or code.

Knows the shapes in which models wrap an answer (a JSON field, a box, a labelled
line, a fenced block); does not know what is right. `canonical` spells the value.
"""

from __future__ import annotations

import json
import re

from orchestra.answers.choice import Found
from orchestra.records import Question

_FIELD = re.compile(r"[\"'](?:final[ _])?answer[\"']\s*:\s*+", re.IGNORECASE)
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*+\"", re.DOTALL)
_TOKEN = re.compile(r"[^\n]+")
_BOX = re.compile(r"\\boxed\s*\{")
_HASHES = re.compile(r"####[ \t]*+([^\n]+)")
_LABEL = re.compile(r"(?i:\banswer(?:\s+is\b|\s*[:=]))[\s:*_]*+([^\n]+)")
_FENCE = re.compile(r"```[^\n]*\n(.*?)```", re.DOTALL)
_DIGIT = re.compile(r"\d")
_BARE_NUMBER = re.compile(r"[\s*_$€£=\\(\[]*+[-+]?[\d.,/]+(?:[eE][-+]?\d+)?\s*%?[\s*_.$\\)\]]*$")


def json_field(text: str, question: Question) -> Found | None:
    """The last `"answer": ...` field, even where the JSON around it is broken."""
    last = None
    for last in _FIELD.finditer(text):  # noqa: B007 - the loop is the search for the last
        pass
    if last is None:
        return None
    quoted = _STRING.match(text, last.end())
    if quoted:
        return Found(_unquote(quoted[0]), quoted.start(), quoted.end())
    bare = _TOKEN.match(text, last.end())
    if bare is None or bare[0].startswith('"'):
        return None  # a string that never closes was cut off
    value = bare[0].strip().rstrip("}").rstrip().rstrip(",").strip()
    return Found(value, bare.start(), bare.end()) if value else None


def _unquote(quoted: str) -> str:
    try:
        value = json.loads(quoted, strict=False)
    except ValueError:
        return quoted[1:-1]
    return value if isinstance(value, str) else quoted


def boxed(text: str, question: Question) -> Found | None:
    """What the last `\\boxed{...}` holds, with balanced braces."""
    last = None
    for last in _BOX.finditer(text):  # noqa: B007 - the loop is the search for the last
        pass
    if last is None:
        return None
    depth = 1
    for at in range(last.end(), min(len(text), last.end() + 2_000)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return Found(text[last.end() : at], last.end(), at)
    return None


def hashes(text: str, question: Question) -> Found | None:
    """What follows the last `####`, the mark of GSM8K's own solutions."""
    return _group(_HASHES, text)


def labelled(text: str, question: Question) -> Found | None:
    """What follows the last `the answer is` or `Answer:` on its line."""
    found = _group(_LABEL, text)
    if found is None or (question.kind == "number" and not _DIGIT.search(found.value)):
        return None
    value = found.value.strip().strip("*_`$").strip()
    if question.kind != "literal":
        value = value.rstrip(".")
    return Found(value, found.start, found.end) if value else None


def last_line(text: str, question: Question) -> Found | None:
    """The whole last line, where it is nothing but a value of the question's kind."""
    body = text.rstrip()
    start = body.rfind("\n") + 1
    line = body[start:]
    if len(line) > 400 or not line:
        return None
    if question.kind == "number" and not (_DIGIT.search(line) and _BARE_NUMBER.match(line)):
        return None
    if question.kind == "literal" and start and not line.startswith(("'", '"', "[", "(", "{")):
        return None
    return Found(line.strip(), start, start + len(line))


def fenced(text: str, question: Question) -> Found | None:
    """The last fenced block."""
    return _group(_FENCE, text)


def _group(pattern: re.Pattern[str], text: str) -> Found | None:
    last = None
    for last in pattern.finditer(text):  # noqa: B007 - the loop is the search for the last
        pass
    return None if last is None else Found(last[1], last.start(1), last.end(1))
