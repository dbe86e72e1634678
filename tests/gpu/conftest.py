"""What the checks on a GPU share: the card, the demo's folder, commands, and the summary."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

HERE = Path(__file__).parent
NO_GPU = "no GPU here"
NO_VLLM = "vLLM is not installed: pip install 'orchestra-experts[vllm]'"
NO_CUDA = "the vLLM that is installed is not built for CUDA"
_IS_CUDA = "from vllm.platforms import current_platform; print(current_platform.is_cuda())"


class Card(NamedTuple):
    """One GPU, as its driver describes it."""

    name: str
    gib: float
    driver: str


@cache
def card() -> Card | None:
    """The first GPU; None: there is none."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    asked = "--query-gpu=name,memory.total,driver_version"
    done = subprocess.run(
        [command, asked, "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not done.stdout.strip():
        return None
    name, mib, driver = done.stdout.splitlines()[0].split(", ")
    return Card(name, float(mib) / 1024, driver)


@cache
def missing() -> str:
    """Why no check can run; empty if they can."""
    if card() is None:
        return NO_GPU
    if importlib.util.find_spec("vllm") is None:
        return NO_VLLM
    command = [sys.executable, "-c", _IS_CUDA]  # a process of its own: CUDA must not be forked
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.stdout.strip().endswith("True") else NO_CUDA


@pytest.fixture(scope="session", autouse=True)
def gpu() -> Card:
    """The card; a check that cannot run here is skipped with the reason."""
    found = card()
    if found is None or missing():
        pytest.skip(missing())
    return found


class Bench(NamedTuple):
    """A folder with the demo's questions, table and runs of `worker: local`."""

    folder: Path

    def __call__(self, *words: object) -> dict[str, Any]:
        """What one command prints with `--json`."""
        command = [sys.executable, "-m", "orchestra", *map(str, words), "--json", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def questions(self, name: str, *categories: str) -> Path:
        """The demo's test questions of some categories, in a file of their own."""
        rows = (self.folder / "test.jsonl").read_text(encoding="utf-8").splitlines()
        path = self.folder / f"{name}.jsonl"
        kept = [row for row in rows if json.loads(row)["category"] in categories]
        path.write_text("".join(f"{row}\n" for row in kept), encoding="utf-8")
        return path

    def roster(
        self, name: str, *experts: str | Mapping[str, str], gib: float, share: float, **engine: Any
    ) -> Path:
        """Experts under vLLM, in a file of that name.

        Args:
            name: of the file.
            experts: names of embedded ones, or entries of others; none: all embedded ones.
            gib: of device memory that each takes.
            share: the same as a share of the card.
            engine: further options of each engine.
        """
        roster = yaml.safe_load((self.folder / "roster.yaml").read_text(encoding="utf-8"))
        options = {"gpu_memory_utilization": share, "max_model_len": 512, **engine}
        roster["defaults"] |= {"worker": "vllm", "memory_gib": gib, "engine": options}
        if experts:
            known = {each["name"]: each for each in roster["experts"]}
            rows = (known[each] if isinstance(each, str) else dict(each) for each in experts)
            roster["experts"] = list(rows)
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(roster), encoding="utf-8")
        return path

    def decided(self, run: Path) -> dict[str, str | None]:
        """Question -> what a run decided."""
        path = run.with_suffix(".jsonl")
        self("export", run, "--what", "decisions", "--to", path)
        rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        return {row["question_id"]: row["value"] for row in rows}


@pytest.fixture(scope="session")
def bench(gpu: Card, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The demo, which needs no GPU."""
    made = Bench(tmp_path_factory.mktemp("gpu") / "demo")
    made("demo", "--out", made.folder)
    return made


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name each check that was skipped and why, and what the others measured, on which card."""
    for line in _summary(terminalreporter.stats):
        terminalreporter.write_line(line)


def _summary(stats: dict[str, list[Any]]) -> Iterator[str]:
    ran = [*_here(stats, "passed"), *_here(stats, "failed")]
    skipped = {each.nodeid.partition("::")[2]: each.longrepr[2] for each in _here(stats, "skipped")}
    reasons = {reason.removeprefix("Skipped: ") for reason in skipped.values()}
    found = card()
    if found is not None and ran:
        now = datetime.now(UTC).strftime("%Y-%m-%d")
        versions = f"driver {found.driver}, vLLM {metadata.version('vllm')}"
        yield f"on {now}: {found.name}, {found.gib:.0f} GiB, {versions}"
    for report in ran:
        yield f"{report.outcome}: {report.nodeid.partition('::')[2]}"
        yield from (f"  {name}: {value}" for name, value in report.user_properties)
    if reasons == {NO_GPU}:
        yield f"{NO_GPU}, so none of these ran: {', '.join(sorted(skipped))}"
    else:
        yield from (f"skipped: {n}: {r.removeprefix('Skipped: ')}" for n, r in skipped.items())


def _here(stats: dict[str, list[Any]], outcome: str) -> list[Any]:
    folder = os.path.relpath(HERE, HERE.parents[1]).replace(os.sep, "/")
    return [
        each
        for each in stats.get(outcome, [])
        if each.nodeid.startswith(f"{folder}/") and each.when in ("setup", "call")
    ]
