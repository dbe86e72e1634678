"""The generate stage: every seat is asked, and reserves in place of seats without an answer.

The one rule of when a reserve is asked stands here (`Reserves`); a run, a profile that is voted on
again, a run that is marked again and a red team all follow it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from orchestra.components import component, find
from orchestra.errors import InputError
from orchestra.pipeline.batch import Batch
from orchestra.pipeline.context import Context
from orchestra.pipeline.stage import CallEstimate
from orchestra.records import Absence, Answer, Call, Draft, Plan, Question, Reply, Seat
from orchestra.roster import Roster
from orchestra.runs import RowKind
from orchestra.scheduling import Length


@component("generate", "draft", argument="calls")
@dataclass(frozen=True, slots=True)
class Generate:
    """How drafts are made and read."""

    calls: int = 5
    """Most calls for one question, reserves included; at least 1."""
    next_if_absent: bool = False
    """Ask the next reserve where a seat gives no readable answer."""
    fallback: bool = False
    """Ask the next reserve in place of a call that failed, which then does not count in `calls`."""
    read: str = field(default="stated", metadata={"names": "read"})
    """The answer cascade: `stated`, `lenient`, `official` or `strict`."""
    tolerance: float = field(default=0.1, metadata={"identity": False})
    """Share of calls that may fail before the run counts as failed, in [0, 1]. It decides nothing,
    so it is not part of the pipeline's identity."""

    def __post_init__(self) -> None:
        find("read", self.read)
        if self.calls < 1 or not 0 <= self.tolerance <= 1:
            raise InputError("`calls` is at least 1 and `tolerance` is in [0, 1]")


class Reserves:
    """When the next reserve of one plan is asked.

    In place of a call that failed, where `fallback` says so; in place of another seat without an
    answer, where `next_if_absent` says so and the plan has calls to spare.
    """

    __slots__ = ("_fallback", "_next", "_plan", "_spare")

    def __init__(self, plan: Plan, settings: Generate) -> None:
        self._plan, self._fallback = plan, settings.fallback
        self._spare = max(settings.calls - len(plan.seats), 0) if settings.next_if_absent else 0
        self._next = 0

    def after(self, answer: Answer) -> Seat | None:
        """The reserve that is asked because of an answer; None: none is."""
        if answer.value is not None:
            return None
        if not (self._fallback and answer.absence is Absence.FAILED):
            if not self._spare:
                return None
            self._spare -= 1
        if self._next == len(self._plan.reserves):
            return None
        self._next += 1
        return self._plan.reserves[self._next - 1]

    def left(self, settings: Generate) -> tuple[Seat, ...]:
        """The reserves that might have been asked and were not."""
        return _possible(self._plan, settings)[self._next :]


def possible_reserves(plans: Iterable[Plan], settings: Generate) -> Counter[str]:
    """Expert -> questions for which it may be asked as a reserve."""
    return Counter(seat.expert for plan in plans for seat in _possible(plan, settings))


def _possible(plan: Plan, settings: Generate) -> tuple[Seat, ...]:
    spare = max(settings.calls - len(plan.seats), 0) if settings.next_if_absent else 0
    return plan.reserves if settings.fallback else plan.reserves[:spare]


def replay(
    plan: Plan, settings: Generate, known: Callable[[Seat], Answer | None]
) -> tuple[dict[Seat, Answer], list[Seat]]:
    """The answers that a plan would have asked for, of those that are known.

    Returns:
        Seat -> answer, and the seats that would have been asked and whose answer is not known.
    """
    reserves = Reserves(plan, settings)
    due = list(plan.seats[: settings.calls])
    replaced: dict[int, str] = {}
    answers: dict[Seat, Answer] = {}
    missing: list[Seat] = []
    for seat in due:  # grows as reserves are due
        answer = known(seat)
        if answer is None:
            missing.append(seat)
            continue
        instead_of = replaced.get(id(seat), "")
        if answer.instead_of != instead_of:  # it is known from another place
            answer = replace(answer, instead_of=instead_of)
        answers[seat] = answer
        reserve = reserves.after(answer)
        if reserve is not None:
            due.append(reserve)
            replaced[id(reserve)] = seat.expert
    return answers, missing


def replay_drafts(
    plan: Plan, settings: Generate, known: Callable[[Seat], Draft | None]
) -> tuple[tuple[Draft, ...], list[Seat]]:
    """The drafts that a plan would have asked for, and the seats of those that are not known."""
    drafts: dict[Seat, Draft] = {}

    def answer(seat: Seat) -> Answer | None:
        draft = known(seat)
        if draft is None:
            return None
        drafts[seat] = draft
        return draft.answer

    answers, missing = replay(plan, settings, answer)
    rows = [
        draft if draft.answer is each else draft._replace(answer=each)
        for draft, each in zip(map(drafts.__getitem__, answers), answers.values(), strict=True)
    ]
    return tuple(rows), missing


