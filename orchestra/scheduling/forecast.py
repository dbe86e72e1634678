"""What a run would take, from its plans alone: calls, loads, tokens and money, all estimates.

Knows seats, prompts and prices, and what it is told about lengths and absences; does
not generate or read anything. Plans are read once, in turn, and only totals are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestra.records import Plan, Question
from orchestra.roster import Roster
from orchestra.scheduling.arrivals import Arrivals
from orchestra.scheduling.batches import Loads
from orchestra.scheduling.costs import CostModel
from orchestra.scheduling.jobs import Job
from orchestra.scheduling.order import Order

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
    """Of all stages in `order`, or of the planned seats where there is none."""
    extra_calls: float
    """Reserves that will probably be asked in place of absent answers."""
    jobs: tuple[Job, ...] = ()
    """The planned seats as work for the engines that hold the experts."""
    order: Order | None = None
    """Who is resident when; None: not asked for."""

    @property
    def calls(self) -> int:
        """Planned seats."""
        return sum(share.seats for share in self.shares)


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
    shares = tuple(
        _share(roster, name, tally.seats[name], tally.letters[name], lengths)
        for name in roster.names
        if tally.seats[name]
    )
    jobs = _jobs(shares, served.costs)
    loads = Loads(len(jobs), served.comings.total(), len(jobs))
    return Forecast(tally.questions, shares, loads, tally.extra, jobs)


class _Tally:
    """Totals of the plans read so far."""

    def __init__(self, roster: Roster, absent: Mapping[str, float], calls: int) -> None:
        self._roster, self._absent, self._calls = roster, absent, calls
        self._spoken = {expert.name: (expert.strategy, expert.system) for expert in roster}
        self.questions = 0
        self.extra = 0.0
        self.seats: Counter[str] = Counter()
        self.letters: Counter[str] = Counter()

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
            self.extra += min(sum(self._absent.get(seat.expert, 0.0) for seat in asked), spare)


def _share(
    roster: Roster, name: str, seats: int, letters: int, lengths: Mapping[str, Length]
) -> Share:
    expert = roster[name]
    usual = lengths.get(name, Length(expert.sampling.max_tokens, known=False))
    sent = -(-letters // _CHARACTERS_PER_TOKEN)
    got = round(usual.tokens * seats)
    money = expert.price.money(sent, got) if expert.price else None
    seconds = None if usual.seconds is None else usual.seconds * seats
    return Share(name, seats, sent, got, money, seconds, not usual.known)


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
