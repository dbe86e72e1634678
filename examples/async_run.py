"""The async names: two pipelines run side by side in one event loop, with progress."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orchestra as oc

HERE = Path(__file__).parent


async def main() -> None:
    team = oc.Pipeline("orchestra", HERE / "roster.yaml")
    await team.afit(HERE / "data/profile.jsonl", tagger="category")
    majority = oc.Pipeline("majority", team.experts, table=team.table)

    def progress(stage: str, done: int, expected: int) -> None:
        if done == expected:
            print(f"{stage}: {done} done")

    test = oc.load_dataset(HERE / "data/test.jsonl")
    runs = await asyncio.gather(*(each.arun(test, progress=progress) for each in (team, majority)))
    for run in runs:
        sure = sum((decision.confidence or 0) > 0.9 for decision in run.decisions)
        print(f"{run.report.pipeline}: {run.report.calls} calls, {sure} decisions above 90 % sure")


if __name__ == "__main__":
    asyncio.run(main())
