"""The trials of a red team: a condition is a batch with planted drafts, taken on by the pipeline.

A trial decides what a run among the same liars decides. Drafts that are known are replayed, and
equal votes are counted once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

import orjson

from orchestra.evals.items import Item
from orchestra.evals.marking import same
from orchestra.pipeline import Batch, Context, Generate, Pipeline, Progress
from orchestra.pipeline.stages.generate import replay_drafts
from orchestra.records import Absence, Draft, Plan, Seat
from orchestra.redteam.defences import BASELINES, REFERENCE, Defence
from orchestra.redteam.inject import Injected
from orchestra.redteam.lies import Lies, choose_liars, plant, scenes_of
from orchestra.redteam.poison import lying_draft, lying_table
from orchestra.redteam.sweep import Condition, Decided, Sweep, Trial
from orchestra.runs import Account, Ledger
from orchestra.voting import Calibration, LabelledVotes

Known = Callable[[Seat], Draft | None]
"""What a seat of one plan drafts; None: that is not known."""


@dataclass(frozen=True)
class _Defended(Pipeline):
    """A pipeline that decides by one defence, without confidences: a red team counts none."""

    source: Pipeline | None = None
    """The same pipeline with its own stages; what the profile says is worked out there once."""

    @cached_property
    def profile_votes(self) -> tuple[LabelledVotes, ...]:
        """The votes on the profile's questions."""
        assert self.source is not None
        return self.source.profile_votes

    @cached_property
    def calibration(self) -> Calibration | None:
        """None."""
        return None


@dataclass(frozen=True)
class _Panel:
    """A pipeline with the table of one condition, and the batch that honest experts draft."""

    pipeline: Pipeline
    honest: Batch
    profile: tuple[object, ...] | None = None
    """Stands for the table: equal ones are equal; None: everybody was honest on the profile."""


