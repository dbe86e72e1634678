"""What the generate stage has still to do: which seats wait for which expert.

Knows plans, what was asked of them and when a reserve is due; does not ask anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestra.pipeline.stages.generate import Generate
from orchestra.records import Absence, Answer, Plan, Question, Seat
from orchestra.scheduling import next_expert, possible_turns

Ask = tuple[Question, Seat]


class Work:
    """Which seats wait for which expert, and which reserves come next."""

    def __init__(
        self, plans: Sequence[Plan], questions: Mapping[str, Question], settings: Generate
    ) -> None:
        self._plans = {plan.question_id: plan for plan in plans}
        self._settings = settings
        self._used: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._open = dict.fromkeys(self._plans, 0)
        self._questions = questions
        self.waiting: dict[str, list[Ask]] = {}
        self.outstanding = 0
        for plan in plans:
            for seat in plan.seats[: settings.calls]:
                self._wait(questions[plan.question_id], seat)

    def next(self, names: Iterable[str], order: Sequence[str]) -> str:
        """Of these experts, for whom something waits, the one to load now."""
        counts = {name: len(self.waiting[name]) for name in names}
        if len(counts) == 1:
            return next(iter(counts))
        unsettled = [self._plans[each] for each, n in self._open.items() if n]
        turns = (
            possible_turns(unsettled, self._used, self._settings.calls)
            if self._settings.next_if_absent
            else {}
        )
        return next_expert(counts, turns, order)

    def take(self, name: str) -> list[Ask]:
        """All that waits for an expert; it waits no more."""
        return self.waiting.pop(name)

    def settled(self, question: Question, answer: Answer) -> None:
        """An answer has come; where it is none, a reserve may be due."""
        self.outstanding -= 1
        self._open[question.id] -= 1
        if answer.value is not None:
            return
        plan, used = self._plans[question.id], self._used.get(question.id, 0)
        failed = self._settings.fallback and answer.absence is Absence.FAILED
        if failed:
            self._failed[question.id] = self._failed.get(question.id, 0) + 1
        elif not self._settings.next_if_absent:
            return
        spare = 0
        if self._settings.next_if_absent:
            spare = max(self._settings.calls - len(plan.seats), 0)
        if used < spare + self._failed.get(question.id, 0):
            for seat in plan.reserves[used : used + 1]:
                self._used[question.id] = used + 1
                self._wait(question, seat)

    def _wait(self, question: Question, seat: Seat) -> None:
        self.waiting.setdefault(seat.expert, []).append((question, seat))
        self._open[question.id] += 1
        self.outstanding += 1
