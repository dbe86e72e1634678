"""The command line in processes of its own that begin at once: imported once, forked for each.

Knows commands, their output and how they end; does not know what they do. What is started is
what `orchestra WORDS` is, less the second of imports: kills hit the work and not the start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]

NURSERY = """
import importlib, json, os, sys, traceback
from orchestra.cli.main import COMMANDS, main, module_of

for name in COMMANDS:
    importlib.import_module(f"orchestra.cli.{module_of(name)}")

def become(told):
    for stream, path in ((1, told["out"]), (2, told["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.environ.update(told["environment"])
    sys.argv = ["orchestra", *told["words"]]
    code = 1
    try:
        main(prog_name="orchestra")
    except SystemExit as leaving:
        code = leaving.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

def say(number):
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()

say(0)
while line := sys.stdin.readline():
    told = json.loads(line)
    if "look" in told:
        ended = os.waitid(os.P_PID, told["look"], os.WEXITED | os.WNOHANG | os.WNOWAIT)
        say(int(ended is not None))
    elif "wait" in told:
        say(os.waitstatus_to_exitcode(os.waitpid(told["wait"], 0)[1]))
    elif pid := os.fork():
        say(pid)
    else:
        become(told)
"""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    """Its exit code; -9 where it was killed."""
    out: str
    """Its standard output."""
    err: str
    """Its standard error."""


class Started:
    """A command at work."""

    def __init__(self, nursery: Nursery, pid: int, out: Path, err: Path) -> None:
        self._nursery, self._pid, self._out, self._err = nursery, pid, out, err
        self._done: Done | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._done is not None or self._nursery.tell(look=self._pid) == 1

    def kill(self) -> Done:
        """Kill it with `kill -9`."""
        if self._done is None:
            os.kill(self._pid, signal.SIGKILL)  # nobody has waited for it: the pid is its own
        return self.wait()

    def wait(self) -> Done:
        """How it ended, once it has."""
        if self._done is None:
            code = self._nursery.tell(wait=self._pid)
            texts = [
                path.read_text(encoding="utf-8") if path.exists() else ""
                for path in (self._out, self._err)
            ]
            self._done = Done(code, *texts)
        return self._done


class Nursery:
    """Starts commands. Made by `nursery`."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder
        self._count = 0
        assert self._says() == 0

    def start(
        self, *words: object, environment: Mapping[str, str] = MappingProxyType({})
    ) -> Started:
        """Begin `orchestra WORDS`."""
        self._count += 1
        out, err = (self._folder / f"{self._count}.{name}" for name in ("out", "err"))
        pid = self.tell(
            words=[str(each) for each in words],
            environment=dict(environment),
            out=str(out),
            err=str(err),
        )
        return Started(self, pid, out, err)

    def run(self, *words: object, environment: Mapping[str, str] = MappingProxyType({})) -> Done:
        """Run `orchestra WORDS` to its end."""
        return self.start(*words, environment=environment).wait()

    def tell(self, **told: Any) -> int:
        """Send an order; the number that comes back."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return self._says()

    def _says(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A nursery, for as long as the context lasts."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        yield Nursery(process, Path(folder))
        assert process.stdin is not None
        process.stdin.close()
