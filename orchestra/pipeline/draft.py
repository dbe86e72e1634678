"""The generate stage: from Plans to Answers, each expert loaded as seldom as can be.

Knows seats, reserves, content keys and the ledger; does not know how experts were
chosen or what becomes of their answers. What it returns does not depend on the
order in which generations arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestra.answers import read
from orchestra.errors import BudgetExhausted, WorkerError
from orchestra.pipeline.registry import Generate
from orchestra.records import (
    Absence,
    Answer,
    Generation,
    Plan,
    Question,
    Request,
    Seat,
    Usage,
)
from orchestra.roster import Expert, Roster
from orchestra.runs import Ledger, RowKind, digest, request_key
from orchestra.scheduling import Loads, first_come_loads, next_expert, possible_turns
from orchestra.workers import Workers

Progress = Callable[[str, int, int], None]
"""Told (stage, done, expected) as work goes on."""

Ask = tuple[Question, Seat]


@dataclass
class Drafts:
    """What the generate stage found out."""

    answers: dict[str, dict[Seat, Answer]] = field(default_factory=dict)
    """question id -> seat -> answer, for every seat that was asked."""
    usage: dict[str, Usage] = field(default_factory=dict)
    """expert -> what its calls cost, replayed calls included."""
    tokens: dict[tuple[str, Seat], int] = field(default_factory=dict)
    """(question id, seat) -> input and output tokens of the call."""
    failures: int = 0
    """Calls that failed, other than for lack of a recording."""
    calls: int = 0
    """Calls that were made or replayed."""
    loads: Loads = Loads(0, 0, 0)


class DraftStage:
    """Asks the experts of one batch of plans.

    Args:
        roster: the experts.
        workers: opens them.
        identities: expert -> digest of everything that changes what it says.
        settings: how many calls, whether to ask the next, how answers are read.
        ledger: where generations and answers are kept and found; None: nowhere.
        budget: most calls of the whole run; None: no limit.
        progress: told how far it is.
    """

    def __init__(
        self,
        roster: Roster,
        workers: Workers,
        identities: Mapping[str, str],
        *,
        settings: Generate,
        ledger: Ledger | None = None,
        budget: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._roster, self._workers, self._identities = roster, workers, identities
        self._settings, self._ledger, self._budget = settings, ledger, budget
        self._progress = progress or (lambda stage, done, expected: None)
        self._sampling = {expert.name: digest(expert.sampling) for expert in roster}

    async def run(self, plans: Sequence[Plan], questions: Mapping[str, Question]) -> Drafts:
        """Ask every seat, then reserves where that is wanted, expert by expert.

        Raises:
            BudgetExhausted: the next batch would pass the budget; what is done is kept.
            WorkerError: more calls failed than the tolerance allows; likewise.
        """
        work = _Work(plans, questions, self._settings)
        drafts = Drafts(answers={plan.question_id: {} for plan in plans})
        loads = 0
        while work.waiting:
            name = work.next(self._roster.names)
            asks = work.take(name)
            self._afford(drafts.calls + len(asks))
            loads += 1
            await self._ask(self._roster[name], asks, drafts, work)
        drafts.loads = _loads(loads, plans, drafts)
        self._tolerate(drafts)
        return drafts

    def _afford(self, calls: int) -> None:
        if self._budget is not None and calls > self._budget:
            if self._ledger is not None:
                self._ledger.commit()
            raise BudgetExhausted(
                f"the next batch would make {calls} calls, the budget is {self._budget}",
                hint="raise `budget.calls`; the same command goes on from here",
            )

    def _tolerate(self, drafts: Drafts) -> None:
        if drafts.calls and drafts.failures / drafts.calls > self._settings.tolerance:
            raise WorkerError(
                f"{drafts.failures} of {drafts.calls} calls failed, "
                f"tolerated is a share of {self._settings.tolerance:g}",
                hint="`orchestra export RUN --what generations` has each failure; the same "
                "command tries them again",
            )

    async def _ask(self, expert: Expert, asks: Sequence[Ask], drafts: Drafts, work: _Work) -> None:
        requests = {self._key(expert, ask): ask for ask in asks}
        known = self._known(requests)
        for generation in known.values():
            self._settle(requests[generation.key], generation, drafts, work)
        missing = [
            self._request(expert, key, requests[key]) for key in requests if key not in known
        ]
        if not missing:
            return
        kept: list[tuple[str, Generation]] = []
        async with self._workers.open(expert) as worker:
            async for generation in worker.generate(missing):
                self._settle(requests[generation.key], generation, drafts, work)
                kept.append((generation.key, generation))
                if len(kept) >= 1_000:
                    self._keep(kept, drafts)
        self._keep(kept, drafts)

    def _known(self, keys: Iterable[str]) -> Mapping[str, Generation]:
        return {} if self._ledger is None else self._ledger.get(RowKind.GENERATION, keys)

    def _key(self, expert: Expert, ask: Ask) -> str:
        question, seat = ask
        return request_key(
            expert=self._identities[expert.name],
            messages=_asked(question, expert),
            sampling=self._sampling[expert.name],
            stage="generate",
            layer=0,
            sample=seat.sample,
        )

    def _request(self, expert: Expert, key: str, ask: Ask) -> Request:
        question, seat = ask
        return Request(
            key,
            question.id,
            expert.name,
            "generate",
            expert.messages(question),
            expert.sampling,
            sample=seat.sample,
        )

    def _settle(self, ask: Ask, generation: Generation, drafts: Drafts, work: _Work) -> None:
        question, seat = ask
        expert = self._roster[seat.expert]
        answer = read(question, generation, expert.rule or self._settings.read)
        drafts.answers[question.id][seat] = answer
        drafts.calls += 1
        drafts.failures += answer.absence is Absence.FAILED
        spent = generation.usage
        drafts.usage[seat.expert] = drafts.usage.get(seat.expert, Usage()) + spent
        drafts.tokens[question.id, seat] = spent.input_tokens + spent.output_tokens
        work.settled(question, answer)
        self._progress("generate", drafts.calls, drafts.calls + work.outstanding)

    def _keep(self, kept: list[tuple[str, Generation]], drafts: Drafts) -> None:
        if self._ledger is not None:
            self._ledger.put(RowKind.GENERATION, kept)
        kept.clear()


class _Work:
    """Which seats wait for which expert, and which reserves come next."""

    def __init__(
        self, plans: Sequence[Plan], questions: Mapping[str, Question], settings: Generate
    ) -> None:
        self._plans = {plan.question_id: plan for plan in plans}
        self._settings = settings
        self._used: dict[str, int] = {}
        self._open = dict.fromkeys(self._plans, 0)
        self._questions = questions
        self.waiting: dict[str, list[Ask]] = {}
        self.outstanding = 0
        for plan in plans:
            for seat in plan.seats[: settings.calls]:
                self._wait(questions[plan.question_id], seat)

    def next(self, order: Sequence[str]) -> str:
        counts = {name: len(asks) for name, asks in self.waiting.items()}
        if len(counts) == 1:
            return next(iter(counts))
        unsettled = [self._plans[each] for each, n in self._open.items() if n]
        turns = (
            possible_turns(unsettled, self._used, self._settings.calls)
            if self._settings.next_if_absent
            else {}
        )
        return next_expert(counts, turns, order)

    def take(self, name: str) -> list[Ask]:
        return self.waiting.pop(name)

    def settled(self, question: Question, answer: Answer) -> None:
        self.outstanding -= 1
        self._open[question.id] -= 1
        plan = self._plans[question.id]
        used = self._used.get(question.id, 0)
        spare = self._settings.calls - len(plan.seats)
        if answer.value is None and self._settings.next_if_absent and used < spare:
            for seat in plan.reserves[used : used + 1]:
                self._used[question.id] = used + 1
                self._wait(question, seat)

    def _wait(self, question: Question, seat: Seat) -> None:
        self.waiting.setdefault(seat.expert, []).append((question, seat))
        self._open[question.id] += 1
        self.outstanding += 1


def _asked(question: Question, expert: Expert) -> str:
    """Stands for what is sent: the question with everything a prompt may show of it.

    The system prompt and strategy are in the expert's identity.
    """
    return digest([question.id, question.text, question.options, question.kind, question.context])


def _loads(loads: int, plans: Sequence[Plan], drafts: Drafts) -> Loads:
    asked = [
        [seat.expert for seat in (*plan.seats, *plan.reserves) if seat in answers]
        for plan in plans
        for answers in (drafts.answers[plan.question_id],)
    ]
    return Loads(loads, first_come_loads(asked), len({name for row in asked for name in row}))
