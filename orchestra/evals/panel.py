"""What a panel's recorded votes say of it: where it must fail, where its experts differ, what
more of them would gain, and whether their weights matter.

Knows votes and which of them are right; asks nobody. All draws are seeded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np
from numpy.typing import NDArray

from orchestra.evals.statistics import (
    Estimate,
    Floats,
    Interval,
    clopper_pearson,
    clustered_interval,
    generator,
    mean_interval,
    paired_bootstrap,
    wilson,
)

Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
NO_VOTE = -1
"""The code of an expert that gave no answer, or was not asked."""
_TIE = 1e-9


@dataclass(frozen=True)
class Votes:
    """Who voted for what on each question, with what weight, and which answers are right."""

    experts: tuple[str, ...]
    codes: Codes
    """Shape (experts, questions): equal numbers are equal answers of one question, from 0;
    `NO_VOTE` where there is none."""
    correct: Flags
    """Whether the answer of each code is right, shape (questions, codes)."""
    asked: Flags
    """Who was asked, with an answer or not, shape (experts, questions)."""
    weights: Floats
    """Of each vote, at least 0, same shape."""

    @classmethod
    def of(
        cls,
        experts: Sequence[str],
        codes: Codes,
        correct: Flags,
        *,
        asked: Flags | None = None,
        weights: Floats | None = None,
    ) -> Votes:
        """Votes of equal weight of experts that were all asked, where nothing else is said."""
        return cls(
            tuple(experts),
            codes,
            correct,
            np.ones(codes.shape, dtype=bool) if asked is None else asked,
            np.ones(codes.shape) if weights is None else weights,
        )

    @property
    def questions(self) -> int:
        """The number of questions."""
        return int(self.codes.shape[1])

    @cached_property
    def given(self) -> Flags:
        """Who has a vote that counts, shape (experts, questions)."""
        return np.asarray((self.codes != NO_VOTE) & (self.weights > 0))

    @cached_property
    def right(self) -> Flags:
        """Whose answer is right, shape (experts, questions); an absent one is not."""
        columns = np.arange(self.questions)
        return np.asarray((self.codes != NO_VOTE) & self.correct[columns, self.codes])

    @cached_property
    def tally(self) -> Floats:
        """Weight of each answer, shape (questions, codes)."""
        found = np.zeros(self.correct.shape)
        for row in range(len(self.experts)):
            found += self.share_of(row)
        return found

    def share_of(self, row: int) -> Floats:
        """The part of `tally` that is one expert's."""
        found = np.zeros(self.correct.shape)
        there = np.nonzero(self.given[row])[0]
        found[there, self.codes[row, there]] = self.weights[row, there]
        return found

    def won(self, tally: Floats) -> Floats:
        """How far the leading answer of each question is right under a tally.

        1 or 0; the share of right ones among answers that tie, as if one of them were drawn; 0
        where nobody voted.
        """
        top = tally.max(axis=-1, keepdims=True)
        leading = (tally >= top - _TIE) & (top > _TIE)
        return np.asarray((leading & self.correct).sum(-1) / np.maximum(leading.sum(-1), 1))

    @cached_property
    def score(self) -> Floats:
        """How far the vote of all is right on each question, shape (questions,)."""
        return self.won(self.tally)

    @cached_property
    def split(self) -> Flags:
        """Questions to which at least two experts gave different answers."""
        highest = np.where(self.codes == NO_VOTE, -1, self.codes).max(axis=0, initial=-1)
        lowest = np.where(self.codes == NO_VOTE, 1 << 40, self.codes).min(axis=0, initial=1 << 40)
        return np.asarray((highest >= 0) & (lowest < highest))

    def on(self, questions: Flags | Codes) -> Votes:
        """The same experts on some of the questions."""
        return Votes(
            self.experts,
            self.codes[:, questions],
            self.correct[questions],
            self.asked[:, questions],
            self.weights[:, questions],
        )


# Where the panel must fail


@dataclass(frozen=True, slots=True)
class CoFailure:
    """The questions on which no expert is right, which no choice among answers can decide."""

    n: int
    failed: int
    beta: float
    """The share of such questions."""
    ceiling: Estimate
    """1 - beta: the most that any vote or router reaches, with Clopper and Pearson's interval."""


def cofailure(right: Flags, *, level: float = 0.95) -> CoFailure:
    """How often all experts fail together.

    Args:
        right: whose answer is right, shape (experts, questions).
        level: of the interval.
    """
    n = int(right.shape[1])
    reached = int(right.any(axis=0).sum())
    share = reached / max(n, 1)
    ceiling = Estimate(share, clopper_pearson(reached, n, level=level))
    return CoFailure(n, n - reached, 1 - share, ceiling)


