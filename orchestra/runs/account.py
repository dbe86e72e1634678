"""The account of a run: every call is held at its worst case before it is sent.

An account is used from one thread. The SQLite database in `account_store` is its only book. In
front of it, an account has the balances of its own process, since statements for each hold and
settlement take several times as long (200,000 pairs: 0.25 s, and 1.1 s by statements on a
database in memory). With a file, a hold is on the disk before `reserve` returns.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from orchestra.errors import BudgetExhausted, OrchestraError
from orchestra.runs.account_store import AccountStore
from orchestra.runs.budget import (
    NOTHING,
    Balances,
    Budget,
    Cost,
    Entry,
    Hold,
    exhausted,
    lacking,
)

_PACE = 0.002
"""Least seconds between two commits: calls that ask in between share the next commit."""
_POLL = 0.05
"""Seconds between two looks at the holds of other processes."""
_LATEST = 0.05
"""Seconds after which actual costs are written, where no call reserves before that."""
_ONE = Cost(1)
"""The least that a hosted call costs."""


class CancellableWaits:
    """A context around a wait, one for all tasks: `end` cuts all waits short.

    A task is inside once at a time, and only waits there.

    Args:
        refuse: raises the error of a wait that is of no use; returns where waiting is of use.
    """

    def __init__(self, refuse: Callable[[], None]) -> None:
        self._refuse = refuse
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def waiting(self) -> bool:
        """Whether any task is inside."""
        return bool(self._tasks)

    def end(self) -> None:
        """End all waits; each raises the error of `refuse`."""
        while self._tasks:
            self._tasks.pop().cancel()

    def __enter__(self) -> None:
        self._refuse()
        self._tasks.add(_current_task())

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        task = _current_task()
        if task in self._tasks:
            self._tasks.remove(task)
        elif not task.uncancel() and kind is asyncio.CancelledError:
            self._refuse()  # else another caller cancelled the task as well, and comes first


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("only tasks wait")
    return task


@dataclass(slots=True, eq=False)
class _Waiter:
    cost: Cost
    who: str
    unpaid: bool
    future: asyncio.Future[Hold]


class Account:
    """The limits, the holds of calls in flight, and the costs so far.

    spent + held stays within every limit at every moment, over all processes that share the
    file, as long as no call costs more than was held for it. A context manager; leaving it
    counts open holds as lost. See `Account.open`.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        store: AccountStore,
        patience: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self.waits = CancellableWaits(self._refuse)
        """For waits of callers for anything else: ended with BudgetExhausted at a refusal."""
        self._store, self._patience, self._clock = store, patience, clock
        self._in_file = store.path is not None
        self._since, self._written = clock(), 0.0
        self._ended: float | None = None
        self._balances = Balances(budget.most)
        self._entries: dict[str, Entry] = {}  # of the run, once the account is closed
        self._blocked = False
        self._last = 0.0
        self._queue: deque[_Waiter] = deque()
        self._refusal: tuple[str, str] | None = None
        self._soon: tuple[asyncio.AbstractEventLoop, asyncio.Handle] | None = None
        self._later: tuple[asyncio.AbstractEventLoop, asyncio.Handle] | None = None
        # When the costs of the others last changed while a call waited for them, and to what.
        self._watched: tuple[float, Entry] | None = None
        self._now()

    @classmethod
    def open(
        cls,
        path: Path | None,
        budget: Budget,
        *,
        run: str = "",
        patience: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> Account:
        """The account in the file at `path`, made if need be; None: in memory only.

        Args:
            path: the budget file; runs that name the same one share the limits.
            budget: the limits.
            run: the name of the run, the same for all its resumes.
            patience: seconds to wait for other runs that hold the rest and make no progress.
            clock: returns seconds.

        Raises InputError for a file that is no budget file, is damaged or newer.
        """
        return cls(budget, store=AccountStore(path, run), patience=patience, clock=clock)

    # --- holding and settling ---------------------------------------------------------

    async def reserve(self, cost: Cost, who: str, *, unpaid: bool = False) -> Hold:
        """Set aside the most that a call may cost, first come first served.

        Waits for refunds while calls are in flight. `unpaid` is as in `reserve_now`.

        Raises:
            BudgetExhausted: it does not fit, and no call is in flight that could give back.
        """
        self._refuse()
        if not self._in_file and not self._queue and self._balances.fits(cost):
            return self._balances.hold(cost, who, unpaid=unpaid)
        waiter = _Waiter(cost, who, unpaid, asyncio.get_running_loop().create_future())
        self._queue.append(waiter)
        if not self._blocked:
            self._wake(waiter)
        try:
            return await waiter.future
        except asyncio.CancelledError:
            self._abandon(waiter)
            raise

    def reserve_now(self, costs: Iterable[tuple[Cost, str]], *, unpaid: bool = False) -> list[Hold]:
        """Holds for as many of the first `(cost, who)` as fit now, none while others wait.

        Args:
            costs: the most that each call may cost, and its name.
            unpaid: the engine runs here and no provider is paid, so that open holds are not lost
                if this process dies. One name is always of one sort.

        Raises:
            BudgetExhausted: a call was refused before.
        """
        self._refuse()
        if self._queue:
            return []

        def grant(granted: list[Hold]) -> None:
            for cost, who in costs:
                if not self._balances.fits(cost):
                    break
                granted.append(self._balances.hold(cost, who, unpaid=unpaid))

        return self._commit(grant)

    def settle(self, hold: Hold, actual: Cost) -> None:
        """Put the actual cost of the calls in the place of the hold; wakes calls that wait."""
        if self._ended is not None:
            return  # counted as lost when the account was closed
        self._balances.settle(hold, actual)
        if self._queue:
            self._wake(self._queue[0])
        elif self._in_file:
            self._write_later()
        if self.waits.waiting and self._no_call_left():
            self._exhaust(_ONE)  # else they would wait first, perhaps for long

    def release(self, hold: Hold) -> None:
        """Give back everything: the calls were certainly never sent."""
        self.settle(hold, NOTHING)

    # --- totals -----------------------------------------------------------------------

    @property
    def spent(self) -> Cost:
        """The costs of all who share the account, lost calls included."""
        return self._now().spent

    @property
    def held(self) -> Cost:
        """The open holds for calls in flight, of all who share the account."""
        return self._now().held

    @property
    def lost(self) -> Cost:
        """The part of `spent` that stands for calls whose process ended before they did."""
        return self._now().lost

    def entries(self) -> dict[str, Entry]:
        """The costs of this run by name, all its resumes together."""
        entries = dict(self._entries) if self._ended is not None else self._store.entries()
        for who, balance in self._balances.by_name.items():
            entries[who] = entries.get(who, Entry()) + balance.entry
        return dict(sorted(entries.items()))

    @property
    def seconds(self) -> float:
        """How long the account was open, by all who share it, added up."""
        self._now()
        return self._balances.others.seconds + self._elapsed

    def seconds_left(self) -> float | None:
        """How long it may still be open, at least 0; None: no limit. The caller stops in time."""
        if self.budget.seconds is None:
            return None
        return max(self.budget.seconds - self.seconds, 0.0)

    # --- closing ----------------------------------------------------------------------

    def close(self) -> None:
        """Count open holds as lost and leave the store. Closing twice is harmless."""
        if self._ended is not None:
            return
        self._ended = self._clock()
        for scheduled in (self._soon, self._later):
            if scheduled is not None:
                scheduled[1].cancel()
        while self._queue:
            waiter = self._queue.popleft()
            if not waiter.future.get_loop().is_closed():
                waiter.future.cancel()
        balances, seconds = self._balances.by_name.values(), self._elapsed
        others, self._entries = self._store.close(balances, seconds=seconds)
        self._balances.leave(others)
        self._since = self._ended

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self.close()
            return
        # A second error would hide the first.
        with suppress(OrchestraError):
            self.close()

    # --- inside: the store ------------------------------------------------------------

    def _now(self) -> Entry:
        if self._in_file and self._ended is None:
            self._balances.see(self._store.look())
        return self._balances.sum

    @property
    def _elapsed(self) -> float:
        return (self._clock() if self._ended is None else self._ended) - self._since

    def _commit(self, grant: Callable[[list[Hold]], None]) -> list[Hold]:
        """The holds that `grant` gives, in the file with all that changed before.

        In memory, the balances are written when the account is closed: a kill ends both.
        """
        granted: list[Hold] = []
        if not self._in_file:
            grant(granted)
            return granted
        try:
            with self._store.transaction() as others:
                self._balances.see(others)
                grant(granted)
                self._store.write(self._balances.changed, seconds=self._tick())
        except BaseException:
            for hold in granted:
                self._balances.settle(hold)
            raise
        self._balances.changed.clear()
        return granted

    def _tick(self) -> float | None:
        """The seconds so far, once a second, so that a kill forgets few of them."""
        elapsed = self._elapsed
        if elapsed - self._written < 1.0:
            return None
        self._written = elapsed
        return elapsed

    def _write_later(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # used from plain code
            self._write()
            return
        if self._later is None or self._later[0] is not loop:
            self._later = (loop, loop.call_later(_LATEST, self._write))

    def _write(self) -> None:
        """Show other processes what was settled. A write that fails is made with the next hold."""
        self._later = None
        if self._balances.changed:
            with suppress(OrchestraError):
                self._commit(lambda granted: None)

    # --- inside: the queue ------------------------------------------------------------

    def _refuse(self) -> None:
        if self._ended is not None:
            raise ValueError("the account is closed")
        if self._refusal is not None:
            raise BudgetExhausted(self._refusal[0], hint=self._refusal[1])

    def _wake(self, waiter: _Waiter) -> None:
        """Serve the queue: now, or with a file many calls at once, as a commit takes its time."""
        if not self._in_file:
            self._serve()
            return
        loop = waiter.future.get_loop()
        if self._soon is None or self._soon[0] is not loop:
            wait = min(self._last + _PACE - loop.time(), _PACE)
            self._soon = (
                loop,
                loop.call_later(wait, self._serve) if wait > 0 else loop.call_soon(self._serve),
            )

    def _serve(self) -> None:
        """Give holds, first come first served, and decide about the first call left over."""
        if self._soon is not None:
            self._last = self._soon[0].time()
        self._soon, self._blocked = None, False
        served: list[_Waiter] = []
        try:
            holds = self._commit(lambda granted: self._grant(served, granted))
            for waiter, hold in zip(served, holds, strict=True):
                waiter.future.set_result(hold)
            if self._queue:
                self._consider(self._queue[0])
        except Exception as error:  # a callback of the loop has no caller: the waiters get it
            self._fail([*served, *self._queue], error)

    def _grant(self, served: list[_Waiter], granted: list[Hold]) -> None:
        queue = self._queue
        while queue:
            waiter = queue[0]
            if not waiter.future.done():  # else it was cancelled
                if not self._balances.fits(waiter.cost):
                    return
                granted.append(self._balances.hold(waiter.cost, waiter.who, unpaid=waiter.unpaid))
                served.append(waiter)
            queue.popleft()

    def _consider(self, head: _Waiter) -> None:
        """Decide about the first call in the queue, which does not fit now."""
        self._blocked = True
        if self._balances.open_holds:
            self._watched = None
            return
        now, most = self._balances.sum, self.budget.most  # all holds are those of others
        theirs = lacking(head.cost, now.spent, most) is None
        if theirs and self._worth_waiting(head):
            loop = head.future.get_loop()
            self._soon = (loop, loop.call_later(_POLL, self._serve))
            return
        self._exhaust(head.cost)

    def _no_call_left(self) -> bool:
        """Whether no call will ever fit again, whatever is given back."""
        if self._balances.fits(_ONE):  # nearly always, and faster
            return False
        return lacking(_ONE, self._balances.sum.spent, self.budget.most) is not None

    def _exhaust(self, cost: Cost) -> None:
        """Refuse this call and all others, and end the waits of callers."""
        now = self._balances.sum
        error = exhausted(cost, now.spent, budget=self.budget, lost=now.lost, held=now.held)
        self._refusal = (error.message, error.hint)
        self._fail(self._queue, error)
        self.waits.end()

    def _worth_waiting(self, head: _Waiter) -> bool:
        """Whether the others, who hold the rest, have made progress of late, or are dead."""
        if self._store.reap():
            return True
        now = head.future.get_loop().time()
        others = self._balances.others
        if self._watched is None or self._watched[1] != others.sum:
            self._watched = (now, others.sum)
        return now - self._watched[0] < self._patience

    def _fail(self, waiters: Iterable[_Waiter], error: Exception) -> None:
        for waiter in waiters:
            if not waiter.future.done():
                # One for each: a traceback grows at every place that an error is raised again.
                waiter.future.set_exception(copy(error))
        self._queue.clear()
        self._blocked = False

    def _abandon(self, waiter: _Waiter) -> None:
        """A call that waited was cancelled, perhaps just after it was served."""
        future = waiter.future
        if future.done() and not future.cancelled():
            if future.exception() is None:
                self.release(future.result())
        elif self._queue and self._ended is None:
            self._wake(waiter)
