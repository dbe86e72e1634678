"""Sync calls run on one background loop, from anywhere, and an interrupt ends the work."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestra.errors import InputError
from orchestra.sync import wait


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def loop_of() -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    return asyncio.get_running_loop(), threading.current_thread()


def test_a_result() -> None:
    assert wait(answer()) == 42


def test_inside_a_running_loop() -> None:
    async def cell() -> int:
        return wait(answer())

    assert asyncio.run(cell()) == 42


def test_all_threads_share_one_loop() -> None:
    with ThreadPoolExecutor(4) as pool:
        loops = set(pool.map(lambda _: wait(loop_of()), range(8)))
    assert loops == {wait(loop_of())}
    assert next(iter(loops))[1] is not threading.main_thread()


@pytest.mark.parametrize("error", [InputError("no"), SystemExit(3), asyncio.CancelledError()])
def test_what_the_work_raises(error: BaseException) -> None:
    async def wrong() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        wait(wrong())
    assert caught.value is error
    assert wait(answer()) == 42  # the loop goes on


def test_context_variables_reach_the_work() -> None:
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(7)

    async def read() -> int:
        return variable.get()

    assert wait(read()) == 7


def test_a_sync_call_within_the_work_is_refused() -> None:
    async def outer() -> int:
        return wait(answer())

    with pytest.raises(RuntimeError, match="await its async twin"):
        wait(outer())


def interrupted(call: Callable[[], None]) -> None:
    """Make the call with the handler of Ctrl-C, whoever set another one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("inside", [False, True])
def test_an_interrupt_cancels_the_work_and_waits_for_its_end(inside: bool) -> None:
    ended: list[str] = []
    main = threading.main_thread().ident
    assert main is not None

    async def long() -> None:
        await asyncio.sleep(0.1)  # until the caller waits
        signal.pthread_kill(main, signal.SIGINT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
            ended.append("cleaned up")
            raise

    def call() -> None:
        wait(long())

    def in_a_loop() -> None:
        async def cell() -> None:
            wait(long())

        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(cell())
        finally:
            loop.close()

    interrupted(in_a_loop if inside else call)
    assert ended == ["cleaned up"]


def test_import_starts_nothing_and_exit_is_clean() -> None:
    code = """
import threading
import orchestra, orchestra.sync
assert threading.active_count() == 1
import asyncio

async def begin():
    asyncio.get_running_loop().create_task(left_over())

async def left_over():
    try:
        await asyncio.sleep(60)
    finally:
        print("ended")

async def pause():
    await asyncio.sleep(0.01)

orchestra.sync.wait(begin())
orchestra.sync.wait(pause())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")
