"""What the vLLM worker costs beside a bare `LLM.generate`: the same prompts, engine and settings.

Both engines are loaded once, each in a process of its own, and take turns in pairs; which goes
first alternates. The bare one is given prompts that are already written out by the chat
template and returns when all are done; the worker renders them, sends them over and reads
each Generation as it comes. Run with vLLM installed: `python -m benchmarks.vllm_overhead`.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from rich.console import Console
from rich.table import Table

from orchestra.records import Message, Request, Sampling
from orchestra.roster import Expert
from orchestra.workers.vllm.engine import VllmEngine
from orchestra.workers.vllm.options import load_order
from orchestra.workers.vllm.process import DIED, Child

if TYPE_CHECKING:
    from orchestra.workers.vllm.process_child import Parent

RESULT = Path(__file__).resolve().parent / "results" / "vllm_overhead.json"
MODEL = "embedded/abacus"
PROMPTS, PAIRS, NEW = 2_000, 7, 48
PATIENCE = 1800.0


def main(parent: Parent) -> None:
    """The bare engine: what runs in the other process."""
    from vllm import LLM, SamplingParams
    from vllm.platforms import current_platform

    (order,) = parent.hear(wait=True)
    if current_platform.is_cpu():
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        order["options"] = {**order["on_cpu"], **order["options"]}
    llm = LLM(model=order["model"], **order["options"])
    template = llm.get_tokenizer().apply_chat_template
    parent.say({"event": "loaded"})
    while True:
        for message in parent.hear(wait=True):
            prompts = [
                template(
                    [{"role": "user", "content": each}], tokenize=False, add_generation_prompt=True
                )
                for each in message["asked"]
            ]
            params = SamplingParams(temperature=0.0, max_tokens=NEW)
            since, spent = time.perf_counter(), time.process_time()
            outputs = llm.generate(prompts, params, use_tqdm=False)
            seconds = time.perf_counter() - since
            told = {"seconds": seconds, "cpu": time.process_time() - spent}
            texts = [output.outputs[0].text for output in outputs]
            parent.say({"event": "done", "texts": texts, **told})


def asked(turn: int) -> list[str]:
    """Questions of one turn; no two turns share one, so that no cache helps the second."""
    numbers = range(turn * PROMPTS, (turn + 1) * PROMPTS)
    return [f"What is {n % 997} + {n // 31 % 1000}? ({n})" for n in numbers]


class Turn(NamedTuple):
    """One engine's 2,000 prompts."""

    seconds: float
    cpu: float
    texts: list[str]


async def by_bare(bare: Child, questions: list[str]) -> Turn:
    await bare.say({"asked": questions})
    told = await heard(bare)
    return Turn(told["seconds"], told["cpu"], told["texts"])


async def by_worker(worker: VllmEngine, questions: list[str]) -> Turn:
    requests = [
        Request(str(n), str(n), "e", "generate", (Message("user", each),), SAMPLING)
        for n, each in enumerate(questions)
    ]
    assert worker.pid is not None
    since, spent = time.perf_counter(), time.process_time() + cpu_of(worker.pid)
    found = {each.key: each.text async for each in worker.generate(requests)}
    seconds = time.perf_counter() - since
    cpu = time.process_time() + cpu_of(worker.pid) - spent
    return Turn(seconds, cpu, [found[request.key] for request in requests])


def cpu_of(pid: int) -> float:
    """Seconds that all threads of another process have computed for."""
    told = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


SAMPLING = Sampling(temperature=0.0, max_tokens=NEW)


async def heard(bare: Child) -> dict[str, Any]:
    told = await bare.hear(patience=PATIENCE)
    if told["event"] == DIED:
        raise RuntimeError(told["reason"])
    return told


async def measure(model: str, **engine: Any) -> dict[str, Any]:
    expert = Expert("e", model, worker="vllm", engine=engine)
    order = load_order([expert])
    bare = await Child.start(Path(__file__), environment=order.environment)
    pairs: list[tuple[Turn, Turn]] = []
    try:
        load = {"model": order.model, "options": order.options, "on_cpu": order.on_cpu}
        await bare.say(load)
        await heard(bare)
        async with VllmEngine([expert]) as worker:
            for turn in range(PAIRS + 1):
                questions = asked(turn)
                if turn % 2:
                    one = await by_bare(bare, questions)
                    two = await by_worker(worker, questions)
                else:
                    two = await by_worker(worker, questions)
                    one = await by_bare(bare, questions)
                if turn:  # the first pair warms both
                    pairs.append((one, two))
    finally:
        await bare.end()
    return summary(pairs)


def summary(pairs: list[tuple[Turn, Turn]]) -> dict[str, Any]:
    wall = [worker.seconds / bare.seconds for bare, worker in pairs]
    cpu = [worker.cpu / bare.cpu for bare, worker in pairs]
    same = [a == b for one, two in pairs for a, b in zip(one.texts, two.texts, strict=True)]
    return {
        "schema": 1,
        "protocol": f"{PAIRS} pairs after one that warms, alternating; {PROMPTS} prompts each, "
        f"greedy, at most {NEW} new tokens; both engines loaded; CPU seconds are those of all "
        "processes of a side",
        "machine": "2 cores CPU",
        "prompts": PROMPTS,
        "bare_seconds": [round(bare.seconds, 3) for bare, _ in pairs],
        "worker_seconds": [round(worker.seconds, 3) for _, worker in pairs],
        "bare_cpu_seconds": [round(bare.cpu, 2) for bare, _ in pairs],
        "worker_cpu_seconds": [round(worker.cpu, 2) for _, worker in pairs],
        "wall_ratio": spread(wall),
        "cpu_ratio": spread(cpu),
        "same_text_share": round(sum(same) / len(same), 5),
    }


def spread(ratios: list[float]) -> dict[str, float]:
    shown = {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
    return {name: round(value, 4) for name, value in shown.items()}


def show(found: dict[str, Any]) -> None:
    names = ("bare_seconds", "worker_seconds", "bare_cpu_seconds", "worker_cpu_seconds")
    heads = [name.replace("_", " ") for name in names]
    table = Table("pair", *heads, title="vLLM worker beside LLM.generate")
    rows = zip(*[found[name] for name in names], strict=True)
    for number, row in enumerate(rows, start=1):
        table.add_row(str(number), *[f"{each:.2f}" for each in row])
    console = Console(width=100)
    console.print(table)
    for name in ("wall_ratio", "cpu_ratio"):
        median, least, most = found[name].values()
        console.print(f"{name}: {median:.3f} (median), {least:.3f} to {most:.3f}")
    console.print(f"the same text for {found['same_text_share']:.2%} of prompts")


if __name__ == "__main__":
    result = asyncio.run(measure(sys.argv[1] if len(sys.argv) > 1 else MODEL))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    show(result)
