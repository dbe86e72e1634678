"""Accuracy of experts where the panel is split, since votes decide only there.

Estimated from the profiled questions. An expert that is right wherever all agree and wrong
wherever they do not has a good record and a worthless vote, whether it is a liar or merely
average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestra.skills.estimation import Floats, log_odds
from orchestra.voting.dawid_skene import Codes
from orchestra.voting.vote_matrix import Flags, Panel

_SPLIT = 0.65
"""A panel is split where its leading answer has less of the weight than this."""
_DOUBT = 2.0
"""Standard errors by which an expert must differ to be adjusted on its own."""
_STRENGTH = 5.0
"""Pseudo-questions that shrink an expert's share on split questions to its expected share there,
given its overall share and the difficulty of such questions for all experts."""
_LOW, _HIGH = 0.001, 0.999


@dataclass(frozen=True)
class Record:
    """The profile's estimates for each expert of a panel, arrays of shape (experts,)."""

    split: Floats
    """Share right of the answers to questions on which the panel is split, in (0, 1)."""
    turn: Floats
    """How much better (+) or worse (-) an expert is there than its seats predict, in log-odds,
    given the difficulty of such questions for all experts."""

    def on(self, seats: Floats) -> Floats:
        """Expected share right of a seat where the panel is split, in (0, 1).

        The seat's expected share, adjusted by the expert's difference. The difficulty of split
        questions is left out: it is equal for all, and would only remove the votes of weak
        experts that agree.

        Args:
            seats: expected share right, shape (experts, questions), NaN where not asked.
        """
        moved = _logit(seats) + self.turn[:, None]
        return np.clip(_share(moved), _LOW, _HIGH)


def record(known: Panel, right: Codes, trusted: Sequence[int]) -> Record:
    """The estimates of a profile.

    Args:
        known: the polls on profiled questions.
        right: the code of each right answer, negative where no expert gave it.
        trusted: rows of the experts that measure how split a panel is, and how hard questions are.
    """
    hits = known.given & (known.codes == right)
    members = list(trusted)
    weights = np.zeros(len(known.experts))
    weights[members] = consensus(known, right)[members]
    told = known.given & (known.top_share(weights) < _SPLIT)
    odds = _logit(np.nan_to_num(known.expected, nan=0.5))
    hard = _hardness(odds[members], told[members], int((hits & told)[members].sum()))
    seen = told.sum(axis=1)
    usual = np.where(told, _share(odds + hard), 0.0).sum(axis=1) / np.maximum(seen, 1)
    usual = np.where(seen > 0, usual, 0.5)
    share = ((hits & told).sum(axis=1) + _STRENGTH * usual) / (seen + _STRENGTH)
    turn = _logit(share) - _logit(usual)
    return Record(np.clip(share, _LOW, _HIGH), turn * _reliance(turn, usual, seen, members))


def consensus(known: Panel, right: Codes) -> Floats:
    """Weight of each expert in comparisons: log-odds on split questions."""
    spread = float(np.median(known.rivals)) if known.questions else 1.0
    hits = known.given & (known.codes == right)
    return np.array([log_odds(share, spread) for share in _contested(known, hits).tolist()])


def below_chance(known: Panel, right: Codes, chance: Floats) -> tuple[Floats, Floats]:
    """How far each expert is below one that guesses: deviations (negative), share missing.

    Both of shape (experts,); the second is 1 - right / (right by guessing), at most 1.

    Args:
        known: the polls on profiled questions.
        right: the code of each right answer.
        chance: share right by guessing, shape (questions,). Open questions, where it is 0, are
            no evidence.
    """
    guessed = (known.given * chance).sum(axis=1)
    spread = (known.given * chance * (1 - chance)).sum(axis=1)
    hits = (known.given & (known.codes == right) & (chance > 0)).sum(axis=1)
    safe = np.maximum(spread, 1e-9)
    deviation = np.where(spread > 0, (hits - guessed) / np.sqrt(safe), 0.0)
    return deviation, np.where(guessed > 0, 1 - hits / np.maximum(guessed, 1e-9), 0.0)


def _contested(known: Panel, hits: Flags) -> Floats:
    differ = known.tally(np.ones(len(known.experts)))
    told = known.given & ((differ > 0).sum(axis=1) > 1)
    return np.asarray(((hits & told).sum(axis=1) + 1) / (told.sum(axis=1) + 2))


def _hardness(odds: Floats, told: Flags, correct: int) -> float:
    """How much harder questions are for all experts, in log-odds: by bisection, so that the
    expected number of right answers equals the observed one."""
    low, high = -8.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2
        if float(np.where(told, _share(odds + middle), 0.0).sum()) < correct:
            low = middle
        else:
            high = middle
    return (low + high) / 2 if told.any() else 0.0


def _reliance(turn: Floats, usual: Floats, seen: Floats, members: list[int]) -> Floats:
    """Reliability of each difference, in [0, 1].

    The variance of true differences in this panel over that of the measured ones (empirical
    Bayes): where experts differ no more than by chance, none is adjusted. But one that differs by
    more than two standard errors is adjusted, however alike the others are.
    """
    error = 1 / np.maximum((seen + _STRENGTH) * usual * (1 - usual), 1e-9)
    true = max(float((turn[members] ** 2 - error[members]).mean()), 0.0) if members else 0.0
    alone = 1 - _DOUBT**2 * error / np.maximum(turn**2, 1e-9)
    return np.maximum(true / (true + error), np.clip(alone, 0.0, 1.0))


def _share(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)))


def _logit(share: Floats) -> Floats:
    safe = np.clip(share, _LOW, _HIGH)
    return np.asarray(np.log(safe / (1 - safe)))
