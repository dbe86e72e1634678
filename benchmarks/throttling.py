"""What waiting for a provider's limits takes: our Throttle beside bare asyncio-throttle.

Thousands wait at once; then twenty drawn patterns of arrivals run side by side at 200 calls
a second, half of them with tokens. Cases run in processes of their own, on the real clock.
The limits are looked at in every window that begins with a call, by when calls went on.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, NamedTuple

import orjson
from asyncio_throttle.throttler import Throttler
from rich.console import Console
from rich.table import Table

from orchestra.workers.hosted.throttle import Throttle

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "throttling.json"
CROWDS = ((2_000, 500), (10_000, 2_500))
PATTERNS, RATE, TOKENS = 20, 200, 20_000
LOOPS = 50_000


class Ask(NamedTuple):
    """One call: seconds from the start, and tokens."""

    at: float
    tokens: int


class Gone(NamedTuple):
    """One call that was let in: which, when it came, when it went on, its tokens."""

    number: int
    came: float
    at: float
    tokens: int


def main() -> None:
    console = Console(width=120)
    found = {
        "schema": 1,
        "protocol": "used: the seconds that the best strict scheduler needs for the same calls, "
        "over the seconds taken; late: calls that went on after a later one; "
        f"patterns: {PATTERNS}, at {RATE} calls and {TOKENS:,} tokens a second",
        "crowds": [
            _case("crowd", side, str(count), str(rate))
            for count, rate in CROWDS
            for side in ("throttle", "asyncio-throttle")
        ],
        "patterns": _case("patterns"),
        "uncontended_us": _case("uncontended"),
    }
    _show(found, console)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _case(name: str, *arguments: str) -> dict[str, Any]:
    """Run one case in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.throttling", name, *arguments],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def crowd(side: str, count: int, rate: int) -> dict[str, Any]:
    """So many come at once, and wait."""
    ours, theirs = Throttle(requests=rate, period=1.0), Throttler(rate)

    async def through_ours(_: Ask) -> float:
        ours.leave(slot := await ours.enter())
        return slot.at

    async def through_theirs(_: Ask) -> float:
        async with theirs:
            return time.monotonic()

    enter = through_ours if side == "throttle" else through_theirs
    spent = time.process_time()
    gone = asyncio.run(_serve(enter, [Ask(0.0, 0)] * count))
    spent = time.process_time() - spent
    times = [each.at for each in gone]
    return {
        "side": side,
        "waiters": count,
        "rate": rate,
        "cpu": round(spent, 3),
        "seconds": round(times[-1], 2),
        "used": round((count / rate - 1) / (times[-1] - times[0]), 4),
        "most_in_a_second": _most([(at, 1) for at in times]),
        "late": _late(gone),
    }


def patterns() -> dict[str, Any]:
    """Twenty patterns, all at once, each on a throttle of its own."""

    async def one(asks: Sequence[Ask]) -> list[Gone]:
        limits = Throttle(requests=RATE, tokens=TOKENS, period=1.0)

        async def enter(ask: Ask) -> float:
            limits.leave(slot := await limits.enter(ask.tokens))
            return slot.at

        return await _serve(enter, asks)

    async def every() -> list[list[Gone]]:
        return await asyncio.gather(*(one(asks) for asks in drawn))

    drawn = [_pattern(seed) for seed in range(PATTERNS)]
    spent = time.process_time()
    served = asyncio.run(every())
    spent = time.process_time() - spent
    used, calls, tokens = [], [], []
    for gone in served:
        used.append(_used(gone))
        calls.append(_most([(each.at, 1) for each in gone]))
        tokens.append(_most([(each.at, each.tokens) for each in gone]))
    return {
        "patterns": PATTERNS,
        "calls": sum(map(len, drawn)),
        "cpu": round(spent, 3),
        "used_least": round(min(used), 4),
        "used_median": round(median(used), 4),
        "most_in_a_second": max(calls),
        "most_tokens_in_a_second": max(tokens),
        "late": sum(map(_late, served)),
    }


def uncontended() -> dict[str, float]:
    """Microseconds to enter and leave where there is room and nobody waits."""

    async def ours(**limits: Any) -> float:
        given = Throttle(**limits)
        since = time.perf_counter()
        for _ in range(LOOPS):
            given.leave(await given.enter(100), 50)
        return time.perf_counter() - since

    async def theirs() -> float:
        given = Throttler(10**9)
        since = time.perf_counter()
        for _ in range(LOOPS):
            async with given:
                pass
        return time.perf_counter() - since

    limits = {"requests": 10**9, "tokens": 10**12, "concurrency": 64}
    cases: dict[str, Callable[[], Awaitable[float]]] = {
        "no limits": ours,
        "requests": lambda: ours(requests=10**9),
        "requests, tokens, concurrency": lambda: ours(**limits),
        "asyncio-throttle": theirs,
    }
    return {name: _best(case) for name, case in cases.items()}


