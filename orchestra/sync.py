"""Sync names over async code: one event loop in a background thread serves all of them.

The loop starts at the first call, not at import. Sync calls work in scripts, in several
threads and inside a running event loop (a notebook), which waits meanwhile.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


def wait(work: Coroutine[Any, Any, Result], *, turn: threading.Lock | None = None) -> Result:
    """Run a coroutine on the background loop and return its result.

    An interrupt (Ctrl-C) cancels the coroutine, waits until it has ended, and is raised then.

    Args:
        work: the coroutine.
        turn: held while the coroutine runs; other threads with the same lock wait for it.

    Raises:
        RuntimeError: the caller is itself on the background loop, which would wait for itself.
        BaseException: whatever the coroutine raises.
    """
    if _LOOP.runs_here():
        work.close()
        raise RuntimeError("a sync name was called by work of another: await its async twin")
    if turn is None:
        return _carry_out(work)
    try:
        turn.acquire()
    except BaseException:
        work.close()
        raise
    try:
        return _carry_out(work)
    finally:
        turn.release()


def _carry_out(work: Coroutine[Any, Any, Result]) -> Result:
    loop = _LOOP.started()
    outcome: Future[Result] = Future()
    task: list[asyncio.Task[None]] = []
    # Called in order: a cancellation always finds the task.
    loop.call_soon_threadsafe(lambda: task.append(loop.create_task(_settle(work, outcome))))
    try:
        return outcome.result()
    except BaseException:
        if not outcome.done():
            loop.call_soon_threadsafe(lambda: task[0].cancel())
            outcome.exception()  # returns when the work has ended; a second interrupt leaves now
        raise


async def _settle(work: Coroutine[Any, Any, Result], outcome: Future[Result]) -> None:
    """Put what the work returns or raises into the outcome; no exception reaches the loop."""
    inner = asyncio.ensure_future(_caught(work))
    while not inner.done():
        try:
            await asyncio.wait([inner])
        except asyncio.CancelledError:
            inner.cancel()
    result, error = (None, asyncio.CancelledError()) if inner.cancelled() else inner.result()
    if error is None:
        outcome.set_result(result)  # type: ignore[arg-type]
    else:
        outcome.set_exception(error)


async def _caught(
    work: Coroutine[Any, Any, Result],
) -> tuple[Result | None, BaseException | None]:
    try:
        return await work, None
    except BaseException as error:
        return None, error


class _Loop:
    """The background loop and its thread; a child process that was forked makes its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread, int] | None = None

    def runs_here(self) -> bool:
        """Whether the caller is in the loop's thread."""
        return self._running is not None and self._running[1] is threading.current_thread()

    def started(self) -> asyncio.AbstractEventLoop:
        """The loop, started if need be."""
        with self._lock:
            if self._running is None or self._running[2] != os.getpid():
                loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=loop.run_forever, name="orchestra-sync", daemon=True
                )
                thread.start()
                self._running = loop, thread, os.getpid()
            return self._running[0]

    def stop(self) -> None:
        """Cancel what is left and close the loop. The next sync call starts another."""
        with self._lock:
            running, self._running = self._running, None
        if running is None or running[2] != os.getpid():
            return
        loop, thread, _ = running
        asyncio.run_coroutine_threadsafe(_wind_up(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _wind_up() -> None:
    """End tasks and generators that outlived their call, as `asyncio.run` does."""
    loop = asyncio.get_running_loop()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()


_LOOP = _Loop()
atexit.register(_LOOP.stop)
