"""Chat templates, rendered in one child process with limits of time and memory."""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestra.errors import InputError, WorkerError

_PROGRAM = Path(__file__).with_name("template_child.py")
_FIRST, _LATER = 60.0, 10.0
"""Seconds to wait for the first reply of a new process, and for each later one."""
_SYNTAX = ("TemplateSyntaxError", "TemplateAssertionError")
LONGEST = 1_000_000
"""Bytes of a template at most."""
_HINT = "use the chat template of the checkpoint's own release"


class Templates:
    """The child process; begun at the first template, and again after one that did not end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def render(self, source: str, given: Mapping[str, Any], place: str) -> str:
        """The text that a template makes.

        Args:
            source: the template.
            given: its variables, as plain data.
            place: the file that it is in, for errors.

        Raises:
            InputError: the template is broken, takes too long or too much memory.
            WorkerError: it raises an error about what it is given.
        """
        with self._lock:
            patience = _LATER if self._child else _FIRST
            line = self._asked(json.dumps({"source": source, "given": dict(given)}), patience)
        if line is None:
            raise InputError(
                f"the chat template does not end within {patience:.0f} s, or takes too much memory",
                place=place,
                hint=_HINT,
            )
        reply = json.loads(line)
        if "text" not in reply:
            raise _refusal(reply, place)
        text: str = reply["text"]
        return text

    def close(self) -> None:
        """End the process; the next template begins another."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]  # both are pipes

    def _asked(self, request: str, patience: float) -> bytes | None:
        """The reply's line; None where the process ended or was ended."""
        child = self._child = self._child or _begun()
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(request.encode() + b"\n")
            child.stdin.flush()
            reply = _line(child.stdout.fileno(), patience)
        except BrokenPipeError:
            reply = None
        except BaseException:
            self.close()
            raise
        if reply is None:
            self.close()
        return reply


TEMPLATES = Templates()
"""The one process of this program."""


def _begun() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the parent, which ends it
    )


def _line(source: int, patience: float) -> bytes | None:
    """One line within so many seconds of silence; None at the end of the stream or after them."""
    parts: list[bytes] = []
    while select.select([source], [], [], patience)[0]:
        part = os.read(source, 1 << 20)
        if not part:
            return None
        parts.append(part)
        if part.endswith(b"\n"):
            return b"".join(parts)
    return None


def _refusal(reply: Mapping[str, Any], place: str) -> InputError | WorkerError:
    kind, words = reply["kind"], reply["words"]
    if kind in _SYNTAX:
        message = f"the chat template is broken in its line {reply['line']}: {words}"
        return InputError(message, place=place)
    if kind in ("RecursionError", "MemoryError", "SyntaxError"):
        message = f"the chat template is no sound program: {kind}"
        return InputError(message, place=place, hint=_HINT)
    return WorkerError(words if kind == "TemplateError" else f"{kind}: {words}")
