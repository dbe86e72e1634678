"""Workers made of a plain function."""

from __future__ import annotations

import asyncio

import pytest

from orchestra.records import Generation, Message, Request, Sampling, Usage
from orchestra.workers import ScriptedWorker
from orchestra.workers.scripted import Script


def request(number: int = 0, layer: int = 0, sample: int = 0) -> Request:
    messages = (Message("system", "be kind"), Message("user", "how many are two"))
    key, question = f"key {number}", f"q{number}"
    return Request(key, question, "e", "generate", messages, Sampling(), layer, sample)


def play(script: Script, *requests: Request) -> list[Generation]:
    async def run() -> list[Generation]:
        return [each async for each in ScriptedWorker(script).generate(requests)]

    return asyncio.run(run())


def test_a_function_that_returns_text() -> None:
    found = play(lambda r: f"to {r.question_id}", request(0), request(1, layer=1, sample=2))
    assert [each.text for each in found] == ["to q0", "to q1"]
    assert [(each.key, each.layer, each.sample) for each in found] == [
        ("key 0", 0, 0),
        ("key 1", 1, 2),
    ]
    assert found[0].usage == Usage(1, 6, 2, estimated=True)
    assert (found[0].finish_reason, found[0].failure) == ("stop", None)


def test_a_function_that_waits() -> None:
    async def script(request: Request) -> str:
        await asyncio.sleep(0)
        return "waited"

    assert play(script, request())[0].text == "waited"


def test_a_whole_generation_is_left_alone() -> None:
    whole = Generation("key 0", "q0", "e", text="hm", finish_reason="length")
    assert play(lambda r: whole, request())[0] is whole


@pytest.mark.parametrize("error", [ValueError("bad"), OSError("gone"), ZeroDivisionError()])
def test_what_it_raises_is_a_record(error: Exception) -> None:
    def script(request: Request) -> str:
        if request.question_id == "q0":
            raise error
        return "fine"

    first, second = play(script, request(0), request(1))
    assert first.failure is not None
    assert first.failure.kind == "crash"
    assert first.failure.detail == f"{type(error).__name__}: {error}"
    assert (first.text, first.finish_reason, first.key) == ("", "error", "key 0")
    assert second.text == "fine"


def test_an_interrupt_is_not_swallowed() -> None:
    def script(request: Request) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(script, request())


def test_something_that_is_no_text_is_a_failure() -> None:
    found = play(lambda r: 42, request())  # type: ignore[arg-type,return-value]
    assert found[0].failure is not None
    assert "int" in found[0].failure.detail
