"""Writes `roster.yaml` and `data/` of this folder anew: a small synthetic world, always the same.

Six scripted experts (plain functions, not language models) answer questions on eight
skills, and what they say is kept as recordings. Put your own files in their place.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from orchestra.evals.scripted_demo import scripted_demo
from orchestra.evals.scripted_files import write_world


def main(folder: Path) -> None:
    world = scripted_demo(seed=7, profile=12, test=10)
    asyncio.run(write_world(world, folder, data="data"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
