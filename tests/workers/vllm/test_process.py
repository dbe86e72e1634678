"""Child processes: what they say, how they die, and that none is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from orchestra.workers.vllm.process import DIED, Child, Message

PATIENCE = 60.0


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str, Callable[[Child], Awaitable[None]]], None]:
    """Write a program, start it and talk to it; it is ended whatever happens."""

    def talk(program: str, say: Callable[[Child], Awaitable[None]]) -> None:
        file = tmp_path / "program.py"
        file.write_text(textwrap.dedent(program), encoding="utf-8")

        async def whole() -> None:
            child = await Child.start(file, environment={"COLOUR": "green"})
            try:
                await say(child)
            finally:
                await child.end()
            gone(child.pid)

        asyncio.run(whole())

    return talk


Run = Callable[[str, Callable[[Child], Awaitable[None]]], None]

ECHO = """
    import os
    def main(parent):
        while True:
            for message in parent.hear(wait=True):
                if message["do"] == "end":
                    return
                parent.say({"event": "heard", "colour": os.environ["COLOUR"], **message})
"""


def alive_in_group(group: int) -> bool:
    """Whether a process of the group still runs; those that are dead and unburied do not."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(told[2]) == group and told[0] not in "ZX":
                return True
    return False


async def hear(child: Child) -> Message:
    return await child.hear(patience=PATIENCE)


def test_messages_go_and_come_in_order(run: Run) -> None:
    async def say(child: Child) -> None:
        for number in range(100):
            await child.say({"do": "echo", "number": number, "text": "é\n" * number})
        heard = [await hear(child) for _ in range(100)]
        assert [message["number"] for message in heard] == list(range(100))
        assert heard[7]["text"] == "é\n" * 7
        assert heard[0]["colour"] == "green"

    run(ECHO, say)


def test_a_long_message_passes_both_ways(run: Run) -> None:
    async def say(child: Child) -> None:
        await child.say({"do": "echo", "text": "x" * 5_000_000})
        assert len((await hear(child))["text"]) == 5_000_000

    run(ECHO, say)


def test_it_leaves_by_itself_when_it_is_asked_to(run: Run) -> None:
    async def say(child: Child) -> None:
        await child.end(grace=PATIENCE)
        assert await hear(child) == {"event": DIED, "reason": "the process exited with 0"}
        await child.say({"do": "echo"})  # nobody hears it, and nothing happens

    run(ECHO, say)


def test_what_it_prints_is_no_message(run: Run) -> None:
    async def say(child: Child) -> None:
        assert await hear(child) == {"event": "said"}

    run(
        """
        import os, sys
        def main(parent):
            print("an engine's banner", flush=True)
            os.write(1, b"printed from below")
            parent.say({"event": "said"})
        """,
        say,
    )


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("raise MemoryError('no room for 3 GiB')", "exited with 1: MemoryError: no room for 3 GiB"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL: the last word"),
        ("os._exit(7)", "exited with 7: the last word"),
    ],
)
def test_its_death_is_the_last_message_and_says_why(run: Run, ending: str, reason: str) -> None:
    async def say(child: Child) -> None:
        assert (await hear(child))["event"] == "one"
        died = await hear(child)
        assert died["event"] == DIED
        assert died["reason"] == f"the process {reason}"

    run(
        f"""
        import os, signal, sys
        def main(parent):
            parent.say({{"event": "one"}})
            print("the last word", file=sys.stderr, flush=True)
            {ending}
        """,
        say,
    )


def test_a_child_that_is_silent_for_too_long_is_killed(run: Run) -> None:
    async def say(child: Child) -> None:
        died = await child.hear(patience=0.05)
        assert died["event"] == DIED
        assert "was silent for 0.05 s" in died["reason"]

    run("def main(parent): parent.hear(wait=True)", say)


def test_a_child_that_speaks_no_json_is_killed(run: Run) -> None:
    async def say(child: Child) -> None:
        died = await hear(child)
        assert died["event"] == DIED
        assert "no message" in died["reason"]

    run(
        """
        def main(parent):
            parent._outgoing.write(b"hello?\\n")
            parent._outgoing.flush()
            parent.hear(wait=True)
        """,
        say,
    )


FAMILY = """
    import subprocess, sys
    def main(parent):
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        parent.say({"event": "born", "pid": other.pid})
        parent.hear(wait=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_it_started_goes_with_it(run: Run, number: signal.Signals) -> None:
    async def say(child: Child) -> None:
        assert (await hear(child))["event"] == "born"
        os.kill(child.pid, number)  # itself only, not the group
        assert number.name in (await hear(child))["reason"]

    run(FAMILY, say)


PARENT = """
import asyncio, os, signal, sys
from pathlib import Path
from orchestra.workers.vllm.process import Child

# What a shell starts in the background is deaf to interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def main():
    child = await Child.start(Path(sys.argv[1]))
    await child.hear(patience=60)
    print(child.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

BUSY = """
    import subprocess, sys
    def main(parent):
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        parent.say({"event": "busy"})
        import ctypes
        ctypes.PyDLL(None).sleep(600)  # holds the interpreter's lock: no thread of it runs
"""


@pytest.mark.parametrize("program", [FAMILY, BUSY], ids=["waiting", "hanging"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_parent(tmp_path: Path, program: str, number: signal.Signals) -> None:
    file = tmp_path / "program.py"
    file.write_text(textwrap.dedent(program), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        assert alive_in_group(group)
        parent.send_signal(number)
        parent.wait(timeout=120)
        gone(group)


def gone(group: int) -> None:
    """Wait for the last of a group; a test that waits for ever has found something."""
    while alive_in_group(group):
        os.sched_yield()
