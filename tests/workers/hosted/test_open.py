"""HostedModels: what experts on one key share, and in which order a call is wrapped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from orchestra.errors import BudgetExhausted, InputError
from orchestra.records import Failure, Generation, Message, Request, Sampling, Usage
from orchestra.roster import Calls, Expert, Limits, Price
from orchestra.runs import Account, Budget
from orchestra.workers import kinds
from orchestra.workers.hosted import open as hosted
from orchestra.workers.hosted.open import HostedModels, price_of, provider_key
from orchestra.workers.hosted.throttle import Throttle
from orchestra.workers.pool import WorkerPool
from tests.virtual_time import now, run

KEY = "TEST_PROVIDER_KEY"
PRICE = Price(1_000.0, 2_000.0)
BUSY = Failure("server_error", "503", retryable=True)
SAMPLING = Sampling(max_tokens=100)


def expert(name: str = "one", **fields: Any) -> Expert:
    given = {"model": name, "worker": "openai", "base_url": "http://h/v1", "sampling": SAMPLING}
    return Expert(name, **{**given, **fields})


def requests(whose: Expert, count: int) -> list[Request]:
    prompt = (Message("user", "?"),)
    return [
        Request(f"{whose.name}{i}", f"q{i}", whose.name, "generate", prompt, SAMPLING)
        for i in range(count)
    ]


@dataclass
class Provider:
    """Stands for every server: knows when it was asked by whom, and how many ask at once."""

    seconds: float = 1.0
    said: Sequence[Failure | None] = (None,)
    usage: Usage = Usage(1, 20, 10, money=PRICE.money(20, 10))
    asked: list[tuple[float, str]] = field(default_factory=list)
    inside: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    secrets: list[str | None] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    prices: list[Price | None] = field(default_factory=list)

    def caller(
        self, whose: Expert, session: Any = None, *, secret: Any, dialect: Any = None
    ) -> Any:
        self.secrets.append(secret.reveal() if secret else None)
        self.prices.append(whose.price)
        return _Caller(self, whose)


@dataclass
class _Caller:
    provider: Provider
    expert: Expert
    draws: int = 16

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        its, place = self.provider, self.expert.base_url
        said = its.said[min(len(its.asked), len(its.said) - 1)]
        its.asked.append((now(), self.expert.name))
        its.inside[place] = its.inside.get(place, 0) + 1
        its.most[place] = max(its.most.get(place, 0), its.inside[place])
        try:
            await asyncio.sleep(its.seconds)
        finally:
            its.inside[place] -= 1
        [asked] = requests
        text = "" if said else "B"
        return [
            Generation(
                asked.key, asked.question_id, asked.expert, text, usage=its.usage, failure=said
            )
        ]

    async def close(self) -> None:
        self.provider.closed.append(self.expert.name)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    """In the place of every server; throttles heed the loop's clock."""
    made = Provider()
    monkeypatch.setattr(kinds, "OpenAICaller", made.caller)
    monkeypatch.setattr(kinds, "LiteLLMCaller", made.caller)
    monkeypatch.setattr(kinds, "litellm_price", {"openai/known": Price(3.0, 4.0)}.get)
    monkeypatch.setattr(hosted, "Throttle", partial(Throttle, clock=now, margin=0.0))
    return made


def ask(
    counts: Mapping[str, int],
    experts: Sequence[Expert],
    *,
    models: HostedModels | None = None,
    account: Account | None = None,
) -> tuple[float, list[Generation]]:
    """Ask these experts side by side; seconds that it took, and what came."""
    models = models or HostedModels()

    async def one(whose: Expert) -> list[Generation]:
        async with models.open(whose, account) as worker:
            return [each async for each in worker.generate(requests(whose, counts[whose.name]))]

    async def main() -> tuple[float, list[Generation]]:
        found = await asyncio.gather(*map(one, experts))
        return now(), sum(found, [])

    return run(main())


