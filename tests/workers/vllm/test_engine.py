"""The life of a vLLM engine, played by a real child process that runs no vLLM."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.records import Generation, Message, Request, Sampling, Usage
from orchestra.roster import Expert, Price
from orchestra.workers.vllm.engine import Fingerprints, VllmEngine

FAKE = Path(__file__).with_name("fake_vllm.py")
# Spelt as another interpreter, in whose environment vLLM is not looked for.
PYTHON = os.path.join(os.path.dirname(sys.executable), ".", os.path.basename(sys.executable))

DEATH = {"answers": 2}
NO_LOAD = {"load": "exit"}


def checkpoint(folder: Path, *faults: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "faults").write_text("\n".join(json.dumps(each) for each in faults))
    (folder / "loads").write_text("")
    return folder


def adapter(folder: Path, rank: int = 4) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return str(folder)


def expert(folder: Path, name: str = "e", lora: str = "", **engine: Any) -> Expert:
    options = {"python": PYTHON, **engine}
    price = Price(1.0, 2.0)
    return Expert(name, str(folder), worker="vllm", adapter=lora, price=price, engine=options)


def request(
    number: int, said: str = "", *, who: str = "e", sample: int = 0, **sampling: Any
) -> Request:
    messages = (Message("system", "be kind"), Message("user", said or f"question {number}"))
    key = f"{who} {number} {sample}"
    return Request(
        key, f"q{number}", who, "generate", messages, Sampling(**sampling), sample=sample
    )


def loads(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "loads").read_text().splitlines()]


async def answers(engine: VllmEngine, requests: Sequence[Request]) -> list[Generation]:
    return [each async for each in engine.generate(requests)]


def play(engine: VllmEngine, requests: Sequence[Request]) -> list[Generation]:
    async def whole() -> list[Generation]:
        async with engine:
            return await answers(engine, requests)

    return asyncio.run(whole())


def test_each_request_is_answered_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    engine = VllmEngine([expert(checkpoint(tmp_path / "c"))], program=FAKE)
    asked = [request(0, logprobs=1), request(1, seed=3), request(2, "endless")]
    first, second, third = play(engine, asked)
    assert first == Generation(
        "e 0 0",
        "q0",
        "e",
        text=":question 0:None",
        reasoning="hm",
        finish_reason="stop",
        usage=Usage(1, 7, 5, 1, 2, seconds=0.5, money=17e-6),
        logprobs=(-0.5,),
    )
    assert (second.text, second.logprobs) == (":question 1:3", None)
    assert third.failure is not None
    assert (third.failure.kind, third.failure.retryable) == ("too_long", False)
    assert (third.text, third.finish_reason) == ("", "error")


def test_draws_share_a_call_and_keep_their_samples(tmp_path: Path) -> None:
    engine = VllmEngine([expert(checkpoint(tmp_path / "c"))], program=FAKE)
    asked = [request(0, sample=sample, temperature=1.0, seed=10) for sample in (2, 0, 1, 5)]
    found = {each.sample: each for each in play(engine, asked)}
    assert {sample: each.text[-2:] for sample, each in found.items()} == {
        0: "10", 1: "11", 2: "12", 5: "15",
    }  # fmt: skip
    assert [found[sample].usage.cached_tokens for sample in (0, 1, 5)] == [2, 7, 2]
    assert sum(each.usage.seconds for each in found.values()) == pytest.approx(1.0)


def test_adapters_of_one_base_share_an_engine(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "c")
    lora = adapter(tmp_path / "l")
    experts = [expert(folder, "plain"), expert(folder, "one", lora), expert(folder, "two", lora)]
    engine = VllmEngine(experts, program=FAKE)
    found = play(engine, [request(0, who=name) for name in ("two", "plain", "one")])
    assert {each.expert: each.text for each in found} == {
        "plain": ":question 0:None",
        "one": "one:question 0:None",
        "two": "two:question 0:None",
    }
    assert len(loads(folder)) == 1


@pytest.mark.parametrize(
    ("faults", "failing", "loaded", "told"),
    [
        ([], 0, 1, 0),
        ([DEATH], 0, 2, 1),
        ([NO_LOAD], 0, 2, 1),
        ([DEATH, DEATH], 6, 2, 2),
        ([DEATH, NO_LOAD], 8, 2, 2),
        ([NO_LOAD, NO_LOAD], 10, 2, 2),
        ([NO_LOAD, DEATH], 8, 2, 2),
        ([{"spoiled": True}], 0, 1, 0),
    ],
    ids=str,
)
def test_a_dead_child_is_replaced_once(
    tmp_path: Path, faults: list[dict[str, Any]], failing: int, loaded: int, told: int
) -> None:
    folder, lines = checkpoint(tmp_path / "c", *faults), list[str]()
    engine = VllmEngine([expert(folder)], program=FAKE, report=lines.append)
    found = play(engine, [request(number) for number in range(10)])
    assert Counter(each.key for each in found) == Counter(f"e {n} 0" for n in range(10))
    failures = [each.failure for each in found if each.failure]
    assert (len(failures), len(loads(folder)), len(lines)) == (failing, loaded, told)
    for failure in failures:
        assert (failure.kind, failure.retryable) == ("crash", True)
        assert "OutOfMemoryError: no room for 3 GiB" in failure.detail


def test_who_asks_after_a_crash_finds_a_fresh_child(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "c", NO_LOAD, NO_LOAD)

    async def whole() -> None:
        async with VllmEngine([expert(folder)], program=FAKE) as engine:
            (lost,) = await answers(engine, [request(0)])
            (found,) = await answers(engine, [request(0)])
            assert lost.failure
            assert found.text

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("faults", "patience"),
    [({"load": "silent"}, "load_timeout"), ({"answers": 0, "dies": "silent"}, "silence_timeout")],
)
def test_a_silent_child_is_no_hang(tmp_path: Path, faults: dict[str, Any], patience: str) -> None:
    folder = checkpoint(tmp_path / "c", faults, faults)
    options: dict[str, Any] = {patience: 0.2}
    engine = VllmEngine([expert(folder, **options)], program=FAKE)
    (found,) = play(engine, [request(0)])
    assert found.failure is not None
    assert "was silent for 0.2 s" in found.failure.detail


def test_what_cannot_be_loaded_is_the_users_error(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "c", {"load": "refused"})
    with pytest.raises(InputError, match=r"expert `e`: .* no such thing on the hub"):
        play(VllmEngine([expert(folder)], program=FAKE), [request(0)])
    assert len(loads(folder)) == 1


def test_who_stops_listening_hears_nothing_old_later(tmp_path: Path) -> None:
    async def whole() -> None:
        async with VllmEngine([expert(checkpoint(tmp_path / "c"))], program=FAKE) as engine:
            talk = engine.generate([request(number) for number in range(50)])
            assert (await anext(talk)).key == "e 0 0"
            await talk.aclose()  # type: ignore[attr-defined]
            assert [each.key for each in await answers(engine, [request(99)])] == ["e 99 0"]

    asyncio.run(whole())


def test_two_who_ask_at_once_each_hear_their_own(tmp_path: Path) -> None:
    async def whole() -> None:
        async with VllmEngine([expert(checkpoint(tmp_path / "c"))], program=FAKE) as engine:
            parts = [[request(10 * part + n) for n in range(10)] for part in range(3)]
            heard = await asyncio.gather(*[answers(engine, part) for part in parts])
            for asked, found in zip(parts, heard, strict=True):
                assert [each.key for each in found] == [each.key for each in asked]

    asyncio.run(whole())


async def nap(engine: VllmEngine) -> None:
    await engine.sleep(2)
    await engine.wake()


async def doze(engine: VllmEngine) -> None:
    await engine.sleep(1)  # the next request wakes it


@pytest.mark.parametrize("rest", [nap, doze])
@pytest.mark.parametrize(
    ("faults", "loaded", "told"),
    [
        ([], 1, []),
        ([{"garbage": True}], 2, ["the canary's tokens are not those of the first load"]),
        ([{"garbage": True}, {"spoiled": True}], 3, ["canary", "canary"]),
    ],
    ids=["the same", "garbage", "garbage twice"],
)
def test_an_engine_that_wakes_as_another_is_restarted_cold(
    tmp_path: Path,
    rest: Callable[[VllmEngine], Awaitable[None]],
    faults: list[dict[str, Any]],
    loaded: int,
    told: list[str],
) -> None:
    folder, lines = checkpoint(tmp_path / "c", *faults), list[str]()

    async def whole() -> None:
        engine = VllmEngine([expert(folder)], program=FAKE, report=lines.append, sleeps=True)
        async with engine:
            await answers(engine, [request(0)])
            await rest(engine)
            (found,) = await answers(engine, [request(1)])
            assert found.text == ":question 1:None"

    asyncio.run(whole())
    assert len(loads(folder)) == loaded
    assert all(part in line for part, line in zip(told, lines, strict=True))


@pytest.mark.parametrize(
    ("seen", "device", "options", "visible"),
    [
        (None, None, {}, "all"),
        (None, 1, {}, "1"),
        ("4,6", 1, {}, "6"),
        ("4,6", None, {}, "4,6"),
        ("4,6", 1, {"tensor_parallel_size": 2}, "4,6"),
    ],
)
def test_an_engine_sees_its_own_device(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seen: str | None,
    device: int | None,
    options: dict[str, Any],
    visible: str,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    one = expert(checkpoint(tmp_path / "c"), **options)
    engine = VllmEngine([one], program=FAKE, device=device)
    (found,) = play(engine, [request(0, "device")])
    assert found.text == f":{visible}:None"


@pytest.mark.parametrize(
    ("asked", "told", "can"),
    [(True, {}, True), (False, {}, False), (True, {"sleeps": False}, False)],
    ids=["on an accelerator", "not asked for", "on a CPU"],
)
def test_an_engine_says_whether_it_can_sleep(
    tmp_path: Path, asked: bool, told: dict[str, Any], can: bool
) -> None:
    async def whole() -> None:
        folder = checkpoint(tmp_path / "c", told)
        async with VllmEngine([expert(folder)], program=FAKE, sleeps=asked) as engine:
            assert engine.sleeps == can

    asyncio.run(whole())


def test_a_reload_in_the_same_run_is_compared_with_the_first_load(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "c", {}, {"spoiled": True})
    seen, lines = Fingerprints(), list[str]()
    for number in range(2):
        engine = VllmEngine([expert(folder)], program=FAKE, fingerprints=seen, report=lines.append)
        (found,) = play(engine, [request(number)])
        assert found.text == f":question {number}:None"
    assert len(loads(folder)) == 3
    assert len(lines) == 1
    assert "canary" in lines[0]


def test_each_adapter_has_a_canary_of_its_own_under_any_name(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "c", {}, {"spoiled": True})
    one, two = adapter(tmp_path / "1"), adapter(tmp_path / "2")
    seen = Fingerprints()
    play(VllmEngine([expert(folder, "a", one)], program=FAKE, fingerprints=seen), [])
    again = [expert(folder, "b", one), expert(folder, "c", two)]
    (found,) = play(VllmEngine(again, program=FAKE, fingerprints=seen), [request(0, who="c")])
    assert found.text == "c:question 0:None"
    assert len(loads(folder)) == 3  # the second load wrote otherwise than the first


def test_a_cancelled_load_leaves_no_process(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "c", {"load": "silent"})

    async def whole() -> None:
        loading = asyncio.create_task(VllmEngine([expert(folder)], program=FAKE).__aenter__())
        while not loads(folder):
            await asyncio.sleep(0)
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading

    asyncio.run(whole())
    (pid,) = loads(folder)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


FAULT = st.fixed_dictionaries(
    {},
    optional={
        "load": st.just("exit"),
        "answers": st.integers(0, 12),
        "spoiled": st.just(True),
        "garbage": st.just(True),
    },
)
ASKED = st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([0.0, 1.0]))


@settings(max_examples=12)
@given(faults=st.lists(FAULT, max_size=4), asked=st.sets(ASKED, min_size=1), sleeps=st.booleans())
def test_whatever_goes_wrong_each_request_gets_one_generation(
    faults: list[dict[str, Any]], asked: set[tuple[int, int, float]], sleeps: bool
) -> None:
    requests = [request(n, sample=sample, temperature=warm) for n, sample, warm in sorted(asked)]

    async def whole(folder: Path) -> None:
        async with VllmEngine([expert(folder)], program=FAKE, sleeps=sleeps) as engine:
            for _ in range(2):
                found = await answers(engine, requests)
                assert Counter(each.key for each in found) == Counter(r.key for r in requests)
                assert all(bool(each.text) != bool(each.failure) for each in found)
                if sleeps:
                    await engine.sleep(1)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(whole(checkpoint(Path(folder), *faults)))
