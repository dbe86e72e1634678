r"""Reads the number that a short text states, and spells it in one way.

Knows thousands, units of money, per cent, fractions, powers of ten and LaTeX's marks;
does not know units, number words or decimal commas. All arithmetic is exact.
"""

from __future__ import annotations

import re
from fractions import Fraction

_DIGITS = 400
"""Longest number, written out. With exponents up to 999 nothing on the way there reaches the
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
    r"""What `\text{...}` or another macro that only sets type holds; else `value` itself."""
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
