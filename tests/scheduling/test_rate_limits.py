"""How long servers of somebody else take, by their declared limits and measured seconds."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from orchestra.roster import Expert, Limits
from orchestra.scheduling.intervals import Span, exactly
from orchestra.scheduling.rate_limits import Elapsed, Load, Work, elapsed, in_turn

URL = "http://127.0.0.1:8000/v1"
MINUTE = 60.6


def work(
    name: str = "a",
    *,
    calls: int = 100,
    tokens: float = 0.0,
    seconds: float | None = None,
    limits: Limits | None = None,
    reserved: int = 0,
    url: str = URL,
    key: str = "KEY",
) -> Work:
    expert = Expert(
        name,
        f"m-{name}",
        worker="openai",
        base_url=url,
        api_key_env=key,
        limits=limits or Limits(),
    )
    return Work(
        expert,
        Load(exactly(calls), seconds, 0.0, reserved),
        exactly(0.0),
        exactly(tokens),
        None if seconds is None else exactly(calls * seconds),
    )


def told(*works: Work, engines: float | None = 0.0) -> Elapsed:
    found = elapsed(works, engines)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("limits", "given", "seconds", "bottleneck"),
    [
        (Limits(requests_per_minute=40), {"calls": 100}, 2 * MINUTE, "requests a minute of"),
        (Limits(requests_per_minute=40), {"calls": 40}, 0.0, "requests a minute of"),
        (Limits(requests_per_minute=40), {"calls": 41}, MINUTE, "requests a minute of"),
        (Limits(tokens_per_minute=1_000), {"tokens": 3_500}, 3 * MINUTE, "tokens a minute of"),
        (
            Limits(requests_per_minute=50, tokens_per_minute=1_000),
            {"tokens": 3_500},
            3 * MINUTE,
            "tokens a minute of",
        ),
        (Limits(concurrency=4), {"seconds": 2.0}, 51.0, "calls at once to"),  # the last runs on
        (Limits(), {"seconds": 2.0, "calls": 640}, 21.0, "calls at once to"),  # 64 at once
        (Limits(), {"seconds": 2.0, "calls": 64}, 2.0, "calls at once to"),
        (
            Limits(requests_per_minute=50),
            {"seconds": 2.0},
            MINUTE + 2.0,  # the last is let in after a minute and takes its time
            "requests a minute of",
        ),
        (
            Limits(tokens_per_minute=10_000, concurrency=100),
            {"seconds": 3.0, "reserved": 5_000, "tokens": 10_000},
            151.5,  # two reservations fit at once
            "tokens reserved a minute at",
        ),
    ],
)
def test_what_each_limit_takes(
    limits: Limits, given: dict[str, float], seconds: float, bottleneck: str
) -> None:
    found = told(work(limits=limits, **given))  # type: ignore[arg-type]
    assert found.seconds.usual == pytest.approx(seconds)
    assert found.seconds.low <= seconds <= found.seconds.high
    assert found.bottleneck == f"{bottleneck} {URL}"
    assert found.at_least is ("seconds" not in given)


FIFTY = Limits(requests_per_minute=50)


@pytest.mark.parametrize(
    ("second", "seconds"),
    [
        (work("b", limits=FIFTY), 3 * MINUTE),  # one key: 200 calls
        (work("b"), 3 * MINUTE),  # whoever declares nothing is held by the same throttle
        (work("b", limits=Limits(requests_per_minute=20)), 9 * MINUTE),  # the strictest holds
        (work("b", limits=FIFTY, url=f"{URL}/"), 3 * MINUTE),  # the same address
        (work("b", limits=FIFTY, key="OTHER"), MINUTE),  # side by side
        (work("b", limits=FIFTY, url="http://127.0.0.1:9000/v1"), MINUTE),
    ],
)
def test_experts_on_one_key_share_its_limits(second: Work, seconds: float) -> None:
    assert told(work(limits=FIFTY), second).seconds.usual == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("models", "seconds"),
    [(("openai/x", "anthropic/y"), MINUTE), (("openai/x", "openai/y"), 3 * MINUTE)],
)
def test_litellm_tells_providers_apart_by_their_models(
    models: tuple[str, str], seconds: float
) -> None:
    load = Load(exactly(100), None, None, 0)
    both = [
        Work(
            Expert(model[-1], model, worker="litellm", limits=FIFTY),
            load,
            exactly(0),
            exactly(0),
            None,
        )
        for model in models
    ]
    assert told(*both).seconds.usual == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("key", "engines", "seconds"),
    [
        ("KEY", 0.0, 3 * MINUTE),  # one window goes on into the next
        ("OTHER", 0.0, 2 * MINUTE),  # one minute each, one after the other
        ("OTHER", 90.0, MINUTE + 90.0),  # engines begin when the first are done
    ],
)
def test_what_comes_first_is_waited_for(key: str, engines: float, seconds: float) -> None:
    found = in_turn([work(limits=FIFTY)], [work("b", limits=FIFTY, key=key)], engines)
    assert found is not None
    assert found.seconds.usual == pytest.approx(seconds)


def test_nothing_in_turn_takes_no_time() -> None:
    assert in_turn([], [], 0.0) is None
    alone = work(seconds=2.0)
    assert in_turn([], [alone], 0.0) == in_turn([alone], [], 0.0) == elapsed([alone], 0.0)


def test_limits_of_a_model_are_its_own() -> None:
    own = Limits(requests_per_minute=50, per="model")
    found = told(work(limits=own), work("b", limits=own))
    assert found.seconds.usual == pytest.approx(MINUTE)
    assert found.bottleneck == f"requests a minute of m-a at {URL}"


@pytest.mark.parametrize(
    ("engines", "seconds", "at_least", "bottleneck"),
    [
        (0.0, 51.0, False, f"calls at once to {URL}"),
        (30.0, 51.0, False, f"calls at once to {URL}"),
        (500.0, 500.0, False, "the engines of this machine"),
        (None, 51.0, True, f"calls at once to {URL}"),
    ],
)
def test_engines_work_beside_servers(
    engines: float | None, seconds: float, at_least: bool, bottleneck: str
) -> None:
    found = told(work(seconds=2.0, limits=Limits(concurrency=4)), engines=engines)
    assert found.seconds.usual == pytest.approx(seconds)
    assert (found.at_least, found.bottleneck) == (at_least, bottleneck)


def test_without_limits_and_seconds_nothing_is_known() -> None:
    assert elapsed([work()], 0.0) is None
    assert elapsed([work()], None) is None


def test_of_one_expert_nothing_is_known() -> None:
    found = told(work(seconds=2.0), work("b"))
    assert found.at_least


def test_a_server_without_address_is_told_by_its_variable() -> None:
    expert = Expert("a", "openai/m", worker="litellm", api_key_env="SOME_KEY")
    load = Load(exactly(10), 1.0, None, 0)
    found = told(Work(expert, load, exactly(0), exactly(0), exactly(10.0)))
    assert found.bottleneck == "calls at once to litellm, SOME_KEY"


def test_an_interval_of_tokens_becomes_one_of_time() -> None:
    one = work(limits=Limits(tokens_per_minute=1_000))
    sure = Work(one.expert, one.load, one.reads, Span(2_500, 3_500, 5_500, bound=True), None)
    found = told(sure).seconds
    assert found.ends == pytest.approx((2 * MINUTE, 5.5 * MINUTE))


@pytest.mark.parametrize("calls", [10, 64, 100, 1_000])
@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_simulated_queues_end_within_the_interval(calls: int, spread: float) -> None:
    """Calls of lognormal seconds through 64 places, first come, first served."""
    rng = np.random.default_rng(calls)
    sigma = np.log1p(spread**2) ** 0.5
    load = Load(exactly(calls), 3.0, spread, 0)
    expert = work().expert
    inside, ends = 0, []
    for _ in range(200):
        drawn = rng.lognormal(np.log(3.0) - sigma**2 / 2, sigma, calls)
        free = [0.0] * 64
        for seconds in drawn:
            heapq.heapreplace(free, free[0] + seconds)
        takes = Span(calls * 2.7, calls * 3.0, calls * 3.3)
        found = told(Work(expert, load, exactly(0), exactly(0), takes)).seconds
        ends.append(max(free))
        inside += found.low <= max(free) <= found.high
    assert inside / 200 >= 0.95
    assert found.usual == pytest.approx(np.mean(ends), rel=0.35)
