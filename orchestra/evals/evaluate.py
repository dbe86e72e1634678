"""Runs a pipeline on labelled questions in a run folder, and writes its report.

Knows gold answers and the run folder; the pipeline sees questions only. The same
call again resumes; a finished run is read, not repeated.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from orchestra.errors import BudgetExhausted, InputError
from orchestra.evals.arms import Arms
from orchestra.evals.items import Item, items_digest
from orchestra.evals.marking import mark_answer, mark_decision
from orchestra.evals.report import Setting, report
from orchestra.pipeline import Generate, Outcomes, Pipeline, Progress
from orchestra.pipeline.draft import Drafts, DraftStage
from orchestra.records import Mark, Plan, Seat
from orchestra.runs import RunFolder, RunView, digest, write_whole


@dataclass(frozen=True)
class Evaluation:
    """A finished run, as far as it is in memory."""

    report: Mapping[str, Any]
    """The content of `report.json`."""
    folder: Path
    resumed: bool
    """True if the run had been finished before and nothing was done."""


async def evaluate_run(
    pipeline: Pipeline,
    items: Sequence[Item],
    out: str | Path,
    *,
    benchmark: str = "",
    command: str = "",
    details: Mapping[str, object] = MappingProxyType({}),
    progress: Progress | None = None,
) -> Evaluation:
    """Decide every question, mark what has gold, and leave a complete run folder.

    Args:
        pipeline: what decides.
        items: the questions, with gold answers where there are any.
        out: the run folder; the same call goes on with what is in it.
        benchmark: what the questions are called; by default what they say themselves.
        command: how the run was asked for, for its manifest.
        details: more plain facts for its manifest; `items`, the questions' file, lets the run
            be marked and shown later without naming the file again.
        progress: told how far it is.

    Raises:
        RunConflict: the folder is another run's, or another process's.
        BudgetExhausted, WorkerError: the run stopped; what was done is kept.
    """
    identity = _identity(pipeline, items)
    facts = {**details, **_details(pipeline, items, benchmark)}
    with RunFolder.open(Path(out), command=command, identity=identity, details=facts) as folder:
        if folder.finished:
            return Evaluation(read_report(folder), Path(out), resumed=True)
        started = time.perf_counter()
        questions = [item.question for item in items]
        try:
            outcomes = await pipeline.run(questions, ledger=folder.ledger, progress=progress)
        except BudgetExhausted:
            folder.stop()
            raise
        content = await _report(pipeline, outcomes, items, facts, started)
        write_whole(folder.report, orjson.dumps(content, option=orjson.OPT_INDENT_2))
        folder.finish()
    return Evaluation(content, Path(out), resumed=False)


def read_report(folder: RunView) -> dict[str, Any]:
    """`report.json` of a finished run. Raises InputError where there is none yet."""
    try:
        content: dict[str, Any] = orjson.loads(folder.report.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(
            "there is no readable report yet",
            place=str(folder.path),
            hint="finish the run: give its command again",
        ) from error
    return content


async def _report(
    pipeline: Pipeline,
    outcomes: Outcomes,
    items: Sequence[Item],
    details: Mapping[str, object],
    started: float,
) -> dict[str, Any]:
    by_id = {item.question.id: item for item in items if item.gold is not None}
    marks = [
        mark_decision(decision, by_id[decision.question_id], who=pipeline.spec.name)
        for decision in outcomes.decisions
        if decision.question_id in by_id
    ]
    arms = Arms(
        ids=[mark.question_id for mark in marks],
        **await _known(pipeline, outcomes, by_id),
        seated={
            plan.question_id: [s.expert for s in outcomes.drafts.answers[plan.question_id]]
            for plan in outcomes.plans
        },
        prior=_prior(pipeline),
        seed=pipeline.seed,
    )
    setting = Setting(
        pipeline.spec.name,
        str(details["benchmark"]),
        str(details["protocol"]),
        pipeline.seed,
        _notes(pipeline, outcomes, items),
    )
    seconds = time.perf_counter() - started
    return report(setting, outcomes, items, marks, arms=arms.all(), seconds=seconds)


async def _known(
    pipeline: Pipeline, outcomes: Outcomes, by_id: Mapping[str, Item]
) -> dict[str, Any]:
    """Marks and tokens of every expert: of its calls, and of what it would say where that is free.

    A recorded answer costs nothing to read; a live expert is not asked for the sake of arms.
    """
    marks: dict[str, dict[str, Mark]] = {name: {} for name in pipeline.roster.names}
    tokens: dict[str, dict[str, int]] = {name: {} for name in pipeline.roster.names}
    extra = await _replayed(pipeline, outcomes, by_id)
    for drafts in (outcomes.drafts, extra):
        for question_id, row in drafts.answers.items():
            for seat, answer in row.items():
                if question_id in by_id and seat.sample == 0:
                    marks[seat.expert][question_id] = mark_answer(answer, by_id[question_id])
        for (question_id, seat), count in drafts.tokens.items():
            if seat.sample == 0:
                tokens[seat.expert][question_id] = count
    return {"marks": marks, "tokens": tokens}


async def _replayed(pipeline: Pipeline, outcomes: Outcomes, by_id: Mapping[str, Item]) -> Drafts:
    free = [e.name for e in pipeline.roster if e.worker in ("recorded", "scripted")]
    plans = []
    for plan in outcomes.plans:
        asked = {s.expert for s in outcomes.drafts.answers[plan.question_id] if s.sample == 0}
        rest = tuple(Seat(name, 1.0, "arms") for name in free if name not in asked)
        if rest and plan.question_id in by_id:
            plans.append(Plan(plan.question_id, rest, "arms", pipeline.seed))
    stage = DraftStage(
        pipeline.roster,
        pipeline.workers,
        pipeline.identities,
        settings=Generate(
            calls=len(pipeline.roster), read=pipeline.spec.generate.read, tolerance=1
        ),
    )
    return await stage.run(plans, {q.id: q for q in outcomes.questions})


def _prior(pipeline: Pipeline) -> dict[str, float]:
    if pipeline.table is None:
        return {}
    means = pipeline.table.global_beliefs.mean[:, 0]
    return {n: float(m) for n, m in zip(pipeline.table.experts, means, strict=True)}


def _notes(pipeline: Pipeline, outcomes: Outcomes, items: Sequence[Item]) -> tuple[str, ...]:
    notes = []
    if any(usage.estimated for usage in outcomes.drafts.usage.values()):
        notes.append("tokens are estimates (4 characters each): the recordings have no counts")
    if any(expert.worker == "scripted" for expert in pipeline.roster):
        notes.append("synthetic: some experts are scripted, not language models")
    profiled = {b.question_id for b in pipeline.table.briefs} if pipeline.table else set()
    overlap = sum(item.question.id in profiled for item in items)
    if overlap:
        notes.append(
            f"{overlap} of these {len(items)} questions are in the profile that recruiting "
            "rests on: the accuracy is flattered"
        )
    return tuple(notes)


def _identity(pipeline: Pipeline, items: Sequence[Item]) -> dict[str, str]:
    table = pipeline.table
    evidence = None if table is None else [table.briefs, list(table.marks.values()), table.parents]
    return {
        "pipeline": pipeline.spec.digest,
        "roster": digest(sorted(pipeline.identities.items())),
        "table": digest(evidence),
        "items": items_digest(items),
        "seed": str(pipeline.seed),
    }


def _details(pipeline: Pipeline, items: Sequence[Item], benchmark: str) -> dict[str, object]:
    named = sorted({item.question.benchmark for item in items} - {""})
    return {
        "pipeline": pipeline.spec.name,
        "benchmark": benchmark or "+".join(named) or "items",
        "protocol": f"drafts read by `{pipeline.spec.generate.read}`, absent counts as not right, "
        "no credit for guesses",
        "questions": len(items),
        "experts": list(pipeline.roster.names),
        "rules": {expert.name: expert.rule for expert in pipeline.roster if expert.rule},
        "spec": pipeline.spec.data,
        "seed": pipeline.seed,
    }
