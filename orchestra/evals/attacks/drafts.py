"""Answers with lies in them, without a worker or a run: for sweeps over voting rules.

Knows what liars would have written and how it is read; does not vote. What it returns is what a
pipeline around `Infiltrated` would have read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestra.answers import read
from orchestra.evals.attacks.lies import Lie, Lies
from orchestra.evals.attacks.templates import write
from orchestra.records import Answer, Generation, Seat


def lying_answers(
    answers: Mapping[str, Mapping[Seat, Answer]], lies: Lies, *, cascade: str = "stated"
) -> dict[str, dict[Seat, Answer]]:
    """Honest answers (question id -> seat -> answer) with what the liars say in place of theirs.

    An attack on the aggregator changes no answer.

    Args:
        answers: what was drafted honestly.
        lies: who plants what.
        cascade: how the liars' texts are read.

    Raises:
        InputError: the cascade is unknown.
    """
    if lies.attack.role != "answer":
        return {question_id: dict(row) for question_id, row in answers.items()}
    return {
        question_id: {
            seat: _answer(seat, answer, lies.of(question_id, seat.expert), lies, cascade)
            for seat, answer in row.items()
        }
        for question_id, row in answers.items()
    }


def _answer(seat: Seat, honest: Answer, lie: Lie | None, lies: Lies, cascade: str) -> Answer:
    if lie is None:
        return honest
    turn = lies.turn(seat.expert, seat.sample)
    text = write(lie, lies.attack.style, seed=lies.seed, turn=turn)
    said = Generation("", lie.question.id, seat.expert, text, sample=seat.sample)
    return replace(read(lie.question, said, cascade=cascade), instead_of=honest.instead_of)
