"""What a hosted call costs: the whole stack beside a bare aiohttp loop, openai and litellm.

Each measurement is a fresh process that asks the loopback provider, which runs in one of its
own; contenders take turns, and ratios are to the floor of the same round. A package that is not
installed is said and left out. Run `python -m benchmarks.hosted [--only NAMES] [--repeats N]`.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "hosted.json"
CONCURRENCY, LATENCY = (64, 256), (0.0, 0.02)
REPEATS, BEST_OF = 3, 5
MOST_TOKENS = 256
WARM = 100  # calls of each process that are not measured, a batch for every connection at least
Json = dict[str, Any]

# name -> (calls that are measured, the package it needs)
CONTENDERS: dict[str, tuple[int, str]] = {
    "floor": (8_000, "aiohttp"),
    "orchestra": (8_000, "orchestra"),
    "openai": (600, "openai"),
    "litellm": (600, "litellm"),
    "router": (600, "litellm"),
}
TITLES = {
    "floor": "bare aiohttp loop",
    "orchestra": "orchestra, worker: openai",
    "openai": "openai.AsyncOpenAI",
    "litellm": "litellm.acompletion",
    "router": "litellm.Router",
}

# --- what a child does; it imports nothing that its contender does not need ---------------


class Work(NamedTuple):
    """What one process is to ask."""

    url: str
    calls: int
    concurrency: int


def question(number: int) -> tuple[str, tuple[str, ...]]:
    """A question of the usual size and its options; no two are the same."""
    a, b = number % 997, number // 7 + 11
    text = (
        f"Exercise {number}. A train leaves with {a} passengers and {b} more get on at the first "
        "station, while nobody gets off. How many passengers does the train carry to the second "
        "station? Think about it and say which option is right."
    )
    return text, tuple(f"{a + b + off} passengers" for off in (-10, 0, 1, 10))


def chat(number: int) -> list[dict[str, str]]:
    text, options = question(number)
    lines = [f"{letter}. {each}" for letter, each in zip("ABCD", options, strict=True)]
    said = 'Say why in one sentence, then end with "The answer is (X)."'
    return [{"role": "user", "content": "\n".join([text, *lines, said])}]


Ask = Callable[[int], Awaitable[str]]


@asynccontextmanager
async def floor(work: Work) -> AsyncIterator[Ask]:
    """The least that anybody can do: one session, bytes out, bytes in."""
    import aiohttp
    import orjson

    url, headers = f"{work.url}/v1/chat/completions", {"content-type": "application/json"}
    connector = aiohttp.TCPConnector(limit=work.concurrency)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def ask(number: int) -> str:
            body = {"model": "m", "messages": chat(number), "max_tokens": MOST_TOKENS}
            sent = orjson.dumps({**body, "temperature": 0.0})
            async with session.post(url, data=sent) as response:
                told = orjson.loads(await response.read())
            text: str = told["choices"][0]["message"]["content"]
            return text

        yield ask


@asynccontextmanager
async def openai(work: Work) -> AsyncIterator[Ask]:
    """The SDK on its default transport."""
    from openai import AsyncOpenAI

    base = f"{work.url}/v1"
    async with AsyncOpenAI(base_url=base, api_key="none", max_retries=0) as client:

        async def ask(number: int) -> str:
            told = await client.chat.completions.create(
                model="m",
                messages=chat(number),  # type: ignore[arg-type,unused-ignore]
                max_tokens=MOST_TOKENS,
                temperature=0.0,
            )
            return told.choices[0].message.content or ""

        yield ask


@asynccontextmanager
async def litellm(work: Work) -> AsyncIterator[Ask]:
    """The function, with its own retries off."""
    import litellm as package

    package.suppress_debug_info = True
    to: Json = {"model": "openai/m", "api_base": f"{work.url}/v1", "api_key": "none"}

    async def ask(number: int) -> str:
        told = await package.acompletion(
            **to, messages=chat(number), num_retries=0, max_tokens=MOST_TOKENS, temperature=0.0
        )
        return str(told.choices[0].message.content)

    yield ask


@asynccontextmanager
async def router(work: Work) -> AsyncIterator[Ask]:
    """One deployment behind litellm's Router, with its own retries off."""
    import litellm as package

    package.suppress_debug_info = True
    to = {"model": "openai/m", "api_base": f"{work.url}/v1", "api_key": "none"}
    entry = {"model_name": "m", "litellm_params": to}
    found = package.Router(model_list=[entry], num_retries=0)

    async def ask(number: int) -> str:
        told = await found.acompletion(
            model="m", messages=chat(number), max_tokens=MOST_TOKENS, temperature=0.0
        )
        return str(told.choices[0].message.content)

    yield ask


CLIENTS: dict[str, Callable[[Work], AbstractAsyncContextManager[Ask]]] = {
    "floor": floor,
    "openai": openai,
    "litellm": litellm,
    "router": router,
}


