"""What a benchmark's protocol adds to a report: guesses, repeats, parts, the state of its release.

Knows marks and protocols; does not know any benchmark. A letter is drawn only where the official
rule draws one, by the question's id, and never in the headline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from orchestra.evals.benchmarks.benchmark import Exam
from orchestra.evals.items import Dataset, Item
from orchestra.evals.statistics import share_interval
from orchestra.records import Absence, Mark, Outcome
from orchestra.roster import Roster
from orchestra.runs import digest

_UNASKED = (Absence.FAILED, Absence.NOT_RECORDED)
"""Nobody said anything that a letter could be drawn for."""


def exam_of(items: Sequence[Item]) -> Exam | None:
    """The benchmark that the items are of; None: they are of none."""
    return items.exam if isinstance(items, Dataset) else None


def benchmark_of(items: Sequence[Item]) -> str:
    """The name of what the items are of: `gpqa:diamond`, those of a file's column, or `items`."""
    if exam := exam_of(items):
        return exam.benchmark
    return "+".join(sorted({item.question.benchmark for item in items} - {""})) or "items"


def named_protocol(exam: Exam | None) -> str:
    """`official v1 (prompt 1a2b3c4d), `; empty without a protocol."""
    if exam is None or exam.protocol is None:
        return ""
    return f"{exam.protocol.label} (prompt {exam.protocol.digest[:8]}), "


def asked_as(exam: Exam, items: Sequence[Item]) -> str:
    """Stands for the protocol and all prompts, with the examples that they show."""
    prompts = sorted((item.question.id, item.question.prompt) for item in items)
    return digest([exam.protocol.digest if exam.protocol else "", prompts])


def share(items: Sequence[Item], right: Mapping[str, bool]) -> dict[str, Any]:
    """Accuracy with its 95 % interval; repeats of one question are one cluster."""
    if not items:
        return {"accuracy": None, "interval": None}
    values = [right[item.question.id] for item in items]
    interval = share_interval(values, [item.cluster for item in items])
    return {
        "accuracy": round(sum(values) / len(values), 6),
        "interval": [round(interval.low, 6), round(interval.high, 6)],
    }


def examined(
    exam: Exam | None, items: Sequence[Item], marks: Sequence[Mark], *, seed: int
) -> dict[str, Any]:
    """The parts `dataset`, `asked`, `accuracy_with_guesses` and `parts` of `report.json`.

    Args:
        exam: the benchmark; None gives nothing.
        items: those with a mark.
        marks: one of each.
        seed: of the letters that are drawn.
    """
    if exam is None:
        return {}
    right = _right(marks)
    found: dict[str, Any] = {"dataset": dict(exam.release)}
    if protocol := exam.protocol:
        found["asked"] = {
            "protocol": protocol.name,
            "version": protocol.version,
            "digest": protocol.digest,
            "read": protocol.read,
            "guesses": protocol.guesses,
            "repeats": protocol.repeats,
            "sampling": dict(protocol.sampling),
            "questions": len({item.cluster for item in items}),
        }
        if protocol.guesses:
            drawn = _drawn(items, marks, seed)
            found["accuracy_with_guesses"] = {**share(items, right | drawn), "drawn": len(drawn)}
    if exam.parts:
        found["parts"] = {
            name: {"n": len(rows), **share(rows, right)}
            for part, ids in exam.parts.items()
            for name, rows in (
                (part, [item for item in items if item.cluster in ids]),
                (f"not {part}", [item for item in items if item.cluster not in ids]),
            )
        }
    return found


def conventions(told: Mapping[str, Any], n: int) -> Iterator[str]:
    """What `examined` found of n items in sentences, as far as a reader must know it."""
    if guessed := told.get("accuracy_with_guesses"):
        yield (
            f"with {guessed['drawn']} letters drawn where no answer was found, as the official "
            f"rule does: {_percent(guessed)}"
        )
    for name, part in told.get("parts", {}).items():
        if part["n"] and part["n"] < n:
            yield f"{name} (n = {part['n']:,}): {_percent(part)}"
    if told and (repeats := told.get("asked", {}).get("repeats", 1)) > 1:
        yield (
            f"{told['asked']['questions']:,} questions, each asked {repeats} times; intervals "
            "are for questions"
        )
    if told and (state := told["dataset"].get("state")):
        yield f"state of the release: {state}; content {told['dataset']['digest'][:8]}"
    yield from told.get("dataset", {}).get("notes", ())


def departures(exam: Exam | None, roster: Roster, *, read: str) -> Iterator[str]:
    """In what a run was not what the protocol says; `read` is the cascade that it used."""
    protocol = None if exam is None else exam.protocol
    if protocol is None:
        return
    recruits = [roster[name] for name in roster.recruits]
    if any(expert.replayed for expert in recruits):
        yield (
            f"recorded answers are replies to their own prompts: of `{protocol.name}` only the "
            "reading holds for them"
        )
    own = sorted({expert.rule for expert in recruits} - {""})
    if others := [each for each in (read, *own) if each != protocol.read]:
        mine = "`, `".join(others)
        yield f"`{protocol.name}` reads answers by `{protocol.read}`, but `{mine}` read them here"
    prescribed = {**protocol.sampling, **({"system": protocol.system} if protocol.system else {})}
    for name, value in prescribed.items():
        others = [
            each.name
            for each in recruits
            if not each.replayed
            and getattr(each if name == "system" else each.sampling, name) != value
        ]
        if others:
            shown = ", ".join(others[:6]) + (", ..." if len(others) > 6 else "")
            yield f"`{protocol.name}` prescribes {name} {value!r}, which {shown} did not use"


def _right(marks: Sequence[Mark]) -> dict[str, bool]:
    return {mark.question_id: mark.outcome is Outcome.CORRECT for mark in marks}


def _drawn(items: Sequence[Item], marks: Sequence[Mark], seed: int) -> dict[str, bool]:
    """Question id -> whether the letter that is drawn for its absent answer is right."""
    found: dict[str, bool] = {}
    for item, mark in zip(items, marks, strict=True):
        letters = item.question.letters
        if mark.outcome is Outcome.ABSENT and mark.absence not in _UNASKED and letters:
            draw = Random(f"{seed}:guess:{item.question.id}")
            found[item.question.id] = draw.choice(letters) == item.gold
    return found


def _percent(told: Mapping[str, Any]) -> str:
    low, high = (100 * each for each in told["interval"])
    return f"{100 * told['accuracy']:.1f} %, 95 % interval {low:.1f} to {high:.1f} %"
