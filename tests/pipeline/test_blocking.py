"""The plain doors do what their async twins do, inside a running loop too."""

from __future__ import annotations

import asyncio
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import orchestra
from orchestra import aio
from orchestra.errors import InputError
from orchestra.pipeline.blocking import Pipeline, wait

if TYPE_CHECKING:
    from tests.conftest import Builder


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_wait() -> None:
    assert wait(answer()) == 42


def test_wait_inside_a_loop() -> None:
    async def outer() -> int:
        return wait(answer())

    assert asyncio.run(outer()) == 42


def test_wait_raises_what_the_work_raises() -> None:
    async def wrong() -> None:
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        wait(wrong())


def test_an_interrupt_reaches_the_work() -> None:
    given_up: list[bool] = []
    main = threading.main_thread().ident
    assert main is not None

    async def long() -> None:
        await asyncio.sleep(0.1)  # until whoever waits does wait
        signal.pthread_kill(main, signal.SIGINT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            given_up.append(True)
            raise

    async def outer() -> None:
        wait(long())

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(outer())
    finally:
        loop.close()
        signal.signal(signal.SIGINT, before)
    assert given_up == [True]


def test_threads_take_turns(build: Builder) -> None:
    blocking, _ = pair(build)
    questions = [item.question for item in build.items(9)]
    with ThreadPoolExecutor(4) as pool:
        decisions = list(pool.map(blocking.answer, questions))
    assert decisions == list(blocking.run(questions).decisions)


def pair(build: Builder) -> tuple[Pipeline, aio.Pipeline]:
    items = build.items(9)
    workers = orchestra.LocalWorkers(build.scripts(items, {"a": 0.8, "b": 0.5}))
    roster = build.scripted("a", "b")
    blocking = orchestra.Pipeline.load("majority", roster=roster, workers=workers, seed=3)
    twin = aio.Pipeline.load("majority", roster=roster, workers=workers, seed=3)
    return blocking, twin


def test_twins_agree(build: Builder) -> None:
    blocking, twin = pair(build)
    questions = [item.question for item in build.items(9)]
    assert blocking.twin == twin
    assert blocking.run(questions) == asyncio.run(twin.run(questions))
    assert blocking.answer(questions[2]) == asyncio.run(twin.answer(questions[2]))
    briefs = blocking.brief(questions)
    assert briefs == asyncio.run(twin.brief(questions))
    assert blocking.plan(briefs) == twin.plan(briefs)


def test_a_pipeline_in_a_notebook(build: Builder) -> None:
    blocking, _ = pair(build)
    question = build.items(1)[0].question

    async def cell() -> orchestra.Decision:
        return blocking.answer(question)

    assert asyncio.run(cell()) == blocking.answer(question)


def test_settings_reach_the_pipeline(build: Builder) -> None:
    roster = build.scripted("a", "b")
    workers = orchestra.LocalWorkers({"a": lambda r: "A", "b": lambda r: "B"})
    found = Pipeline.load(
        "majority", roster=roster, workers=workers, overrides=["generate.calls=1"]
    )
    assert found.twin.spec.generate.calls == 1
    with pytest.raises(InputError, match="unknown option"):
        Pipeline.load("majority", roster=roster, workers=workers, overrides=["generate.call=1"])
