"""Elections of one red team, each held once: equal panels come to equal ends.

Knows voters, panels and how a batch is told from another; does not know who lies, nor what is
right. Ballots are not kept, only what is counted of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestra.pipeline import Pipeline
from orchestra.redteam.panel import Panel
from orchestra.redteam.sweep import Decided
from orchestra.voting import Voter, VoterContext, VoteResult


class Elections:
    """Votes on panels, which are counted once for each voter, panel and profile.

    Args:
        marked: places of the questions whose winners are wanted.
    """

    def __init__(self, marked: Sequence[int]) -> None:
        self._marked = tuple(marked)
        self._done: dict[tuple[int, bytes, object], tuple[Voter, Decided]] = {}

    def decided(self, voter: Voter, panel: Panel, turned: Pipeline, *, profile: object) -> Decided:
        """What a vote makes of a panel.

        Args:
            voter: counts the votes.
            panel: the batch.
            turned: the pipeline with the table that the voter may hold it against.
            profile: stands for that table, so that equal ones are equal; hashable.
        """
        # The voter is kept beside its id, so that no other one ever takes that id.
        key = (id(voter), panel.stamp, profile if voter.learns else None)
        if key not in self._done:
            election = elect(voter, panel, turned)
            ballots = [election.ballots[i] for i in self._marked]
            self._done[key] = (
                voter,
                Decided(
                    tuple([ballot.winner for ballot in ballots]),
                    panel.calls,
                    tuple([ballot.certificate for ballot in ballots]),
                    election.trust,
                ),
            )
        return self._done[key][1]


def elect(voter: Voter, panel: Panel, turned: Pipeline) -> VoteResult:
    """The whole election, which is not kept."""
    return voter.vote(panel.polls, VoterContext(turned.profile_votes if voter.learns else ()))
