"""Whether a text without an answer says that it gives none.

Knows how models decline, and how they say that no option fits; does not know whether
the text states an answer elsewhere (the cascade asks only where no rule found one).
"""

from __future__ import annotations

import re

_TAIL = 400
"""Characters at the end of the text that are looked at."""
_SIGNS = (
    "none of",
    "not ",
    "no ",
    "n't ",
    "n\u2019t ",
    "cannot",
    "unable",
    "impossible",
    "sorry",
    "as an ai",
)
_REFUSED = re.compile(
    r"\bnone of (?:the (?:above|options|choices|provided|given|listed|other|answers)|these|them)\b|"
    r"\bnot (?:listed|among|in|provided|included|given)\b.{0,40}\b(?:options|choices|answers)\b|"
    r"\banswer (?:is|does|was)(?: not|n['\u2019]t) "
    r"(?:listed|provided|included|given|appear|available|exist)|"
    r"\bno (?:correct|valid|suitable|definite) (?:answer|option|choice)|"
    r"\b(?:cannot|can not|can['\u2019]t|could not|couldn['\u2019]t|unable to|impossible to|"
    r"not possible to)\b.{0,30}\b(?:answer|determine|assist|help|provide|solve|tell|decide)|"
    r"\bnot enough information\b|\bi(?:['\u2019]m| am) (?:sorry|unable|not able)\b|\bas an ai\b"
)


def refused(text: str) -> bool:
    """Whether the end of `text` declines to answer, or says that no option is right."""
    tail = text[-_TAIL:].lower()
    return any(sign in tail for sign in _SIGNS) and _REFUSED.search(tail) is not None
