"""The generate stage: from Plans to Answers, each expert loaded as seldom as can be.

Knows seats, content keys and the ledger; does not know how experts were chosen, what they are
sent or what becomes of their answers. What it returns does not depend on the order in which
generations arrive. Hosted experts are asked side by side, and beside the engines, which take
turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from orchestra.answers import read
from orchestra.errors import WorkerError
from orchestra.pipeline.found import Drafts, Found
from orchestra.pipeline.prompts import Alone, Prompts
from orchestra.pipeline.registry import Generate
from orchestra.pipeline.turns import Turns
from orchestra.pipeline.work import Ask, Work
from orchestra.records import Failure, Generation, Plan, Question, Request
from orchestra.roster import Expert, Roster
from orchestra.runs import Ledger, LedgerWriter, RowKind, digest, request_key
from orchestra.scheduling import longest_first
from orchestra.workers import Resident, Workers, ended

Progress = Callable[[str, int, int], None]
"""Told (stage, done, expected) as work goes on."""

_LOOK_ROWS = 1_000
"""Questions that are looked up in the ledger at once."""


class DraftStage:
    """Asks the experts of one batch of plans.

    Args:
        roster: the experts.
        workers: opens them; a `Resident` is left to its owner to close.
        identities: expert -> digest of everything that changes what it says.
        settings: how many calls, whether to ask the next, how answers are read.
        ledger: where generations and answers are kept and found; None: nowhere.
        progress: told how far it is.
        prompts: what experts are sent; by default the question alone.
    """

    def __init__(
        self,
        roster: Roster,
        workers: Workers | Resident,
        identities: Mapping[str, str],
        *,
        settings: Generate,
        ledger: Ledger | None = None,
        progress: Progress | None = None,
        prompts: Prompts | None = None,
    ) -> None:
        self._roster, self._identities = roster, identities
        self._workers = workers if isinstance(workers, Resident) else Resident(workers)
        self._settings, self._ledger = settings, ledger
        self._progress = progress or (lambda stage, done, expected: None)
        self._sampling = {expert.name: digest(expert.sampling) for expert in roster}
        self._own = not isinstance(workers, Resident)
        self._units = {expert.name: workers.unit(expert) for expert in roster if not expert.hosted}
        self._prompts: Prompts = prompts or Alone()
        self._look = ledger is not None and (
            ledger.count(RowKind.GENERATION) > 0 or len(set(identities.values())) < len(identities)
        )

    async def run(
        self,
        plans: Sequence[Plan],
        questions: Mapping[str, Question],
        *,
        first: str = "",
        texts: bool = False,
    ) -> Drafts:
        """Ask every seat, then reserves where that is wanted, expert by expert.

        Args:
            plans: who is asked.
            questions: question id -> question.
            first: the expert that the stage before has left loaded, asked first if it has a seat.
            texts: keep what is said, for whoever is shown it.

        Raises:
            BudgetExhausted: the next call would pass the budget; what is done is kept.
            WorkerError: more calls failed than the tolerance allows; likewise.
        """
        if self._own:
            async with self._workers:
                return await self._run(plans, questions, first, texts)
        return await self._run(plans, questions, first, texts)

    async def _run(
        self, plans: Sequence[Plan], questions: Mapping[str, Question], first: str, texts: bool
    ) -> Drafts:
        work = Work(plans, questions, self._settings)
        found = Found((plan.question_id for plan in plans), texts=texts)
        turns, loads = Turns(), 0
        try:
            while True:
                for names in self._due(work, turns, "" if loads else first):
                    asks = [ask for each in names for ask in work.take(each)]
                    engine = names[0] in self._units
                    loads += engine
                    turns.begin(names, self._ask(asks, found, work), engine=engine)
                if not turns:
                    break
                await turns.one()
        finally:
            await turns.end()
        drafts = found.drafts(plans, loads, self._units, settings=self._settings)
        self._tolerate(found, 0)
        return drafts

    def _due(self, work: Work, turns: Turns, first: str) -> list[list[str]]:
        """Who is asked now: every hosted expert by itself, and one engine if none is at work.

        Experts that are alike but in name follow each other: the ledger answers for the second.
        """
        alike = {self._alike(name) for name in turns.names}
        due: list[list[str]] = []
        engines: list[str] = []
        for name in work.waiting:
            if name in self._units:
                engines.append(name)
            elif self._alike(name) not in alike:
                alike.add(self._alike(name))
                due.append([name])
        if engines and not turns.engine:
            chosen = first if first in engines else work.next(engines, self._roster.names)
            due.append(self._together(chosen, engines))
        return due

    def _alike(self, name: str) -> tuple[str, str]:
        return self._identities[name], self._sampling[name]

    def _together(self, name: str, waiting: Iterable[str]) -> list[str]:
        """Who is asked while `name` is loaded: its unit, less those that are alike but in name."""
        unit = self._units[name]
        return list({self._alike(n): n for n in waiting if self._units[n] == unit}.values())

    def _tolerate(self, found: Found, outstanding: int) -> None:
        """Stop as soon as too many have failed, whatever becomes of those outstanding."""
        calls = found.calls + outstanding
        if calls and found.failures / calls > self._settings.tolerance:
            raise WorkerError(
                f"{found.failures} of {calls} calls failed, "
                f"tolerated is a share of {self._settings.tolerance:g}; the last: {found.last}",
                hint="`orchestra export RUN --what generations` has each failure; the same "
                "command tries them again",
            )

    async def _ask(self, asks: Sequence[Ask], found: Found, work: Work) -> None:
        """Ask the experts of one load whatever waits for them."""
        waiting: dict[str, Ask] = {}
        unknown = self._unknown(asks, waiting, found, work)
        first = next(unknown, None)
        if first is None:
            return
        requests: Iterable[Request] = chain((first,), unknown)
        experts = [self._roster[first.expert]]
        together = asks[-1][1].expert != asks[0][1].expert
        if together or experts[0].loaded:  # an engine sees all its work at once
            requests = longest_first(list(requests))
            experts = [self._roster[name] for name in dict.fromkeys(r.expert for r in requests)]
        with LedgerWriter(self._ledger) as kept:
            async with self._workers.open(*experts) as worker, ended(worker, requests) as stream:
                async for generation in stream:
                    ask = _claimed(waiting, generation)
                    kept.add(generation)
                    self._settle(ask, generation, found, work)
        for key, ask in waiting.items():
            self._settle(ask, _unanswered(key, ask), found, work)

    def _unknown(
        self, asks: Sequence[Ask], waiting: dict[str, Ask], found: Found, work: Work
    ) -> Iterator[Request]:
        """What the ledger has no answer to, from then on in `waiting`; the rest is settled."""
        for start in range(0, len(asks), _LOOK_ROWS):
            part = {
                self._key(self._roster[ask[1].expert], ask): ask
                for ask in asks[start : start + _LOOK_ROWS]
            }
            for key, generation in self._known(part).items():
                self._settle(part.pop(key), generation, found, work)
            for key, ask in part.items():
                waiting[key] = ask
                yield self._request(self._roster[ask[1].expert], key, ask)

    def _known(self, keys: Iterable[str]) -> Mapping[str, Generation]:
        if self._ledger is None or not self._look:
            return {}
        return self._ledger.get(RowKind.GENERATION, keys)

    def _key(self, expert: Expert, ask: Ask) -> str:
        question, seat = ask
        return request_key(
            expert=self._identities[expert.name],
            messages=self._prompts.digest(expert, question, seat.sample),
            sampling=self._sampling[expert.name],
            stage=self._prompts.stage,
            layer=self._prompts.layer,
            sample=seat.sample,
        )

    def _request(self, expert: Expert, key: str, ask: Ask) -> Request:
        question, seat = ask
        return Request(
            key,
            question.id,
            expert.name,
            self._prompts.stage,
            self._prompts.messages(expert, question, seat.sample),
            expert.sampling,
            layer=self._prompts.layer,
            sample=seat.sample,
        )

    def _settle(self, ask: Ask, generation: Generation, found: Found, work: Work) -> None:
        question, seat = ask
        if generation.expert != seat.expert:  # kept for an expert that is the same but in name
            generation = replace(generation, expert=seat.expert)
        rule = self._roster[seat.expert].rule or self._settings.read
        answer = read(question, generation, cascade=rule)
        found.add(seat, answer, generation)
        work.settled(question, answer)
        if generation.failure is not None:
            self._tolerate(found, work.outstanding)
        self._progress(self._prompts.stage, found.calls, found.calls + work.outstanding)


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
