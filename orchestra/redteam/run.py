"""Runs a red team in a run folder, and writes its report.

The same call again goes on from what the ledger has; a finished folder is read, not repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from orchestra.errors import BudgetExhausted, InputError
from orchestra.evals.evaluate import Evaluation, paying, spending
from orchestra.evals.finished import REDTEAM, evidence_digest, inputs_of
from orchestra.evals.items import Item, items_digest
from orchestra.pipeline import Pipeline, Progress
from orchestra.pipeline.context import in_time
from orchestra.redteam.defences import Defence
from orchestra.redteam.inject import PartialInformation
from orchestra.redteam.report import content
from orchestra.redteam.sweep import Sweep, Trial, counted
from orchestra.redteam.trial import RedTeam
from orchestra.runs import RunFolder, digest, write_whole

_QUESTIONS = "questions asked"
"""Not `items`, which names their file: another `--limit` takes others of the same file."""


async def redteam_run(
    pipeline: Pipeline,
    items: Sequence[Item],
    out: str | Path,
    *,
    sweep: Sweep,
    defences: Sequence[Defence],
    details: Mapping[str, object] = MappingProxyType({}),
    progress: Progress | None = None,
) -> Evaluation:
    """Try every attack on the pipeline's experts, and leave a complete run folder.

    Args:
        pipeline: whose experts these are, with the table and the vote that they are given.
        items: the questions, with gold answers where there are any.
        out: the run folder; the same call goes on with what is in it.
        sweep: what is tried.
        defences: the methods that are compared, from `defences_of`.
        details: plain facts for its manifest; `command` says how the run was asked for.
        progress: called as it goes on: stage `decide` counts questions under all conditions.

    Raises:
        InputError: the pipeline cannot be asked this, or no question has a gold answer.
        RunConflict: the folder is another run's, or another process's.
        BudgetExhausted, WorkerError: the run stopped; what was done is kept.
    """
    sweep.check(pipeline)
    if all(item.gold is None for item in items):
        raise InputError(
            "no question has a gold answer, so nobody can lie for sure",
            hint="give questions with a column `answer`",
        )
    pipeline = _informed(pipeline, items, sweep)
    team = RedTeam(pipeline, items, sweep, defences, progress=progress)
    facts = {**details, **_details(team)}
    with RunFolder.open(
        Path(out),
        command=str(facts.pop("command", "")),
        identity=_identity(team),
        details=facts,
    ) as folder:
        if folder.finished:
            return Evaluation(folder.read_report(), Path(out), resumed=True)
        started = time.perf_counter()
        with paying(pipeline, folder.path) as account:
            team.ledger, team.account = folder.ledger, account
            try:
                report = await _report(team)
            except BudgetExhausted:
                folder.stop()
                raise
            spent = {} if account is None else {"spending": spending(account, pipeline)}
        report |= {"seconds": round(time.perf_counter() - started, 3), **spent}
        write_whole(folder.report, orjson.dumps(report, option=orjson.OPT_INDENT_2))
        folder.finish()
    return Evaluation(report, Path(out), resumed=False)


async def _report(team: RedTeam) -> dict[str, Any]:
    """The content of `report.json`, but for how long it took."""
    conditions = list(team.sweep.conditions(team.pipeline.seed))
    questions = len(team.items)
    trials: list[Trial] = []
    async with in_time(team.account):
        honest = await team.honest()
        for condition in conditions:
            trials.append(await team.trial(condition))
            if team.progress is not None:
                team.progress("decide", len(trials) * questions, len(conditions) * questions)
            await asyncio.sleep(0)  # votes never wait: without this, no Ctrl-C gets through
    return content(team, honest, trials)


def _informed(pipeline: Pipeline, items: Sequence[Item], sweep: Sweep) -> Pipeline:
    """The pipeline with experts that see as much of a context as the sweep says."""
    if sweep.information == "full":
        return pipeline
    questions = [item.question for item in items]
    if not any(question.context for question in questions):
        raise InputError(
            "no question has a context, so there is nothing to share out",
            place="--information",
            hint="`partial` is for questions about a passage, in a column `context`",
        )
    workers = PartialInformation(pipeline.workers, pipeline.roster.recruits, questions=questions)
    return replace(pipeline, workers=workers)


def _identity(team: RedTeam) -> dict[str, str]:
    """What another red team in the same folder must share."""
    pipeline, items = team.pipeline, team.items
    questions = [item.question for item in items]
    compared = [[each.name, repr(each.voter or each.merging)] for each in team.defences]
    return {
        "kind": REDTEAM,
        "pipeline": pipeline.spec.digest,
        "roster": digest([pipeline.roster.digest, sorted(pipeline.identities.items())]),
        "table": evidence_digest(pipeline.table),
        _QUESTIONS: items_digest(items),
        "labels": digest(sorted((q.id, q.category, q.language) for q in questions)),
        "seed": str(pipeline.seed),
        "defences": digest(compared),
        **{name: digest(value) for name, value in asdict(team.sweep).items()},
    }


def _details(team: RedTeam) -> dict[str, object]:
    """Plain facts for the manifest."""
    pipeline, items, sweep = team.pipeline, team.items, team.sweep
    asked = {name: getattr(sweep, name) for name in ("seeds", "form", "information")}
    return {
        "kind": REDTEAM,
        "pipeline": pipeline.spec.name,
        _QUESTIONS: f"{counted(len(items), 'question')}, digest {items_digest(items)[:8]}",
        "questions": len(items),
        "experts": list(pipeline.roster.recruits),
        "spec": pipeline.spec.data,
        "seed": pipeline.seed,
        "inputs": inputs_of(pipeline, items),
        "attacks": [attack.name for attack in sweep.attacks],
        "faults": list(sweep.faults),
        **asked,
        "layers": None if sweep.layers is None else list(sweep.layers),
        "declare": sweep.declared,
        "defences": [each.name for each in team.defences],
    }
