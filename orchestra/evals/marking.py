"""Right, wrong or absent: the only place where answers meet gold answers.

Knows gold values and how each kind of answer is compared; does not know how an
answer was found. An absence is its own outcome, never a wrong answer.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache

from orchestra.answers import canonical
from orchestra.evals.items import Item
from orchestra.records import Absence, Answer, Decision, Kind, Mark, Outcome

_TOLERANCE = 1e-6
"""Relative difference up to which two numbers are the same answer."""


def same(value: str, gold: str, kind: Kind) -> bool:
    """Whether a canonical value answers as the gold does.

    Letters, texts and programs: equal canonical forms. Numbers: equal to a relative 1e-6.
    Literals: equal Python values; floats in them as numbers.
    """
    truth = _truth(gold, kind)
    if truth is None:
        return False
    if value == truth:
        return True
    if kind is Kind.NUMBER:
        return _near(value, truth)
    return kind is Kind.LITERAL and _alike(value, truth)


def mark_answer(answer: Answer, item: Item) -> Mark:
    """The Mark of one expert's answer. Raises ValueError for an item without gold."""
    return _mark(answer.question_id, answer.expert, answer.value, answer.absence, item)


def mark_decision(decision: Decision, item: Item, *, who: str) -> Mark:
    """The Mark of a pipeline's decision. Raises ValueError for an item without gold."""
    reason = decision.abstained
    absence = Absence(reason) if reason in set(Absence) else None
    return _mark(decision.question_id, who, decision.value, absence, item)


def mark_all(answers: Iterable[Answer], items: Mapping[str, Item]) -> list[Mark]:
    """Marks of the answers whose items have gold, in order."""
    return [
        mark_answer(answer, items[answer.question_id])
        for answer in answers
        if items[answer.question_id].gold is not None
    ]


def _mark(
    question_id: str, who: str, value: str | None, absence: Absence | None, item: Item
) -> Mark:
    if item.gold is None:
        raise ValueError(f"question {question_id!r} has no gold answer")
    if value is None:
        return Mark(question_id, who, Outcome.ABSENT, None, absence or Absence.UNPARSED)
    right = same(value, item.gold, item.question.kind)
    return Mark(question_id, who, Outcome.CORRECT if right else Outcome.WRONG, value)


@lru_cache(maxsize=1_024)  # pure; the answers to one question are marked one after another
def _truth(gold: str, kind: Kind) -> str | None:
    return canonical(gold, kind)


def _near(value: str, truth: str) -> bool:
    try:
        a, b = float(Fraction(value)), float(Fraction(truth))
    except (ValueError, ZeroDivisionError, OverflowError):
        return False
    return math.isclose(a, b, rel_tol=_TOLERANCE)


def _alike(value: str, truth: str) -> bool:
    try:
        a, b = ast.literal_eval(value), ast.literal_eval(truth)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    try:
        return _equal(a, b)
    except (RecursionError, OverflowError):
        return False


def _equal(a: object, b: object) -> bool:
    """Equal Python values, where 1 is 1.0 but not True, and floats need not agree to the last bit.

    The members of sets and the keys of dicts are compared exactly.
    """
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, float | int) and isinstance(b, float | int):
        return a == b or (float in (type(a), type(b)) and math.isclose(a, b, rel_tol=_TOLERANCE))
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    return a == b
