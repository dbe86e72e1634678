r"""One canonical spelling for each answer value, so that equal answers are equal strings.

`choice` and `open_ended` find the value in a model's output; this module only spells it.
"""

from __future__ import annotations

import ast
import cmath
import re
import unicodedata
import warnings
from fractions import Fraction

from orchestra.records import Kind

_DIGITS = 400
"""Longest number, written out. With exponents up to 999 no intermediate value reaches the
4,300 digits that Python converts."""

_NUMBER = re.compile(
    r"(?P<body>\d{1,3}(?:,\d{3})++(?!\d)(?:\.\d++)?+|\d++(?:\.\d++)?+|\.\d++)"
    r"(?:[eE](?P<exp>[-+]?\d{1,3})(?!\d)|\s?[*x\u00d7\u00b7]\s?10\s?\^\s?(?P<ten>-?\d{1,3})(?!\d)|"
    r"\s?\^\s?(?P<power>-?\d{1,3})(?!\d))?"
    r"(?:\s?[/\u2044]\s?(?P<under>\d++(?:\.\d++)?+)|"
    r"[ ](?P<part>\d{1,4})[/\u2044](?P<whole>\d{1,4})(?![\d/]))?"
)
_SIGN = re.compile(r"(?<![\w)\]])-\s?[$\u20ac\u00a3\u00a5]?\s?$")
_FRACTION = re.compile(r"\\[dt]?frac\s?(?:\{([^{}]{1,40})\}|(\d))\s?(?:\{([^{}]{1,40})\}|(\d))")
_STYLED = re.compile(r"\\(?:text|math)\w{0,2}\s?\{([^{}]*+)\}")
_TEX = (
    *(
        ("\\left", ""),
        ("\\right", ""),
        ("\\times", "*"),
        ("\\cdot", "*"),
        ("{,}", ","),
        ("\\,", ""),
    ),
    *(("\\!", ""), ("\\ ", " "), ("\\;", " "), ("\\$", "$"), ("\\%", "%"), ("^{", "^")),
)
_POWER = re.compile(r"(?<=\d)(?=[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207b])")
# Spaces that only group digits, other minus signs, and the digits that `\d` does not match.
_MARKS = str.maketrans(
    {
        **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True)),
        **{"\u00a0": " ", "\u2009": "", "\u202f": "", "\u2212": "-"},
        **{
            "½": " 1/2",
            "⅓": " 1/3",
            "⅔": " 2/3",
            "¼": " 1/4",
            "¾": " 3/4",
            "⅕": " 1/5",
            "⅛": " 1/8",
        },
    }
)


def number(value: str) -> str | None:
    """Canonical form of the number that `value` states, or None if it holds none.

    The first number counts, but what follows the last equals sign is preferred:
    `3 * 6 = 18 dollars` is `18`. At most 400 characters when written out in full.
    """
    text = _in_plain_marks(value)
    _, equals, tail = text.rpartition("=")
    found = _NUMBER.search(tail) if equals else None
    text = tail if found else text
    found = found or _NUMBER.search(text)
    exact = _value(found) if found else None
    if found is None or exact is None:
        return None
    negative = _SIGN.search(text[max(0, found.start() - 5) : found.start()])
    spelled = _spelled(exact)
    if max(map(len, spelled.split("/"))) > _DIGITS:
        return None
    return f"-{spelled}" if negative and exact else spelled


def unstyled(value: str) -> str:
    r"""The content of `\text{...}` or another typographic macro; else `value` itself."""
    found = _STYLED.fullmatch(value.strip())
    return found[1] if found else value


def _in_plain_marks(value: str) -> str:
    """`value` with the marks of LaTeX and of typography in plain characters."""
    if not value.isascii():
        value = _POWER.sub("^", value).translate(_MARKS)
    if "\\" in value or "{" in value:
        value = _STYLED.sub(r"\1", value)
        for mark, plainly in _TEX:
            value = value.replace(mark, plainly)
        value = _FRACTION.sub(r"\1\2/\3\4", value)
    return value


def _value(found: re.Match[str]) -> Fraction | None:
    """The value without its sign; None if it is too long to be an answer, or a division by 0."""
    body, under = found["body"], found["under"] or "1"
    power = int(found["power"] or 1)
    if max(len(body) * abs(power), len(under)) > _DIGITS:
        return None
    top = Fraction(f"{body.replace(',', '')}e{found['exp'] or found['ten'] or 0}")
    if not top and power < 0:
        return None
    top **= power
    if found["whole"]:
        below = int(found["whole"])
        return top + Fraction(int(found["part"]), below) if below else None
    return top / Fraction(under) if Fraction(under) else None


