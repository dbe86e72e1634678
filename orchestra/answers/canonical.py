r"""One canonical spelling for each answer value, so that equal answers are equal strings.

`choice` and `open_ended` find the value in a model's output; this module only spells it.
"""

from __future__ import annotations

import ast
import cmath
import re
import unicodedata
import warnings
from functools import lru_cache

from orchestra.answers.numbers import DASHES, spelled, stated
from orchestra.records import Kind

_STYLED = re.compile(r"\\(?:text|math)\w{0,2}\s?\{([^{}]*+)\}")


def number(value: str) -> str | None:
    """Canonical form of the number that `value` states, or None if it states none (`stated`)."""
    found = stated(value)
    return spelled(found.value) if found else None


def unstyled(value: str) -> str:
    r"""The content of `\text{...}` or another typographic macro; else `value` itself."""
    found = _STYLED.fullmatch(value.strip())
    return found[1] if found else value


_LONGEST = 20_000
"""Most characters of a value; a longer one is not a short answer."""
_LONGEST_OF = {Kind.TEXT: 2_000, Kind.NUMBER: 5_000}
"""The same for short texts and for what holds a number."""
_LONGEST_LINE = 400
"""The same for a line of prose: it is compared as a text is, and longer prose as it stands."""
_DEEPEST = 50
"""Most open brackets in a literal; deeper ones stay text."""

# Only text made of these tokens is given to the parser: it has no deep or slow case then.
_TOKEN = re.compile(
    rf"\s++|(?P<open>[\[({{])|(?P<close>[\])}}])|(?P<sign>[{DASHES}+])|(?P<comma>[,:])|"
    r"(?P<atom>[rRbBuU]{0,2}(?:'(?:[^'\\\n]|\\.)*+'|\"(?:[^\"\\\n]|\\.)*+\")|"
    r"\d[\w.]*+|\.\d\w*+|(?:True|False|None|set\(\))(?!\w))",
    re.DOTALL,
)
# What may stand behind a literal: punctuation, a comment, an end token.
_AFTER = re.compile(r"[.,;!]*\s*\*{0,3}[.,;!]*\s*(?:(?:[#`$]|</?\w|<[|\uff5c]).*)?", re.DOTALL)
_WORDS = re.compile(
    r"[.,;:!]*\s+\(?(?!(?:if|else|for|in|and|or|not)\b)[^\W\d_][^\n'\"\[\](){}\d=]*\)?[.!]*"
)
"""Words behind brackets or quotes that continue the sentence: no operators, no other value."""
_COMPARED = re.compile(
    r"'(?:[^'\\\n]|\\.)*+'?|\"(?:[^\"\\\n]|\\.)*+\"?|(?P<open>[\[({])|[\])}]|"
    r"(?P<same>==|[-=]>|(?<=\s)is(?=\s))|(?P<comma>,)",
    re.DOTALL,
)
_ARTICLES = frozenset(("a", "an", "the"))

