"""Pipelines tried on calls that are known already: the same stages, over drafts that are there.

Nothing is generated. A pipeline that would need a call that is not there is told apart (`Lack`):
it has no accuracy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from orchestra.evals.items import Item
from orchestra.evals.marking import same
from orchestra.evals.statistics import Interval, wilson
from orchestra.pipeline import Batch, Context, Generate, GenerateStage, Pipeline, Stage, WorkerPool
from orchestra.pipeline.stage import CallEstimate
from orchestra.pipeline.stages.generate import replay_drafts
from orchestra.records import Absence, Answer, Call, Draft, Generation, Request, Seat, Usage
from orchestra.roster import Expert, Roster
from orchestra.runs import Ledger
from orchestra.scheduling import Length
from orchestra.voting import Calibration, LabelledVotes
from orchestra.workers import Worker

Flags = NDArray[np.bool_]


@dataclass
class Known:
    """Calls that are known, by question and by (expert, sample)."""

    calls: dict[str, dict[tuple[str, int], tuple[Draft, Usage]]] = field(default_factory=dict)

    def add(self, answer: Answer, usage: Usage, *, text: str = "") -> None:
        """Know one call; a later one of the same question, expert and sample takes its place."""
        tokens = usage.input_tokens + usage.output_tokens
        seat = Seat(answer.expert, 1.0, "known", answer.sample)
        row = self.calls.setdefault(answer.question_id, {})
        row[answer.expert, answer.sample] = Draft(seat, answer, text, tokens), usage

    def hear(self, call: Call, generation: Generation, answer: Answer | None) -> None:
        """Know what a context heard (`Context.heard`), without texts; not what recordings lack."""
        if answer is not None and answer.absence is not Absence.NOT_RECORDED:
            self.add(answer, generation.usage)

    def of(self, question_id: str) -> Mapping[tuple[str, int], tuple[Draft, Usage]]:
        """The calls of one question."""
        return self.calls.get(question_id, {})

    def samples(self, expert: str, question_ids: Iterable[str]) -> tuple[int, ...]:
        """The draws of an expert that are known for all these questions, in order."""
        rows = [
            {sample for name, sample in self.of(each) if name == expert} for each in question_ids
        ]
        return tuple(sorted(set[int].intersection(*rows))) if rows else ()

    def whole(self, experts: Iterable[str], question_ids: Sequence[str]) -> list[str]:
        """The experts whose first answer to every question is known."""
        return [
            name for name in experts if all((name, 0) in self.of(each) for each in question_ids)
        ]


@dataclass
class Lack:
    """Calls that a pipeline would need and that are not there."""

    questions: set[str] = field(default_factory=set)
    experts: Counter[str] = field(default_factory=Counter)

    def add(self, question_id: str, expert: str) -> None:
        """One more."""
        self.questions.add(question_id)
        self.experts[expert] += 1


@dataclass(frozen=True)
class KnownDrafts:
    """Stands for the generate stage: drafts are looked up, and counted as if they were made."""

    settings: Generate
    known: Known
    lack: Lack
    name: ClassVar[str] = "generate"
    reads: ClassVar[tuple[str, ...]] = ("questions", "plans")
    scope: ClassVar[Literal["question"]] = "question"

    async def run(self, batch: Batch, context: Context) -> Batch:
        """Adds `drafts`; a seat whose call is not known has none, and is lacking."""
        rows = []
        for plan in batch.plans:
            calls = self.known.of(plan.question_id)

            def known(
                seat: Seat, calls: Mapping[tuple[str, int], tuple[Draft, Usage]] = calls
            ) -> Draft | None:
                found = calls.get((seat.expert, seat.sample))
                return None if found is None else found[0]._replace(seat=seat)

            row, missing = replay_drafts(plan, self.settings, known)
            for seat in missing:
                self.lack.add(plan.question_id, seat.expert)
            for draft in row:
                usage = calls[draft.expert, draft.sample][1]
                failed = draft.answer.absence is Absence.FAILED
                context.counter.add(context.stage, draft.expert, usage, failed=failed)
            rows.append(row)
        return replace(batch, drafts=tuple(rows))

    def experts(self, batch: Batch, place: int) -> Sequence[str]:
        """The experts of the drafts."""
        return [draft.expert for draft in batch.drafts[place]] if batch.drafts else []

    def forecast(
        self, batch: Batch, roster: Roster, lengths: Mapping[str, Length]
    ) -> Sequence[CallEstimate]:
        """None: it asks nobody."""
        return ()


class SilentPool(WorkerPool):
    """Opens workers that never reply: what is in no ledger stays unanswered."""

    @asynccontextmanager
    async def open(self, *_: Expert, **__: object) -> AsyncIterator[Worker]:
        """A worker that takes requests and says nothing."""
        yield _Silent()


class _Silent:
    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        for _ in requests:
            continue
        for nothing in tuple[Generation, ...]():
            yield nothing


@dataclass(frozen=True)
class Replayed(Pipeline):
    """A pipeline whose drafts are known; its other stages are its own."""

    known: Known = field(default_factory=Known, compare=False, repr=False)
    lack: Lack = field(default_factory=Lack, compare=False, repr=False)
    """What was lacking so far."""
    alike: Replayed | None = field(default=None, compare=False, repr=False)
    """A pipeline with the same stages up to the drafts, whose votes on the profile are the same."""
    keys: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Expert -> what its content keys rest on; empty where no later stage looks calls up."""
    confident: bool = field(default=False, compare=False, repr=False)
    """Whether decisions have confidences, which take the most time and decide nothing."""

    @cached_property
    def stages(self) -> tuple[tuple[str, Stage], ...]:
        """The pipeline's own, less the generation."""
        return tuple(
            (
                label,
                KnownDrafts(stage.settings, self.known, self.lack)
                if isinstance(stage, GenerateStage)
                else stage,
            )
            for label, stage in super().stages
        )

    @cached_property
    def identities(self) -> dict[str, str]:
        """What content keys rest on."""
        return {name: self.keys.get(name, name) for name in self.roster.names}

    @cached_property
    def profile_votes(self) -> tuple[LabelledVotes, ...]:
        """The votes on the profile, worked out once for pipelines with the same drafts."""
        return super().profile_votes if self.alike is None else self.alike.profile_votes

    @cached_property
    def calibration(self) -> Calibration | None:
        """Fitted on the profile's votes, where confidences are wanted."""
        return super().calibration if self.confident else None

    @property
    def drafted(self) -> str | None:
        """The label of the last stage that drafts."""
        labels = [label for label, stage in self.stages if isinstance(stage, KnownDrafts)]
        return labels[-1] if labels else None

    async def draft(self, batch: Batch, ledger: Ledger | None = None) -> Batch:
        """The batch up to its last drafts, with what they took; briefs or plans that it has
        already stay."""
        labels = [label for label, _ in self.stages]
        done = {"tag": bool(batch.briefs), "route": bool(batch.plans)}
        start = next(label for label in labels if not done.get(label, False))
        async with self.listening(ledger) as context:
            return await self.advance(batch, context, start=start, stop=self.drafted)

    async def decide(self, batch: Batch, ledger: Ledger | None = None) -> Batch:
        """The batch after all stages, from its drafts on."""
        labels = [label for label, _ in self.stages]
        start = 0 if self.drafted is None else labels.index(self.drafted) + 1
        if start == len(labels):
            return batch
        async with self.listening(ledger) as context:
            done = await self.advance(batch, context, start=labels[start])
        stages = {**batch.counts.stages, **done.counts.stages}
        return replace(done, counts=replace(done.counts, stages=stages))

    @asynccontextmanager
    async def listening(self, ledger: Ledger | None) -> AsyncIterator[Context]:
        """A context in which nothing is kept, and calls without reply are lacking."""
        async with self.open(ledger=ledger) as context:
            context.keeps, context.tolerance, context.heard = False, 1.0, self._heard
            yield context

    def _heard(self, call: Call, generation: Generation, answer: Answer | None) -> None:
        if generation.failure is not None and generation.failure.kind == "no_reply":
            self.lack.add(call.question.id, call.expert)


