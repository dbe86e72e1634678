"""Runs a pipeline: tag, route, generate, vote, decide, each stage over the whole batch.

The only room that knows the order of the stages. Does not know gold answers, files
other than the ledger, or how results are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from orchestra.errors import InputError
from orchestra.pipeline.budgets import check_budget, in_time
from orchestra.pipeline.draft import DraftStage, Progress
from orchestra.pipeline.found import Drafts
from orchestra.pipeline.load import LocalWorkers, build_tagger, embedder, tag_like
from orchestra.pipeline.registry import Tag
from orchestra.pipeline.spec import PipelineSpec, load_spec
from orchestra.records import Answer, Ballot, Brief, Decision, Mark, Outcome, Plan, Question, Seat
from orchestra.roster import Expert, Roster
from orchestra.routing import Pool
from orchestra.runs import Account, Budget, Ledger, RowKind
from orchestra.skills import RecruitmentTable, SkillMapper, Vocabulary, read_table
from orchestra.voting import Calibration, calibrate, decide
from orchestra.workers import Remember, Resident, Workers

_FOLDS = 5
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
        known = read_table(table) if isinstance(table, str | Path) else table
        matched = None if known is None else match(known, experts)
        return cls(spec, experts, opened, matched, spec.seed if seed is None else seed)

    async def answer(self, question: Question, *, progress: Progress | None = None) -> Decision:
        """Decide one question: the same path with a batch of one."""
        outcomes = await self.run([question], progress=progress)
        return outcomes.decisions[0]

    async def run(
        self,
        questions: Sequence[Question],
        *,
        ledger: Ledger | None = None,
        account: Account | None = None,
        progress: Progress | None = None,
    ) -> Outcomes:
        """Decide every question; with a ledger, only what is not in it is generated.

        Args:
            questions: with ids of their own.
            ledger: where everything is kept and found; None: nowhere.
            account: pays for all calls; by default one of the pipeline's budget, for this run.
            progress: told how far it is.

        Raises:
            InputError: two questions have one id.
            BudgetExhausted, WorkerError: see `DraftStage.run`; what is done is kept.
        """
        by_id = _by_id(questions)
        if account is None and self.spec.budget != Budget():
            with Account.open(None, self.spec.budget) as own:
                return await self.run(questions, ledger=ledger, account=own, progress=progress)
        async with in_time(account), Resident(self.workers, account) as workers:
            return await self._run(by_id, workers, ledger, progress)

    async def _run(
        self,
        by_id: Mapping[str, Question],
        workers: Resident,
        ledger: Ledger | None,
        progress: Progress | None,
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
        drafts = await stage.run(plans, by_id, first=_tagging(self.tag))
        calibration = self.calibration
        ballots = [self.spec.vote.vote(plan, drafts.answers[plan.question_id]) for plan in plans]
        decisions = [
            decide(ballot, calibration, absence=_why(plan, drafts.answers[plan.question_id]))
            for plan, ballot in zip(plans, ballots, strict=True)
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
        )

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
    def calibration(self) -> Calibration | None:
        """Fitted on the table's own questions, each decided from a table without its fold."""
        if self.table is None or len(self.table.briefs) < 2 * _FOLDS:
            return None
        scores: list[float] = []
        right: list[bool] = []
        folds = [_fold(brief.question_id, self.seed) for brief in self.table.briefs]
        for fold in range(_FOLDS):
            kept = [i for i, each in enumerate(folds) if each != fold]
            left = [i for i, each in enumerate(folds) if each == fold]
            if not kept or not left:
                continue
            pool = Pool(self.roster.recruits, self.table.questions(kept))
            plans = self.spec.route.route(
                [self.table.briefs[i] for i in left], pool, seed=self.seed
            )
            for i, plan in zip(left, plans, strict=True):
                ballot = self._replayed(plan, i)
                if ballot.winner is not None:
                    scores.append(ballot.score)
                    right.append(self._was_right(i, ballot.winner))
        return calibrate(scores, right)

    def _replayed(self, plan: Plan, place: int) -> Ballot:
        """The ballot that a plan would have had on a profiled question."""
        assert self.table is not None
        answers: dict[Seat, Answer] = {}
        queue = list(plan.seats[: self.spec.generate.calls])
        spare = list(plan.reserves[: max(self.spec.generate.calls - len(plan.seats), 0)])
        while queue:
            seat = queue.pop(0)
            mark = self.table.marks[seat.expert][place] if seat.sample == 0 else None
            value = mark.value if mark is not None and mark.outcome is not Outcome.ABSENT else None
            answers[seat] = Answer(plan.question_id, seat.expert, value)
            if value is None and self.spec.generate.next_if_absent and spare:
                queue.append(spare.pop(0))
        return self.spec.vote.vote(plan, answers)

    def _was_right(self, place: int, value: str) -> bool:
        assert self.table is not None
        marks: list[Mark | None] = [row[place] for row in self.table.marks.values()]
        return any(m and m.value == value and m.outcome is Outcome.CORRECT for m in marks)


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
            asked = worker if ledger is None else Remember(worker, ledger)
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


def _why(plan: Plan, answers: Mapping[Seat, Answer]) -> str:
    """Why a question has no votes: the reason of its first seat, whichever came in first."""
    asked = [answers[seat] for seat in (*plan.seats, *plan.reserves) if seat in answers]
    return next((each.absence.value for each in asked if each.absence is not None), "no_votes")


def _fold(question_id: str, seed: int) -> int:
    told = f"{seed}:fold:{question_id}".encode()
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "big") % _FOLDS


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