@dataclass
class RedTeam:
    """The trials of one sweep; `honest` comes before any other."""

    pipeline: Pipeline
    items: Sequence[Item]
    """The questions with their gold answers, at least one of which has one."""
    sweep: Sweep
    defences: Sequence[Defence]
    ledger: Ledger | None = None
    """Where generations are kept and looked up; None: nowhere."""
    account: Account | None = None
    """Pays for all calls; None: nobody counts."""
    progress: Progress | None = None
    """Called as experts are asked."""
    _known: dict[tuple[str, str, int], Draft] = field(default_factory=dict, init=False)
    _trials: dict[tuple[object, ...], Trial] = field(default_factory=dict, init=False)
    _voted: dict[tuple[object, ...], Decided] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._marked = [i for i, item in enumerate(self.items) if item.gold is not None]
        self._compared = {**BASELINES, **{each.name: each for each in self.defences}}
        self._voters = [name for name, each in self._compared.items() if each.merging is None]
        labels = [label for label, _ in self.pipeline.stages]
        self._first = labels[labels.index("generate") + 1]

    async def honest(self) -> Trial:
        """The batch in which nobody lies."""
        async with self._open(self.pipeline) as context:
            questions = Batch.of(item.question for item in self.items)
            batch = await self.pipeline.advance(questions, context, stop="generate")
            self._learn(batch)
            self._panel = _Panel(self.pipeline, batch)
            self._scenes = scenes_of(self.items, batch.rows)
            decided, _ = await self._decide(self._panel, batch, context)
        nobody: tuple[frozenset[str], ...] = (frozenset(),) * len(self._marked)
        without = decided[REFERENCE].values
        return Trial(None, (), _asked(batch), _seats(batch), nobody, without, decided)

    async def trial(self, condition: Condition) -> Trial:
        """The batch under one attack."""
        if self.sweep.form == "live" or len(self._voters) < len(self._compared):
            return await self._tried(condition)
        # Attacks that plant the same values are the same to votes, which read no text.
        if condition.values not in self._trials:
            self._trials[condition.values] = await self._tried(condition)
        return replace(self._trials[condition.values], condition=condition)

    async def _tried(self, condition: Condition) -> Trial:
        lies, form, layers = self._lies(condition), self.sweep.form, self.sweep.layers
        panel = await self._attacked(condition, lies)
        within = None if layers is None else frozenset(layers)
        workers = Injected(self.pipeline.workers, lies, form=form, layers=within)
        among = replace(panel.pipeline, workers=workers)
        async with self._open(among) as context:
            if form == "live":
                batch = await self._drafted(among, replace(panel.honest, drafts=()), context)
            else:
                batch = self._planted(panel.honest, lies)
            decided, concluded = await self._decide(panel, batch, context)
            removed = batch.without(frozenset(lies.liars))
            without = (await self._votes([REFERENCE], panel, removed, context))[REFERENCE]
            sure = {name: each.promised(condition.faults) for name, each in decided.items()}
            names = [name for name, places in sure.items() if places]
            repented = _repented(batch, panel.honest, lies)
            for name, honest in (await self._votes(names, panel, repented, context)).items():
                values, then = decided[name].values, honest.values
                broken = sum(then[place] != values[place] for place in sure[name])
                decided[name] = replace(decided[name], broken=broken)
        return Trial(
            condition,
            lies.liars,
            _asked(batch),
            _seats(batch),
            self._wanted(batch, lies),
            without.values,
            decided,
            self._kept(batch, lies, concluded),
            workers.reasons,
        )

    @asynccontextmanager
    async def _open(self, pipeline: Pipeline) -> AsyncIterator[Context]:
        """A context over the pipeline's experts, in which only generations are kept."""
        async with pipeline.open(
            ledger=self.ledger, account=self.account, progress=self.progress
        ) as context:
            context.keeps = False
            yield context

    def _lies(self, condition: Condition) -> Lies:
        pipeline, attack = self.pipeline, condition.attack
        liars: Sequence[str] = (pipeline.spec.synthesise.aggregator,)
        if attack.role == "answer":
            liars = choose_liars(pipeline.roster.recruits, condition.faults, seed=condition.seed)
        return plant(self._scenes, attack, liars=liars, seed=condition.seed)

    # Drafts

    async def _attacked(self, condition: Condition, lies: Lies) -> _Panel:
        """The panel that is recruited once liars were profiled lying, with its honest drafts."""
        pipeline = self.pipeline
        if pipeline.table is None or not lies.attack.on_profile:
            return self._panel
        table = lying_table(pipeline.table, lies.attack, liars=lies.liars, seed=lies.seed)
        among = replace(pipeline, table=table)
        batch = self._panel.honest
        batch = replace(batch, plans=tuple(among.plan(batch.briefs)), drafts=())
        rows = [self._honestly(plan) for plan in batch.plans]
        unknown = [place for place, row in enumerate(rows) if row is None]
        if unknown:
            async with self._open(pipeline) as context:
                part = await self._drafted(pipeline, _part(batch, unknown), context)
            self._learn(part)
            for place, row in zip(unknown, part.drafts, strict=True):
                rows[place] = row
        drafts = tuple([row for row in rows if row is not None])
        return _Panel(among, replace(batch, drafts=drafts), condition.values)

    async def _drafted(self, pipeline: Pipeline, batch: Batch, context: Context) -> Batch:
        return await pipeline.advance(batch, context, start="generate", stop="generate")

    def _learn(self, batch: Batch) -> None:
        """Know what honest experts drafted, so that no seat is asked twice."""
        for plan, row in zip(batch.plans, batch.drafts, strict=True):
            for draft in row:
                self._known[plan.question_id, draft.expert, draft.sample] = draft

    def _honestly(self, plan: Plan) -> tuple[Draft, ...] | None:
        """The honest drafts of a plan; None: some of them are not known."""

        def known(seat: Seat) -> Draft | None:
            draft = self._known.get((plan.question_id, seat.expert, seat.sample))
            return draft if draft is None or draft.seat is seat else draft._replace(seat=seat)

        return replayed(plan, self.pipeline.spec.generate, known)

    def _planted(self, honest: Batch, lies: Lies) -> Batch:
        """The honest batch with the liars' drafts in place of theirs: what would be drafted in
        the template form, without asking anybody."""
        if lies.attack.role != "answer" or 0 not in (self.sweep.layers or (0,)):
            return honest
        settings, roster = self.pipeline.spec.generate, self.pipeline.roster
        rules = {name: roster[name].rule or settings.read for name in lies.liars}
        drafts = []
        for plan, row in zip(honest.plans, honest.drafts, strict=True):
            planted = {
                draft.seat: lying_draft(draft, lie, lies, cascade=rules[draft.expert])
                for draft in row
                if draft.expert in rules
                and (lie := lies.of(plan.question_id, draft.expert)) is not None
            }
            if planted:
                known = {draft.seat: planted.get(draft.seat, draft) for draft in row}
                row = replayed(plan, settings, known.get) or ()
            drafts.append(row)
        return replace(honest, drafts=tuple(drafts))

    # Decisions

    async def _decide(
        self, panel: _Panel, batch: Batch, context: Context
    ) -> tuple[dict[str, Decided], dict[str, Batch]]:
        """What each defence decides, and the batches of which an aggregator made something."""
        votes = await self._votes(self._voters, panel, batch, context)
        decided = {
            name: vote if self._compared[name].names_suspects else replace(vote, trust=None)
            for name, vote in votes.items()
        }
        concluded = {}
        for name, defence in self._compared.items():
            if defence.merging is not None:
                made = concluded[name] = await self._advance(defence, panel, batch, context)
                values = tuple([made.decisions[i].value for i in self._marked])
                decided[name] = Decided(values, _drafts(batch) + made.counts.calls)
        return decided, concluded

    async def _votes(
        self, names: Iterable[str], panel: _Panel, batch: Batch, context: Context
    ) -> dict[str, Decided]:
        """What votes decide. Equal batches are voted on once: voters are pure."""
        stamp, found = _stamp(batch), {}
        for name in names:
            defence = self._compared[name]
            assert defence.voter is not None
            key = name, stamp, panel.profile if defence.voter.learns else None
            if key not in self._voted:
                made = await self._advance(defence, panel, batch, context)
                ballots = [made.ballots[i] for i in self._marked]
                self._voted[key] = Decided(
                    tuple([ballot.winner for ballot in ballots]),
                    _drafts(batch) + made.counts.calls,
                    tuple([ballot.certificate for ballot in ballots]),
                    made.trust,
                )
            found[name] = self._voted[key]
        return found

    async def _advance(
        self, defence: Defence, panel: _Panel, batch: Batch, context: Context
    ) -> Batch:
        """The batch after the stages that follow on drafts, decided by a defence."""
        own = panel.pipeline
        spec = defence.of(own.spec)
        defended = _Defended(spec, own.roster, own.workers, own.table, own.seed, source=own)
        return await defended.advance(batch, context.scope(), start=self._first)

    # What becomes of lies

    def _wanted(self, batch: Batch, lies: Lies) -> tuple[frozenset[str], ...]:
        """What the liars that were asked wanted, for each marked question."""
        found = []
        for place in self._marked:
            asked = {draft.expert for draft in batch.drafts[place]}
            whose = [
                lies.of(batch.questions[place].id, liar)
                for liar in lies.liars
                if liar in asked or lies.attack.role == "synthesise"
            ]
            found.append(frozenset(lie.value for lie in whose if lie is not None))
        return tuple(found)

    def _kept(self, batch: Batch, lies: Lies, concluded: Mapping[str, Batch]) -> float | None:
        """Share of the lies that read as planted, as far as they are seen: in first drafts, and
        where the aggregator lies in what it comes to."""
        read: list[tuple[str, str, str | None]] = []
        if lies.attack.role == "synthesise":
            for made in concluded.values():
                pairs = zip(made.questions, made.conclusions, strict=True)
                read += [(question.id, lies.liars[0], each.value) for question, each in pairs]
        elif 0 in (self.sweep.layers or (0,)):
            for row in batch.drafts:
                read += [(d.answer.question_id, d.expert, d.answer.value) for d in row]
        kept = [
            value is not None and same(value, lie.value, lie.question.kind)
            for question_id, expert, value in read
            if (lie := lies.of(question_id, expert)) is not None
        ]
        return sum(kept) / len(kept) if kept else None


