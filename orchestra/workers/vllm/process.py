"""A child process that is spoken to in lines of JSON and never outlives its parent.

Knows processes, pipes, deadlines and last words; does not know what is said (the program that
runs in the child does). Nothing here raises when the child dies: its death is the last message.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

Message = dict[str, Any]

DIED = "died"
"""The event of the last message that is heard of any child; `reason` says why in one line."""

_SIDE = Path(__file__).with_name("process_child.py")
_LONGEST = 1 << 28
"""Bytes of one line that are read at most."""
_LAST = 1 << 15
"""Bytes of standard error that are kept."""
_LAST_LINES = 2
_LINE = 400
"""Characters of one of its last lines that are told."""


class Child:
    """One process and the line to it; made by `Child.start`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._heard: asyncio.Queue[Message] = asyncio.Queue()
        self._errors = b""
        self._killed_for = ""
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls,
        program: Path,
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Run a program that has a `main(parent)`; see `process_child`.

        Args:
            program: its file.
            python: the interpreter, of this environment or another.
            environment: variables beside this process's own.
        """
        process = await asyncio.create_subprocess_exec(
            *(python, "-P", str(_SIDE), str(program)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            limit=_LONGEST,
            start_new_session=True,  # its group is all that it starts; Ctrl-C is the parent's
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """The process id, and that of its process group."""
        return self._process.pid

    async def say(self, message: Message) -> None:
        """Send a message; nothing happens if nobody is there to hear it."""
        assert self._process.stdin is not None
        with suppress(ConnectionError):  # the death is heard of in its turn
            self._process.stdin.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))
            await self._process.stdin.drain()

    async def hear(self, *, patience: float) -> Message:
        """The next message. A child that is silent for `patience` seconds is killed for it."""
        try:
            return await asyncio.wait_for(self._heard.get(), patience)
        except TimeoutError:
            self._kill(f"was silent for {patience:g} s")
            return await self._heard.get()

    async def end(self, *, grace: float = 0.0) -> None:
        """End it with all that it has started; it has `grace` seconds for leaving by itself.

        May be called again.
        """
        try:
            if grace:
                await self.say({"do": "end"})
                await asyncio.wait({self._listening}, timeout=grace)
        finally:
            if not self._listening.done():
                self._kill("was ended")
            await self._listening

    def _kill(self, reason: str) -> None:
        self._killed_for = self._killed_for or reason
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def _listen(self) -> None:
        await asyncio.gather(self._read(), self._read_errors(), self._bury())
        self._heard.put_nowait({"event": DIED, "reason": self._reason()})

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                self._heard.put_nowait(orjson.loads(line))
        except ValueError:  # too long, or no JSON (cut short by its death, say)
            self._kill("said something that is no message")

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        while piece := await self._process.stderr.read(_LAST):
            self._errors = (self._errors + piece)[-_LAST:]

    async def _bury(self) -> None:
        await self._process.wait()
        with suppress(ProcessLookupError, PermissionError):  # what it started and left behind
            os.killpg(self.pid, signal.SIGKILL)

    def _reason(self) -> str:
        code = self._process.returncode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        said = self._errors.decode(errors="replace").splitlines()
        lines = [line.strip()[:_LINE] for line in said if line.strip()]
        # What an engine's own processes died of stands above what the engine says of it.
        errors = [line for line in lines if re.search(r"\w(Error|Exception)(:|$)", line)]
        last = " | ".join(dict.fromkeys((errors or lines)[-_LAST_LINES:]))
        return f"the process {self._killed_for or how}" + (f": {last}" if last else "")
