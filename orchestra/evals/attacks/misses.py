"""Wrong answers that could pass for right ones: near numbers, and literals with one change.

Knows the gold answer of one open question and its kind; does not know what anybody answered,
and draws nothing at random.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from fractions import Fraction

from orchestra.answers import canonical
from orchestra.evals.marking import same
from orchestra.records import Kind


def near_misses(gold: str, kind: Kind) -> list[str]:
    """Canonical values near the gold one and never the same, in a fixed order.

    Numbers: a few steps of the last digit off, doubled, ten times as large; fractions with
    another numerator or denominator. A gold at least 0 has no negative neighbours, and a whole
    one has whole ones only. Literals: one
    element changed, dropped or out of its place. Empty for texts and programs, whose near misses
    nobody can make up, and for a gold that is not of its kind.
    """
    truth = canonical(gold, kind)
    if truth is None:
        return []
    made: Iterable[str] = ()
    if kind is Kind.NUMBER:
        made = _numbers(truth)
    elif kind is Kind.LITERAL:
        made = _literals(truth)
    found = dict.fromkeys(value for each in made if (value := canonical(each, kind)) is not None)
    return [value for value in found if not same(value, gold, kind)]


def _numbers(truth: str) -> list[str]:
    exact = Fraction(truth)
    near = [*_off_by_steps(exact, truth), exact * 2, exact / 2, exact * 10]
    if "/" in truth:
        top, under = exact.numerator, exact.denominator
        near = [Fraction(top + 1, under), Fraction(top - 1, under), Fraction(top, under + 1)]
        near += [exact * 2, 1 / exact]
    whole = exact.denominator == 1
    kept = [n for n in near if (exact < 0 or n >= 0) and (n.denominator == 1 or not whole)]
    return [f"{n.numerator}/{n.denominator}" for n in kept]


def _off_by_steps(exact: Fraction, truth: str) -> list[Fraction]:
    step = Fraction(1, 10 ** len(truth.partition(".")[2]))
    return [exact + times * step for times in (1, -1, 2, -2, 10, -10)]


def _literals(truth: str) -> list[str]:
    try:
        value = ast.literal_eval(truth)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [repr(each) for each in _changed(value)]


def _changed(value: object) -> list[object]:
    """The value with one thing changed, in a few ways."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value - 1, value * 2]
    if isinstance(value, str):
        return list(_respelled(value))
    if isinstance(value, list):
        return list(_rearranged(value))
    if isinstance(value, tuple):
        return [tuple(each) for each in _rearranged(list(value))]
    if isinstance(value, set):
        return [set(each) for each in _rearranged(sorted(value, key=repr)) if each]
    if isinstance(value, dict):
        return list(_rekeyed(value))
    return [0, 1]  # None, bytes and complex numbers: rare, and anything else is wrong


def _respelled(value: str) -> list[str]:
    swapped = value[:-2] + value[-1:] + value[-2:-1]
    return [value[:-1], value + (value[-1:] or "a"), swapped, value[::-1], value.swapcase()]


def _rearranged(value: list[object]) -> list[list[object]]:
    if not value:
        return [[0], [1]]
    changed = [[*value[:-1], each] for each in _changed(value[-1])[:2]]
    return [*changed, value[:-1], [*value[1:], value[0]], value[::-1]]


def _rekeyed(value: dict[object, object]) -> list[dict[object, object]]:
    if not value:
        return [{0: 0}, {"a": 1}]
    last = list(value)[-1]
    changed = [{**value, last: each} for each in _changed(value[last])[:2]]
    return [*changed, {key: each for key, each in value.items() if key != last}]
