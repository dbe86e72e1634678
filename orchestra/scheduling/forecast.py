"""What a run would take, from its plans alone: calls, loads, tokens and money, all estimates.

Nothing is generated. Plans are read once, in turn, and only totals stay in memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestra.records import Plan, Question, Seat
from orchestra.roster import Expert, Roster
from orchestra.runs import Budget
from orchestra.scheduling.batches import Arrivals, Loads
from orchestra.scheduling.costs import CostModel
from orchestra.scheduling.expert_cost import Asked, Length, Share, share_of
from orchestra.scheduling.intervals import NOTHING, Span, exactly, total
from orchestra.scheduling.jobs import Job
from orchestra.scheduling.order import Order
from orchestra.scheduling.rate_limits import Elapsed


@dataclass(frozen=True)
class Forecast:
    """What a run would take."""

    questions: int
    shares: tuple[Share, ...]
    """One for each expert with a seat, in the roster's order."""
    loads: Loads
    """Of all stages in `order`, or of the planned seats where there is none."""
    extra_calls: float
    """Reserves that will probably be asked in place of absent answers."""
    jobs: tuple[Job, ...] = ()
    """The planned seats as work for the engines that hold the experts."""
    order: Order | None = None
    """Who is resident when; None: not asked for."""
    spare: tuple[Share, ...] = ()
    """Experts without a seat that may be asked in place of others."""
    time: Elapsed | None = None
    """What all takes where hosted experts take part; None: none does, or not known."""
    tag: Share | None = None
    """Of the keyword model, which names skills before all else; None: none does."""
    later: tuple[Share, ...] = ()
    """Of those who are shown drafts: who drafts again, and in the end the aggregator."""

    @property
    def asked(self) -> tuple[Share, ...]:
        """All that are certainly asked, in turn: the keyword model, those with seats, the later."""
        first = () if self.tag is None else (self.tag,)
        return (*first, *self.shares, *self.later)

    @property
    def calls(self) -> int:
        """Planned seats, and calls to name skills and to put drafts together."""
        return sum(share.seats for share in self.asked)

    @property
    def sent(self) -> Span:
        """Calls and those in place of absent answers; nothing for attempts that fail."""
        most = self.calls + _reserves(self.extra_calls)[0]
        return Span(self.calls, self.calls + self.extra_calls, most, bound=True)

    @property
    def input(self) -> Span:
        """Input tokens of all."""
        return total(share.reads for share in self.all_shares)

    @property
    def output(self) -> Span:
        """Output tokens of all."""
        return total(part for share in self.all_shares for part in (share.writes, share.more))

    @property
    def money(self) -> Span | None:
        """US dollars of all; None: no expert has a price, or one that needs a price has none."""
        paid = [share.bill() for share in self.all_shares if share.price or not share.free]
        known = [bill for bill in paid if bill is not None]
        if not known or len(known) < len(paid):
            return None
        return total(part for bill in known for part in bill)

    @property
    def seconds(self) -> Span | None:
        """Of all planned calls one after another; None: not known of some."""
        takes = [share.takes for share in self.asked]
        known = [each for each in takes if each is not None]
        return total(known) if known and len(known) == len(takes) else None

    @property
    def all_shares(self) -> tuple[Share, ...]:
        """All that may be asked."""
        return (*self.asked, *self.spare)


def forecast(
    plans: Iterable[Plan],
    questions: Mapping[str, Question],
    roster: Roster,
    *,
    lengths: Mapping[str, Length],
    absent: Mapping[str, float],
    calls: int,
    arrivals: Arrivals | None = None,
) -> Forecast:
    """Estimate what carrying out some plans takes.

    Args:
        plans: who is to be asked; read once.
        questions: question id -> question.
        roster: the experts.
        lengths: expert -> how much it usually writes; without an entry its `max_tokens`.
        absent: expert -> share of its answers that are absent, in [0, 1]; empty: reserves are
            not asked.
        calls: most calls for one question.
        arrivals: counts every seat in turn; by default one engine at a time.
    """
    served = arrivals or Arrivals(CostModel.of(roster))
    tally = _Tally(roster, absent, calls)
    for plan in plans:
        tally.add(plan, questions[plan.question_id], served)
    known = [
        _share(expert, tally.seats[expert.name], tally, lengths)
        for expert in roster
        if tally.seats[expert.name] or tally.reserves[expert.name]
    ]
    shares = tuple(share for share in known if share.seats)
    spare = tuple(share for share in known if not share.seats)
    jobs = _jobs(shares, served.costs)
    loads = Loads(len(jobs), served.comings.total(), len(jobs))
    return Forecast(tally.questions, shares, loads, tally.extra, jobs, spare=spare)


