"""Tiny language models that ship with the package, what they were taught, and a first visit."""

from orchestra.embedded.curriculum import ADAPTERS, TRAINING_SPECS, Adapter, Lesson, TrainingSpec
from orchestra.embedded.demo import PIPELINES, Rehearsal, rehearse
from orchestra.embedded.exercises import EXERCISES, Exercise, Split, Worked, split
from orchestra.embedded.questions import (
    BENCHMARK,
    LABEL,
    TAGGER,
    embedded_roster,
    questions,
    shipped_roster,
)
from orchestra.embedded.recalled import ATTACK, Recalled, recall

__all__ = [
    "ADAPTERS",
    "ATTACK",
    "BENCHMARK",
    "EXERCISES",
    "LABEL",
    "PIPELINES",
    "TAGGER",
    "TRAINING_SPECS",
    "Adapter",
    "Exercise",
    "Lesson",
    "Recalled",
    "Rehearsal",
    "Split",
    "TrainingSpec",
    "Worked",
    "embedded_roster",
    "questions",
    "recall",
    "rehearse",
    "shipped_roster",
    "split",
]