# --- who shares what ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ({}, {}, True),
        ({}, {"model": "m2"}, True),
        ({}, {"name": "two", "system": "Be brief.", "sampling": Sampling(1.0)}, True),
        ({}, {"base_url": "http://other/v1"}, False),
        pytest.param(
            {},
            {"base_url": "http://h/v1/"},
            True,
        ),
        ({}, {"api_key_env": KEY}, False),
        ({"api_key_env": KEY}, {"api_key_env": KEY}, True),
        ({"limits": Limits(per="model")}, {}, False),
        ({"limits": Limits(per="model")}, {"limits": Limits(per="model")}, True),
        (
            {"model": "m1", "limits": Limits(per="model")},
            {"model": "m2", "limits": Limits(per="model")},
            False,
        ),
        ({"limits": Limits(9)}, {"limits": Limits(9)}, True),
        (
            {"worker": "litellm", "base_url": "", "model": "openai/a"},
            {"worker": "litellm", "base_url": "", "model": "openai/b"},
            True,
        ),
        (
            {"worker": "litellm", "base_url": "", "model": "openai/a"},
            {"worker": "litellm", "base_url": "", "model": "anthropic/a"},
            False,
        ),
        (
            {"worker": "litellm", "base_url": "http://h/v1", "model": "openai/a"},
            {"worker": "litellm", "base_url": "http://h/v1", "model": "ollama/a"},
            True,
        ),
    ],
)
def test_one_provider_key(one: dict[str, Any], other: dict[str, Any], together: bool) -> None:
    first, second = expert(**{"model": "m", **one}), expert(**{"model": "m", **other})
    assert (provider_key(first) == provider_key(second)) is together


@pytest.mark.parametrize(
    ("change", "seconds", "most"),
    [
        # 12 calls of a second, three at once: together, or beside each other
        ({}, 4.0, {"http://h/v1": 3}),
        ({"base_url": "http://other/v1"}, 2.0, {"http://h/v1": 3, "http://other/v1": 3}),
        ({"limits": Limits(concurrency=3, per="model")}, 2.0, {"http://h/v1": 6}),
    ],
)
def test_a_throttle_is_shared_on_one_key_and_with_no_other(
    provider: Provider, change: dict[str, Any], seconds: float, most: dict[str, int]
) -> None:
    limits = Limits(concurrency=3)
    first, second = expert(limits=limits), expert("two", **{"limits": limits, **change})
    took, found = ask({"one": 6, "two": 6}, [first, second])
    assert (took, len(found), provider.most) == (seconds, 12, most)


def test_without_limits_there_are_64_calls_at_once(provider: Provider) -> None:
    took, _ = ask({"one": 65}, [expert()])
    assert (took, provider.most) == (2.0, {"http://h/v1": 64})


def test_requests_a_minute_are_of_all_experts_on_a_key(provider: Provider) -> None:
    limits = Limits(requests_per_minute=10)
    experts = [expert(limits=limits), expert("two", limits=limits)]
    ask({"one": 13, "two": 12}, experts)
    times = sorted(at for at, _ in provider.asked)
    assert [round(at) for at in times] == [0] * 10 + [60] * 10 + [120] * 5


def test_tokens_a_minute_are_reserved_at_worst_and_corrected(provider: Provider) -> None:
    # A call may take 117 tokens, and takes 30: one at first, then by what is known.
    limits = Limits(tokens_per_minute=147, concurrency=1)
    ask({"one": 4}, [expert(limits=limits)])
    assert [round(at) for at, _ in provider.asked] == [0, 1, 60, 61]


# --- the order of the onion -----------------------------------------------------------


def test_a_retried_attempt_is_throttled_and_paid_anew(provider: Provider) -> None:
    provider.said = [BUSY, BUSY, None]
    with Account.open(None, Budget()) as account:
        limits = Limits(requests_per_minute=1)
        _, [found] = ask({"one": 1}, [expert(limits=limits, price=PRICE)], account=account)
        assert account.spent.calls == found.usage.calls == 3
        assert account.spent.dollars == pytest.approx(found.usage.money) == pytest.approx(0.12)
        assert account.entries()["one"].spent == account.spent
        assert not account.held.calls
    assert [round(at) for at, _ in provider.asked] == [0, 60, 120]


