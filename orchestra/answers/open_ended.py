r"""Finds the value that a text states for an open question: number, literal, text or code.

Answers stand in a JSON field, a tag, a box, a labelled line or a fenced block. `canonical`
spells the value.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress

from orchestra.answers.canonical import leading, parsed, unstyled
from orchestra.answers.multilingual import WORDS
from orchestra.answers.numbers import is_alone
from orchestra.answers.patterns import (
    Found,
    balanced,
    group_of,
    last_line,
    last_match,
    lowered,
    refused,
    spots,
)
from orchestra.records import Kind, Question

_FIELD = re.compile(r"answer[\"']\s*+:\s*+", re.IGNORECASE)
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*+\"", re.DOTALL)
_QUOTED_ON = re.compile(r"[ \t]*+(?:[,}\]\n\r]|```|$)")
_REST = re.compile(r"[^\n]+")
_TAGS = (
    ("<answer>", "</answer>"),
    ("<final_answer>", "</final_answer>"),
    ("[answer]", "[/answer]"),
)
_BOX = re.compile(r"\\boxed\s*+\{")
_HASHES = re.compile(r"####[ \t]*+([^\n]++)")
_AFTER_LABEL = re.compile(r"(?:\s+is\b|[\"'*_]{0,3}\s*[:=\uff1a])[\s:*_]*+(?=\S)", re.IGNORECASE)
_AFTER_WORD = re.compile(
    r"[^\n.。:：]{0,30}?(?:[:=\uff1a是为為は은는]|\s(?:ist|est|es|é|è|är|er|is|jest|adalah|là)\s)"
    r"[\s:*_]*+(?=\S)"
)
_FENCE = re.compile(r"```[^\n`]*+\n(.*?)```", re.DOTALL)
_NUMBER_NEAR = re.compile(
    r"(?![{\[])[^\n\d\u00bc-\u00be\u2150-\u215f\u2189]{0,60}+[\d\u00bc-\u00be\u2150-\u215f\u2189]"
)
_UNIT = 3
"""Most words behind a number that stands on a line of its own: `dollars a day`."""
_JSON_WORDS = {"true": "True", "false": "False", "null": "None"}
_MARKS = " \t\r*_`$"
_LONGEST_LINE = 400
_LABEL, _SHORT = 40, 100
"""Characters of a closing line before the short answer that it states, and of that answer."""


def json_field(text: str, question: Question) -> Found | None:
    """The last `"answer": ...` field, even where the JSON around it is broken."""
    field = last_match(_FIELD, text)
    if field is None:
        return None
    start = field.end()
    if text.startswith('"', start):
        return _string(text, start, question)
    pair = {"[": "[]", "{": "{}", "(": "()"}.get(text[start : start + 1])
    close = balanced(text, start + 1, pair) if pair else None
    if close is not None:
        return _container(text, start, close + 1, question)
    bare = _REST.match(text, start)
    value = bare[0].strip().rstrip("}").rstrip().rstrip(",").strip() if bare else ""
    if question.kind is Kind.LITERAL:
        value = _JSON_WORDS.get(value, value)
    return Found(value, start, start + len(bare[0])) if bare and value else None


def _string(text: str, start: int, question: Question) -> Found | None:
    """A JSON string; one without an end was cut off, and is not an answer."""
    quoted = _STRING.match(text, start)
    if quoted is None:
        return None
    value, end = _unquoted(quoted[0]), quoted.end()
    if not _QUOTED_ON.match(text, end):  # quotes inside that should have been escaped
        stop = text.find("\n", end)
        rest = text[start : stop if stop >= 0 else len(text)].rstrip(" \t\r}],")
        if rest.endswith('"') and start + len(rest) > end:
            value, end = rest[1:-1], start + len(rest)
    if question.kind is Kind.LITERAL and parsed(value) is None:
        # A quoted string after JSON's own escapes; else the string itself with its spaces.
        value = parsed(value.replace("\n", "\\n").replace("\r", "\\r")) or repr(value)
    return Found(value, start, end)


def _unquoted(quoted: str) -> str:
    try:
        value = json.loads(quoted, strict=False)
    except ValueError:
        return quoted[1:-1]
    return value if isinstance(value, str) else quoted


def _container(text: str, start: int, end: int, question: Question) -> Found | None:
    """A list or an object; only a literal can be one."""
    value = text[start:end]
    if question.kind is Kind.NUMBER:
        return None
    if question.kind is Kind.LITERAL and parsed(value) is None:
        with suppress(ValueError, RecursionError):
            value = repr(json.loads(value))
    return Found(value, start, end)


def tagged(text: str, question: Question) -> Found | None:
    """The content of the last `<answer>...</answer>` or `[ANSWER]...[/ANSWER]`, closed or not."""
    low = lowered(text)
    for opening, closing in _TAGS:
        start = low.rfind(opening)
        if start >= 0:
            start += len(opening)
            stop = low.find(closing, start)
            value = text[start : stop if stop >= 0 else len(text)]
            return Found(value, start, start + len(value)) if value.strip() else None
    return None


def boxed(text: str, question: Question) -> Found | None:
    """What the last `\\boxed{...}` holds, with balanced braces."""
    at = text.rfind("\\boxed")
    box = _BOX.match(text, at) if at >= 0 else None
    close = balanced(text, box.end(), "{}") if box else None
    if box is None or close is None:
        return None
    return Found(unstyled(text[box.end() : close]), box.end(), close)


def hashes(text: str, question: Question) -> Found | None:
    """The text after the last `####`, the mark of GSM8K's solutions, unless it is a heading."""
    found = group_of(last_match(_HASHES, text))
    if found is None:
        return None
    if question.kind is Kind.NUMBER:
        return found if is_alone(found.value[:_LONGEST_LINE], words=_UNIT) else None
    return found if found.end >= len(text.rstrip()) else None


