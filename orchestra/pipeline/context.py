"""The only way to a model: looks in the ledger, pays, generates, reads, and counts.

Stages and methods say what is to be asked (`Work`); the context asks it through the executor,
which decides when each engine is loaded. What a Work gets to hear does not depend on the order
in which generations arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

from orchestra.answers import read, visible
from orchestra.errors import BudgetExhausted, InputError, WorkerError, raise_all
from orchestra.pipeline.counts import Counter
from orchestra.pipeline.engines import Load
from orchestra.pipeline.executor import Executor, OpenWorker
from orchestra.pipeline.requests import ContentKeys, SharedCalls, shared_calls
from orchestra.pipeline.work import Calls, Dialogue, Dialogues, T, Work
from orchestra.records import (
    Answer,
    Ballot,
    Brief,
    Call,
    Decision,
    Failure,
    Generation,
    LoadRow,
    Plan,
    Question,
    Reply,
    Request,
)
from orchestra.roster import Expert, Roster
from orchestra.runs import Account, Budget, Ledger, LedgerWriter, RowKind
from orchestra.scheduling import longest_first
from orchestra.skills import RecruitmentTable
from orchestra.voting import QuestionVotes
from orchestra.workers import Workers, ended
from orchestra.workers.hosted.open import price_of

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, expected) as work goes on; expected is 0 where nothing is counted."""

Derived = Brief | Plan | Answer | Ballot | Decision
"""The records that stages derive and keep."""

_COLUMNS = {"tag": RowKind.BRIEF, "generate": RowKind.ANSWER}
"""Stage -> the rows that it keeps once all its calls are settled."""
_LOOK_ROWS = 1_000
"""Calls that are looked up in the ledger at once."""


@dataclass
class Context:
    """What the stages of one run share; made by `open_context`.

    Args:
        roster: the experts.
        executor: opens their workers.
        identities: expert -> digest of everything that changes what it says.
        ledger: where generations are looked up and kept; None: nowhere.
        progress: called as work goes on.
        table: what was measured of the experts; None where nothing was.
        past: earlier questions of the same experts, beside which a voter sees the batch.
        seed: decides every random choice.
        counter: adds up the calls of this scope.
    """

    roster: Roster
    executor: Executor
    identities: Mapping[str, str]
    ledger: Ledger | None = None
    progress: Progress | None = None
    table: RecruitmentTable | None = None
    past: tuple[QuestionVotes, ...] = ()
    seed: int = 0
    retry_failed: bool = False
    """Whether calls that failed are made again in a stage that the ledger has whole."""
    counter: Counter = field(default_factory=Counter)
    keeps: bool = True
    """Whether the columns that stages derive go into the ledger, beside generations."""

    tolerance: float = 0.0
    """Share of calls that may fail in every stage, whatever the stage says itself."""
    heard: Callable[[Call, Generation, Answer | None], None] | None = None
    """Called with each generation and what was read from it, as it comes."""
    settled: bool = False
    """Whether the ledger has the whole column of this stage, failures included: then calls that
    failed are not made again."""
    keys: ContentKeys = field(kw_only=True)
    """The content keys of calls."""
    shared: SharedCalls | None = None
    """The calls of other runs; None: they are not looked at."""
    stage: str = ""
    """The stage that calls are counted under; empty: each call's own."""

    def scope(self) -> Context:
        """The same models under a counter of their own: an arm, or an attack."""
        scope = copy(self)
        scope.counter = Counter()
        return scope

    def at(self, stage: str, questions: Sequence[Question] = ()) -> Context:
        """The same context for one stage: its calls are counted under that label, and a second
        stage of one name (`generate[1]`) has content keys of its own. The questions are those
        that the stage is about to see, all of them or a block."""
        there = copy(self)
        there.stage, there.settled = stage, self._is_whole(stage, questions)
        return there

    def keep(self, kind: RowKind, records: Mapping[str, Derived]) -> None:
        """Put what can be derived again into the ledger, in place of what was derived before."""
        if self.ledger is None or not self.keeps:
            return
        if self.ledger.count(kind):
            self.ledger.discard(kind, {record.question_id for record in records.values()})
        self.ledger.put(kind, records.items())

    def commit(self) -> None:
        """Make everything that was kept so far survive a kill of this process."""
        if self.ledger is not None:
            self.ledger.commit()

    def _is_whole(self, stage: str, questions: Sequence[Question]) -> bool:
        """Whether the ledger has the whole column of a stage for a block of questions.

        A stage keeps the column of a block at once, so that one row stands for all.
        """
        column = _COLUMNS.get(stage)
        if self.ledger is None or self.retry_failed or column is None:
            return False
        if not self.ledger.count(column):
            return False
        ledger = self.ledger
        return any(True for each in questions for _ in ledger.rows(column, each.id))

    async def run(self, work: Work, *, tolerance: float = 1.0, texts: bool = True) -> None:
        """Make every call that a Work asks for, until it asks for no more.

        Args:
            work: asks and hears.
            tolerance: share of the calls that may fail, in [0, 1].
            texts: whether replies bring what was said, beside what was read from it.

        Raises:
            BudgetExhausted: the next call would pass the budget; what is done is kept.
            WorkerError: more calls failed than the tolerance allows; likewise.
        """
        asking = _Asking(self, work, max(tolerance, self.tolerance), texts)
        asking.wait(work.start())
        await self.executor.drain(asking, asking.ask)
        asking.tolerate()

    async def ask(self, calls: Sequence[Call], *, tolerance: float = 1.0) -> list[Reply]:
        """The replies to some calls, in their order. Raises as `run`."""
        work = Calls(calls)
        await self.run(work, tolerance=tolerance)
        return work.replies

    async def converse(
        self, dialogues: Sequence[Dialogue[T]], *, tolerance: float = 1.0
    ) -> list[T]:
        """What the dialogues return, in their order. Raises as `run`; then they are closed."""
        work = Dialogues(dialogues)
        try:
            await self.run(work, tolerance=tolerance)
        finally:
            work.close()
        return work.results


