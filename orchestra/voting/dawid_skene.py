"""One-coin Dawid-Skene: accuracies and answers, estimated from the votes of a batch by EM.

Pure and without random draws; sums are taken over a fixed grid, where they do not depend on the
order. The method trusts the experts that agree most, a block of colluders too; the caller
decides whether to trust the method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestra.skills.estimation import Floats

Codes = NDArray[np.int64]
"""Answers as whole numbers: each question numbers its own values 0, 1, ...; see `NO_ANSWER`."""

NO_ANSWER = -1
"""In `codes`: the expert gave no answer, or was not asked."""
NOT_KNOWN = -1
"""In `gold`: the right answer is not known."""
NONE_RIGHT = -2
"""In `gold`: known, and no given answer is right."""

_WEAK_RIGHT, _WEAK_SEEN = 1.2, 2.0
"""The prior of an unknown expert: worth two questions, mean 0.6, above chance for any number of
options, so that the first vote is a majority vote."""
_GRID = 2.0**40
"""Steps to the unit of `on_grid`; 2^13 units of these fill the 53 bits of a float."""


@dataclass(frozen=True, slots=True)
class OneCoin:
    """The estimates of one-coin Dawid-Skene for a batch."""

    accuracy: Floats
    """Expected share right of each expert, in (0, 1). Below 1 / K where its answers are
    evidence against themselves: its log-odds ln((K - 1) p / (1 - p)) are then negative, and are
    used as such. For an expert that did not vote, the mean of its prior."""
    posterior: Floats
    """Probability that each code is right, shape (questions, most codes). A row adds up to at most
    1: the rest belongs to answers without a vote. 0 for codes without a vote; rows with gold are
    one-hot, or all 0 where no given answer is right."""
    rounds: int
    """EM rounds taken; the maximum if EM did not converge."""


@dataclass(frozen=True, slots=True)
class _Votes:
    """The votes as a list, with the index of each one's cell in a (questions, codes) table."""

    expert: Codes
    question: Codes
    cell: Codes
    shape: tuple[int, int]

    def table(self, weights: Floats) -> Floats:
        """The weights of all votes for each code of each question, added up."""
        flat = np.bincount(self.cell, weights, minlength=self.shape[0] * self.shape[1])
        return flat.reshape(self.shape).astype(np.float64)  # without any votes they are counts


def possible_answers(codes: Codes, sizes: Floats) -> Floats:
    """Number of possible answers of each question: its size, but no fewer than were given.

    Never between 1 and 2: where more than one answer is possible, at least two are. 1 where only
    one is: such a question is no evidence about any expert.
    """
    ordered = np.sort(codes, axis=0)
    fresh = np.ones_like(ordered, dtype=np.bool_)
    fresh[1:] = ordered[1:] != ordered[:-1]
    given = (fresh & (ordered >= 0)).sum(axis=0)
    most = np.maximum(sizes, given)
    return np.where(most > 1, np.maximum(most, 2.0), 1.0)


def on_grid(values: Floats) -> Floats:
    """Rounded to multiples of 2^-40 (1e-12): sums up to 8,000 are exact, the same in any order."""
    return np.round(values * _GRID) / _GRID


def one_coin(
    codes: Codes,
    sizes: Floats,
    *,
    right: Floats,
    seen: Floats,
    gold: Codes | None = None,
    rounds: int = 100,
    tolerance: float = 1e-6,
) -> OneCoin:
    """One-coin Dawid-Skene by EM, with Beta priors and anchors (Dawid and Skene 1979).

    An expert is right with one probability on every question; where it errs it gives each of the
    K - 1 wrong answers with equal probability. Experts err independently; colluders, which do
    not, are trusted. EM starts with the vote weighted by the prior, and converges to the most
    likely accuracies near there.

    Args:
        codes: shape (experts, questions), `NO_ANSWER` where there is none.
        sizes: how many answers are possible, shape (questions,); need not be whole (for open
            questions 1 + the effective number of wrong answers). See `possible_answers`.
        right: pseudo-counts of right answers known beforehand, shape (experts,), from 0 to `seen`.
        seen: the number of their questions. Scale both to trust a profile less. A weak prior of two
            questions with mean 0.6 is added to both.
        gold: the code of the right answer of each question, `NOT_KNOWN` or `NONE_RIGHT`.
        rounds: the most EM rounds; with 0 the result is the vote weighted by the prior.
        tolerance: EM has converged once no accuracy changes by this much.
    """
    known = np.full(codes.shape[1], NOT_KNOWN) if gold is None else gold
    answers = possible_answers(codes, sizes)
    votes = _votes(codes, known)
    # All experts are right where only one answer is possible; that is no evidence.
    telling = ((answers > 1) | (known != NOT_KNOWN))[votes.question].astype(np.float64)
    hits, tries = right + _WEAK_RIGHT, seen + _WEAK_SEEN
    total = tries + np.bincount(votes.expert, telling, minlength=len(codes))
    accuracy = hits / tries
    posterior = _posterior(votes, accuracy, answers, known)
    done, step = 0, np.inf
    while done < rounds and step >= tolerance:
        credit = posterior.ravel()[votes.cell] * telling
        moved = (hits + np.bincount(votes.expert, credit, minlength=len(codes))) / total
        step = float(np.abs(moved - accuracy).max(initial=0.0))
        accuracy, done = moved, done + 1
        posterior = _posterior(votes, accuracy, answers, known)
    return OneCoin(accuracy, posterior, done)


def _votes(codes: Codes, gold: Codes) -> _Votes:
    width = 1 + max(int(codes.max(initial=0)), int(gold.max(initial=0)))
    expert, question = np.nonzero(codes >= 0)
    cell = question * width + codes[expert, question]
    return _Votes(expert, question, cell, (codes.shape[1], width))


def _posterior(votes: _Votes, accuracy: Floats, answers: Floats, gold: Codes) -> Floats:
    """The E-step: the probability of each given code, relative to codes without a vote (odds 1)."""
    merit = on_grid(np.log(accuracy / (1 - accuracy)))
    rivals = on_grid(np.log(np.maximum(answers - 1, 1)))
    score = votes.table(merit[votes.expert] + rivals[votes.question])
    given = votes.table(np.ones(len(votes.cell))) > 0
    unnamed = answers - given.sum(axis=1)
    silent = np.where(unnamed > 0, 0.0, -np.inf)
    top = np.maximum(score.max(axis=1, where=given, initial=-np.inf), silent)
    odds = on_grid(np.exp(np.where(given, score, -np.inf) - top[:, None]))
    rest = unnamed * np.exp(silent - top)
    posterior = on_grid(odds / (odds.sum(axis=1) + rest)[:, None])
    posterior[gold != NOT_KNOWN] = 0.0
    anchored = np.flatnonzero(gold >= 0)
    posterior[anchored, gold[anchored]] = 1.0
    return posterior
