"""From answers and weights to Ballots.

Ties go to the value with the more accurate supporter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum
from typing import ClassVar

from orchestra.components import component
from orchestra.records import Ballot, Seat, Vote
from orchestra.skills.estimation import log_odds
from orchestra.voting.certificate import FIXED, Faults, certify
from orchestra.voting.voter import NOTHING, QuestionVotes, VoterContext, VoteResult

_Row = tuple[float, float, float]
"""Weight, accuracy and belief of a vote."""


@component("vote", "majority")
@dataclass(frozen=True, slots=True)
class Majority:
    """One seat, one vote."""

    name: str = "majority"
    learns: ClassVar[bool] = False

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        """Every readable answer has weight 1."""
        return VoteResult(
            tuple([count(self.name, poll, [1.0] * len(poll.asked)) for poll in polls]),
        )


@component("vote", "weighted")
@dataclass(frozen=True, slots=True)
class Weighted:
    """Log-odds weights: ln(r p / (1 - p)) for accuracy p and r possible wrong answers.

    Bayes-optimal for independent experts (Nitzan and Paroush 1982). r is
    the Plan's `rivals`: the options less one for a choice.
    """

    name: str = "weighted"
    learns: ClassVar[bool] = False

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        """The weight of a readable answer is its seat's log-odds, at least 0.01."""
        return VoteResult(tuple([count(self.name, poll, odds(poll)) for poll in polls]))


def odds(poll: QuestionVotes) -> list[float]:
    """The log-odds of each asked seat's accuracy, in the order of `QuestionVotes.asked`."""
    r = rivals(poll)
    return [log_odds(accuracy(seat), r) for seat in poll.asked]


def rivals(poll: QuestionVotes) -> float:
    """Wrong answers that errors spread over, at least 1; 4 if the plan has none."""
    return max(poll.plan.rivals or 4.0, 1.0)


def accuracy(seat: Seat) -> float:
    """The expected share right of a seat; a half where it is not known."""
    return 0.5 if seat.accuracy is None else seat.accuracy


def count(
    method: str,
    poll: QuestionVotes,
    weights: Sequence[float],
    *,
    belief: Sequence[float] | None = None,
    faults: Faults = FIXED,
) -> Ballot:
    """The Ballot of one question under given weights.

    Args:
        method: the voter's name.
        poll: the answers.
        weights: one for each asked seat, at least 0. A seat of weight 0 has no vote, though its
            answer stays on the ballot.
        belief: log-odds of each asked seat that the score rests on; by default the seats' own.
        faults: other effects of liars, for the certificate.
    """
    asked = poll.asked
    votes = tuple(
        [
            Vote(seat.expert, poll.answers[seat].value, weight)
            for seat, weight in zip(asked, weights, strict=True)
        ]
    )
    said = _said(poll, weights, odds(poll) if belief is None else belief)
    if not said:
        return Ballot(poll.plan.question_id, votes, None, 0.0, 0.0, method)
    weight = _summed(said, lambda row: row[0])
    ranked = _ranked(said, weight)
    winner = ranked[0]
    cast = fsum(weight.values())
    second = weight[ranked[1]] if len(ranked) > 1 else 0.0
    return Ballot(
        poll.plan.question_id,
        votes,
        winner,
        support=weight[winner] / cast,
        margin=max(weight[winner] - second, 0.0) / cast,
        method=method,
        score=_score(winner, _summed(said, lambda row: row[2]), rivals(poll)),
        certificate=certify(
            votes, winner, faults=faults, stand_ins=_stand_ins(poll, votes, winner)
        ),
    )


def winner(poll: QuestionVotes, weights: Sequence[float]) -> str | None:
    """The winner of the Ballot that `count` would make; None without votes."""
    said = _said(poll, weights, weights)
    return _ranked(said, _summed(said, lambda row: row[0]))[0] if said else None


def _said(
    poll: QuestionVotes, weights: Sequence[float], belief: Sequence[float]
) -> dict[str, list[_Row]]:
    """Value -> weight, accuracy and belief of each vote for it."""
    said: dict[str, list[_Row]] = {}
    for seat, weight, each in zip(poll.asked, weights, belief, strict=True):
        value = poll.answers[seat].value
        if value is not None and weight > 0:
            said.setdefault(value, []).append((weight, accuracy(seat), each))
    return said


def _ranked(said: Mapping[str, list[_Row]], weight: Mapping[str, float]) -> list[str]:
    """The values, best first; ties go to the value with the more accurate supporter."""
    best = {value: max([row[1] for row in rows]) for value, rows in said.items()}
    return sorted(weight, key=lambda value: (-round(weight[value], 9), -best[value], value))


def _stand_ins(poll: QuestionVotes, votes: Sequence[Vote], winner: str) -> dict[str, float]:
    """Expert without an answer -> the winner's weight from its reserves."""
    answers = {seat.expert: poll.answers[seat] for seat in poll.asked}
    found: dict[str, float] = {}
    for vote in votes:
        if vote.value != winner:
            continue
        silent = answers[vote.expert].instead_of
        while silent:
            found[silent] = found.get(silent, 0.0) + vote.weight
            silent = answers[silent].instead_of if silent in answers else ""
    return found


def _summed(said: Mapping[str, list[_Row]], part: Callable[[_Row], float]) -> dict[str, float]:
    # Sums that are the same in any order, so that no tie depends on the order of arrival.
    return {value: fsum([part(row) for row in rows]) for value, rows in said.items()}


def _score(winner: str, belief: Mapping[str, float], rivals: float) -> float:
    """Probability of the winner if experts were independent; unnamed options have log-odds 0."""
    top = max(belief.values())
    unnamed = max(rivals + 1 - len(belief), 0.0)
    total = fsum(exp(each - top) for each in belief.values()) + unnamed * exp(-top)
    return exp(belief[winner] - top) / total