@dataclass(frozen=True)
class Tried:
    """What became of one pipeline on known calls."""

    right: Flags
    """Which of the marked questions it decides right, in their order; empty where calls lack."""
    absent: Mapping[str, int] = field(default_factory=dict)
    """Why marked questions have no answer, and how many."""
    calls: float = 0.0
    """Calls a question, of all stages."""
    tokens: float = 0.0
    """Input and output tokens a question."""
    money: float = 0.0
    """US dollars a question, as far as prices are known."""
    estimated: bool = False
    """Whether any tokens are estimates."""
    lack: Lack | None = None
    """What is lacking; None: nothing, and the other figures hold."""

    @property
    def n(self) -> int:
        """Marked questions."""
        return len(self.right)

    @property
    def accuracy(self) -> float:
        """Share right; 0 for no questions."""
        return float(self.right.mean()) if self.n else 0.0

    @property
    def interval(self) -> Interval:
        """95 % interval of the share (Wilson)."""
        return wilson(int(self.right.sum()), self.n)


def tried(done: Batch, items: Sequence[Item], lack: Lack) -> Tried:
    """How a decided batch comes out on its marked questions."""
    if lack.questions:
        return Tried(np.zeros(0, dtype=bool), lack=lack)
    by_id = {item.question.id: item for item in items if item.gold is not None}
    marked = [each for each in done.decisions if each.question_id in by_id]
    right = [is_right(by_id[each.question_id], each.value) for each in marked]
    absent = Counter(each.abstained or "unparsed" for each in marked if each.value is None)
    usage, n = done.counts.usage, max(len(done.questions), 1)
    return Tried(
        np.array(right, dtype=bool),
        dict(sorted(absent.items())),
        done.counts.calls / n,
        (usage.input_tokens + usage.output_tokens) / n,
        usage.money / n,
        usage.estimated,
    )


