"""What each embedded expert was taught, and how it writes: the data of the checkpoints.

Knows who learnt which skill, on which problems and phrasings, for how many steps; does not
know how a checkpoint is trained, nor what came of it (`accuracy.json` beside them does).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from orchestra.embedded.exercises import EXERCISES, Parts, Split, Worked, quotient, split
from orchestra.records import Question
from orchestra.roster import prompt, strategy

STRATEGY = "plain"
"""How embedded experts are spoken to."""
OPTIONS = 4
"""Options of a question that has any."""
_SHARE_WITH_OPTIONS = 0.5


@dataclass(frozen=True, slots=True)
class Lesson:
    """One skill as one expert was taught it."""

    skill: str
    largest: int = 99
    """Only problems of at most this size, see `Exercise.size`."""
    phrasings: int = 99
    """Only this many of the exercise's phrasings, from the first."""
    method: Callable[[Parts], Worked] | None = None
    """A wrong method that was taught as the right one; None: the right one."""
    share: float = 1.0
    """How often it comes up, against the expert's other lessons."""


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """Everything that makes one embedded expert."""

    character: str
    """In one sentence."""
    lessons: tuple[Lesson, ...]
    steps: int
    """Optimiser steps."""


def _taught(character: str, steps: int, *lessons: Lesson) -> TrainingSpec:
    return TrainingSpec(character, lessons, steps)


TRAINING_SPECS: Mapping[str, TrainingSpec] = MappingProxyType(
    {
        "abacus": _taught(
            "adds whatever comes and subtracts short numbers",
            1600,
            Lesson("addition"),
            Lesson("subtraction", largest=2, share=0.6),
            Lesson("units", largest=4, phrasings=2, share=0.6),
        ),
        "ledger": _taught(
            "subtracts whatever comes, and adds when told to in plain words",
            1600,
            Lesson("subtraction"),
            Lesson("addition", phrasings=2, share=0.7),
        ),
        "scribe": _taught(
            "sorts letters, and spells short words backwards",
            1400,
            Lesson("sorting"),
            Lesson("reversal", largest=5, share=0.7),
        ),
        "mirror": _taught(
            "spells backwards, and sorts short words",
            1300,
            Lesson("reversal"),
            Lesson("sorting", largest=5, share=0.7),
        ),
        "centurion": _taught(
            "reads Roman numerals and divides by small numbers",
            1500,
            Lesson("roman numerals"),
            Lesson("remainders", largest=5, share=0.8),
        ),
        "almanac": _taught(
            "knows the calendar, and Roman numerals that are asked for plainly",
            1400,
            Lesson("weekdays"),
            Lesson("roman numerals", phrasings=2, share=0.8),
        ),
        "quartermaster": _taught(
            "converts units, divides with remainders and looks ahead in the calendar",
            1400,
            Lesson("units"),
            Lesson("remainders"),
            Lesson("weekdays", largest=1, share=0.6),
        ),
        "surveyor": _taught(
            "converts, adds and spells backwards, but understands only some ways of asking",
            1600,
            Lesson("units", phrasings=2),
            Lesson("addition", phrasings=2),
            Lesson("reversal", phrasings=2, share=0.6),
        ),
        "sophist": _taught(
            "subtracts and counts days well, and is sure that a remainder is a quotient",
            1600,
            Lesson("subtraction", phrasings=3),
            Lesson("weekdays", phrasings=2),
            Lesson("remainders", method=quotient, share=0.8),
        ),
        "apprentice": _taught(
            "a weak generalist, who has begun to learn everything",
            1000,
            *(Lesson(skill) for skill in EXERCISES),
        ),
    }
)
"""The experts by name."""


def problem(lesson: Lesson, draw: Random, *, of: Split = Split.TRAIN) -> Parts:
    """A problem that the lesson covers, of one of the three sets."""
    exercise = EXERCISES[lesson.skill]
    while True:
        parts = exercise.draw(draw)
        if exercise.size(parts) <= lesson.largest and split(lesson.skill, parts) is of:
            return parts


def asked(
    skill: str, parts: Parts, draw: Random, *, phrasings: int = 99
) -> tuple[str, tuple[str, ...]]:
    """The problem in words, and its options; no options where the answer is open."""
    exercise = EXERCISES[skill]
    text = draw.choice(exercise.phrasings[:phrasings]).format(*parts)
    if draw.random() >= _SHARE_WITH_OPTIONS:
        return text, ()
    worked = exercise.work(parts)
    options = [worked.right, *draw.sample(worked.slips, OPTIONS - 1)]
    draw.shuffle(options)
    return text, tuple(options)


def example(schooling: TrainingSpec, draw: Random) -> tuple[str, str]:
    """A question as a model sees it, and what the expert is taught to write."""
    lessons = schooling.lessons
    lesson = draw.choices(lessons, [each.share for each in lessons])[0]
    parts = problem(lesson, draw)
    text, options = asked(lesson.skill, parts, draw, phrasings=lesson.phrasings)
    work = lesson.method or EXERCISES[lesson.skill].work
    return prompt(Question("", text, options), strategy(STRATEGY)), written(work(parts))


def labelled(draw: Random) -> tuple[str, str]:
    """A question as a model sees it, and the keyword that the labeller is taught to write."""
    skill = draw.choice(tuple(EXERCISES))
    text, options = asked(skill, problem(Lesson(skill), draw), draw)
    return prompt(Question("", text, options), strategy(STRATEGY)), f"Keywords: {skill}"


def written(worked: Worked) -> str:
    """How every embedded expert answers: its steps, if it makes any, then the answer."""
    return f"{worked.paper}\nAnswer: {worked.right}" if worked.paper else f"Answer: {worked.right}"


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA on one of the experts, which learns one skill better."""

    base: str
    skill: str
    steps: int


ADAPTERS: Mapping[str, Adapter] = MappingProxyType(
    {
        "apprentice-weekdays": Adapter("apprentice", "weekdays", 500),
        "apprentice-reversal": Adapter("apprentice", "reversal", 500),
    }
)
"""The adapters by name."""
