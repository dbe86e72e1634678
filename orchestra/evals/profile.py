"""Measures experts on labelled questions: the recruitment table's maker.

Knows gold answers and hands `skills` nothing but Marks. Asks every expert every
question, once, through the same stage that pipelines use. An expert whose calls fail does not
keep the others from being measured.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from orchestra.errors import InputError, WorkerError
from orchestra.evals.conventions import exam_of
from orchestra.evals.items import Item, items_digest
from orchestra.evals.marking import mark_all
from orchestra.pipeline import (
    Batch,
    Context,
    Drafting,
    Generate,
    Progress,
    TagStage,
    WorkerPool,
    open_context,
    tag_like,
)
from orchestra.records import Absence, Mark, Plan, Seat
from orchestra.roster import Roster
from orchestra.runs import Ledger, RowKind, RunFolder, digest
from orchestra.skills import RecruitmentTable, Vocabulary
from orchestra.skills.lengths import Call, Lengths


async def profile_experts(
    roster: Roster,
    items: Sequence[Item],
    *,
    tagger: str = "category",
    read: str = "stated",
    workers: WorkerPool | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> RecruitmentTable:
    """Ask every expert every labelled question and count who was right on which skill.

    Args:
        roster: the experts.
        items: questions with gold answers; those without are an error.
        tagger: `category`, `lexical`, `embedding:MODEL` or `keywords:EXPERT`.
        read: the answer cascade.
        workers: opens the experts; their account pays.
        ledger: keeps the generations, so that the same call resumes; None: nowhere.
        progress: told how far it is.

    Raises:
        InputError: an item has no gold answer, or the tagger or an expert is unknown.
        BudgetExhausted: see `Context.run`; with a ledger, what is done is kept.
        WorkerError: every call failed. Where some did, the table has the evidence of the others,
            and `lacking` says whose is missing.
    """
    opened = workers or WorkerPool()
    _labelled(items)
    opened.check(roster)
    batch = Batch.of(item.question for item in items)
    identities = {expert.name: opened.identity(expert) for expert in roster}
    async with open_context(
        roster, opened, identities, account=opened.account, ledger=ledger, progress=progress
    ) as context:
        context.keeps = False
        tagged = await TagStage(tag_like(tagger), mapped=False).run(batch, context)
        drafted = await _drafted(batch, roster, context, read=read)
    parents = _parents() if tagger.partition(":")[0] in ("lexical", "embedding") else {}
    if progress is not None:
        progress("estimate skills", 0, 0)
    table = RecruitmentTable.build(
        tagged.briefs,
        _marks(drafted, items),
        experts=roster.recruits,
        parents=parents,
        provenance={**_provenance(roster, items, tagger, read), **_asked(items)},
        created=_now(),
        lengths=_lengths(drafted, roster),
    )
    _some_evidence(table, ledger)
    return table


async def enrol(
    table: RecruitmentTable,
    roster: Roster,
    *,
    items: Sequence[Item],
    workers: WorkerPool | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> RecruitmentTable:
    """The table with the roster's experts that it lacks, measured on its own questions.

    Nobody with evidence in the table is asked again; the table's tags, tagger and cascade hold.

    Args:
        table: what is known already.
        roster: the experts; those in the table already are left as they are.
        items: the questions that the table rests on, among others perhaps.
        workers: opens the experts.
        ledger: keeps the generations; None: nowhere.
        progress: told how far it is.

    Raises:
        InputError: the items lack some of the table's questions, or are not the same ones.
        WorkerError: every call failed.
    """
    fresh = missing(table, roster)
    if not fresh:
        return table
    chosen = profiled_items(table, items)
    newcomers = roster.subset(fresh)
    read = table.provenance.get("read", "stated")
    drafted = await _measured(
        newcomers, chosen, read=read, workers=workers, ledger=ledger, progress=progress
    )
    added = RecruitmentTable.build(
        table.briefs,
        _marks(drafted, chosen),
        experts=newcomers.names,
        parents=table.parents,
        provenance=table.provenance,
        created=_now(),
        lengths=_lengths(drafted, newcomers),
    )
    _some_evidence(added, ledger)
    both = table.merge(added)
    told = {**table.provenance, "experts": str(len(both.experts))}
    if set(both.experts) == set(roster.recruits):
        told["roster"] = roster.digest
    return replace(both, provenance=told)


def missing(table: RecruitmentTable, roster: Roster) -> list[str]:
    """The roster's experts of which a table has no evidence."""
    return [
        name
        for name in roster.recruits
        if name not in table.experts or not table.tally(name).seen and lacking(table, [name])
    ]


