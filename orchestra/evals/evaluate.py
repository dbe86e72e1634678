"""Runs a pipeline on labelled questions in a run folder, and writes its report.

Knows gold answers and the run folder; the pipeline sees questions only. The same
call again resumes; a finished run is read, not repeated.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal
from uuid import uuid4

import orjson

from orchestra.errors import BudgetExhausted
from orchestra.evals.baselines import Arms, best_single
from orchestra.evals.conventions import asked_as, benchmark_of, departures, exam_of, named_protocol
from orchestra.evals.finished import evidence_digest, inputs_of, roster_digest
from orchestra.evals.items import Item, items_digest, lopsided, source_of
from orchestra.evals.marking import mark_decision
from orchestra.evals.panel_report import PanelReport
from orchestra.evals.receipt import Receipt, receipt_of
from orchestra.evals.summary import Setting, report
from orchestra.pipeline import Batch, Drafting, Generate, Pipeline, Progress
from orchestra.records import Ballot, Decision, Draft, Mark, Plan, Seat
from orchestra.roster import Expert, Roster
from orchestra.runs import (
    SPENDING,
    Account,
    Budget,
    Cost,
    Ledger,
    RowKind,
    RunFolder,
    digest,
    write_whole,
)
from orchestra.workers.hosted.open import price_of
from orchestra.workers.pool import kind_of


def paying(pipeline: Pipeline, folder: Path | None) -> AbstractContextManager[Account | None]:
    """What pays for a run's calls, where anything limits or charges them.

    Without a folder or a budget file the account is in memory.
    """
    limits = pipeline.spec.budget
    if limits == Budget() and not any(expert.hosted for expert in pipeline.roster):
        return nullcontext()
    own = None if folder is None else folder / SPENDING
    run = uuid4().hex if folder is None else str(folder.resolve())
    return Account.open(pipeline.spec.budget_file or own, limits, run=run)


def spending(account: Account | None, pipeline: Pipeline) -> dict[str, Any] | None:
    """The part `spending` of `report.json`; None where nobody counted.

    `attempts` are calls that were or may have been made, retries included; `lost` is the part of
    them that was under way when a process ended, at the most that they may have cost.
    """
    if account is None:
        return None
    entries = account.entries()  # of this run alone, though others may share the budget
    return {
        **_amounts(sum((each.spent for each in entries.values()), Cost())),
        "lost": _amounts(sum((each.lost for each in entries.values()), Cost())),
        "experts": {who: _amounts(each.spent) for who, each in entries.items()},
        "prices": price_sources(pipeline.roster),
        "budget": {name: most for name, most in asdict(account.budget).items() if most is not None},
    }


def _amounts(cost: Cost) -> dict[str, Any]:
    return {"attempts": cost.calls, "tokens": cost.tokens, "money": round(cost.dollars, 9)}


def price_sources(roster: Roster) -> dict[str, str]:
    """Where the price of each hosted expert comes from; `unknown` where nobody tells it."""
    return {expert.name: _source(expert) for expert in roster if expert.hosted}


def _source(expert: Expert) -> str:
    """Where the price of a hosted expert comes from."""
    if expert.price is not None:
        return "roster"
    return "litellm" if price_of(expert) is not None else "unknown"


ArmsAsked = Literal["free", "all"]
"""Who is asked for the sake of the arms alone."""


@dataclass(frozen=True)
class Evaluation:
    """A finished run, as far as it is in memory."""

    report: Mapping[str, Any]
    """The content of `report.json`."""
    folder: Path | None
    """None: the run was in memory only."""
    resumed: bool
    """True if the run had been finished before and nothing was done."""
    ballots: tuple[Ballot, ...] = ()
    """In the order of the questions."""
    decisions: tuple[Decision, ...] = ()
    """In the order of the questions."""

    def marks(self, items: Sequence[Item]) -> dict[str, Mark]:
        """Question id -> the Mark of its decision, for items with gold, in their order."""
        return {
            item.question.id: mark_decision(decision, item, who=str(self.report["pipeline"]))
            for item, decision in zip(items, self.decisions, strict=True)
            if item.gold is not None
        }


async def evaluate_run(
    pipeline: Pipeline,
    items: Sequence[Item],
    out: str | Path | None,
    *,
    details: Mapping[str, object] = MappingProxyType({}),
    arms: ArmsAsked = "free",
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Decide every question, mark what has gold, and report on it.

    Args:
        pipeline: what decides.
        items: the questions, with gold answers where there are any.
        out: the run folder, which is left complete; the same call goes on with what is in it.
            None: the run is in memory only, and nothing can go on with it.
        details: plain facts for its manifest; `command` says how the run was asked for; `items`,
            the questions' file, lets the run be marked and shown later without naming the file
            again, where the items do not know theirs.
        arms: `free` asks nobody for the sake of comparison but recorded and scripted experts;
            `all` asks every expert every question, in calls that are no part of the run.
        retry_failed: make calls again that failed in stages that an interrupted run completed.
        progress: called as work goes on.

    Raises:
        RunConflict: the folder is another run's, or another process's.
        BudgetExhausted, WorkerError: the run stopped; what was done is kept.
    """
    facts = {**source_of(items), **details, **_details(pipeline, items)}
    command = str(facts.pop("command", ""))
    options: dict[str, Any] = {"arms": arms, "retry_failed": retry_failed, "progress": progress}
    if out is None:
        with Ledger(None) as ledger:
            return await _evaluated(pipeline, items, facts, (ledger, None), **options)
    identity = _identity(pipeline, items)
    with RunFolder.open(Path(out), command=command, identity=identity, details=facts) as folder:
        if folder.finished:
            return _finished(folder, items)
        try:
            done = await _evaluated(pipeline, items, facts, (folder.ledger, folder.path), **options)
        except BudgetExhausted:
            folder.stop()
            raise
        write_whole(folder.report, orjson.dumps(done.report, option=orjson.OPT_INDENT_2))
        folder.finish()
    return done


