"""Votes weighted by estimates from the batch itself: label models and reputation.

None of these is safe alone, since each trusts the experts that agree most. They are for
comparison, and `robust` raises alarms where they disagree with it. Weights on a question come
from the other nine tenths of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from orchestra.components import component
from orchestra.skills.estimation import Floats
from orchestra.voting.certificate import Faults
from orchestra.voting.dawid_skene import one_coin
from orchestra.voting.mmsr import mmsr, mmsr_weights
from orchestra.voting.vote_matrix import LEAST, Panel, everybody, folded, right_codes, vote_weights
from orchestra.voting.voter import NOTHING, QuestionVotes, VoterContext, VoteResult
from orchestra.voting.weighted import count

_ROUNDS = 10

Counts = tuple[Floats, Floats]
"""Right answers on the profile, and answers in all, shape (experts,)."""


@component("vote", "one-coin")
@dataclass(frozen=True, slots=True)
class OneCoin:
    """One-coin Dawid-Skene: accuracies by EM from the batch, with the profile as prior.

    Dawid and Skene 1979. Accurate where most experts are honest and err independently; follows
    the colluders where these agree more among themselves than the honest do.
    """

    name: str = "one-coin"
    learns: ClassVar[bool] = True

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        """Ballots weighted by the log-odds of each expert's accuracy, at least 0.01."""

        def learn(panel: Panel, counts: Counts) -> Weigh:
            right, seen = counts
            found = one_coin(panel.codes, panel.rivals + 1, right=right, seen=seen).accuracy
            return lambda part: vote_weights(
                np.repeat(found[:, None], part.questions, 1), part.rivals
            )

        return _elect(self.name, polls, evidence, learn)


@component("vote", "mmsr")
@dataclass(frozen=True, slots=True)
class Mmsr:
    """Skills by robust rank-one matrix completion, without any profile.

    Ma and Olshevsky, NeurIPS 2020. Reliable where all experts answer many common questions.
    """

    name: str = "mmsr"
    learns: ClassVar[bool] = True

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        """Ballots weighted by the log-odds of each expert's skill, at least 0.01."""

        def learn(panel: Panel, counts: Counts) -> Weigh:
            skills = mmsr(panel.codes, panel.rivals + 1)
            return lambda part: np.maximum(mmsr_weights(skills, part.rivals + 1), LEAST)

        return _elect(self.name, polls, evidence, learn)


@component("vote", "reputation")
@dataclass(frozen=True, slots=True)
class Reputation:
    """The smaller of an expert's weight on the profile and of its reputation in the batch.

    The reputation is how often it agrees with the vote of the others over the batch, in which
    every expert has the smaller of both weights.
    """

    name: str = "reputation"
    learns: ClassVar[bool] = True

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        """Ballots weighted by the log-odds of the seat's accuracy or of the reputation."""

        def learn(panel: Panel, counts: Counts) -> Weigh:
            standing = _standing(panel)
            return lambda part: np.minimum(
                vote_weights(part.expected, part.rivals),
                vote_weights(np.repeat(standing[:, None], part.questions, 1), part.rivals),
            )

        return _elect(self.name, polls, evidence, learn)


Weigh = Callable[[Panel], Floats]
"""Weights of every vote of some questions, shape (experts, questions)."""


def _elect(
    name: str,
    polls: Sequence[QuestionVotes],
    evidence: VoterContext,
    learn: Callable[[Panel, Counts], Weigh],
) -> VoteResult:
    """Ballots with weights from earlier questions and from the other folds."""
    known = [each.poll for each in evidence.known]
    names = everybody([*known, *evidence.past, *polls])
    profile = Panel.of(known, names)
    hits = profile.given & (profile.codes == right_codes(profile, evidence.known))
    counts = hits.sum(axis=1).astype(np.float64), profile.given.sum(axis=1).astype(np.float64)
    batch = Panel.of([*evidence.past, *polls], names)
    folds = folded([poll.plan.question_id for poll in polls], len(evidence.past))
    ballots = {}
    for fold in range(int(folds.max(initial=-1)) + 1):
        weigh = learn(batch.part(folds != fold), counts)
        places = np.flatnonzero(folds == fold)
        weights = np.nan_to_num(weigh(batch.part(places)))
        for place, column in zip(places.tolist(), weights.T, strict=True):
            poll = polls[place - len(evidence.past)]
            weight = dict(zip(names, column.tolist(), strict=True))
            each = [weight[seat.expert] for seat in poll.asked]
            # An expert that lies elsewhere too may have any weight here: nothing is guaranteed.
            lawless = Faults(restored={}, discredit=len(names))
            ballots[place] = count(name, poll, each, belief=each, faults=lawless)
    return VoteResult(tuple(ballots[place] for place in sorted(ballots)))


def _standing(panel: Panel) -> Floats:
    """How often each expert agrees with the vote of the others, shape (experts,), in (0, 1)."""
    skill = vote_weights(panel.expected, panel.rivals)
    weights = np.where(np.isnan(skill), 0.0, skill)
    standing = np.full(len(panel.experts), 0.5)
    for _ in range(_ROUNDS):
        whole = panel.tally(weights)
        for row in range(len(panel.experts)):
            given = panel.given[row]
            others, mine = whole[given].copy(), panel.codes[row][given]
            at = np.arange(len(mine))
            others[at, mine] -= weights[row, given]
            told = others.max(axis=1, initial=0.0) > 1e-9
            same = told & (others.argmax(axis=1) == mine)
            standing[row] = (same.sum() + 1) / (told.sum() + 2)
        reputed = vote_weights(np.repeat(standing[:, None], panel.questions, 1), panel.rivals)
        weights = np.where(np.isnan(skill), 0.0, np.minimum(skill, reputed))
    return standing
