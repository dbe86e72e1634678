"""Models that somebody else serves, ready to be asked: each expert's callers, folded.

Knows in which order a call is retried, paid for and throttled, and what experts on one provider
key share; does not know what any of these does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from orchestra.errors import InputError, InputErrors, raise_all
from orchestra.roster import Expert, Price
from orchestra.runs import Account
from orchestra.workers.base import Caller, Worker
from orchestra.workers.budgeted import Budgeted, worst_cost, worst_tokens
from orchestra.workers.hosted.concurrent import MOST_DRAWS, ConcurrentWorker
from orchestra.workers.hosted.litellm import LiteLLMCaller, check_litellm, litellm_price
from orchestra.workers.hosted.openai import OpenAICaller, Sessions
from orchestra.workers.hosted.retry import Retry
from orchestra.workers.hosted.throttle import Throttle, Throttled
from orchestra.workers.hosted.wire import Dialect
from orchestra.workers.secrets import Secret, read_secret

DEFAULT_CONCURRENCY = 64
"""Calls in flight on one provider key where the roster does not say."""


class HostedModels:
    """What hosted experts of one process share: sessions, and a throttle for each provider key."""

    def __init__(self) -> None:
        self._sessions = Sessions()
        self._throttles: dict[tuple[str, ...], Throttle] = {}

    def check(self, expert: Expert) -> None:
        """Raise InputErrors for whatever would keep the expert from being called."""
        tests: list[Callable[[Expert], object]] = [Dialect.of, _secret]
        if expert.worker == "litellm":
            tests.append(check_litellm)
        errors: list[InputError] = []
        for test in tests:
            try:
                test(expert)
            except InputErrors as several:
                errors += several.errors
            except InputError as error:
                errors.append(error)
        raise_all(errors)

    @asynccontextmanager
    async def open(self, expert: Expert, account: Account | None = None) -> AsyncIterator[Worker]:
        """The expert's worker.

        Args:
            expert: `worker: openai` or `worker: litellm`.
            account: pays for every attempt; None: nobody counts.
        """
        priced = replace(expert, price=price_of(expert))
        throttle = self._throttle(expert)
        async with AsyncExitStack() as held:
            caller, most = await self._caller(priced, held)
            waits = None if account is None else account.waits
            if account is not None:  # innermost: what waits for its turn holds no money
                caller = Budgeted(caller, account, worst_cost(priced.price))
            caller = Throttled(caller, throttle, worst_tokens, waits=waits)
            caller = Retry(caller, expert.calls, waits=waits)
            # Those that wait for their next attempt keep nobody else from being asked.
            yield ConcurrentWorker(caller, window=2 * _concurrency(expert), most=most)

    async def _caller(self, expert: Expert, held: AsyncExitStack) -> tuple[Caller, int]:
        """What makes single attempts, closed with `held`, and how many draws one of them takes."""
        secret = _secret(expert)
        if expert.worker == "litellm":
            caller = LiteLLMCaller(expert, secret=secret)
            held.push_async_callback(caller.close)
            return caller, caller.draws
        session = await held.enter_async_context(self._sessions.session())
        return OpenAICaller(expert, session, dialect=Dialect.of(expert), secret=secret), MOST_DRAWS

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
    address = expert.base_url.rstrip("/")
    if expert.worker == "litellm" and not address:
        address = expert.model.partition("/")[0]
    model = expert.model if expert.limits.per == "model" else ""
    return expert.worker, address, expert.api_key_env, model


def price_of(expert: Expert) -> Price | None:
    """What a hosted expert charges: the roster's price, else that of litellm's own map."""
    if expert.price is None and expert.worker == "litellm":
        return litellm_price(expert.model)
    return expert.price


def _concurrency(expert: Expert) -> int:
    return expert.limits.concurrency or DEFAULT_CONCURRENCY


def _secret(expert: Expert) -> Secret | None:
    if not expert.api_key_env:
        return None
    return read_secret(expert.api_key_env, place=f"expert `{expert.name}`")
