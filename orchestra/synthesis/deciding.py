"""Ballot and Conclusion -> Decision: whose answer counts.

Knows what the votes came to and what the aggregator answered; does not know who is right.
"""

from __future__ import annotations

from dataclasses import replace

from orchestra.records import Ballot, Decision, Question
from orchestra.synthesis.aggregator import Conclusion
from orchestra.synthesis.clustering import CLOSED


def settle(
    question: Question,
    ballot: Ballot,
    *,
    voted: Decision,
    conclusion: Conclusion,
    method: str,
    guarded: bool = False,
) -> Decision:
    """The Decision on a question that was both voted on and synthesised.

    The aggregator's answer, in its own words, under `method`. Without one the vote's decision
    stands, and where nobody voted either it has the aggregator's words. Confidence was
    calibrated for the ballot: it is told where the aggregator agrees with it, else None.

    Args:
        question: what was asked.
        ballot: the votes.
        voted: the decision that follows from the votes alone.
        conclusion: what the aggregator came to.
        method: what a decision of the aggregator is called.
        guarded: where answers can be counted and somebody voted, an aggregator that disagrees
            with the ballot is not followed.
    """
    if conclusion.value is None:
        return replace(voted, text=conclusion.text) if voted.value is None else voted
    agreed = conclusion.value == ballot.winner
    if guarded and not agreed and question.kind in CLOSED and ballot.winner is not None:
        return voted
    return Decision(
        question.id,
        conclusion.value,
        voted.confidence if agreed else None,
        method,
        text=conclusion.text,
        dissent=tuple(
            [vote for vote in ballot.votes if vote.value not in (None, conclusion.value)]
        ),
    )