# Rewritten in texts before they lose their punctuation: superscripts, fractions, pauses, then
# in normal form `.5`, `f'`, `(2n)!` and `[0, 1)`.
_RAISED = re.compile(
    "(?<=\\S)[\u207a\u207b]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+(?![\u207a\u207b])"
)
_MIXED = re.compile("(?<=\\d)(?=[\u00bc-\u00be\u2150-\u215e\u2189])")
_PAUSE = re.compile("(?<=\\w)[\u2014\u2015\u2e3a\u2e3b]|[\u2014\u2015\u2e3a\u2e3b](?!\\S)")
_SIGN = re.compile(f"[{DASHES}]")
_POINT = re.compile(r"(?<![\w.])\.(?=\d)")
_PRIME = re.compile(r"(?<![\w'\"\u2018\u201c])([^\W\d_])(['\u2019]{1,3})(?!\w)")
_TIE = re.compile(r"(?:(?<=[\w}.,])|(?<=(?:rm|xt|bf|it)\{))~")
"""A space of LaTeX, `5~\\mathrm{~J}`; before a word, `~p` denies."""
_CLOSED = re.compile(r"[)\]}]{1,9}(?=!)")
_END = r"([-+]?(?:\d|\.\d|\u221e)[^\s\[\](),]{0,40})"
_INTERVAL = re.compile(rf"(?:\[\s?{_END}\s?,\s?{_END}\s?[\])]|\(\s?{_END}\s?,\s?{_END}\s?\])")
_RELATIONS = str.maketrans(
    {
        **dict.fromkeys("\u2264\u2266\u2a7d", "<="),
        **dict.fromkeys("\u2265\u2267\u2a7e", ">="),
        **{"\u2260": "!=", "\u2044": "/", "\u2215": "/", "\u00f7": "/", "\u2217": "*"},
        **dict.fromkeys("\u22c5\u2219", " "),
    }
)
_MEANING = frozenset(
    "%\u2030\u2031\u2032!#&*./^\u2308\u2309\u230a\u230b\u25a1\u25c7\u25ca\u266d\u266e"
)
"""Punctuation and symbols that texts keep beside mathematical symbols, currencies and arrows."""
_EXCLAIMED = re.compile(r"(?<![^\W\d_])[^\W_]!+")
"""A factorial, not the end of an exclamation: behind a digit or a single letter."""


def canonical(value: str, kind: Kind) -> str | None:
    """The canonical spelling of `value` as an answer of `kind`; None if it is not one.

    Numbers: plain decimals without trailing zeros, `1/3` where no decimal is exact.
    Literals: `repr` of the Python value, dicts and sets in order of their keys' `repr`;
    text that is not a literal is read as a string. Texts: case-folded, without punctuation,
    articles and doubled spaces. Letters: upper case. Never raises.
    """
    if kind is Kind.OPEN:
        short = len(value) <= _LONGEST_LINE and "\n" not in value.strip()
        return (plain(value) if short else value.strip()) or None
    if len(value) > _LONGEST_OF.get(kind, _LONGEST):
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
    """`repr` of the Python literal in `value`; other text counts as a bare string.

    `f(1) == [2]` and `assert f(1) == [2]` hold what stands behind the equals signs.
    """
    text = value.strip().strip("`").strip()
    if not text:
        return None
    text = text if (found := leading(text)) else _compared(text)
    return found or leading(text) or repr(text)


def leading(text: str, *, words: bool = True) -> str | None:
    """The canonical spelling of the literal that `text` is or begins with, None for other text.

    Punctuation, a comment or an end token may follow it, and behind brackets or quotes also
    `words`.
    """
    text = text.strip()
    end = _literal_end(text) if len(text) <= _LONGEST else 0
    closed = text[end - 1 : end] in ("]", ")", "}", "'", '"')
    if _AFTER.fullmatch(text, end) or (words and closed and _WORDS.fullmatch(text, end)):
        return parsed(text[: end - 1] if end == len(text) and text[-1:] == "." else text[:end])
    return None


def _compared(text: str) -> str:
    """What an assertion or a call is compared with, `f(1) == 2`; `text` itself for other text."""
    depth = first = last = 0
    stop = len(text)
    for found in _COMPARED.finditer(text):
        if found["same"] and depth == 0:
            first, last, stop = first or found.start(), found.end(), len(text)
        elif found["comma"] and depth == 0 and last:
            stop = min(stop, found.start())
        elif found[0] in ("[", "(", "{", "]", ")", "}"):
            depth += 1 if found["open"] else -1
    head, asserts = text[:first].rstrip(), text.startswith("assert ")
    value = text[last : stop if asserts else len(text)].strip()
    if asserts and leading(value) is None:
        value = leading(head.removeprefix("assert "), words=False) or value
    return value if asserts or (last and head.endswith((")", "]"))) else text


