"""Limits, costs and balances, in whole numbers that add up exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from orchestra.errors import BudgetExhausted, InputError, expect
from orchestra.records import Usage

PICO = 10**12
"""Picodollars in a US dollar: at any usual price, a token costs a whole number of them."""

_NOISE = 1 - 1e-14
# More than any sum can be: "no limit" where whole numbers are compared.
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
        """The money in US dollars."""
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
            if value is not None:
                expect(f"`budget.{name}`", value, (int, float), "a number of at least 0")
            if value is not None and not 0 <= value < math.inf:
                raise InputError(
                    f"`budget.{name}` is no amount: {value!r}",
                    hint="a number of at least 0; leave it out for no limit",
                )

    @property
    def most(self) -> Cost:
        """The limits as one cost; no sum of costs reaches the amount of a limit that is None."""
        return Cost(
            _ENDLESS if self.calls is None else self.calls,
            _ENDLESS if self.tokens is None else self.tokens,
            _ENDLESS if self.money is None else int(Decimal(repr(self.money)) * PICO),
        )


def picodollars(money: float) -> int:
    """US dollars as whole picodollars, rounded up.

    A difference below the precision of a float of that size (one part in 10^14) is not rounded
    up, so that an exact price stays exact after a few roundings.
    """
    if money < 0:
        raise ValueError(f"a cost is at least 0, not {money!r}")
    return math.ceil(money * PICO * _NOISE)


def lacking(cost: Cost, taken: Cost, most: Cost) -> str | None:
    """The limit (a field of `Budget`) that `cost` on top of `taken` would pass; None: none.

    A limit does not matter where the cost takes nothing of it.
    """
    for limit in ("money", "tokens", "calls"):
        number = _number(cost, limit)
        if number and _number(taken, limit) + number > _number(most, limit):
            return limit
    return None


def exhausted(
    cost: Cost, spent: Cost, *, budget: Budget, lost: Cost, held: Cost
) -> BudgetExhausted:
    """The error for the user where `cost` does not fit.

    Args:
        cost: the most that the next call may cost.
        spent: the costs so far, lost calls included.
        budget: the limits.
        lost: the part of `spent` for calls whose process ended.
        held: the holds of other runs that share the budget, for calls in flight.
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
    number: int = getattr(cost, "picodollars" if limit == "money" else limit)
    return number


def _amount(cost: Cost, limit: str) -> str:
    if limit == "money":
        exact = Decimal(cost.picodollars).scaleb(-12)
        return f"${exact.normalize():f}"
    number = _number(cost, limit)
    return f"{number:,} {limit if number != 1 else limit[:-1]}"


@dataclass(frozen=True, slots=True)
class Entry:
    """The costs in one name, or in sum. Adds."""

    spent: Cost = NOTHING
    """The actual costs of calls, lost calls included."""
    held: Cost = NOTHING
    """The most that calls in flight may cost."""
    lost: Cost = NOTHING
    """The part of `spent` that stands for calls whose process ended before they did."""

    def __add__(self, other: Entry) -> Entry:
        return Entry(self.spent + other.spent, self.held + other.held, self.lost + other.lost)


@dataclass(frozen=True, slots=True)
class OtherProcesses:
    """The costs of all processes but one that share an account, past and present."""

    sum: Entry = Entry()
    seconds: float = 0.0
    """How long they had the account open."""


class Balance:
    """The costs of one process in one name, as they change."""

    __slots__ = (
        *("who", "unpaid", "calls", "tokens", "money"),
        *("held_calls", "held_tokens", "held_money"),
    )

    def __init__(self, who: str = "", *, unpaid: bool = False) -> None:
        self.who, self.unpaid = who, unpaid
        self.calls = self.tokens = self.money = 0
        self.held_calls = self.held_tokens = self.held_money = 0

    def hold(self, cost: Cost) -> None:
        """Set `cost` aside."""
        self.held_calls += cost.calls
        self.held_tokens += cost.tokens
        self.held_money += cost.picodollars

    def settle(self, held: Cost, actual: Cost) -> None:
        """Spend `actual` in the place of `held`."""
        self.held_calls -= held.calls
        self.held_tokens -= held.tokens
        self.held_money -= held.picodollars
        self.calls += actual.calls
        self.tokens += actual.tokens
        self.money += actual.picodollars

    @property
    def entry(self) -> Entry:
        """The costs now."""
        return Entry(
            Cost(self.calls, self.tokens, self.money),
            Cost(self.held_calls, self.held_tokens, self.held_money),
        )


@dataclass(slots=True, eq=False)
class Hold:
    """The cost that is set aside for calls in flight, until it is settled."""

    cost: Cost
    balance: Balance
    open: bool = True


class Balances:
    """The balances of one process by name, and whether one more cost fits.

    Attributes:
        by_name: the balances of this process.
        changed: the balances that are not yet in the store; the writer clears it.
        open_holds: how many holds are open.
        others: the costs of the other processes, as last read from the store.
    """

    def __init__(self, most: Cost) -> None:
        self.by_name: dict[str, Balance] = {}
        self.changed: set[Balance] = set()
        self.open_holds = 0
        self.others = OtherProcesses()
        self._most = self._free = most
        self._mine = Balance()

    def see(self, others: OtherProcesses) -> None:
        """Take over the costs of the other processes."""
        if others is not self.others:
            self.others = others
            self._free = self._most - others.sum.spent - others.sum.held

    def leave(self, others: OtherProcesses) -> None:
        """Forget the balances of this process, which are among the others' by now."""
        self.by_name, self._mine = {}, Balance()
        self.changed.clear()
        self.see(others)

    @property
    def sum(self) -> Entry:
        """The costs of all processes."""
        return self.others.sum + self._mine.entry

    def fits(self, cost: Cost) -> bool:
        """Whether `cost` stays within the limits of which it takes anything."""
        mine, free = self._mine, self._free
        money, tokens, calls = cost.picodollars, cost.tokens, cost.calls
        return (
            (not money or mine.money + mine.held_money + money <= free.picodollars)
            and (not tokens or mine.tokens + mine.held_tokens + tokens <= free.tokens)
            and (not calls or mine.calls + mine.held_calls + calls <= free.calls)
        )

    def hold(self, cost: Cost, who: str, *, unpaid: bool = False) -> Hold:
        """Set `cost` aside, whether it fits or not."""
        balance = self.by_name.get(who)
        if balance is None:
            balance = self.by_name[who] = Balance(who, unpaid=unpaid)
        balance.hold(cost)
        self._mine.hold(cost)
        self.open_holds += 1
        self.changed.add(balance)
        return Hold(cost, balance)

    def settle(self, hold: Hold, actual: Cost = NOTHING) -> None:
        """Spend `actual` in the place of the cost that is held."""
        if not hold.open:
            raise ValueError("a hold is settled once")
        hold.open = False
        self.open_holds -= 1
        hold.balance.settle(hold.cost, actual)
        self._mine.settle(hold.cost, actual)
        self.changed.add(hold.balance)
