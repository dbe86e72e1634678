"""What a pipeline would do with some questions and what that would take, before any call.

Knows the plans, how often experts gave no answer on the profile, how long recorded
answers are, and which stages open an engine. Asks nobody but the keyword model, where
skills are named by one. Every number but the seats is an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestra import scheduling
from orchestra.pipeline.run import Pipeline
from orchestra.records import Question
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
from orchestra.skills import Elicitation

_SAMPLE = 64
"""Recorded answers whose lengths stand for all of an expert's."""


async def foresee(
    pipeline: Pipeline, questions: Sequence[Question], *, machine: Machine | None = None
) -> Forecast:
    """Plan every question and estimate calls, loads, tokens, money, time and residency.

    Args:
        pipeline: what would be run.
        questions: on what.
        machine: where engines would be loaded; by default one at a time.

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
        pipeline.roster,
        lengths=_lengths(pipeline, questions),
        absent=_absent(pipeline) if pipeline.spec.generate.next_if_absent else {},
        calls=pipeline.spec.generate.calls,
        arrivals=arrivals,
    )
    order = scheduling.schedule([*keywords, *told.jobs], arrivals.costs, comings=arrivals.comings)
    loads = Loads(order.loads, arrivals.comings.total(), order.fewest_loads)
    return replace(told, loads=loads, order=order)


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
    """Mean lengths of the recorded answers to the first questions, for recorded experts."""
    wanted = [(question.id, 0) for question in questions[:_SAMPLE]]
    lengths: dict[str, Length] = {}
    for expert in pipeline.roster:
        if expert.worker != "recorded":
            continue
        texts = pipeline.workers.recordings(expert).texts(expert.model, wanted)
        found = [text for text in texts if text is not None]
        if not found:
            continue
        tokens = [
            -(-len(text.output) // 4) if text.completion_tokens is None else text.completion_tokens
            for text in found
        ]
        timed = [text.seconds for text in found if text.seconds is not None]
        seconds = sum(timed) / len(timed) if len(timed) == len(found) else None
        lengths[expert.name] = Length(sum(tokens) / len(tokens), seconds)
    return lengths


def _absent(pipeline: Pipeline) -> dict[str, float]:
    """Expert -> share of its profiled answers that were not readable."""
    if pipeline.table is None:
        return {}
    tallies = {name: pipeline.table.tally(name) for name in pipeline.table.experts}
    return {name: each.absent / max(each.seen, 1) for name, each in tallies.items()}
