"""Longest answers first, so that a batch does not end with one long answer running alone.

Knows expected lengths as it is told them; changes no request. An engine keeps many answers
going side by side: what starts late and runs long is waited for by an idle device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestra.records import Request


def longest_first(
    requests: Sequence[Request], lengths: Mapping[str, float] | None = None
) -> list[Request]:
    """The requests of one load by expected output length, longest first.

    Args:
        requests: of one load; equal lengths keep their order.
        lengths: request key -> expected output tokens, where known. Others are expected to write
            in proportion to their prompt, at the rate of those that are known, and nobody more
            than `max_tokens`.
    """
    known = lengths or {}
    rate = _rate(requests, known)

    def expected(request: Request) -> float:
        length = known.get(request.key)
        guess = _letters(request) * rate if length is None else length
        # A prompt's letters are no tokens: without any known length they only rank.
        return min(guess, request.sampling.max_tokens) if known else guess

    return sorted(requests, key=expected, reverse=True)


def _rate(requests: Sequence[Request], lengths: Mapping[str, float]) -> float:
    """Output tokens for each letter of a prompt."""
    told = [request for request in requests if request.key in lengths]
    letters = sum(_letters(request) for request in told)
    return sum(lengths[request.key] for request in told) / letters if letters else 1.0


def _letters(request: Request) -> int:
    return sum(len(message.content) for message in request.messages)
