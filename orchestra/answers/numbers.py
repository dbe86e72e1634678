r"""The one number that a short text states, read to the end of the text.

A number is a numeral with its sign, currency, digit groups, decimals, exponent, power or fraction,
in plain characters or in LaTeX; words may stand before it, a unit and words behind it. A formula,
a time or several numbers are no number: then nothing is read, not a part. Reading takes linear
time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

_DIGITS = 400
"""Longest number, written out, in digits."""
_BITS = 1_600
"""Longest numerator and denominator while reading, in bits; a little more than `_DIGITS`."""
_DEEPEST = 30
"""Most brackets and fractions inside each other."""

DASHES = (
    "-\u02d7\u058a\u05be\u1806\u2010-\u2015\u2043\u207b\u208b\u2212\u2796\u2e3a\u2e3b"
    "\ufe58\ufe63\uff0d"
)
"""Dashes, hyphens and minus signs, as the inside of a character class; the plain one first."""


class Stated(NamedTuple):
    """A number, and how many words stand before it and behind it."""

    value: Fraction
    before: int
    after: int


class _Token(NamedTuple):
    code: str
    text: str
    spaced: bool
    """Whether white space stands before it."""


_SUPERSCRIPT = re.compile("[\u207a\u207b]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
_RAISED_FRACTION = re.compile(
    "([\u2070\u00b9\u00b2\u00b3\u2074-\u2079]{1,9})[\u2044/]([\u2080-\u2089]{1,9})"
)
_DASH = re.compile(f"[{DASHES}]")
_PLAINLY = {
    **dict.fromkeys("\u00d7\u22c5\u2219\u00b7\u2217", "*"),
    **dict.fromkeys("\u00f7\u2044\u2215", "/"),
    **dict.fromkeys("\u2248\u2243\u2245\u2261\u2250\u223c", "="),
    **dict.fromkeys("\u2018\u2019\u02bc\u2032", "'"),
    **{"\u066c": ",", "\u066b": ".", "\u3002": ".", "\u061f": "?", "\u060c": ", ", "\u3001": ", "},
}
# Spaces of LaTeX and its separators in braces: `1\,000`, `1{,}000`, `10,\!080`.
_TEX_SPACE = re.compile(r"\{\s*\\[,;: ]\s*\}|\\[,;: ]|~|\\(?:thin|med)?space(?![A-Za-z])")
_TEX_MARK = re.compile(r"\{\s*([.,'])\s*\}|\\!|\\(?=\\[A-Za-z])")

# At a digit: groups of three or Indian groups, with decimals; decimal commas; plain numerals.
_NUMERAL = (
    r"(?:(?P<grouped>[1-9]\d{0,2}(?:(?:,\d{3})++|(?:'\d{3})++|(?:_\d{3})++|"
    r"(?:[ ]\d{3}(?!\d)){1,12}+(?![ ]?(?:/|\\over|\\div)))|[1-9]\d?(?:,\d{2}(?!\d))++,\d{3})"
    r"(?:\.(?P<part>\d++))?+(?!\d|[.,'_]\d)|"
    r"(?P<continental>[1-9]\d{0,2}(?:(?:\.\d{3}){2,}+|"
    r"(?:(?:\.\d{3})++|(?:'\d{3})++|(?:[ ]\d{3}){1,12}+)(?=,\d))|\d++(?=,\d))"
    r"(?:,(?P<comma>\d++))?+(?!\d|[.,'_]\d)|"
    r"(?P<plain>\d++(?:\.\d++)?+|\.\d++)(?!\d|[.,'_]\d))"
    r"(?:[eE](?P<exponent>[-+]?\d{1,3})(?!\d))?"
)
_TOKEN = re.compile(
    r"(?P<space>(?:[\s\"'#]|\\{1,4}+(?=[\"'])|(?<![\w)])[*_]{1,3}(?=[^\s*_])|(?<=[^\s*_])[*_]{1,3}(?![\w(*_])|\*{3,}+|`+|"
    r"\\[()\[\]]|\\q?quad(?![A-Za-z])|</?[a-z]{1,10}>|<[|\uff5c][^<>\n]{1,40}[|\uff5c]>|"
    r"\\(?:displaystyle|textstyle|left|right|[bB]igg?[lrm]?|operatorname|[mhf]box|boxed|bm|boldsymbol|"
    r"(?:text|math)(?!dollar|euro|degree)[a-z]{0,8}|rm|bf|it)(?![A-Za-z])\*?)+)|"
    rf"(?P<n>(?!0[xXoObB][\dA-Fa-f]){_NUMERAL})|"
    r"(?P<X>\d[\d.,'_]*+|[<>!]=|=>|[-=]{1,3}>)|"
    r"(?P<unit>\^\s?\{?\s?\\circ\s?\}?|\\(?:circ|degree|textdegree)(?![A-Za-z])|\^?\u00b0|\\?%|\u2030)|"
    r"(?P<c>\\?\$|\\(?:textdollar|texteuro|euro|pounds)(?![A-Za-z]))|"
    r"(?P<F>\\(?:[dtc]|nice|s|x)?frac(?![A-Za-z]))|"
    r"(?P<over>/|\\(?:over|div)(?![A-Za-z]))|"
    r"(?P<power>\*\*|\^)|(?P<times>\*|(?<=\d)[xX](?=10\s?(?:\^|\*\*))|\\(?:times|cdot)(?![A-Za-z]))|"
    r"(?P<equals>:?==?|\\(?:approx|simeq|equiv)(?![A-Za-z]))|"
    r"(?P<dots>\\[lc]?dots(?![A-Za-z])|[.?\uff61]+)|"
    r"(?P<word>(?:[A-Za-z]\.){2,}|[^\W\d_](?:[\w\u0301]|['-](?=[^\W\d_]))*+)|"
    r"(?P<mark>[-+(){},;:!])|(?P<open>\[)|(?P<close>\])|(?P<other>.)",
    re.DOTALL,
)
_CODES = {
    **{"over": "/", "power": "^", "times": "*", "equals": "=", "dots": ".", "unit": "%"},
    **{"open": "(", "close": ")", "other": "X"},
}
# A letter that is no symbol of a unit is a variable; so are two or three of them behind a numeral.
_VARIABLE = re.compile(
    r"(?![mgshdtlLAKCFVWNJTHBGM\u03a9])[A-Za-z\u0370-\u03ff](?:[\d_]\w*+)?(?:-\w)?"
)
_JOINED = re.compile(r"\d[A-Za-z]{5}")
"""A word that is joined to a number, and too long for the symbol of a unit."""
_VARIABLES = re.compile(r"[abcnxyz]{2,3}|(?![cdkm]?m[23]\Z)[^\W\d_]+\d\w*")
_FUNCTIONS = frozenset(
    ("sqrt", "root", "roots", "log", "ln", "lg", "sin", "cos", "tan", "cot", "sec", "csc", "exp")
    + ("pi", "squared", "cubed", "factorial", "half", "plus", "minus", "divided", "multiplied")
)
_OPENERS = frozenset(
    ("because", "since", "as", "so", "thus", "hence", "therefore", "which", "where", "when", "if")
    + ("given", "assuming", "that", "meaning", "namely", "i.e.", "rounded", "but", "while")
)
"""Words that begin another clause: what stands behind them is no part of the value."""
_DENIALS = ("not", "isn't", "neither", "nor", "never")
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALES |= dict.fromkeys("\u4e07\u842c\ub9cc", 4) | dict.fromkeys("\u4ebf\u5104\uc5b5", 8)
"""Words, and first characters of words, that multiply the number before them by a power of ten."""
_MINUS = ("minus", "negative")

_WORDS = re.compile(r"[wbf&]")
_FIRST = re.compile(r"(?:[-+c({]{0,8}?(?=[nF]))[nF]")
_LISTED = re.compile(r"n[^n]*[,;&o][wvc]{1,4}$")
"""A side of an equation that begins another one: `2, y` of `x = 2, y = 3`."""
_LONGEST_ASIDE = 200
_ASIDE = re.compile(r"[wb=].*|o[^n]*|n+w.*")
_BEFORE = re.compile(r"(?:[wb&,:;.!(){}c%]|v(?=[:)])|[-/](?=w))*")
_BEHIND = re.compile(
    r"(?:[%c){}]|w}*+(?:\^\{?-?n\}?)?+|[/*-](?=\{*w)|F(?=\{*w)|&(?=w)|:(?=w)|\((?=[w%]))*+[.,;:){}c]*+"
)
_EXPONENT = re.compile(r"-?n|\{-?n\}")


def stated(text: str) -> Stated | None:
    """The number that `text` states; None if it states none, several or a formula.

    What follows the last equals sign is preferred: `3 * 6 = 18 dollars` is 18. Of a range,
    `10-20`, the first number counts.
    """
    tokens = _without_asides(_tokens(_plainly(text)))
    if _too_deep(_codes(tokens)):
        return None
    first, *others = _sides(tokens)
    clause = _first_clause(first)
    found = _side(clause)
    leads = found is not None and found.before == 0
    if not others or (leads and len(clause) < len(first)):
        return found and found._replace(after=found.after + len(first) - len(clause))
    *between, last = others
    if any(_LISTED.search(_codes(side)) for side in (first, *between)):
        return None
    clause = _first_clause(last)
    words = len(first) + sum(map(len, between)) - 1  # the name of a variable does not count
    result = _side(clause)
    if result is None:
        return found if leads else None
    return Stated(
        result.value, result.before + max(0, words), result.after + len(last) - len(clause)
    )


def is_alone(text: str, *, words: int) -> bool:
    """Whether `text` is one number with at most so many words behind it, and none before it."""
    found = stated(text) if _JOINED.search(text) is None else None
    return found is not None and found.before == 0 and found.after <= words


def spelled(value: Fraction) -> str | None:
    """`value` as a decimal if one is exact, else as a fraction in lowest terms.

    None where that takes more than 400 digits.
    """
    rest, places = value.denominator, 0
    for prime in (2, 5):
        times = 0
        while rest % prime == 0:
            rest //= prime
            times += 1
        places = max(places, times)
    sign, top = "-" if value < 0 else "", abs(value.numerator)
    if places > _DIGITS or max(top, value.denominator) >= 10**_DIGITS:
        return None
    if rest != 1:
        return f"{sign}{top}/{value.denominator}"
    digits = str(top * 10**places // value.denominator).rjust(places + 1, "0")
    point = len(digits) - places
    written = f"{digits[:point]}.{digits[point:]}" if places else digits
    return sign + written if len(written) <= _DIGITS else None


@lru_cache(maxsize=4_096)
def _plain_character(char: str) -> str:
    """One character beyond ASCII by its meaning in a number; "" for those without one."""
    category = unicodedata.category(char)
    if char in _PLAINLY:
        return _PLAINLY[char]
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category == "No" and unicodedata.numeric(char) % 1:
        part = Fraction(unicodedata.numeric(char)).limit_denominator(1_000)
        return f" {part.numerator}/{part.denominator} "
    if category in ("Zs", "Cf", "Sc"):
        return {"Zs": " ", "Cf": "", "Sc": "$"}[category]
    if category.startswith("M"):
        return "\u0301"
    if category in ("Pi", "Pf"):
        return '"'
    return unicodedata.normalize("NFKC", char)


def _plainly(text: str) -> str:
    """`text` with the marks of typography and the separators of LaTeX in plain characters."""
    if not text.isascii():
        text = _RAISED_FRACTION.sub(_raised_fraction, text)
        text = _SUPERSCRIPT.sub(lambda run: "^" + unicodedata.normalize("NFKC", run[0]), text)
        text = "".join(map(_plain_character, _DASH.sub("-", text)))
    if "\\" in text or "{" in text or "~" in text:
        text = _TEX_MARK.sub(r"\1", _TEX_SPACE.sub(" ", text))
    return text


def _raised_fraction(found: re.Match[str]) -> str:
    top, below = (unicodedata.normalize("NFKC", found[group]) for group in (1, 2))
    return f" {top}/{below} "


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    spaced = True
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup or ""
        if kind == "space":
            spaced = True
            continue
        tokens.append(_token(found, spaced, tokens))
        spaced = False
    return tokens


def _token(found: re.Match[str], spaced: bool, before: Sequence[_Token]) -> _Token:
    text = found[0]
    kind = "n" if found["n"] else found.lastgroup or ""
    if kind == "n":
        pair = found["comma"] and before and before[-1].code == "("  # `(3,4)`
        return _Token("X" if pair else "n", _digits(found), spaced)
    if kind == "word":
        return _Token(_word(text, glued=not spaced and before[-1].code == "n"), text, spaced)
    return _Token(_CODES.get(kind, text if kind == "mark" else kind), text, spaced)


def _digits(found: re.Match[str]) -> str:
    """A numeral as Python spells it."""
    body, part = found["plain"], ""
    if found["grouped"]:
        body, part = re.sub(r"\D", "", found["grouped"]), found["part"] or ""
    elif found["continental"]:
        body, part = re.sub(r"\D", "", found["continental"]), found["comma"] or ""
    return f"{body}{'.' if part else ''}{part}e{found['exponent'] or 0}"


def _word(text: str, *, glued: bool) -> str:
    low = text.lower()
    if low in _OPENERS:
        return "b"
    if low in _FUNCTIONS:
        return "f"
    if low in ("or", "and"):
        return low[0].replace("a", "&")
    if low in _DENIALS:
        return "d"
    if glued and (text in ("a", "I") or _VARIABLES.fullmatch(text)):
        return "v"
    return "v" if text not in ("a", "A", "I") and _VARIABLE.fullmatch(text) else "w"


def _codes(tokens: Sequence[_Token]) -> str:
    return "".join(token.code for token in tokens)


def _too_deep(codes: str) -> bool:
    depth = 0
    for code in codes:
        depth += (code in "({F") - (code in ")}")
        if depth > _DEEPEST:
            return True
    return False


def _first_clause(tokens: list[_Token]) -> list[_Token]:
    """The tokens up to the clause or sentence that follows the first number."""
    codes = _codes(tokens)
    first, last = codes.find("n"), codes.rfind("n")
    if first < 0:
        return tokens
    for at in range(first + 1, len(tokens)):
        after = tokens[at + 1] if at + 1 < len(tokens) else None
        if codes[at] in "bd" or _ends_clause(tokens[at], after, numbers=at < last):
            return tokens[:at]
    return tokens


def _ends_clause(token: _Token, after: _Token | None, *, numbers: bool) -> bool:
    """Whether `after` begins a clause of its own; `numbers`: whether numbers follow."""
    if after is None or not after.spaced or after.code not in "wbd(":
        return False
    if token.code == ".":
        return True
    dashed = token.code == "-" and token.spaced
    return (token.code in (",", ";") or dashed) and (after.code in "bd" or not numbers)


def _sides(tokens: Sequence[_Token]) -> list[list[_Token]]:
    """What stands between the equals signs."""
    sides: list[list[_Token]] = [[]]
    for token in tokens:
        if token.code == "=":
            sides.append([])
        else:
            sides[-1].append(token)
    return sides


def _without_asides(tokens: Sequence[_Token]) -> list[_Token]:
    """The tokens without words in brackets behind a number: `5 (mod 7)`, `18 (that is, 3 * 6)`."""
    codes, kept = _codes(tokens), list[_Token]()
    at, number, last = 0, codes.find("n"), codes.rfind(")")
    while at < len(tokens):
        opens = -1 < number < at < last and codes[at] == "(" and tokens[at].spaced
        close = codes.find(")", at, at + _LONGEST_ASIDE) if opens else -1
        if close > 0 and _ASIDE.fullmatch(codes, at + 1, close):
            at = close
        else:
            kept.append(tokens[at])
        at += 1
    return kept


def _side(tokens: Sequence[_Token]) -> Stated | None:
    """The number in `tokens`, if all before it and behind it are words, units and punctuation."""
    codes = _codes(tokens)
    first = _FIRST.search(codes)
    if first is None:
        return None
    for start in range(*first.span()):
        before = codes[:start]
        if codes[start] == "-" and before[-1:] in ("w", "n", "v", ")"):
            if tokens[start].spaced and tokens[start + 1].spaced:
                return None  # `total - 7`: a dash or a minus
            if not tokens[start].spaced:
                continue  # `route-66`
        if before.endswith("w-") and not tokens[start - 1].spaced:
            before = before[:-1]
        negative = tokens[start - 1].text.lower() in _MINUS if start else False
        if negative:
            before = before[:-1]
        found = _signed(tokens, start) if _BEFORE.fullmatch(before) else None
        after = _behind(tokens, found[1]) if found else None
        if found and after is not None:
            value = _scaled(found[0], tokens[found[1] : found[1] + 1]) * (-1 if negative else 1)
            return Stated(value, len(_WORDS.findall(before)), after)
    return None


def _scaled(value: Fraction, behind: Sequence[_Token]) -> Fraction:
    """The value in the scale that the word behind it names: `3 million`."""
    word = behind[0].text.lower() if behind else ""
    return value * Fraction(10) ** _SCALES.get(word, _SCALES.get(word[:1], 0))


def _behind(tokens: Sequence[_Token], at: int) -> int | None:
    """How many words stand behind a number that ends at `at`; None for more than words."""
    codes = _codes(tokens[at:])
    ranged = codes.startswith("-n") and not (tokens[at].spaced or tokens[at + 1].spaced)
    if ranged and (_numeral(tokens, at - 1) or 0) < (_numeral(tokens, at + 1) or 0):
        codes = "w" + codes[2:]
    return len(_WORDS.findall(codes)) if _BEHIND.fullmatch(codes) else None


_Parsed = tuple[Fraction, int] | None
"""A value and the index of the token behind it."""


def _signed(tokens: Sequence[_Token], at: int) -> _Parsed:
    sign = 0
    while at < len(tokens) and tokens[at].code in ("-", "+", "c"):
        if tokens[at].code != "c":
            if sign:
                return None
            sign = -1 if tokens[at].code == "-" else 1
        at += 1
    found = _mixed(tokens, at) or _quotient(tokens, at)
    return (found[0] * (sign or 1), found[1]) if found else None


def _mixed(tokens: Sequence[_Token], at: int) -> _Parsed:
    """A whole number and a proper fraction: `2 1/3`, `2\\frac{1}{3}`."""
    whole = _numeral(tokens, at)
    if whole is None or whole.denominator > 1:
        return None
    part = _fraction(tokens, at + 1) or _plain_fraction(tokens, at + 1)
    return (whole + part[0], part[1]) if part and 0 < part[0] < 1 else None


def _plain_fraction(tokens: Sequence[_Token], at: int) -> _Parsed:
    top, below = _numeral(tokens, at), _numeral(tokens, at + 2)
    if top is None or not below or tokens[at + 1].code != "/":
        return None
    return top / below, at + 3


def _quotient(tokens: Sequence[_Token], at: int) -> _Parsed:
    top = _power(tokens, at)
    if top is None or _codes(tokens[top[1] : top[1] + 1]) != "/":
        return top
    sign = -1 if _codes(tokens[top[1] + 1 : top[1] + 2]) == "-" else 1
    below = _power(tokens, top[1] + 1 + (sign < 0))
    if below is None:  # `5/hour`: the slash belongs to a unit
        return top
    return _checked(sign * top[0] / below[0], below[1]) if below[0] else None


def _power(tokens: Sequence[_Token], at: int) -> _Parsed:
    """A number to a power of digits, or with a power of ten: `2^10`, `1.5 * 10^6`."""
    base = _atom(tokens, at)
    if base is None:
        return None
    value, at = base
    if _codes(tokens[at : at + 1]) == "^":
        exponent = _exponent(tokens, at + 1)
        return _raised(value, *exponent) if exponent else None
    times = tokens[at].text if at < len(tokens) else ""
    if _codes(tokens[at + 1 : at + 3]) == "n^" and _numeral(tokens, at + 1) == 10:
        exponent = _exponent(tokens, at + 3)
        if exponent and (tokens[at].code == "*" or times in ("x", "X")):
            ten = _raised(Fraction(10), *exponent)
            return ten and _checked(value * ten[0], ten[1])
    return value, at


def _exponent(tokens: Sequence[_Token], at: int) -> tuple[int, int] | None:
    found = _EXPONENT.match(_codes(tokens[at : at + 4]))
    if found is None:
        return None
    value = _numeral(tokens, at + found[0].index("n"))
    if value is None or value.denominator > 1 or value > _BITS:
        return None
    return int(value) * (-1 if "-" in found[0] else 1), at + found.end()


def _raised(value: Fraction, power: int, end: int) -> _Parsed:
    size = max(value.numerator.bit_length(), value.denominator.bit_length())
    if (not value and power < 0) or size * abs(power) > 4 * _BITS:
        return None
    return _checked(value**power, end)


def _atom(tokens: Sequence[_Token], at: int) -> _Parsed:
    """A numeral, a fraction of LaTeX, or either in brackets."""
    value = _numeral(tokens, at)
    if value is not None:
        return value, at + 1
    found = _fraction(tokens, at)
    if found or at >= len(tokens) or tokens[at].code not in ("(", "{"):
        return found
    inner = _signed(tokens, at + 1)
    if inner is None or _codes(tokens[inner[1] : inner[1] + 1]) not in (")", "}"):
        return None
    return inner[0], inner[1] + 1


def _fraction(tokens: Sequence[_Token], at: int) -> _Parsed:
    r"""`\frac{1}{2}` and `\frac12`, with any number in its braces."""
    if _codes(tokens[at : at + 1]) != "F":
        return None
    digits = tokens[at + 1].text.removesuffix("e0") if at + 1 < len(tokens) else ""
    if len(digits) == 2 and digits.isdecimal():
        return (Fraction(int(digits[0]), int(digits[1])), at + 2) if digits[1] != "0" else None
    top = _atom(tokens, at + 1)
    below = _atom(tokens, top[1]) if top else None
    return _checked(top[0] / below[0], below[1]) if top and below and below[0] else None


def _numeral(tokens: Sequence[_Token], at: int) -> Fraction | None:
    if at >= len(tokens) or tokens[at].code != "n" or len(tokens[at].text) > _DIGITS + 5:
        return None
    return Fraction(tokens[at].text)


def _checked(value: Fraction, end: int) -> _Parsed:
    size = max(value.numerator.bit_length(), value.denominator.bit_length())
    return (value, end) if size <= 4 * _BITS else None