class Drafting:
    """The seats of a batch of plans as work; its rows do not depend on the order of arrival."""

    def __init__(
        self, plans: Sequence[Plan], questions: Mapping[str, Question], settings: Generate
    ) -> None:
        self._rows = [_Row(plan, questions[plan.question_id], settings) for plan in plans]
        self._settings = settings
        self.late: Counter[str] = possible_reserves(plans, settings)
        """Expert -> open questions for which it may still be asked as a reserve."""

    def start(self) -> Iterable[Call]:
        """Every seat, as far as `calls` allows."""
        for row in self._rows:
            for seat in row.plan.seats[: self._settings.calls]:
                yield self._call(row, seat)

    def heard(self, call: Call, reply: Reply) -> Iterable[Call]:
        """The reserve that is due."""
        assert isinstance(call.tag, tuple)
        assert reply.answer is not None
        row, seat = call.tag
        usage = reply.usage
        tokens = usage.input_tokens + usage.output_tokens
        # Seats are long to compare; those that were asked are the plan's own objects.
        row.drafts[id(seat)] = Draft(seat, reply.answer, reply.text, tokens)
        reserve = row.reserves.after(reply.answer)
        if reserve is not None:
            self.late[reserve.expert] -= 1
            return (self._call(row, reserve),)
        row.open -= 1
        if not row.open:
            self.late.subtract(seat.expert for seat in row.reserves.left(self._settings))
        return ()

    @property
    def drafts(self) -> tuple[tuple[Draft, ...], ...]:
        """The drafts of each plan, in the order of its seats and reserves."""
        return tuple([row.ordered(self._settings) for row in self._rows])

    def _call(self, row: _Row, seat: Seat) -> Call:
        return Call(
            row.question,
            seat.expert,
            sample=seat.sample,
            read=self._settings.read,
            tag=(row, seat),
        )


class _Row:
    """One plan under way."""

    __slots__ = ("drafts", "open", "plan", "question", "reserves")

    def __init__(self, plan: Plan, question: Question, settings: Generate) -> None:
        self.plan, self.question = plan, question
        self.reserves = Reserves(plan, settings)
        self.drafts: dict[int, Draft] = {}
        self.open = len(plan.seats[: settings.calls])
        """Calls under way; a seat without an answer passes its place on to its reserve."""

    def ordered(self, settings: Generate) -> tuple[Draft, ...]:
        plan = self.plan
        drafts = [
            self.drafts[id(seat)]
            for seat in (*plan.seats, *plan.reserves)
            if id(seat) in self.drafts
        ]
        if len(drafts) <= len(plan.seats[: settings.calls]):
            return tuple(drafts)
        # Which seat each reserve stands in for: seats are matched in the order of the plan.
        replaced: dict[int, str] = {}
        reserves = Reserves(plan, settings)
        for draft in drafts:
            reserve = reserves.after(draft.answer)
            if reserve is not None:
                replaced[id(reserve)] = draft.expert
        return tuple(
            [
                draft._replace(answer=replace(draft.answer, instead_of=replaced[id(draft.seat)]))
                if id(draft.seat) in replaced
                else draft
                for draft in drafts
            ]
        )


@dataclass(frozen=True)
class GenerateStage:
    """Asks the experts of each plan."""

    settings: Generate
    texts: bool = False
    """Whether drafts keep what was said, for a later stage that shows it."""
    name: ClassVar[str] = "generate"
    reads: ClassVar[tuple[str, ...]] = ("questions", "plans")
    scope: ClassVar[Literal["question"]] = "question"

    async def run(self, batch: Batch, context: Context) -> Batch:
        """Adds `drafts`."""
        work = Drafting(batch.plans, batch.by_id, self.settings)
        await context.run(work, tolerance=self.settings.tolerance, texts=self.texts)
        drafted = replace(batch, drafts=work.drafts)
        context.keep(RowKind.ANSWER, drafted.answers)
        return drafted

    def experts(self, batch: Batch, place: int) -> Sequence[str]:
        """The experts of the drafts."""
        return [draft.expert for draft in batch.drafts[place]] if batch.drafts else []

    def forecast(
        self, batch: Batch, roster: Roster, lengths: Mapping[str, Length]
    ) -> Sequence[CallEstimate]:
        """The seats, without reserves."""
        calls: Counter[str] = Counter()
        letters: Counter[str] = Counter()
        for question, plan in zip(batch.questions, batch.plans, strict=True):
            for seat in plan.seats[: self.settings.calls]:
                calls[seat.expert] += 1
                sent = roster[seat.expert].messages(question)
                letters[seat.expert] += sum(len(each.content) for each in sent)
        return [
            CallEstimate(name, calls[name], letters[name], "generate")
            for name in roster.names
            if calls[name]
        ]
