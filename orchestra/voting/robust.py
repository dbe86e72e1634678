"""The default vote, robust against liars.

Three estimates decide a weight: how often an expert is right where panels are split
(`split_accuracy`), whether it still behaves as on the profile (`trust`), and whether it copies
another expert (`clones`). On an honest panel only the first has an effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from orchestra.components import component
from orchestra.errors import InputError
from orchestra.records import Ballot, Suspicion, Trust
from orchestra.skills.estimation import Floats, log_odds
from orchestra.voting.certificate import Faults
from orchestra.voting.clones import Clones, groups, shares
from orchestra.voting.dawid_skene import Codes
from orchestra.voting.disagreement import Rivals
from orchestra.voting.drift import DriftTest
from orchestra.voting.split_accuracy import Record, below_chance, consensus, record
from orchestra.voting.trust import Group, Trusted
from orchestra.voting.vote_matrix import LEAST, Panel, everybody, folded, right_codes, vote_weights
from orchestra.voting.voter import NOTHING, QuestionVotes, VoterContext, VoteResult
from orchestra.voting.weighted import count

_ENOUGH = 30
"""Least profiled questions for a comparison with them."""
_FAR_BELOW, _MISSING = -4.5, 0.5
"""An expert is worse than guessing where it is this many deviations below it, and has less than
half of the right answers that guessing gives."""
_TWINS = 0.95
"""Share of equal answers from which two experts count as one and its copy."""


@component("vote", "robust", argument="faults")
@dataclass(frozen=True, slots=True)
class Robust:
    """Log-odds weights of experts that can be trusted, with a certificate and alarms.

    Args:
        faults: the number of liars; the certificate then states whether the answer is guaranteed
            against that many. None: it only states the number that would change it.
    """

    faults: int | None = None
    name: str = "robust"
    learns: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.faults is not None and self.faults < 0:
            raise InputError(f"`faults` is at least 0, not {self.faults}")

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        """Ballots for a whole batch.

        The weights on a question depend on the profile and on other questions, never on the
        answers to it: each tenth of the batch is weighted by the rest. Suspects stay on the
        ballot, with weight 0.
        """
        if not polls:
            return VoteResult(())
        return _Count(self, polls, evidence).election()


class _Count:
    """The vote on one batch."""

    def __init__(
        self, voter: Robust, polls: Sequence[QuestionVotes], evidence: VoterContext
    ) -> None:
        self._voter, self._polls = voter, polls
        known = [each.poll for each in evidence.known]
        self._names = everybody([*known, *evidence.past, *polls])
        self._known = Panel.of(known, self._names)
        self._right = right_codes(self._known, evidence.known)
        self._chance = np.array([each.chance for each in evidence.known])
        self._batch = Panel.of([*evidence.past, *polls], self._names)
        ids = [poll.plan.question_id for poll in polls]
        self._folds = folded(ids, len(evidence.past))
        self._count = int(self._folds.max()) + 1
        self._profiled = len(known) >= _ENOUGH
        self._rivals = float(np.median(self._batch.rivals))
        self._echoes: dict[tuple[int, ...], tuple[Clones, Clones]] = {}

    def election(self) -> VoteResult:
        ballots: list[Ballot | None] = [None] * len(self._polls)
        past = self._batch.questions - len(self._polls)
        others = self._others()
        for fold in range(self._count):
            places = np.flatnonzero(self._folds == fold)
            trusted, weights = self._weights(fold, self._batch.part(places))
            sound = self._trusted is None or self._trusted.fold(fold).sound
            for place, column in zip(places.tolist(), weights.T, strict=True):
                poll = self._polls[place - past]
                ballot = self._ballot(poll, column, trusted, sound)
                ballots[place - past] = others.told(ballot, place)
        made = tuple([ballot for ballot in ballots if ballot is not None])
        return VoteResult(made, self._trust(others))

    def _ballot(
        self, poll: QuestionVotes, column: Floats, trusted: frozenset[str], sound: bool
    ) -> Ballot:
        weight = dict(zip(self._names, column.tolist(), strict=True))
        seats = poll.asked
        restored: dict[str, float] = {}
        for seat in seats:
            if seat.expert not in trusted:
                restored[seat.expert] = restored.get(seat.expert, 0.0) + weight[seat.expert]
        reliable = sound and len(self._names) - len(trusted) <= (self._voter.faults or 0)
        return count(
            self._voter.name,
            poll,
            [weight[seat.expert] if seat.expert in trusted else 0.0 for seat in seats],
            belief=[weight[seat.expert] for seat in seats],
            faults=Faults(self._voter.faults, 1, restored, reliable),
        )

    def _weights(self, fold: int, part: Panel) -> tuple[frozenset[str], Floats]:
        """The trusted experts of a fold, and all weights in some of its questions."""
        members = self._members(fold)
        share = part.expected if self._record is None else self._record.on(part.expected)
        parts = shares(self._clones(fold), len(self._names))
        weights = vote_weights(share, part.rivals) * parts[:, None]
        return frozenset(self._names[i] for i in members), np.nan_to_num(weights)

    @cached_property
    def _record(self) -> Record | None:
        """By the profile alone: lies in the batch change no weight."""
        return record(self._known, self._right, self._able) if self._profiled else None

    @cached_property
    def _below(self) -> tuple[Floats, Floats]:
        return below_chance(self._known, self._right, self._chance)

    @cached_property
    def _able(self) -> tuple[int, ...]:
        """All experts except those that are worse than guessing."""
        z, missing = self._below
        return tuple(np.flatnonzero(~((z < _FAR_BELOW) & (missing > _MISSING))).tolist())

    @cached_property
    def _trusted(self) -> Trusted | None:
        if not self._profiled or len(self._able) < 3:
            return None
        weights = consensus(self._known, self._right)
        test = DriftTest(
            self._known,
            self._right,
            batch=self._batch,
            weights=weights,
            folds=self._folds,
            experts=self._able,
        )
        return Trusted(test)

    def _members(self, fold: int) -> tuple[int, ...]:
        return self._able if self._trusted is None else self._trusted.fold(fold).members

    def _worth(self, members: tuple[int, ...]) -> Floats:
        """Weight of each expert in comparisons with others: 0 for excluded experts."""
        told = self._record
        weights = np.zeros(len(self._names))
        for i in members:
            odds = 1.0 if told is None else log_odds(float(told.split[i]), self._rivals)
            weights[i] = odds if odds > LEAST else 0.0
        return weights

    def _clones(self, fold: int) -> list[tuple[int, ...]]:
        """The groups that count as one, by the profile or by the batch without a fold."""
        members = self._members(fold)
        if members not in self._echoes:
            weights = self._worth(members)
            nowhere = np.full(self._known.questions, -1)
            self._echoes[members] = (
                Clones(self._known, weights, nowhere),
                Clones(self._batch, weights, self._folds),
            )
        before, now = self._echoes[members]
        # Where most may be liars, the few honest experts would look like clones.
        sound = self._trusted is None or self._trusted.fold(fold).sound
        return groups(before.alike(self._count) | (now.alike(fold) if sound else frozenset()))

    def _others(self) -> Rivals:
        return Rivals(self._batch, self._known, self._right)

    # The batch as a whole

    def _trust(self, others: Rivals) -> Trust:
        group = self._trusted.fold(self._count) if self._trusted else Group((), True)
        suspects = self._suspects()
        echoes = tuple(
            tuple(self._names[i] for i in clique) for clique in self._clones(self._count)
        )
        liars = len(suspects) / len(self._names)
        return Trust(
            tuple(suspects),
            echoes,
            round(liars, 4),
            (*self._alarms(suspects, group), *others.alarms(self._winners())),
        )

    def _winners(self) -> Codes:
        """The decisions of this vote on the profiled questions."""
        trusted, weights = self._weights(self._count, self._known)
        counted = np.array([[name in trusted] for name in self._names])
        return self._known.winners(weights * counted)

    def _suspects(self) -> list[Suspicion]:
        z, missing = self._below
        chance = [
            Suspicion(
                self._names[i],
                "below-chance",
                round(float(-z[i]), 2),
                round(float(missing[i]), 3),
                f"on the profile it is right {100 * float(1 - missing[i]):.0f} % as often as "
                "guessing",
            )
            for i in range(len(self._names))
            if i not in self._able
        ]
        moved = self._trusted.suspicions(self._names) if self._trusted else ()
        return [*chance, *map(self._beside_its_twin, moved)]

    def _beside_its_twin(self, suspect: Suspicion) -> Suspicion:
        """A copy and its original cannot be distinguished, and the evidence says so."""
        row = self._names.index(suspect.expert)
        for other in self._members(self._count):
            both = self._batch.given[row] & self._batch.given[other]
            same = self._batch.codes[row][both] == self._batch.codes[other][both]
            if same.sum() >= _ENOUGH and same.mean() >= _TWINS:
                name = self._names[other]
                twin = f"; it now answers like `{name}`, so either may be the one that changed"
                return replace(suspect, detail=suspect.detail + twin)
        return suspect

    def _alarms(self, suspects: Sequence[Suspicion], group: Group) -> list[str]:
        alarms = []
        if not self._profiled:
            alarms.append(
                f"there are {self._known.questions} profiled questions to compare this batch with, "
                f"and at least {_ENOUGH} are needed: liars cannot be detected"
            )
        elif self._trusted is None:
            alarms.append(
                f"{len(self._able)} experts can be compared, and three are needed: whether one of "
                "them behaves as on the profile is unknown"
            )
        if not group.sound:
            alarms.append(
                "the panel does not behave as on the profile, and no liars stand out: half of the "
                "experts lie or more, or these are other questions than those that were profiled; "
                "nothing is guaranteed"
            )
        elif 2 * len(suspects) >= len(self._names) > 0:
            alarms.append(
                f"{len(suspects)} of {len(self._names)} experts are suspects: where liars are half "
                "of a panel or more, nothing is guaranteed"
            )
        faults = self._voter.faults
        least = min(len({seat.expert for seat in poll.asked}) for poll in self._polls)
        if faults is not None and least <= 2 * faults:
            alarms.append(
                f"{faults} faults are declared, and some question has {least} experts: an honest "
                f"majority needs {2 * faults + 1}"
            )
        if faults is not None and len(suspects) > faults:
            alarms.append(f"{len(suspects)} suspects, and the pipeline declares {faults} faults")
        return alarms
