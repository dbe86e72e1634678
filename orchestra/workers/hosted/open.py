"""Models that somebody else serves, ready to be asked: each expert's callers, folded.

Knows in which order a call is retried, paid for and throttled, and what experts on one provider
key share; does not know what any of these does, nor how a single attempt is made: its kind does.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

from orchestra.errors import InputError, InputErrors, raise_all
from orchestra.roster import Expert, Price
from orchestra.runs import Account
from orchestra.workers.base import Caller, Worker
from orchestra.workers.budgeted import Budgeted, worst_cost, worst_tokens
from orchestra.workers.hosted.concurrent import ConcurrentWorker
from orchestra.workers.hosted.openai import Sessions
from orchestra.workers.hosted.retry import Retry
from orchestra.workers.hosted.throttle import Throttle, Throttled
from orchestra.workers.pool import Opening, WorkerKind, WorkerPool, kind_of
from orchestra.workers.secrets import Secret, read_secret

DEFAULT_CONCURRENCY = 64
"""Calls in flight on one provider key where the roster does not say."""


@dataclass(frozen=True)
class HostedKind(WorkerKind):
    """A kind of worker whose models are held by another server."""

    hosted: ClassVar[bool] = True

    @abstractmethod
    def check_calls(self, expert: Expert) -> None:
        """Raise InputError for what would keep the expert from being called, its key apart."""
        raise NotImplementedError

    @abstractmethod
    async def caller(
        self, expert: Expert, sessions: Sessions, held: AsyncExitStack
    ) -> tuple[Caller, int]:
        """What makes single attempts, closed with `held`, and how many draws one of them takes."""
        raise NotImplementedError

    def check(self, expert: Expert, pool: WorkerPool) -> None:
        """Raise InputErrors for whatever would keep the expert from being called."""
        errors: list[InputError] = []
        for test in (self.check_calls, secret_of):
            try:
                test(expert)
            except InputErrors as several:
                errors += several.errors
            except InputError as error:
                errors.append(error)
        raise_all(errors)

    def open(
        self, experts: Sequence[Expert], pool: WorkerPool, how: Opening
    ) -> AbstractAsyncContextManager[Worker]:
        """A worker that retries, throttles and pays for its calls."""
        return pool.shared(HostedModels).open(experts[0], how.account)


class HostedModels:
    """What hosted experts of one process share: sessions, and a throttle for each provider key."""

    def __init__(self) -> None:
        self._sessions = Sessions()
        self._throttles: dict[tuple[str, ...], Throttle] = {}

    @asynccontextmanager
    async def open(self, expert: Expert, account: Account | None = None) -> AsyncIterator[Worker]:
        """The expert's worker.

        Args:
            expert: of a kind that is hosted.
            account: pays for every attempt; None: nobody counts.
        """
        kind = kind_of(expert)
        if not isinstance(kind, HostedKind):
            raise TypeError(f"`worker: {expert.worker}` is not hosted")
        priced = replace(expert, price=kind.price(expert))
        throttle = self._throttle(expert)
        async with AsyncExitStack() as held:
            caller, most = await kind.caller(priced, self._sessions, held)
            waits = None if account is None else account.waits
            if account is not None:  # innermost: what waits for its turn holds no money
                caller = Budgeted(caller, account, worst_cost(priced.price))
            caller = Throttled(caller, throttle, worst_tokens, waits=waits)
            caller = Retry(caller, expert.calls, waits=waits)
            # Those that wait for their next attempt keep nobody else from being asked.
            yield ConcurrentWorker(caller, window=2 * _concurrency(expert), most=most)

    def _throttle(self, expert: Expert) -> Throttle:
        key, limits = provider_key(expert), expert.limits
        if key not in self._throttles:
            self._throttles[key] = Throttle(
                requests=limits.requests_per_minute,
                tokens=limits.tokens_per_minute,
                concurrency=_concurrency(expert),
            )
        return self._throttles[key]


def provider_key(expert: Expert) -> tuple[str, ...]:
    """What the expert's limits are of: address and key, and the model where it has its own."""
    model = expert.model if expert.limits.per == "model" else ""
    return expert.worker, kind_of(expert).provider(expert), expert.api_key_env, model


def price_of(expert: Expert) -> Price | None:
    """What an expert charges: the roster's price, else what its kind knows of the model."""
    return kind_of(expert).price(expert)


def _concurrency(expert: Expert) -> int:
    return expert.limits.concurrency or DEFAULT_CONCURRENCY


def secret_of(expert: Expert) -> Secret | None:
    """The key that the expert names; None where it needs none. Raises MissingKey."""
    if not expert.api_key_env:
        return None
    return read_secret(expert.api_key_env, place=f"expert `{expert.name}`")
