"""The profile's questions as the pipeline would have asked them: what voters learn from.

Nobody is seated by the mark that it is then held to: each question is seated by the table
without its fold. Confidence is fitted to what comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

from orchestra.pipeline.stages.generate import Generate, replay
from orchestra.records import Answer, Ballot, Mark, Outcome, Plan, Seat
from orchestra.routing import Pool, Router
from orchestra.skills import RecruitmentTable
from orchestra.voting import (
    Calibration,
    LabelledVotes,
    QuestionVotes,
    Voter,
    VoterContext,
    calibrate,
)

_FOLDS = 5


def profile_votes(
    table: RecruitmentTable, router: Router, settings: Generate, *, seed: int
) -> tuple[LabelledVotes, ...]:
    """The votes on each of the table's questions, in its order.

    Each question is seated by the table without its fold of five, and answered as the profile saw;
    where only one fold has questions, by the whole table.
    """
    found: dict[int, LabelledVotes] = {}
    folds = [_fold(brief.question_id, seed) for brief in table.briefs]
    for fold in sorted(set(folds)):
        kept = [i for i, each in enumerate(folds) if each != fold]
        left = [i for i, each in enumerate(folds) if each == fold]
        pool = Pool(table.experts, table.questions(kept) if kept else table)
        plans = router.route([table.briefs[i] for i in left], pool, seed=seed)
        for i, plan in zip(left, plans, strict=True):
            marks = {name: row[i] for name, row in table.marks.items()}
            right = (m.value for m in marks.values() if m and m.outcome is Outcome.CORRECT)
            choices = table.briefs[i].choices
            found[i] = LabelledVotes(
                _votes(plan, marks, settings),
                frozenset(value for value in right if value),
                1 / choices if choices else 0.0,
            )
    return tuple(found[i] for i in range(len(table.briefs)))


def fit_calibration(
    known: Sequence[LabelledVotes], voter: Voter, *, seed: int
) -> Calibration | None:
    """Confidence fitted on those votes, each decided by what the other folds tell.

    None where there are fewer than ten.
    """
    if len(known) < 2 * _FOLDS:
        return None
    decided = [pair for pair in cross_voted(known, voter, seed=seed) if pair[0].winner is not None]
    return calibrate(
        [ballot.score for ballot, _ in decided],
        [ballot.winner in each.right for ballot, each in decided],
    )


def cross_voted(
    known: Sequence[LabelledVotes], voter: Voter, *, seed: int
) -> Iterator[tuple[Ballot, LabelledVotes]]:
    """Each of those votes decided by what the other folds tell, fold after fold."""
    folds = [_fold(each.poll.plan.question_id, seed) for each in known]
    for fold in sorted(set(folds)):
        left = [each for each, its in zip(known, folds, strict=True) if its == fold]
        others = [each for each, its in zip(known, folds, strict=True) if its != fold]
        election = voter.vote([each.poll for each in left], VoterContext(tuple(others)))
        yield from zip(election.ballots, left, strict=True)


def _votes(plan: Plan, marks: Mapping[str, Mark | None], settings: Generate) -> QuestionVotes:
    """What a plan would have come to on a profiled question."""

    def known(seat: Seat) -> Answer:
        mark = marks[seat.expert] if seat.sample == 0 else None
        if mark is None:  # never asked, so nobody knows why it would be silent
            return Answer(plan.question_id, seat.expert, None)
        value = None if mark.outcome is Outcome.ABSENT else mark.value
        return Answer(plan.question_id, seat.expert, value, mark.absence)

    return QuestionVotes(plan, replay(plan, settings, known)[0])


def _fold(question_id: str, seed: int) -> int:
    key = f"{seed}:fold:{question_id}".encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") % _FOLDS
