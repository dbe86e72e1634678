"""What a pipeline would do with some questions and what that would take, before any call.

Knows the plans, how often experts gave no answer on the profile and how much they wrote
there, how long recorded answers are, and which stages open an engine. Asks nobody but the
keyword model, where skills are named by one. Every number but the seats is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import stdev

from orchestra import scheduling
from orchestra.pipeline.run import Pipeline
from orchestra.records import Question
from orchestra.roster import Expert, Price, Roster
from orchestra.scheduling import (
    Arrivals,
    CostModel,
    Forecast,
    Job,
    Length,
    Loads,
    Machine,
    forecast,
)
from orchestra.scheduling.hosted import Elapsed, Work, elapsed
from orchestra.skills import Elicitation
from orchestra.skills.lengths import Lengths
from orchestra.workers.hosted import price_of

_SAMPLE = 256
"""Recorded answers whose lengths stand for all of an expert's."""


async def foresee(
    pipeline: Pipeline,
    questions: Sequence[Question],
    *,
    machine: Machine | None = None,
    prices: Mapping[str, Price] | None = None,
) -> Forecast:
    """Plan every question and estimate calls, loads, tokens, money, time and residency.

    Args:
        pipeline: what would be run.
        questions: on what.
        machine: where engines would be loaded; by default one at a time.
        prices: expert -> its price, for experts that the roster gives none; by default what
            litellm knows.

    Raises:
        InputError: a recording can no longer be read, or an expert fits on no device.
    """
    plans = pipeline.plan(await pipeline.brief(questions))
    arrivals = Arrivals(CostModel.of(pipeline.roster, machine))
    keywords = _keywords(pipeline, questions, arrivals.costs)
    for job in keywords:
        arrivals.call(job.unit)
    told = forecast(
        plans,
        {question.id: question for question in questions},
        _priced(pipeline.roster, _known(pipeline.roster) if prices is None else prices),
        lengths=_lengths(pipeline, questions),
        absent=_absent(pipeline) if pipeline.spec.generate.next_if_absent else {},
        calls=pipeline.spec.generate.calls,
        arrivals=arrivals,
    )
    told = _ordered(told, [*keywords, *told.jobs], arrivals)
    return replace(told, time=_time(told, pipeline.roster))


def _known(roster: Roster) -> dict[str, Price]:
    found = {expert.name: price_of(expert) for expert in roster if expert.hosted}
    return {name: price for name, price in found.items() if price is not None}


def _ordered(told: Forecast, jobs: Sequence[Job], arrivals: Arrivals) -> Forecast:
    """With the order of what is loaded here; of hosted experts nothing is."""
    costs = arrivals.costs
    here = [job for job in jobs if costs.units[job.unit].basis != "elsewhere"]
    if not here:
        return replace(told, loads=Loads(0, 0, 0))
    comings = {job.unit: arrivals.comings[job.unit] for job in here}
    order = scheduling.schedule(here, costs, comings=comings)
    return replace(
        told, loads=Loads(order.loads, sum(comings.values()), order.fewest_loads), order=order
    )


def _priced(roster: Roster, prices: Mapping[str, Price]) -> Roster:
    """The roster with prices where it has none."""
    if not any(expert.price is None and expert.name in prices for expert in roster):
        return roster
    experts = [replace(expert, price=expert.price or prices.get(expert.name)) for expert in roster]
    return replace(roster, experts=tuple(experts))


def _time(told: Forecast, roster: Roster) -> Elapsed | None:
    """How long a run takes in which servers of somebody else take part; else None."""
    works = [
        Work(roster[share.expert], share.load, share.reads, share.output, share.takes)
        for share in told.shares
        if share.load is not None
    ]
    if not works:
        return None
    if told.order is None:
        return elapsed(works, 0.0)
    return elapsed(works, told.order.seconds if told.order.timed else None)


def _keywords(pipeline: Pipeline, questions: Sequence[Question], costs: CostModel) -> list[Job]:
    """The stage before all others, where a model names the skills; else nothing."""
    tag = pipeline.tag
    if tag.kind != "keywords" or tag.model not in pipeline.roster.names:
        return []
    expert = pipeline.roster[tag.model]
    runs = 1 if expert.strategy == "plain" else Elicitation().runs
    letters = sum(len(question.text) + sum(map(len, question.options)) for question in questions)
    requests = runs * len(questions)
    # Nothing is known of how much it writes: the most that it may.
    written = requests * expert.sampling.max_tokens
    return [Job(costs.unit(expert.name), "tag", 0, requests, runs * letters // 4, written)]


def _lengths(pipeline: Pipeline, questions: Sequence[Question]) -> dict[str, Length]:
    """How much experts write: as on the profile, or as recorded for some of the questions."""
    # Spread evenly: files of questions are often in the order of their categories.
    step = max(len(questions) // _SAMPLE, 1)
    wanted = [(question.id, 0) for question in questions[::step]][:_SAMPLE]
    profiled = {} if pipeline.table is None else pipeline.table.lengths
    lengths = {
        expert.name: _as_profiled(profiled[expert.name])
        for expert in pipeline.roster
        if expert.name in profiled
    }
    for expert in pipeline.roster:
        if expert.worker != "recorded":
            continue
        recorded = _as_recorded(pipeline, expert, wanted)
        if recorded is not None:
            before = lengths.get(expert.name, recorded)
            lengths[expert.name] = replace(recorded, per_letter=before.per_letter)
    return lengths


def _as_profiled(told: Lengths) -> Length:
    counted = bool(told.letters) and not told.estimated
    return Length(
        told.output_tokens,
        told.seconds,
        deviation=told.output_sd,
        seen=told.calls,
        per_letter=told.input_tokens / told.letters if counted else None,
    )


def _as_recorded(
    pipeline: Pipeline, expert: Expert, wanted: Sequence[tuple[str, int]]
) -> Length | None:
    """Of some recordings of a recorded expert; None if it has none of them."""
    texts = pipeline.workers.recordings(expert).texts(expert.model, wanted)
    found = [text for text in texts if text is not None]
    if not found:
        return None
    tokens = [
        -(-len(text.output) // 4) if text.completion_tokens is None else text.completion_tokens
        for text in found
    ]
    timed = [text.seconds for text in found if text.seconds is not None]
    seconds = sum(timed) / len(timed) if len(timed) == len(found) else None
    deviation = stdev(tokens) if len(tokens) > 1 else None
    return Length(sum(tokens) / len(tokens), seconds, deviation=deviation, seen=len(tokens))


def _absent(pipeline: Pipeline) -> dict[str, float]:
    """Expert -> share of its profiled answers that were not readable."""
    if pipeline.table is None:
        return {}
    tallies = {name: pipeline.table.tally(name) for name in pipeline.table.experts}
    return {name: each.absent / max(each.seen, 1) for name, each in tallies.items()}
