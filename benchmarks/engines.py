"""What it costs to run an embedded expert on each of several engines, and whether they agree.

`python benchmarks/engines.py run ENGINE CHECKPOINT OUT.json` measures one engine in the
environment of the interpreter that runs it; only `local` and `bare` need orchestra there.
`python benchmarks/engines.py compare OUT.json...` prints the table; the first file is the one
that the others are held against. The checkpoint of `onnxruntime-genai` is a folder that its
model builder made: `python -m onnxruntime_genai.models.builder -i CHECKPOINT -o FOLDER -p fp32
-e cpu -c CACHE`, which needs torch, transformers and onnx.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

PROMPTS, MOST, BATCH, ROUNDS = 512, 96, 256, 3
GENAI_BATCH = 32  # the most that onnxruntime-genai takes
THREADS = len(os.sched_getaffinity(0))
ASYNC_CONTEXTS: list[Any] = []
"""Kept so that nothing is unloaded before the process ends."""
Ask = Callable[[list[str]], tuple[list[str], int]]
"""Questions to texts, and the number of tokens they have (with end tokens)."""


def questions() -> list[str]:
    draw = Random(11)
    signs = [draw.choice("+-") for _ in range(PROMPTS)]
    return [f"What is {draw.randint(1, 999)} {sign} {draw.randint(1, 999)}?" for sign in signs]


def spoken(question: str) -> str:
    """What the chat template of the embedded experts makes of a question."""
    return f"<|user|>{question}<|end|><|assistant|>"


def local(checkpoint: Path) -> Ask:
    records, roster = import_module("orchestra.records"), import_module("orchestra.roster")
    worker = import_module("orchestra.workers.local.engine")
    loop = asyncio.new_event_loop()
    cache = Path(tempfile.mkdtemp())
    opened = worker.open_local(roster.Expert("e", str(checkpoint), worker="local"), cache=cache)
    engine = loop.run_until_complete(opened.__aenter__())
    ASYNC_CONTEXTS.append(opened)

    def ask(asked: list[str]) -> tuple[list[str], int]:
        how = records.Sampling(max_tokens=MOST)
        requests = [
            records.Request(f"{n:06}", f"{n:06}", "e", "generate", (said,), how)
            for n, said in enumerate(records.Message("user", each) for each in asked)
        ]

        async def run() -> list[Any]:
            return [each async for each in engine.generate(requests)]

        found = sorted(loop.run_until_complete(run()), key=lambda each: str(each.key))
        return [each.text for each in found], sum(each.usage.output_tokens for each in found)

    return ask


def bare(checkpoint: Path) -> Ask:
    convert = import_module("orchestra.workers.local.convert").convert
    target = Path(tempfile.mkdtemp())
    convert(checkpoint, target)
    tokenizer = import_module("tokenizers").Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    generator = import_module("ctranslate2").Generator(
        str(target), compute_type="float32", inter_threads=THREADS, intra_threads=1
    )

    def ask(asked: list[str]) -> tuple[list[str], int]:
        found = generator.generate_batch(
            [[str(n) for n in tokenizer.encode(spoken(each)).ids] for each in asked],
            max_batch_size=64,
            max_length=MOST,
            end_token=[7],
            return_end_token=True,
            include_prompt_in_result=False,
        )
        ids = [each.sequences_ids[0] for each in found]
        return [tokenizer.decode(each) for each in ids], sum(map(len, ids))

    return ask


def transformers(checkpoint: Path) -> Ask:
    torch, hub = import_module("torch"), import_module("transformers")
    tokenizer = hub.AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    model = hub.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()

    def ask(asked: list[str]) -> tuple[list[str], int]:
        texts, tokens = [""] * len(asked), 0
        order = sorted(range(len(asked)), key=lambda n: len(asked[n]))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            sent = tokenizer(
                [spoken(asked[n]) for n in part],
                return_tensors="pt",
                padding=True,
                add_special_tokens=False,
            )
            sent.pop("token_type_ids", None)
            with torch.inference_mode():
                out = model.generate(**sent, max_new_tokens=MOST, do_sample=False)
            for n, ids in zip(part, out[:, sent["input_ids"].shape[1] :].tolist(), strict=True):
                ids = ids[: ids.index(7) + 1] if 7 in ids else ids
                tokens += len(ids)
                texts[n] = tokenizer.decode(ids, skip_special_tokens=True)
        return texts, tokens

    return ask


def onnxruntime_genai(checkpoint: Path) -> Ask:
    genai = import_module("onnxruntime_genai")
    model = genai.Model(str(checkpoint))
    tokenizer = import_module("tokenizers").Tokenizer.from_file(str(checkpoint / "tokenizer.json"))

    def ask(asked: list[str]) -> tuple[list[str], int]:
        texts, tokens = [""] * len(asked), 0
        order = sorted(range(len(asked)), key=lambda n: len(asked[n]))
        for start in range(0, len(order), GENAI_BATCH):
            part = order[start : start + GENAI_BATCH]
            prompts = [tokenizer.encode(spoken(asked[n])).ids for n in part]
            width = max(map(len, prompts))
            how = genai.GeneratorParams(model)
            how.set_search_options(
                max_length=width + MOST, batch_size=len(part), do_sample=False, top_k=1
            )
            generator = genai.Generator(model, how)
            generator.append_tokens(
                import_module("numpy").array([[0] * (width - len(p)) + p for p in prompts], "int32")
            )
            while not generator.is_done():
                generator.generate_next_token()
            for row, n in enumerate(part):
                ids = generator.get_sequence(row)[width:].tolist()
                ids = ids[: ids.index(7) + 1] if 7 in ids else ids
                tokens += len(ids)
                texts[n] = tokenizer.decode(ids)
        return texts, tokens

    return ask


def vllm(checkpoint: Path) -> Ask:
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1"}
    os.environ |= {"HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    engine = import_module("vllm")
    model = engine.LLM(
        str(checkpoint), dtype="float32", enforce_eager=True, kv_cache_memory_bytes=64 << 20
    )
    how = engine.SamplingParams(temperature=0, max_tokens=MOST)

    def ask(asked: list[str]) -> tuple[list[str], int]:
        chats = [[{"role": "user", "content": each}] for each in asked]
        found = [each.outputs[0] for each in model.chat(chats, how, use_tqdm=False)]
        return [each.text for each in found], sum(len(each.token_ids) for each in found)

    return ask


ENGINES: dict[str, Callable[[Path], Ask]] = {
    "local": local,
    "bare": bare,
    "transformers": transformers,
    "onnxruntime-genai": onnxruntime_genai,
    "vllm": vllm,
}


def measure(engine: str, checkpoint: Path) -> dict[str, Any]:
    """Load once, ask once to warm up, then time a few rounds."""
    asked = questions()
    started = time.perf_counter()
    ask = ENGINES[engine](checkpoint)
    loaded = time.perf_counter() - started
    started = time.perf_counter()
    texts, tokens = ask(asked)
    times = [time.perf_counter() - started]
    for _ in range(ROUNDS):
        started = time.perf_counter()
        texts, tokens = ask(asked)
        times.append(time.perf_counter() - started)
    return {
        "engine": engine,
        "load_seconds": loaded,
        "first_seconds": times[0],
        "best_seconds": min(times[1:]),
        "tokens": tokens,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "installed_mb": _installed(),
        "load_average": os.getloadavg()[0],
        "texts": texts,
    }


def compare(files: list[str]) -> None:
    found = [json.loads(Path(name).read_text()) for name in files]
    print("| engine | load s | first pass s | tokens/s | peak MB | environment MB | agrees |")
    print("|---|---|---|---|---|---|---|")
    for each in found:
        same = sum(a == b for a, b in zip(each["texts"], found[0]["texts"], strict=True))
        print(
            f"| {each['engine']} | {each['load_seconds']:.2f} | {each['first_seconds']:.2f} "
            f"| {each['tokens'] / each['best_seconds']:,.0f} | {each['rss_mb']:.0f} "
            f"| {each['installed_mb']:.0f} | {same}/{len(each['texts'])} |"
        )


def _installed() -> float:
    """Megabytes of the packages beside this interpreter."""
    folder = Path(sysconfig.get_paths()["purelib"])
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main(words: list[str]) -> int:
    if len(words) == 4 and words[0] == "run" and words[1] in ENGINES:
        Path(words[3]).write_text(json.dumps(measure(words[1], Path(words[2]))))
        return 0
    if len(words) > 1 and words[0] == "compare":
        compare(words[1:])
        return 0
    print(f"{__doc__}\nengines: {', '.join(ENGINES)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
