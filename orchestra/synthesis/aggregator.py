"""What passes between a defence and whoever asks the aggregator for it.

Knows drafts, consultations, replies and the conclusion; does not know how an aggregator is
asked nor which. A defence is a generator: it yields rounds of consultations, is sent one reply
for each, and returns its conclusion, so that the asking can be done in batches or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestra.records import Question


@dataclass(frozen=True, slots=True)
class Draft:
    """One model's response to a question, as an aggregator may see it."""

    expert: str
    """Who wrote it; aggregators are not told."""
    text: str
    """What it says, without reasoning; empty: the call failed, or nothing was said."""
    value: str | None
    """The normalised answer that it states; None if it states none."""
    sample: int = 0
    """Which draw of the expert it is, from 0."""

    @property
    def rank(self) -> tuple[str, int, str]:
        """Its place among drafts, whatever order they are given in."""
        return (self.expert, self.sample, self.text)


@dataclass(frozen=True, slots=True)
class Consultation:
    """One call of the aggregator, not yet made."""

    drafts: tuple[Draft, ...]
    """What it is shown, in order; at least one."""
    clusters: tuple[int, ...] = ()
    """The cluster of each draft, from 1, the larger first; empty: it is told of none."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the aggregator said to one consultation."""

    text: str
    """Without reasoning; empty: the call failed, or nothing was said."""
    value: str | None
    """The normalised answer that it states; None if it states none."""


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


Dialogue = Generator[Sequence[Consultation], Sequence[Reply], Conclusion]
"""Yields a round of consultations, is sent as many replies in their order; returns in the end."""


class Defence(Protocol):
    """Decides what an aggregator sees of the drafts, and what follows from its replies.

    Pure: the same question, drafts, seed and replies give the same conclusion.
    """

    @property
    def name(self) -> str:
        """The name that pipelines and reports use."""
        ...

    def conduct(self, question: Question, drafts: Sequence[Draft], *, seed: int) -> Dialogue:
        """The consultations over these drafts, round by round; none where no draft has text."""
        ...

    def consultations(self, drafts: int) -> int:
        """How many it holds over so many drafts, all of which have text; at least one draft."""
        ...


def converse(dialogue: Dialogue, reply: Callable[[Consultation], Reply]) -> Conclusion:
    """Carry a dialogue to its end with a function in the aggregator's place."""
    try:
        consultations = next(dialogue)
        while True:
            consultations = dialogue.send([reply(each) for each in consultations])
    except StopIteration as end:
        conclusion: Conclusion = end.value
        return conclusion
