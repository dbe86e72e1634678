"""Real vLLM over embedded checkpoints: texts, adapters, limits, and every way to die."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestra.errors import InputError
from orchestra.records import Generation, Message, Request, Sampling
from orchestra.roster import Expert
from orchestra.workers.checkpoints import checkpoint_folder
from orchestra.workers.vllm.engine import VllmEngine
from orchestra.workers.vllm.options import load_order

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

MODEL = "embedded/abacus"
QUESTIONS = (
    "What is 261 + 759?",
    "What is 7 minus 3?",
    "Work out 45 + 8.",
    "What is 903 - 118?",
    "Sort the letters of `dcab`.",
    "hello",
)
NEW = 48


def expert(model: str | Path = MODEL, name: str = "e", lora: str = "", **engine: Any) -> Expert:
    return Expert(name, str(model), worker="vllm", adapter=lora, engine=engine)


def request(
    number: int, said: str = "", *, who: str = "e", sample: int = 0, **sampling: Any
) -> Request:
    messages = (Message("user", said or QUESTIONS[number % len(QUESTIONS)]),)
    drawn = Sampling(**{"max_tokens": NEW, **sampling})
    key = f"{who} {number} {sample}"
    return Request(key, f"q{number}", who, "generate", messages, drawn, sample=sample)


async def answers(engine: VllmEngine, requests: Sequence[Request]) -> dict[str, Generation]:
    return {each.key: each async for each in engine.generate(requests)}


def play(experts: Sequence[Expert], requests: Sequence[Request]) -> dict[str, Generation]:
    async def whole() -> dict[str, Generation]:
        async with VllmEngine(experts) as engine:
            return await answers(engine, requests)

    return asyncio.run(whole())


GREEDY = [request(number) for number in range(len(QUESTIONS))]
DRAWS = [
    request(100 + number, sample=sample, temperature=1.0, seed=3)
    for number in range(100)
    for sample in range(4)
]
LONG = request(1000, "7" * 600)
CLIPPED = request(1001, "7" * 400, max_tokens=4096)
LIKELY = request(1002, logprobs=1)
STOPPED = request(1003, QUESTIONS[0], stop=("=",))
CHOOSING = [
    request(2000 + number, said, choices=("1020", "4", "abcd"))
    for number, said in enumerate(QUESTIONS)
]


@pytest.fixture(scope="module")
def found() -> dict[str, Generation]:
    """One load answers what most tests here look at."""
    return play([expert()], [*GREEDY, *DRAWS, LONG, CLIPPED, LIKELY, STOPPED, *CHOOSING])


def test_every_request_is_answered(found: dict[str, Generation]) -> None:
    assert len(found) == len(GREEDY) + len(DRAWS) + len(CHOOSING) + 4
    assert [key for key, each in found.items() if each.failure] == [LONG.key]


def test_a_prompt_longer_than_the_window_is_a_record(found: dict[str, Generation]) -> None:
    failure = found[LONG.key].failure
    assert failure is not None
    assert (failure.kind, failure.retryable) == ("too_long", False)
    assert f"{NEW} new tokens wanted, window of 512" in failure.detail


def test_more_tokens_than_there_is_room_for_are_not_asked(found: dict[str, Generation]) -> None:
    usage = found[CLIPPED.key].usage
    assert usage.input_tokens > 400
    assert usage.input_tokens + usage.output_tokens <= 512


def test_usage_and_logprobs_are_the_engines_own(found: dict[str, Generation]) -> None:
    told = found[LIKELY.key]
    assert told.logprobs is not None
    assert len(told.logprobs) == told.usage.output_tokens
    assert all(each <= 0 for each in told.logprobs)
    assert told.usage.input_tokens >= len(LIKELY.messages[0].content)
    assert not told.usage.estimated
    assert found[GREEDY[0].key].logprobs is None


def test_choices_are_all_that_is_said(found: dict[str, Generation]) -> None:
    assert {found[each.key].text for each in CHOOSING} <= {"1020", "4", "abcd"}


def test_a_stop_ends_the_text(found: dict[str, Generation]) -> None:
    whole, stopped = found[GREEDY[0].key].text, found[STOPPED.key].text
    assert stopped == whole.split("=")[0]
    assert found[STOPPED.key].finish_reason == "stop"


def test_seeds_tell_draws_apart_and_repeat_them(found: dict[str, Generation]) -> None:
    texts = [[found[each.key].text for each in DRAWS[i : i + 4]] for i in range(0, 400, 4)]
    assert any(len(set(draws)) > 1 for draws in texts)
    again = play([expert()], [each for each in DRAWS if each.sample in (1, 3)])
    same = [found[key].text == each.text for key, each in again.items()]
    # Sums in another order may round a draw to its neighbour, seldom.
    assert sum(same) >= 0.97 * len(same)


def test_the_served_engine_says_the_same(found: dict[str, Generation]) -> None:
    with serving(checkpoint_folder(MODEL)) as url:
        for each in GREEDY:
            body = {
                "model": "served",
                "messages": [{"role": "user", "content": each.messages[0].content}],
                "temperature": 0,
                "max_tokens": NEW,
            }
            answer = posted(f"{url}/v1/chat/completions", body)
            choice = answer["choices"][0]
            assert choice["message"]["content"] == found[each.key].text
            assert choice["finish_reason"] == found[each.key].finish_reason
            assert answer["usage"]["prompt_tokens"] == found[each.key].usage.input_tokens
            assert answer["usage"]["completion_tokens"] == found[each.key].usage.output_tokens


class serving:  # noqa: N801 - reads as a verb, like every context
    """vLLM's own server on a free port of this machine."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        order = load_order([expert(folder)])
        self._command = [
            *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(folder), "--served-model-name", "served"),
            *("--host", "127.0.0.1", "--port", str(self._port)),
            *("--dtype", "float32", "--enforce-eager", "--no-enable-chunked-prefill"),
            *("--kv-cache-memory-bytes", str(order.on_cpu["kv_cache_memory_bytes"])),
        ]
        self._environment = {**os.environ, **order.environment}

    def __enter__(self) -> str:
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        url = f"http://127.0.0.1:{self._port}"
        while self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5):
                    return url
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the server died")

    def __exit__(self, *error: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def posted(url: str, body: dict[str, Any]) -> dict[str, Any]:
    asked = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=120) as answer:
        told: dict[str, Any] = json.loads(answer.read())
        return told


