"""A finished run tried again with other settings, over the generations that it made.

Knows the run folder and the gold answers; generates nothing and writes nothing. Answers are read
once; variants with the same drafts share them.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestra.answers import read, visible
from orchestra.errors import InputError
from orchestra.evals.finished import (
    items_of,
    open_finished,
    roster_of,
    rules_of,
    seed_of,
    spec_of,
    table_of,
)
from orchestra.evals.items import Item
from orchestra.evals.known import Known, Lack, Replayed, SilentPool, Tried, tried
from orchestra.evals.sweep import sweep_data
from orchestra.evals.variants import Grid, Variant, grid
from orchestra.pipeline import (
    Batch,
    Drafting,
    Generate,
    PipelineSpec,
    Progress,
    WorkerPool,
    load_spec,
    open_context,
    rebuild,
)
from orchestra.records import Brief, Generation, Plan, Seat, Usage
from orchestra.roster import Expert, Roster
from orchestra.runs import Ledger, RowKind, RunFolder, RunView
from orchestra.skills import RecruitmentTable
from orchestra.sync import wait
from orchestra.workers.pool import kind_of

_ALONE = 200_000
"""Questions times variants up to which another process would not be worth its start."""

_DRAWS = 16
"""Most recorded draws of an expert that are read."""
_TOGETHER = 8
"""Most variants with the same drafts that one process tries after another."""


@dataclass(frozen=True)
class Room:
    """What all variants share: everything but their settings."""

    run: Path
    items: tuple[Item, ...]
    briefs: tuple[Brief, ...]
    """As the run's tagger made them."""
    tagged_by: str
    """Identity of that tagger."""
    roster: Roster
    keys: Mapping[str, str]
    """Expert -> what its content keys rest on; empty where the roster is not at hand."""
    table: RecruitmentTable | None
    known: Mapping[str, Known]
    """Cascade of answer rules -> the calls, read by it."""


