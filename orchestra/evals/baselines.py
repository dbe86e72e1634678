"""What else the same experts could have given: the arms that a pipeline is judged beside.

An arm is a pipeline of its own: a router of `routing`, and the vote of the shipped `majority`
(its winners only: certificates of ballots take most of a vote's time). It is run on calls that
are known already: the pipeline's, and those that cost nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from orchestra.evals.items import Item
from orchestra.evals.marking import same
from orchestra.evals.statistics import Interval, share_interval
from orchestra.pipeline import Batch
from orchestra.records import Brief, Draft, Plan
from orchestra.routing import Everybody, Pool, RandomK, Router, TopK
from orchestra.voting import QuestionVotes
from orchestra.voting.weighted import winner

_BLOCK = 5_000
"""Questions that are seated and voted on at once, so that plans take little memory."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to answer all the questions."""

    accuracy: float
    """Share right of all questions, absent ones counting as not right."""
    interval: Interval
    calls_per_question: float
    tokens: int
    """Input and output tokens of those calls."""


class _Row(NamedTuple):
    """One marked question with the calls that are known."""

    item: Item
    brief: Brief
    plan: Plan
    asked: Sequence[Draft]
    """The pipeline's own calls."""
    known: Mapping[tuple[str, int], Draft]
    """(expert, sample) -> its call."""


class _Told(NamedTuple):
    """What one arm comes to on each marked question."""

    right: list[bool]
    calls: list[int]
    tokens: list[int]


