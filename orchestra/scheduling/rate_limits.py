"""How long calls to hosted experts take at least: limits a minute, and calls at once.

Knows what is sent to whom, declared limits and seconds of a call; does not know a key,
only the name of the variable that holds it. Servers go on side by side, and so do this
machine's own engines.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from orchestra.roster import Expert
from orchestra.scheduling.intervals import Span, exactly, longest, total
from orchestra.workers.hosted.open import provider_key

_AT_ONCE = 64
"""Calls in flight to a server that declares no limit."""
_MINUTE = 60.6
"""Seconds: windows are kept a hundredth longer than a minute, as the throttle keeps them."""
_SPREAD = 1.0
"""Of a call's seconds, relative to their mean, where it was not measured."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Load:
    """One expert's calls as its server sees them."""

    calls: Span
    seconds: float | None
    """Mean of a call; None: not known."""
    spread: float | None
    """Standard deviation of a call's seconds relative to their mean; None: not known."""
    reserved: int
    """Output tokens that are set aside for a call before it is made."""


@dataclass(frozen=True, slots=True)
class Work:
    """One expert with all that it is sent."""

    expert: Expert
    load: Load
    reads: Span
    """Input tokens."""
    writes: Span
    """Output tokens."""
    takes: Span | None
    """Seconds of its calls one after another; None: not known."""


@dataclass(frozen=True, slots=True)
class Elapsed:
    """How long a run takes, by the clock on the wall."""

    seconds: Span
    bottleneck: str
    """What takes longest."""
    at_least: bool
    """Whether something else takes part of which nothing is known."""


def elapsed(works: Iterable[Work], engines: float | None) -> Elapsed | None:
    """The longest of all servers and of this machine's engines.

    Args:
        works: what hosted experts are sent.
        engines: seconds that engines here take, 0 if there are none; None: not known.

    Returns:
        None where nothing is known.
    """
    spans: list[tuple[str, Span]] = []
    keys: dict[tuple[str, ...], list[Work]] = {}
    for work in works:
        keys.setdefault(provider_key(work.expert), []).append(work)
    unknown = engines is None
    if engines:
        spans.append(("the engines of this machine", exactly(engines)))
    for group in keys.values():
        spans += _limits(group)
        unknown |= any(work.takes is None for work in group)
    if not spans:
        return None
    bottleneck, _ = max(spans, key=lambda each: (each[1].usual, each[1].high))
    return Elapsed(longest(span for _, span in spans), bottleneck, unknown)


def in_turn(first: Sequence[Work], then: Sequence[Work], engines: float | None) -> Elapsed | None:
    """As `elapsed`, where nothing else begins before the first works are done."""
    together = elapsed((*first, *then), engines)
    if together is None:
        return None
    parts = [elapsed(first, 0.0), elapsed(then, engines)]
    after = total(part.seconds for part in parts if part is not None)
    # Limits a minute go on from one to the other.
    return replace(together, seconds=longest((after, together.seconds)))


def _limits(group: Sequence[Work]) -> list[tuple[str, Span]]:
    """What each limit of one key makes its calls take, with the limit's name."""
    where = _place(group[0].expert)
    calls = total(work.load.calls for work in group)
    tokens = total(part for work in group for part in (work.reads, work.writes))
    limits = [work.expert.limits for work in group]
    requests_most = _least(limit.requests_per_minute for limit in limits)
    tokens_most = _least(limit.tokens_per_minute for limit in limits)
    at_once = float(_least(limit.concurrency for limit in limits) or _AT_ONCE)
    last = _last(group)
    named = []
    if requests_most is not None:
        span = total((_windows(calls, requests_most), last))
        named.append((f"requests a minute of {where}", span))
    if tokens_most is not None:
        span = total((_windows(tokens, tokens_most), last))
        named.append((f"tokens a minute of {where}", span))
    side_by_side = at_once
    if tokens_most is not None:
        side_by_side = max(min(at_once, tokens_most / _reserved(group)), 1.0)
    if (span_at_once := _at_once(group, side_by_side)) is not None:
        name = "calls at once to" if side_by_side == at_once else "tokens reserved a minute at"
        named.append((f"{name} {where}", span_at_once))
    return named


def _place(expert: Expert) -> str:
    """The server as a person knows it, and never a key."""
    where = expert.base_url or expert.worker
    if expert.limits.per == "model":
        return f"{expert.model} at {where}"
    return where if expert.base_url or not expert.api_key_env else f"{where}, {expert.api_key_env}"


def _least(limits: Iterable[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _windows(amount: Span, most: int) -> Span:
    """Seconds until the last of it is let in.

    A whole minute's worth goes at once, then a minute passes. The upper end is that of a
    steady stream.
    """

    def waits(number: float) -> float:
        return _MINUTE * max(math.ceil(number / most) - 1, 0)

    return Span(waits(amount.low), waits(amount.usual), _MINUTE * amount.high / most, bound=True)


def _reserved(group: Sequence[Work]) -> float:
    """Tokens set aside for a call in the mean."""
    calls = max(sum(work.load.calls.usual for work in group), 1.0)
    asked = sum(work.load.reserved * work.load.calls.usual + work.reads.usual for work in group)
    return max(asked / calls, 1.0)


def _last(group: Sequence[Work]) -> Span:
    """Seconds of the call that comes last; none where not known."""
    known = [work.load for work in group if work.load.seconds]
    if not known:
        return exactly(0.0)
    mean = max(load.seconds or 0.0 for load in known)
    return Span(0.0, mean, max(_slowest(load, 1.0)[1] for load in known), bound=True)


def _at_once(group: Sequence[Work], at_once: float) -> Span | None:
    """Seconds of calls that go on side by side: an even share each, then the slowest runs on."""
    takes = [work.takes for work in group if work.takes is not None]
    if not takes:
        return None
    even = total(takes).times(1 / at_once)
    ends = [_slowest(work.load, work.load.calls.high) for work in group if work.load.seconds]
    means = [work.load.seconds or 0.0 for work in group]
    usual, high = max(each[0] for each in ends), max(each[1] for each in ends)
    alone = sum(work.load.calls.usual for work in group) <= at_once
    tail = usual if alone else max(usual, even.usual + usual / 2)
    return Span(max(even.low, max(means)), max(tail, even.usual), even.high + high, bound=True)


def _slowest(load: Load, calls: float) -> tuple[float, float]:
    """Seconds of the slowest of some calls, in the mean and at most with 97.5 %: lognormal."""
    mean, count = load.seconds or 0.0, max(calls, 1.0)
    spread = _SPREAD if load.spread is None else load.spread
    sigma = math.sqrt(math.log1p(spread**2))
    middle = math.log(mean) - sigma**2 / 2
    usual = math.exp(middle + sigma * _NORMAL.inv_cdf(max(count / (count + 1), 0.5)))
    high = math.exp(middle + sigma * _NORMAL.inv_cdf(1 - 0.025 / count))
    return max(usual, mean) if count == 1 else usual, high