def _best(case: Callable[[], Awaitable[float]]) -> float:
    """Microseconds a loop, of the best of five."""

    async def five() -> float:
        return min([await case() for _ in range(5)])

    return round(asyncio.run(five()) / LOOPS * 1e6, 2)


async def _serve(enter: Callable[[Ask], Awaitable[float]], asks: Sequence[Ask]) -> list[Gone]:
    """When each came and went on, in the order in which they went on."""
    gone: list[Gone] = []
    tasks: list[asyncio.Task[None]] = []
    gc.collect()
    since = time.monotonic()

    async def one(number: int, ask: Ask) -> None:
        came = time.monotonic() - since
        at = await enter(ask)
        gone.append(Gone(number, came, at - since, ask.tokens))

    for number, ask in enumerate(asks):
        early = ask.at - (time.monotonic() - since)
        if early > 0:
            await asyncio.sleep(early)
        tasks.append(asyncio.create_task(one(number, ask)))
    await asyncio.gather(*tasks)
    return gone


def _most(weights: Sequence[tuple[float, int]]) -> int:
    """The largest sum in any second."""
    worst, since, total = 0, 0, 0
    for at, weight in weights:
        total += weight
        while weights[since][0] < at - 1.0:
            total -= weights[since][1]
            since += 1
        worst = max(worst, total)
    return worst


def _late(gone: Sequence[Gone]) -> int:
    """How many went on after one that came later."""
    furthest = accumulate((each.number for each in gone), max)
    return sum(each.number < before for each, before in zip(gone, furthest, strict=True))


def _used(gone: Sequence[Gone]) -> float:
    """What the best strict scheduler that keeps the order would take for them, over what it took.

    Never later than it may: each when it has come, and a second after what it must wait for.
    """
    best: list[float] = []
    for number, each in enumerate(gone):
        at = max(each.came, best[-1] if best else 0.0)
        if number >= RATE:
            at = max(at, best[number - RATE] + 1.0)
        held, since = each.tokens, number
        while since and held + gone[since - 1].tokens <= TOKENS:
            since -= 1
            held += gone[since].tokens
        if since:
            at = max(at, best[since - 1] + 1.0)
        best.append(at)
    return (best[-1] - best[0]) / (gone[-1].at - gone[0].at)


def _pattern(seed: int) -> list[Ask]:
    """Bursts, a Poisson process, a drip or all of them; half with tokens, some very large."""
    draw = Random(f"throttling:{seed}")
    burst = [at for _ in range(4) for at in [draw.uniform(0, 3)] * draw.randint(50, 400)]
    poisson = list(accumulate(draw.expovariate(draw.uniform(210, 500)) for _ in range(1_000)))
    step = 1 / draw.uniform(205, 260)
    drip = [number * step + draw.uniform(0, step) for number in range(1_000)]
    times = (burst, poisson, drip, burst + poisson[:300] + drip[:300])[seed % 4]
    sizes = (0,) if seed % 8 < 4 else (0, 20, 60, 150, 400)
    return [
        Ask(at, TOKENS if any(sizes) and draw.random() < 0.002 else draw.choice(sizes))
        for at in sorted(times)
    ]


def _show(found: dict[str, Any], console: Console) -> None:
    console.print(found["protocol"])
    view = Table(
        "waiters", "a second", "through", "CPU", "seconds", "used", "most in any second", "late",
        title="Crowds",
    )  # fmt: skip
    for row in found["crowds"]:
        view.add_row(
            f"{row['waiters']:,}",
            f"{row['rate']:,}",
            row["side"],
            f"{row['cpu']:.2f} s",
            f"{row['seconds']:.2f}",
            f"{row['used']:.1%}",
            f"{row['most_in_a_second']:,}",
            f"{row['late']:,}",
        )
    console.print(view)
    drawn = found["patterns"]
    console.print(
        f"{drawn['patterns']} patterns, {drawn['calls']:,} calls: used at least "
        f"{drawn['used_least']:.1%} (median {drawn['used_median']:.1%}), at most "
        f"{drawn['most_in_a_second']} calls and {drawn['most_tokens_in_a_second']:,} tokens in "
        f"any second, {drawn['late']} late; {drawn['cpu']:.2f} s CPU"
    )
    costs = Table("limits", "microseconds to enter and leave", title="Nobody waits")
    for name, cost in found["uncontended_us"].items():
        costs.add_row(name, f"{cost:.2f}")
    console.print(costs)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        name, *given = sys.argv[1:]
        cases: dict[str, Callable[..., dict[str, Any]]] = {
            "crowd": crowd,
            "patterns": patterns,
            "uncontended": uncontended,
        }
        told = cases[name](*(int(each) if each.isdigit() else each for each in given))
        sys.stdout.buffer.write(orjson.dumps(told))
    else:
        main()