@dataclass(frozen=True, slots=True)
class Lack:
    """The calls of one expert that failed, so that they are no evidence about it."""

    failed: int
    calls: int
    last: str = ""
    """Why the last one failed; empty where nothing kept it."""

    @property
    def all(self) -> bool:
        """Whether nothing was measured."""
        return self.failed == self.calls

    def __str__(self) -> str:
        why = f", the last: {self.last}" if self.last else ""
        return f"{self.failed:,} of {self.calls:,} calls failed{why}"


def lacking(
    table: RecruitmentTable, experts: Iterable[str], *, ledger: Ledger | None = None
) -> dict[str, Lack]:
    """Expert -> its failed calls, for those of whom a table lacks some or all evidence.

    Args:
        table: from `profile_experts` or `enrol`.
        experts: whom to look at.
        ledger: that of the profile, which knows why calls failed.
    """
    failed = {name: table.absences(name).get(Absence.FAILED.value, 0) for name in experts}
    last: dict[str, str] = {}
    if ledger is not None and any(failed.values()):
        for row in ledger.rows(RowKind.FAILURE):
            assert row.failure is not None
            last[row.expert] = f"{row.failure.kind}: {row.failure.detail}"
    return {
        name: Lack(count, sum(mark is not None for mark in table.marks[name]), last.get(name, ""))
        for name, count in failed.items()
        if count
    }


def past_tolerance(
    table: RecruitmentTable, experts: Sequence[str], lacks: Mapping[str, Lack], tolerance: float
) -> WorkerError | None:
    """The error where a larger share of the experts' calls failed than is tolerated."""
    calls = sum(mark is not None for name in experts for mark in table.marks[name])
    failed = sum(each.failed for each in lacks.values())
    if not calls or failed / calls <= tolerance:
        return None
    return WorkerError(
        f"{failed:,} of {calls:,} calls failed, tolerated is a share of {tolerance:g}; "
        + _told(lacks),
        hint="all other evidence is kept; the same command asks only what is missing",
    )


def _some_evidence(table: RecruitmentTable, ledger: Ledger | None) -> None:
    """Raise WorkerError where every call failed."""
    lacks = lacking(table, table.experts, ledger=ledger)
    if lacks.keys() == set(table.experts) and all(each.all for each in lacks.values()):
        raise WorkerError(
            "no call succeeded; " + _told(lacks),
            hint="nothing was measured; the same command tries again",
        )


def _told(lacks: Mapping[str, Lack]) -> str:
    return "; ".join(f"expert `{name}`: {lack}" for name, lack in lacks.items())


@contextmanager
def profile_folder(
    path: Path, *, command: str, identity: Mapping[str, str], details: Mapping[str, object]
) -> Iterator[Ledger]:
    """The ledger of a folder that keeps the calls of profiles.

    Profiles of other experts, questions or taggers may share it: a call that it has is not made
    again. Raises as `RunFolder.open`.
    """
    with RunFolder.open(
        path, command=command, identity=identity, details=details, shared=True
    ) as folder:
        yield folder.ledger
        folder.finish()


def profiled_items(table: RecruitmentTable, items: Sequence[Item]) -> list[Item]:
    """The items that a table rests on, in its order. Raises InputError as `enrol` does."""
    by_id = {item.question.id: item for item in items}
    missing = [b.question_id for b in table.briefs if b.question_id not in by_id]
    if missing:
        raise InputError(
            f"{len(missing)} of the table's {len(table.briefs)} questions are not among the items, "
            f"the first is {missing[0]!r}",
            hint="give the questions that the table was made of",
        )
    chosen = [by_id[brief.question_id] for brief in table.briefs]
    of_one_file = table.provenance.get("questions") == str(len(chosen))
    if of_one_file and table.provenance.get("items") != items_digest(chosen):
        raise InputError(
            "the questions have the ids of the table's, but another content",
            hint="give the questions that the table was made of, unchanged",
        )
    return chosen


