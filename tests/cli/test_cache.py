"""Calls that runs share: none is made twice, none is charged twice, and no failure is shared."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import Request, urlopen

import pytest

import orchestra as oc
from benchmarks.nursery import nursery
from benchmarks.provider import provider
from orchestra.runs import Cache
from tests.cli.conftest import World, lines

QUESTIONS = 12
NAMES = ("alpha", "beta", "gamma")
PRICE = {"input": 1.0, "output": 2.0}
Json = dict[str, Any]


@dataclass(frozen=True)
class House(World):
    """A world whose experts are asked of a server, which counts."""

    url: str

    def roster(self, **changes: Any) -> str:
        """Write the roster, changed for all its experts."""
        common = {"worker": "openai", "base_url": f"{self.url}/v1", "price": PRICE}
        common |= {"sampling": {"max_tokens": 32}, "calls": {"attempts": 1}, **changes}
        experts = [{"name": name, "model": name} for name in NAMES]
        text = json.dumps({"schema": 1, "defaults": common, "experts": experts})
        Path(self.path("roster.yaml")).write_text(text)
        return self.path("roster.yaml")

    def received(self, **settings: Any) -> int:
        """Calls that the server got; with settings, from now on anew and so."""
        told = json.dumps({**settings, "reset": True}).encode() if settings else None
        with urlopen(Request(f"{self.url}/control", data=told)) as reply:
            return int(json.loads(reply.read())["received"])

    def ran(self, out: str, pipeline: str, *more: str) -> Json:
        given = ["--cache", self.path("shared.sqlite"), "--out", self.path(out), *more]
        return self.data("run", pipeline, *self.inputs, *given)


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with provider() as url:
        yield url


@pytest.fixture
def house(tmp_path: Path, served: str) -> House:
    rows = [
        {
            "question_id": f"q{n}",
            "question": f"Number {n}?",
            "options": ["a", "b", "c"],
            "answer": "ABC"[n % 3],
            "category": "xy"[n % 2],
        }
        for n in range(QUESTIONS)
    ]
    (tmp_path / "items.jsonl").write_text(lines(rows))
    found = House(tmp_path, served)
    found.roster()
    found.received(faults={})
    return found


def decided(report: Json) -> Json:
    """What does not say who paid, nor where and when."""
    return {k: v for k, v in report.items() if k not in ("spent", "spending", "seconds", "run")}


def test_no_identical_call_is_made_twice(house: House) -> None:
    profiled = house.data(
        *("profile", *house.inputs, "--out", house.path("t.json")),
        *("--cache", house.path("shared.sqlite")),
    )
    assert profiled["paid"]["attempts"] == house.received() == 3 * QUESTIONS
    table = ("--table", house.path("t.json"))
    first = house.ran("a", "orchestra", *table)
    second = house.ran("b", "majority", *table)
    assert house.received() == 3 * QUESTIONS
    for report in (first, second):
        assert report["spent"]["calls"] == report["spent"]["money"] == 0
        assert report["spent"]["reused"] == report["calls"] == 3 * QUESTIONS
    alone = house.data(
        "run", "majority", *house.inputs, *table, "--out", house.path("c"), "--no-cache"
    )
    assert house.received() == 6 * QUESTIONS
    assert alone["spent"] == {**second["spent"], **alone["spent"]}
    assert (alone["spent"]["calls"], alone["spent"]["reused"]) == (3 * QUESTIONS, 0)
    assert decided(alone) == decided(second)
    shown = house.data("show", house.path("b"))
    assert shown["rows"]["generation"] == 3 * QUESTIONS
    assert (
        house.data("mark", house.path("b"))["before"]
        == house.data("mark", house.path("c"))["before"]
    )


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, 0),
        ({"family": "f"}, 0),
        ({"price": {"input": 3, "output": 9}}, 0),
        ({"limits": {"concurrency": 2}}, 0),
        ({"calls": {"attempts": 4}}, 0),
        ({"memory_gib": 9}, 0),
        ({"sampling": {"max_tokens": 33}}, 1),
        ({"sampling": {"max_tokens": 32, "temperature": 0.5}}, 1),
        ({"system": "Be brief."}, 1),
        ({"strategy": "plain"}, 1),
        ({"adapter": "other"}, 1),
        ({"engine": {"seed": 7}}, 1),
    ],
)
def test_what_is_another_call(house: House, changes: Json, asked: int) -> None:
    house.ran("a", "majority")
    before = house.received()
    house.roster(**changes)
    report = house.ran("b", "majority")
    assert house.received() - before == asked * 3 * QUESTIONS
    if "price" in changes:  # its own prices, whatever the first run paid
        alone = house.data("run", "majority", *house.inputs, "--out", house.path("c"), "--no-cache")
        assert decided(alone) == decided(report)


def test_other_words_of_a_question_are_another_call(house: House) -> None:
    house.ran("a", "majority")
    path = Path(house.path("items.jsonl"))
    path.write_text(path.read_text().replace("Number 3?", "Number three?"))
    assert house.ran("b", "majority")["spent"]["calls"] == 3


def test_failures_are_not_shared(house: House) -> None:
    house.received(faults={"error_500": 0.5})
    given = ("--set", "generate.tolerance=1")
    house.ran("a", "majority", *given)
    house.received(faults={})
    second = house.ran("b", "majority", *given)
    with Cache(Path(house.path("shared.sqlite"))) as cache:
        assert cache.count() == 3 * QUESTIONS
    assert 0 < second["spent"]["calls"] == house.received() < 3 * QUESTIONS
    assert second["spent"]["calls"] + second["spent"]["reused"] == 3 * QUESTIONS


def test_hits_are_not_charged(house: House) -> None:
    house.ran("a", "majority")
    report = house.ran("b", "majority", "--budget", "calls=1")
    assert report["spending"]["attempts"] == 0


def test_without_a_project_or_an_option_nothing_is_shared(house: House) -> None:
    for out in ("a", "b"):
        house.data("run", "majority", *house.inputs, "--out", house.path(out))
    assert house.received() == 6 * QUESTIONS
    assert not list(house.folder.rglob("*cache*"))


def test_a_resumed_run_shares_what_its_ledger_has(house: House) -> None:
    given = ["run", "majority", *house.inputs, "--out", house.path("a")]
    stopped = house.call(*given, "--no-cache", "--budget", "calls=20")
    assert stopped.exit_code == 4
    kept = house.received()
    resumed = house.call(*given, "--cache", house.path("shared.sqlite"), "--budget", "calls=900")
    assert resumed.exit_code == 0, resumed.stderr
    assert house.received() == 3 * QUESTIONS > kept
    assert house.ran("b", "majority")["spent"]["calls"] == 0


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be seen", b"folder"])
def test_a_file_that_is_no_cache(house: House, content: bytes) -> None:
    path = Path(house.path("shared.sqlite"))
    path.mkdir() if content == b"folder" else path.write_bytes(content)
    given = ["--cache", str(path), "--out", house.path("a")]
    told = house.call("run", "majority", *house.inputs, *given)
    if not content:  # an empty file is a new one
        assert told.exit_code == 0
        return
    assert told.exit_code == 2
    assert str(path) in told.stderr
    assert "Traceback" not in told.stderr


def test_python_shares_too(house: House) -> None:
    cache, items = house.folder / "c" / "shared.sqlite", house.path("items.jsonl")
    team = oc.Pipeline("orchestra", house.roster())
    team.fit(items, cache=cache, tagger="category", progress=False)
    assert house.received() == 3 * QUESTIONS
    run = team.run(items, cache=cache, progress=False)
    assert run.report.to_dict()["spent"]["reused"] == 3 * QUESTIONS
    assert house.received() == 3 * QUESTIONS
    team.run(items, progress=False)
    assert house.received() == 6 * QUESTIONS


@pytest.mark.slow
def test_killed_runs_and_two_at_once_decide_as_one_alone(house: House) -> None:
    house.received(latency=[0.0, 0.02])
    given = [*house.inputs, "--limit", str(QUESTIONS)]
    alone = decided(house.data("run", "majority", *given, "--out", house.path("alone")))
    random, cache = Random("cache"), ("--cache", house.path("shared.sqlite"))
    with nursery() as commands:
        for attempt in range(8):
            words = ["run", "majority", *given, *cache, "--out", house.path(f"k{attempt % 3}")]
            started = commands.start(*words)
            time.sleep(random.uniform(0.05, 0.5))
            started.kill()
            started.wait()
        pair = [
            commands.start("run", "majority", *given, *cache, "--out", house.path(f"k{n}"))
            for n in range(2)
        ]
        assert [each.wait().code for each in pair] == [0, 0]
    before = house.received()
    for out in ("k0", "k1", "k2", "fresh"):
        report = house.data("run", "majority", *given, *cache, "--out", house.path(out))
        assert decided({**report, "resumed": False}) == alone
    assert house.received() == before


def test_a_profile_makes_no_call_twice_whatever_ends_it(house: House) -> None:
    given = ["profile", *house.inputs, "--out", house.path("t.json")]
    stopped = house.call(*given, "--budget", "calls=20")
    assert stopped.exit_code == 4
    assert "same command" in stopped.stderr
    assert house.received() == 20
    assert house.data(*given, "--budget", "calls=900")["paid"]["attempts"] == 3 * QUESTIONS
    assert house.data(*given, "--read", "strict", "--budget", "calls=900")["added"] == [*NAMES]
    assert house.received() == 3 * QUESTIONS
    path = Path(house.path("roster.yaml"))
    roster = json.loads(path.read_text())
    roster["experts"].append({"name": "delta", "model": "delta"})
    path.write_text(json.dumps(roster))
    assert len(house.data(*given, "--budget", "calls=900")["experts"]) == 4
    assert house.received() == 4 * QUESTIONS


def test_a_dead_expert_is_skipped_and_named_and_measured_later(house: House) -> None:
    given = ["profile", *house.inputs, "--out", house.path("t.json")]
    path = Path(house.path("roster.yaml"))
    whole = path.read_text()
    roster = json.loads(whole)
    roster["experts"][1]["base_url"] = "http://127.0.0.1:9/v1"
    path.write_text(json.dumps(roster))
    told = house.call(*given)
    assert told.exit_code == 3
    assert f"{QUESTIONS} of {3 * QUESTIONS} calls failed" in told.stderr
    assert "expert `beta`: 12 of 12 calls failed, the last: unreachable" in told.stderr
    assert (told.stdout + told.stderr).count("12 of 12 calls failed") == 1
    assert " ".join(told.stderr.split()).count("127.0.0.1:9: Connection refused") == 1
    assert "Traceback" not in told.stderr
    table = house.data("table", house.path("t.json"))["experts"]
    assert {name: each["seen"] for name, each in table.items()} == {
        "alpha": QUESTIONS,
        "beta": 0,
        "gamma": QUESTIONS,
    }
    assert "none" in house.call("table", house.path("t.json")).stdout
    tolerated = house.data(*given, "--tolerance", "0.5")
    assert tolerated["lacking"]["beta"]["failed"] == QUESTIONS
    assert house.received() == 2 * QUESTIONS
    path.write_text(whole)
    grown = house.data(*given, "--add-to", house.path("t.json"))
    assert grown["added"] == ["beta"]
    assert not grown["lacking"]
    assert house.received() == 3 * QUESTIONS


@pytest.mark.slow
def test_a_profile_that_is_killed_and_interrupted_is_that_of_one_go(house: House) -> None:
    house.received(latency=[0.0, 0.02])
    house.roster(limits={"concurrency": 2})
    given = ["profile", *house.inputs, "--budget", "calls=900", "--out"]
    house.data(*given, house.path("one.json"))
    house.received(latency=[0.0, 0.02])
    random = Random("profile")
    with nursery() as commands:
        for _ in range(6):
            started = commands.start(*given, house.path("t.json"))
            time.sleep(random.uniform(0.05, 0.4))
            started.kill()
        assert commands.run(*given, house.path("t.json")).code == 0
    # Lost at a kill: six calls in flight, and on a busy machine as many that are not on disk yet.
    assert house.received() <= 3 * QUESTIONS + 6 * 12
    one, other = (json.loads(Path(house.path(f"{name}.json")).read_text()) for name in ("one", "t"))
    assert {**other, "created": "", "evidence": {**other["evidence"], "lengths": None}} == {
        **one,
        "created": "",
        "evidence": {**one["evidence"], "lengths": None},
    }
