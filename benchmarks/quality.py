"""How much pipelines gain over the best single expert, on recorded answers of real models.

Every expert is asked every question once; each seed then draws a profile, and plans
made from that profile are replayed on all other questions. The experts that ship with the
package are measured apart (`benchmarks/embedded.py`): their questions are synthetic.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.pools import MMLU_PRO, OPEN
from orchestra.evals import Item, load_dataset, paired_bootstrap, profile_experts, wilson
from orchestra.pipeline import Pipeline, WorkerPool, load_spec
from orchestra.records import Answer, Outcome, Plan, Seat
from orchestra.roster import Expert, Roster
from orchestra.skills import RecruitmentTable
from orchestra.voting import QuestionVotes

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "quality.json"
SEEDS = 10

Right = NDArray[np.bool_]
"""Shape (test questions,): whether each was answered right."""


@dataclass(frozen=True)
class Arm:
    """A pipeline, or a part of one, to measure."""

    pipeline: str
    overrides: tuple[str, ...] = ()
    by_skill: bool = True
    """False: every question is routed as if nothing were known of its skills."""


ARMS = {
    "orchestra": Arm("orchestra"),
    "majority of all": Arm("majority"),
    "symbolic-moe": Arm("symbolic-moe"),
    "symbolic-moe-released": Arm("symbolic-moe-released"),
    "best 3, majority": Arm("majority", ("route={top-k: 3}",)),
    "best 5, majority": Arm("majority", ("route={top-k: 5}",)),
    "random 5, majority": Arm("majority", ("route={random: 5}",)),
    "orchestra, 3 calls": Arm("orchestra", ("route.seats=3", "generate.calls=3")),
    "the same, blind to skills": Arm(
        "orchestra", ("route.seats=3", "generate.calls=3"), by_skill=False
    ),
    "random 3, majority": Arm("majority", ("route={random: 3}",)),
}
ABLATION = {
    "repair: the best expert, the next where it is absent": Arm(
        "orchestra", ("route.seats=1",), by_skill=False
    ),
    "+ selection by skill": Arm("orchestra", ("route.seats=1",)),
    "+ several seats, equal votes": Arm("orchestra", ("vote=majority",)),
    "+ weights = orchestra": Arm("orchestra"),
}


@dataclass(frozen=True)
class Bench:
    """One pool of experts with what each said on every question."""

    name: str
    roster: Roster
    table: RecruitmentTable
    """Evidence on all questions; profiles are drawn from it."""
    categories: tuple[str, ...]
    own: tuple[int, ...]
    """Places of the questions that the data itself sets apart as profile."""
    per_category: int
    """Questions of a category in a drawn profile."""

    def draw(self, seed: int) -> list[int]:
        """Places of a random profile."""
        rng = np.random.default_rng(seed)
        labels = np.array(self.categories)
        chosen = [
            rng.choice(np.flatnonzero(labels == each), self.per_category, replace=False)
            for each in sorted(set(self.categories))
        ]
        return sorted(int(place) for row in chosen for place in row)


class Replay:
    """Pipelines made from one profile, replayed on the questions outside it."""

    def __init__(self, bench: Bench, profile: Sequence[int], seed: int) -> None:
        self._bench, self._seed = bench, seed
        kept = set(profile)
        self._known = bench.table.questions(list(profile))
        self.test = [i for i in range(len(bench.categories)) if i not in kept]
        self._outcomes = bench.table.outcomes[:, self.test]
        self._gold = [_right_values(bench.table, place) for place in self.test]

    def run(self, arm: Arm) -> tuple[Right, float]:
        """What an arm gets right, and its calls for each question."""
        spec = load_spec(arm.pipeline, overrides=arm.overrides)
        pipeline = Pipeline(spec, self._bench.roster, WorkerPool(), self._known, self._seed)
        briefs = [self._bench.table.briefs[place] for place in self.test]
        if not arm.by_skill:
            briefs = [replace(brief, skills=()) for brief in briefs]
        polls = [
            QuestionVotes(plan, self._answers(pipeline, plan, place))
            for plan, place in zip(pipeline.plan(briefs), self.test, strict=True)
        ]
        ballots = pipeline.spec.vote.vote(polls, pipeline.evidence).ballots
        right = [
            ballot.winner is not None and ballot.winner in gold
            for ballot, gold in zip(ballots, self._gold, strict=True)
        ]
        return np.array(right), sum(len(poll.answers) for poll in polls) / len(polls)

    def best_single(self) -> Right:
        """What the expert gets right that was best on the profile."""
        counts = [self._known.tally(name).correct for name in self._known.experts]
        return np.asarray(self._outcomes[int(np.argmax(counts))] == 1)

    def oracle(self) -> Right:
        """Where at least one expert is right."""
        return np.asarray((self._outcomes == 1).any(axis=0))

    def parsed(self) -> Right:
        """Where every expert gave a readable answer."""
        return np.asarray((self._outcomes >= 0).all(axis=0))

    def _answers(self, pipeline: Pipeline, plan: Plan, place: int) -> dict[Seat, Answer]:
        """As the generate stage would: seats, then reserves where an answer is absent."""
        settings = pipeline.spec.generate
        queue = list(plan.seats[: settings.calls])
        spare = list(plan.reserves[: max(settings.calls - len(plan.seats), 0)])
        answers: dict[Seat, Answer] = {}
        for seat in queue:
            mark = self._bench.table.marks[seat.expert][place]
            value = mark.value if mark is not None and seat.sample == 0 else None
            answers[seat] = Answer(plan.question_id, seat.expert, value)
            if value is None and settings.next_if_absent and spare:
                queue.append(spare.pop(0))
        return answers


def measure(bench: Bench, seeds: int) -> dict[str, Any]:
    """Everything about one pool."""
    gains: dict[str, list[float]] = defaultdict(list)
    calls: dict[str, list[float]] = defaultdict(list)
    steps: dict[str, dict[str, list[float]]] = {
        "all": defaultdict(list),
        "parsed": defaultdict(list),
    }
    best, shares = [], []
    for seed in range(seeds):
        replayed = Replay(bench, bench.draw(seed), seed)
        base, parsed = replayed.best_single(), replayed.parsed()
        best.append(100 * base.mean())
        shares.append(100 * parsed.mean())
        done: dict[Arm, tuple[Right, float]] = {}
        for name, arm in {**ARMS, **ABLATION}.items():
            right, each = done[arm] if arm in done else done.setdefault(arm, replayed.run(arm))
            gain = 100 * (right.mean() - base.mean())
            if name in ARMS:
                gains[name].append(gain)
                calls[name].append(each)
            else:
                steps["all"][name].append(gain)
                steps["parsed"][name].append(100 * (right[parsed].mean() - base[parsed].mean()))
        gains["oracle of all"].append(100 * (replayed.oracle().mean() - base.mean()))
    return {
        "experts": len(bench.roster),
        "profile_seeds": seeds,
        "profile_per_category": bench.per_category,
        "n_test": len(replayed.test),
        "best_single": _spread(best),
        "gain": {name: _spread(row) for name, row in gains.items()},
        "calls_per_question": {name: round(mean(row), 2) for name, row in calls.items()},
        "ablation": {
            part: {name: _spread(row) for name, row in rows.items()} for part, rows in steps.items()
        },
        "fully_parsed_percent": _spread(shares),
        "own_split": own_split(bench),
    }


def own_split(bench: Bench) -> dict[str, Any]:
    """The data's own profile and test, with intervals over questions."""
    replayed = Replay(bench, bench.own, 0)
    base, (right, calls) = replayed.best_single(), replayed.run(ARMS["orchestra"])
    gap = paired_bootstrap(right.astype(float).tolist(), base.astype(float).tolist(), seed=0)
    rows = {"best single": (base, 1.0), "orchestra": (right, calls)}
    for name in ("majority of all", "random 5, majority"):
        rows[name] = replayed.run(ARMS[name])
    rows["oracle of all"] = (replayed.oracle(), float(len(bench.roster)))
    return {
        "n_profile": len(bench.own),
        "n_test": len(replayed.test),
        "arms": {name: _share(row, each) for name, (row, each) in rows.items()},
        "gain": round(100 * gap.value, 2),
        "gain_interval": [round(100 * gap.interval.low, 2), round(100 * gap.interval.high, 2)],
    }


