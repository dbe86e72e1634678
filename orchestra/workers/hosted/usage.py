"""What the draws of one call cost, by what the server reports.

Knows the ways in which servers count tokens; does not know what was said. What a server says it
used is believed; what it does not say is estimated, and marked so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.records import Request, Usage
from orchestra.roster import Price

_CHARACTERS_PER_TOKEN = 4
_MOST = 2**53
"""Numbers that are larger count nothing."""


def usages(
    told: Mapping[str, Any],
    requests: Sequence[Request],
    letters: Sequence[int],
    *,
    seconds: float,
    price: Price | None,
) -> list[Usage]:
    """What each draw cost; at least one, for a reply without draws.

    Draws of one call share the prompt: the first bears its tokens and the call itself.

    Args:
        told: the reply's `usage`; empty if it has none.
        requests: what was asked.
        letters: how many characters each draw has, reasoning included.
        seconds: how long the call took.
        price: what the expert charges.
    """
    read, written, known = _tokens(told, requests[0], letters)
    thought = _detail(told, "completion_tokens_details", "reasoning_tokens", "reasoning_tokens")
    cached = _detail(told, "prompt_tokens_details", "cached_tokens", "prompt_cache_hit_tokens")
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
    told: Mapping[str, Any], request: Request, letters: Sequence[int]
) -> tuple[int, int, bool]:
    """Tokens that were read and written, and whether the server reported both."""
    read, written = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    if written == 0 and any(letters):  # a server that does not count
        written, read = None, read or None
    if read is not None and written is not None:
        # Some leave reasoning out of the completion, but not out of the sum nor the bill.
        return read, max(written, (_count(told.get("total_tokens")) or 0) - read), True
    if read is None:
        read = _estimated(sum(len(message.content) for message in request.messages))
    if written is None:
        written = sum(map(_estimated, letters))
    return read, written, False


def _estimated(letters: int) -> int:
    return -(-letters // _CHARACTERS_PER_TOKEN)


def _detail(told: Mapping[str, Any], group: str, name: str, other: str) -> int:
    """A count among the details, or, by another name, beside them."""
    details = told.get(group)
    value = _count(details.get(name)) if isinstance(details, Mapping) else None
    return value or _count(told.get(other)) or 0


def _count(value: object) -> int | None:
    """A count of tokens; None if it is none."""
    if type(value) is float and value.is_integer():  # some send 12.0
        value = int(value)
    return value if type(value) is int and 0 <= value < _MOST else None
