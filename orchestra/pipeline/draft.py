"""The generate stage: from Plans to Answers, each expert loaded as seldom as can be.

Knows seats, reserves, content keys and the ledger; does not know how experts were
chosen or what becomes of their answers. What it returns does not depend on the
order in which generations arrive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from orchestra.answers import read
from orchestra.errors import BudgetExhausted, WorkerError
from orchestra.pipeline.found import Drafts, Found
from orchestra.pipeline.registry import Generate
from orchestra.records import (
    Answer,
    Failure,
    Generation,
    Message,
    Plan,
    Question,
    Request,
    Seat,
)
from orchestra.roster import Expert, Roster
from orchestra.runs import Ledger, RowKind, digest, request_key
from orchestra.scheduling import longest_first, next_expert, possible_turns
from orchestra.workers import Resident, Workers

Progress = Callable[[str, int, int], None]
"""Told (stage, done, expected) as work goes on."""

Ask = tuple[Question, Seat]


_KEEP_ROWS = 1_000
_KEEP_SECONDS = 0.5
"""Generations are committed at least this often while they arrive: what a kill may cost."""


class DraftStage:
    """Asks the experts of one batch of plans.

    Args:
        roster: the experts.
        workers: opens them; a `Resident` is left to its owner to close.
        identities: expert -> digest of everything that changes what it says.
        settings: how many calls, whether to ask the next, how answers are read.
        ledger: where generations and answers are kept and found; None: nowhere.
        budget: most calls of the whole run; None: no limit.
        progress: told how far it is.
    """

    def __init__(
        self,
        roster: Roster,
        workers: Workers | Resident,
        identities: Mapping[str, str],
        *,
        settings: Generate,
        ledger: Ledger | None = None,
        budget: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._roster, self._identities = roster, identities
        self._workers = workers if isinstance(workers, Resident) else Resident(workers)
        self._settings, self._ledger, self._budget = settings, ledger, budget
        self._progress = progress or (lambda stage, done, expected: None)
        self._sampling = {expert.name: digest(expert.sampling) for expert in roster}
        self._own = not isinstance(workers, Resident)
        self._units = {expert.name: workers.unit(expert) for expert in roster}
        self._asked: dict[str, str] = {}
        self._messages: dict[tuple[str, str, str], tuple[Message, ...]] = {}
        self._look = ledger is not None and (
            ledger.count(RowKind.GENERATION) > 0 or len(set(identities.values())) < len(identities)
        )

    async def run(
        self, plans: Sequence[Plan], questions: Mapping[str, Question], *, first: str = ""
    ) -> Drafts:
        """Ask every seat, then reserves where that is wanted, expert by expert.

        Args:
            plans: who is asked.
            questions: question id -> question.
            first: the expert that the stage before has left loaded, asked first if it has a seat.

        Raises:
            BudgetExhausted: the next batch would pass the budget; what is done is kept.
            WorkerError: more calls failed than the tolerance allows; likewise.
        """
        if self._own:
            async with self._workers:
                return await self._run(plans, questions, first)
        return await self._run(plans, questions, first)

    async def _run(
        self, plans: Sequence[Plan], questions: Mapping[str, Question], first: str
    ) -> Drafts:
        work = _Work(plans, questions, self._settings)
        found = Found(plan.question_id for plan in plans)
        loads = 0
        while work.waiting:
            at_hand = not loads and first in work.waiting
            name = first if at_hand else work.next(self._roster.names)
            together = self._together(name, work.waiting)
            asks = [ask for each in together for ask in work.take(each)]
            affordable = self._affordable(asks, found.calls)
            loads += 1
            await self._ask(affordable, found, work)
            if len(affordable) < len(asks):
                raise self._exhausted(len(asks) - len(affordable))
        drafts = found.drafts(plans, loads, self._units)
        self._tolerate(drafts)
        return drafts

    def _together(self, name: str, waiting: Iterable[str]) -> list[str]:
        """Who is asked while `name` is loaded: its unit, less those that are alike but in name."""
        unit = self._units[name]
        alike = {
            (self._identities[each], self._sampling[each]): each
            for each in waiting
            if self._units[each] == unit
        }
        return list(alike.values())

    def _affordable(self, asks: Sequence[Ask], calls: int) -> Sequence[Ask]:
        return asks if self._budget is None else asks[: max(self._budget - calls, 0)]

    def _exhausted(self, more: int) -> BudgetExhausted:
        return BudgetExhausted(
            f"all {self._budget} calls of the budget are made, and {more} or more are still to do",
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

    async def _ask(self, asks: Sequence[Ask], found: Found, work: _Work) -> None:
        """Ask the experts of one load whatever waits for them."""
        waiting = {self._key(self._roster[ask[1].expert], ask): ask for ask in asks}
        for generation in self._known(waiting).values():
            self._settle(waiting.pop(generation.key), generation, found, work)
        if not waiting:
            return
        requests = [
            self._request(self._roster[ask[1].expert], key, ask) for key, ask in waiting.items()
        ]
        experts = [self._roster[name] for name in dict.fromkeys(r.expert for r in requests)]
        kept: list[tuple[str, Generation]] = []
        try:
            async with self._workers.open(*experts) as worker:
                since = time.monotonic()
                async for generation in worker.generate(longest_first(requests)):
                    ask = _claimed(waiting, generation)
                    kept.append((generation.key, generation))
                    self._settle(ask, generation, found, work)
                    if len(kept) >= _KEEP_ROWS or time.monotonic() - since > _KEEP_SECONDS:
                        self._keep(kept)
                        since = time.monotonic()
        finally:
            self._keep(kept)
        for key, ask in waiting.items():
            self._settle(ask, _unanswered(key, ask), found, work)

    def _known(self, keys: Iterable[str]) -> Mapping[str, Generation]:
        if self._ledger is None or not self._look:
            return {}
        return self._ledger.get(RowKind.GENERATION, keys)

    def _key(self, expert: Expert, ask: Ask) -> str:
        question, seat = ask
        if question.id not in self._asked:
            self._asked[question.id] = _asked(question)
        return request_key(
            expert=self._identities[expert.name],
            messages=self._asked[question.id],
            sampling=self._sampling[expert.name],
            stage="generate",
            layer=0,
            sample=seat.sample,
        )

    def _request(self, expert: Expert, key: str, ask: Ask) -> Request:
        question, seat = ask
        spoken = (question.id, expert.strategy, expert.system)
        messages = self._messages.get(spoken)
        if messages is None:
            messages = self._messages[spoken] = expert.messages(question)
        return Request(
            key,
            question.id,
            expert.name,
            "generate",
            messages,
            expert.sampling,
            sample=seat.sample,
        )

    def _settle(self, ask: Ask, generation: Generation, found: Found, work: _Work) -> None:
        question, seat = ask
        if generation.expert != seat.expert:  # kept for an expert that is the same but in name
            generation = replace(generation, expert=seat.expert)
        rule = self._roster[seat.expert].rule or self._settings.read
        answer = read(question, generation, cascade=rule)
        found.add(seat, answer, generation.usage)
        work.settled(question, answer)
        self._progress("generate", found.calls, found.calls + work.outstanding)

    def _keep(self, kept: list[tuple[str, Generation]]) -> None:
        if self._ledger is not None and kept:
            self._ledger.put(RowKind.GENERATION, kept)
            self._ledger.commit()
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


def _asked(question: Question) -> str:
    """Stands for what is sent: the question with everything a prompt may show of it.

    The system prompt and strategy are in the expert's identity.
    """
    said = (question.id, question.text, question.options, question.kind.value, question.context)
    return digest(repr(said))


def _claimed(waiting: dict[str, Ask], generation: Generation) -> Ask:
    """The ask that a generation answers, taken out of those that wait."""
    ask = waiting.pop(generation.key, None)
    if ask is None:
        raise WorkerError(
            f"expert `{generation.expert}`: its worker answered a request that was not waiting "
            f"(key {generation.key!r}, question {generation.question_id!r})",
            hint="a worker gives one Generation for each Request, under the Request's key",
        )
    return ask


def _unanswered(key: str, ask: Ask) -> Generation:
    """Stands for a request that the worker forgot; never kept, so that a resume asks again."""
    question, seat = ask
    failure = Failure("no_reply", "the worker ended without a reply", retryable=True)
    return Generation(
        key,
        question.id,
        seat.expert,
        text="",
        finish_reason="error",
        failure=failure,
        sample=seat.sample,
    )
