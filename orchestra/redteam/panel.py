"""One panel's answers, honest and with liars among them, and the polls that voters are given.

Knows plans, who was asked in whose place, and how a liar's answer stands for its honest one; does
not know what is right, and asks nobody but for what an honest panel was never asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

import orjson

from orchestra.pipeline import Batch, Generate
from orchestra.pipeline.stages.generate import replay
from orchestra.records import Absence, Answer, Plan, Seat
from orchestra.voting import QuestionVotes

Rows = dict[str, dict[Seat, Answer]]
"""question id -> seat -> answer, for every seat that was asked."""

Ask = Callable[[Sequence[Plan]], Awaitable[Batch]]
"""Asks the honest experts."""


class Honest:
    """Everything that honest experts have said so far, so that no seat is asked twice.

    Args:
        settings: how many are asked, and when reserves are.
    """

    def __init__(self, settings: Generate) -> None:
        self._settings = settings
        self._said: dict[tuple[str, str, int], Answer] = {}

    def learn(self, batch: Batch) -> None:
        """Take in what was said."""
        for row in batch.drafts:
            for draft in row:
                key = draft.answer.question_id, draft.expert, draft.sample
                self._said[key] = draft.answer

    async def rows(self, plans: Sequence[Plan], ask: Ask) -> Rows:
        """What the seats of these plans say; only what nobody has said yet is asked."""
        unknown = [plan for plan in plans if self._row(plan) is None]
        if unknown:
            self.learn(await ask(unknown))
        return {plan.question_id: self._row(plan) or {} for plan in plans}

    def _row(self, plan: Plan) -> dict[Seat, Answer] | None:
        known = {
            seat: answer
            for seat in (*plan.seats, *plan.reserves)
            if (answer := self._said.get((plan.question_id, seat.expert, seat.sample)))
        }
        return due(plan, known, self._settings)


def due(plan: Plan, row: Mapping[Seat, Answer], settings: Generate) -> dict[Seat, Answer] | None:
    """The part of a row that a pipeline would have asked for; None where it lacks some of that.

    A liar always answers, so that a reserve that was asked in its place no longer is.

    Args:
        plan: seats and reserves.
        row: what they say, as far as is known.
        settings: when reserves are asked.
    """
    answers, missing = replay(plan, settings, row.get)
    return None if missing else answers


@dataclass(frozen=True)
class Panel:
    """Plans and what their seats said."""

    plans: tuple[Plan, ...]
    rows: Mapping[str, Mapping[Seat, Answer]]
    """question id -> seat -> answer."""

    @property
    def polls(self) -> tuple[QuestionVotes, ...]:
        """What voters are given, in the order of the plans."""
        return tuple([QuestionVotes(plan, self.rows[plan.question_id]) for plan in self.plans])

    @cached_property
    def stamp(self) -> bytes:
        """Stands for all that it holds: panels with equal ones are equal."""
        rows = [list(self.rows[plan.question_id].items()) for plan in self.plans]
        return blake2b(orjson.dumps([self.plans, rows]), digest_size=16).digest()

    @property
    def calls(self) -> int:
        """Calls that it took."""
        return sum(len(row) for row in self.rows.values())

    @property
    def asked(self) -> frozenset[str]:
        """Experts that had a seat."""
        return frozenset(seat.expert for row in self.rows.values() for seat in row)

    @property
    def seats(self) -> int:
        """How many experts had a seat on a question, in the median; 0 without questions."""
        counts = sorted(len({seat.expert for seat in row}) for row in self.rows.values())
        return counts[len(counts) // 2] if counts else 0

    def without(self, experts: Iterable[str]) -> Panel:
        """The same panel with the seats of some left empty; nobody is asked in their place."""
        gone = frozenset(experts)
        return Panel(
            tuple([_emptied(plan, gone) for plan in self.plans]),
            {
                each: {seat: answer for seat, answer in row.items() if seat.expert not in gone}
                for each, row in self.rows.items()
            },
        )

    def repented(self, honest: Mapping[str, Mapping[Seat, Answer]], liars: Iterable[str]) -> Panel:
        """The same seats with the liars' honest answers in place of their lies.

        A liar that nobody asked while it was honest keeps its place, and abstains.
        """
        whose = frozenset(liars)
        rows = {
            each: {
                seat: _honestly(seat, answer, honest.get(each, {}))
                if seat.expert in whose
                else answer
                for seat, answer in row.items()
            }
            for each, row in self.rows.items()
        }
        return replace(self, rows=rows)


def _honestly(seat: Seat, lie: Answer, honest: Mapping[Seat, Answer]) -> Answer:
    return honest.get(seat, replace(lie, value=None, absence=Absence.EMPTY))


def _emptied(plan: Plan, gone: frozenset[str]) -> Plan:
    seats = tuple([seat for seat in plan.seats if seat.expert not in gone])
    reserves = tuple([seat for seat in plan.reserves if seat.expert not in gone])
    return replace(plan, seats=seats, reserves=reserves)
