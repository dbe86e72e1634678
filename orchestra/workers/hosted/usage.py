"""What the draws of one call cost, by what the server reports.

Knows the ways in which servers count tokens; does not know what was said. What a server says it
used is believed, if it can be; what it does not say is estimated, and marked so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from orchestra.records import Request, Usage
from orchestra.roster import Price

_CHARACTERS_PER_TOKEN = 4
_MOST = 10_000_000
"""Counts that are larger are none: no context holds as many tokens."""
_DEEP, _MANY = 3, 50
"""Levels of a reply that may hold counts, and entries of each."""

_COUNTS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "prompt_tokens": r"(num|n)?(prompt|input)(tokens?|tokens?count)|prompt(evalcount|n)"
        r"|tokens(prompt|input|in|evaluated)",
        "completion_tokens": r"(num|n)?(completion|output|generat(ed|ion)|candidates|response)"
        r"(tokens?|tokens?count)|evalcount|predictedn"
        r"|tokens(completion|output|out|predicted|generated)",
        "total_tokens": r"total(tokens?|tokens?count)|tokenstotal",
        "reasoning_tokens": r"(reasoning|thinking|thoughts?)(tokens?|tokens?count)",
        "cached_tokens": r"(prompt|input)?(cached?|cachehit|cachedcontent|cacheread)(prompt|input)?"
        r"(tokens?|tokens?count)|tokenscached",
    }.items()
}
"""OpenAI's name of each count, and how all servers spell it in small letters alone."""


def counts(reply: Mapping[str, Any]) -> dict[str, int]:
    """The counts of tokens that a reply reports, by OpenAI's names; details stand beside sums.

    Those under `usage` come before all others: beside the choices, or in an object there. What is
    no whole number from 0 to ten millions is no count.
    """
    found = _level([reply.get("usage")])
    if found.keys() >= {"prompt_tokens", "completion_tokens"}:
        return found
    rest = {key: value for key, value in islice(reply.items(), _MANY) if key not in _APART}
    return {**_level([rest]), **found}


_APART = frozenset({"choices", "usage", "error"})


def _level(level: list[object]) -> dict[str, int]:
    """The counts of some objects and, where they have none, of those within them."""
    found: dict[str, int] = {}
    for _ in range(_DEEP):
        here: dict[str, int] = {}
        mappings = [each for each in level[:_MANY] if isinstance(each, dict)]
        level = []
        for key, value in islice(chain.from_iterable(map(dict.items, mappings)), _MANY):
            if isinstance(value, int | float):
                if (name := _meaning(key)) and (count := _count(value)) is not None:
                    here[name] = max(count, here.get(name, 0))
            elif value:
                level.append(value)
        found = here | found
        if not level:
            break
    return found


@lru_cache(512)
def _meaning(key: str) -> str:
    """OpenAI's name for a count; nothing for what is none."""
    letters = re.sub("[^a-z]", "", key[:100].lower())
    return next((name for name, known in _COUNTS.items() if known.fullmatch(letters)), "")


def usages(
    told: Mapping[str, int],
    requests: Sequence[Request],
    letters: Sequence[int],
    *,
    seconds: float,
    price: Price | None,
) -> list[Usage]:
    """What each draw cost; at least one, for a reply without draws.

    Draws of one call share the prompt: the first bears its tokens and the call itself.

    Args:
        told: the `counts` of the reply; empty if it has none.
        requests: what was asked.
        letters: how many characters each draw has, reasoning included.
        seconds: how long the call took.
        price: what the expert charges.
    """
    read, written, known = _tokens(told, requests[0], letters)
    thought, cached = told.get("reasoning_tokens", 0), told.get("cached_tokens", 0)
    weights = letters or [1]
    found = []
    parts = zip(apportioned(written, weights), apportioned(thought, weights), strict=True)
    for index, (output, reasoning) in enumerate(parts):
        mine = read if index == 0 else 0
        found.append(
            Usage(
                calls=int(index == 0),
                input_tokens=mine,
                output_tokens=output,
                reasoning_tokens=reasoning,
                cached_tokens=cached if index == 0 else 0,
                estimated=not known,
                seconds=seconds / len(weights),
                money=price.money(mine, output) if price else 0.0,
            )
        )
    return found


def apportioned(whole: int, weights: Sequence[int]) -> list[int]:
    """`whole` in parts by weight; whole numbers whose sum is `whole`."""
    if len(weights) == 1:
        return [whole]
    if not any(weights):
        weights = [1] * len(weights)
    total = sum(weights)
    parts, given, passed = [], 0, 0
    for weight in weights:
        passed += weight
        upto = whole * passed // total
        parts.append(upto - given)
        given = upto
    return parts


def _tokens(
    told: Mapping[str, int], request: Request, letters: Sequence[int]
) -> tuple[int, int, bool]:
    """Tokens that were read and written, and whether the server reported both."""
    read, written = told.get("prompt_tokens"), told.get("completion_tokens")
    if written == 0 and any(letters):  # a server that does not count
        written, read = None, read or None
    if read is not None and written is not None:
        # Some leave reasoning out of the completion, but not out of the sum nor the bill.
        return read, max(written, told.get("total_tokens", 0) - read), True
    if read is None:
        read = _estimated(sum(len(message.content) for message in request.messages))
    if written is None:
        written = sum(map(_estimated, letters))
    return read, written, False


def _estimated(letters: int) -> int:
    return -(-letters // _CHARACTERS_PER_TOKEN)


def _count(value: object) -> int | None:
    """A count of tokens; None if it is none."""
    if type(value) is float and value.is_integer():  # some send 12.0
        value = int(value)
    return value if type(value) is int and 0 <= value <= _MOST else None
