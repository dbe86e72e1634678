"""The lengths of an expert's texts on its profile: tokens, characters and seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orchestra.records import Usage


class Call(NamedTuple):
    """One call of a profile."""

    letters: int
    """Characters sent."""
    tokens: int
    """Input and output together."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Input and output of one expert on its profile, as means of a call."""

    calls: int
    """Calls that gave a text, at least 1."""
    letters: float
    """Characters sent."""
    input_tokens: float
    output_tokens: float
    """Reasoning included."""
    output_sd: float | None = None
    """Standard deviation of the output tokens from call to call; None: of a single call."""
    seconds: float | None = None
    """Only of calls to a remote server, since the seconds of this machine do not apply to others.
    None: not known."""
    estimated: bool = False
    """Whether any token was estimated rather than reported."""

    @classmethod
    def of(cls, calls: Sequence[Call], usage: Usage, *, timed: bool = False) -> Lengths:
        """Lengths of at least one call.

        Known are the sums of input and of output, and each call's sum of both. A call's input
        is taken as proportional to its characters; the deviation is that of the rest.

        Args:
            calls: those that gave a text.
            usage: their total usage, failed attempts included.
            timed: whether seconds would be similar from another machine.
        """
        n, letters = len(calls), sum(call.letters for call in calls)
        ratio = usage.input_tokens / max(letters, 1)
        written = [call.tokens - ratio * call.letters for call in calls]
        return cls(
            n,
            round(letters / n, 2),
            round(usage.input_tokens / n, 2),
            round(usage.output_tokens / n, 2),
            None if n < 2 else round(_deviation(written), 2),
            round(usage.seconds / n, 3) if timed and usage.seconds else None,
            usage.estimated,
        )

    def pooled(self, other: Lengths) -> Lengths:
        """Of the calls of both, which must not be the same calls."""
        n = self.calls + other.calls
        parts = [(self.calls, self), (other.calls, other)]
        mean = sum(calls * each.output_tokens for calls, each in parts) / n
        squares = sum(
            (calls - 1) * (each.output_sd or 0.0) ** 2 + calls * (each.output_tokens - mean) ** 2
            for calls, each in parts
        )
        seconds = [(calls, each.seconds) for calls, each in parts if each.seconds is not None]
        timed = sum(calls for calls, _ in seconds)
        return Lengths(
            n,
            round(sum(calls * each.letters for calls, each in parts) / n, 2),
            round(sum(calls * each.input_tokens for calls, each in parts) / n, 2),
            round(mean, 2),
            round(math.sqrt(squares / (n - 1)), 2),
            round(sum(calls * each for calls, each in seconds) / timed, 3) if timed else None,
            self.estimated or other.estimated,
        )


def joined(
    mine: Mapping[str, Lengths], theirs: Mapping[str, Lengths], *, apart: bool
) -> dict[str, Lengths]:
    """Both by expert; one in both is pooled where the calls are `apart`, else more calls win."""
    both = {**theirs, **mine}
    for name in mine.keys() & theirs.keys():
        first, second = mine[name], theirs[name]
        longer = second if second.calls > first.calls else first
        both[name] = first.pooled(second) if apart else longer
    return both


def _deviation(values: Sequence[float]) -> float:
    # Sums that do not depend on their order, so that a table's bytes do not depend on arrival.
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