def test_a_retry_that_the_budget_has_no_room_for_is_not_made(provider: Provider) -> None:
    provider.said = [BUSY]
    with (
        Account.open(None, Budget(calls=2)) as account,
        pytest.raises(BudgetExhausted, match="`budget.calls`"),
    ):
        ask({"one": 1}, [expert()], account=account)
    assert len(provider.asked) == 2


BUDGETS: list[tuple[Budget, dict[str, Any]]] = [
    (Budget(calls=10), {"requests_per_minute": 40}),  # they wait for money, then for a place
    (Budget(calls=10), {"requests_per_minute": 10}),  # they never come to ask for money
    (Budget(calls=10), {"concurrency": 10}),
    (Budget(tokens=10 * 117), {"requests_per_minute": 40}),
    (Budget(tokens=10 * 117), {"tokens_per_minute": 20 * 117}),
]


@pytest.mark.parametrize(("budget", "limits"), BUDGETS)
@pytest.mark.parametrize("other", [None, "http://h/v1", "http://other/v1"])
@pytest.mark.parametrize("hedge", [None, 0.5])
def test_when_the_budget_is_over_nobody_waits_for_a_place(
    provider: Provider,
    budget: Budget,
    limits: dict[str, Any],
    other: str | None,
    hedge: float | None,
) -> None:
    """Neither experts on the same key nor those on another one."""
    provider.usage = Usage(1, 107, 10)  # as much as was held, so that nothing is given back
    fields: dict[str, Any] = {"limits": Limits(**limits), "calls": Calls(hedge_after=hedge)}
    experts = [expert(**fields)]
    if other:
        experts.append(expert("two", **fields, base_url=other))
    with Account.open(None, budget) as account:
        took, found, refused = ask_all(experts, 120, account)
        assert account.spent.calls == len(provider.asked)
        assert not account.held.calls
    assert (took, refused) == (1.0, len(experts))
    assert len(found) == 10 if hedge is None else 0 < len(found) <= 10
    assert not any(provider.inside.values())


def test_when_the_budget_is_over_nobody_waits_for_the_next_attempt(provider: Provider) -> None:
    provider.said = [*[replace(BUSY, retry_after=900.0)] * 3, None]
    experts = [expert(), expert("two", base_url="http://other/v1")]
    with Account.open(None, Budget(calls=10)) as account:
        took, found, refused = ask_all(experts, 120, account)
    assert (took, refused, len(found)) == (1.0, 2, 7)


def ask_all(
    experts: Sequence[Expert], count: int, account: Account
) -> tuple[float, list[Generation], int]:
    """Seconds, what came, and how many experts were refused."""
    found: list[Generation] = []
    models = HostedModels()

    async def one(whose: Expert) -> None:
        async with models.open(whose, account) as worker:
            async for each in worker.generate(requests(whose, count)):
                found.append(each)

    async def main() -> tuple[float, int]:
        ended = await asyncio.gather(*map(one, experts), return_exceptions=True)
        return now(), sum(isinstance(each, BudgetExhausted) for each in ended)

    took, refused = run(main())
    return took, found, refused


def test_who_waits_for_the_next_attempt_keeps_nobody_from_being_asked(provider: Provider) -> None:
    provider.said = [replace(BUSY, retryable=True)] * 2 + [None]
    limits = Limits(concurrency=2)
    _, found = ask({"one": 4}, [expert(limits=limits)])
    assert all(each.failure is None for each in found)
    times = [at for at, _ in provider.asked]
    assert times[:4] == [0, 0, 1, 1]  # the third and fourth go while the first two wait


def test_a_pause_that_the_provider_asks_for_is_everybodys(provider: Provider) -> None:
    provider.said = [replace(BUSY, retry_after=30.0), None]
    limits = Limits(concurrency=1)
    ask({"one": 1, "two": 3}, [expert(limits=limits), expert("two", limits=limits)])
    assert [at < 2 or at >= 31 for at, _ in provider.asked] == [True] * 5
    assert sum(at < 31 for at, _ in provider.asked) == 1


