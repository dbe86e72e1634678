"""From trials to `report.json` of a red team; the same trials give the same bytes.

Knows every part of the report and what a reader must be told about it; counts nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from orchestra.evals.datasets import Item
from orchestra.evals.finished import REDTEAM
from orchestra.pipeline import Pipeline
from orchestra.redteam.defences import Way
from orchestra.redteam.metrics import Figures
from orchestra.redteam.recommend import commonest, honest_part, misfires, recommend
from orchestra.redteam.sweep import Condition, Sweep, Trial, counted

SCHEMA = 1


def content(
    pipeline: Pipeline,
    items: Sequence[Item],
    *,
    sweep: Sweep,
    ways: Sequence[Way],
    honest: Trial,
    trials: Sequence[Trial],
) -> dict[str, Any]:
    """The content of `report.json`, but for how long it took.

    Args:
        pipeline: whose experts were tried.
        items: the batch, in order.
        sweep: what was tried.
        ways: what was compared.
        honest: the trial without liars.
        trials: all others, in the order of the sweep.
    """
    marked = [item for item in items if item.gold is not None]
    figures = Figures(marked, honest, ways=ways, questions=len(items), seed=pipeline.seed)
    cells = list(_cells(figures, sweep, ways, trials))
    missed = misfires(cells, trials)
    panel = honest_part(figures, ways, declared=sweep.declared)
    return {
        "schema": SCHEMA,
        "kind": REDTEAM,
        **_asked(pipeline, items, sweep, ways),
        "n": len(marked),
        "liars": _liars(trials),
        "cells": cells,
        "misfires": missed,
        "honest": panel,
        "recommendation": recommend(
            cells, panel, ways, declared=sweep.declared, panel=honest.seats
        ),
        "notes": [
            *(
                f"warning: `{attack}` by {faults}: {words}"
                for attack, told in missed.items()
                for faults, words in told.items()
            ),
            *_notes(pipeline, items, sweep, ways),
            *_failures(trials),
        ],
    }


def _asked(
    pipeline: Pipeline, items: Sequence[Item], sweep: Sweep, ways: Sequence[Way]
) -> dict[str, Any]:
    """What was tried on whom."""
    named = sorted({item.question.benchmark for item in items} - {""})
    return {
        "pipeline": pipeline.spec.name,
        "benchmark": "+".join(named) or "items",
        "protocol": _protocol(pipeline, sweep),
        "seed": pipeline.seed,
        "seeds": sweep.seeds,
        "experts": list(pipeline.roster.recruits),
        "attacks": [attack.name for attack in sweep.attacks],
        "meanings": {attack.name: attack.meaning for attack in sweep.attacks},
        "faults": list(sweep.faults),
        "defences": [way.name for way in ways],
        "form": sweep.form,
        "layers": None if sweep.layers is None else list(sweep.layers),
        "information": sweep.information,
    }


def _cells(
    figures: Figures, sweep: Sweep, ways: Sequence[Way], trials: Sequence[Trial]
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
            for way in ways:
                names = {"attack": attack.name, "faults": faults, "defence": way.name}
                yield {**names, **figures.cell(way, those or [figures.honest])}


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


def _notes(
    pipeline: Pipeline, items: Sequence[Item], sweep: Sweep, ways: Sequence[Way]
) -> Iterator[str]:
    """What a reader has to know."""
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
    yield from _alike(sweep, ways)
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
    if any(way.merging is not None for way in ways):
        yield "defences that put drafts together cost the calls of an aggregator, which are counted"


def _failures(trials: Sequence[Trial]) -> Iterator[str]:
    reasons = [each for trial in trials for each in trial.reasons]
    failed = sum(each.calls for each in reasons)
    if failed:
        yield (
            f"{counted(failed, 'call')} of liars failed, and said nothing where they were to lie; "
            f"most often {commonest(reasons)}"
        )


def _alike(sweep: Sweep, ways: Sequence[Way]) -> Iterator[str]:
    """Which attacks come out the same for votes, which read no text."""
    if sweep.form == "live" or all(way.voter is None for way in ways):
        return
    groups: dict[tuple[object, ...], list[str]] = {}
    for attack in sweep.attacks:
        told = Condition(attack, 1, 0).values
        groups.setdefault(told, []).append(f"`{attack.name}`")
    for names in groups.values():
        if len(names) > 1:
            yield (
                f"{', '.join(names)} plant the same values in other words: votes, which read no "
                "words, come out alike"
            )
