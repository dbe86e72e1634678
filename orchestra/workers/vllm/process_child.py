"""The child's side of `child`: guards the process, then runs an engine's program.

Run as `python -P process_child.py PROGRAM.py`; the program has a `main(parent)`. Knows the standard
library only, so that an engine may live in a Python environment of its own, and nothing of
what is said. Whatever the engine prints goes to standard error; standard output is the line.
"""

from __future__ import annotations

import json
import os
import queue
import runpy
import select
import signal
import sys
import threading
import traceback
from contextlib import suppress
from typing import Any, BinaryIO

Message = dict[str, Any]


class Parent:
    """The line to the parent: one JSON object on each line, in both directions."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._heard: queue.SimpleQueue[Message] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def say(self, message: Message) -> None:
        """Send one message, at once."""
        self._outgoing.write(json.dumps(message).encode() + b"\n")
        self._outgoing.flush()

    def hear(self, *, wait: bool) -> list[Message]:
        """What was said since the last time, in order; at least one message if it may wait."""
        messages = [self._heard.get()] if wait else []
        with suppress(queue.Empty):
            while True:
                messages.append(self._heard.get_nowait())
        return messages

    def _listen(self) -> None:
        for line in self._incoming:
            self._heard.put(json.loads(line))
        os.killpg(0, signal.SIGKILL)  # the parent is gone; the guard does the same, if it lives


def guard() -> None:
    """Leave a process behind that ends this process's group once either end of the line is gone.

    It holds nothing but standard input, asks for no lock and runs no engine, so that it also works
    while the engine hangs; and it takes whatever the engine has started with it.
    """
    engine = os.getpid()
    if os.fork():
        return
    os.closerange(1, 1024)
    ends = select.poll()
    ends.register(0, 0)  # wakes on hang-up only: what is said is not its business
    with suppress(AttributeError, OSError):  # where there are no process descriptors
        ends.register(os.pidfd_open(engine), select.POLLIN)
    ends.poll()
    os.killpg(0, signal.SIGKILL)


def main(program: str) -> None:
    """Run `program`'s `main` with the line to the parent."""
    guard()
    line = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    code = 1
    try:
        runpy.run_path(program)["main"](Parent(os.fdopen(os.dup(0), "rb"), line))
        code = 0
    except BaseException:  # of any kind: these are its last words
        traceback.print_exc()
    finally:
        # Nothing here outlives the process, and tearing an engine down takes seconds.
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
