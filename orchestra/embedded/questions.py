"""Questions for the embedded experts, as many as wanted, and the files they go into.

Knows how exercises become items, what the shipped roster is called and the item format;
does not know what any expert answers.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from random import Random

from orchestra.embedded.curriculum import asked
from orchestra.embedded.exercises import EXERCISES, Exercise, Split, split
from orchestra.errors import InputError
from orchestra.evals import Item
from orchestra.records import LETTERS, Kind, Question
from orchestra.roster import Roster

BENCHMARK = "synthetic-embedded"
"""The benchmark name of these questions."""
LABEL = "synthetic questions, tiny language models trained for them"
"""Stands wherever a figure on these questions is shown."""
TAGGER = "keywords:labeller"
"""The tagger of the shipped roster: its expert that names skills."""

_PATIENCE = 100


def questions(each: int, *, of: Split, seed: int = 0) -> tuple[Item, ...]:
    """Questions on every skill, the same for the same seed; half of them have options.

    Args:
        each: questions for each skill, at least 1; no problem comes twice.
        of: the set that they are of. Problems of two sets never coincide, whatever the seeds,
            and none of `profile` and `test` was ever trained on.
        seed: decides which.

    Raises:
        InputError: there are not that many different problems of a skill.
    """
    return tuple(
        item
        for exercise in EXERCISES.values()
        for item in _on(exercise, each, of, Random(f"{seed}:{of.value}:{exercise.skill}"))
    )


def shipped_roster() -> Path:
    """The roster file of the embedded experts."""
    return Path(str(files("orchestra.embedded") / "roster.yaml"))


def embedded_roster() -> Roster:
    """The embedded experts, run by `worker: local`."""
    return Roster.load(shipped_roster())


def _on(exercise: Exercise, each: int, of: Split, draw: Random) -> list[Item]:
    problems: dict[tuple[int | str, ...], None] = {}
    for _ in range(_PATIENCE * max(each, 10)):
        if len(problems) == each:
            break
        parts = exercise.draw(draw)
        if split(exercise.skill, parts) is of:
            problems.setdefault(parts)
    if len(problems) < each:
        raise InputError(
            f"{exercise.skill} has no {each} different problems of the set `{of.value}`",
            hint=f"{len(problems)} were found; ask for fewer",
        )
    slug = exercise.skill.replace(" ", "-")
    return [
        _item(exercise, parts, f"{of.value}-{slug}-{number:03d}", draw)
        for number, parts in enumerate(problems)
    ]


def _item(exercise: Exercise, parts: tuple[int | str, ...], name: str, draw: Random) -> Item:
    text, options = asked(exercise.skill, parts, draw)
    right = exercise.work(parts).right
    kind = Kind.CHOICE if options else exercise.kind
    question = Question(name, text, options, kind, category=exercise.skill, benchmark=BENCHMARK)
    return Item(question, LETTERS[options.index(right)] if options else right)
