"""One question, asked by a person: what kind of answer it wants, and its way through a pipeline.

The plan and each draft are handed on as they come. A call that fails costs one draft, not the
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from orchestra.answers import visible
from orchestra.errors import InputError, WorkerError
from orchestra.evals.datasets import load_dataset
from orchestra.pipeline import Batch, History, Pipeline
from orchestra.records import (
    Answer,
    Ballot,
    Brief,
    Call,
    Decision,
    Failure,
    Generation,
    Kind,
    Plan,
    Question,
    Seat,
    Trust,
    Usage,
)
from orchestra.runs import Account, Budget


@dataclass(frozen=True)
class AskedDraft:
    """What one expert said to the question."""

    seat: Seat
    answer: Answer
    text: str
    """Without reasoning; empty where the call failed."""
    failure: Failure | None
    """Why there is no text; None: there is one."""
    usage: Usage = field(compare=False)
    """What the call took; its seconds differ each time."""


@dataclass(frozen=True, repr=False)
class Asked:
    """One question's whole way."""

    question: Question
    brief: Brief
    plan: Plan
    calls: int
    """The most drafts that the pipeline asks for."""
    drafts: tuple[AskedDraft, ...]
    """In the order of the plan."""
    ballot: Ballot
    decision: Decision
    trust: Trust
    usage: Usage = field(compare=False)
    """What all calls took, those of taggers and aggregators too."""
    forgotten: str = field(default="", compare=False)
    """Why the question could not be remembered; empty: it was, or nobody wanted it to be."""

    def __repr__(self) -> str:
        value = self.decision.value or f"no answer: {self.decision.abstained}"
        return f"Asked({self.question.text[:60]!r}: {value[:60]!r}, {len(self.drafts)} drafts)"


def asked_question(row: Mapping[str, Any]) -> Question:
    """The question that a person asks, read as a row of a dataset is.

    Where the row names no kind and nothing tells one, the answer may be of any length (`open`).

    Raises:
        InputError: as `load_dataset` does.
    """
    question = load_dataset([dict(row)])[0].question
    if question.kind is Kind.TEXT and not row.get("kind"):
        return replace(question, kind=Kind.OPEN)
    return question


async def ask(
    pipeline: Pipeline,
    question: Question,
    *,
    history: History | None = None,
    planned: Callable[[Brief, Plan], None] = lambda brief, plan: None,
    drafted: Callable[[AskedDraft], None] = lambda draft: None,
) -> Asked:
    """Take one question through a pipeline.

    Args:
        pipeline: answers.
        question: is asked.
        history: earlier questions, for voters that look at more than one; this one is added. None:
            the pipeline's own.
        planned: called once it is known who is asked, and why.
        drafted: called with each expert's draft, as it comes.

    Raises:
        WorkerError: every call failed.
        BudgetExhausted: the next call would pass the pipeline's budget.
    """
    history = pipeline.history if history is None else history
    ear = _Ear(drafted)
    budget = pipeline.spec.budget
    with nullcontext() if budget == Budget() else Account.open(None, budget) as account:
        async with pipeline.open(account=account) as context:
            context.past = history.before(question.id)
            context.tolerance, context.heard = 1.0, ear.heard
            batch = await pipeline.advance(Batch.of([question]), context, stop="route")
            ear.plan = batch.plans[0]
            planned(batch.briefs[0], ear.plan)
            labels = [label for label, _ in pipeline.stages]
            batch = await pipeline.advance(batch, context, start=labels[labels.index("route") + 1])
    found = tuple(
        replace(ear.drafts[draft.expert, draft.sample], answer=draft.answer)
        for draft in batch.drafts[0]
        if (draft.expert, draft.sample) in ear.drafts
    )
    _refuse_silence(found, batch.decisions[0])
    forgotten = ""
    try:
        history.add(batch.votes[0])
    except InputError as error:  # the answer is there, and paid for
        forgotten = str(error)
    return Asked(
        question,
        batch.briefs[0],
        batch.plans[0],
        pipeline.spec.generate.calls,
        found,
        batch.ballots[0],
        _worded(batch.decisions[0], batch.ballots[0], found, question),
        batch.trust,
        batch.counts.usage,
        forgotten,
    )


class _Ear:
    """Takes the drafts of one plan out of everything that is generated."""

    def __init__(self, drafted: Callable[[AskedDraft], None]) -> None:
        self.plan: Plan | None = None
        self.drafts: dict[tuple[str, int], AskedDraft] = {}
        self._drafted = drafted

    def heard(self, call: Call, generation: Generation, answer: Answer | None) -> None:
        """Calls of taggers, later layers and aggregators are none of the plan's."""
        if self.plan is None or answer is None or call.stage != "generate" or call.layer:
            return
        for seat in (*self.plan.seats, *self.plan.reserves):
            if (seat.expert, seat.sample) == (call.expert, call.sample):
                text = visible(generation.text).text.strip()
                draft = AskedDraft(seat, answer, text, generation.failure, generation.usage)
                self.drafts[seat.expert, seat.sample] = draft
                self._drafted(draft)
                return


def _refuse_silence(drafts: tuple[AskedDraft, ...], decision: Decision) -> None:
    """Raise WorkerError where every call failed."""
    failures = [
        f"expert `{draft.seat.expert}`, {draft.failure.kind}: {draft.failure.detail}"
        for draft in drafts
        if draft.failure is not None and draft.failure.kind != "not_recorded"
    ]
    if decision.value is None and not decision.text and failures and len(failures) == len(drafts):
        raise WorkerError(
            "every call failed:\n  " + "\n  ".join(failures),
            hint="`orchestra check ROSTER --live` says what is wrong with each",
        )


def _worded(
    decision: Decision, ballot: Ballot, drafts: tuple[AskedDraft, ...], question: Question
) -> Decision:
    """The decision with the words of the draft that counts most among those that won.

    Questions whose answer is a letter, a number, ... have it as their value.
    """
    if question.kind is not Kind.OPEN or decision.text or decision.value is None:
        return decision
    weights = {vote.expert: vote.weight for vote in ballot.votes}
    winners = [draft for draft in drafts if draft.answer.value == decision.value]
    if not winners:
        return decision
    best = max(winners, key=lambda draft: weights.get(draft.seat.expert, 0.0))
    return replace(decision, text=best.text)
