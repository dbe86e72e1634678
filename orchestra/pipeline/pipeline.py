"""A pipeline: its stages in their order, and the loop that takes a batch through them.

The loop is the only place that knows the order. A red team, one question or a plan runs a part
of it, between `start` and `stop`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from orchestra.errors import InputError
from orchestra.pipeline.batch import Batch
from orchestra.pipeline.calibration import fit_calibration, profile_votes
from orchestra.pipeline.context import Context, Progress, check_budget, open_context
from orchestra.pipeline.executor import Executor
from orchestra.pipeline.forecast import forecast_batch
from orchestra.pipeline.memory import History
from orchestra.pipeline.spec import PipelineSpec, load_spec
from orchestra.pipeline.stage import Stage
from orchestra.pipeline.stage_graph import StageSpec
from orchestra.pipeline.stages.generate import GenerateStage
from orchestra.pipeline.stages.route import RouteStage
from orchestra.pipeline.stages.synthesise import SynthesiseStage, check_synthesis
from orchestra.pipeline.stages.tag import Tag, TagStage, resolve
from orchestra.pipeline.stages.vote import Learned, VoteStage
from orchestra.records import Brief, Decision, Plan, Question
from orchestra.roster import Roster
from orchestra.routing import Pool
from orchestra.runs import Account, Budget, Ledger
from orchestra.scheduling import Loads, Machine, first_come_loads
from orchestra.skills import RecruitmentTable, read_table
from orchestra.voting import Calibration, LabelledVotes, QuestionVotes, Voter, VoterContext
from orchestra.workers.pool import WorkerPool


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline with the experts and the table it works on.

    Args:
        spec: the stages.
        roster: the experts that may be recruited.
        workers: opens them.
        table: what was measured of them; None where the router needs none.
        seed: decides every random choice.
        machine: what engines are loaded on; None: one device for one engine at a time.
    """

    spec: PipelineSpec
    roster: Roster
    workers: WorkerPool
    table: RecruitmentTable | None = None
    seed: int = 0
    machine: Machine | None = None
    history: History = field(default_factory=History, init=False, compare=False, repr=False)
    """What `answer` has seen of the experts, for voters that look at more than one question."""

    def __repr__(self) -> str:
        table = "no table" if self.table is None else repr(self.table)
        return (
            f"Pipeline({self.spec.name!r}, {len(self.roster)} experts, {table}, seed {self.seed})"
        )

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        roster: Roster | str | Path,
        table: RecruitmentTable | str | Path | None = None,
        workers: WorkerPool | None = None,
        seed: int | None = None,
        overrides: Iterable[str] = (),
    ) -> Pipeline:
        """A pipeline from a file or a shipped name.

        Args:
            source: a pipeline file, or the name of a shipped one.
            roster: the experts, or their file.
            table: what was measured of them, or its file; None where the router needs none.
            workers: opens the experts; by default recordings only.
            seed: decides every random choice; by default the pipeline's own.
            overrides: `stage.option=value` settings.

        Raises:
            InputError: the pipeline is wrong, an expert cannot be opened, or the table is of
                another roster.
        """
        spec = load_spec(source, overrides=overrides)
        experts = roster if isinstance(roster, Roster) else Roster.load(roster)
        if seed is not None and not 0 <= seed < 2**63:
            raise InputError(f"a seed is a whole number from 0 to 2**63 - 1, not {seed}")
        opened = workers or WorkerPool()
        opened.check(experts)
        check_budget(spec.budget, experts)
        check_synthesis(spec.synthesise, experts)
        read = read_table(table) if isinstance(table, str | Path) else table
        matched = None if read is None else match(read, experts)
        return cls(spec, experts, opened, matched, spec.seed if seed is None else seed)

    async def answer(self, question: Question, *, progress: Progress | None = None) -> Decision:
        """Decide one question: a batch of one, beside which the voter sees earlier questions."""
        past = self.history.before(question.id)
        batch = await self.run([question], progress=progress, past=past)
        self.history.add(batch.votes[0])
        return batch.decisions[0]

    async def run(
        self,
        questions: Sequence[Question],
        *,
        ledger: Ledger | None = None,
        account: Account | None = None,
        progress: Progress | None = None,
        past: Sequence[QuestionVotes] = (),
        block: int | None = None,
        retry_failed: bool = False,
    ) -> Batch:
        """Decide every question; with a ledger, only what is not in it is generated.

        Args:
            questions: with ids of their own.
            ledger: where everything is kept and looked up; None: nowhere.
            account: pays for all calls; by default one of the pipeline's budget, for this run.
            progress: called as work goes on.
            past: earlier questions of the same experts, for voters that look at whole batches.
            block: questions that go through stages of scope `question` at once; None: all. The
                decisions are the same.
            retry_failed: make calls again that failed in a stage that the ledger has whole; by
                default they stay failures, so that no later stage changes.

        Raises:
            InputError: two questions have one id.
            BudgetExhausted, WorkerError: see `Context.run`; what is done is kept.
        """
        batch = Batch.of(questions)
        if account is None and self.spec.budget != Budget():
            with Account.open(None, self.spec.budget) as own:
                return await self.run(
                    questions,
                    ledger=ledger,
                    account=own,
                    progress=progress,
                    past=past,
                    block=block,
                    retry_failed=retry_failed,
                )
        async with self.open(ledger=ledger, account=account, progress=progress) as context:
            context.past, context.retry_failed = tuple(past), retry_failed
            return await self.advance(batch, context, block=block)

    async def advance(
        self,
        batch: Batch,
        context: Context,
        *,
        start: str | None = None,
        stop: str | None = None,
        block: int | None = None,
    ) -> Batch:
        """Take a batch through the stages from `start` to `stop`, both included.

        Args:
            batch: has the columns of the stages before `start`.
            context: an open one of this pipeline.
            start: the name of a stage; None: the first.
            stop: the name of a stage; None: the last.
            block: see `run`.

        Raises:
            InputError: there is no such stage.
            BudgetExhausted, WorkerError: see `Context.run`; what is done is kept.
        """
        for group in _groups(self._between(start, stop)):
            size = block if block and group[0][1].scope == "question" else None
            parts = batch.blocks(size) if size else [batch]
            parts = [await self._through(group, part, context) for part in parts]
            batch = _joined(batch, parts)
        return replace(batch, counts=context.counter.counts(self._loads(batch, context)))

    @asynccontextmanager
    async def open(
        self,
        *,
        ledger: Ledger | None = None,
        account: Account | None = None,
        progress: Progress | None = None,
    ) -> AsyncIterator[Context]:
        """A context over this pipeline's experts, table, seed and machine; see `open_context`."""
        async with open_context(
            self.roster,
            self.workers,
            self.identities,
            account=account,
            ledger=ledger,
            progress=progress,
            executor=partial(Executor, machine=self.machine),
        ) as context:
            context.table, context.seed = self.table, self.seed
            yield context

    async def brief(
        self,
        questions: Sequence[Question],
        *,
        ledger: Ledger | None = None,
        account: Account | None = None,
    ) -> list[Brief]:
        """The skills each question needs, in terms of what was profiled.

        The account pays for a keyword model's calls; None: nobody counts.

        Raises:
            BudgetExhausted: the next call would pass the budget.
        """
        async with self.open(ledger=ledger, account=account) as context:
            tagged = await self.advance(Batch.of(questions), context, stop="tag")
        return list(tagged.briefs)

    def plan(self, briefs: Sequence[Brief]) -> list[Plan]:
        """Who is asked for each question."""
        return self.spec.route.route(briefs, self.pool, seed=self.seed)

    @cached_property
    def stages(self) -> tuple[tuple[str, Stage], ...]:
        """Label and stage, in the order in which they run; `generate[1]` is the second of its name.

        Stages that change nothing are left out.
        """
        return tuple(
            [(each.label, self._stage(each)) for each in self.spec.stages if not each.idle]
        )

    def _stage(self, spec: StageSpec) -> Stage:
        """The stage of one occurrence; a component `stage` is the stage itself."""
        options: Any = spec.options
        match spec.stage:
            case "tag":
                return TagStage(resolve(Tag.of(options), self.table))
            case "route":
                return RouteStage(options)
            case "generate":
                return GenerateStage(options, texts=self._shown)
            case "vote":
                return VoteStage(options, lambda: self._learned(options))
            case "synthesise":
                generate = self.spec.generate
                return SynthesiseStage(options, generate.read, generate.tolerance, generate.calls)
        stage: Stage = options
        return stage

    @property
    def _shown(self) -> bool:
        """Whether any stage shows what was said: all but the built-in ones might."""
        return any(
            each.stage not in ("tag", "route", "generate", "vote")
            for each in self.spec.stages
            if not each.idle
        )

    def _between(self, start: str | None, stop: str | None) -> tuple[tuple[str, Stage], ...]:
        labels = [label for label, _ in self.stages]
        for label in (start, stop):
            if label is not None and label not in labels:
                raise InputError(f"no such stage: {label!r}", hint=f"stages: {', '.join(labels)}")
        first = 0 if start is None else labels.index(start)
        last = len(labels) if stop is None else labels.index(stop) + 1
        return self.stages[first:last]

    @cached_property
    def tag(self) -> Tag:
        """The tagger that is meant by `as-profiled`, or the one that is named."""
        return resolve(self.spec.tag, self.table)

    @cached_property
    def pool(self) -> Pool:
        """The experts and the table, as routers see them."""
        return Pool(self.roster.recruits, self.table)

    @cached_property
    def identities(self) -> dict[str, str]:
        """Expert -> digest of everything that changes what it says."""
        return {expert.name: self.workers.identity(expert) for expert in self.roster}

    @cached_property
    def profile_votes(self) -> tuple[LabelledVotes, ...]:
        """The table's own questions, as they would have been asked; none without a table."""
        table = self.pool.table
        if table is None:
            return ()
        return profile_votes(table, self.spec.route, self.spec.generate, seed=self.seed)

    @property
    def evidence(self) -> VoterContext:
        """What the voter may hold a batch against: the profile's votes, if it learns from them."""
        return VoterContext(self.profile_votes if self.spec.vote.learns else ())

    @cached_property
    def calibration(self) -> Calibration | None:
        """Fitted on the profile's votes."""
        return fit_calibration(self.profile_votes, self.spec.vote, seed=self.seed)

    def _learned(self, voter: Voter) -> Learned:
        """What the profile says of a voter's votes."""
        votes = self.profile_votes
        if voter is self.spec.vote:
            return Learned(self.evidence.known, self.calibration)
        known = votes if voter.learns else ()
        return Learned(known, fit_calibration(votes, voter, seed=self.seed))

    async def _through(
        self, stages: Iterable[tuple[str, Stage]], batch: Batch, context: Context
    ) -> Batch:
        """A batch after some stages, each of which commits its column."""
        for label, stage in stages:
            if context.progress is not None:
                context.progress(label, 0, 0)
            batch = await stage.run(batch, context.at(label, batch.questions))
            context.commit()
            if stage.name == "route" and any(expert.loaded for expert in self.roster):
                order = forecast_batch(self, batch, machine=self.machine, prices={}).order
                if order is not None:
                    context.executor.follow(order)
        return batch

    def _loads(self, batch: Batch, context: Context) -> Loads:
        """Loads of engines, beside those of first-come order and the fewest there can be."""
        units = {
            expert.name: self.workers.unit(expert) for expert in self.roster if not expert.hosted
        }
        asked = [
            [
                units[name]
                for _, stage in self.stages
                for name in _experts(stage, batch, place)
                if name in units
            ]
            for place in range(len(batch.questions))
        ]
        distinct = {unit for row in asked for unit in row}
        return Loads(context.executor.loads, first_come_loads(asked), len(distinct))


