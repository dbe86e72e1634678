"""What planning takes: questions by the million, engines by the dozen, beside its lower bound.

Sizes run in processes of their own, so that their peak memory is their own. Plans are
drawn by a Zipf law and read as a stream; engine times are extrapolated from measured
ones (`orchestra/scheduling/engines.yaml`), so the orders are about no machine in particular.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from orchestra.records import Plan, Question, Seat
from orchestra.roster import Expert, Roster
from orchestra.scheduling import (
    Arrivals,
    CostModel,
    Job,
    Length,
    Machine,
    engine,
    forecast,
    schedule,
)

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "planning.json"
SIZES = (1_000, 1_000_000)
GIB = (3.0, 8.0, 15.3, 15.3, 15.3, 18.0, 27.5, 30.0, 61.0)
EXPERTS, SEATS = 16, 3
SEEDS = 5
SHAPES = tuple(
    (models, devices, layers)
    for layers in (1, 2, 3)
    for models in (16, 32, 64)
    for devices in (1, 4)
)


def main() -> None:
    console = Console(width=120)
    sizes = [_case("questions", str(size)) for size in SIZES]
    shapes = [_case("engines", *map(str, shape)) for shape in SHAPES]
    found = {
        "schema": 1,
        "protocol": f"{SEATS} of {EXPERTS} experts a question, drawn by a Zipf law; totals of all "
        f"plans, first-come order and the residency order, on one 80 GiB device; engines: "
        f"{SEEDS} drawn problems each, with a keyword model and an aggregator",
        "questions": sizes,
        "engines": shapes,
    }
    _show(found, console)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _case(name: str, *arguments: str) -> dict[str, Any]:
    """Run one case in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.planning", name, *arguments],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def questions(size: int) -> dict[str, Any]:
    """Plan a run of so many questions."""
    roster = Roster(
        tuple(
            Expert(
                f"m{i:02}",
                f"model-{i}",
                worker="vllm",
                memory_gib=GIB[i % len(GIB)],
            )
            for i in range(EXPERTS)
        )
    )
    asked = {f"q{i:07}": Question(f"q{i:07}", f"How much is {i} + {i}?") for i in range(size)}
    held = _peak()
    found = {}
    for name, device in (("one at a time", None), ("together where they fit", 80.0)):
        begun, spent = time.perf_counter(), time.process_time()
        arrivals = Arrivals(CostModel.of(roster, Machine((device,), 256.0)))
        told = forecast(
            _plans(list(asked), roster),
            asked,
            roster,
            lengths=dict.fromkeys(roster.names, Length(400)),
            absent={},
            calls=SEATS,
            arrivals=arrivals,
        )
        order = schedule(told.jobs, arrivals.costs, comings=arrivals.comings)
        assert order.first_come is not None
        found[name] = {
            "seconds": round(time.perf_counter() - begun, 3),
            "cpu": round(time.process_time() - spent, 3),
            "loads": order.loads,
            "loads_lower_bound": order.fewest_loads,
            "loads_first_come": order.first_come.loads,
            "hours_planned": round(order.seconds / 3600, 2),
            "hours_lower_bound": round(order.lower_bound / 3600, 2),
            "hours_first_come": round(order.first_come.seconds / 3600, 2),
        }
    return {"questions": size, "questions_mb": held, "peak_mb": _peak(), "machines": found}


def _plans(ids: list[str], roster: Roster) -> Iterator[Plan]:
    """Distinct experts for each question, drawn in proportion to 1, 1/2, 1/3, ..."""
    draw = np.random.default_rng(0)
    weights = -np.log(np.arange(1, EXPERTS + 1))
    seats = [Seat(name, 1.0, "drawn") for name in roster.names]
    for since in range(0, len(ids), 10_000):
        part = ids[since : since + 10_000]
        drawn = np.argsort(-(weights + draw.gumbel(size=(len(part), EXPERTS))), axis=1)
        for question_id, row in zip(part, drawn[:, :SEATS].tolist(), strict=True):
            yield Plan(question_id, tuple(seats[i] for i in row), "zipf", 0)


def engines(models: int, devices: int, layers: int) -> dict[str, Any]:
    """Plan drawn problems of one shape."""
    gaps, taken, proven = [], [], 0
    for seed in range(SEEDS):
        jobs, costs = _problem(seed, models, devices, layers)
        begun = time.perf_counter()
        order = schedule(jobs, costs)
        taken.append(time.perf_counter() - begun)
        gaps.append(order.gap)
        proven += order.exact
    return {
        "models": models,
        "devices": devices,
        "layers": layers,
        "worst_gap": round(max(gaps), 5),
        "mean_gap": round(sum(gaps) / SEEDS, 5),
        "proven_best": f"{proven} of {SEEDS}",
        "worst_seconds": round(max(taken), 2),
    }


def _problem(seed: int, models: int, devices: int, layers: int) -> tuple[list[Job], CostModel]:
    """5,000 questions, a keyword model, layers of experts and an aggregator."""
    draw = Random(f"planning:{seed}")
    names = [f"m{i:02}" for i in range(models)]
    shares = [1 / rank for rank in range(1, models + 1)]
    jobs = [Job(names[0], "tag", 0, 5_000, 600_000, 150_000)]
    for layer in range(layers):
        for name, share in zip(draw.sample(names, models), shares, strict=True):
            calls = 1 + round(15_000 * share / sum(shares))
            written = calls * draw.uniform(200, 900)
            jobs.append(Job(name, "generate", layer, calls, 300.0 * calls, written))
    jobs.append(Job(names[-1], "synthesise", 0, 5_000, 5_000_000, 1_000_000))
    units = {name: engine(draw.choice(GIB)) for name in names}
    return jobs, CostModel(units, Machine((80.0,) * devices, 256.0))


def _peak() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _show(found: dict[str, Any], console: Console) -> None:
    console.print(found["protocol"])
    view = Table(
        "questions", "engines", "planned in (processor)", "peak MB", "loads", "first come", "bound",
        "hours", "first come", "bound", title="Questions",
    )  # fmt: skip
    for row in found["questions"]:
        for name, told in row["machines"].items():
            view.add_row(
                f"{row['questions']:,}",
                name,
                f"{told['seconds']:.2f} s ({told['cpu']:.2f} s)",
                f"{row['peak_mb']:,}",
                f"{told['loads']:,}",
                f"{told['loads_first_come']:,}",
                f"{told['loads_lower_bound']:,}",
                f"{told['hours_planned']:,.2f}",
                f"{told['hours_first_come']:,.2f}",
                f"{told['hours_lower_bound']:,.2f}",
            )
    console.print(view)
    shapes = Table(
        "models", "devices", "layers", "above the bound, mean", "worst", "proven best",
        "planned in at most", title="Engines",
    )  # fmt: skip
    for row in found["engines"]:
        shapes.add_row(
            *(str(row[name]) for name in ("models", "devices", "layers")),
            f"{row['mean_gap']:.2%}",
            f"{row['worst_gap']:.2%}",
            row["proven_best"],
            f"{row['worst_seconds']:.2f} s",
        )
    console.print(shapes)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        cases: dict[str, Callable[..., dict[str, Any]]] = {
            "questions": questions,
            "engines": engines,
        }
        case = cases[sys.argv[1]]
        sys.stdout.buffer.write(orjson.dumps(case(*map(int, sys.argv[2:]))))
    else:
        main()
