"""Makes the trials of a red team: who lies, what the panel then says, and what each way decides.

Knows the attacks, the pipeline's stages and the order in which they follow each other; counts
nothing. In the template form whatever reads no text is decided without asking anybody twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from orchestra.evals.datasets import Item
from orchestra.evals.marking import same
from orchestra.pipeline import Batch, Pipeline
from orchestra.records import Brief, Failure, Generation, Plan, Request
from orchestra.redteam.company import Company, Means, company
from orchestra.redteam.defences import BASELINES, REFERENCE, Way
from orchestra.redteam.elections import Elections
from orchestra.redteam.inject import Injected, Wrapped
from orchestra.redteam.lies import Lies, Scene, choose_liars, plant, scenes_of
from orchestra.redteam.panel import Honest, Panel, Rows, due
from orchestra.redteam.poison import lying_answers, lying_table
from orchestra.redteam.sweep import Condition, Decided, Reason, Sweep, Trial
from orchestra.roster import Expert
from orchestra.runs import Account
from orchestra.voting import Voter
from orchestra.workers import Worker, ended

_FORGOTTEN = Failure("no_reply", "the worker ended without a reply")


class FailureLog(Wrapped):
    """Workers with liars among them, of whose lies those that failed are written down.

    Args:
        workers: the workers with the liars.
    """

    def __init__(self, workers: Injected) -> None:
        super().__init__(workers)
        self._infiltrated = workers
        self._failed: Counter[tuple[str, str]] = Counter()

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why lies failed so far, sorted."""
        told = self._failed.items()
        return tuple(sorted(Reason(kind, detail, n) for (kind, detail), n in told))

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the expert, and others of its unit; leaving the context unloads them."""
        return self._visit(super().open(expert, *others, account=account, **options))

    @asynccontextmanager
    async def _visit(self, inside: AbstractAsyncContextManager[Worker]) -> AsyncIterator[Worker]:
        async with inside as worker:
            yield _Listening(worker, self._infiltrated, self._note)

    def _note(self, failure: Failure) -> None:
        self._failed[failure.kind, failure.detail] += 1


class _Listening:
    """A worker whose lies are waited for."""

    def __init__(
        self, inside: Worker, infiltrated: Injected, note: Callable[[Failure], None]
    ) -> None:
        self._inside, self._infiltrated, self._note = inside, infiltrated, note

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each request, in whatever order they come."""
        waiting: set[str] = set()
        async with ended(self._inside, self._marked(requests, waiting)) as stream:
            async for generation in stream:
                if generation.key in waiting:
                    waiting.remove(generation.key)
                    if generation.failure is not None:
                        self._note(generation.failure)
                yield generation
        for _ in waiting:
            self._note(_FORGOTTEN)

    def _marked(self, requests: Iterable[Request], waiting: set[str]) -> Iterator[Request]:
        """The requests, of which those that a liar lies on are in `waiting`."""
        for request in requests:
            if self._infiltrated.lie(request) is not None:
                waiting.add(request.key)
            yield request


_Merged = Mapping[str, tuple[Batch, int]]
"""Name of a way -> what an aggregator made of the batch, and the calls that took."""


@dataclass(frozen=True)
class _Turned:
    """The pipeline, perhaps with a profile on which liars lied."""

    pipeline: Pipeline
    profile: tuple[object, ...] | None = None
    """Stands for that profile; None: everybody was honest on it."""


