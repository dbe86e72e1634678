"""What a replayed run costs: time beside a bare loop over the same texts, memory, and growth.

Each case runs in a process of its own, so that its peak memory is its own; ratios are of
times taken in the same benchmark. Without the recordings of real models every case runs
on synthetic ones, and the table says so.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.pools import MMLU_PRO
from orchestra.answers import read
from orchestra.evals import evaluate_run, load_dataset, profile_experts
from orchestra.evals.items import Item
from orchestra.pipeline import Pipeline
from orchestra.records import Generation
from orchestra.roster import Expert, Roster
from orchestra.skills import read_table, write_table

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "speed.json"
REAL = MMLU_PRO["eight of 35 to 44 %"][:5]
SYNTHETIC = tuple(f"synthetic-{letter}" for letter in "abcde")
ROUNDS = 3
SIZES = (1_000, 3_000, 7_000)
LARGE = 100_000
FIVE_SEATS = ("route.fit=false",)


def main() -> None:
    console = Console(width=120)
    given = os.environ.get("ORCHESTRA_SHARED_DATA")
    data = Path(given) if given else ROOT.parent / "shared" / "data"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        large = synthetic(work, LARGE)
        source = (data / "mmlu_pro", REAL) if data.is_dir() else (large, SYNTHETIC)
        found = _measure(work, source, (large, SYNTHETIC))
    found["texts"] = "real (MMLU-Pro, 24 models' recordings)" if data.is_dir() else "synthetic"
    _show(found, console)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _measure(work: Path, source: Any, large: Any) -> dict[str, Any]:
    stem, models = source
    base = ["--stem", str(stem), "--models", ",".join(models), "--work", str(work)]
    _case("table", base)
    whole = SIZES[-1] * 2
    floors = [_case("floor", [*base, "--size", str(whole)]) for _ in range(ROUNDS)]
    fulls = [
        _case("run", [*base, "--size", str(whole), "--out", f"whole-{i}"]) for i in range(ROUNDS)
    ]
    floor, full = (min(rows, key=lambda row: row["seconds"]) for rows in (floors, fulls))
    again = _case("run", [*base, "--size", str(whole), "--out", "whole-0"])
    grown = [_case("run", [*base, "--size", str(n), "--out", f"size-{n}"]) for n in SIZES]
    stem, models = large
    base = ["--stem", str(stem), "--models", ",".join(models), "--work", str(work)]
    _case("table", base)
    made = [_case("run", [*base, "--size", str(n), "--out", f"made-{n}"]) for n in (10_000, LARGE)]
    return {
        "schema": 1,
        "protocol": f"best of {ROUNDS} processes each; five experts, five seats a question; the "
        "run opens, parses, votes, journals and reports; the floor reads the same recordings "
        "with pyarrow, reads the same answers and counts votes",
        "questions": full["questions"],
        "texts_read": full["questions"] * 5,
        "ratio_to_floor": round(full["seconds"] / floor["seconds"], 2),
        "ratio_to_floor_cpu": round(full["cpu"] / floor["cpu"], 2),
        "floor_milliseconds_per_question": _each(floor),
        "peak_mb": full["peak_mb"],
        "finished_again_seconds": again["seconds"],
        "growth": [_row(row) for row in grown],
        "growth_synthetic": [_row(row) for row in made],
        "import_seconds": _started("-c", "import orchestra"),
        "help_seconds": _started("-m", "orchestra", "--help"),
    }


def _row(case: dict[str, Any]) -> dict[str, Any]:
    return {
        "questions": case["questions"],
        "milliseconds_per_question": _each(case),
        "peak_mb": case["peak_mb"],
    }


def _each(case: dict[str, Any]) -> float:
    seconds: float = case["seconds"]
    questions: int = case["questions"]
    return round(1000 * seconds / questions, 3)


def _case(name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run one case in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", name, *arguments],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def _started(*arguments: str) -> float:
    """Seconds that a command takes beyond an empty interpreter, best of five."""

    def best(*words: str) -> float:
        taken: list[float] = []
        for _ in range(5):
            begun = time.perf_counter()
            subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)
            taken.append(time.perf_counter() - begun)
        return min(taken)

    return round(max(best(*arguments) - best("-c", "pass"), 0.0), 3)


def run_case(name: str, given: dict[str, str]) -> dict[str, Any]:
    """What a case's process does."""
    stem, models, work = Path(given["stem"]), given["models"].split(","), Path(given["work"])
    items = load_dataset(stem.with_name(stem.name + ".items.parquet"))
    path = stem.with_name(stem.name + ".recordings.parquet")
    table = work / f"{stem.name}.table.json"
    roster = Roster.of(*(Expert(m, m, worker="recorded", recordings=path) for m in models))
    if name == "table":
        profiled = [item for item in items if item.profile]
        write_table(asyncio.run(profile_experts(roster, profiled)), table)
        return {}
    test = [item for item in items if not item.profile][: int(given["size"])]
    cases: dict[str, Callable[[], None]] = {
        "floor": lambda: _bare(path, set(models), test),
        "run": lambda: _whole(roster, table, test, work / given["out"]),
    }
    begun, spent = time.perf_counter(), time.process_time()
    cases[name]()
    return {
        "questions": len(test),
        "seconds": round(time.perf_counter() - begun, 3),
        "cpu": round(time.process_time() - spent, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _whole(roster: Roster, table: Path, test: Sequence[Item], out: Path) -> None:
    known = read_table(table)
    pipeline = Pipeline.load("orchestra", roster=roster, table=known, overrides=FIVE_SEATS)
    asyncio.run(evaluate_run(pipeline, test, out))


def _bare(path: Path, models: set[str], test: Sequence[Item]) -> None:
    """The least that must be done: read, find the answers, count."""
    questions = {item.question.id: item.question for item in test}
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    table = pq.read_table(path, columns=["question_id", "model", "output"])
    for batch in table.to_batches(max_chunksize=2_048):
        rows = zip(*(batch.column(i).to_pylist() for i in range(3)), strict=True)
        for question_id, model, output in rows:
            if model in models and question_id in questions:
                said = Generation("", question_id, model, output, finish_reason="unknown")
                answer = read(questions[question_id], said)
                if answer.value is not None:
                    votes[question_id][answer.value] += 1
    right = sum(
        bool(votes[item.question.id]) and votes[item.question.id].most_common(1)[0][0] == item.gold
        for item in test
    )
    if not right:
        raise RuntimeError("the bare loop found no right answer: it did not do its work")


def synthetic(folder: Path, size: int) -> Path:
    """Items and recordings of `size` made-up questions, five experts right 60 % of the time."""
    draw = Random("synthetic recordings")
    ids = [f"q{i:06d}" for i in range(size + 200)]
    gold = [draw.choice("ABCD") for _ in ids]
    items = {
        "question_id": ids,
        "question": [f"Which of these is number {i}?" for i in range(len(ids))],
        "options": [["one", "two", "three", "four"]] * len(ids),
        "answer": gold,
        "category": [f"subject {i % 12}" for i in range(len(ids))],
        "profile": [i >= size for i in range(len(ids))],
    }
    stem = folder / "synthetic"
    pq.write_table(pa.table(items), folder / "synthetic.items.parquet")
    schema = pa.schema([(name, pa.string()) for name in ("question_id", "model", "output")])
    with pq.ParquetWriter(folder / "synthetic.recordings.parquet", schema) as writer:
        for model in SYNTHETIC:
            said = [_said(letter, draw) for letter in gold]
            rows = {"question_id": ids, "model": [model] * len(ids), "output": said}
            writer.write_table(pa.table(rows, schema=schema), row_group_size=10_000)
    return stem


def _said(gold: str, draw: Random) -> str:
    letter = gold if draw.random() < 0.6 else draw.choice("ABCD")
    steps = " ".join(f"Step {n}: consider value {draw.randrange(10_000)}." for n in range(8))
    return f"Let's think step by step. {steps} The answer is ({letter})."


def _show(found: dict[str, Any], console: Console) -> None:
    console.print(f"{found['protocol']}; texts: {found['texts']}")
    view = Table("what", "measured", title="Speed")
    ratio, processor = found["ratio_to_floor"], found["ratio_to_floor_cpu"]
    told = {
        f"whole run, {found['questions']:,} questions x 5": f"{ratio:.2f} x floor "
        f"({processor:.2f} x in processor time)",
        "floor, a question": f"{found['floor_milliseconds_per_question']:.2f} ms",
        "peak memory": f"{found['peak_mb']:,} MB",
        "finished run again": f"{found['finished_again_seconds']:.2f} s",
        "import orchestra": f"{found['import_seconds']:.3f} s",
        "orchestra --help": f"{found['help_seconds']:.3f} s",
    }
    for name, words in told.items():
        view.add_row(name, words)
    console.print(view)
    grown = Table("texts", "questions", "ms a question", "peak MB", title="Growth")
    for kind, rows in ((found["texts"], found["growth"]), ("synthetic", found["growth_synthetic"])):
        for row in rows:
            grown.add_row(
                kind,
                f"{row['questions']:,}",
                f"{row['milliseconds_per_question']:.3f}",
                f"{row['peak_mb']:,}",
            )
    console.print(grown)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        words = sys.argv[2:]
        pairs = zip(words[::2], words[1::2], strict=True)
        told = run_case(sys.argv[1], {name.removeprefix("--"): value for name, value in pairs})
        sys.stdout.buffer.write(orjson.dumps(told))
    else:
        main()
