"""MMLU-Pro's own three rules, as its published evaluation scripts apply them.

Knows those patterns and nothing better: they are here so that other people's numbers
can be reproduced. The first match counts, even where a later statement corrects it.
"""

from __future__ import annotations

import re

from orchestra.answers.found import Found, group_of
from orchestra.records import Question

# From TIGER-AI-Lab/MMLU-Pro, evaluate_from_local.py. Its second pattern starts with `.*`, which
# is quadratic on long lines; its third forbids another match behind it, which is quadratic.
_STATED = re.compile(r"answer is \(?([A-J])\)?")
_LABELLED = re.compile(r"[aA]nswer:\s*([A-J])")
_BARE = re.compile(r".*\b([A-J])\b", re.DOTALL)


def stated(text: str, question: Question) -> Found | None:
    """Rule 1: the first `answer is (X)`."""
    return group_of(_STATED.search(text))


def labelled(text: str, question: Question) -> Found | None:
    """Rule 2: `Answer: X` on the first line that has one, the last on that line."""
    found = _LABELLED.search(text)
    if found is None:
        return None
    stop = text.find("\n", found.start())
    stop = len(text) if stop < 0 else stop
    later: re.Match[str] | None = found
    while later is not None and later.start() < stop:
        found = later
        later = _LABELLED.search(text, later.start() + 1)
    return group_of(found)


def bare(text: str, question: Question) -> Found | None:
    """Rule 3: the last stand-alone capital A to J anywhere."""
    return group_of(_BARE.match(text))
