"""Runs a pipeline: tag, route, generate, vote, synthesise, decide, each over the whole batch.

The only room that knows the order of the stages. Does not know gold answers, files
other than the ledger, or how results are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from orchestra.errors import InputError
from orchestra.pipeline.budgets import check_budget, in_time
from orchestra.pipeline.draft import DraftStage, Progress
from orchestra.pipeline.found import Drafts, added, total
from orchestra.pipeline.load import LocalWorkers, build_tagger, embedder, tag_like
from orchestra.pipeline.rehearsal import History, fit, rehearse
from orchestra.pipeline.spec import PipelineSpec, load_spec
from orchestra.pipeline.stages.tag import Tag
from orchestra.pipeline.synthesise import Synthesis, SynthesiseStage, check_synthesis
from orchestra.records import (
    Answer,
    Ballot,
    Brief,
    Decision,
    Plan,
    Question,
    Trust,
    Usage,
)
from orchestra.roster import Expert, Roster
from orchestra.routing import Pool
from orchestra.runs import Account, Budget, Ledger, RowKind
from orchestra.scheduling import Loads
from orchestra.skills import RecruitmentTable, SkillMapper, Vocabulary, read_table
from orchestra.voting import (
    Calibration,
    LabelledVotes,
    QuestionVotes,
    VoterContext,
    decide,
    why_nobody,
)
from orchestra.workers import Cached, Resident, Workers

_Derived = Brief | Plan | Answer | Ballot | Decision


@dataclass(frozen=True)
class Outcomes:
    """Everything a run decided, in the order of its questions."""

    questions: tuple[Question, ...]
    briefs: tuple[Brief, ...]
    plans: tuple[Plan, ...]
    drafts: Drafts
    ballots: tuple[Ballot, ...]
    decisions: tuple[Decision, ...]
    calibration: Calibration | None
    trust: Trust = Trust()
    """What the batch as a whole says of the experts."""
    synthesis: Synthesis | None = None
    """What the drafts were put together to; None: the votes alone decide."""

    @property
    def calls(self) -> int:
        """Calls of all stages but the keyword model's, made or replayed."""
        return self.drafts.calls + (0 if self.synthesis is None else self.synthesis.calls)

    @property
    def usage(self) -> Usage:
        """What those calls cost."""
        parts = [*self.drafts.usage.values()]
        if self.synthesis is not None:
            parts += self.synthesis.usage.values()
        return total(parts)

    @property
    def loads(self) -> Loads:
        """Loads of those stages, one after another."""
        loads = self.drafts.loads
        return loads if self.synthesis is None else added([loads, self.synthesis.loads])


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline with the experts and the table it works on.

    Args:
        spec: the stages.
        roster: the experts that may be recruited.
        workers: opens them.
        table: what was measured of them; None where the router needs none.
        seed: decides every random choice.
    """

    spec: PipelineSpec
    roster: Roster
    workers: LocalWorkers
    table: RecruitmentTable | None = None
    seed: int = 0
    past: History = field(default_factory=History, init=False, compare=False, repr=False)
    """What `answer` has seen of the experts, for voters that look at more than one question."""

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        roster: Roster | str | Path,
        table: RecruitmentTable | str | Path | None = None,
        workers: LocalWorkers | None = None,
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
        opened = workers or LocalWorkers()
        opened.check(experts)
        check_budget(spec.budget, experts)
        check_synthesis(spec.synthesise, experts)
        known = read_table(table) if isinstance(table, str | Path) else table
        matched = None if known is None else match(known, experts)
        return cls(spec, experts, opened, matched, spec.seed if seed is None else seed)

    async def answer(self, question: Question, *, progress: Progress | None = None) -> Decision:
        """Decide one question: the same path with a batch of one, which earlier ones stand by."""
        outcomes = await self.run([question], progress=progress, past=self.past.before(question.id))
        self.past.add(QuestionVotes(outcomes.plans[0], outcomes.drafts.answers[question.id]))
        return outcomes.decisions[0]

    async def run(
        self,
        questions: Sequence[Question],
        *,
        ledger: Ledger | None = None,
        account: Account | None = None,
        progress: Progress | None = None,
        past: Sequence[QuestionVotes] = (),
    ) -> Outcomes:
        """Decide every question; with a ledger, only what is not in it is generated.

        Args:
            questions: with ids of their own.
            ledger: where everything is kept and found; None: nowhere.
            account: pays for all calls; by default one of the pipeline's budget, for this run.
            progress: told how far it is.
            past: earlier questions of the same experts, for voters that look at whole batches.

        Raises:
            InputError: two questions have one id.
            BudgetExhausted, WorkerError: see `DraftStage.run`; what is done is kept.
        """
        by_id = _by_id(questions)
        if account is None and self.spec.budget != Budget():
            with Account.open(None, self.spec.budget) as own:
                return await self.run(
                    questions, ledger=ledger, account=own, progress=progress, past=past
                )
        async with in_time(account), Resident(self.workers, account) as workers:
            return await self._run(by_id, workers, ledger, progress, tuple(past))

    async def _run(
        self,
        by_id: Mapping[str, Question],
        workers: Resident,
        ledger: Ledger | None,
        progress: Progress | None,
        past: tuple[QuestionVotes, ...],
    ) -> Outcomes:
        questions = tuple(by_id.values())
        briefs = await self._briefed(questions, workers, ledger)
        plans = self.plan(briefs)
        _keep(ledger, RowKind.BRIEF, {brief.question_id: brief for brief in briefs})
        _keep(ledger, RowKind.PLAN, {plan.question_id: plan for plan in plans})
        stage = DraftStage(
            self.roster,
            workers,
            self.identities,
            settings=self.spec.generate,
            ledger=ledger,
            progress=progress,
        )
        merging = self.spec.synthesise.kind != "none"
        drafts = await stage.run(plans, by_id, first=_tagging(self.tag), texts=merging)
        calibration = self.calibration
        polls = [QuestionVotes(plan, drafts.answers[plan.question_id]) for plan in plans]
        election = self.spec.vote.vote(polls, replace(self.evidence, past=past))
        ballots = election.ballots
        decisions = [
            decide(ballot, calibration, absence=why_nobody(poll))
            for poll, ballot in zip(polls, ballots, strict=True)
        ]
        suspects = [each.expert for each in election.trust.suspects]
        synthesis = await self._synthesised(by_id, drafts, workers, ledger, progress, suspects)
        if synthesis is not None:
            decisions = [
                synthesis.decide(by_id[ballot.question_id], ballot, voted)
                for ballot, voted in zip(ballots, decisions, strict=True)
            ]
        _keep_last(ledger, drafts, ballots, decisions)
        return Outcomes(
            questions,
            tuple(briefs),
            tuple(plans),
            drafts,
            tuple(ballots),
            tuple(decisions),
            calibration,
            election.trust,
            synthesis,
        )

    async def _synthesised(
        self,
        by_id: Mapping[str, Question],
        drafts: Drafts,
        workers: Resident,
        ledger: Ledger | None,
        progress: Progress | None,
        suspects: Sequence[str],
    ) -> Synthesis | None:
        if self.spec.synthesise.kind == "none":
            return None
        stage = SynthesiseStage(
            self.roster,
            workers,
            self.identities,
            settings=self.spec.synthesise,
            generate=self.spec.generate,
            ledger=ledger,
            progress=progress,
        )
        return await stage.run(by_id, drafts, seed=self.seed, withheld=suspects)

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
        async with in_time(account), Resident(self.workers, account) as workers:
            return await self._briefed(questions, workers, ledger)

    @cached_property
    def tag(self) -> Tag:
        """The tagger that is meant by `as-profiled`, or the one that is named."""
        tag = self.spec.tag
        if tag.kind != "as-profiled":
            return tag
        named = "category" if self.table is None else self.table.provenance.get("tagger", "")
        return replace(tag_like(named or "category"), map_threshold=tag.map_threshold)

    async def _briefed(
        self, questions: Sequence[Question], workers: Workers, ledger: Ledger | None
    ) -> list[Brief]:
        tag = self.tag
        briefs = await tag_questions(
            tag,
            questions,
            roster=self.roster,
            workers=workers,
            identity=self.identities.get(tag.model, ""),
            ledger=ledger,
        )
        if self.table is None or tag.kind == "category":
            return briefs
        return self._mapped(briefs, tag)

    def _mapped(self, briefs: Sequence[Brief], tag: Tag) -> list[Brief]:
        assert self.table is not None
        paper = tag.map_threshold is None
        mapper = SkillMapper(
            self.table.skills,
            None if paper else Vocabulary.load(),
            embedder=embedder(tag.model if tag.kind == "embedding" else ""),
            threshold=tag.map_threshold,
            merge=not paper,
        )
        return mapper.map(briefs)

    def plan(self, briefs: Sequence[Brief]) -> list[Plan]:
        """Who is asked for each question."""
        return self.spec.route.route(briefs, self.pool, seed=self.seed)

    @cached_property
    def pool(self) -> Pool:
        """The experts and the table, as routers see them."""
        return Pool(self.roster.recruits, self.table)

    @cached_property
    def identities(self) -> dict[str, str]:
        """Expert -> digest of everything that changes what it says."""
        return {expert.name: self.workers.identity(expert) for expert in self.roster}

    @cached_property
    def rehearsal(self) -> tuple[LabelledVotes, ...]:
        """The table's own questions, as they would have been asked; none without a table."""
        if self.table is None:
            return ()
        table = self.pool.table
        assert table is not None
        return rehearse(table, self.spec.route, self.spec.generate, seed=self.seed)

    @property
    def evidence(self) -> VoterContext:
        """What the voter is told of the profile: the rehearsal, where it learns from it."""
        return VoterContext(self.rehearsal if self.spec.vote.learns else ())

    @cached_property
    def calibration(self) -> Calibration | None:
        """Fitted on the rehearsal."""
        return fit(self.rehearsal, self.spec.vote, seed=self.seed)