def _spelled(value: Fraction) -> str:
    """`value`, at least 0, as a decimal if one is exact, else as a fraction in lowest terms."""
    rest, places = value.denominator, 0
    for prime in (2, 5):
        times = 0
        while rest % prime == 0:
            rest //= prime
            times += 1
        places = max(places, times)
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = str(value.numerator * 10**places // value.denominator).rjust(places + 1, "0")
    point = len(digits) - places
    return f"{digits[:point]}.{digits[point:]}" if places else digits


_LONGEST = 20_000
"""Most characters of a value; a longer one is not a short answer."""
_LONGEST_TEXT = 2_000
"""The same for short texts: normalising longer ones can take quadratic time."""
_DEEPEST = 50
"""Most open brackets in a literal; deeper ones stay text."""

# Only text made of these tokens is given to the parser: it has no deep or slow case then.
_TOKEN = re.compile(
    r"\s++|(?P<open>[\[({])|(?P<close>[\])}])|(?P<sign>[-+])|(?P<comma>[,:])|"
    r"(?P<atom>[rRbBuU]{0,2}(?:'(?:[^'\\\n]|\\.)*+'|\"(?:[^\"\\\n]|\\.)*+\")|"
    r"\d[\w.]*+|\.\d\w*+|(?:True|False|None|set\(\))(?!\w))",
    re.DOTALL,
)
_ARTICLES = frozenset(("a", "an", "the"))
_DROPPED = re.compile(r"(?:[^\w+\-*/=<>^%.]|_)+")


def canonical(value: str, kind: Kind) -> str | None:
    """The canonical spelling of `value` as an answer of `kind`; None if it is not one.

    Numbers: plain decimals without trailing zeros, `1/3` where no decimal is exact.
    Literals: `repr` of the Python value, dicts and sets in order of their keys' `repr`;
    text that is not a literal is read as a string. Texts: case-folded, without punctuation,
    articles and doubled spaces. Letters: upper case. Never raises.
    """
    if len(value) > (_LONGEST_TEXT if kind is Kind.TEXT else _LONGEST):
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


def literal(value: str) -> str | None:
    """`repr` of the Python literal in `value`; other text counts as a bare string."""
    text = value.strip().strip("`").strip()
    return (parsed(text) or repr(text)) if text else None


def parsed(text: str) -> str | None:
    """The canonical spelling of `text` as a Python literal, or None if it is not one."""
    if len(text) > _LONGEST or not _is_shallow(text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(text.strip())
            # `6,8` is more likely a string than a tuple without its brackets.
            loose = isinstance(value, tuple) and text.strip()[0] not in "(\"'"
            return None if loose else _repr(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _is_shallow(text: str) -> bool:
    """Whether `text` is made of a literal's tokens, with few brackets and signs in a row."""
    at = depth = signs = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return False
        at = token.end()
        kind = token.lastgroup
        if kind == "sign":
            signs += 1
        elif kind in ("open", "close", "comma"):
            depth += {"open": 1, "close": -1, "comma": 0}[kind]
            signs = 0
        if depth > _DEEPEST or signs > 3:
            return False
    return True


def _repr(value: object) -> str:
    """`repr`, but equal dicts and equal sets are spelled alike."""
    if isinstance(value, dict):
        pairs = sorted(f"{_repr(key)}: {_repr(each)}" for key, each in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, set) and value:
        return "{" + ", ".join(sorted(map(_repr, value))) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_repr, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_repr, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, float | complex) and not cmath.isfinite(value):
        raise ValueError("too large for a float, and no literal spells infinity")
    return repr(value)


def fold(value: str) -> str:
    """`value` in compatibility normal form and folded case."""
    return unicodedata.normalize("NFKC", value).casefold()


def plain(value: str) -> str:
    """Case-folded words of `value` without punctuation and articles, joined by single spaces."""
    words = [word.strip(".") for word in _DROPPED.sub(" ", fold(value)).split()]
    words = [word for word in words if word]
    # An article precedes a word: the last A of `vitamin A` is not one.
    return " ".join(
        word
        for word, after in zip(words, [*words, ""][1:], strict=True)
        if word not in _ARTICLES or not after[:1].isalnum()
    )
