"""Seconds and memory of `orchestra advise` and of a sweep by `orchestra replay`.

On answers of real models where there are any, else on synthetic ones. Each command is a process
of its own, so that its peak memory is its own and that of its children.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.speed import synthetic

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "replays.json"
GRID = (
    "route.seats=1,2,3,5,7",
    "route.fit=true,false",
    "route.by=mean,lower",
    "generate.calls=5,9",
    "vote=majority,weighted,robust,one-coin,reputation",
)


def main() -> None:
    given = os.environ.get("ORCHESTRA_SHARED_DATA")
    data = Path(given) if given else ROOT.parent / "shared" / "data"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        stem = data / "mmlu_pro" if data.is_dir() else synthetic(work, 7_000)
        kept = str(work / "kept")
        advised = _timed(
            *("advise", "--recordings", f"{stem}.recordings.parquet"),
            *("--items", f"{stem}.items.parquet"),
        )
        _timed(
            *("advise", "--recordings", f"{stem}.recordings.parquet"),
            *("--items", f"{stem}.items.parquet", "--out", kept),
        )
        run = ["-r", f"{kept}/roster.yaml", "-t", f"{kept}/table.json", "-o", str(work / "run")]
        _timed("run", "orchestra", *run, "--on", f"{kept}/items.jsonl")
        grid = [part for each in GRID for part in ("--set", each)]
        swept = _timed("replay", str(work / "run"), *grid)
    found = {
        "schema": 1,
        "protocol": "one process each, children included; 2 cores of a shared machine",
        "texts": "real" if data.is_dir() else "synthetic",
        "advise": advised,
        "replay": swept,
    }
    view = Table("command", "seconds", "CPU seconds", "peak MB")
    for name in ("advise", "replay"):
        row: Any = found[name]
        view.add_row(name, *(str(row[each]) for each in ("seconds", "cpu_seconds", "peak_mb")))
    Console(width=100).print(view)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _timed(*arguments: str) -> dict[str, Any]:
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "orchestra", *arguments, "--quiet", "--json"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    # The largest child so far: the commands are timed in the order of what they take.
    peak = spent.ru_maxrss
    taken = round(time.perf_counter() - started, 1)
    told: dict[str, Any] = orjson.loads(done.stdout)
    counted = {"variants": told["tried"]} if "tried" in told else {}
    cpu = spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": taken,
        "cpu_seconds": round(cpu, 1),
        "peak_mb": round(peak / 1024),
        **counted,
    }


if __name__ == "__main__":
    main()
