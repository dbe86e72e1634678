"""One expert's part in what a run would take: tokens, money and seconds of its calls.

Knows lengths, characters, prices and what of them is uncertain; does not know plans,
questions or other experts.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestra.roster import Expert, Price
from orchestra.scheduling.intervals import NOTHING, Span, predicted, total
from orchestra.scheduling.rate_limits import Load

_CHARACTERS_PER_TOKEN = 4
"""Rule of thumb for English text."""
_FEWEST_CHARACTERS, _MOST_CHARACTERS = 3, 5
"""A token's, where tokens were not counted: text full of numbers or signs, and English prose."""
_COUNTED = 0.1
"""A ratio that was counted on the profile is taken to hold within this share on other questions:
assumed, for sums do not tell how it varies."""


@dataclass(frozen=True, slots=True)
class Length:
    """How much one expert usually writes for one question."""

    tokens: float
    """Mean output tokens of a call."""
    seconds: float | None = None
    """Mean seconds of a call; None: not known."""
    known: bool = True
    """False: `tokens` is the most that it may write, for want of anything better."""
    deviation: float | None = None
    """Standard deviation of `tokens` from call to call; None: not known."""
    seen: int = 1
    """Calls that it was learned from."""
    per_letter: float | None = None
    """Tokens of a character that is sent, as counted; None: they were not counted."""

    def written(self, calls: float, most: float, *, cut: bool = True) -> Span:
        """Output tokens of some calls, `most` each at most where texts are `cut` there."""
        usual = self.tokens * calls
        if self.known and self.deviation is not None and self.seen > 1:
            span = predicted(self.tokens, self.deviation, seen=self.seen, draws=calls)
            if cut and span.high > max(most * calls, usual):
                return Span(span.low, span.usual, max(most * calls, usual))
            return span
        return Span(min(calls, usual), usual, max(most * calls, usual), bound=True)


@dataclass(frozen=True, slots=True)
class Share:
    """One expert's part in a forecast."""

    expert: str
    seats: int
    """Calls that are planned."""
    input_tokens: int
    output_tokens: int
    money: float | None
    """US dollars; None: no price is known."""
    seconds: float | None
    """Of its calls one after another; None: not known."""
    ceiling: bool
    """Whether output tokens and money are the most it may cost, rather than what is usual."""
    reads: Span
    """Input tokens; the upper end includes what it may read in place of others."""
    writes: Span
    """Output tokens of its seats."""
    more: Span = NOTHING
    """Output tokens of calls that it may get in place of others: nothing up to the upper end."""
    load: Load | None = None
    """Its calls as a server sees them; None: it is on this machine."""
    price: Price | None = None
    free: bool = False
    """Whether it costs nothing where no price is given: it runs on this machine."""
    pace: float | None = None
    """Seconds for an output token, all else included; None: not known."""

    @property
    def output(self) -> Span:
        """All output tokens."""
        return total((self.writes, self.more))

    @property
    def spending(self) -> Span | None:
        """US dollars; None: no price is known."""
        parts = self.bill()
        return None if parts is None else total(parts)

    @property
    def takes(self) -> Span | None:
        """Seconds of its calls one after another, which vary as its output does."""
        return None if self.pace is None else self.output.times(self.pace)

    def bill(self) -> tuple[Span, Span, Span] | None:
        """What it reads, writes and may write in place of others, in US dollars; None: as above."""
        if self.price is None:
            return None
        read, written = self.price.input / 1e6, self.price.output / 1e6
        return self.reads.times(read), self.writes.times(written), self.more.times(written)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one expert is sent."""

    calls: int
    """Planned."""
    letters: int
    """Characters of their prompts."""
    most: int
    """Output tokens of one at most."""
    extra: float = 0.0
    """Most calls in place of others."""
    extra_letters: float = 0.0
    """Characters of their prompts."""


def share_of(expert: Expert, usual: Length, asked: Asked) -> Share:
    """What its calls take, if it writes as much as usual."""
    seats, extra, most = asked.calls, asked.extra, asked.most
    cut = not expert.replayed  # recordings are as long as they are
    reads = _reads(usual, asked.letters, asked.extra_letters)
    writes = usual.written(seats, most, cut=cut)
    sent, got = round(reads.usual), round(writes.usual)
    return Share(
        expert.name,
        seats,
        sent,
        got,
        expert.price.money(sent, got) if expert.price else None,
        None if usual.seconds is None else usual.seconds * seats,
        not usual.known,
        reads,
        writes,
        more=Span(0.0, 0.0, usual.written(extra, most, cut=cut).high, bound=True),
        load=_load(usual, seats, extra, most) if expert.hosted else None,
        price=expert.price,
        free=not expert.hosted,
        pace=_pace(usual),
    )


def _reads(usual: Length, letters: int, more: float) -> Span:
    """Input tokens of some characters, and of those that may come to them."""
    if usual.per_letter:
        counted = usual.per_letter * letters
        return Span(
            (1 - _COUNTED) * counted,
            counted,
            (1 + _COUNTED) * (counted + usual.per_letter * more),
            bound=True,
        )
    return Span(
        letters / _MOST_CHARACTERS,
        -(-letters // _CHARACTERS_PER_TOKEN),
        (letters + more) / _FEWEST_CHARACTERS,
        bound=True,
    )


def _pace(usual: Length) -> float | None:
    return None if usual.seconds is None or not usual.tokens else usual.seconds / usual.tokens


def _load(usual: Length, seats: int, extra: float, most: int) -> Load:
    spread = usual.deviation / usual.tokens if usual.deviation and usual.tokens else None
    return Load(Span(seats, seats, seats + extra), usual.seconds, spread, most)
