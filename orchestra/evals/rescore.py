"""A finished run marked again: every text read by another cascade, the same votes counted anew.

Knows the run's plans, texts and voter; generates nothing and writes nothing. A reserve
that the other reading would need but that was never asked stays unasked, and is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from orchestra.answers import read, rules_for
from orchestra.errors import InputError
from orchestra.evals.finished import evidence_of, rules_of, spec_of
from orchestra.evals.items import Item
from orchestra.evals.marking import mark_answer, mark_decision
from orchestra.evals.statistics import Interval, share_interval
from orchestra.pipeline import PipelineSpec
from orchestra.pipeline.stages.generate import replay
from orchestra.records import Absence, Answer, Decision, Kind, Mark, Outcome, Plan, Seat
from orchestra.runs import RowKind, RunView
from orchestra.voting import QuestionVotes, VoterContext, decide, why_nobody

Call = tuple[str, str, int]
"""Question id, expert, sample."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a set of marks came out."""

    n: int
    correct: int
    absent: Mapping[str, int]
    """Reason -> how many."""
    interval: Interval
    """95 % interval of the share; repeats of a question are one cluster."""

    @property
    def accuracy(self) -> float:
        """Share right, in [0, 1]; 0 for no marks."""
        return self.correct / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Reread:
    """What another reading of the same texts comes to."""

    rule: str
    """The cascade that was used."""
    before: Standing
    """The decisions as the run made them."""
    after: Standing
    """The decisions that the other reading leads to."""
    experts: Mapping[str, tuple[Standing, Standing]]
    """Expert -> its calls before and after."""
    gained: tuple[str, ...]
    """Ids of the questions that are right only after."""
    lost: tuple[str, ...]
    """Ids of the questions that were right only before."""
    unasked: int
    """Reserves that the other reading would have turned to and that have no text."""


def reread(view: RunView, items: Sequence[Item], *, rule: str | None = None) -> Reread:
    """Read every text of a run again, vote again and mark.

    Args:
        view: the finished run.
        items: its questions, from `items_of`.
        rule: a cascade for every expert; None: those that the run used.

    Raises:
        InputError: the cascade is unknown, or a model put the drafts together: what it would say
            to drafts that are read otherwise is not known.
    """
    spec = spec_of(view)
    if rule is not None:
        rules_for(rule, Kind.CHOICE)
        _no_synthesis(spec, view)
    by_id = {item.question.id: item for item in items}
    old = {_call(each): each for each in view.ledger.rows(RowKind.ANSWER)}
    new = _read_all(view, by_id, rule, spec.generate.read)
    decisions, unasked = _decide(view.ledger.rows(RowKind.PLAN), new, spec, evidence_of(view, spec))
    if spec.synthesise.kind != "none":  # the votes alone did not decide
        decisions = list(view.ledger.rows(RowKind.DECISION))
    before = _marks(view.ledger.rows(RowKind.DECISION), by_id)
    after = _marks(decisions, by_id)
    right = {each for each, mark in before.items() if mark.outcome is Outcome.CORRECT}
    now = {each for each, mark in after.items() if mark.outcome is Outcome.CORRECT}
    return Reread(
        rule or spec.generate.read,
        standing(before.values(), by_id),
        standing(after.values(), by_id),
        _by_expert(old, new, by_id),
        tuple(each for each in after if each in now - right),
        tuple(each for each in after if each in right - now),
        unasked,
    )


def standing(marks: Iterable[Mark], items: Mapping[str, Item]) -> Standing:
    """How the marks of these items, by question id, came out."""
    marks = list(marks)
    reasons = Counter(mark.absence.value for mark in marks if mark.absence is not None)
    right = [mark.outcome is Outcome.CORRECT for mark in marks]
    interval = share_interval(right, [items[mark.question_id].cluster for mark in marks])
    return Standing(len(marks), sum(right), dict(sorted(reasons.items())), interval)


def _read_all(
    view: RunView, by_id: Mapping[str, Item], rule: str | None, usual: str
) -> dict[Call, Answer]:
    own = rules_of(view)
    found: dict[Call, Answer] = {}
    for kind in (RowKind.GENERATION, RowKind.FAILURE):
        for generation in view.ledger.rows(kind):
            if generation.layer:  # said in view of these drafts
                continue
            question = by_id[generation.question_id].question
            cascade = rule or own.get(generation.expert) or usual
            answer = read(question, generation, cascade=cascade)
            found[_call(answer)] = answer
    return found


def _no_synthesis(spec: PipelineSpec, view: RunView) -> None:
    if spec.synthesise.kind != "none":
        raise InputError(
            f"`{spec.synthesise.aggregator}` put the drafts together: another reading of them "
            "would have shown it others",
            place=str(view.path),
            hint="run the pipeline with `--set generate.read=RULE` in a folder of its own",
        )


def _decide(
    plans: Iterable[Plan],
    answers: Mapping[Call, Answer],
    spec: PipelineSpec,
    evidence: VoterContext,
) -> tuple[list[Decision], int]:
    votes, unasked = [], 0
    for plan in plans:
        asked, missing = replay(plan, spec.generate, partial(_answer, answers, plan.question_id))
        unasked += len(missing)
        votes.append(QuestionVotes(plan, asked))
    ballots = spec.vote.vote(votes, evidence).ballots
    return [
        decide(ballot, None, absence=why_nobody(each))
        for each, ballot in zip(votes, ballots, strict=True)
    ], unasked


def _answer(answers: Mapping[Call, Answer], question_id: str, seat: Seat) -> Answer | None:
    return answers.get((question_id, seat.expert, seat.sample))


def _marks(decisions: Iterable[Decision], by_id: Mapping[str, Item]) -> dict[str, Mark]:
    return {
        each.question_id: mark_decision(each, by_id[each.question_id], who="pipeline")
        for each in decisions
        if by_id[each.question_id].gold is not None
    }


def _by_expert(
    old: Mapping[Call, Answer], new: Mapping[Call, Answer], by_id: Mapping[str, Item]
) -> dict[str, tuple[Standing, Standing]]:
    """Each expert's calls, without those that gave no text to read."""
    rows: dict[str, tuple[list[Mark], list[Mark]]] = {}
    for call, answer in new.items():
        item = by_id[answer.question_id]
        if item.gold is None or answer.absence in (Absence.NOT_RECORDED, Absence.FAILED):
            continue
        before, after = rows.setdefault(answer.expert, ([], []))
        after.append(mark_answer(answer, item))
        if call in old:
            before.append(mark_answer(old[call], item))
    return {name: (standing(a, by_id), standing(b, by_id)) for name, (a, b) in sorted(rows.items())}


def _call(answer: Answer) -> Call:
    return answer.question_id, answer.expert, answer.sample
