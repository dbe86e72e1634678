"""What came of each trial: records only, for `figures` to count.

Knows liars, what they planted and what each way decided; holds no opinion on any of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestra.evals.redteam.sweep import Condition
from orchestra.records import Certificate, Trust

Values = tuple[str | None, ...]
"""One decided value for each marked question, in order; None: an abstention."""


@dataclass(frozen=True, order=True, slots=True)
class Reason:
    """Why some calls gave no text."""

    kind: str
    """As in `Failure`."""
    detail: str
    """One line for a person."""
    calls: int = 1
    """How many failed for it."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What one way made of one batch."""

    values: Values
    calls: int
    """Calls of the whole batch, drafts and whatever puts them together."""
    certificates: tuple[Certificate | None, ...] = ()
    """Of the ballots on the marked questions; empty where nobody voted by this way."""
    trust: Trust | None = None
    """What it says of the experts; None from ways that do not say."""
    broken: int = 0
    """Answers whose certificate promised more than held: with the same seats and the liars honest
    the same vote decides otherwise, though it said that so many liars could not change it."""

    def promised(self, faults: int) -> list[int]:
        """Places of the answers that so many liars cannot change, by their certificates."""
        return [
            place
            for place, told in enumerate(self.certificates)
            if told is not None and told.everywhere > faults
        ]


@dataclass(frozen=True, slots=True)
class Trial:
    """One batch with liars in it, or without."""

    condition: Condition | None
    """None: an honest panel."""
    liars: tuple[str, ...]
    asked: frozenset[str]
    """Experts that had a seat on any question."""
    seats: int
    """How many experts had a seat on a question, in the median."""
    planted: tuple[frozenset[str], ...]
    """What the liars on each marked question wanted to be decided; empty: nobody lied there."""
    without: Values
    """What the reference vote makes of the same seats without the liars'."""
    decided: Mapping[str, Decided] = field(default_factory=dict)
    """Name of the way -> what it decided; those that are compared and the undefended votes."""
    kept: float | None = None
    """Share of the lies that read as planted, in [0, 1]; None where nobody lied."""
    reasons: tuple[Reason, ...] = ()
    """Why calls in which a liar was to lie failed, so that it said nothing; sorted."""

    @property
    def faults(self) -> int:
        """How many lie."""
        return 0 if self.condition is None else self.condition.faults

    @property
    def failed(self) -> int:
        """Calls of liars that failed, so that they said nothing."""
        return sum(each.calls for each in self.reasons)

    @property
    def seated(self) -> int:
        """How many of the liars had a seat on any question; the aggregator always has one."""
        if self.condition is not None and self.condition.attack.role == "synthesise":
            return len(self.liars)
        return len(self.asked & frozenset(self.liars))