def error_correlation(right: Flags, asked: Flags) -> Floats:
    """Correlation of being wrong between each two experts, over questions that both were asked.

    Shape (experts, experts), in [-1, 1], 1 on the diagonal. NaN where they share fewer than two
    questions, or one of them is always or never right there.
    """
    there, hits = asked.astype(np.float64), (right & asked).astype(np.float64)
    n = there @ there.T
    own = hits @ there.T  # how often the row's expert is right where both were asked
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = own / n
        covariance = (hits @ hits.T) / n - mean * mean.T
        deviation = np.sqrt(mean * (1 - mean))
        found = covariance / (deviation * deviation.T)
    found[(n < 2) | ~np.isfinite(found)] = np.nan
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.clip(found, -1.0, 1.0))


@dataclass(frozen=True, slots=True)
class PanelSize:
    """How many independent experts a panel is worth, by its correlations of errors."""

    experts: int
    correlation: float | None
    """Mean over pairs; None where no pair has one."""
    kish: float
    """n / (1 + (n - 1) r), in [1, n]: the variance of a mean of so many correlated votes (Kish,
    "Survey Sampling", 1965)."""
    spectral: float
    """n^2 / sum of squared correlations, in [1, n]: the participation ratio of the correlation
    matrix's eigenvalues, which sees groups of alike experts that the mean hides."""


def effective_size(correlation: Floats) -> PanelSize:
    """What `error_correlation` says of the whole panel. Unknown correlations count as none."""
    n = len(correlation)
    pairs = correlation[np.triu_indices(n, 1)]
    known = pairs[np.isfinite(pairs)]
    mean = float(known.mean()) if len(known) else None
    squares = float((np.nan_to_num(correlation) ** 2).sum())
    kish = n / (1 + (n - 1) * max(mean or 0.0, 0.0))
    return PanelSize(n, mean, kish, n * n / max(squares, 1e-9))


# More or fewer experts


@dataclass(frozen=True, slots=True)
class Walks:
    """Votes of growing groups of experts, in random orders of their own on each question."""

    curve: Floats
    """How far the vote of k experts is right on each question, mean over orders, shape
    (experts + 1, questions)."""
    gains: Floats
    """What each expert added when it joined, mean over orders, shape (experts, questions)."""
    noise: Floats
    """Standard error of each expert's mean gain that comes from the draws of orders."""


def walks(votes: Votes, *, seed: int, pairs: int = 8) -> Walks:
    """Let the experts join in `pairs` random orders and in their reverses.

    Mean gains are Shapley values (Castro et al., "Polynomial calculation of the Shapley value based
    on sampling", 2009); an order and its reverse err in opposite directions (Mitchell et al.,
    "Sampling permutations for Shapley value estimation", arXiv 2104.12199).
    """
    n, questions = votes.codes.shape
    rng, columns = generator(seed, "orders of experts"), np.arange(questions)
    curve, gains = np.zeros((n + 1, questions)), np.zeros((n, questions))
    squares = np.zeros((n, questions))
    start = np.broadcast_to(np.arange(n)[:, None], (n, questions))
    for _ in range(pairs):
        order = rng.permuted(start, axis=0)
        pair = np.zeros((n, questions))
        for direction in (order, order[::-1]):
            tally, before = np.zeros(votes.correct.shape), np.zeros(questions)
            for k, who in enumerate(direction, start=1):
                votes_now = np.nonzero(votes.given[who, columns])[0]
                joining = who[votes_now]
                tally[votes_now, votes.codes[joining, votes_now]] += votes.weights[
                    joining, votes_now
                ]
                now = votes.won(tally)
                pair[who, columns] += (now - before) / 2
                curve[k] += now / (2 * pairs)
                before = now
        gains += pair / pairs
        squares += pair**2 / pairs
    spread = np.maximum(squares - gains**2, 0.0).sum(axis=1) / max(pairs - 1, 1)
    return Walks(curve, gains, np.sqrt(spread) / max(questions, 1))


@dataclass(frozen=True, slots=True)
class Sized:
    """The vote of so many experts, drawn at random for each question."""

    k: int
    accuracy: float
    interval: Interval
    """Over questions; the draws are in it."""


def k_curve(
    curve: Floats, kinds: Mapping[str, Flags], *, level: float = 0.95
) -> dict[str, list[Sized]]:
    """Accuracy by number of experts on each kind of question.

    Args:
        curve: of `Walks`.
        kinds: name -> which questions are of that kind; kinds may overlap. Empty ones are left out.
        level: of the intervals.
    """
    return {
        name: [
            Sized(
                k,
                float(row.mean()),
                mean_interval(row, extremes=(0.0, 1.0), level=level),
            )
            for k, row in enumerate(curve[1:, where], start=1)
        ]
        for name, where in kinds.items()
        if where.any()
    }


# Against the seats that a router chose


