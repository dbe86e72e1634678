"""What a budget asks of a run beside holding each call: known prices, and an end in time.

Knows prices and the clock; does not know what is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestra.errors import BudgetExhausted, InputError, raise_all
from orchestra.roster import Roster
from orchestra.runs import Account, Budget
from orchestra.workers.hosted.open import price_of


def check_budget(budget: Budget, roster: Roster) -> None:
    """Raise InputErrors for hosted experts without a price where money is limited."""
    if budget.money is None:
        return
    raise_all(
        [
            InputError(
                f"expert `{expert.name}`: its price is not known, and `budget.money` is set",
                hint="`price: {input: 0.5, output: 1.5}` in the roster, US dollars for a million "
                "tokens; 0 if it charges nothing",
            )
            for expert in roster
            if expert.hosted and price_of(expert) is None
        ]
    )


@asynccontextmanager
async def in_time(account: Account | None) -> AsyncIterator[None]:
    """Stop whatever is done inside when the account's seconds are over; None: never.

    Raises:
        BudgetExhausted: they are.
    """
    left = account.seconds_left() if account is not None else None
    try:
        async with asyncio.timeout(left) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        assert account is not None
        raise BudgetExhausted(
            f"`budget.seconds` is over: {account.budget.seconds:g} s may be taken",
            hint="raise `budget.seconds`; the same command goes on from here",
        ) from None
