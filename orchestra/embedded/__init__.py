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

__all__ = [
    "ADAPTERS",
    "BENCHMARK",
    "EXERCISES",
    "LABEL",
    "PIPELINES",
    "TAGGER",
    "TRAINING_SPECS",
    "Adapter",
    "Exercise",
    "Lesson",
    "Rehearsal",
    "Split",
    "TrainingSpec",
    "Worked",
    "embedded_roster",
    "questions",
    "rehearse",
    "shipped_roster",
    "split",
]
