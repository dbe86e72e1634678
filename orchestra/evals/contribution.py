"""What each expert adds to a vote, and which experts can go at no loss.

Rests on recorded votes alone: an expert that is left out is one whose votes do not count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from orchestra.evals.panel import NO_VOTE, Codes, Flags, Votes, walks
from orchestra.evals.statistics import (
    Estimate,
    Floats,
    Interval,
    generator,
    mean_interval,
    paired_bootstrap,
)

EXACT = 10
"""Most votes on a question of which all 2^n groups are counted."""
_CELLS = 1 << 21


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one expert, or all of one family, adds to the accuracy of the vote."""

    shapley: Estimate
    """Its share of the vote's whole accuracy: shares of all experts sum to it."""
    noise: float
    """Standard error of `shapley` from drawing orders; 0 where all groups were counted. It is
    in the interval, too."""
    left_out: Estimate
    """The accuracy of the vote less that of the vote without it; below 0: it does harm."""
    votes: int
    """Questions on which it has a vote."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Which experts can go."""

    drop: tuple[str, ...]
    """In the order in which they go; empty: none for certain."""
    loss: Estimate
    """Accuracy of the whole vote less that without them, on the half that did not choose them."""
    margin: float
    """The loss that counts as none: the interval stays below it."""
    n: int
    """Questions of that half."""


def contributions(
    votes: Votes, *, seed: int, families: Mapping[str, str] | None = None, level: float = 0.95
) -> dict[str, Contribution]:
    """Expert, or `family NAME` for a family of several -> what it adds.

    Intervals are over questions: of the same experts on other questions of this kind.

    Args:
        votes: the votes.
        seed: of the bootstrap, and of the orders where there are more than `EXACT` votes.
        families: expert -> its family, for those that have one. A family's Shapley value is the
            sum over its members.
        level: of the intervals.
    """
    values, noise = shapley(votes, seed=seed)
    rows = {name: [i] for i, name in enumerate(votes.experts)}
    grouped: dict[str, list[int]] = {}
    for name, family in (families or {}).items():
        if family and name in rows:
            grouped.setdefault(f"family {family}", []).extend(rows[name])
    return {
        name: _contribution(votes, values, noise, members, (seed, level))
        for name, members in [*rows.items(), *sorted(grouped.items())]
        if len(members) > 1 or name in rows
    }


def _contribution(
    votes: Votes, values: Floats, noise: Floats, members: Sequence[int], how: tuple[int, float]
) -> Contribution:
    seed, level = how
    own = values[members].sum(axis=0)
    mean = float(own.mean()) if len(own) else 0.0
    largest = float(np.abs(own).max(initial=0.0)) or 1.0
    inside = mean_interval(own, extremes=(-largest, largest), level=level)
    without = votes.won(votes.tally - sum(votes.share_of(i) for i in members))
    return Contribution(
        Estimate(mean, inside),
        math.sqrt(float((noise[members] ** 2).sum())),
        paired_bootstrap(votes.score, without, seed=seed, level=level),
        int(votes.given[members].any(axis=0).sum()),
    )


def shapley(votes: Votes, *, seed: int) -> tuple[Floats, Floats]:
    """Shapley values of the game whose worth is the share right of a group's vote.

    The value of an expert is what it adds when it joins the others one after another, on average
    over all orders: values sum to the accuracy of the vote, equal experts have equal values, and
    one without votes has 0 (Shapley, "A value for n-person games", 1953). A group without votes is
    worth 0. Exact up to `EXACT` votes on a question, else sampled (`walks`).

    Returns:
        The value on each question, shape (experts, questions), and the standard error of each
        expert's mean that sampling adds.
    """
    most = int(votes.given.sum(axis=0).max(initial=0))
    if not most:
        return np.zeros(votes.codes.shape), np.zeros(len(votes.experts))
    if most > EXACT:
        walked = walks(votes, seed=seed)
        return walked.gains, walked.noise
    # The voters of each question first: the others add nothing.
    who = np.argsort(~votes.given, axis=0, kind="stable")[:most]
    codes = np.take_along_axis(np.where(votes.given, votes.codes, NO_VOTE), who, axis=0)
    weights = np.take_along_axis(votes.weights, who, axis=0)
    groups = np.arange(1 << most)[:, None] >> np.arange(most) & 1
    change = _change(groups)
    values = np.zeros(votes.codes.shape)
    step = max(1, _CELLS // (len(groups) * max(votes.correct.shape[1], 1)))
    for start in range(0, votes.questions, step):
        part = slice(start, start + step)
        votes_for = codes[:, part, None] == np.arange(votes.correct.shape[1])
        worth = _worth(groups, votes_for * weights[:, part, None], votes.correct[part])
        np.put_along_axis(values[:, part], who[:, part], change @ worth, axis=0)
    return values, np.zeros(len(votes.experts))


def _worth(groups: Codes, votes_for: Floats, correct: Flags) -> Floats:
    """How far each group's vote is right, shape (groups, questions)."""
    tally = np.tensordot(groups.astype(np.float64), votes_for, ([1], [0]))
    top = tally.max(axis=2, keepdims=True)
    leading = (tally >= top - 1e-9) & (top > 1e-9)
    return np.asarray((leading & correct).sum(axis=2) / np.maximum(leading.sum(axis=2), 1))


def _change(groups: Codes) -> Floats:
    """What the worth of each group counts in each expert's value, shape (experts, groups)."""
    n = groups.shape[1]
    sizes = groups.sum(axis=1)
    orders = np.array([math.comb(max(n - 1, 0), k) * n for k in range(max(n, 1))], dtype=np.float64)
    joined = 1 / orders[np.maximum(sizes - 1, 0)]
    alone = 1 / orders[np.minimum(sizes, max(n - 1, 0))]
    return np.asarray(np.where(groups.T == 1, joined, -alone))


def advice(votes: Votes, *, seed: int, margin: float = 0.01, level: float = 0.95) -> Advice:
    """The experts without which the vote is as good, up to a margin.

    On one random half of the questions experts are taken out one after another, each time the one
    whose loss is least. On the other half the loss without the first, the first two, and so on is
    measured, until an interval reaches the margin: tests in a fixed order that stop at the first
    failure need no correction for their number. One expert always stays.
    """
    first = generator(seed, "advice").permutation(votes.questions) < votes.questions // 2
    order, rest = _weakest_first(votes.on(first)), votes.on(~first)
    tally, dropped = rest.tally.copy(), 0
    loss = Estimate(0.0, Interval(0.0, 0.0))
    for count, row in enumerate(order, start=1):
        tally -= rest.share_of(row)
        found = paired_bootstrap(rest.score, rest.won(tally), seed=seed, level=level)
        if found.interval.high >= margin:
            break
        dropped, loss = count, found
    return Advice(
        tuple(votes.experts[row] for row in order[:dropped]), loss, margin, rest.questions
    )


def _weakest_first(votes: Votes) -> list[int]:
    """All experts but one, in the order in which leaving them out costs least."""
    rest, order, tally = list(range(len(votes.experts))), list[int](), votes.tally.copy()
    for _ in pairwise(range(len(votes.experts))):
        worth = [float(votes.won(tally - votes.share_of(row)).sum()) for row in rest]
        # Of equals the one that is less often right.
        out = max(range(len(rest)), key=lambda i: (round(worth[i], 9), -votes.right[rest[i]].sum()))
        tally -= votes.share_of(rest[out])
        order.append(rest.pop(out))
    return order