class RedTeam:
    """The trials of one sweep.

    Args:
        means: the pipeline, its questions, and where what is said is kept.
        items: the questions with their gold answers, at least one of which has one.
        sweep: what is tried.
        ways: what is compared.
        briefs: the skills of each question, in the order of the items.
    """

    def __init__(
        self,
        means: Means,
        items: Sequence[Item],
        *,
        sweep: Sweep,
        ways: Sequence[Way],
        briefs: Sequence[Brief],
    ) -> None:
        self._means, self._sweep, self._briefs = means, sweep, briefs
        self._items = tuple(items)
        self._marked = [i for i, item in enumerate(items) if item.gold is not None]
        self._ways = {**BASELINES, **{way.name: way for way in ways}}
        self._merging = {
            name: way.merging for name, way in self._ways.items() if way.merging is not None
        }
        self._plans = tuple(means.pipeline.plan(briefs))
        self._honest = Honest(means.pipeline.spec.generate)
        self._panel = Panel((), {})
        self._done: dict[tuple[object, ...], Trial] = {}
        self._elections = Elections(self._marked)
        self._scenes: list[Scene] = []

    async def honest(self) -> Trial:
        """The panel in which nobody lies; to be tried before any other."""
        pipeline = self._means.pipeline
        async with company(self._means, pipeline.workers) as experts:
            batch = await experts.draft(self._plans, texts=bool(self._merging))
            merged = await self._merged(experts, batch, pipeline)
        self._honest.learn(batch)
        self._panel = Panel(self._plans, batch.rows)
        self._scenes = scenes_of(self._items, self._panel.rows)
        decided = self._decide(_Turned(pipeline), self._panel, merged)
        nobody: tuple[frozenset[str], ...] = (frozenset(),) * len(self._marked)
        without = decided[REFERENCE].values
        panel = self._panel
        return Trial(None, (), panel.asked, panel.seats, nobody, without, decided)

    async def trial(self, condition: Condition) -> Trial:
        """The panel under one attack."""
        asks = self._sweep.form == "live" or self._merging or self._sweep.layers is not None
        if asks:
            return await self._try(condition, live=True)
        # Attacks that plant the same values are the same to whoever reads no text.
        if condition.values not in self._done:
            self._done[condition.values] = await self._try(condition, live=False)
        return replace(self._done[condition.values], condition=condition)

    async def _try(self, condition: Condition, *, live: bool) -> Trial:
        lies = self._lies(condition)
        turned = self._turned(lies, condition)
        plans, honest = await self._seated(turned)
        panel, merged, reasons = (
            await self._infiltrate(plans, lies, turned.pipeline)
            if live
            else (self._bridged(plans, honest, lies), {}, ())
        )
        decided = self._decide(turned, panel, merged)
        repented = panel.repented(honest, lies.liars)
        reference = BASELINES[REFERENCE].voter
        assert reference is not None
        return Trial(
            condition,
            lies.liars,
            panel.asked,
            panel.seats,
            self._planted(panel, lies),
            self._elect(reference, panel.without(lies.liars), turned).values,
            self._held(decided, turned, repented, condition.faults),
            self._kept(panel, lies, merged),
            reasons,
        )

    async def _seated(self, turned: _Turned) -> tuple[tuple[Plan, ...], Rows]:
        """Who is asked, and what they say if they are honest."""
        if turned.profile is None:
            return self._plans, {**self._panel.rows}  # type: ignore[dict-item]
        plans = tuple(turned.pipeline.plan(self._briefs))
        async with company(self._means, self._means.pipeline.workers) as experts:
            return plans, await self._honest.rows(plans, experts.draft)

    def _lies(self, condition: Condition) -> Lies:
        pipeline, attack = self._means.pipeline, condition.attack
        liars: Sequence[str] = (pipeline.spec.synthesise.aggregator,)
        if attack.role == "answer":
            liars = choose_liars(pipeline.roster.recruits, condition.faults, seed=condition.seed)
        return plant(self._scenes, attack, liars=liars, seed=condition.seed)

    def _turned(self, lies: Lies, condition: Condition) -> _Turned:
        """The pipeline with the table that it would have, had the liars been profiled lying."""
        pipeline = self._means.pipeline
        if pipeline.table is None or not lies.attack.on_profile:
            return _Turned(pipeline)
        table = lying_table(pipeline.table, lies.attack, liars=lies.liars, seed=lies.seed)
        return _Turned(replace(pipeline, table=table), condition.values)

    def _bridged(self, plans: Sequence[Plan], honest: Rows, lies: Lies) -> Panel:
        """What `_infiltrate` would give in the template form, without asking."""
        settings = self._means.pipeline.spec.generate
        said = lying_answers(honest, lies, cascade=settings.read)
        rows = {
            plan.question_id: due(plan, said[plan.question_id], settings) or {} for plan in plans
        }
        return Panel(tuple(plans), rows)

    async def _infiltrate(
        self, plans: Sequence[Plan], lies: Lies, pipeline: Pipeline
    ) -> tuple[Panel, _Merged, tuple[Reason, ...]]:
        """The pipeline's own stages with liars among its experts, and why lies failed."""
        sweep, layers = self._sweep, self._sweep.layers
        workers = FailureLog(
            Injected(
                self._means.pipeline.workers,
                lies,
                form=sweep.form,
                layers=None if layers is None else frozenset(layers),
            )
        )
        async with company(self._means, workers) as experts:
            batch = await experts.draft(plans, texts=bool(self._merging))
            merged = await self._merged(experts, batch, pipeline)
        return Panel(tuple(plans), batch.rows), merged, workers.reasons

    async def _merged(self, experts: Company, batch: Batch, pipeline: Pipeline) -> _Merged:
        """What each aggregator makes of the drafts, those of suspects left out, as in a run."""
        if not self._merging:
            return {}
        voted = await experts.vote(batch, pipeline)
        return {
            name: await experts.merge(settings, voted) for name, settings in self._merging.items()
        }

    def _decide(self, turned: _Turned, panel: Panel, merged: _Merged) -> dict[str, Decided]:
        found: dict[str, Decided] = {}
        for name, way in self._ways.items():
            if way.voter is not None:
                told = self._elect(way.voter, panel, turned)
                found[name] = told if way.names_suspects else replace(told, trust=None)
        for name, (batch, calls) in merged.items():
            values = tuple([batch.decisions[i].value for i in self._marked])
            found[name] = Decided(values, panel.calls + calls)
        return found

    def _elect(self, voter: Voter, panel: Panel, turned: _Turned) -> Decided:
        return self._elections.decided(voter, panel, turned.pipeline, profile=turned.profile)

    def _held(
        self, decided: Mapping[str, Decided], turned: _Turned, repented: Panel, faults: int
    ) -> dict[str, Decided]:
        """The same with the number of certificates that the liars' honest answers contradict."""
        found: dict[str, Decided] = dict(decided)
        for name, each in decided.items():
            voter = self._ways[name].voter
            sure = each.promised(faults)
            if voter is not None and sure:
                honest = self._elect(voter, repented, turned).values
                broken = sum(honest[place] != each.values[place] for place in sure)
                found[name] = replace(each, broken=broken)
        return found

    def _planted(self, panel: Panel, lies: Lies) -> tuple[frozenset[str], ...]:
        """What the liars that were asked wanted, for each marked question."""
        found = []
        for i in self._marked:
            question_id = self._items[i].question.id
            there = {seat.expert for seat in panel.rows[question_id]}
            whose = [
                lies.of(question_id, liar)
                for liar in lies.liars
                if liar in there or lies.attack.role == "synthesise"
            ]
            found.append(frozenset(lie.value for lie in whose if lie is not None))
        return tuple(found)

    def _kept(self, panel: Panel, lies: Lies, merged: _Merged) -> float | None:
        """Share of the lies that read as planted, as far as they are seen: in first drafts, and
        where the aggregator lies in what it comes to."""
        said: list[tuple[str, str, str | None]] = []
        if lies.attack.role == "synthesise":
            for name, (batch, _) in merged.items():
                who = self._merging[name].aggregator
                pairs = zip(batch.questions, batch.conclusions, strict=True)
                said += [(question.id, who, made.value) for question, made in pairs]
        elif self._sweep.layers is None or 0 in self._sweep.layers:
            for each, row in panel.rows.items():
                said += [(each, seat.expert, answer.value) for seat, answer in row.items()]
        kept = [
            value is not None and same(value, lie.value, lie.question.kind)
            for each, who, value in said
            if (lie := lies.of(each, who)) is not None
        ]
        return sum(kept) / len(kept) if kept else None
