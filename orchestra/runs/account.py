"""What a run may spend and has spent: every call is held at its worst case before it is sent.

Knows limits, holds, who waits for a refund, and when waiting is of no use; does not
know what is called, nor (see `account_store`) how what is held outlives a kill.
Used from one thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestra.errors import BudgetExhausted, OrchestraError
from orchestra.runs.account_lines import Books, Entry, Hold, Others
from orchestra.runs.account_store import AccountFile
from orchestra.runs.account_waits import Waits
from orchestra.runs.budget import NOTHING, Budget, Cost, exhausted, lacking

_PACE = 0.002
"""Seconds between two commits at least: what is asked for meanwhile shares the next one."""
_POLL = 0.05
"""Seconds between two looks at what another process does."""
_LATEST = 0.05
"""Seconds after which what calls did cost is written, where nobody reserves before that."""
_ONE = Cost(1)
"""The least that a hosted call costs."""


@dataclass(slots=True, eq=False)
class _Waiter:
    cost: Cost
    who: str
    unpaid: bool
    future: asyncio.Future[Hold]


class Account:
    """What may be spent, what is held for calls in flight, and what was spent.

    spent + held stays within every limit at every moment, over all processes that share the
    file, as long as no call costs more than was held for it. A context manager; leaving it
    counts open holds as lost. See `Account.open`.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        file: AccountFile | None = None,
        patience: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self.waits = Waits(self._refuse)
        """For callers to wait in for anything else: ended with BudgetExhausted at a refusal."""
        self._file, self._patience, self._clock = file, patience, clock
        self._since, self._written = clock(), 0.0
        self._ended: float | None = None
        self._books = Books(budget.most)
        self._earlier: Mapping[str, Entry] = {}
        self._blocked = False
        self._last = 0.0
        self._queue: deque[_Waiter] = deque()
        self._refusal: tuple[str, str] | None = None
        self._soon: tuple[asyncio.AbstractEventLoop, asyncio.Handle] | None = None
        self._later: tuple[asyncio.AbstractEventLoop, asyncio.Handle] | None = None
        # When the others were last seen to change while somebody waited for them, and to what.
        self._watched: tuple[float, Entry] | None = None
        if file is not None:
            self._books.see(file.look())

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
        """The account kept in the file at `path`, made if need be; None: in memory only.

        Args:
            path: the budget file; runs that name the same one share the limits.
            budget: the limits.
            run: in whose name, the same for every resume of a run.
            patience: seconds to wait for other runs that hold what is left and do nothing.
            clock: tells seconds.

        Raises InputError for a file that is no budget file, is damaged or newer.
        """
        file = AccountFile(path, run) if path is not None else None
        return cls(budget, file=file, patience=patience, clock=clock)

    # --- holding and settling ---------------------------------------------------------

    async def reserve(self, cost: Cost, who: str, *, unpaid: bool = False) -> Hold:
        """Set aside what a call may cost, first come first served; on the disk when it returns.

        Waits for refunds while calls are in flight. `unpaid` is as in `reserve_now`.

        Raises:
            BudgetExhausted: it does not fit, and nothing is in flight that could give back.
        """
        self._refuse()
        if self._file is None and not self._queue and self._books.fits(cost):
            return self._books.hold(cost, who, unpaid=unpaid)
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
            costs: what each call may cost, and in whose name.
            unpaid: the engine runs here and nobody is paid, so that what was held is not lost
                if this process dies. One name is always of one sort.

        Raises:
            BudgetExhausted: a call was refused before.
        """
        self._refuse()
        if self._queue:
            return []

        def grant(granted: list[Hold]) -> None:
            for cost, who in costs:
                if not self._books.fits(cost):
                    break
                granted.append(self._books.hold(cost, who, unpaid=unpaid))

        return self._commit(grant)

    def settle(self, hold: Hold, actual: Cost) -> None:
        """Put what the calls did cost in the place of what was held; wakes who waits for it."""
        if self._ended is not None:
            return  # counted as lost when the account was closed
        self._books.settle(hold, actual)
        if self._queue:
            self._wake(self._queue[0])
        elif self._file is not None:
            self._write_later()
        if self.waits.waiting and self._no_call_left():
            self._exhaust(_ONE)  # they would only learn it after their wait, which may be long

    def release(self, hold: Hold) -> None:
        """Give back everything: the calls were certainly never sent."""
        self.settle(hold, NOTHING)

    # --- how it stands ----------------------------------------------------------------

    @property
    def spent(self) -> Cost:
        """What was spent by all who share the account, lost calls included."""
        return self._now().spent

    @property
    def held(self) -> Cost:
        """What is set aside for calls in flight, by all who share the account."""
        return self._now().held

    @property
    def lost(self) -> Cost:
        """The part of `spent` that stands for calls whose process ended before they did."""
        return self._now().lost

    def entries(self) -> dict[str, Entry]:
        """What this run spent by name, resumes added up."""
        found = dict(self._earlier)
        if self._file is not None and self._ended is None:
            found = self._file.entries()
        for who, line in self._books.lines.items():
            found[who] = found.get(who, Entry()) + line.entry
        return dict(sorted(found.items()))

    @property
    def seconds(self) -> float:
        """How long the account was open, by all who share it, added up."""
        self._now()
        return self._books.others.seconds + self._elapsed

    def seconds_left(self) -> float | None:
        """How long it may still be open, at least 0; None: no limit. For the caller to heed."""
        if self.budget.seconds is None:
            return None
        return max(self.budget.seconds - self.seconds, 0.0)

    # --- opening and closing ----------------------------------------------------------

    def close(self) -> None:
        """Count open holds as lost and leave the file. Closing twice is harmless."""
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
        if self._file is None:
            self._earlier = {who: line.closed for who, line in self._books.lines.items()}
            self._books.leave(Others(sum(self._earlier.values(), Entry())))
            return
        elapsed = self._ended - self._since
        others, self._earlier = self._file.close(self._books.lines.values(), seconds=elapsed)
        self._books.leave(others)
        self._since = self._ended

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        # A second error would hide the first.
        with suppress(OrchestraError):
            self.close()

    # --- inside: the file -------------------------------------------------------------

    def _now(self) -> Entry:
        if self._file is not None and self._ended is None:
            self._books.see(self._file.look())
        return self._books.sum

    @property
    def _elapsed(self) -> float:
        return (self._clock() if self._ended is None else self._ended) - self._since

    def _commit(self, grant: Callable[[list[Hold]], None]) -> list[Hold]:
        """The holds that `grant` gives, on the disk with all that changed before."""
        granted: list[Hold] = []
        if self._file is None:
            grant(granted)
            return granted
        try:
            self._books.see(self._file.begin())
            grant(granted)
            self._file.commit(self._books.dirty, seconds=self._tick())
        except BaseException:
            self._file.rollback()
            for hold in granted:
                self._books.settle(hold)
            raise
        self._books.dirty.clear()
        return granted

    def _tick(self) -> float | None:
        """The seconds so far where it is time to write them down, so that a kill forgets few."""
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
        """Let other processes see what was settled. What fails is written with the next hold."""
        self._later = None
        if self._books.dirty:
            with suppress(OrchestraError):
                self._commit(lambda granted: None)

    # --- inside: who waits ------------------------------------------------------------

    def _refuse(self) -> None:
        if self._ended is not None:
            raise ValueError("the account is closed")
        if self._refusal is not None:
            raise BudgetExhausted(self._refusal[0], hint=self._refusal[1])

    def _wake(self, waiter: _Waiter) -> None:
        """Serve those who wait: now, or with a file many at once, as a commit takes its time."""
        if self._file is None:
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
        """Give what there is, first come first served, and see about the first left over."""
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
        except Exception as error:  # there is nobody above to catch it: those who wait shall know
            self._fail([*served, *self._queue], error)

    def _grant(self, served: list[_Waiter], granted: list[Hold]) -> None:
        queue = self._queue
        while queue:
            waiter = queue[0]
            if not waiter.future.done():  # else it was cancelled
                if not self._books.fits(waiter.cost):
                    return
                granted.append(self._books.hold(waiter.cost, waiter.who, unpaid=waiter.unpaid))
                served.append(waiter)
            queue.popleft()

    def _consider(self, head: _Waiter) -> None:
        """Decide what becomes of the first in line, whose call does not fit now."""
        self._blocked = True
        if self._books.flying:
            self._watched = None
            return
        now, most = self._books.sum, self.budget.most  # nothing is held but by others
        theirs = lacking(head.cost, now.spent, most) is None
        if theirs and self._worth_waiting(head):
            loop = head.future.get_loop()
            self._soon = (loop, loop.call_later(_POLL, self._serve))
            return
        self._exhaust(head.cost)

    def _no_call_left(self) -> bool:
        """Whether none will ever fit again, whatever is given back."""
        if self._books.fits(_ONE):  # nearly always, and faster told
            return False
        return lacking(_ONE, self._books.sum.spent, self.budget.most) is not None

    def _exhaust(self, cost: Cost) -> None:
        """Refuse this call and all others, and end what waits to make one."""
        now = self._books.sum
        error = exhausted(cost, now.spent, budget=self.budget, lost=now.lost, held=now.held)
        self._refusal = (error.message, error.hint)
        self._fail(self._queue, error)
        self.waits.end()

    def _worth_waiting(self, head: _Waiter) -> bool:
        """Whether the others, who hold what is left, have done something of late, or are dead."""
        if self._file is not None and self._file.reap():
            return True
        now = head.future.get_loop().time()
        others = self._books.others
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
        """Somebody who waited was cancelled, perhaps just after being served."""
        future = waiter.future
        if future.done() and not future.cancelled():
            if future.exception() is None:
                self.release(future.result())
        elif self._queue and self._ended is None:
            self._wake(waiter)