async def tag_questions(
    tag: Tag,
    questions: Sequence[Question],
    *,
    roster: Roster,
    workers: Workers,
    identity: str = "",
    ledger: Ledger | None = None,
) -> list[Brief]:
    """Briefs in the tagger's own skills; opens the keyword model where the tagger needs one.

    With a ledger, the model is asked only for the keywords that are not in it.
    """
    if tag.kind == "keywords":
        expert = _keyword_expert(tag, roster)
        async with workers.open(expert) as worker:
            asked = worker if ledger is None else Cached(worker, ledger)
            tagger = build_tagger(tag, roster=roster, worker=asked, identity=identity)
            briefs = await tagger.tag(questions)
    else:
        briefs = await build_tagger(tag, roster=roster).tag(questions)
    return [
        replace(brief, choices=len(question.options))
        for brief, question in zip(briefs, questions, strict=True)
    ]


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


def _keyword_expert(tag: Tag, roster: Roster) -> Expert:
    if not tag.model:
        raise InputError("tagger `keywords` needs an expert", hint="`tag: {keywords: NAME}`")
    return roster[tag.model]


def _tagging(tag: Tag) -> str:
    """The expert that a tagger asks; empty if it asks none."""
    return tag.model if tag.kind == "keywords" else ""


def _by_id(questions: Sequence[Question]) -> dict[str, Question]:
    by_id = {question.id: question for question in questions}
    if len(by_id) < len(questions):
        times = Counter(question.id for question in questions)
        twice = [each for each, count in times.items() if count > 1]
        raise InputError(
            f"{len(twice)} question ids stand more than once, the first is {twice[0]!r}",
            hint="ids tell questions apart: give each its own",
        )
    return by_id


def _keep(ledger: Ledger | None, kind: RowKind, records: Mapping[str, _Derived]) -> None:
    """Put what can be derived again by key, in place of what an earlier attempt derived."""
    if ledger is None:
        return
    if ledger.count(kind):
        ledger.discard(kind, {record.question_id for record in records.values()})
    ledger.put(kind, records.items())


def _keep_last(
    ledger: Ledger | None,
    drafts: Drafts,
    ballots: Sequence[Ballot],
    decisions: Sequence[Decision],
) -> None:
    """Answers, ballots and decisions, in the order of the plans."""
    if ledger is None:
        return
    answers = {
        f"{question_id}|{seat.expert}|{seat.sample}": answer
        for question_id, row in drafts.answers.items()
        for seat, answer in row.items()
    }
    _keep(ledger, RowKind.ANSWER, answers)
    _keep(ledger, RowKind.BALLOT, {ballot.question_id: ballot for ballot in ballots})
    _keep(ledger, RowKind.DECISION, {each.question_id: each for each in decisions})
    ledger.commit()
