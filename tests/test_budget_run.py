"""Budgets at the command line, by the server's own count: never passed, and nothing done twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from benchmarks.nursery import Done, Nursery, Started, nursery
from benchmarks.provider import provider
from orchestra.records import Generation
from orchestra.runs import RowKind, RunFolder, RunStatus

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its processes"),
]

QUESTIONS = 40
PRICE = {"input": 0.5, "output": 1.5}
FAULTS = {"error_500": 0.05, "half_body": 0.05, "no_choices": 0.05, "limited": 0.05}
Json = dict[str, Any]


@dataclass(frozen=True)
class House:
    """One folder with its questions, and the provider that is asked."""

    folder: Path
    url: str
    commands: Nursery

    def roster(self, *, price: bool = True) -> Path:
        common = {
            "worker": "openai",
            "base_url": f"{self.url}/v1",
            "sampling": {"max_tokens": 32},
            "limits": {"concurrency": 8},
            "calls": {"attempts": 3},
            **({"price": PRICE} if price else {}),
        }
        experts = [{"name": name, "model": name} for name in ("alpha", "beta")]
        path = self.folder / "roster.yaml"
        path.write_text(json.dumps({"schema": 1, "defaults": common, "experts": experts}))
        return path

    def items(self) -> Path:
        path = self.folder / "items.jsonl"
        rows = [
            {"question_id": f"q{n}", "question": f"Number {n}?", "options": ["a", "b"]}
            for n in range(QUESTIONS)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def start(self, run: str, *settings: str, price: bool = True) -> Started:
        words = ["run", "majority", "--roster", self.roster(price=price), "--on", self.items()]
        for each in ("generate.tolerance=1", *settings):
            words += ["--set", each]
        return self.commands.start(*words, "--out", self.folder / run)

    def run(self, run: str, *settings: str, price: bool = True) -> Done:
        return self.start(run, *settings, price=price).wait()

    def counts(self, **settings: Any) -> Json:
        """What the server counted; with settings, from now on anew and so."""
        told = json.dumps({**settings, "reset": True}).encode() if settings else None
        with urlopen(Request(f"{self.url}/control", data=told)) as reply:
            found: Json = json.loads(reply.read())
        return found

    def kept(self, run: str) -> list[Generation]:
        with RunFolder.inspect(self.folder / run) as view:
            return list(view.ledger.rows(RowKind.GENERATION))

    def status(self, run: str) -> RunStatus:
        with RunFolder.inspect(self.folder / run) as view:
            return view.manifest.status

    def spending(self, run: str) -> Json:
        found: Json = json.loads((self.folder / run / "report.json").read_bytes())["spending"]
        return found


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Nursery]]:
    with provider() as url, nursery() as commands:
        yield url, commands


@pytest.fixture
def house(tmp_path: Path, served: tuple[str, Nursery]) -> House:
    found = House(tmp_path, *served)
    found.counts(faults={}, latency=[0.0, 0.005], knows=None)
    return found


def spent(server: Json) -> dict[str, float]:
    """What the server billed, and what it got."""
    tokens = server["tokens"]
    read, written = tokens.get("prompt_tokens", 0), tokens.get("completion_tokens", 0)
    money = (PRICE["input"] * read + PRICE["output"] * written) / 1e6
    return {"calls": server["received"], "tokens": read + written, "money": money}


@pytest.mark.parametrize(
    ("limit", "least", "more"),
    [("calls", 30, 1_000), ("tokens", 2_000, 100_000), ("money", 0.0015, 1.0)],
)
def test_stops_before_it_would_pass(house: House, limit: str, least: float, more: float) -> None:
    house.counts(faults=FAULTS)
    stopped = house.run("run", f"budget.{limit}={least}")
    server = house.counts()
    assert stopped.code == 4, stopped
    assert f"`budget.{limit}`" in stopped.err
    assert "the same command goes on from here" in stopped.err
    assert "Traceback" not in stopped.err
    assert house.status("run") is RunStatus.STOPPED
    assert 0 < spent(server)[limit] <= least
    # What was paid is kept, all of it: nobody was cut short.
    kept = house.kept("run")
    assert 0 < len(kept) == server["paid"] < 2 * QUESTIONS
    # Nothing more fits, and nothing is done.
    again = house.run("run", f"budget.{limit}={least}")
    assert again.code == 4
    assert house.counts()["received"] == server["received"]
    # With more it goes on, and calls nobody twice.
    done = house.run("run", f"budget.{limit}={more}")
    assert done.code == 0, done
    after = house.counts()
    assert set(after["answered"].values()) == {1}
    assert after["paid"] == len(house.kept("run"))
    told = house.spending("run")
    assert told["attempts"] == after["received"]
    assert told["lost"]["attempts"] == 0
    assert told["tokens"] >= spent(after)["tokens"]
    assert told["budget"] == {limit: more}


def test_stops_when_time_is_over(house: House) -> None:
    house.counts(latency=0.1)
    stopped = house.run("run", "budget.seconds=0.45")  # of the second that it would take
    assert stopped.code == 4, stopped
    assert "`budget.seconds`" in stopped.err
    assert "Traceback" not in stopped.err
    assert house.status("run") is RunStatus.STOPPED
    kept = {(each.question_id, each.expert) for each in house.kept("run")}
    server = house.counts(latency=0.0)  # counts anew
    again = house.run("run", "budget.seconds=0.45")
    assert again.code == 4
    assert server["received"] == 0
    assert house.counts()["received"] == 0
    done = house.run("run", "budget.seconds=1000")
    assert done.code == 0, done
    # Those that were kept are not asked again.
    assert house.counts()["received"] == 2 * QUESTIONS - len(kept)


def test_two_runs_share_a_budget(house: House) -> None:
    house.counts(latency=[0.0, 0.01], faults=FAULTS)
    file = f"budget.file={house.folder / 'shared.sqlite'}"
    limits = {"calls": 60, "tokens": 3_000, "money": 0.002}
    shared = [f"budget.{limit}={most}" for limit, most in limits.items()]
    runs = [house.start(name, file, *shared) for name in ("one", "two")]
    ended = [run.wait() for run in runs]
    server = house.counts()
    assert [each.code for each in ended] == [4, 4]
    assert all(0 < spent(server)[limit] <= most for limit, most in limits.items())
    assert len(house.kept("one")) + len(house.kept("two")) == server["paid"]
    assert [house.run(name, file, "budget.calls=1000").code for name in ("one", "two")] == [0, 0]
    both = house.counts()
    assert both["paid"] == len(house.kept("one")) + len(house.kept("two"))
    assert max(both["answered"].values()) == 2  # once for each run
    attempts = sum(house.spending(name)["attempts"] for name in ("one", "two"))
    assert attempts == both["received"]


def test_money_needs_prices(house: House) -> None:
    done = house.run("run", "budget.money=1", price=False)
    assert done.code == 2
    assert done.err.count("its price is not known") == 2
    assert "hint: " in done.err
    assert "price: {input:" in done.err
    assert not (house.folder / "run").exists()
    assert house.counts()["received"] == 0


def test_killed_within_a_budget(house: House) -> None:
    house.counts(latency=0.05, faults=FAULTS)
    shared = [f"budget.file={house.folder / 'shared.sqlite'}", "budget.calls=70"]
    killed, other = (house.start(name, *shared) for name in ("one", "two"))
    while house.counts()["received"] < 20 and not killed.over:
        pass
    assert killed.kill().code == -9
    # Those that are left, and who comes back, do not spend what the dead may have spent.
    for ended in (other.wait(), house.run("one", *shared)):
        assert ended.code == 4
        assert "cut off when a process ended" in ended.err
    assert 20 <= house.counts()["received"] <= 70