def labelled(text: str, question: Question) -> Found | None:
    """The text after the last `the answer is` or `Answer:` on its line, in a known language."""
    low = lowered(text)
    start = -1
    for word, label in (("answer", _AFTER_LABEL), *((word, _AFTER_WORD) for word in WORDS)):
        for at in spots(low, word, max(start, 0), len(low)):
            match = label.match(text, at + len(word))
            if match is not None and _fits(text, match.end(), question):
                start = match.end()
                break
    if start < 0:
        return None
    end = text.find("\n", start)
    line_left = text[start : end if end >= 0 else len(text)].rstrip(_MARKS)
    value = line_left.lstrip(_MARKS)
    if value[:1] in ("'", '"') and value.count(value[:1]) == 1:
        return None  # a string without an end was cut off
    if question.kind is not Kind.LITERAL:
        value = value.rstrip(".")
    start += len(line_left) - len(line_left.lstrip(_MARKS))
    return Found(value, start, start + len(value)) if value else None


def _fits(text: str, at: int, question: Question) -> bool:
    """A number more than sixty characters away is not part of the statement."""
    return question.kind is not Kind.NUMBER or _NUMBER_NEAR.match(text, at) is not None


def line(text: str, question: Question) -> Found | None:
    """The whole last line, if it is only a value of the question's kind."""
    found = last_line(text)
    value = found.value.strip()
    if not 0 < len(value) <= _LONGEST_LINE or refused(value):
        return None
    if question.kind is Kind.NUMBER and not is_alone(value, words=_UNIT):
        return None
    if question.kind is Kind.LITERAL and (found.start or " " in value):
        return found._replace(value=value) if leading(value, words=False) else None
    return found._replace(value=value)


def closing(text: str, question: Question) -> Found | None:
    """The short answer that the last line states, `The answer is T`, and nothing before it."""
    last = last_line(text)
    stated = labelled(last.value, question) if len(last.value) <= _LONGEST_LINE else None
    if stated is None or stated.start > _LABEL or len(stated.value) > _SHORT:
        return None
    return Found(stated.value, last.start + stated.start, last.start + stated.end)


def whole(text: str, question: Question) -> Found | None:
    """All of the text, unless it only declines."""
    value = text.strip()
    if not value or (len(value) <= _LONGEST_LINE and refused(value)):
        return None
    start = text.index(value)
    return Found(value, start, start + len(value))


def fenced(text: str, question: Question) -> Found | None:
    """The last fenced block."""
    return group_of(last_match(_FENCE, text))