def _share(right: Right, calls: float) -> dict[str, Any]:
    interval = wilson(int(right.sum()), len(right))
    return {
        "accuracy": round(100 * float(right.mean()), 2),
        "interval": [round(100 * interval.low, 2), round(100 * interval.high, 2)],
        "calls_per_question": round(calls, 2),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "mean": round(float(mean(values)), 2),
        "sd": round(float(stdev(values)) if len(values) > 1 else 0.0, 2),
    }


def _right_values(table: RecruitmentTable, place: int) -> set[str | None]:
    row = (marks[place] for marks in table.marks.values())
    return {mark.value for mark in row if mark and mark.outcome is Outcome.CORRECT}


def _recorded(
    source: tuple[Path | str, Path | str], pools: Mapping[str, Sequence[str]], each: int
) -> list[Bench]:
    """The pools of one file of recordings; each expert is read once, whatever pools it is in."""
    items, path = load_dataset(source[0]), Path(source[1])
    models = sorted({model for names in pools.values() for model in names})
    experts = {
        m: Expert(m.replace("@", "-"), m, worker="recorded", recordings=path) for m in models
    }
    workers = WorkerPool()
    table = asyncio.run(profile_experts(Roster.of(*experts.values()), items, workers=workers))
    rosters = {pool: Roster.of(*(experts[m] for m in names)) for pool, names in pools.items()}
    return [
        Bench(pool, roster, table.subset(roster.names), *_shape(items), each)
        for pool, roster in rosters.items()
    ]