@asynccontextmanager
async def open_context(
    roster: Roster,
    workers: Workers,
    identities: Mapping[str, str],
    *,
    account: Account | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
    executor: Callable[..., Executor] = Executor,
) -> AsyncIterator[Context]:
    """A context over some experts, whose engines leave when it is left.

    Args:
        roster: the experts.
        workers: opens them.
        identities: expert -> digest of everything that changes what it says.
        account: pays for all calls, and ends them when its seconds are over; None: nobody counts.
        ledger: where generations are looked up and kept; None: nowhere.
        progress: called as work goes on.
        executor: makes the executor; a partial of `Executor` sets devices and an order.

    Raises:
        BudgetExhausted: the account's seconds are over.
    """
    keys = ContentKeys(roster, identities)
    async with (
        in_time(account),
        executor(
            workers, roster, account=account, alike=keys.alike, loaded=partial(_keep_load, ledger)
        ) as running,
    ):
        with shared_calls(workers, roster, ledger) as shared:
            yield Context(roster, running, identities, ledger, progress, keys=keys, shared=shared)


def _keep_load(ledger: Ledger | None, load: Load) -> None:
    """Put a load into the ledger at once: what was loaded is spent, whatever comes of the run."""
    if ledger is not None:
        assert load.comes != "stays"
        row = LoadRow(load.unit, load.device, load.comes, load.seconds)
        ledger.put(RowKind.LOAD, [(f"load {ledger.count(RowKind.LOAD)}", row)])
        ledger.commit()


