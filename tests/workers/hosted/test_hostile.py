"""Whatever a server sends, a run keeps within its memory and its time, and says what happened."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.hostile import MODES, STREAMS, hostile

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory there"),
]
ROOT = Path(__file__).resolve().parents[3]
STATUS = re.compile(r"VmHWM:\s*(\d+) kB")
PROGRAM = """
import atexit, shutil
from orchestra.cli.main import main
atexit.register(shutil.copyfile, "/proc/self/status", "status")
main()
"""
MOST = 500 * 10**6
"""Bytes of memory that a run may take."""
CALLS, CONCURRENCY, TIMEOUT = 96, 64, 2.0
LONGEST = 90.0
"""Seconds that a run may take: two rounds of calls, a start, and a slow machine with others."""


Outcome = tuple[int, int, float, str]
"""Exit code, bytes of memory, seconds and standard error of a run."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Outcome]]]:
    """A run against each mode, some of them side by side: most of their time is waiting."""
    with hostile() as url, ThreadPoolExecutor(2) as pool:
        yield {
            mode: pool.submit(
                run, f"{url}/{mode}", tmp_path_factory.mktemp(mode), stream=mode in STREAMS
            )
            for mode in MODES
        }


def run(url: str, folder: Path, *, concurrency: int = CONCURRENCY, stream: bool) -> Outcome:
    """A run that asks one expert."""
    expert: dict[str, object] = {
        "name": "e",
        "model": "m",
        "worker": "openai",
        "base_url": f"{url}/v1",
    }
    expert |= {"limits": {"concurrency": concurrency}, "sampling": {"max_tokens": 512}}
    expert |= {"calls": {"attempts": 1, "timeout": TIMEOUT, "stream": stream}}
    (folder / "roster.yaml").write_text(json.dumps({"schema": 1, "experts": [expert]}))
    rows = [
        {"question_id": f"q{n}", "question": f"Number {n}?", "options": ["a", "b"]}
        for n in range(max(CALLS, concurrency * 3 // 2))
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["run", "majority", "--roster", "roster.yaml", "--on", "items.jsonl", "--out", "run"]
    words += ["--set", "generate.tolerance=1"]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    (memory,) = STATUS.findall((folder / "status").read_text())
    return done.returncode, int(memory) * 1024, seconds, done.stderr


@pytest.mark.parametrize("mode", MODES)
def test_a_run_keeps_within_its_limits(mode: str, outcomes: dict[str, Future[Outcome]]) -> None:
    code, memory, seconds, said = outcomes[mode].result()
    print(f"{mode}: exit {code}, {memory / 1e6:.0f} MB, {seconds:.1f} s")
    assert "Traceback" not in said
    assert code == 0, said
    assert memory < MOST
    assert seconds < LONGEST


@pytest.mark.parametrize("mode", ["body", "gzip", "long_texts", "thoughts"])
def test_whatever_the_concurrency(mode: str, tmp_path: Path) -> None:
    with hostile() as url:
        stream = mode == "thoughts"
        code, memory, seconds, said = run(f"{url}/{mode}", tmp_path, concurrency=512, stream=stream)
    print(f"{mode}: exit {code}, {memory / 1e6:.0f} MB, {seconds:.1f} s")
    assert "Traceback" not in said
    assert code == 0, said
    assert memory < MOST
    assert seconds < LONGEST
