"""A defence and the aggregator that it consults: what is shown, and what is concluded.

A defence is a generator: it yields rounds of calls of the aggregator, is sent one reply for each,
and returns its conclusion. It knows neither the aggregator nor how it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestra.records import Call, Draft, Question, Reply


@dataclass(frozen=True, slots=True)
class AggregatorCall:
    """One call of the aggregator, not yet made."""

    drafts: tuple[Draft, ...]
    """What it is shown, in order; at least one."""
    clusters: tuple[int, ...] = ()
    """The cluster of each draft, from 1, the larger first; empty: it is told of none."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What became of one question's drafts."""

    value: str | None
    """The answer; None if the aggregator gave none, which is for the caller to mend."""
    text: str
    """The aggregator's own words for it; empty if there are none."""
    kept: tuple[Draft, ...]
    """What the answer rests on: drafts, or for `dropout-cluster` first syntheses of them."""
    dropped: tuple[Draft, ...] = ()
    """What was left out of it, of the same sort; silent drafts are."""
    reason: str = ""
    """Why some were dropped, or none, in words."""
    consultations: int = 0
    """How many were held."""
    notes: tuple[str, ...] = ()
    """What a reader should know: how texts were compared, what was drawn by lot."""


Consulting = Generator[Sequence[AggregatorCall], Sequence[Reply], Conclusion]
"""A defence at work: yields rounds of calls of the aggregator, is sent as many replies in their
order, and returns its conclusion."""


Dialogue = Generator[Sequence[Call], Sequence[Reply], Conclusion]
"""One question on its way through an aggregator: yields rounds of calls, is sent as many replies
in their order, and returns its conclusion."""


class Aggregator(Protocol):
    """Makes one answer of drafts.

    Pure: the same question, drafts, seed and replies give the same calls and conclusion.
    """

    def conduct(self, question: Question, drafts: Sequence[Draft], *, seed: int) -> Dialogue:
        """The calls over these drafts, round by round; none where no draft has text."""
        ...


class Defence(Protocol):
    """Decides what an aggregator sees of the drafts, and what follows from its replies.

    Pure: the same question, drafts, seed and replies give the same conclusion.
    """

    @property
    def name(self) -> str:
        """The name that pipelines and reports use."""
        ...

    def conduct(self, question: Question, drafts: Sequence[Draft], *, seed: int) -> Consulting:
        """The consultations over these drafts, round by round; none where no draft has text."""
        ...

    def rounds(self, drafts: int) -> tuple[int, ...]:
        """The calls of each round over so many drafts, all of which have text; at least one
        draft."""
        ...


def converse(consulting: Consulting, reply: Callable[[AggregatorCall], Reply]) -> Conclusion:
    """Carry a dialogue to its end with a function in the aggregator's place."""
    try:
        consultations = next(consulting)
        while True:
            consultations = consulting.send([reply(each) for each in consultations])
    except StopIteration as end:
        conclusion: Conclusion = end.value
        return conclusion