def parsed(text: str) -> str | None:
    """The canonical spelling of `text` as a Python literal, or None if it is not one."""
    text = text.strip()
    if len(text) > _LONGEST or not text or _literal_end(text) < len(text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(_plain_signs(text))
            # `6,8` is more likely a string than a tuple without its brackets.
            loose = isinstance(value, tuple) and text[0] not in "(\"'"
            return None if loose else _repr(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _plain_signs(text: str) -> str:
    """A literal with the plain sign for other minus signs outside its strings."""
    if text.isascii():
        return text
    return _TOKEN.sub(lambda found: "-" if found["sign"] not in (None, "+") else found[0], text)


def _literal_end(text: str) -> int:
    """Where the longest start of `text` ends that is made of a literal's tokens and closed.

    0 where there is none, or where it has many brackets inside each other or signs in a row.
    """
    at = depth = signs = end = 0
    while (token := _TOKEN.match(text, at)) is not None:
        at, kind = token.end(), token.lastgroup
        if kind is None:
            continue
        signs = {"sign": signs + 1, "atom": signs}.get(kind, 0)
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if depth > _DEEPEST or signs > 3:
            return 0
        if depth < 0:
            break
        if depth == 0 and kind in ("atom", "close"):
            end = at
    return end


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
    """`value` in compatibility normal form and folded case, with one spelling of each sign."""
    if not value.isascii():
        value = _RAISED.sub(r"^\g<0>", _MIXED.sub(" ", "".join(map(_visible, value))))
        value = _SIGN.sub("-", _PAUSE.sub(" ", unicodedata.normalize("NFKC", value)))
        value = unicodedata.normalize("NFKC", value.casefold()).translate(_RELATIONS)
    value = _POINT.sub("0.", value.casefold())
    if "'" in value or "\u2019" in value:
        value = _PRIME.sub(lambda found: found[1] + "\u2032" * len(found[2]), value)
    value = _TIE.sub(" ", value)
    if "!" in value:
        value = _CLOSED.sub("", value)
    return (
        _INTERVAL.sub(lambda found: "".join(found[0].split()), value)
        if "[" in value or "]" in value
        else value
    )


def plain(value: str) -> str:
    """Case-folded words of `value` without punctuation and articles, joined by single spaces.

    Symbols that carry meaning stay: operators, relations, signs, currencies other than `$`.
    """
    text, kept, at = fold(value), [], 0
    for found in _INTERVAL.finditer(text):
        kept += [*map(_meant, text[at : found.start()]), found[0]]
        at = found.end()
    words = [_bare(word) for word in "".join([*kept, *map(_meant, text[at:])]).split()]
    words = [word for word in words if word]
    # An article precedes a word: the last A of `vitamin A` is not one.
    return " ".join(
        word
        for word, after in zip(words, [*words, ""][1:], strict=True)
        if word not in _ARTICLES or not after[:1].isalnum()
    )


@lru_cache(maxsize=4_096)
def _visible(char: str) -> str:
    """The character; "" for one that only formats others."""
    formats = unicodedata.category(char) == "Cf" or "\ufe00" <= char <= "\ufe0f"
    return "" if formats else char


@lru_cache(maxsize=4_096)
def _meant(char: str) -> str:
    """The character if it carries meaning in a short text, else a space."""
    category = unicodedata.category(char)
    if char in _MEANING or category[0] in "LNM" or category in ("Sm", "Pd"):
        return char
    if category == "Sc":
        return " " if char == "$" else char
    return char if category == "So" and "\u2190" <= char <= "\u23ff" else " "


def _bare(word: str) -> str:
    """A word without the full stops and exclamation marks around it, and the mark of a heading."""
    word = word.lstrip(".#").rstrip(".")
    end = len(word.rstrip("!."))
    return word if end and _EXCLAIMED.fullmatch(word, end - 1) else word[:end]
