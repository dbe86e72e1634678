"""Simulated panels for the tests of this folder: experts of known skill, some of them liars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestra.records import LETTERS, Answer, Plan, Seat
from orchestra.voting import LabelledVotes, QuestionVotes, VoterContext

Said = NDArray[np.int64]
"""Options, shape (experts, questions); -1 for no answer."""
Lying = Callable[[Said, NDArray[np.int64], np.random.Generator], Said]
"""(what honest experts say, the right options, a generator) -> what one liar says."""


@dataclass(frozen=True)
class World:
    """Questions with four options; errors follow a popular wrong answer half of the time."""

    skills: tuple[float, ...]
    """Share right of each expert."""
    absent: float = 0.05
    follow: float = 0.5
    options: int = 4

    def said(self, gold: NDArray[np.int64], draw: np.random.Generator) -> Said:
        """Honest answers; a question is as hard for one expert as for another."""
        n = len(gold)
        hard = draw.normal(0, 1, n)
        popular = (gold + draw.integers(1, self.options, n)) % self.options
        rows = []
        for skill in self.skills:
            odds = np.log(skill / (1 - skill)) * 1.3 - 1.3 * hard
            right = draw.random(n) < 1 / (1 + np.exp(-odds))
            other = (gold + draw.integers(1, self.options, n)) % self.options
            wrong = np.where(draw.random(n) < self.follow, popular, other)
            answer = np.where(right, gold, wrong)
            rows.append(np.where(draw.random(n) < self.absent, -1, answer))
        return np.array(rows, dtype=np.int64)


@dataclass(frozen=True)
class Batch:
    """What a voter is given, and what is right."""

    polls: tuple[QuestionVotes, ...]
    evidence: VoterContext
    gold: tuple[str, ...]

    def accuracy(self, winners: Sequence[str | None]) -> float:
        """Percent right."""
        return 100 * float(np.mean([w == g for w, g in zip(winners, self.gold, strict=True)]))


def simulate(
    world: World,
    *,
    seed: int,
    liars: Sequence[int] = (),
    lie: Lying | None = None,
    profiled: int = 300,
    asked: int = 600,
    asleep: bool = True,
    rate: float = 1.0,
) -> Batch:
    """A batch with its profile; liars lie in the batch, and on the profile unless `asleep`.

    They lie on that share of the questions, the same for all of them.
    """
    draw = np.random.default_rng(seed)
    parts = []
    for count, lying in ((profiled, not asleep), (asked, True)):
        gold = draw.integers(0, world.options, count)
        said = world.said(gold, draw)
        if lie is not None and lying:
            honest = np.delete(said, list(liars), axis=0)
            struck = draw.random(count) < rate if rate < 1 else np.ones(count, dtype=bool)
            for liar in liars:
                said[liar] = np.where(struck, lie(honest, gold, draw), said[liar])
        parts.append((gold, said))
    (known_gold, known_said), (gold, said) = parts
    right = ((known_said == known_gold) & (known_said >= 0)).sum(axis=1) + 1
    shares = right / ((known_said >= 0).sum(axis=1) + 2)
    known = [
        LabelledVotes(
            poll,
            frozenset({LETTERS[g]} & {a.value for a in poll.answers.values() if a.value}),
            1 / world.options,
        )
        for poll, g in zip(polls("p", known_said, shares, world), known_gold, strict=True)
    ]
    return Batch(
        tuple(polls("q", said, shares, world)),
        VoterContext(tuple(known)),
        tuple(LETTERS[g] for g in gold),
    )


def polls(name: str, said: Said, shares: NDArray[np.float64], world: World) -> list[QuestionVotes]:
    """One poll for each column."""
    seats = tuple(
        Seat(f"e{i}", 1.0, "by hand", accuracy=float(share)) for i, share in enumerate(shares)
    )
    made = []
    for question, column in enumerate(said.T.tolist()):
        plan = Plan(f"{name}{question}", seats, "by hand", 0, rivals=world.options - 1.0)
        answers = {
            seat: Answer(plan.question_id, seat.expert, LETTERS[code] if code >= 0 else None)
            for seat, code in zip(seats, column, strict=True)
        }
        made.append(QuestionVotes(plan, answers))
    return made


def popular_wrong(honest: Said, gold: NDArray[np.int64], draw: np.random.Generator) -> Said:
    """What colluders say: the wrong answer that most honest experts give."""
    counts = np.stack([(honest == option).sum(axis=0) for option in range(4)], axis=1).astype(float)
    counts[np.arange(len(gold)), gold] = -1
    return np.asarray(counts.argmax(axis=1))


def any_wrong(honest: Said, gold: NDArray[np.int64], draw: np.random.Generator) -> Said:
    """Independent wrong answers."""
    return np.asarray((gold + draw.integers(1, 4, len(gold))) % 4)


def mimicry(honest: Said, gold: NDArray[np.int64], draw: np.random.Generator) -> Said:
    """Lies only where fewer than two thirds of the honest agree; else says what they say."""
    counts = np.stack([(honest == option).sum(axis=0) for option in range(4)], axis=1)
    united = counts.max(axis=1) * 3 >= 2 * np.maximum((honest >= 0).sum(axis=0), 1)
    return np.where(united, counts.argmax(axis=1), popular_wrong(honest, gold, draw))