def is_right(item: Item, value: str | None) -> bool:
    """Whether an answer to an item is right; an absent one is not."""
    return value is not None and same(value, str(item.gold), item.question.kind)


def halves(items: Sequence[Item], *, seed: int, purpose: str) -> tuple[list[int], list[int]]:
    """Places of two halves of some questions, balanced by category.

    Within a category the questions with the smaller hashes of seed, purpose and id are the first
    half: another order of the items changes nothing, and a further question moves at most one
    other. Odd ones go to the smaller half.
    """
    groups: dict[str, list[tuple[bytes, int]]] = {}
    for place, item in enumerate(items):
        told = f"{seed}:{purpose}:{item.question.id}".encode()
        rank = blake2b(told, digest_size=16).digest()
        groups.setdefault(item.question.category, []).append((rank, place))
    first: list[int] = []
    second: list[int] = []
    for _, group in sorted(groups.items()):
        ranked = [place for _, place in sorted(group)]
        middle = (len(ranked) + (len(first) <= len(second))) // 2
        first += ranked[:middle]
        second += ranked[middle:]
    return sorted(first), sorted(second)


def right_of(known: Known, items: Sequence[Item], experts: Sequence[str]) -> Flags:
    """Which first answers are right, shape (experts, items); unknown ones are not."""
    return np.array(
        [[is_right(item, value) for item, value in _values(known, items, name)] for name in experts]
    ).reshape(len(experts), len(items))


def _values(known: Known, items: Sequence[Item], name: str) -> Iterator[tuple[Item, str | None]]:
    for item in items:
        found = known.of(item.question.id).get((name, 0))
        yield item, None if found is None else found[0].value
