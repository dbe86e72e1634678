"""The time that a budget leaves.

Knows when it is over; does not know what is done until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestra.errors import BudgetExhausted
from orchestra.runs import Account


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
