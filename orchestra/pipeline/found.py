"""What the generate stage found out, put together so that the order of arrival leaves no trace.

Knows seats, answers and what calls cost; does not know how anything was asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestra.answers import visible
from orchestra.pipeline.stages.generate import Generate
from orchestra.records import Absence, Answer, Generation, Plan, Seat, Usage
from orchestra.scheduling import Loads, first_come_loads


@dataclass
class Drafts:
    """What the generate stage found out."""

    answers: dict[str, dict[Seat, Answer]] = field(default_factory=dict)
    """question id -> seat -> answer, for every seat that was asked, in the plan's order."""
    tokens: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """question id -> input and output tokens of each call, in the order of its answers."""
    usage: dict[str, Usage] = field(default_factory=dict)
    """expert -> what all its calls cost, replayed calls included; sorted by name."""
    failures: int = 0
    """Calls that failed, other than for lack of a recording."""
    calls: int = 0
    """Calls that were made or replayed."""
    loads: Loads = Loads(0, 0, 0)
    texts: dict[str, dict[Seat, str]] = field(default_factory=dict)
    """question id -> seat -> what it said, without reasoning; empty unless it was asked for."""


def total(parts: Iterable[Usage]) -> Usage:
    """The sum of usages, the same in whatever order they come."""
    bill = _Bill()
    for part in parts:
        bill.add(part)
    return bill.total()


def added(parts: Iterable[Loads]) -> Loads:
    """The loads of stages that follow each other."""
    rows = list(parts)
    return Loads(
        sum(each.loads for each in rows),
        sum(each.first_come for each in rows),
        sum(each.lower_bound for each in rows),
    )


class Found:
    """What has arrived so far, in whatever order."""

    def __init__(self, question_ids: Iterable[str], *, texts: bool = False) -> None:
        self._rows: dict[str, list[tuple[Seat, Answer, int]]] = {each: [] for each in question_ids}
        self._texts = {each: dict[int, str]() for each in self._rows} if texts else None
        self._bills: dict[str, _Bill] = {}
        self.failures = 0
        """Calls that failed, other than for lack of a recording."""
        self.calls = 0
        """Calls that were made or replayed."""
        self.last = ""
        """Why the last call that failed did."""

    def add(self, seat: Seat, answer: Answer, generation: Generation) -> None:
        """Take in one call's answer and cost."""
        usage = generation.usage
        tokens = usage.input_tokens + usage.output_tokens
        self._rows[answer.question_id].append((seat, answer, tokens))
        if self._texts is not None:
            self._texts[answer.question_id][id(seat)] = visible(generation.text)[0].strip()
        self._bills.setdefault(seat.expert, _Bill()).add(usage)
        self.calls += 1
        if answer.absence is Absence.FAILED and generation.failure is not None:
            self.failures += 1
            failure = generation.failure
            self.last = f"expert `{seat.expert}`, {failure.kind}: {failure.detail}"

    def drafts(
        self, plans: Sequence[Plan], loads: int, units: Mapping[str, str], *, settings: Generate
    ) -> Drafts:
        """Everything by question and seat, in the order of the plans.

        Args:
            plans: who was to be asked.
            loads: how many were made.
            units: expert -> what is loaded for it; hosted experts have none.
            settings: when reserves were asked.
        """
        answers: dict[str, dict[Seat, Answer]] = {}
        tokens: dict[str, tuple[int, ...]] = {}
        texts: dict[str, dict[Seat, str]] = {}
        for plan in plans:
            # Seats are long to compare; those that were asked are the plan's own objects.
            rows = {id(seat): (answer, n) for seat, answer, n in self._rows[plan.question_id]}
            seats = [seat for seat in (*plan.seats, *plan.reserves) if id(seat) in rows]
            row = {seat: rows[id(seat)][0] for seat in seats}
            answers[plan.question_id] = _stood_in(row, plan, settings)
            tokens[plan.question_id] = tuple([rows[id(seat)][1] for seat in seats])
            if self._texts is not None:
                said = self._texts[plan.question_id]
                texts[plan.question_id] = {seat: said[id(seat)] for seat in seats}
        usage = {name: self._bills[name].total() for name in sorted(self._bills)}
        told = _loads(loads, answers, units)
        return Drafts(answers, tokens, usage, self.failures, self.calls, told, texts)


class _Bill:
    """A sum of usages that does not depend on their order."""

    def __init__(self) -> None:
        self._counts = [0, 0, 0, 0, 0]
        self._estimated = False
        self._seconds: list[float] = []
        self._money: list[float] = []

    def add(self, usage: Usage) -> None:
        counts = self._counts
        counts[0] += usage.calls
        counts[1] += usage.input_tokens
        counts[2] += usage.output_tokens
        counts[3] += usage.reasoning_tokens
        counts[4] += usage.cached_tokens
        # A call that failed has no tokens that could be estimates.
        self._estimated |= usage.estimated and usage.input_tokens + usage.output_tokens > 0
        if usage.seconds:
            self._seconds.append(usage.seconds)
        if usage.money:
            self._money.append(usage.money)

    def total(self) -> Usage:
        calls, read, written, reasoning, cached = self._counts
        return Usage(
            calls,
            read,
            written,
            reasoning,
            cached,
            self._estimated,
            math.fsum(self._seconds),
            math.fsum(self._money),
        )


def _stood_in(row: dict[Seat, Answer], plan: Plan, settings: Generate) -> dict[Seat, Answer]:
    """The row, its reserves told in whose place they were asked: in turn, as seats came to none.

    Empty seats have reserves as far as the most calls allow, failed ones all where `fallback` is.
    """
    reserves = [seat for seat in plan.reserves if seat in row]
    if not reserves:
        return row
    spare = max(settings.calls - len(plan.seats), 0) if settings.next_if_absent else 0
    gone: list[str] = []
    for seat, answer in row.items():
        failed = settings.fallback and answer.absence is Absence.FAILED
        if answer.value is None and (failed or spare > 0):
            gone.append(seat.expert)
            spare -= not failed
    for seat, missed in zip(reserves, gone, strict=False):
        row[seat] = replace(row[seat], instead_of=missed)
    return row


def _loads(
    loads: int, answers: Mapping[str, Mapping[Seat, Answer]], units: Mapping[str, str]
) -> Loads:
    asked = [
        [units[seat.expert] for seat in row if seat.expert in units] for row in answers.values()
    ]
    return Loads(loads, first_come_loads(asked), len({name for row in asked for name in row}))
