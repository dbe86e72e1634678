r"""One canonical spelling for each answer value, so that equal answers are equal strings.

`choice` and `open_ended` find the value in a model's output; this module only spells it.
"""

from __future__ import annotations

import ast
import cmath
import re
import unicodedata
import warnings

from orchestra.answers.numbers import spelled, stated
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
