"""What a pipeline would do with some questions and what that would take, before any call.

Knows the plans, how often experts gave no answer on the profile and how much they wrote
there, how long recorded answers are, and which stages open an engine. Asks nobody but the
keyword model, where skills are named by one. Every number but the seats is an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import stdev
from typing import TYPE_CHECKING

from orchestra import scheduling
from orchestra.pipeline.batch import Batch
from orchestra.pipeline.stage import CallEstimate
from orchestra.pipeline.stages.generate import possible_reserves
from orchestra.pipeline.stages.tag import Tag, elicitation
from orchestra.records import Question
from orchestra.roster import Expert, Price, Roster
from orchestra.runs import Account
from orchestra.scheduling import (
    Arrivals,
    Asked,
    CostModel,
    Forecast,
    Job,
    Length,
    Loads,
    Machine,
    Share,
    forecast,
    share_of,
)
from orchestra.scheduling.rate_limits import Elapsed, Work, in_turn
from orchestra.skills.lengths import Lengths
from orchestra.workers.hosted.open import price_of

if TYPE_CHECKING:
    from orchestra.pipeline.pipeline import Pipeline

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
        BudgetExhausted: the pipeline's budget does not pay for naming the skills.
    """
    with Account.open(None, pipeline.spec.budget) as account:
        briefs = await pipeline.brief(questions, account=account)
    plans = tuple(pipeline.plan(briefs))
    batch = replace(Batch.of(questions), briefs=tuple(briefs), plans=plans)
    return forecast_batch(pipeline, batch, machine=machine, prices=prices)


def forecast_batch(
    pipeline: Pipeline,
    batch: Batch,
    *,
    machine: Machine | None = None,
    prices: Mapping[str, Price] | None = None,
) -> Forecast:
    """The same for a batch that has its plans; a run carries out the order that this gives.

    Raises:
        InputError: see `foresee`.
    """
    plans, questions = batch.plans, batch.questions
    arrivals = Arrivals(CostModel.of(pipeline.roster, machine))
    roster = _priced(pipeline.roster, _known(pipeline.roster) if prices is None else prices)
    lengths = _lengths(pipeline, questions)
    tag = _tag(pipeline.tag, roster, questions, lengths)
    named = [] if tag is None else [_named(tag, arrivals.costs)]
    for job in named:
        arrivals.call(job.unit)
    told = forecast(
        plans,
        {question.id: question for question in questions},
        roster,
        lengths=lengths,
        absent=_absent(pipeline) if pipeline.spec.generate.next_if_absent else {},
        calls=pipeline.spec.generate.calls,
        arrivals=arrivals,
    )
    labels = [label for label, _ in pipeline.stages]
    late = possible_reserves(plans, pipeline.spec.generate)
    seats = sorted(
        [replace(job, phase=_position(labels, "generate")) for job in told.jobs],
        key=lambda job: sum(late[name] for name in arrivals.costs.experts(job.unit)),
    )
    later, more = _later(pipeline, batch, roster, lengths, arrivals.costs)
    for job in more:
        arrivals.call(job.unit)
    told = _ordered(replace(told, tag=tag, later=later), [*named, *seats, *more], arrivals)
    return replace(told, time=_time(told, pipeline.roster))


def _later(
    pipeline: Pipeline,
    batch: Batch,
    roster: Roster,
    lengths: Mapping[str, Length],
    costs: CostModel,
) -> tuple[tuple[Share, ...], list[Job]]:
    """The calls of all stages but the tagger and the first that generates: shares and jobs."""
    shares: list[Share] = []
    jobs: dict[tuple[str, str, int, int], Job] = {}
    for position, (label, stage) in enumerate(pipeline.stages):
        if label in ("tag", "generate") or not hasattr(stage, "forecast"):
            continue
        groups: dict[tuple[str, str], list[CallEstimate]] = {}
        for each in stage.forecast(batch, roster, lengths):
            groups.setdefault((each.expert, each.stage), []).append(each)
        for (name, asks), row in groups.items():
            expert = roster[name]
            calls, letters = sum(e.calls for e in row), sum(e.letters for e in row)
            usual = lengths.get(name, Length(expert.sampling.max_tokens, known=False))
            share = share_of(expert, usual, Asked(calls, letters, expert.sampling.max_tokens))
            shares.append(share)
            for e in row:
                unit, part = costs.unit(name), e.calls / calls
                key = (unit, label if label.endswith("]") else asks, e.layer, e.round)
                job = jobs.get(key, Job(*key[:3], round=e.round, phase=position))
                jobs[key] = replace(
                    job,
                    requests=job.requests + e.calls,
                    input_tokens=job.input_tokens + share.input_tokens * part,
                    output_tokens=job.output_tokens + share.output_tokens * part,
                )
    return tuple(shares), list(jobs.values())


def _position(labels: Sequence[str], label: str) -> int:
    """Where a stage stands; a pipeline without it has no jobs of it."""
    return labels.index(label) if label in labels else 0


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
    first = [] if told.tag is None else _works([told.tag], roster)
    then = _works([*told.shares, *told.later], roster)
    if not first and not then:
        return None
    if told.order is None:
        return in_turn(first, then, 0.0)
    return in_turn(first, then, told.order.seconds if told.order.timed else None)


def _works(shares: Iterable[Share], roster: Roster) -> list[Work]:
    """What servers of somebody else are sent."""
    return [
        Work(roster[share.expert], share.load, share.reads, share.output, share.takes)
        for share in shares
        if share.load is not None
    ]


def _tag(
    tag: Tag, roster: Roster, questions: Sequence[Question], lengths: Mapping[str, Length]
) -> Share | None:
    """The keyword model's part, before all others; None where none names the skills."""
    if tag.kind != "keywords" or tag.model not in roster.names:
        return None
    expert = roster[tag.model]
    way = elicitation(expert)
    letters = sum(len(each.content) for question in questions for each in way.messages(question))
    most = way.sampling.max_tokens
    usual = Length(most, known=False)
    if expert.name in lengths:
        # The profile has its answers, not its keywords: no deviation can be told from them.
        known = lengths[expert.name]
        usual = replace(known, tokens=min(known.tokens, most), deviation=None)
    return share_of(expert, usual, Asked(way.runs * len(questions), way.runs * letters, most))


def _named(tag: Share, costs: CostModel) -> Job:
    """The stage before all others, where a model names the skills."""
    unit = costs.unit(tag.expert)
    return Job(unit, "tag", 0, tag.seats, tag.input_tokens, tag.output_tokens, phase=0)


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
        if not expert.replayed:
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
    found = [text for text in texts if text is not None and not text.answer_only]
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