def _shape(items: Sequence[Item]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    return (
        tuple(item.question.category for item in items),
        tuple(i for i, item in enumerate(items) if item.profile),
    )


def benches() -> list[Bench]:
    """The pools that this machine has answers for; letters of MMLU-Pro ship with the package."""
    given = os.environ.get("ORCHESTRA_SHARED_DATA")
    data = Path(given) if given else ROOT.parent / "shared" / "data"
    everybody = tuple(sorted(m for names in MMLU_PRO.values() for m in names))
    pools = {**MMLU_PRO, "all 24": (*everybody, "Llama-2-7b-hf")}
    if not data.is_dir():
        return _recorded(("shipped:mmlu-pro", "shipped:mmlu-pro"), pools, 25)
    return [
        *_recorded(_files(data, "mmlu_pro"), pools, 25),
        *_recorded(_files(data, "zeroeval"), OPEN, 50),
    ]


def _files(data: Path, name: str) -> tuple[Path, Path]:
    return data / f"{name}.items.parquet", data / f"{name}.recordings.parquet"


def show(results: Mapping[str, Any], console: Console) -> None:
    """Print the tables."""
    gains = Table(
        "pool", "best single", *[*ARMS, "oracle of all"], title="Gain over the best single"
    )
    for pool, found in results.items():
        cells = [_told(found["gain"][name], found["calls_per_question"].get(name)) for name in ARMS]
        single = f"{found['best_single']['mean']:.1f} %"
        gains.add_row(pool, single, *cells, _told(found["gain"]["oracle of all"], None))
    console.print(gains)
    for part, title in (("all", "all questions"), ("parsed", "fully parsed questions only")):
        view = Table("step", *results, title=f"Where the gain comes from: {title}")
        for name in ABLATION:
            view.add_row(name, *(_told(r["ablation"][part][name], None) for r in results.values()))
        console.print(view)
    console.print(*_own(results), sep="\n")


def _own(results: Mapping[str, Any]) -> list[str]:
    lines = ["", "The data's own split, 95 % intervals over questions:"]
    for pool, found in results.items():
        own = found["own_split"]
        arms = "; ".join(
            f"{name} {a['accuracy']:.1f} [{a['interval'][0]:.1f}, {a['interval'][1]:.1f}] "
            f"at {a['calls_per_question']:.2f} calls"
            for name, a in own["arms"].items()
        )
        low, high = own["gain_interval"]
        lines.append(f"{pool}, n={own['n_test']}: {arms}; gain {own['gain']:+.1f} [{low}, {high}]")
    return lines


def _told(spread: Mapping[str, float], calls: float | None) -> str:
    words = f"{spread['mean']:+.2f} ±{spread['sd']:.2f}"
    return words if calls is None else f"{words}\n{calls:.2f} calls"


def main() -> None:
    console = Console(width=170)
    pools = benches()
    if not pools:
        console.print("no recorded answers on this machine: nothing is measured")
        return
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(pools))) as processes:
        found = list(processes.map(measure, pools, [SEEDS] * len(pools)))
    results = dict(zip([bench.name for bench in pools], found, strict=True))
    protocol = (
        "gains in points over the expert that was best on the same profile, mean ± sd over "
        f"{SEEDS} random profiles; all other questions are the test; answers read by `stated`, "
        "absent is not right, no credit for guesses; a second draw of an expert that has one "
        "recording is no vote"
    )
    console.print(protocol)
    show(results, console)
    if len(results) <= len(MMLU_PRO) + 1:
        console.print("from the letters that ship: the stored results, of all pools, are kept")
        return
    RESULT.parent.mkdir(exist_ok=True)
    content = {"schema": 1, "protocol": protocol, "pools": results}
    RESULT.write_bytes(
        orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )


if __name__ == "__main__":
    main()