def replayed(plan: Plan, settings: Generate, known: Known) -> tuple[Draft, ...] | None:
    """The drafts that a plan would have asked for; None where one of them is not known.

    A liar always answers, so that a reserve that was asked in its place no longer is.
    """
    drafts, missing = replay_drafts(plan, settings, known)
    return None if missing else drafts


def _repented(batch: Batch, honest: Batch, lies: Lies) -> Batch:
    """The same seats with the liars' honest answers in place of their lies.

    A liar that nobody asked while it was honest keeps its place, and abstains.
    """
    liars, drafts = frozenset(lies.liars), []
    for row, honestly in zip(batch.drafts, honest.drafts, strict=True):
        if any(draft.seat.expert in liars for draft in row):
            known = {draft.seat: draft for draft in honestly if draft.seat.expert in liars}
            row = tuple(
                [
                    known.get(draft.seat) or _silent(draft) if draft.seat.expert in liars else draft
                    for draft in row
                ]
            )
        drafts.append(row)
    return replace(batch, drafts=tuple(drafts))


def _silent(draft: Draft) -> Draft:
    return draft._replace(answer=replace(draft.answer, value=None, absence=Absence.EMPTY))


def _part(batch: Batch, places: Sequence[int]) -> Batch:
    """Some questions of a batch that is not drafted yet."""
    return Batch(
        tuple([batch.questions[place] for place in places]),
        tuple([batch.briefs[place] for place in places]),
        tuple([batch.plans[place] for place in places]),
    )


def _stamp(batch: Batch) -> bytes:
    """Stands for all that votes are counted of: batches with equal ones are equal."""
    rows = [[(draft.seat, draft.answer) for draft in row] for row in batch.drafts]
    return blake2b(orjson.dumps([batch.plans, rows]), digest_size=16).digest()


def _drafts(batch: Batch) -> int:
    """Calls that the drafts took."""
    return sum(map(len, batch.drafts))


def _asked(batch: Batch) -> frozenset[str]:
    """Experts that had a seat."""
    return frozenset(draft.expert for row in batch.drafts for draft in row)


def _seats(batch: Batch) -> int:
    """How many experts had a seat on a question, in the median; 0 without questions."""
    counts = sorted(len({draft.expert for draft in row}) for row in batch.drafts)
    return counts[len(counts) // 2] if counts else 0