def lora(folder: Path, base: Path, seed: int) -> str:
    """A random adapter on the queries and values of every layer, large enough to be heard."""
    config = json.loads((base / "config.json").read_text())
    rank, width = 4, config["hidden_size"]
    random = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}
    for layer in range(config["num_hidden_layers"]):
        for part in ("q_proj", "v_proj"):
            at = f"base_model.model.model.layers.{layer}.self_attn.{part}"
            tensors[f"{at}.lora_A.weight"] = random.normal(0, 0.3, (rank, width)).astype(np.float32)
            tensors[f"{at}.lora_B.weight"] = random.normal(0, 0.3, (width, rank)).astype(np.float32)
    folder.mkdir()
    told = {"peft_type": "LORA", "r": rank, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    return str(folder)


def write_safetensors(path: Path, tensors: dict[str, Any]) -> None:
    header, at = {}, 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    told = json.dumps(header).encode()
    whole = b"".join(tensor.tobytes() for tensor in tensors.values())
    path.write_bytes(len(told).to_bytes(8, "little") + told + whole)


def test_adapters_served_together_say_what_each_says_alone(
    tmp_path: Path, found: dict[str, Generation]
) -> None:
    base = checkpoint_folder(MODEL)
    one = expert(MODEL, "one", lora(tmp_path / "1", base, 1))
    two = expert(MODEL, "two", lora(tmp_path / "2", base, 2))
    asked = {
        each.name: [replace(r, key=f"{each.name} {r.key}", expert=each.name) for r in GREEDY]
        for each in (one, two, expert())
    }
    mixed = [r for triple in zip(*asked.values(), strict=True) for r in triple]
    together = {key: each.text for key, each in play([one, two, expert()], mixed).items()}
    for each in (one, two):
        alone = play([each], asked[each.name])
        assert {r.key: together[r.key] for r in asked[each.name]} == {
            key: generation.text for key, generation in alone.items()
        }
    plain = [together[r.key] for r in asked["e"]]
    assert plain == [found[r.key].text for r in GREEDY]
    assert len({tuple(together[r.key] for r in rs) for rs in asked.values()}) == 3


def test_a_child_killed_while_it_loads_is_replaced(found: dict[str, Generation]) -> None:
    lines: list[str] = []

    async def kill(engine: VllmEngine) -> None:
        while engine.pid is None:
            await asyncio.sleep(0.05)
        await asyncio.sleep(2)  # well into the imports, or the load
        os.kill(engine.pid, signal.SIGKILL)

    async def whole() -> dict[str, Generation]:
        engine = VllmEngine([expert()], report=lines.append)
        killer = asyncio.create_task(kill(engine))
        async with engine:
            await killer
            return await answers(engine, GREEDY)

    again = asyncio.run(whole())
    assert {key: each.text for key, each in again.items()} == {
        each.key: found[each.key].text for each in GREEDY
    }
    assert len(lines) == 1
    assert "was killed by SIGKILL" in lines[0]


def test_a_child_killed_while_it_generates_is_replaced_once() -> None:
    asked = [request(number, temperature=1.0, seed=number) for number in range(300)]

    async def whole(kills: int) -> tuple[dict[str, Generation], list[str]]:
        got: dict[str, Generation] = {}
        lines: list[str] = []
        async with VllmEngine([expert()], report=lines.append) as engine:
            async for each in engine.generate(asked):
                got[each.key] = each
                if kills and engine.pid is not None:
                    kills -= 1
                    os.kill(engine.pid, signal.SIGKILL)
        return got, lines

    once, lines = asyncio.run(whole(1))
    assert set(once) == {each.key for each in asked}
    assert not [each for each in once.values() if each.failure]
    assert len(lines) == 1
    twice, lines = asyncio.run(whole(2))
    assert set(twice) == {each.key for each in asked}
    kinds = {each.failure.kind for each in twice.values() if each.failure}
    assert kinds == {"crash"}
    assert len(lines) == 2


PARENT = """
import asyncio, sys
from tests_of_vllm import answers, expert, request
from orchestra.workers.vllm.engine import VllmEngine

async def main():
    async with VllmEngine([expert()]) as engine:
        async for each in engine.generate([request(n) for n in range(2000)]):
            print(engine.pid, flush=True)

asyncio.run(main())
"""


def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    shutil.copy(__file__, tmp_path / "tests_of_vllm.py")
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        assert members(group)
        parent.kill()
        parent.wait()
        while members(group):
            time.sleep(0.01)


def members(group: int) -> list[int]:
    """The processes of a group that still run."""

    def states() -> Iterator[tuple[int, str, int]]:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    told = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                yield int(entry.name), told[0], int(told[2])

    return [pid for pid, state, own in states() if own == group and state not in "ZX"]


def test_a_checkpoint_that_lacks_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "lacking"
    shutil.copytree(checkpoint_folder(MODEL), folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no `model.safetensors`"):
        play([expert(folder)], GREEDY)


def test_weights_that_are_cut_short_are_a_crash_with_its_last_words(tmp_path: Path) -> None:
    folder = tmp_path / "short"
    shutil.copytree(checkpoint_folder(MODEL), folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    failures = [each.failure for each in play([expert(folder)], GREEDY).values()]
    assert all(each is not None and each.kind == "crash" for each in failures)
    assert failures[0] is not None
    assert "afetensor" in failures[0].detail


def test_a_model_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="unknown checkpoint: 'embedded/nobody'"):
        play([expert("embedded/nobody")], GREEDY)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="expert `e`: vLLM cannot load it: "):
        play([expert("nobody/no-such-model")], GREEDY)


def test_an_option_or_value_that_vllm_does_not_have() -> None:
    with pytest.raises(InputError, match="did you mean `max_model_len`"):
        play([expert(max_model_lenght=64)], GREEDY)
    with pytest.raises(InputError, match=r"(?s)vLLM cannot load it: .*dtype"):
        play([expert(dtype="float7")], GREEDY)