def test_attempts_are_the_experts_own(provider: Provider) -> None:
    provider.said = [BUSY]
    _, [found] = ask({"one": 1}, [expert(calls=Calls(attempts=2))])
    assert (len(provider.asked), found.usage.calls) == (2, 2)


# --- prices and keys ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({}, None),
        ({"price": PRICE}, PRICE),
        ({"worker": "litellm", "model": "openai/known"}, Price(3.0, 4.0)),
        ({"worker": "litellm", "model": "openai/known", "price": PRICE}, PRICE),
        ({"worker": "litellm", "model": "openai/other"}, None),
        ({"model": "openai/known"}, None),  # a server of that name need not charge the same
    ],
)
def test_the_rosters_price_is_before_litellms(
    provider: Provider, fields: dict[str, Any], price: Price | None
) -> None:
    whose = expert(**fields)
    assert price_of(whose) == price
    # The account holds by the price; callers of litellm are told it as well.
    with Account.open(None, Budget(money=0.0)) as account:
        if price is None:
            ask({"one": 1}, [whose], account=account)
        else:
            with pytest.raises(BudgetExhausted):
                ask({"one": 1}, [whose], account=account)
    assert provider.prices == [price]


def test_the_key_comes_from_the_environment(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "sk-planted")
    ask({"one": 1, "two": 1}, [expert(), expert("two", api_key_env=KEY)])
    assert provider.secrets == [None, "sk-planted"]


@pytest.mark.parametrize("worker", ["openai", "litellm"])
def test_a_key_that_is_not_set_is_told_before_anything_is_called(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, worker: str
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.setattr(kinds, "check_litellm", lambda expert: None)
    whose = expert(worker=worker, api_key_env=KEY)
    with pytest.raises(InputError, match=f"`{KEY}` is not set") as caught:
        WorkerPool().check([whose])
    assert caught.value.place == "expert `one`"
    with pytest.raises(InputError):
        ask({"one": 1}, [whose])
    assert provider.asked == []


def test_callers_of_litellm_are_closed(provider: Provider) -> None:
    ask({"one": 1}, [expert(worker="litellm", model="openai/known")])
    assert provider.closed == ["one"]


# --- openings -------------------------------------------------------------------------


def test_two_event_loops_one_after_the_other(provider: Provider) -> None:
    """What a key has used up is remembered, what was under way is not."""
    models = HostedModels()
    whose = expert(limits=Limits(concurrency=3))

    async def cut_short() -> None:
        async with models.open(whose) as worker:
            task = asyncio.create_task(_first(worker, requests(whose, 9)))
            await asyncio.sleep(0.5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(cut_short())
    for _ in range(2):
        took, found = ask({"one": 6}, [whose], models=models)
        assert (took, len(found)) == (2.0, 6)


async def _first(worker: Any, asked: Sequence[Request]) -> Generation:
    found: Generation = await anext(worker.generate(asked))
    return found


def test_an_expert_that_was_given_up_is_asked_again_when_it_is_opened_anew(
    provider: Provider,
) -> None:
    provider.said = [Failure("bad_request", "400")]
    models, whose = HostedModels(), expert(limits=Limits(concurrency=1))
    for opening in (1, 2):
        _, found = ask({"one": 60}, [whose], models=models)
        given_up = sum(
            each.failure is not None and each.failure.kind == "given_up" for each in found
        )
        assert given_up > 30
        assert len(provider.asked) == opening * (60 - given_up)


def test_experts_may_be_opened_inside_each_other(provider: Provider) -> None:
    models = HostedModels()

    async def main() -> int:
        async with AsyncExitStack() as held:
            workers = [
                await held.enter_async_context(models.open(expert(name))) for name in ("one", "two")
            ]
            found = [
                each
                for name, worker in zip(("one", "two"), workers, strict=True)
                async for each in worker.generate(requests(expert(name), 2))
            ]
        return len(found)

    assert run(main()) == 4