@dataclass(frozen=True)
class Arms:
    """Computes arms from calls.

    Args:
        batch: what the pipeline asked and heard.
        items: question id -> its gold answer, for the questions that are marked.
        extra: question id -> calls that the pipeline did not make. An expert whose first call
            (sample 0) is not known for every question has no arm of its own, and keeps the pool
            from having any.
        pool: the experts and the table, as routers see them.
        seed: decides random recruits.
        samples: the draws of the best single expert, as many as the pipeline makes calls; empty
            where they are not known.
    """

    batch: Batch
    items: Mapping[str, Item]
    extra: Mapping[str, Sequence[Draft]]
    pool: Pool
    seed: int
    samples: Sequence[int] = ()

    def all(self) -> dict[str, Arm]:
        """Every arm that the calls allow, by name (CONTRACTS, `report.json`); none for no calls."""
        return {name: self._arm(each, range(len(self._rows))) for name, each in self._told.items()}

    def on(self, questions: Set[str]) -> dict[str, Arm]:
        """The same arms on some of the questions; none where none of these has calls."""
        places = [i for i, row in enumerate(self._rows) if row.item.question.id in questions]
        return {name: self._arm(each, places) for name, each in self._told.items() if places}

    @cached_property
    def _told(self) -> dict[str, _Told]:
        if not self._rows:
            return {}
        arms: dict[str, _Told] = {}
        whole = self.whole
        if self.pool.table is not None and best_single(self.pool) in self._complete:
            arms["best_single"] = self._voted(self._routed(TopK(1)))
        if whole:
            right = {name: self._right(name) for name in self._complete}
            best = max(right, key=right.__getitem__)
            arms["best_single_hindsight"] = self._oracle(lambda row: [row.known[best, 0]])
            arms["random_k"] = self._voted(self._random)
        arms["majority_same_seats"] = self._voted(_own)
        if whole:
            arms["majority_all"] = self._voted(self._routed(Everybody()))
        if self.samples:
            arms["self_consistency_same_calls"] = self._voted(self._sampled)
        arms["oracle_seats"] = self._oracle(lambda row: row.asked)
        if whole:
            arms["oracle_all"] = self._oracle(self._everything)
        return arms

    @property
    def whole(self) -> bool:
        """Whether every expert's first answer to every marked question is known."""
        return bool(self._rows) and len(self._complete) == len(self.pool.experts)

    def first_answers(self) -> dict[str, dict[str, str | None]]:
        """Question id -> expert -> its first answer, of all whose answers are known throughout."""
        return {
            row.item.question.id: {name: row.known[name, 0].value for name in self._complete}
            for row in self._rows
        }

    @cached_property
    def _rows(self) -> tuple[_Row, ...]:
        """The marked questions for which the pipeline asked anybody."""
        batch, rows = self.batch, []
        briefs = batch.briefs or [Brief(each.id, (), "none") for each in batch.questions]
        for brief, plan, asked in zip(briefs, batch.plans, batch.drafts, strict=False):
            item = self.items.get(plan.question_id)
            if item is not None and asked:
                calls = (*self.extra.get(plan.question_id, ()), *asked)
                known = {(each.expert, each.sample): each for each in calls}
                rows.append(_Row(item, brief, plan, asked, known))
        return tuple(rows)

    @cached_property
    def _complete(self) -> tuple[str, ...]:
        """The experts whose answer to every question is known."""
        return tuple(n for n in self.pool.experts if all((n, 0) in row.known for row in self._rows))

    def _right(self, name: str) -> int:
        return sum(_is_right(row.item, row.known[name, 0].value) for row in self._rows)

    def _everything(self, row: _Row) -> list[Draft]:
        """Everybody's first answer, and the pipeline's further draws of the same experts."""
        first = [row.known[name, 0] for name in self._complete]
        return first + [draft for draft in row.asked if draft.sample]

    def _routed(self, router: Router) -> Callable[[Sequence[_Row]], Iterable[QuestionVotes]]:
        """What a router's seats come to."""

        def polls(rows: Sequence[_Row]) -> Iterator[QuestionVotes]:
            plans = router.route([row.brief for row in rows], self.pool, seed=self.seed)
            return map(_poll, rows, plans)

        return polls

    def _random(self, rows: Sequence[_Row]) -> Iterator[QuestionVotes]:
        """As many random experts as the pipeline made calls."""
        found: dict[str, QuestionVotes] = {}
        for size in sorted({len(row.asked) for row in rows}):
            alike = [row for row in rows if len(row.asked) == size]
            for poll in self._routed(RandomK(size))(alike):
                found[poll.plan.question_id] = poll
        return (found[row.plan.question_id] for row in rows)

    def _sampled(self, rows: Sequence[_Row]) -> Iterator[QuestionVotes]:
        """The best single expert, as often as the pipeline made calls."""
        plans = TopK(1).route([row.brief for row in rows], self.pool, seed=self.seed)
        for row, plan in zip(rows, plans, strict=True):
            [seat] = plan.seats
            seats = tuple([replace(seat, sample=sample) for sample in self.samples])
            yield _poll(row, replace(plan, seats=seats))

    def _voted(self, polls: Callable[[Sequence[_Row]], Iterable[QuestionVotes]]) -> _Told:
        """What the vote of the shipped `majority` makes of some calls."""
        told = _Told([], [], [])
        for start in range(0, len(self._rows), _BLOCK):
            rows = self._rows[start : start + _BLOCK]
            for row, poll in zip(rows, polls(rows), strict=True):
                told.right.append(_is_right(row.item, winner(poll, [1.0] * len(poll.asked))))
                told.calls.append(len(poll.answers))
                told.tokens.append(
                    sum([row.known[s.expert, s.sample].tokens for s in poll.answers])
                )
        return told

    def _oracle(self, asked: Callable[[_Row], Sequence[Draft]]) -> _Told:
        """Right where any of some calls is."""
        told = _Told([], [], [])
        for row in self._rows:
            drafts = asked(row)
            told.right.append(any([_is_right(row.item, draft.value) for draft in drafts]))
            told.calls.append(len(drafts))
            told.tokens.append(sum([draft.tokens for draft in drafts]))
        return told

    def _arm(self, told: _Told, places: Sequence[int]) -> Arm:
        """An arm on the marked questions at these places, at least one."""
        n = len(places)
        right = [told.right[i] for i in places]
        calls, tokens = (sum([column[i] for i in places]) for column in (told.calls, told.tokens))
        interval = share_interval(right, [self._rows[i].item.cluster for i in places])
        return Arm(round(sum(right) / n, 6), interval, round(calls / n, 4), tokens)


def best_single(pool: Pool) -> str:
    """The expert that the profile puts first, the earlier of equals."""
    [plan] = TopK(1).route([Brief("", (), "")], pool, seed=0)
    return plan.seats[0].expert


def _own(rows: Sequence[_Row]) -> Iterator[QuestionVotes]:
    """The pipeline's own calls."""
    return (QuestionVotes(row.plan, {d.seat: d.answer for d in row.asked}) for row in rows)


def _poll(row: _Row, plan: Plan) -> QuestionVotes:
    """A plan all of whose seats were asked."""
    answers = {seat: row.known[seat.expert, seat.sample].answer for seat in plan.seats}
    return QuestionVotes(plan, answers)


def _is_right(item: Item, value: str | None) -> bool:
    return value is not None and same(value, str(item.gold), item.question.kind)
