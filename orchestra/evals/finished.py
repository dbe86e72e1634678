"""A finished run read back with its questions: what show, mark and compare start from.

Knows the run folder's ledger and manifest and finds the questions again, which the
folder does not hold; checks that they are the same. Runs nothing, writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from orchestra.errors import InputError
from orchestra.evals.benchmarks.benchmark import is_benchmark
from orchestra.evals.datasets import load_dataset
from orchestra.evals.items import Item, items_digest
from orchestra.evals.marking import mark_decision
from orchestra.files import located
from orchestra.pipeline import Pipeline, PipelineSpec, WorkerPool, profile_votes, rebuild
from orchestra.records import Mark
from orchestra.roster import Expert, Roster
from orchestra.runs import RowKind, RunFolder, RunView, digest
from orchestra.skills import RecruitmentTable, read_table
from orchestra.voting import NOTHING, VoterContext

REDTEAM = "redteam"
"""The kind of run, in manifests and reports, in which liars were tried."""


def of_redteam(view: RunView) -> bool:
    """Whether a folder is that of `orchestra redteam`, which decides every question many times."""
    return view.manifest.details.get("kind") == REDTEAM


def open_finished(path: Path | str, *, redteam: bool = False) -> RunView:
    """A run folder to look at, of a pipeline's run that came to its end.

    Args:
        path: the folder.
        redteam: whether the run of a red team will do.

    Raises:
        InputError: there is no run, it keeps a profile or an unwanted red team, or it is not
            finished.
    """
    view = RunFolder.inspect(Path(path))
    try:
        if "pipeline" not in view.manifest.identity:
            raise InputError(
                "the folder keeps the generations of `orchestra profile`, not a pipeline's run",
                place=str(path),
            )
        if of_redteam(view) and not redteam:
            raise InputError(
                "the folder is that of a red team, which decides every question many times",
                place=str(path),
                hint="`orchestra report RUN` shows what came of it",
            )
        if not view.finished:
            raise InputError(
                f"the run is not finished: {view.manifest.status}",
                place=str(path),
                hint="give its command again to finish it: " + (view.manifest.command or "?"),
            )
    except BaseException:
        view.close()
        raise
    return view


def items_of(
    view: RunView, on: Path | str | None = None, *, data: Path | str | None = None
) -> tuple[Item, ...]:
    """The run's questions with their gold answers, in the run's order.

    Args:
        view: the run.
        on: the questions' file or benchmark; by default what the run was given.
        data: the benchmark's files; by default those that the run was given.

    Raises:
        InputError: the file is not known or unsound, lacks a question, or has changed.
    """
    details = view.manifest.details
    source = on or details.get("items")
    hint = "name the run's questions with `--on ITEMS`"
    if not isinstance(source, str | Path):
        raise InputError("the run does not say where its questions are", hint=hint)
    by_name = is_benchmark(str(source))
    if on is None and not by_name and not located(source, "items.parquet").is_file():
        raise InputError("the run's questions are no longer there", place=str(source), hint=hint)
    kept = details.get("data") if by_name else None
    files = data or (kept if isinstance(kept, str) else None)
    seed = int(str(details.get("items_seed", 0)))
    items = load_dataset(source, data=files, seed=seed)
    by_id = {item.question.id: item for item in items}
    ids = [plan.question_id for plan in view.ledger.rows(RowKind.PLAN)]
    missing = [each for each in ids if each not in by_id]
    if missing:
        says = f"{len(missing)} of the run's {len(ids)} questions are not here: {missing[0]!r}"
        raise InputError(says, place=str(source), hint=hint)
    items = items.some(by_id[each] for each in ids)
    if items_digest(items) != view.manifest.identity.get("items"):
        says = "the questions (or their gold answers) have changed since the run"
        raise InputError(says, place=str(source), hint=hint)
    return items


def decision_marks(view: RunView, items: Sequence[Item]) -> dict[str, Mark]:
    """Question id -> the Mark of the run's decision, for items with gold, in their order."""
    who = str(view.manifest.details.get("pipeline", "pipeline"))
    decisions = {each.question_id: each for each in view.ledger.rows(RowKind.DECISION)}
    return {
        item.question.id: mark_decision(decisions[item.question.id], item, who=who)
        for item in items
        if item.gold is not None and item.question.id in decisions
    }


def spec_of(view: RunView) -> PipelineSpec:
    """The pipeline that was run. Raises InputError where the manifest does not hold it."""
    data = view.manifest.details.get("spec")
    if not isinstance(data, Mapping):
        raise InputError("the manifest does not hold the pipeline", place=str(view.path))
    return rebuild(dict(data), f"{view.path} pipeline")


