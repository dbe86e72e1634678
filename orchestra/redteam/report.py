"""The content of `report.json`: what was tried, the figures, and what a reader must know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from orchestra.evals.conventions import benchmark_of, exam_of, named_protocol
from orchestra.evals.finished import REDTEAM
from orchestra.pipeline import Pipeline
from orchestra.redteam.defences import Defence
from orchestra.redteam.metrics import Metrics
from orchestra.redteam.recommend import commonest, failed_attacks, honest_part, recommend
from orchestra.redteam.sweep import Condition, Sweep, Trial, counted
from orchestra.redteam.trial import RedTeam

SCHEMA = 1


def content(team: RedTeam, honest: Trial, trials: Sequence[Trial]) -> dict[str, Any]:
    """The content of `report.json`, but for how long it took.

    Args:
        team: what was tried on whom.
        honest: the trial without liars.
        trials: all others, in the order of the sweep.
    """
    pipeline, items, sweep, defences = team.pipeline, team.items, team.sweep, team.defences
    marked = [item for item in items if item.gold is not None]
    metrics = Metrics(marked, honest, defences, questions=len(items), seed=pipeline.seed)
    cells = list(_cells(metrics, sweep, defences, trials))
    failed = failed_attacks(cells, trials)
    panel = honest_part(metrics, defences, declared=sweep.declared)
    warnings = [
        f"warning: `{attack}` by {faults}: {words}"
        for attack, reasons in failed.items()
        for faults, words in reasons.items()
    ]
    return {
        "schema": SCHEMA,
        "kind": REDTEAM,
        "pipeline": pipeline.spec.name,
        "benchmark": benchmark_of(items),
        "protocol": f"{named_protocol(exam_of(items))}{_protocol(pipeline, sweep)}",
        "seed": pipeline.seed,
        "seeds": sweep.seeds,
        "experts": list(pipeline.roster.recruits),
        "attacks": [attack.name for attack in sweep.attacks],
        "meanings": {attack.name: attack.meaning for attack in sweep.attacks},
        "faults": list(sweep.faults),
        "defences": [each.name for each in defences],
        "form": sweep.form,
        "layers": None if sweep.layers is None else list(sweep.layers),
        "information": sweep.information,
        "n": len(marked),
        "liars": _liars(trials),
        "cells": cells,
        "misfires": failed,
        "honest": panel,
        "recommendation": recommend(
            cells, panel, defences, declared=sweep.declared, panel=honest.seats
        ),
        "notes": [*warnings, *_notes(team), *_failures(trials)],
    }


def _cells(
    metrics: Metrics, sweep: Sweep, defences: Sequence[Defence], trials: Sequence[Trial]
) -> Iterator[dict[str, Any]]:
    for attack in sweep.attacks:
        for faults in sorted({*sweep.counts(attack), *(n for n in sweep.faults if n == 0)}):
            those = [
                trial
                for trial in trials
                if trial.condition is not None
                and trial.condition.attack.name == attack.name
                and trial.faults == faults
            ]
            for defence in defences:
                names = {"attack": attack.name, "faults": faults, "defence": defence.name}
                yield {**names, **metrics.cell(defence, those or [metrics.honest])}


def _liars(trials: Sequence[Trial]) -> dict[str, list[list[str]]]:
    """Number of liars -> who they were, seed after seed."""
    found: dict[str, dict[int, list[str]]] = {}
    for trial in trials:
        if trial.condition is not None and trial.condition.attack.role == "answer":
            drawn = found.setdefault(str(trial.faults), {})
            drawn[trial.condition.seed] = list(trial.liars)
    return {count: list(drawn.values()) for count, drawn in sorted(found.items())}


def _protocol(pipeline: Pipeline, sweep: Sweep) -> str:
    """Whose answers these are, and who wrote the lies."""
    kinds = {pipeline.roster[name].worker for name in pipeline.roster.recruits}
    if sweep.form == "live":
        whose = "live: liars are told to lie and write their lies themselves"
    elif kinds == {"recorded"}:
        whose = "recorded answers of real models, liars simulated"
    elif "scripted" in kinds:
        whose = "answers of scripted experts, liars simulated"
    else:
        whose = "answers of live models, liars simulated"
    return f"{whose}; drafts read by `{pipeline.spec.generate.read}`, absent counts as not right"


def _notes(team: RedTeam) -> Iterator[str]:
    """What a reader has to know."""
    pipeline, items, sweep, defences = team.pipeline, team.items, team.sweep, team.defences
    workers = {pipeline.roster[name].worker for name in pipeline.roster.recruits}
    if sweep.form == "template":
        yield "simulated: the liars' texts are templates of orchestra, put in place of real answers"
    if any(attack.on_profile for attack in sweep.attacks) and pipeline.table is not None:
        yield "simulated: on the profile the liars' marks are made wrong, and nobody is asked"
    if "scripted" in workers:
        yield "synthetic: some experts are scripted, not language models"
    if any(
        pipeline.roster[name].model.startswith("embedded/") for name in pipeline.roster.recruits
    ):
        yield "synthetic: some experts are tiny language models trained for synthetic questions"
    yield from _alike(sweep, defences)
    yield (
        "intervals are for other questions like these: the values of a question under all seeds "
        "are one cluster"
    )
    yield "the recommendation was chosen on the questions that it is shown for, which flatters it"
    profiled = {brief.question_id for brief in pipeline.table.briefs} if pipeline.table else set()
    overlap = sum(item.question.id in profiled for item in items)
    if overlap:
        yield (
            f"{overlap} of these {len(items)} questions {'is' if overlap == 1 else 'are'} in the "
            "profile that recruiting rests on: accuracies are flattered"
        )
    unmarked = sum(item.gold is None for item in items)
    if unmarked:
        yield (
            f"{counted(unmarked, 'question')} without a gold answer: nobody lies there, and "
            "nothing is counted"
        )
    if any(each.merging is not None for each in defences):
        yield "defences that put drafts together cost the calls of an aggregator, which are counted"


def _failures(trials: Sequence[Trial]) -> Iterator[str]:
    reasons = [each for trial in trials for each in trial.reasons]
    failed = sum(each.calls for each in reasons)
    if failed:
        yield (
            f"{counted(failed, 'call')} of liars failed, and said nothing where they were to lie; "
            f"most often {commonest(reasons)}"
        )


def _alike(sweep: Sweep, defences: Sequence[Defence]) -> Iterator[str]:
    """Which attacks come out the same for votes, which read no text."""
    if sweep.form == "live" or all(each.voter is None for each in defences):
        return
    groups: dict[tuple[object, ...], list[str]] = {}
    for attack in sweep.attacks:
        groups.setdefault(Condition(attack, 1, 0).values, []).append(f"`{attack.name}`")
    for names in groups.values():
        if len(names) > 1:
            yield (
                f"{', '.join(names)} plant the same values in other words: votes, which read no "
                "words, come out alike"
            )