async def _evaluated(
    pipeline: Pipeline,
    items: Sequence[Item],
    facts: Mapping[str, object],
    where: tuple[Ledger, Path | None],
    *,
    arms: ArmsAsked,
    retry_failed: bool,
    progress: Progress | None,
) -> Evaluation:
    """Decide, mark and report, with a ledger and the run folder that it is in, if any."""
    ledger, path = where
    started = time.perf_counter()
    with paying(pipeline, path) as account:
        batch = await pipeline.run(
            [item.question for item in items],
            ledger=ledger,
            account=account,
            progress=progress,
            retry_failed=retry_failed,
        )
        seconds = time.perf_counter() - started
        picks = _receipt(pipeline, batch)
        if progress is not None:
            progress("report", 0, 0)
        extra = await _arms(pipeline, batch, _with_gold(items), account, arms == "all")
        paid = spending(account, pipeline)
    content = _report(pipeline, batch, items, facts, seconds, extra)
    content |= {"receipt": picks.to_dict(), "spent": _spent(ledger, paid), "spending": paid}
    return Evaluation(content, path, False, tuple(batch.ballots), tuple(batch.decisions))


def _finished(folder: RunFolder, items: Sequence[Item]) -> Evaluation:
    """What a finished run keeps."""
    kept = [
        {each.question_id: each for each in folder.ledger.rows(kind)}
        for kind in (RowKind.BALLOT, RowKind.DECISION)
    ]
    ballots, decisions = (tuple(rows[item.question.id] for item in items) for rows in kept)
    return Evaluation(folder.read_report(), folder.path, True, ballots, decisions)


def _spent(ledger: Ledger, paid: Mapping[str, Any] | None) -> dict[str, Any]:
    """All attempts of a run and its resumes, whatever became of them.

    Loads and wakes are those that workers made. Calls, tokens and money are the account's; where
    nothing is paid for there is none, and calls are those that the ledger has, less those that
    were `reused` from other runs.
    """
    reused = sum(row.calls for row in ledger.rows(RowKind.REUSED))
    loads = Counter(row.how for row in ledger.rows(RowKind.LOAD))
    calls = ledger.count(RowKind.GENERATION) + ledger.count(RowKind.FAILURE) - reused
    return {
        "calls": calls if paid is None else paid["attempts"],
        "tokens": None if paid is None else paid["tokens"],
        "money": None if paid is None else paid["money"],
        "reused": reused,
        "loads": loads["cold"],
        "wakes": loads["wake1"] + loads["wake2"],
    }


def _with_gold(items: Sequence[Item]) -> dict[str, Item]:
    return {item.question.id: item for item in items if item.gold is not None}


def _report(
    pipeline: Pipeline,
    batch: Batch,
    items: Sequence[Item],
    details: Mapping[str, object],
    seconds: float,
    arms: Arms,
) -> dict[str, Any]:
    by_id = _with_gold(items)
    marks = [
        mark_decision(decision, by_id[decision.question_id], who=pipeline.spec.name)
        for decision in batch.decisions
        if decision.question_id in by_id
    ]
    setting = Setting(
        pipeline.spec.name,
        str(details["benchmark"]),
        str(details["protocol"]),
        pipeline.seed,
        pipeline.spec.synthesise if pipeline.spec.synthesise.kind != "none" else None,
        _notes(pipeline, batch, items),
        exam_of(items),
    )
    families = {expert.name: expert.family for expert in pipeline.roster if expert.family}
    panel = PanelReport(batch, by_id, arms, marks, families, pipeline.seed)
    content = report(setting, batch, items, marks, arms=arms.all(), seconds=seconds)
    return {**content, "split": panel.split(), "panel": panel.panel()}


def _receipt(pipeline: Pipeline, batch: Batch) -> Receipt:
    """Who was picked; no gold answer is part of it."""
    return receipt_of(
        batch.plans,
        pipeline=pipeline.spec.digest,
        table=evidence_digest(pipeline.table),
        seed=pipeline.seed,
    )


