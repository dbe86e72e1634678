"""What a run would take, from its plans alone: calls, loads, tokens and money, all estimates.

Knows seats, prompts and prices, and what it is told about lengths and absences; does
not generate or read anything. Plans are read once, in turn, and only totals are kept.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestra.records import Plan, Question, Seat
from orchestra.roster import Expert, Price, Roster
from orchestra.scheduling.arrivals import Arrivals
from orchestra.scheduling.batches import Loads
from orchestra.scheduling.costs import CostModel
from orchestra.scheduling.hosted import Elapsed, Load
from orchestra.scheduling.jobs import Job
from orchestra.scheduling.order import Order
from orchestra.scheduling.spans import NOTHING, Span, predicted, total

_CHARACTERS_PER_TOKEN = 4
"""Rule of thumb for English text."""
_FEWEST_CHARACTERS, _MOST_CHARACTERS = 3, 5
"""A token's, where nobody counted: text full of numbers or signs, and plain English prose."""
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
    """Tokens of a character that is sent, as counted; None: nobody counted."""

    def written(self, calls: float, most: float, *, cut: bool = True) -> Span:
        """Output tokens of some calls, `most` each at most where texts are `cut` there."""
        usual = self.tokens * calls
        if self.known and self.deviation is not None and self.seen > 1:
            found = predicted(self.tokens, self.deviation, seen=self.seen, draws=calls)
            if cut and found.high > max(most * calls, usual):
                return Span(found.low, found.usual, max(most * calls, usual))
            return found
        return Span(min(calls, usual), usual, max(most * calls, usual), bound=True)


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
    reads: Span
    """Input tokens; the upper end includes what it may read in place of others."""
    writes: Span
    """Output tokens of its seats."""
    more: Span = NOTHING
    """Output tokens of calls that it may get in place of others: nothing up to the upper end."""
    load: Load | None = None
    """Its calls as a server sees them; None: nobody else's server holds it."""
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
        parts = self._bill()
        return None if parts is None else total(parts)

    @property
    def takes(self) -> Span | None:
        """Seconds of its calls one after another, which vary as its output does."""
        return None if self.pace is None else self.output.times(self.pace)

    def _bill(self) -> tuple[Span, Span, Span] | None:
        if self.price is None:
            return None
        read, written = self.price.input / 1e6, self.price.output / 1e6
        return self.reads.times(read), self.writes.times(written), self.more.times(written)


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
    """What all takes where servers of somebody else take part; None: none does, or not known."""

    @property
    def calls(self) -> int:
        """Planned seats."""
        return sum(share.seats for share in self.shares)

    @property
    def input(self) -> Span:
        """Input tokens of all."""
        return total(share.reads for share in self._all)

    @property
    def output(self) -> Span:
        """Output tokens of all."""
        return total(part for share in self._all for part in (share.writes, share.more))

    @property
    def money(self) -> Span | None:
        """US dollars of all; None: nobody has a price, or somebody's is not known."""
        paid = [share._bill() for share in self._all if share.price or not share.free]
        known = [bill for bill in paid if bill is not None]
        if not known or len(known) < len(paid):
            return None
        return total(part for bill in known for part in bill)

    @property
    def seconds(self) -> Span | None:
        """Of all planned calls one after another; None: not known of some."""
        takes = [share.takes for share in self.shares]
        known = [each for each in takes if each is not None]
        return total(known) if known and len(known) == len(takes) else None

    @property
    def _all(self) -> tuple[Share, ...]:
        return (*self.shares, *self.spare)


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
        arrivals: told every seat in turn; by default one engine at a time.
    """
    served = arrivals or Arrivals(CostModel.of(roster))
    tally = _Tally(roster, absent, calls)
    for plan in plans:
        tally.add(plan, questions[plan.question_id], served)
    told = [
        _share(expert, tally.seats[expert.name], tally, lengths)
        for expert in roster
        if tally.seats[expert.name] or tally.reserves[expert.name]
    ]
    shares = tuple(share for share in told if share.seats)
    spare = tuple(share for share in told if not share.seats)
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
        said: dict[tuple[str, str], int] = {}
        for seat in asked:
            name = seat.expert
            spoken = self._spoken[name]
            if spoken not in said:
                messages = self._roster[name].messages(question)
                said[spoken] = sum(len(message.content) for message in messages)
            self.seats[name] += 1
            self.letters[name] += said[spoken]
            served.call(name)
        self.questions += 1
        spare = min(max(self._calls - len(asked), 0), len(plan.reserves))
        if spare and self._absent:
            likely = min(sum(self._absent.get(seat.expert, 0.0) for seat in asked), spare)
            self.extra += likely
            self._stand_in(plan.reserves[:spare], likely, max(said.values(), default=0))

    def _stand_in(self, reserves: Iterable[Seat], likely: float, letters: int) -> None:
        """Share out probable calls: the first reserve is asked first."""
        for seat in reserves:
            if likely <= 0:
                return
            part = min(likely, 1.0)
            self.reserves[seat.expert] += part
            self.reserve_letters[seat.expert] += part * letters
            likely -= part


def _share(expert: Expert, seats: int, tally: _Tally, lengths: Mapping[str, Length]) -> Share:
    name, most = expert.name, expert.sampling.max_tokens
    usual = lengths.get(name, Length(most, known=False))
    cut = expert.worker != "recorded"  # recordings are as long as they are
    extra, often = _reserves(tally.reserves[name])
    reads = _reads(usual, tally.letters[name], often * tally.reserve_letters[name])
    writes = usual.written(seats, most, cut=cut)
    sent, got = round(reads.usual), round(writes.usual)
    return Share(
        name,
        seats,
        sent,
        got,
        expert.price.money(sent, got) if expert.price else None,
        None if usual.seconds is None else usual.seconds * seats,
        not usual.known,
        reads,
        writes,
        more=Span(0.0, 0.0, usual.written(extra, most, cut=cut).high, bound=True),
        load=_load(expert, usual, seats, extra) if expert.hosted else None,
        price=expert.price,
        free=expert.loaded or expert.worker == "scripted",
        pace=_pace(usual),
    )


def _reserves(likely: float) -> tuple[float, float]:
    """Most calls in place of others, and by how much that is more than the probable number.

    Absences come one by one: their number is taken to vary as a Poisson variable does.
    """
    most = math.ceil(likely + 1.96 * math.sqrt(likely))
    return most, most / likely if likely else 0.0


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


def _load(expert: Expert, usual: Length, seats: int, extra: float) -> Load:
    spread = usual.deviation / usual.tokens if usual.deviation and usual.tokens else None
    return Load(
        Span(seats, seats, seats + extra), usual.seconds, spread, expert.sampling.max_tokens
    )


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
