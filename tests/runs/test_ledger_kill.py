"""A process that is killed at any moment loses nothing that it had committed."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from orchestra.runs import Ledger, RowKind

TOTAL, BATCH, KILLS = 12_000, 40, 10

# Puts what is missing, as a run does, and says after each commit how many rows it has put.
WRITER = f"""
import sys
from itertools import batched
from pathlib import Path
from orchestra.records import Generation
from orchestra.runs import Ledger, RowKind, digest
with Ledger(Path(sys.argv[1])) as ledger:
    done = ledger.keys(RowKind.GENERATION)
    sys.stdout.write(f"{{len(done)}}\\n")
    sys.stdout.flush()
    keys = [key for key in map(digest, range({TOTAL})) if key not in done]
    for start in range(0, len(keys), {BATCH}):
        some = keys[start : start + {BATCH}]
        ledger.put(RowKind.GENERATION, [(k, Generation(k, k[:4], "e", k * 30)) for k in some])
        ledger.commit()
        sys.stdout.write(f"{{len(done) + start + len(some)}}\\n")
        sys.stdout.flush()
""".replace("from itertools import batched\n", "")


def write(path: Path, kill_after: float | None) -> int:
    """Run the writer, killed that many seconds after it began; how many rows it had committed."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        if kill_after is not None:
            time.sleep(kill_after)
            process.send_signal(signal.SIGKILL)
        said += process.stdout.read()
    assert process.returncode == (0 if kill_after is None else -signal.SIGKILL)
    # A kill may cut the last line short; the one before it is whole.
    return int(said[: said.rindex("\n")].split("\n")[-1])


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    yield from db.execute("SELECT key, body FROM rows ORDER BY position")
    db.close()


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    path = tmp_path_factory.mktemp("unkilled") / "ledger.sqlite"
    assert write(path, kill_after=None) == TOTAL
    return list(contents(path))


def test_killed_again_and_again(tmp_path: Path, unkilled: list[tuple[str, bytes]]) -> None:
    path, random = tmp_path / "ledger.sqlite", Random("kill")
    for _ in range(KILLS):
        committed = write(path, kill_after=random.uniform(0, 0.03))
        found = list(contents(path))
        assert found == unkilled[: len(found)]
        assert len(found) in (committed, committed + BATCH)
    assert 0 < len(found) < TOTAL, "the kills came too early or too late to say anything"
    assert write(path, kill_after=None) == TOTAL
    assert list(contents(path)) == unkilled
    with Ledger(path, readonly=True) as ledger:
        assert ledger.keys(RowKind.GENERATION) == {key for key, _ in unkilled}