async def by_client(name: str, work: Work) -> Json:
    """Tasks that pull the next number from one iterator, all alike for every client."""
    async with CLIENTS[name](work) as ask:

        async def pull(numbers: Iterator[int]) -> int:
            return sum([(await ask(number)).startswith("The answer is") for number in numbers])

        async def answer(numbers: Iterable[int]) -> int:
            shared = iter(numbers)
            return sum(await asyncio.gather(*[pull(shared) for _ in range(work.concurrency)]))

        warm = max(WARM, work.concurrency)
        await answer(range(warm))
        with Stopwatch() as watch:
            answered = await answer(range(warm, warm + work.calls))
    return {**watch.read, "answered": answered}


async def by_orchestra(name: str, work: Work) -> Json:
    """The generate stage with all that a run has: throttle, retry, account, ledger, answers."""
    del name
    warm = max(WARM, work.concurrency)
    await drafted(work, range(warm))
    with Stopwatch() as watch:
        answered = await drafted(work, range(warm, warm + work.calls))
    return {**watch.read, "answered": answered}


async def drafted(work: Work, numbers: range) -> int:
    """How many of the questions got an answer, in a run folder of their own."""
    from orchestra.pipeline import Drafting, Generate, WorkerPool, open_context
    from orchestra.records import Plan, Question, Sampling, Seat
    from orchestra.roster import Expert, Limits, Roster
    from orchestra.runs import SPENDING, Account, Budget, RunFolder

    expert = Expert(
        "m",
        "m",
        worker="openai",
        base_url=f"{work.url}/v1",
        sampling=Sampling(max_tokens=MOST_TOKENS),
        # Windows that never close, but are kept.
        limits=Limits(10**9, 10**12, work.concurrency),
    )
    questions = {str(n): Question(str(n), *question(n)) for n in numbers}
    plans = [Plan(each, (Seat("m", 1.0, "bench"),), "fixed", 0) for each in questions]
    local, budget = WorkerPool(), Budget(calls=10 * len(numbers))
    told: Json = {"command": "bench", "identity": {"run": "bench"}, "details": {}}
    with (
        tempfile.TemporaryDirectory() as path,
        RunFolder.open(Path(path) / "run", **told) as folder,
        Account.open(folder.path / SPENDING, budget) as account,
    ):
        drafting = Drafting(plans, questions, Generate())
        identities = {"m": local.identity(expert)}
        async with open_context(
            Roster.of(expert), local, identities, account=account, ledger=folder.ledger
        ) as context:
            await context.run(drafting, texts=False)
    return sum(draft.value is not None for row in drafting.drafts for draft in row)


class Stopwatch:
    """Seconds, and CPU seconds of this process, from entry to exit."""

    read: Json

    def __enter__(self) -> Stopwatch:
        self._cpu, self._since = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.perf_counter() - self._since
        self.read = {"seconds": seconds, "cpu": time.process_time() - self._cpu}


def peak_mb() -> float:
    """The most memory that this process held; `ru_maxrss` would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def child(name: str, work: Work) -> None:
    measure = by_orchestra if name == "orchestra" else by_client
    found = asyncio.run(measure(name, work))
    print(json.dumps({**found, "peak_mb": peak_mb()}), flush=True)


# --- what the parent does -----------------------------------------------------------------


def control(url: str, **told: Any) -> Json:
    request = Request(f"{url}/control", json.dumps(told).encode() if told else None)
    with urlopen(request) as response:
        found: Json = json.load(response)
    return found


def run_child(name: str, work: Work) -> Json:
    """One measurement; the provider's own count must agree with it."""
    before = control(work.url, reset=True)
    words = ["--child", name, "--url", work.url, "--calls", str(work.calls)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.hosted", *words, f"--concurrency={work.concurrency}"],
        cwd=ROOT,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.decode()[-2000:]}")
    found: Json = json.loads(done.stdout.splitlines()[-1])
    after = control(work.url)
    asked = work.calls + max(WARM, work.concurrency)
    if found["answered"] != work.calls or after["paid"] != asked:
        raise RuntimeError(f"{name}: {found['answered']} answers, {after['paid']} of {asked} paid")
    server = after["cpu_seconds"] - before["cpu_seconds"]
    return {**found, "calls": work.calls, "server_cpu": server * work.calls / asked}


Rounds = dict[tuple[float, int], list[dict[str, Json]]]


def measure(names: list[str], repeats: int, scale: float) -> Rounds:
    from benchmarks.provider import provider

    rounds: Rounds = {(each, many): [] for each in LATENCY for many in CONCURRENCY}
    for turn in range(repeats):
        for (latency, many), found in rounds.items():
            first = turn % len(names)
            with provider(latency=latency) as url:
                one = {}
                for name in names[first:] + names[:first]:
                    calls = int(CONTENDERS[name][0] * scale)
                    one[name] = run_child(name, Work(url, calls, many))
            found.append(one)
            said = ", ".join(f"{name} {cpu(each):.2f}" for name, each in one.items())
            print(f"round {turn + 1}, {many} at {latency} s: {said}", file=sys.stderr)
    return rounds


def summary(rounds: Rounds, names: list[str]) -> list[Json]:
    return [
        {
            "latency_ms": round(1000 * latency),
            "concurrency": many,
            "contenders": {name: contender(name, found) for name in names},
        }
        for (latency, many), found in rounds.items()
    ]


