"""What a run would take, from its plans alone: calls, loads, tokens and money, all estimates.

Knows seats, prompts and prices, and what it is told about lengths and absences; does
not generate or read anything. Time is told only where lengths in seconds are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestra.records import Plan, Question
from orchestra.roster import Roster
from orchestra.scheduling.batches import Loads, first_come_loads

_CHARACTERS_PER_TOKEN = 4
"""Rule of thumb for English text."""


@dataclass(frozen=True, slots=True)
class Length:
    """How much one expert usually writes for one question."""

    tokens: float
    """Mean output tokens of a call."""
    seconds: float | None = None
    """Mean seconds of a call; None: not known."""
    known: bool = True
    """False: `tokens` is the most that it may write, for want of anything better."""


@dataclass(frozen=True, slots=True)
class Share:
    """One expert's part in a forecast."""

    expert: str
    seats: int
    input_tokens: int
    output_tokens: int
    money: float | None
    """US dollars; None: no price is known."""
    seconds: float | None
    """Of its calls one after another; None: not known."""
    ceiling: bool
    """Whether output tokens and money are the most it may cost, rather than what is usual."""


@dataclass(frozen=True)
class Forecast:
    """What a run would take."""

    questions: int
    shares: tuple[Share, ...]
    """One for each expert with a seat, in the roster's order."""
    loads: Loads
    """Of the planned seats: one load for each expert, beside serving question by question."""
    extra_calls: float
    """Reserves that will probably be asked in place of absent answers."""

    @property
    def calls(self) -> int:
        """Planned seats."""
        return sum(share.seats for share in self.shares)


def forecast(
    plans: Sequence[Plan],
    questions: Mapping[str, Question],
    roster: Roster,
    *,
    lengths: Mapping[str, Length],
    absent: Mapping[str, float],
    calls: int,
) -> Forecast:
    """Estimate what carrying out some plans takes.

    Args:
        plans: who is to be asked.
        questions: question id -> question.
        roster: the experts.
        lengths: expert -> how much it usually writes; without an entry its `max_tokens`.
        absent: expert -> share of its answers that are absent, in [0, 1]; empty: reserves are
            not asked.
        calls: most calls for one question.
    """
    seats: dict[str, list[Question]] = {}
    extra = 0.0
    for plan in plans:
        asked = plan.seats[:calls]
        for seat in asked:
            seats.setdefault(seat.expert, []).append(questions[plan.question_id])
        spare = min(max(calls - len(asked), 0), len(plan.reserves))
        extra += min(sum(absent.get(seat.expert, 0.0) for seat in asked), spare)
    order = [[seat.expert for seat in plan.seats[:calls]] for plan in plans]
    shares = tuple(
        _share(roster, name, seats[name], lengths) for name in roster.names if name in seats
    )
    loads = Loads(len(seats), first_come_loads(order), len(seats))
    return Forecast(len(plans), shares, loads, extra)


def _share(
    roster: Roster, name: str, asked: Sequence[Question], lengths: Mapping[str, Length]
) -> Share:
    expert = roster[name]
    usual = lengths.get(name, Length(expert.sampling.max_tokens, known=False))
    letters = sum(len(m.content) for question in asked for m in expert.messages(question))
    sent = -(-letters // _CHARACTERS_PER_TOKEN)
    got = round(usual.tokens * len(asked))
    money = expert.price.money(sent, got) if expert.price else None
    seconds = None if usual.seconds is None else usual.seconds * len(asked)
    return Share(name, len(asked), sent, got, money, seconds, not usual.known)
