"""One canonical spelling for each answer value, so that equal answers are equal strings.

Knows numbers, Python literals and short texts; does not know where in a model's
output the value stood (`choice` and `opened` find it) nor what is right.
"""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from orchestra.records import Kind

_LONGEST = 20_000
"""Characters of a value that are looked at; what is longer is no short answer."""
_DEEPEST = 50
"""Brackets open at once in a literal; deeper ones are kept as text."""

_NUMBER = re.compile(
    r"(?P<sign>[-+\u2212]?)\s*[$€£¥]?\s*(?P<body>\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?P<exp>[eE][-+]?\d{1,4})?"
    r"(?:\s*/\s*(?P<under>\d+(?:\.\d+)?))?"
)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def canonical(value: str, kind: Kind) -> str | None:
    """The canonical spelling of `value` as an answer of `kind`; None if it is not one.

    Numbers: plain decimals without trailing zeros, `1/3` where no decimal is exact.
    Literals: `repr` of the Python value; text that is no literal is read as a string.
    Texts: case-folded, without punctuation, articles and doubled spaces. Letters: upper case.
    """
    if len(value) > _LONGEST:
        return None
    if kind is Kind.NUMBER:
        return number(value)
    if kind is Kind.LITERAL:
        return literal(value)
    if kind is Kind.CHOICE:
        return value.strip().upper() or None
    if kind is Kind.CODE:
        return value.strip("\n") or None
    return plain(value) or None


def number(value: str) -> str | None:
    """Canonical form of the first number in `value`, or None if it holds no number."""
    found = _NUMBER.search(value)
    if found is None:
        return None
    try:
        top = Decimal(found["body"].replace(",", "") + (found["exp"] or ""))
    except InvalidOperation:
        return None
    if found["sign"] in ("-", "\u2212"):
        top = -top
    if found["under"] and Decimal(found["under"]) != 0:
        return _quotient(top, Decimal(found["under"]))
    return _spell(top)


def _quotient(top: Decimal, under: Decimal) -> str:
    if abs(top.adjusted()) > 300:
        return _spell(top / under)
    exact = Fraction(top) / Fraction(under)
    rest = exact.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return f"{exact.numerator}/{exact.denominator}"
    return _spell(Decimal(exact.numerator) / Decimal(exact.denominator))


def _spell(value: Decimal) -> str:
    if value == 0:
        return "0"
    if abs(value.adjusted()) > 300:
        return f"{value.normalize():E}"
    spelled = f"{value:f}"
    return spelled.rstrip("0").rstrip(".") if "." in spelled else spelled


def literal(value: str) -> str | None:
    """`repr` of the Python literal in `value`; other text counts as a bare string."""
    text = value.strip().strip("`").strip()
    if not text:
        return None
    if _depth(text) <= _DEEPEST:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return repr(ast.literal_eval(text))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            pass
    return repr(text)


def _depth(text: str) -> int:
    deepest = depth = 0
    for char in text:
        if char in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in ")]}":
            depth -= 1
        elif char in "-+~":
            deepest += 1  # chained unary operators nest as deeply as brackets do
    return deepest


def plain(value: str) -> str:
    """Case-folded words of `value` without punctuation and articles, joined by single spaces."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    kept = "".join(char if char.isalnum() or char in "+-*/=<>^%." else " " for char in folded)
    words = (word.strip(".") for word in _ARTICLES.sub(" ", kept).split())
    return " ".join(word for word in words if word)