def replay(
    run: Path | str,
    settings: Sequence[str] = (),
    *,
    pipelines: Sequence[str] = (),
    on: Path | None = None,
    workers: WorkerPool | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Try a run again under every combination of settings, without any call.

    Args:
        run: the folder of a finished run.
        settings: `stage.option=value,value,...`; all combinations are tried.
        pipelines: names or files of pipelines to try them on; none: the run's own.
        on: the run's questions, if the file has moved.
        workers: opens recorded and scripted experts, which are free to read.
        processes: how many work at once. More than one need a main module that can be imported.
        progress: told how far it is.

    Returns:
        The content of `sweep.json`: every variant, the fronts, and the winner, which is chosen on
        one half of the questions and measured on the other.

    Raises:
        InputError: the run, its questions or its table are not at hand, or a setting is wrong.
    """
    told = progress or (lambda stage, done, expected: None)
    with open_finished(run) as view:
        own = spec_of(view)
        tries = _grid(view, own, settings, pipelines)
        items = items_of(view, on)
        if all(item.gold is None for item in items):
            raise InputError(
                "no question of the run has a gold answer: nothing can be compared",
                place=str(run),
            )
        told("read answers", 0, 0)
        room = room_of(view, own, variants=tries.variants, items=items, workers=workers)
        differing = _differing(view, room, tries.variants[0])
    found = try_out(room, tries.variants, processes=processes, progress=told)
    return sweep_data(
        str(run),
        items,
        found,
        impossible=tries.impossible,
        known=room.known[own.generate.read],
        experts=room.roster.recruits,
        differing=differing,
    )


def _grid(
    view: RunView, own: PipelineSpec, settings: Sequence[str], pipelines: Sequence[str]
) -> Grid:
    """The run's own pipeline first, then the grid."""
    seed, name = seed_of(view, own), str(view.path)
    bases: dict[str, Callable[[Sequence[str]], PipelineSpec]] = {
        each: partial(_shipped, each) for each in pipelines
    } or {own.name: partial(_changed, own, name)}
    made = grid(bases, settings, seed=seed)
    first = Variant(own.name, (), own, seed)
    others = [each for each in made.variants if each.identity != first.identity]
    return Grid((first, *others), made.impossible)


def _shipped(name: str, settings: Sequence[str]) -> PipelineSpec:
    return load_spec(name, overrides=settings)


def _changed(own: PipelineSpec, name: str, settings: Sequence[str]) -> PipelineSpec:
    return rebuild(dict(own.data), name, overrides=settings)


# What is known


def room_of(
    view: RunView,
    own: PipelineSpec,
    *,
    variants: Sequence[Variant],
    items: tuple[Item, ...] | None = None,
    workers: WorkerPool | None = None,
) -> Room:
    """What some variants of a run share, its answers read.

    Args:
        view: the run.
        own: its pipeline.
        variants: what is to be tried.
        items: its questions; None: those that it was given.
        workers: opens recorded and scripted experts.

    Raises:
        InputError: questions or table are not at hand.
    """
    items, workers = items or items_of(view), workers or WorkerPool()
    roster = roster_of(view, workers)
    shown = any(each.spec.synthesise.kind != "none" for each in variants)
    keys: dict[str, str] = {}
    if roster is not None and shown:
        keys = {expert.name: workers.identity(expert) for expert in roster}
    experts: Any = view.manifest.details["experts"]
    rules = rules_of(view)
    stand_ins = Roster.of(
        *(Expert(each, each, worker="scripted", rule=rules.get(each, "")) for each in experts)
    )
    wanted = dict.fromkeys(each.spec.generate.read for each in variants)
    known = {
        rule: _known(view, own, items, rule, roster=roster, workers=workers, texts=shown)
        for rule in wanted
    }
    briefs = {each.question_id: each for each in view.ledger.rows(RowKind.BRIEF)}
    return Room(
        view.path,
        items,
        tuple(briefs[item.question.id] for item in items) if len(briefs) == len(items) else (),
        _tagger(own),
        roster or stand_ins,
        keys,
        table_of(view),
        known,
    )


def _tagger(spec: PipelineSpec) -> str:
    return next((each.identity for each in spec.stages if each.stage == "tag"), "")


def _known(
    view: RunView,
    own: PipelineSpec,
    items: Sequence[Item],
    rule: str,
    *,
    roster: Roster | None,
    workers: WorkerPool,
    texts: bool,
) -> Known:
    """The run's calls as a cascade reads them, and those of experts that are free to read."""
    known, by_id = Known(), {item.question.id: item.question for item in items}
    said: dict[tuple[str, str, int], tuple[Usage, str, Generation | None]] = {}
    for kind in (RowKind.FAILURE, RowKind.GENERATION):
        for each in view.ledger.rows(kind):
            if each.layer == 0:  # others were said in view of drafts
                text = visible(each.text).text.strip() if texts else ""
                kept = each if rule != own.generate.read else None
                said[each.question_id, each.expert, each.sample] = each.usage, text, kept
    rules = rules_of(view)
    for answer in view.ledger.rows(RowKind.ANSWER):
        call = (answer.question_id, answer.expert, answer.sample)
        usage, text, generation = said.get(call, (Usage(calls=1), "", None))
        if generation is not None:
            cascade = rules.get(answer.expert) or rule
            answer = read(by_id[answer.question_id], generation, cascade=cascade)
        known.add(replace(answer, instead_of=""), usage, text=text)
    if roster is not None:
        wait(read_free(known, items, rule, roster=roster, workers=workers))
    return known


async def read_free(
    known: Known,
    items: Sequence[Item],
    rule: str,
    *,
    roster: Roster,
    workers: WorkerPool,
    progress: Progress | None = None,
) -> None:
    """Know what experts that cost nothing to ask say to questions, as far as it is not known.

    Args:
        known: is added to.
        items: the questions.
        rule: the cascade of answer rules.
        roster: the experts; of others than recorded and scripted ones nothing is read.
        workers: opens them.
        progress: told how far it is.
    """
    seats = [
        Seat(name, 1.0, "known", sample)
        for name in roster.recruits
        for sample in free_samples(roster[name], workers)
    ]
    plans = []
    for item in items:
        there = known.of(item.question.id)
        rest = tuple(seat for seat in seats if (seat.expert, seat.sample) not in there)
        if rest:
            plans.append(Plan(item.question.id, rest, "known", 0))
    if not plans:
        return
    work = Drafting(
        plans,
        {item.question.id: item.question for item in items},
        Generate(calls=max(len(seats), 1), read=rule, tolerance=1.0),
    )
    names = {expert.name: expert.name for expert in roster}
    async with open_context(roster, workers, names, progress=progress) as context:
        context.keeps, context.heard = False, known.hear
        await context.run(work, texts=False)


def free_samples(expert: Expert, workers: WorkerPool) -> tuple[int, ...]:
    """The first draws of an expert that can be read at no cost; none of one that must be asked."""
    kind = kind_of(expert)
    if kind.replayed:
        return workers.recordings(expert).samples(expert.model)[:_DRAWS]
    return (0,) if kind.free and expert.name in workers.scripts else ()


def _differing(view: RunView, room: Room, own: Variant) -> int:
    """How many questions the run's own settings decide otherwise than the run did."""
    [(done, lack)] = decided(room, [own], confident=True)
    if lack.questions:
        return 0  # it is listed among those that lack calls
    then = {each.question_id: each for each in view.ledger.rows(RowKind.DECISION)}
    return sum(then.get(each.question_id) != each for each in done.decisions)


# Trying


def try_out(
    room: Room, variants: Sequence[Variant], *, processes: int, progress: Progress
) -> list[tuple[Variant, Tried]]:
    """Every variant with what became of it, in their order."""
    alike: dict[str, list[int]] = {}
    for place, each in enumerate(variants):
        alike.setdefault(each.drafting, []).append(place)
    groups = [list(part) for group in alike.values() for part in _parts(group)]
    found: dict[int, Tried] = {}
    tasks = [[variants[place] for place in group] for group in groups]
    for group, results in zip(groups, _outcomes(room, tasks, processes), strict=True):
        found |= zip(group, results, strict=True)
        progress("try variants", len(found), len(variants))
    return [(each, found[place]) for place, each in enumerate(variants)]


def _parts(group: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(group), _TOGETHER):
        yield group[start : start + _TOGETHER]


def _outcomes(
    room: Room, tasks: Sequence[Sequence[Variant]], processes: int
) -> Iterator[list[Tried]]:
    work = len(room.items) * sum(map(len, tasks))
    if min(processes, len(tasks)) < 2 or work <= _ALONE:
        for task in tasks:
            yield _task(room, task)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(tasks)), context, _settle_in, (room,))
    try:
        yield from pool.map(_in_process, tasks)
    except BrokenProcessPool:
        raise InputError(
            "a process that tried variants was ended from outside, perhaps for lack of memory",
            hint="work in one process: `--processes 1`",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_here: list[Room] = []
"""The room of a child process."""


def _settle_in(room: Room) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its children in order
    _here.append(room)
    gc.freeze()


def _in_process(task: Sequence[Variant]) -> list[Tried]:
    return _task(_here[0], task)


def _task(room: Room, task: Sequence[Variant]) -> list[Tried]:
    return [tried(done, room.items, lack) for done, lack in decided(room, task)]


def decided(
    room: Room, task: Sequence[Variant], *, confident: bool = False
) -> Iterator[tuple[Batch, Lack]]:
    """Variants with the same drafts, decided; with confidences, if they are wanted."""
    first = _replayed(room, task[0])
    batch = Batch.of(item.question for item in room.items)
    if _tagger(task[0].spec) == room.tagged_by:
        batch = replace(batch, briefs=room.briefs)
    needs = room.keys or any(each.spec.synthesise.kind != "none" for each in task)
    with Ledger(None) as ledger:
        if needs:
            _copy(room.run, ledger)
        drafted = wait(first.draft(batch, ledger if needs else None))
        for each in task:
            pipeline = replace(_replayed(room, each, first), confident=confident)
            pipeline.lack.questions |= first.lack.questions
            pipeline.lack.experts.update(first.lack.experts)
            done = drafted
            if not first.lack.questions:
                done = wait(pipeline.decide(drafted, ledger if needs else None))
            yield done, pipeline.lack


def _replayed(room: Room, variant: Variant, alike: Replayed | None = None) -> Replayed:
    return Replayed(
        variant.spec,
        room.roster,
        SilentPool(),
        room.table,
        variant.seed,
        known=room.known[variant.spec.generate.read],
        alike=alike,
        keys=room.keys,
    )


def _copy(run: Path, ledger: Ledger) -> None:
    """The run's generations in a ledger that may be written to."""
    with RunFolder.inspect(run) as view:
        rows: Iterable[Generation] = view.ledger.rows(RowKind.GENERATION)
        ledger.put(RowKind.GENERATION, ((each.key, each) for each in rows))