class _Asking:
    """The calls of one Work: those that wait, those under way, and what came of them."""

    def __init__(self, context: Context, work: Work, tolerance: float, texts: bool) -> None:
        self._roster, self._ledger, self._shared = context.roster, context.ledger, context.shared
        self._counter, self._keys, self._work = context.counter, context.keys, work
        self._heard = context.heard or (lambda call, generation, answer: None)
        self._stage, self._settled = context.stage, context.settled
        self._again = context.stage.partition("[")[2].rstrip("]")
        self._tolerance, self._texts = tolerance, texts
        self._progress = context.progress or (lambda stage, done, expected: None)
        self._waiting: dict[str, list[Call]] = {}
        self._outstanding = self._calls = self._failures = 0
        self._last = ""
        identities = context.identities
        self._look = self._ledger is not None and (
            self._ledger.count(RowKind.GENERATION) > 0
            or len(set(identities.values())) < len(identities)
        )

    def wait(self, calls: Iterable[Call]) -> None:
        """Calls that have come up."""
        for call in calls:
            self._waiting.setdefault(call.expert, []).append(call)
            self._outstanding += 1

    def waiting(self) -> Mapping[str, int]:
        """Expert -> calls that wait for it."""
        return {name: len(calls) for name, calls in self._waiting.items()}

    def late(self) -> Mapping[str, int]:
        """Expert -> calls that may still come up for it, as far as the Work knows."""
        late: Mapping[str, int] = getattr(self._work, "late", {})
        return late

    def take(self, expert: str) -> list[Call]:
        """All that waits for an expert; it waits no more."""
        return self._waiting.pop(expert)

    async def ask(
        self, calls: Sequence[Call], experts: Sequence[Expert], open_worker: OpenWorker
    ) -> None:
        """Ask the experts of one visit what waits for them; what the ledger has is not asked."""
        waiting: dict[str, Call] = {}
        unknown = self._unknown(calls, waiting)
        first = next(unknown, None)
        if first is None:
            return
        requests: Iterable[Request] = chain((first,), unknown)
        if len(experts) > 1 or experts[0].loaded:  # an engine sees all its work at once
            requests = longest_first(list(requests))
        then = None if self._shared is None else self._shared.keep
        with LedgerWriter(self._ledger, then=then) as writer:
            async with open_worker() as worker, ended(worker, requests) as stream:
                async for generation in stream:
                    call = _claimed(waiting, generation)
                    writer.add(generation)
                    self._settle(call, generation)
        for key, call in waiting.items():
            self._settle(call, _unanswered(key, call))

    def _unknown(self, calls: Sequence[Call], waiting: dict[str, Call]) -> Iterator[Request]:
        """What the ledger has no answer to, from then on in `waiting`; the rest is settled."""
        for start in range(0, len(calls), _LOOK_ROWS):
            part = {}
            for call in calls[start : start + _LOOK_ROWS]:
                key, messages = self._keys.of(call, self._again)
                part[key] = call, messages
            known = dict(self._known(part))
            if self._shared is not None:
                requests = {k: self._keys.request(call, k, m) for k, (call, m) in part.items()}
                known |= self._shared.found(requests, known)
            for key, generation in known.items():
                self._settle(part.pop(key)[0], generation)
            for key, (call, messages) in part.items():
                waiting[key] = call
                yield self._keys.request(call, key, messages)

    def _known(self, keys: Collection[str]) -> Mapping[str, Generation]:
        if self._ledger is None or not self._look:
            return {}
        known = self._ledger.get(RowKind.GENERATION, keys)
        if self._settled:
            missing = [key for key in keys if key not in known]
            known |= self._ledger.get(RowKind.FAILURE, missing)
        return known

    def _settle(self, call: Call, generation: Generation) -> None:
        """Read and count a generation, and let the Work hear it."""
        if generation.expert != call.expert:  # kept for an expert that is the same but in name
            generation = replace(generation, expert=call.expert)
        answer: Answer | None = None
        if call.read:
            rule = self._roster[call.expert].rule or call.read
            answer = read(call.question, generation, cascade=rule)
        failed = generation.failure is not None and generation.failure.kind != "not_recorded"
        self._counter.add(self._stage or call.stage, call.expert, generation.usage, failed=failed)
        self._heard(call, generation, answer)
        self._calls += 1
        self._outstanding -= 1
        self.wait(self._work.heard(call, self._reply(generation, answer)))
        if failed:
            self._failures += 1
            assert generation.failure is not None
            self._last = (
                f"expert `{call.expert}`, {generation.failure.kind}: {generation.failure.detail}"
            )
            self.tolerate()
        self._progress(call.stage, self._calls, self._calls + self._outstanding)

    def _reply(self, generation: Generation, answer: Answer | None) -> Reply:
        return Reply(
            visible(generation.text).text.strip() if self._texts else "",
            None if answer is None else answer.value,
            answer,
            generation.finish_reason,
            generation.failure,
            generation.logprobs,
            generation.usage,
        )

    def tolerate(self) -> None:
        """Stop as soon as too many have failed, whatever becomes of those outstanding."""
        calls = self._calls + self._outstanding
        if calls and self._failures / calls > self._tolerance:
            raise WorkerError(
                f"{self._failures} of {calls} calls failed, "
                f"tolerated is a share of {self._tolerance:g}; the last: {self._last}",
                hint="`orchestra export RUN --what generations` has each failure; the same "
                "command tries them again",
            )


def _claimed(waiting: dict[str, Call], generation: Generation) -> Call:
    """The call that a generation answers, taken out of those that wait."""
    call = waiting.pop(generation.key, None)
    if call is None:
        raise WorkerError(
            f"expert `{generation.expert}`: its worker answered a request that was not waiting "
            f"(key {generation.key!r}, question {generation.question_id!r})",
            hint="a worker gives one Generation for each Request, under the Request's key",
        )
    return call


def _unanswered(key: str, call: Call) -> Generation:
    """Stands for a request that the worker forgot; never kept, so that a resume asks again."""
    return Generation(
        key,
        call.question.id,
        call.expert,
        text="",
        finish_reason="error",
        failure=Failure("no_reply", "the worker ended without a reply", retryable=True),
        layer=call.layer,
        sample=call.sample,
    )


def check_budget(budget: Budget, roster: Roster) -> None:
    """Raise InputErrors for hosted experts without a price where money is limited."""
    if budget.money is None:
        return
    raise_all(
        [
            InputError(
                f"expert `{expert.name}`: its price is not known, and `budget.money` is set",
                hint="`price: {input: 0.5, output: 1.5}` in the roster, US dollars for a million "
                "tokens; 0 if it charges nothing",
            )
            for expert in roster
            if expert.hosted and price_of(expert) is None
        ]
    )


@asynccontextmanager
async def in_time(account: Account | None) -> AsyncIterator[None]:
    """Stop whatever is done inside when the account's seconds are over; None: never.

    Raises:
        BudgetExhausted: they are.
    """
    left = account.seconds_left() if account is not None else None
    try:
        async with asyncio.timeout(left) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        assert account is not None
        raise BudgetExhausted(
            f"`budget.seconds` is over: {account.budget.seconds:g} s may be taken",
            hint="raise `budget.seconds`; the same command goes on from here",
        ) from None
