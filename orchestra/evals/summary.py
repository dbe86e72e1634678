"""From a finished run and its gold answers to `report.json`: honest numbers with intervals.

Knows marks, arms and statistics; does not run anything or draw anything. The same
decisions give the same bytes, but for `seconds`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestra.evals.baselines import Arm
from orchestra.evals.benchmarks.benchmark import Exam
from orchestra.evals.confidence import brier, calibration_error, reliability, risk_coverage
from orchestra.evals.conventions import conventions, examined, share
from orchestra.evals.items import Item, letter_histogram
from orchestra.pipeline import Batch, Synthesise
from orchestra.records import Mark, Outcome, Usage

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Setting:
    """What a report says of the run itself."""

    pipeline: str
    benchmark: str
    protocol: str
    """How questions were asked and answers read and marked."""
    seed: int
    synthesis: Synthesise | None = None
    """How drafts were put together; None: they were not."""
    notes: tuple[str, ...] = ()
    """What a reader should know: estimates, overlaps with the profile, synthetic parts."""
    exam: Exam | None = None
    """The benchmark that the questions are of; None: they are of no benchmark."""


def report(
    setting: Setting,
    batch: Batch,
    items: Sequence[Item],
    marks: Sequence[Mark],
    *,
    arms: Mapping[str, Arm],
    seconds: float,
) -> dict[str, Any]:
    """The content of `report.json` (CONTRACTS, schema 1).

    Args:
        setting: what was run.
        batch: what it decided.
        items: the questions with their gold answers, in the run's order.
        marks: the pipeline's Mark for each item with gold, in order.
        arms: what else could have been done (`Arms`).
        seconds: wall time.
    """
    right = _right(marks)
    marked = [item for item in items if item.question.id in right]
    counts, usage, loads = batch.counts, batch.counts.usage, batch.counts.loads
    return {
        "schema": SCHEMA,
        "pipeline": setting.pipeline,
        "benchmark": setting.benchmark,
        "protocol": setting.protocol,
        "seed": setting.seed,
        "questions": len(batch.questions),
        "n": len(marks),
        **share(marked, right),
        "accuracy_among_answered": _among_answered(marks),
        "absent": _absent(marks),
        "seat_absent": _seat_absent(batch),
        "seats": _seats(batch),
        "by_category": _grouped(items, marks, lambda item, i: [item.question.category]),
        "by_skill": _grouped(
            items, marks, lambda item, i: [skill for skill, _ in batch.briefs[i].skills]
        ),
        "calls": counts.calls,
        "calls_per_question": round(counts.calls / max(len(batch.questions), 1), 4),
        "tokens": {
            **{stage: _tokens(each.usage) for stage, each in counts.stages.items()},
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "estimated": usage.estimated,
        },
        "loads": loads.loads,
        "loads_first_come": loads.first_come,
        "loads_lower_bound": loads.lower_bound,
        "money": round(usage.money, 6),
        "seconds": round(seconds, 3),
        "confidence": _confidence(batch, marks, setting.seed),
        "gold_letters": dict(letter_histogram(items)),
        "arms": {name: arm_data(arm) for name, arm in arms.items()},
        "trust": _trust(batch),
        **_synthesis(batch, setting.synthesis),
        **(told := examined(setting.exam, marked, marks, seed=setting.seed)),
        "notes": [*setting.notes, *conventions(told, len(marked))],
    }


def _trust(batch: Batch) -> dict[str, Any]:
    """Whom the vote did not trust, what is odd, and how many liars answers survive."""
    trust = batch.trust
    told = [ballot.certificate for ballot in batch.ballots if ballot.certificate]
    declared = [each for each in told if each.guaranteed is not None]
    return {
        "suspects": [asdict(each) for each in trust.suspects],
        "clones": [list(group) for group in trust.clones],
        "liars": trust.liars,
        "alarms": list(trust.alarms),
        "disputed": sum(bool(ballot.alarms) for ballot in batch.ballots),
        "certificates": {
            "experts": _histogram(each.experts for each in told),
            "everywhere": _histogram(each.everywhere for each in told),
            "guaranteed": sum(bool(each.guaranteed) for each in declared) if declared else None,
        },
    }


def _histogram(counts: Iterable[int]) -> dict[str, int]:
    return {str(count): number for count, number in sorted(Counter(counts).items())}


def _tokens(usage: Mapping[str, Usage]) -> dict[str, Any]:
    return {
        name: {"input": each.input_tokens, "output": each.output_tokens}
        for name, each in sorted(usage.items())
    }


def _synthesis(batch: Batch, settings: Synthesise | None) -> dict[str, Any]:
    """What became of the drafts, where a model put them together; else nothing at all."""
    if settings is None:
        return {}
    notes = Counter(note for each in batch.conclusions for note in each.notes)
    pairs = list(zip(batch.ballots, batch.decisions, strict=True))
    merged = batch.counts.of("synthesise")
    return {
        "synthesis": {
            "aggregator": settings.aggregator,
            "layers": settings.layers,
            "defence": settings.defence,
            "decide": settings.decide,
            "calls": merged.calls,
            "consultations": sum(each.consultations for each in batch.conclusions),
            "failed": merged.failures,
            "no_answer": sum(each.value is None for each in batch.conclusions),
            "parted": sum(any(d.text for d in each.dropped) for each in batch.conclusions),
            "overruled": sum(voted.winner not in (None, made.value) for voted, made in pairs),
            "notes": dict(sorted(notes.items())),
        }
    }


def _right(marks: Sequence[Mark]) -> dict[str, bool]:
    return {mark.question_id: mark.outcome is Outcome.CORRECT for mark in marks}


def _among_answered(marks: Sequence[Mark]) -> float | None:
    answered = [mark for mark in marks if mark.outcome is not Outcome.ABSENT]
    if not answered:
        return None
    return round(sum(m.outcome is Outcome.CORRECT for m in answered) / len(answered), 6)


def _absent(marks: Sequence[Mark]) -> dict[str, int]:
    reasons = Counter(mark.absence.value for mark in marks if mark.absence is not None)
    return dict(sorted(reasons.items()))


def _seat_absent(batch: Batch) -> dict[str, int]:
    """Why single calls gave no answer, by reason; most are mended by the others."""
    reasons = Counter(
        answer.absence.value
        for row in batch.drafts
        for draft in row
        if (answer := draft.answer).absence is not None
    )
    return dict(sorted(reasons.items()))


def _seats(batch: Batch) -> dict[str, dict[str, int]]:
    """Expert -> how often it was asked, and how often it gave no answer."""
    asked: Counter[str] = Counter()
    absent: Counter[str] = Counter()
    for row in batch.drafts:
        for draft in row:
            asked[draft.expert] += 1
            absent[draft.expert] += draft.value is None
    return {name: {"calls": asked[name], "absent": absent[name]} for name in sorted(asked)}


def _grouped(
    items: Sequence[Item], marks: Sequence[Mark], groups: Callable[[Item, int], Iterable[str]]
) -> dict[str, Any]:
    by_id = _right(marks)
    found: dict[str, list[Item]] = {}
    for i, item in enumerate(items):
        if item.question.id in by_id:
            for name in groups(item, i):
                found.setdefault(name or "none", []).append(item)
    return {name: {"n": len(row), **share(row, by_id)} for name, row in sorted(found.items())}


def _confidence(batch: Batch, marks: Sequence[Mark], seed: int) -> dict[str, Any]:
    by_id = _right(marks)
    told = [
        (decision.confidence, by_id[decision.question_id])
        for decision in batch.decisions
        if decision.confidence is not None and decision.question_id in by_id
    ]
    shares, right = [c for c, _ in told], [float(r) for _, r in told]
    return {
        "n": len(told),
        **_calibration(shares, right, seed),
        "abstained": sum(each.value is None for each in batch.decisions),
        "fitted_on": batch.calibration.pairs if batch.calibration else 0,
    }


def _calibration(shares: Sequence[float], right: Sequence[float], seed: int) -> dict[str, Any]:
    """How far confidences are what they say, and what the more confident answers are worth."""
    error, score = calibration_error(shares, right, seed=seed), brier(shares, right)
    risk = risk_coverage(shares, right)
    return {
        "ece": None if error is None else round(error.value, 6),
        "ece_debiased": None if error is None else round(error.debiased, 6),
        "ece_interval": None if error is None else error.interval.rounded(),
        "brier": None if score is None else round(score.value, 6),
        "brier_interval": None if score is None else score.interval.rounded(),
        "reliability": [
            {
                "low": each.low,
                "high": each.high,
                "n": each.n,
                "confidence": round(each.confidence, 6),
                "accuracy": round(each.accuracy, 6),
                "interval": each.interval.rounded(),
            }
            for each in reliability(shares, right)
        ],
        "risk_coverage": None
        if risk is None
        else {
            "area": risk.area.rounded(),
            "excess": round(risk.excess, 6),
            "random": round(risk.random, 6),
            "points": [
                {
                    "coverage": round(each.coverage, 6),
                    "n": each.n,
                    "accuracy": round(each.accuracy, 6),
                    "interval": each.interval.rounded(),
                }
                for each in risk.points
            ],
        },
    }


def arm_data(arm: Arm) -> dict[str, Any]:
    """An arm as plain data."""
    return {
        "accuracy": arm.accuracy,
        "interval": arm.interval.rounded(),
        "calls_per_question": arm.calls_per_question,
        "tokens": arm.tokens,
    }