class _Tally:
    """Totals of the plans read so far."""

    def __init__(self, roster: Roster, absent: Mapping[str, float], calls: int) -> None:
        self._roster, self._absent, self._calls = roster, absent, calls
        self._spoken = {expert.name: (expert.strategy, expert.system) for expert in roster}
        self.questions = 0
        self.extra = 0.0
        self.seats: Counter[str] = Counter()
        self.letters: Counter[str] = Counter()
        self.reserves: dict[str, float] = dict.fromkeys(roster.names, 0.0)
        """expert -> calls that it will probably get in place of absent answers."""
        self.reserve_letters: dict[str, float] = dict.fromkeys(roster.names, 0.0)

    def add(self, plan: Plan, question: Question, served: Arrivals) -> None:
        """Count one plan; experts that are spoken to alike are sent the same prompt."""
        asked = plan.seats[: self._calls]
        letters: dict[tuple[str, str], int] = {}
        for seat in asked:
            name = seat.expert
            spoken = self._spoken[name]
            if spoken not in letters:
                messages = self._roster[name].messages(question)
                letters[spoken] = sum(len(message.content) for message in messages)
            self.seats[name] += 1
            self.letters[name] += letters[spoken]
            served.call(name)
        self.questions += 1
        spare = min(max(self._calls - len(asked), 0), len(plan.reserves))
        if spare and self._absent:
            likely = sum(self._absent.get(seat.expert, 0.0) for seat in asked)
            self._stand_in(plan.reserves[:spare], likely, max(letters.values(), default=0))

    def _stand_in(self, reserves: Iterable[Seat], likely: float, letters: int) -> None:
        """Share out probable calls: the first reserve is asked first, and may be absent too."""
        for seat in reserves:
            part = min(likely, 1.0)
            self.reserves[seat.expert] += part
            self.reserve_letters[seat.expert] += part * letters
            self.extra += part
            likely += part * (self._absent.get(seat.expert, 0.0) - 1)


def _share(expert: Expert, seats: int, tally: _Tally, lengths: Mapping[str, Length]) -> Share:
    name, most = expert.name, expert.sampling.max_tokens
    extra, often = _reserves(tally.reserves[name])
    more_letters = often * tally.reserve_letters[name]
    asked = Asked(seats, tally.letters[name], most, extra, more_letters)
    return share_of(expert, lengths.get(name, Length(most, known=False)), asked)


def _reserves(likely: float) -> tuple[float, float]:
    """Most calls in place of others, and by how much that is more than the probable number.

    Absences come one by one: their number is taken to vary as a Poisson variable does.
    """
    most = math.ceil(likely + 1.96 * math.sqrt(likely))
    return most, most / likely if likely else 0.0


def _jobs(shares: Iterable[Share], costs: CostModel) -> tuple[Job, ...]:
    """One job for each engine, in the order of its first expert."""
    units: dict[str, Job] = {}
    for share in shares:
        unit = costs.unit(share.expert)
        so_far = units.get(unit, Job(unit, "generate"))
        units[unit] = Job(
            unit,
            "generate",
            requests=so_far.requests + share.seats,
            input_tokens=so_far.input_tokens + share.input_tokens,
            output_tokens=so_far.output_tokens + share.output_tokens,
        )
    return tuple(units.values())


Within = Literal["yes", "maybe", "no"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a budget beside what is foreseen of it."""

    name: str
    """A field of `Budget`."""
    most: float
    within: Within
    """`no`: what is usual is above it, or the least where usual is not known; `maybe`: the upper
    end is, or it is not known."""


def compare(budget: Budget, estimate: Forecast) -> list[Limit]:
    """Every limit that is set, money first."""
    ceiling = any(share.ceiling for share in estimate.asked)
    spans: dict[str, Span | None] = {
        "money": _money(estimate),
        "tokens": total((estimate.input, estimate.output)),
        "calls": estimate.sent,
        "seconds": _seconds(estimate),
    }
    at_least = {"seconds"} if estimate.time is not None and estimate.time.at_least else set()
    limits = []
    for name, span in spans.items():
        most = getattr(budget, name)
        if most is not None:
            doubtful = ceiling and name in ("money", "tokens")
            within = _within(most, span, doubtful)
            limits.append(
                Limit(name, most, "maybe" if within == "yes" and name in at_least else within)
            )
    return limits


def _within(most: float, span: Span | None, ceiling: bool) -> Within:
    if span is None:
        return "maybe"
    if (span.low if ceiling else span.usual) > most:
        return "no"
    return "maybe" if span.high > most else "yes"


def _money(estimate: Forecast) -> Span | None:
    """Nothing where no expert has a price or needs one."""
    if estimate.money is None and all(
        share.free and not share.price for share in estimate.all_shares
    ):
        return NOTHING
    return estimate.money


def _seconds(estimate: Forecast) -> Span | None:
    if estimate.time is not None:
        return estimate.time.seconds
    if estimate.order is not None and estimate.order.timed:
        return exactly(estimate.order.seconds)
    return estimate.seconds
