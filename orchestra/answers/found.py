"""What a rule finds, and the few searches that every rule is made of.

Knows offsets and nothing of answers. Each search is linear in the text: a plain
word is looked up first, and a pattern is tried only where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from orchestra.records import Question

_ENDINGS = (
    "</s>",
    "<eos>",
    "<EOS_TOKEN>",
    "<end_of_turn>",
    "<|im_end|>",
    "<|eot_id|>",
    "</answer>",
)
_MOST_SPOTS = 2_000


class Found(NamedTuple):
    """A value and where it stands, as character offsets into the text."""

    value: str
    start: int
    end: int


Rule = Callable[[str, Question], "Found | None"]
"""From a text to the value that it states, or None."""


def lowered(text: str) -> str:
    """`text` in lower case, with every character at its old offset."""
    # The dotted capital I is the one character whose lower case is two characters.
    return text.replace("\u0130", "I").lower()


def spots(text: str, word: str, start: int, stop: int) -> Iterator[int]:
    """Where `word` stands within `text[start:stop]`, the last first: at most 2,000 places.

    A text that says `answer` more often goes in circles, and one that gave no answer in its
    last 2,000 attempts is not searched for earlier ones.
    """
    for _ in range(_MOST_SPOTS):
        stop = text.rfind(word, start, stop)
        if stop < 0:
            return
        yield stop


def group_of(match: re.Match[str] | None, group: str | int = 1) -> Found | None:
    """One group of a match, or None where there is no match."""
    return None if match is None else Found(match[group], match.start(group), match.end(group))


def last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last of the matches that do not overlap."""
    last = None
    for last in pattern.finditer(text):  # noqa: B007 - the loop is the search for the last
        pass
    return last


def last_line(text: str) -> Found:
    """The last line that holds more than white space, closing fences and end tokens."""
    body = text.rstrip().rstrip("`").rstrip()
    for _ in range(3):  # a fence inside a tag inside an end token, and no text of a million of them
        ending = next((each for each in _ENDINGS if body.endswith(each)), "")
        body = body[: len(body) - len(ending)].rstrip().rstrip("`").rstrip()
    start = body.rfind("\n") + 1
    return Found(body[start:], start, len(body))


def balanced(text: str, start: int, pair: str) -> int | None:
    """Where the bracket that opened just before `start` closes, or None within 2,000 characters."""
    depth = 1
    for at in range(start, min(len(text), start + 2_000)):
        if text[at] == pair[0]:
            depth += 1
        elif text[at] == pair[1]:
            depth -= 1
            if depth == 0:
                return at
    return None