async def _arms(
    pipeline: Pipeline,
    batch: Batch,
    by_id: Mapping[str, Item],
    account: Account | None,
    everybody: bool,
) -> Arms:
    """Arms over the pipeline's calls and all others that are free to know, or all there are."""
    samples = _samples(pipeline, batch)
    seats = (*_free(pipeline, everybody), *samples)
    rows = await _replayed(pipeline, batch, by_id, seats, account if everybody else None)
    extra = {row[0].answer.question_id: row for row in rows if row}
    draws = [seat.sample for seat in samples]
    return Arms(batch, by_id, extra, pipeline.pool, pipeline.seed, draws)


def _samples(pipeline: Pipeline, batch: Batch) -> tuple[Seat, ...]:
    """As many recorded samples of the best single expert as the pipeline makes calls.

    None if there are fewer, and where the pipeline makes one call: one sample is no
    self-consistency.
    """
    wanted = round(batch.counts.calls / max(len(batch.questions), 1))
    if pipeline.table is None or wanted < 2:
        return ()
    name = best_single(pipeline.pool)
    expert = pipeline.roster[name]
    if not expert.replayed:
        return ()
    there = pipeline.workers.recordings(expert).samples(expert.model)[:wanted]
    return tuple(Seat(name, 1.0, "arms", sample) for sample in there if len(there) == wanted)


def _free(pipeline: Pipeline, everybody: bool) -> list[Seat]:
    """Whom to ask for the sake of arms: a recorded answer costs nothing to read, nor a script."""
    return [
        Seat(name, 1.0, "arms")
        for name in pipeline.roster.recruits
        if everybody or kind_of(pipeline.roster[name]).free
    ]


async def _replayed(
    pipeline: Pipeline,
    batch: Batch,
    by_id: Mapping[str, Item],
    seats: Sequence[Seat],
    account: Account | None,
) -> tuple[tuple[Draft, ...], ...]:
    """What the experts that were not asked would have said, outside the run; who pays, if any."""
    wanted = {(seat.expert, seat.sample): seat for seat in seats}
    plans = []
    for question, row in zip(batch.questions, batch.drafts, strict=True):
        asked = {(draft.expert, draft.sample) for draft in row}
        rest = tuple(seat for call, seat in wanted.items() if call not in asked)
        if rest and question.id in by_id:
            plans.append(Plan(question.id, rest, "arms", pipeline.seed))
    settings = Generate(calls=max(len(wanted), 1), read=pipeline.spec.generate.read, tolerance=1)
    work = Drafting(plans, batch.by_id, settings)
    async with pipeline.open(account=account) as context:
        await context.run(work, texts=False)
    return work.drafts


def _notes(pipeline: Pipeline, batch: Batch, items: Sequence[Item]) -> tuple[str, ...]:
    notes = []
    usage = [pair for each in batch.counts.stages.values() for pair in each.usage.items()]
    if guessed := sorted({name for name, each in usage if each.estimated}):
        shown = ", ".join(guessed[:6]) + (", ..." if len(guessed) > 6 else "")
        notes.append(f"tokens of {shown} are estimates (4 characters each) where nobody counts")
    if any(kind_of(expert).synthetic for expert in pipeline.roster):
        notes.append("synthetic: some experts are scripted, not language models")
    profiled = {b.question_id for b in pipeline.table.briefs} if pipeline.table else set()
    overlap = sum(item.question.id in profiled for item in items)
    if overlap:
        notes.append(
            f"{overlap} of these {len(items)} questions are in the profile that recruiting "
            "rests on: the accuracy is flattered"
        )
    uneven = lopsided(items)
    read = pipeline.spec.generate.read
    odd = departures(exam_of(items), pipeline.roster, read=read)
    return (*notes, *([uneven] if uneven else []), *odd)


def _identity(pipeline: Pipeline, items: Sequence[Item]) -> dict[str, str]:
    questions = [item.question for item in items]
    exam = exam_of(items)
    asked = {} if exam is None or exam.protocol is None else {"protocol": asked_as(exam, items)}
    return {
        **asked,
        "pipeline": pipeline.spec.digest,
        "roster": roster_digest(pipeline.roster, pipeline.identities),
        "table": evidence_digest(pipeline.table),
        "items": items_digest(items),
        "labels": digest(sorted((q.id, q.category, q.language) for q in questions)),
        "seed": str(pipeline.seed),
    }


def _details(pipeline: Pipeline, items: Sequence[Item]) -> dict[str, object]:
    exam = exam_of(items)
    read = pipeline.spec.generate.read
    return {
        "pipeline": pipeline.spec.name,
        "benchmark": benchmark_of(items),
        "protocol": f"{named_protocol(exam)}drafts read by `{read}`, absent counts as not right, "
        "no credit for guesses",
        "questions": len(items),
        "experts": list(pipeline.roster.recruits),
        "rules": {expert.name: expert.rule for expert in pipeline.roster if expert.rule},
        "spec": pipeline.spec.data,
        "seed": pipeline.seed,
        "inputs": inputs_of(pipeline, items),
    }