@dataclass(frozen=True, slots=True)
class Regret:
    """What a router's seats missed that other seats would have had, known in hindsight."""

    missed: Estimate
    """Share of the questions that some expert answers right and no seated one does."""
    best_set: tuple[str, ...]
    """As many experts as are seated on average, rounded, that cover the most questions."""
    best_covered: float
    """Share of the questions that one of that set answers right."""
    covered: float
    """Share that one of the seated answers right."""
    lost: Estimate
    """`best_covered` - `covered`, below 0 where the router is better than every fixed set. The
    set is chosen on the same questions, which flatters it."""


def regret(experts: Sequence[str], right: Flags, seated: Flags, *, seed: int) -> Regret:
    """Seats against all experts and against the best fixed set of their number.

    The set is found greedily, then by exchanging one expert while that helps: its coverage is at
    least 1 - 1/e of the best there is (Nemhauser, Wolsey and Fisher, 1978), and mostly the best.

    Args:
        experts: names of the rows.
        right: whose answer is right, shape (experts, questions), of all experts.
        seated: who was asked by the pipeline, same shape.
        seed: of the bootstrap.
    """
    n = int(right.shape[1])
    by_seats = (right & seated).any(axis=0)
    missed = int((right.any(axis=0) & ~by_seats).sum())
    size = min(max(round(float(seated.sum()) / max(n, 1)), 1), len(experts))
    chosen = _widest(right, size)
    by_set = right[chosen].any(axis=0)
    lost = paired_bootstrap(by_set, by_seats, seed=seed)
    return Regret(
        Estimate(missed / max(n, 1), wilson(missed, n)),
        tuple(experts[i] for i in chosen),
        float(by_set.mean()) if n else 0.0,
        float(by_seats.mean()) if n else 0.0,
        lost,
    )


def _widest(right: Flags, size: int) -> list[int]:
    """Rows that together are right on the most questions."""
    counts, chosen = np.zeros(right.shape[1], dtype=np.int64), list[int]()
    rest = list(range(len(right)))

    def join() -> None:
        # The earlier of equals, so that the result is the same everywhere.
        gains = [int((right[i] & (counts == 0)).sum()) for i in rest]
        best = rest.pop(int(np.argmax(gains)))
        chosen.append(best)
        counts[:] += right[best]

    for _ in range(size):
        join()
    best = int((counts > 0).sum())
    stale = 0
    while stale < size:
        # Replace the earliest member by the expert that covers the most: often the same one.
        out = chosen.pop(0)
        rest = sorted([*rest, out])
        counts -= right[out]
        join()
        now = int((counts > 0).sum())
        stale, best = (0, now) if now > best else (stale + 1, best)
    return sorted(chosen)


# Weights of others


@dataclass(frozen=True, slots=True)
class PlaceboVote:
    """The vote with its own weights, held by other experts."""

    accuracy: Estimate
    """Mean over the draws of other holders."""
    gain: Estimate
    """The accuracy of the vote itself, less that: what it matters who holds which weight."""
    draws: int


def dealt(names: Sequence[str], seed: int | str) -> dict[str, str]:
    """Expert -> the expert whose weight it gets, a permutation that the seed draws."""
    ordered = sorted(names)
    return dict(zip(ordered, Random(seed).sample(ordered, len(ordered)), strict=True))


def placebo(votes: Votes, *, seed: int, draws: int = 20) -> PlaceboVote | None:
    """The vote with the weights of each question dealt to others among its voters.

    Each draw permutes the experts once; on a question of which only some vote, these exchange
    their weights in the order of the permutation. None where no question has two weights, since
    then nothing can be exchanged.
    """
    weights = np.where(votes.given, votes.weights, np.nan)
    low = np.where(votes.given, weights, np.inf).min(axis=0, initial=np.inf)
    high = np.where(votes.given, weights, -np.inf).max(axis=0, initial=-np.inf)
    if not (high > low).any():
        return None
    mean = np.zeros(votes.questions)
    for draw in range(draws):
        deal = dealt(votes.experts, f"{seed}:placebo:{draw}")
        place = {name: i for i, name in enumerate(votes.experts)}
        order = np.array([place[deal[name]] for name in votes.experts])
        # Voters first in either order: the j-th voter gets the weight of the j-th in the deal.
        own = np.argsort(~votes.given, axis=0, kind="stable")
        other = order[np.argsort(~votes.given[order], axis=0, kind="stable")]
        moved = np.empty_like(weights)
        np.put_along_axis(moved, own, np.take_along_axis(weights, other, axis=0), axis=0)
        changed = Votes(
            votes.experts, votes.codes, votes.correct, votes.asked, np.nan_to_num(moved)
        )
        mean += changed.score / draws
    rows = range(votes.questions)
    mean = np.clip(mean, 0.0, 1.0)
    return PlaceboVote(
        Estimate(float(mean.mean()), clustered_interval(mean, rows)),
        paired_bootstrap(votes.score, mean, seed=seed),
        draws,
    )
