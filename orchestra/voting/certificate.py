"""How many experts would have to lie for another answer to win.

Exact for fixed weights and seats: the cheapest change of a weighted vote turns the heaviest
votes first, and every rival is tried, an answer that no expert gave included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from types import MappingProxyType

from orchestra.records import Certificate, Vote

_EVEN = 1e-9
"""Weights this close are a tie; a tie counts as a change."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Effects of liars other than their answers to this question.

    Args:
        declared: the pipeline's declared number of liars; None: none declared.
        discredit: how many honest experts may lose their votes for each liar, which tampers with
            the rest of the batch.
        restored: suspect -> the weight of its vote if it were trusted; the tampering may have made
            it a suspect.
    """

    declared: int | None = None
    discredit: int = 0
    restored: Mapping[str, float] | None = None
    """None: weights are fixed beforehand and do not depend on the batch."""
    reliable: bool = True
    """Whether the batch agrees with the declared liars; else nothing is guaranteed."""


FIXED = Faults()
"""Weights that do not depend on the batch."""


def certify(
    votes: Sequence[Vote],
    winner: str | None,
    *,
    faults: Faults = FIXED,
    stand_ins: Mapping[str, float] = MappingProxyType({}),
) -> Certificate | None:
    """The certificate of one ballot; None without a winner.

    An expert with several draws turns them all at once.

    Args:
        votes: all votes; abstentions have the weight of a vote.
        winner: the value that won.
        faults: other effects of liars.
        stand_ins: expert without an answer -> the winner's weight from reserves that replaced it,
            which would not have been asked if it had lied. With them the figures are lower
            bounds.
    """
    if winner is None:
        return None
    experts = _by_expert(votes, stand_ins)
    rivals = _rivals(votes, winner)
    here = min(_flips(experts, winner, rival) for rival in rivals)
    there = here
    if faults.restored is not None:
        there = _everywhere(experts, winner, rivals, faults)
    cast = fsum(vote.weight for vote in votes if vote.value is not None)
    totals = [fsum(_of(v, rival) for v in votes) for rival in rivals]
    lead = fsum(_of(vote, winner) for vote in votes) - max(totals)
    declared = faults.declared
    sure = None if declared is None else faults.reliable and there > declared
    return Certificate(here, round(max(lead, 0.0) / 2 / cast, 6) if cast else 0.0, there, sure)


Holding = Mapping[str | None, float]
"""Value -> the weight that one expert gives it, over its draws; None: withheld."""


def _by_expert(
    votes: Iterable[Vote], stand_ins: Mapping[str, float]
) -> dict[str, dict[str | None, float]]:
    held: dict[str, dict[str | None, float]] = {}
    for vote in votes:
        row = held.setdefault(vote.expert, {})
        row[vote.value] = row.get(vote.value, 0.0) + vote.weight
    for expert, weight in stand_ins.items():
        # Its answer would remove the weight that its reserves gave the winner.
        row = held.setdefault(expert, {})
        row[None] = row.get(None, 0.0) + weight
    return held


def _rivals(votes: Iterable[Vote], winner: str) -> list[str]:
    """Values that might win instead; the empty one is any value without a vote."""
    named = {vote.value for vote in votes if vote.value not in (None, winner)}
    return ["", *sorted(value for value in named if value)]


def _of(vote: Vote, value: str) -> float:
    return vote.weight if vote.value == value else 0.0


def _gain(held: Holding, winner: str, rival: str) -> float:
    """Reduction of the lead if an expert turns all its votes to the rival."""
    whole = fsum(held.values())
    return held.get(winner, 0.0) + whole - held.get(rival, 0.0)


def _lead(experts: Mapping[str, Holding], winner: str, rival: str) -> float:
    return fsum(held.get(winner, 0.0) - held.get(rival, 0.0) for held in experts.values())


def _flips(experts: Mapping[str, Holding], winner: str, rival: str) -> int:
    """Fewest experts that must turn to the rival for at least a tie."""
    return _fewest(
        _lead(experts, winner, rival), [_gain(h, winner, rival) for h in experts.values()]
    )


def _fewest(lead: float, gains: Iterable[float]) -> int:
    """Number of the largest gains that use up a lead, at least 1; one more than all if none do."""
    used = 0
    ordered = sorted(gains, reverse=True)
    for used, gain in enumerate(ordered, 1):
        lead -= gain
        if lead <= _EVEN:
            return used
    return used + 1


def _restored(
    experts: Mapping[str, Holding], weights: Mapping[str, float], rival: str
) -> dict[str, Holding]:
    """The worst case: suspects vote again, for the rival if they gave it, else not at all."""
    return {
        name: {rival if rival in held else None: weights[name]} if name in weights else held
        for name, held in experts.items()
    }


def _everywhere(
    experts: Mapping[str, Holding], winner: str, rivals: Iterable[str], faults: Faults
) -> int:
    """Fewest liars that could turn the vote and remove other votes; 0: none are needed."""
    fewest = len(experts) + 1
    for rival in rivals:
        worst = _restored(experts, faults.restored or {}, rival)
        lead = _lead(worst, winner, rival)
        for liars in range(0 if faults.restored else 1, fewest):
            lost = liars * faults.discredit
            if _worst_gain(worst, winner, rival, (liars, lost)) >= lead - _EVEN:
                fewest = liars
                break
    return fewest


def _worst_gain(
    experts: Mapping[str, Holding], winner: str, rival: str, count: tuple[int, int]
) -> float:
    """Largest gain of `count` = (liars that turn, honest experts that lose their votes).

    Supporters of the winner come heaviest first: those turned count twice, those discredited once,
    so the heaviest are turned; how many of the liars are supporters is tried out.
    """
    liars, lost = count
    backing = sorted(
        ((h.get(winner, 0.0), _gain(h, winner, rival)) for h in experts.values()), reverse=True
    )
    supporters = [(own, gain) for own, gain in backing if own > 0]
    others = sorted((gain for own, gain in backing if own <= 0), reverse=True)
    best = 0.0
    for turned in range(min(liars, len(supporters)) + 1):
        gained = [gain for _, gain in supporters[:turned]]
        gained += [own for own, _ in supporters[turned : turned + lost]]
        gained += others[: liars - turned]
        best = max(best, fsum(gained))
    return best
