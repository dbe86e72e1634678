"""What the vLLM worker costs beside a bare `LLM.generate`: the same prompts, engine and settings.

Both engines are loaded once, each in a process of its own, and take turns in pairs; which goes
first alternates. The bare one is given prompts that are already written out by the chat
template and returns when all are done; the worker renders them, sends them over and reads
each Generation as it comes. Run with vLLM installed: `python -m benchmarks.vllm_overhead`.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.table import Table

from orchestra.records import Message, Request, Sampling
from orchestra.roster import Expert
from orchestra.workers.child import DIED, Child
from orchestra.workers.vllm import VllmEngine
from orchestra.workers.vllm_order import load_order

if TYPE_CHECKING:
    from orchestra.workers.child_side import Parent

RESULT = Path(__file__).resolve().parent / "results" / "vllm_overhead.json"
MODEL = "embedded/abacus"
PROMPTS, PAIRS, NEW = 2_000, 7, 48
PATIENCE = 1800.0


def main(parent: Parent) -> None:
    """The bare engine: what runs in the other process."""
    import os

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
            since = time.perf_counter()
            outputs = llm.generate(prompts, params, use_tqdm=False)
            seconds = time.perf_counter() - since
            texts = [output.outputs[0].text for output in outputs]
            parent.say({"event": "done", "seconds": seconds, "texts": texts})


def asked(turn: int) -> list[str]:
    """Questions of one turn; no two turns share one, so that no cache helps the second."""
    numbers = range(turn * PROMPTS, (turn + 1) * PROMPTS)
    return [f"What is {n % 997} + {n // 31 % 1000}? ({n})" for n in numbers]


async def by_bare(bare: Child, questions: list[str]) -> tuple[float, list[str]]:
    await bare.say({"asked": questions})
    told = await heard(bare)
    return told["seconds"], told["texts"]


async def by_worker(worker: VllmEngine, questions: list[str]) -> tuple[float, list[str]]:
    requests = [
        Request(str(n), str(n), "e", "generate", (Message("user", each),), SAMPLING)
        for n, each in enumerate(questions)
    ]
    since = time.perf_counter()
    found = {each.key: each.text async for each in worker.generate(requests)}
    return time.perf_counter() - since, [found[request.key] for request in requests]


SAMPLING = Sampling(temperature=0.0, max_tokens=NEW)


async def heard(bare: Child) -> dict[str, Any]:
    told = await bare.hear(patience=PATIENCE)
    if told["event"] == DIED:
        raise RuntimeError(told["reason"])
    return told


async def measure(model: str) -> dict[str, Any]:
    expert = Expert("e", model, worker="vllm")
    order = load_order([expert])
    bare = await Child.start(Path(__file__), environment=order.environment)
    pairs, same = [], []
    try:
        load = {"model": order.model, "options": order.options, "on_cpu": order.on_cpu}
        await bare.say(load)
        await heard(bare)
        async with VllmEngine([expert]) as worker:
            for turn in range(PAIRS + 1):
                questions = asked(turn)
                if turn % 2:
                    one, texts = await by_bare(bare, questions)
                    two, ours = await by_worker(worker, questions)
                else:
                    two, ours = await by_worker(worker, questions)
                    one, texts = await by_bare(bare, questions)
                if turn:  # the first pair warms both
                    pairs.append((one, two))
                    same.append(sum(a == b for a, b in zip(texts, ours, strict=True)))
    finally:
        await bare.end()
    return summary(pairs, same)


def summary(pairs: list[tuple[float, float]], same: list[int]) -> dict[str, Any]:
    ratios = sorted(worker / bare for bare, worker in pairs)
    return {
        "schema": 1,
        "protocol": f"{PAIRS} pairs after one that warms, alternating; {PROMPTS} prompts each, "
        f"greedy, at most {NEW} new tokens; both engines loaded; wall time",
        "machine": "2 cores CPU",
        "prompts": PROMPTS,
        "bare_seconds": [round(bare, 3) for bare, _ in pairs],
        "worker_seconds": [round(worker, 3) for _, worker in pairs],
        "ratios": [round(worker / bare, 4) for bare, worker in pairs],
        "ratio_median": round(statistics.median(ratios), 4),
        "ratio_range": [round(ratios[0], 4), round(ratios[-1], 4)],
        "ratio_of_sums": round(sum(w for _, w in pairs) / sum(b for b, _ in pairs), 4),
        "same_text_share": round(sum(same) / (len(same) * PROMPTS), 5),
    }


def show(found: dict[str, Any]) -> None:
    table = Table("pair", "bare s", "worker s", "ratio", title="vLLM worker beside LLM.generate")
    rows = zip(found["bare_seconds"], found["worker_seconds"], found["ratios"], strict=True)
    for number, row in enumerate(rows, start=1):
        table.add_row(str(number), *[f"{each:.3f}" for each in row])
    console = Console(width=100)
    console.print(table)
    low, high = found["ratio_range"]
    console.print(f"ratio {found['ratio_median']:.3f} (median), {low:.3f} to {high:.3f}")
    console.print(f"the same text for {found['same_text_share']:.2%} of prompts")


if __name__ == "__main__":
    result = asyncio.run(measure(sys.argv[1] if len(sys.argv) > 1 else MODEL))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    show(result)