def evidence_of(view: RunView, spec: PipelineSpec) -> VoterContext:
    """What the run's voter was told of the profile; nothing for voters that do not learn.

    Raises:
        InputError: the voter learns from the recruitment table, and that is not at hand.
    """
    if not spec.vote.learns or view.manifest.details.get("experts") is None:
        return NOTHING
    table = table_of(view)
    if table is None:
        return NOTHING
    return VoterContext(profile_votes(table, spec.route, spec.generate, seed=seed_of(view, spec)))


def table_of(view: RunView) -> RecruitmentTable | None:
    """The run's recruitment table, of its own experts; None where it had none.

    Raises:
        InputError: it is not there, or has changed.
    """
    experts: Any = view.manifest.details["experts"]
    path = view.manifest.details.get("table")
    if view.manifest.identity.get("table") == evidence_digest(None):
        return None
    if not isinstance(path, str) or not located(path, "table.json").is_file():
        says = "the recruitment table, which the run rests on, is not there"
        hint = "runs made with `orchestra run --table TABLE` say where theirs is: put it back"
        raise InputError(says, place=str(path or view.path), hint=hint)
    table = read_table(path).subset(experts)
    if evidence_digest(table) != view.manifest.identity.get("table"):
        says = "the recruitment table has changed since the run"
        raise InputError(says, place=path, hint="put back the table that the run was made with")
    return table


def seed_of(view: RunView, spec: PipelineSpec) -> int:
    """The seed of the run."""
    return int(str(view.manifest.details.get("seed", spec.seed)))


def roster_of(view: RunView, workers: WorkerPool) -> Roster | None:
    """The run's roster, as its file has it; None where that is not there or says otherwise."""
    path = view.manifest.details.get("roster")
    if not isinstance(path, str) or not Path(path).is_file():
        return None
    roster = Roster.load(path)
    identities = {expert.name: workers.identity(expert) for expert in roster}
    same = roster_digest(roster, identities) == view.manifest.identity.get("roster")
    return roster if same else None


def roster_digest(roster: Roster, identities: Mapping[str, str]) -> str:
    """Stands for everything in a roster that changes decisions, recordings included."""
    return digest([roster.digest, sorted(identities.items())])


def evidence_digest(table: RecruitmentTable | None) -> str:
    """Stands for everything in a table that changes decisions."""
    return digest(
        None if table is None else [table.briefs, list(table.marks.values()), table.parents]
    )


_DIGESTED = ("base_url", "engine")
"""Fields of an expert that may hold what must not be shown."""
_LONG = 80


def inputs_of(pipeline: Pipeline, items: Sequence[Item]) -> dict[str, object]:
    """What a run's identity stands for, part by part, so that a refused run can say what differs.

    Text that is long or may be secret is there as a digest.
    """
    table = pipeline.table
    return {
        "pipeline": {
            each.label: {"name": each.name, **_plain(each.options)}
            for each in pipeline.spec.stages
            if not each.idle
        },
        "roster": {
            expert.name: {**_expert(expert), "contents": pipeline.identities[expert.name][:8]}
            for expert in pipeline.roster
        },
        "table": {
            "digest": evidence_digest(table)[:8],
            "questions": 0 if table is None else len(table.briefs),
            "created": "" if table is None else table.created,
        },
        "items": {"questions": len(items), "digest": items_digest(items)[:8]},
    }


def _expert(expert: Expert) -> dict[str, object]:
    """What a roster says of an expert, as far as it changes anything, less defaults."""
    told = _plain(expert)
    for name in ("name", "limits", "calls", "api_key_env", "recordings"):
        told.pop(name, None)
    return {
        name: f"digest {digest(repr(value))[:8]}" if name in _DIGESTED else value
        for name, value in told.items()
    }


def _plain(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that are not at their defaults, as plain data."""
    if not is_dataclass(value):
        return {}
    return {
        each.name: _leaf(found)
        for each in fields(value)
        if (found := getattr(value, each.name)) != each.default and found != {}
    }


def _leaf(value: Any) -> Any:
    if is_dataclass(value):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_leaf(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= _LONG else f"{text[:40]}... (digest {digest(text)[:8]})"


def rules_of(view: RunView) -> dict[str, str]:
    """Expert -> the cascade that its roster entry asks for, for those with one of their own."""
    found: Any = view.manifest.details.get("rules")
    return dict(found) if isinstance(found, Mapping) else {}
