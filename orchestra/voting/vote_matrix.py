"""The votes of a batch as arrays: experts by questions.

Of an expert that was asked several times for one question, the first draw counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from orchestra.skills.estimation import Floats
from orchestra.voting.dawid_skene import NO_ANSWER, NONE_RIGHT, Codes
from orchestra.voting.voter import LabelledVotes, QuestionVotes
from orchestra.voting.weighted import accuracy, rivals

Flags = NDArray[np.bool_]
LEAST = 0.01
"""Least weight of a vote, unless its expert is a suspect."""
_TIE = 1e-9


@dataclass(frozen=True)
class Panel:
    """The answers of all experts to every question of a batch."""

    experts: tuple[str, ...]
    codes: Codes
    """Shape (experts, questions): equal numbers are equal answers of one question, `NO_ANSWER`
    where there is none."""
    expected: Floats
    """Expected share right of each seat, same shape; NaN where not asked."""
    rivals: Floats
    """Wrong answers that errors spread over, shape (questions,), at least 1."""
    values: tuple[tuple[str, ...], ...]
    """The answers of each question, by code."""

    @classmethod
    def of(cls, polls: Sequence[QuestionVotes], experts: Sequence[str] = ()) -> Panel:
        """The arrays of these questions.

        Args:
            polls: the questions.
            experts: the rows, in order; by default all that were asked, by name.
        """
        names = tuple(experts) or everybody(polls)
        row = {name: i for i, name in enumerate(names)}
        codes = np.full((len(names), len(polls)), NO_ANSWER, dtype=np.int64)
        expected = np.full((len(names), len(polls)), np.nan)
        values = []
        for column, poll in enumerate(polls):
            first: dict[str, tuple[int, str | None, float]] = {}
            for seat in poll.asked:
                told = (seat.sample, poll.answers[seat].value, accuracy(seat))
                if seat.expert in row and seat.sample <= first.get(seat.expert, told)[0]:
                    first[seat.expert] = told
            said = sorted({value for _, value, _ in first.values() if value is not None})
            place = {value: i for i, value in enumerate(said)}
            for name, (_, value, share) in first.items():
                expected[row[name], column] = share
                if value is not None:
                    codes[row[name], column] = place[value]
            values.append(tuple(said))
        spread = np.array([rivals(poll) for poll in polls], dtype=np.float64)
        return cls(names, codes, expected, spread, tuple(values))

    @property
    def questions(self) -> int:
        """The number of questions."""
        return int(self.codes.shape[1])

    @cached_property
    def given(self) -> Flags:
        """True where there is an answer, shape (experts, questions)."""
        return np.asarray(self.codes != NO_ANSWER)

    @cached_property
    def width(self) -> int:
        """The largest number of different answers to a question, at least 1."""
        return int(self.codes.max(initial=0)) + 1

    def part(self, questions: Flags | NDArray[np.int64]) -> Panel:
        """The same experts on some of the questions."""
        places = np.arange(self.questions)[questions].tolist()
        return Panel(
            self.experts,
            self.codes[:, questions],
            self.expected[:, questions],
            self.rivals[questions],
            tuple(self.values[i] for i in places),
        )

    def tally(self, weights: Floats) -> Floats:
        """Weight of each answer, shape (questions, width).

        Args:
            weights: of each expert, shape (experts,), or of each vote, (experts, questions).
        """
        each = weights if weights.ndim == 2 else np.repeat(weights[:, None], self.questions, axis=1)
        who, question = np.nonzero(self.given)
        cells = question * self.width + self.codes[who, question]
        flat = np.bincount(cells, each[who, question], minlength=self.questions * self.width)
        return np.asarray(flat, dtype=np.float64).reshape(self.questions, self.width)

    def winners(self, weights: Floats) -> Codes:
        """The code with the most weight in each question, `NO_ANSWER` where none has any."""
        tally = self.tally(weights)
        return np.where(tally.max(axis=1) > _TIE, tally.argmax(axis=1), NO_ANSWER)

    def top_share(self, weights: Floats) -> Floats:
        """Share of the weight cast that the leading answer has, in [0, 1]; 1 for no votes."""
        tally = self.tally(weights)
        cast = tally.sum(axis=1)
        return np.where(cast > _TIE, tally.max(axis=1) / np.maximum(cast, _TIE), 1.0)


def vote_weights(share: Floats, rivals: Floats) -> Floats:
    """Log-odds ln(r p / (1 - p)) of shares right, at least `LEAST`; NaN where the share is.

    `skills.estimation.log_odds` for whole panels.

    Args:
        share: p, shape (experts, questions).
        rivals: r, shape (questions,).
    """
    safe = np.clip(share, 0.001, 0.999)
    return np.asarray(np.maximum(np.log(np.maximum(rivals, 1.0) * safe / (1 - safe)), LEAST))


def everybody(polls: Sequence[QuestionVotes]) -> tuple[str, ...]:
    """The names of all experts that were asked, sorted."""
    return tuple(sorted({seat.expert for poll in polls for seat in poll.answers}))


def right_codes(panel: Panel, known: Sequence[LabelledVotes]) -> Codes:
    """The code of each known question's right answer; `NONE_RIGHT` where no expert gave it."""
    found = [
        next((code for code, value in enumerate(values) if value in each.right), NONE_RIGHT)
        for values, each in zip(panel.values, known, strict=True)
    ]
    return np.array(found, dtype=np.int64)


_FOLDS = 10


def folded(ids: Sequence[str], past: int = 0) -> Codes:
    """Which of at most ten folds each question is in: by a digest of its id, in equal parts.

    Fewer than ten questions are a fold each.

    Args:
        ids: the batch's questions.
        past: the number of earlier questions before them; these are in no fold: -1.
    """
    digests = [blake2b(each.encode(), digest_size=8).digest() for each in ids]
    order = sorted(range(len(ids)), key=lambda i: (digests[i], i))
    found = np.full(past + len(ids), -1, dtype=np.int64)
    found[past + np.array(order, dtype=np.int64)] = np.arange(len(ids)) % _FOLDS
    return found
