"""The same doors from async code, with progress as it happens: `orchestra.aio`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from orchestra import Roster, aio, load_dataset

HERE = Path(__file__).parent


async def main() -> None:
    roster = Roster.load(HERE / "roster.yaml")
    table = await aio.profile(roster, load_dataset(HERE / "data/profile.jsonl"))
    questions = [item.question for item in load_dataset(HERE / "data/test.jsonl")]

    def progress(stage: str, done: int, expected: int) -> None:
        if done == expected:
            print(f"{stage}: {done} done")

    pipelines = [
        aio.Pipeline.load(name, roster=roster, table=table) for name in ("orchestra", "majority")
    ]
    runs = await asyncio.gather(*(each.run(questions, progress=progress) for each in pipelines))
    for pipeline, run in zip(pipelines, runs, strict=True):
        sure = sum((decision.confidence or 0) > 0.9 for decision in run.decisions)
        print(f"{pipeline.spec.name}: {run.counts.calls} calls, {sure} decisions above 90 % sure")


if __name__ == "__main__":
    asyncio.run(main())
