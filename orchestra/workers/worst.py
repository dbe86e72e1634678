"""The most that a call may take, before it is made.

Knows bounds on tokens and what prices make of them; does not know what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from orchestra.records import Request
from orchestra.roster import Expert, Price
from orchestra.runs import Cost

_TURN_TOKENS = 16
"""More than any chat template adds to a turn."""

Worst = Callable[[Sequence[Request]], Cost]


def worst_cost(price: Price | None) -> Worst:
    """The most that a call for draws of one prompt may cost, by price; without one no money."""
    prices = (price.input, price.output) if price else None

    def cost(requests: Sequence[Request]) -> Cost:
        return Cost.priced(_read(requests[0]), _written(requests), prices=prices)

    return cost


def worst_by(experts: Iterable[Expert]) -> Worst:
    """The most that a call of one of several experts may cost."""
    costs = {expert.name: worst_cost(expert.price) for expert in experts}
    return lambda requests: costs[requests[0].expert](requests)


def worst_tokens(requests: Sequence[Request]) -> int:
    """The most tokens, read and written, that a call for draws of one prompt may take."""
    return _read(requests[0]) + _written(requests)


def _read(request: Request) -> int:
    """No tokeniser makes more tokens of a text than it has bytes."""
    return sum(
        len(m.content if m.content.isascii() else m.content.encode()) + _TURN_TOKENS
        for m in request.messages
    )


def _written(requests: Sequence[Request]) -> int:
    return requests[0].sampling.max_tokens * len(requests)
