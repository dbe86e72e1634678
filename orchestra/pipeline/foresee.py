"""What a pipeline would do with some questions and what that would take, before any call.

Knows the plans, how often experts gave no answer on the profile, and how long recorded
answers are; asks nobody. Every number but the seats is an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestra.pipeline.run import Pipeline
from orchestra.records import Question
from orchestra.scheduling import Forecast, Length, forecast

_SAMPLE = 64
"""Recorded answers whose lengths stand for all of an expert's."""


async def foresee(pipeline: Pipeline, questions: Sequence[Question]) -> Forecast:
    """Plan every question and estimate calls, loads, tokens, money and time.

    Raises:
        InputError: a recording can no longer be read.
    """
    plans = pipeline.plan(await pipeline.brief(questions))
    return forecast(
        plans,
        {question.id: question for question in questions},
        pipeline.roster,
        lengths=_lengths(pipeline, questions),
        absent=_absent(pipeline) if pipeline.spec.generate.next_if_absent else {},
        calls=pipeline.spec.generate.calls,
    )


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
