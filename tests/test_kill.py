"""A run that is killed at twenty random moments, and finished, is the run that nobody killed.

One process imports everything once and forks a child for each attempt, so that the kills
hit runs and not imports. A run that gets to its end before its kill is followed by another.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

pytestmark = pytest.mark.slow

KILLS, LONGEST = 20, 0.7

NURSERY = """
import asyncio, os, sys, time, traceback
from pathlib import Path
from orchestra.evals import Item, evaluate_run, profile_experts
from orchestra.pipeline import WorkerPool, Pipeline
from orchestra.records import Question
from orchestra.roster import Roster

NAMES = "abcdef"
OPTIONS = ("one", "two", "three", "four")

def items(prefix, count):
    return [
        Item(Question(f"{prefix}{i}", "?", OPTIONS, category="xyz"[i % 3]), "ABCD"[i % 4])
        for i in range(count)
    ]

def script(name, pause):
    def says(request):
        time.sleep(pause)
        number, skill = int(request.question_id[1:]), ord(name) - 96
        luck = number * 7919 * skill % 11
        if luck == 0:
            return "Who could tell?"
        return f"The answer is ({'ABCD'[(number + (luck < 2 + skill)) % 4]})."
    return says

def workers(pause):
    return WorkerPool({name: script(name, pause) for name in NAMES})

roster = Roster.loads(
    "schema: 1\\ndefaults: {worker: scripted}\\nexperts:\\n"
    + "".join(f"  - {{name: {name}, model: {name}}}\\n" for name in NAMES)
)
table = asyncio.run(profile_experts(roster, items("p", 60), workers=workers(0)))

def run(folder):
    pipeline = Pipeline.load(
        "orchestra",
        roster=roster,
        table=table,
        workers=workers(0.0005),
        overrides=["route.fit=false"],
    )
    asyncio.run(evaluate_run(pipeline, items("t", 400), Path(folder)))

def say(word):
    sys.stdout.write(f"{word}\\n")
    sys.stdout.flush()

say("ready")
while line := sys.stdin.readline():
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run(line.strip())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    say(pid)
    sys.stdin.readline()
    say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


class Nursery:
    """Runs the evaluation in child processes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self._says() == "ready"

    def run(self, folder: Path, *, kill_after: float | None = None) -> int:
        """The exit code of one attempt; -9 where the kill came before its end."""
        self._tell(str(folder))
        pid = int(self._says())
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(pid, signal.SIGKILL)  # nobody has waited for it yet: the pid is still its own
        self._tell("wait")
        return int(self._says())

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _says(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()


def rows(folder: Path) -> dict[str, list[tuple[str, bytes]]]:
    """kind -> (key, body) rows in order, of a ledger that is found to be sound."""
    db = sqlite3.connect(folder / "ledger.sqlite")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found: dict[str, list[tuple[str, bytes]]] = {}
    for kind, key, body in db.execute("SELECT kind, key, body FROM rows ORDER BY position"):
        found.setdefault(kind, []).append((key, body))
    db.close()
    for kept in found.values():
        assert len(dict(kept)) == len(kept)
    return found


def report(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads((folder / "report.json").read_bytes())
    assert told.pop("seconds") > 0
    spent = told.pop("spent")  # what was loaded again after a kill is spent too
    assert spent["loads"] >= told["loads"]
    assert spent["calls"] == told["calls"]
    return told


def check(folder: Path, whole: Path) -> None:
    found, wanted = rows(folder), rows(whole)
    assert found.keys() == wanted.keys()
    for kind in ("plan", "answer", "ballot", "decision"):
        assert found[kind] == wanted[kind], kind
    assert dict(found["generation"]) == dict(wanted["generation"])
    assert report(folder) == report(whole)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its processes")
def test_killed_twenty_times(tmp_path: Path, nursery: Nursery) -> None:
    whole = tmp_path / "whole"
    assert nursery.run(whole) == 0
    random = Random("twenty kills")
    kept: list[int] = []
    folder, runs, kills = tmp_path / "run0", 1, 0
    while kills < KILLS:
        code = nursery.run(folder, kill_after=random.uniform(0.0, LONGEST))
        assert code in (0, -signal.SIGKILL)
        if code == 0:
            check(folder, whole)
            shutil.rmtree(folder)
            folder, runs = tmp_path / f"run{runs}", runs + 1
            continue
        kills += 1
        there = rows(folder) if (folder / "ledger.sqlite").exists() else {}
        kept.append(len(there.get("generation", [])))
    assert nursery.run(folder) == 0
    check(folder, whole)
    # The kills fell into the middle of runs, at many places.
    assert len({count for count in kept if count}) >= 4