def _experts(stage: Stage, batch: Batch, place: int) -> Sequence[str]:
    """The experts that a stage asked; stages of others need not say."""
    return stage.experts(batch, place) if hasattr(stage, "experts") else ()


def match(table: RecruitmentTable, roster: Roster) -> RecruitmentTable:
    """The part of a table that is about a roster, in the roster's order.

    Raises:
        InputError: the table knows nothing of some experts: it is of another roster.
    """
    missing = [name for name in roster.recruits if name not in table.experts]
    if missing:
        shown = ", ".join(f"`{name}`" for name in missing[:8])
        raise InputError(
            f"the recruitment table has never seen {len(missing)} of the roster's "
            f"{len(roster.recruits)} experts: {shown}",
            hint="profile them with `orchestra profile --add-to TABLE`, or give the table of "
            "this roster",
        )
    return table.subset(roster.recruits)


def _groups(stages: Iterable[tuple[str, Stage]]) -> list[list[tuple[str, Stage]]]:
    """Neighbours of scope `question` together, since a block may go through all of them."""
    groups: list[list[tuple[str, Stage]]] = []
    for label, stage in stages:
        if groups and groups[-1][-1][1].scope == stage.scope == "question":
            groups[-1].append((label, stage))
        else:
            groups.append([(label, stage)])
    return groups


def _joined(before: Batch, parts: Sequence[Batch]) -> Batch:
    """The parts as one batch, with what the whole batch had before."""
    if len(parts) == 1:
        return parts[0]
    joined = Batch.joined(parts)
    return replace(
        joined,
        trust=before.trust,
        calibration=before.calibration,
        extra={**before.extra, **_joined_extra(parts)},
    )


def _joined_extra(parts: Sequence[Batch]) -> dict[str, object]:
    """Columns of other distributions: sequences follow each other, mappings are united."""
    joined: dict[str, object] = {}
    for name in parts[0].extra:
        columns: list[Any] = [part.extra[name] for part in parts]
        if all(isinstance(each, Mapping) for each in columns):
            joined[name] = {key: value for each in columns for key, value in each.items()}
        elif all(isinstance(each, tuple | list) for each in columns):
            joined[name] = tuple([row for each in columns for row in each])
        else:
            raise TypeError(f"column `{name}` is neither a sequence nor a mapping: no blocks of it")
    return joined
