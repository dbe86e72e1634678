"""Option letters as the published scripts of benchmarks find them, with all their quirks.

Each rule was read in the script that is named beside it.
"""

from __future__ import annotations

import re
from functools import partial

from orchestra.answers.patterns import Found, Rule, group_of
from orchestra.records import Question

# From TIGER-AI-Lab/MMLU-Pro, evaluate_from_local.py. Its second pattern starts with `.*`, which
# is quadratic on long lines; its third forbids another match after it, which is quadratic.
_STATED = re.compile(r"answer is \(?([A-J])\)?")
_LABELLED = re.compile(r"[aA]nswer:\s*([A-J])")
_BARE = re.compile(r".*\b([A-J])\b", re.DOTALL)


def stated(text: str, question: Question) -> Found | None:
    """MMLU-Pro's rule 1: the first `answer is (X)`."""
    return group_of(_STATED.search(text))


def labelled(text: str, question: Question) -> Found | None:
    """MMLU-Pro's rule 2: `Answer: X` on the first line that has one, the last on that line."""
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
    """MMLU-Pro's rule 3: the last stand-alone capital A to J anywhere."""
    return group_of(_BARE.match(text))


# From openai/simple-evals, common.py and gpqa_eval.py: the first match decides, and a small letter
# equals no option.
_SIMPLE = re.compile(r"(?i)Answer[ \t]*:[ \t]*\$?([A-D])\$?")


def simple(text: str, question: Question) -> Found | None:
    """simple-evals: the first `Answer: X`, in any case of letters."""
    return group_of(_SIMPLE.search(text))


# From GPQA's baselines/run_baseline.py: a pattern whose first match is no letter gives way to the
# next one.
_GPQA = (
    r"answer is \((.)\)",
    r"Answer: \((.)\)",
    r"answer: \((.)\)",
    r"answer \((.)\)",
    r"\((.)\)",
)


def _in_parentheses(pattern: re.Pattern[str], text: str, question: Question) -> Found | None:
    found = group_of(pattern.search(text))
    return found if found is not None and found.value in question.letters else None


GPQA: tuple[Rule, ...] = tuple(partial(_in_parentheses, re.compile(each)) for each in _GPQA)
"""The rules of GPQA's authors, in their order."""
