"""What may be spent, and what a call costs, in units that add up exactly.

Knows the limits, the unit of money and the words for a budget that is spent; does
not know who spends, nor where it is written down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from orchestra.errors import BudgetExhausted, InputError
from orchestra.records import Usage

PICO = 10**12
"""Picodollars in a US dollar: a whole number of them for each token at any usual price."""

_NOISE = 1 - 1e-14
# More than any sum can be: stands for "no limit" where whole numbers are compared.
_ENDLESS = 1 << 100


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls cost or may cost, in whole numbers. Adds."""

    calls: int = 0
    """Attempts that were or may be made."""
    tokens: int = 0
    """Read and written together."""
    picodollars: int = 0
    """10^-12 US dollars: sums of floats drift, these do not."""

    @classmethod
    def of(cls, usage: Usage) -> Cost:
        """The cost of that usage, its money rounded up."""
        tokens = usage.input_tokens + usage.output_tokens
        return cls(usage.calls, tokens, picodollars(usage.money))

    @classmethod
    def priced(
        cls, input_tokens: int, output_tokens: int, *, prices: tuple[float, float] | None = None
    ) -> Cost:
        """One call of so many tokens; `prices` are dollars per million read and written.

        The same tokens cost the same here and by `Cost.of` of a usage at that price.
        """
        money = 0
        if prices is not None:
            money = picodollars((prices[0] * input_tokens + prices[1] * output_tokens) / 1e6)
        return cls(1, input_tokens + output_tokens, money)

    @property
    def dollars(self) -> float:
        """The money in US dollars, for people to read."""
        return self.picodollars / PICO

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.picodollars + other.picodollars,
        )

    def __sub__(self, other: Cost) -> Cost:
        return Cost(
            self.calls - other.calls,
            self.tokens - other.tokens,
            self.picodollars - other.picodollars,
        )


NOTHING = Cost()
"""The cost of a call that was never sent."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that one run, or all runs that share a budget file, may spend. None: no limit."""

    calls: int | None = None
    """Attempts, those that fail included."""
    tokens: int | None = None
    """Read and written together."""
    money: float | None = None
    """US dollars."""
    seconds: float | None = None
    """Wall time, resumes added up."""

    def __post_init__(self) -> None:
        for name in ("calls", "tokens", "money", "seconds"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise InputError(
                    f"`budget.{name}` is no amount: {value!r}",
                    hint="a number of at least 0; leave it out for no limit",
                )

    @property
    def most(self) -> Cost:
        """The limits as one cost, which nothing that happens can reach where there is none."""
        return Cost(
            _ENDLESS if self.calls is None else self.calls,
            _ENDLESS if self.tokens is None else self.tokens,
            _ENDLESS if self.money is None else int(Decimal(repr(self.money)) * PICO),
        )


def picodollars(money: float) -> int:
    """US dollars as whole picodollars, rounded up.

    What a float of that size cannot tell (one part in 10^14) is not rounded up, so that an
    exact price stays exact after a few roundings.
    """
    if money < 0:
        raise ValueError(f"a cost is at least 0, not {money!r}")
    return math.ceil(money * PICO * _NOISE)


def lacking(cost: Cost, taken: Cost, most: Cost) -> str | None:
    """The limit (a field of `Budget`) that `cost` on top of `taken` would pass; None: none.

    A limit that it takes nothing of does not matter.
    """
    if cost.picodollars and taken.picodollars + cost.picodollars > most.picodollars:
        return "money"
    if cost.tokens and taken.tokens + cost.tokens > most.tokens:
        return "tokens"
    if cost.calls and taken.calls + cost.calls > most.calls:
        return "calls"
    return None


def exhausted(
    cost: Cost, spent: Cost, *, budget: Budget, lost: Cost, held: Cost
) -> BudgetExhausted:
    """What the user is told when `cost` does not fit.

    Args:
        cost: what the next call may cost.
        spent: what is spent, lost calls included.
        budget: the limits.
        lost: the part of `spent` for calls whose process ended.
        held: what other runs that share the budget hold for calls in flight.
    """
    elsewhere = lacking(cost, spent, budget.most) is None
    limit = lacking(cost, spent + held if elsewhere else spent, budget.most) or "money"
    spend = "is" if limit == "money" else "are"
    words = (
        f"the next call may pass `budget.{limit}`: {_amount(budget.most, limit)} may be spent, "
        f"{_amount(spent, limit)} {spend} spent, "
        f"and the call may cost {_amount(cost, limit)}"
    )
    hint = f"raise `budget.{limit}`"
    if _number(lost, limit):
        words += f"; {_amount(lost, limit)} of it is for calls cut off when a process ended"
    if elsewhere:
        words += f"; another run that shares the budget holds {_amount(held, limit)}"
        hint = f"wait for the other run, or {hint}"
    return BudgetExhausted(words, hint=f"{hint}; the same command goes on from here")


def _number(cost: Cost, limit: str) -> int:
    return {"calls": cost.calls, "tokens": cost.tokens, "money": cost.picodollars}[limit]


def _amount(cost: Cost, limit: str) -> str:
    if limit == "money":
        exact = Decimal(cost.picodollars).scaleb(-12)
        return f"${exact.normalize():f}"
    number = _number(cost, limit)
    return f"{number:,} {limit if number != 1 else limit[:-1]}"