def contender(name: str, rounds: list[dict[str, Json]]) -> Json:
    own = [each[name] for each in rounds]
    told: Json = {
        "calls": own[0]["calls"],
        "calls_per_second": spread(rate(each) for each in own),
        "cpu_per_1000": spread(cpu(each) for each in own),
        "server_cpu_per_1000": spread(1000 * each["server_cpu"] / each["calls"] for each in own),
        "peak_mb": round(max(each["peak_mb"] for each in own), 1),
    }
    if "floor" in rounds[0]:
        told["cpu_over_floor"] = spread(cpu(each[name]) / cpu(each["floor"]) for each in rounds)
    if name == "orchestra":
        told["times_the_calls_of"] = {
            other: spread(rate(each[name]) / rate(each[other]) for each in rounds)
            for other in rounds[0]
            if other != name
        }
    return told


def rate(found: Json) -> float:
    return float(found["calls"] / found["seconds"])


def cpu(found: Json) -> float:
    return float(1000 * found["cpu"] / found["calls"])


def spread(values: Iterable[float]) -> dict[str, float]:
    sample = [*values]
    shown = {"median": statistics.median(sample), "least": min(sample), "most": max(sample)}
    return {name: round(value, 4) for name, value in shown.items()}


OPENED = """
import sys
opened = []
sys.addaudithook(lambda event, _: opened.append(event) if event.startswith("socket.") else None)
import orchestra
print(len(opened))
"""


def imports() -> Json:
    """How long it takes to start, the best of several, in seconds."""
    commands = {
        "empty interpreter": ("-c", "pass"),
        "import orchestra": ("-c", "import orchestra"),
        "orchestra --help": ("-m", "orchestra", "--help"),
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(BEST_OF):
        for name, words in commands.items():
            since = time.perf_counter()
            subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)
            taken[name].append(time.perf_counter() - since)
    looked = subprocess.run([sys.executable, "-c", OPENED], cwd=ROOT, check=True, stdout=-1)
    best = {name: round(min(each), 3) for name, each in taken.items()}
    return {"seconds": best, "sockets_at_import": int(looked.stdout)}


def versions() -> dict[str, str]:
    names = ("aiohttp", "openai", "litellm", "torch")
    return {name: importlib.metadata.version(name) for name in names if find_spec(name)}


def show(found: Json) -> None:
    from rich.console import Console  # not at the top: a child's memory is measured
    from rich.table import Table

    console = Console(width=100)
    for each in found["conditions"]:
        title = f"{each['concurrency']} in flight, {each['latency_ms']} ms"
        heads = ("calls/s", "CPU s / 1,000", "over the floor", "least to most", "peak MB")
        table = Table("", *heads, title=title)
        for name, row in each["contenders"].items():
            ratio = row.get("cpu_over_floor")
            shown = [f"{row['calls_per_second']['median']:,.0f}"]
            shown.append(f"{row['cpu_per_1000']['median']:.3f}")
            shown.append(f"{ratio['median']:.2f}" if ratio else "")
            shown.append(f"{ratio['least']:.2f} to {ratio['most']:.2f}" if ratio else "")
            table.add_row(TITLES[name], *shown, f"{row['peak_mb']:.0f}")
        console.print(table)
        times = each["contenders"].get("orchestra", {}).get("times_the_calls_of", {})
        for other, ratio in times.items():
            console.print(f"orchestra: {ratio['median']:.1f} times the calls of {TITLES[other]}")
    for name in found["absent"]:
        console.print(f"{TITLES[name]}: left out, `{CONTENDERS[name][1]}` is not installed")
    for name, seconds in found["imports"]["seconds"].items():
        console.print(f"{name}: {seconds:.3f} s (best of {BEST_OF})")
    console.print(f"sockets at import: {found['imports']['sockets_at_import']}")


def main() -> None:
    parser = ArgumentParser(description="What a hosted call costs.")
    parser.add_argument("--child", choices=CONTENDERS)
    parser.add_argument("--url")
    parser.add_argument("--calls", type=int)
    parser.add_argument("--concurrency", type=int)
    parser.add_argument("--only", help="contenders, with commas between; writes no file")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual calls")
    given = parser.parse_args()
    if given.child:
        return child(given.child, Work(given.url, given.calls, given.concurrency))
    wanted = given.only.split(",") if given.only else [*CONTENDERS]
    present = [name for name in wanted if find_spec(CONTENDERS[name][1])]
    rounds = measure(present, given.repeats, given.scale)
    found: Json = {
        "schema": 1,
        "protocol": f"{given.repeats} rounds; contenders in turns, each time a fresh process whose "
        "start and first calls are not counted; medians; ratios to the floor of the same round; "
        "client and provider have a process each",
        "machine": f"{os.cpu_count()} cores CPU",
        "packages": versions(),
        "absent": [name for name in wanted if name not in present],
        "conditions": summary(rounds, present),
        "imports": imports(),
    }
    if not given.only:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(found, indent=2) + "\n")
    show(found)
    return None


if __name__ == "__main__":
    main()
