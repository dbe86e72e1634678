"""Plan and Answers -> Ballot: who voted for what, with what weight, and who won.

Knows seats, their expected accuracy and the answers; does not know the gold answer or
how the experts were chosen. Ties go to the value with the more accurate supporter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, fsum
from typing import Protocol

from orchestra.records import Answer, Ballot, Plan, Seat, Vote
from orchestra.skills.estimation import log_odds


class Voter(Protocol):
    """Decides from drafts. Pure: the same inputs give the same ballot."""

    @property
    def name(self) -> str:
        """The name that pipelines and reports use."""
        ...

    def vote(self, plan: Plan, answers: Mapping[Seat, Answer]) -> Ballot:
        """A Ballot over the answers of those seats (and reserves) that were asked."""
        ...


@dataclass(frozen=True, slots=True)
class Majority:
    """One seat, one vote."""

    name: str = "majority"

    def vote(self, plan: Plan, answers: Mapping[Seat, Answer]) -> Ballot:
        """Every readable answer weighs 1."""
        return _ballot(self.name, plan, answers, lambda odds: 1.0)


@dataclass(frozen=True, slots=True)
class Weighted:
    """Log-odds weights: ln(r p / (1 - p)) for accuracy p and r wrong answers to err to.

    Bayes-optimal for independent experts (Nitzan and Paroush 1982; "OW" in METHODS 5.3). r is
    the Plan's `rivals`: the options less one for a choice.
    """

    name: str = "weighted"

    def vote(self, plan: Plan, answers: Mapping[Seat, Answer]) -> Ballot:
        """Every readable answer weighs its seat's log-odds, at least 0.01."""
        return _ballot(self.name, plan, answers, lambda odds: odds)


def _accuracy(seat: Seat) -> float:
    return 0.5 if seat.accuracy is None else seat.accuracy


def _ballot(
    method: str,
    plan: Plan,
    answers: Mapping[Seat, Answer],
    weigh: Callable[[float], float],
) -> Ballot:
    rivals = max(plan.rivals or 4.0, 1.0)
    asked = [seat for seat in (*plan.seats, *plan.reserves) if seat in answers]
    shares = [_accuracy(seat) for seat in asked]
    odds = [log_odds(share, rivals) for share in shares]
    votes = tuple(
        [
            Vote(seat.expert, answers[seat].value, weigh(each))
            for seat, each in zip(asked, odds, strict=True)
        ]
    )
    said: dict[str, list[tuple[float, float, float]]] = {}
    for vote, share, each in zip(votes, shares, odds, strict=True):
        if vote.value is not None:
            said.setdefault(vote.value, []).append((vote.weight, share, each))
    if not said:
        return Ballot(plan.question_id, votes, None, 0.0, 0.0, method)
    # Sums that are the same in any order, so that no tie depends on the order of arrival.
    weight = {value: fsum([each[0] for each in rows]) for value, rows in said.items()}
    best = {value: max([each[1] for each in rows]) for value, rows in said.items()}
    belief = {value: fsum([each[2] for each in rows]) for value, rows in said.items()}
    ranked = sorted(weight, key=lambda value: (-round(weight[value], 9), -best[value], value))
    winner = ranked[0]
    cast = fsum(weight.values())
    second = weight[ranked[1]] if len(ranked) > 1 else 0.0
    return Ballot(
        plan.question_id,
        votes,
        winner,
        support=weight[winner] / cast,
        margin=max(weight[winner] - second, 0.0) / cast,
        method=method,
        score=_score(winner, belief, rivals),
    )


def _score(winner: str, belief: Mapping[str, float], rivals: float) -> float:
    """Probability of the winner if experts were independent; unnamed options have log-odds 0."""
    top = max(belief.values())
    unnamed = max(rivals + 1 - len(belief), 0.0)
    total = fsum(exp(each - top) for each in belief.values()) + unnamed * exp(-top)
    return exp(belief[winner] - top) / total
