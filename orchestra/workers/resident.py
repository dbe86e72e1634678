"""Workers that leave the last engine loaded until its room is needed.

Knows which unit is loaded now and who may use it next, so that the end of one stage and
the start of the next cost no load where both need the same model, and from which account the
calls are paid. Does not decide any order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self

from orchestra.roster import Expert
from orchestra.runs import Account
from orchestra.workers.base import Worker, Workers
from orchestra.workers.budgeted import BudgetedWorker, worst_by


class Resident:
    """The same shape as the workers it wraps; engines for one task at a time, which closes it.

    Args:
        workers: opens the experts.
        account: pays for all calls; None: nobody counts.

    Leaving a worker's context unloads nothing: opening another unit does, or closing this. A
    visit that ends in an exception does too, since the engine may be in the middle of something.
    """

    def __init__(self, workers: Workers, account: Account | None = None) -> None:
        self._workers, self._account = workers, account
        self._held = AsyncExitStack()
        self._experts: frozenset[str] = frozenset()
        self._worker: Worker | None = None
        self.loads = 0
        """Loads so far."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._unload()

    def unit(self, expert: Expert) -> str:
        """What is loaded for it."""
        return self._workers.unit(expert)

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None
    ) -> AbstractAsyncContextManager[Worker]:
        """The worker of these experts, of one unit: the loaded one if it serves them all.

        Hosted experts are asked beside it. The account is this Resident's own by default.
        """
        account = account or self._account
        if expert.hosted:
            return self._workers.open(expert, *others, account=account)
        return self._visit((expert, *others), account)

    @asynccontextmanager
    async def _visit(
        self, experts: tuple[Expert, ...], account: Account | None
    ) -> AsyncIterator[Worker]:
        worker = self._worker
        names = frozenset(expert.name for expert in experts)
        if worker is None or not names <= self._experts:
            await self._unload()
            worker = await self._held.enter_async_context(self._workers.open(*experts))
            self._worker, self._experts = worker, names
            self.loads += 1
        try:
            yield worker if account is None else BudgetedWorker(worker, account, worst_by(experts))
        except BaseException:
            await self._unload()
            raise

    async def _unload(self) -> None:
        self._worker, self._experts = None, frozenset()
        await self._held.aclose()
