"""Which expert is loaded next, so that each is loaded once wherever that can be.

Knows who waits for whom; does not load anything or look at texts. A question that
gets no answer turns to its next reserve, so an expert that unfinished questions
may still turn to is better loaded late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestra.records import Plan, Request


@dataclass(frozen=True, slots=True)
class Loads:
    """How often models were loaded, beside what a naive order and the best one would need."""

    loads: int
    """Loads of this schedule."""
    first_come: int
    """Loads if each question were served in turn, its seats in their order, one model at a time."""
    lower_bound: int
    """Distinct experts: nobody can do with fewer loads on one slot."""


def next_expert(
    waiting: Mapping[str, int], turned_to: Mapping[str, int], order: Sequence[str]
) -> str:
    """The expert to load now: waited for, and least likely to be waited for again.

    Args:
        waiting: expert -> requests ready for it, at least one entry above 0.
        turned_to: expert -> unfinished questions that may still turn to it.
        order: all experts in roster order, which breaks ties.
    """
    ready = [name for name in order if waiting.get(name, 0) > 0]
    return min(ready, key=lambda name: (turned_to.get(name, 0), order.index(name)))


def possible_turns(plans: Iterable[Plan], used: Mapping[str, int], calls: int) -> Counter[str]:
    """How many unfinished questions could still turn to each expert.

    Args:
        plans: the plans of the unfinished questions.
        used: question id -> reserves already asked; none where it has no entry.
        calls: most calls a question may make.
    """
    return Counter(
        seat.expert
        for plan in plans
        for seat in plan.reserves[used.get(plan.question_id, 0) : max(calls - len(plan.seats), 0)]
    )


def first_come_loads(asked: Iterable[Sequence[str]]) -> int:
    """Loads when questions are served one after another on one slot.

    Args:
        asked: for each question, its experts in the order they were called.
    """
    loads, resident = 0, None
    for experts in asked:
        for expert in experts:
            loads += expert != resident
            resident = expert
    return loads


def longest_first(
    requests: Sequence[Request], lengths: Mapping[str, float] | None = None
) -> list[Request]:
    """The requests of one load by expected output length, longest first.

    Args:
        requests: of one load; equal lengths keep their order.
        lengths: request key -> expected output tokens, where known. Others are expected to write
            in proportion to their prompt, at the rate of those that are known, and nobody more
            than `max_tokens`.
    """
    known = lengths or {}
    rate = _rate(requests, known)

    def expected(request: Request) -> float:
        length = known.get(request.key)
        guess = _letters(request) * rate if length is None else length
        # A prompt's letters are no tokens: without any known length they only rank.
        return min(guess, request.sampling.max_tokens) if known else guess

    return sorted(requests, key=expected, reverse=True)


def _rate(requests: Sequence[Request], lengths: Mapping[str, float]) -> float:
    """Output tokens for each letter of a prompt."""
    told = [request for request in requests if request.key in lengths]
    letters = sum(_letters(request) for request in told)
    return sum(lengths[request.key] for request in told) / letters if letters else 1.0


def _letters(request: Request) -> int:
    return sum(len(message.content) for message in request.messages)
