"""A process that is killed at any moment loses nothing that it had committed."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from orchestra.runs import Ledger, RowKind

pytestmark = pytest.mark.slow

TOTAL, BATCH, KILLS = 6_000, 40, 10

# Puts what is missing, as a run does, and says after each commit how many rows are kept.
WRITER = f"""
import sys
from pathlib import Path
from orchestra.records import Generation
from orchestra.runs import Ledger, RowKind
keys = [f"{{number * 2654435761 % 2**32:032x}}" for number in range({TOTAL})]
def say(count):
    sys.stdout.write(f"{{count}}\\n")
    sys.stdout.flush()
with Ledger(Path(sys.argv[1])) as ledger:
    done = ledger.keys(RowKind.GENERATION)
    say(len(done))
    missing = [key for key in keys if key not in done]
    for start in range(0, len(missing), {BATCH}):
        some = missing[start : start + {BATCH}]
        ledger.put(RowKind.GENERATION, [(k, Generation(k, k[:4], "e", k * 30)) for k in some])
        ledger.commit()
        say(len(done) + start + len(some))
"""


def write(path: Path, kill_after: tuple[int, float] | None = None) -> int:
    """Run the writer, killed so many commits and then seconds after it began.

    Returns how many rows it knew to be committed.
    """
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        if kill_after is not None:
            commits, seconds = kill_after
            said = "".join(process.stdout.readline() for _ in range(commits))
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
        said += process.stdout.read()
    assert kill_after is not None or process.returncode == 0
    # A kill may cut the last line short; the one before it is whole.
    return int(said.rpartition("\n")[0].rpartition("\n")[2] or 0)


def contents(path: Path) -> list[tuple[str, bytes]]:
    """All rows in order, of a file that is found to be sound."""
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    rows = db.execute("SELECT key, body FROM rows ORDER BY position").fetchall()
    db.close()
    return rows


def test_killed_again_and_again(tmp_path: Path) -> None:
    assert write(tmp_path / "unkilled.sqlite") == TOTAL
    unkilled = contents(tmp_path / "unkilled.sqlite")
    assert len(dict(unkilled)) == TOTAL

    path, random = tmp_path / "ledger.sqlite", Random("kill")
    lengths = []
    for _ in range(KILLS):
        committed = write(path, (random.randint(2, 15), random.uniform(0, 0.003)))
        found = contents(path)
        assert found == unkilled[: len(found)]
        # A commit that was done may not have been said.
        assert len(found) in (committed, committed + BATCH)
        lengths.append(len(found))
    assert len({length for length in lengths if 0 < length < TOTAL}) > KILLS / 2

    assert write(path) == TOTAL
    assert contents(path) == unkilled
    with Ledger(path, readonly=True) as ledger:
        assert ledger.keys(RowKind.GENERATION) == dict(unkilled).keys()


@pytest.mark.parametrize("seconds", [0.04, 0.06, 0.08, 0.1])
def test_killed_while_it_begins(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "ledger.sqlite"
    committed = write(path, (0, seconds))
    with Ledger(path) as ledger:
        assert ledger.count(RowKind.GENERATION) in (committed, committed + BATCH)