async def measure(
    roster: Roster,
    items: Sequence[Item],
    *,
    read: str = "stated",
    workers: WorkerPool | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> list[Mark]:
    """Marks of every expert on every labelled question, each asked once.

    Raises:
        InputError: an item has no gold answer, or an expert cannot be opened.
    """
    drafted = await _measured(
        roster, items, read=read, workers=workers, ledger=ledger, progress=progress
    )
    return _marks(drafted, items)


async def _measured(
    roster: Roster,
    items: Sequence[Item],
    *,
    read: str,
    workers: WorkerPool | None,
    ledger: Ledger | None,
    progress: Progress | None,
) -> Batch:
    """What every expert said to every labelled question, each asked once."""
    _labelled(items)
    opened = workers or WorkerPool()
    opened.check(roster)
    identities = {expert.name: opened.identity(expert) for expert in roster}
    async with open_context(
        roster, opened, identities, account=opened.account, ledger=ledger, progress=progress
    ) as context:
        batch = Batch.of(item.question for item in items)
        return await _drafted(batch, roster, context, read=read)


async def _drafted(batch: Batch, roster: Roster, context: Context, *, read: str) -> Batch:
    """The batch with a draft of every recruit on every question, and what that took."""
    seats = tuple(Seat(name, 1.0, "profile") for name in roster.recruits)
    plans = tuple([Plan(question.id, seats, "profile", 0) for question in batch.questions])
    settings = Generate(calls=max(len(seats), 1), read=read)
    work = Drafting(plans, batch.by_id, settings)
    scope = context.scope()
    await scope.run(work, texts=False)
    return replace(batch, plans=plans, drafts=work.drafts, counts=scope.counter.counts())


def _marks(batch: Batch, items: Sequence[Item]) -> list[Mark]:
    by_id = {item.question.id: item for item in items}
    return mark_all(batch.answers.values(), by_id)


def _lengths(batch: Batch, roster: Roster) -> dict[str, Lengths]:
    """How much each expert wrote; seconds only of servers, which this machine does not slow."""
    calls: dict[str, list[Call]] = {name: [] for name in roster.recruits}
    for question, row in zip(batch.questions, batch.drafts, strict=True):
        sent: dict[tuple[str, str], int] = {}
        for draft in row:
            if not draft.tokens:  # a call that failed: nothing was read or written
                continue
            expert = roster[draft.expert]
            spoken = (expert.strategy, expert.system)
            if spoken not in sent:
                sent[spoken] = sum(len(each.content) for each in expert.messages(question))
            calls[expert.name].append(Call(sent[spoken], draft.tokens))
    usage = batch.counts.of("generate").usage
    return {
        name: Lengths.of(each, usage[name], timed=roster[name].hosted)
        for name, each in calls.items()
        if each
    }


def profile_identity(
    roster: Roster, items: Sequence[Item], *, tagger: str, read: str, workers: WorkerPool
) -> dict[str, str]:
    """What decides a profile, for a run folder that keeps its generations."""
    return {
        "profile": digest([tagger, read]),
        "roster": digest(sorted((expert.name, workers.identity(expert)) for expert in roster)),
        "items": items_digest(items),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _labelled(items: Sequence[Item]) -> None:
    without = [item.question.id for item in items if item.gold is None]
    if without:
        raise InputError(
            f"{len(without)} of {len(items)} questions have no answer to profile on, "
            f"the first is {without[0]!r}",
            hint="give labelled questions",
        )


def _parents() -> dict[str, str]:
    vocabulary = Vocabulary.load()
    return {skill.name: skill.parent for skill in vocabulary if skill.parent}


def _asked(items: Sequence[Item]) -> dict[str, str]:
    """The benchmark and the protocol, where there is one."""
    exam = exam_of(items)
    if exam is None:
        return {}
    protocol = {"protocol": exam.protocol.label} if exam.protocol else {}
    return {"benchmark": exam.benchmark, **protocol}


def _provenance(roster: Roster, items: Sequence[Item], tagger: str, read: str) -> dict[str, str]:
    return {
        "roster": roster.digest,
        "items": items_digest(items),
        "questions": str(len(items)),
        "experts": str(len(roster.recruits)),
        "tagger": tagger,
        "read": read,
        "python": platform.python_version(),
    }
