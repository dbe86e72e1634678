"""Runs every benchmark, or those that are named: `python benchmarks/run.py [NAME ...]`.

Each prints its tables and leaves them in `benchmarks/results/` as JSON.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ALL = (
    "quality",
    "liars",
    "embedded",
    "speed",
    "replays",
    "planning",
    "hosted",
    "throttling",
    "chaos",
    "coverage",
    "intervals",
)


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(ALL)}")
        return 2
    codes = [
        subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"],
            cwd=Path(__file__).resolve().parents[1],
            check=False,
        ).returncode
        for name in names or ALL
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
