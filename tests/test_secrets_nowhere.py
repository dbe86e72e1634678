"""A key goes into the header of its calls and nowhere else, whatever a provider answers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from benchmarks.nursery import Done, Nursery, Started, nursery
from benchmarks.provider import provider
from orchestra.pipeline import Pipeline, WorkerPool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its processes"),
]

REPOSITORY = Path(__file__).resolve().parents[1]
# The letters that addresses and JSON write in other ways are in it; nobody else says any of it.
KEY = "sk-planted/" + "+/=&%".join(sha256(str(n).encode()).hexdigest()[:20] for n in range(3))
LONG = KEY + "".join(sha256(str(n).encode()).hexdigest() for n in range(6))
FAULTS = {"error_500": 0.1, "half_body": 0.1, "malformed": 0.1, "html": 0.1, "no_choices": 0.1}
QUESTIONS = 24


def windows(text: str, length: int) -> set[bytes]:
    return {text[n : n + length].encode() for n in range(len(text) - length + 1)}


def shapes(key: str) -> set[bytes]:
    """All that must not be found: any twelve letters of the key in a row, or of its other forms."""
    found = windows(key.removeprefix("sk-planted"), 12) | windows(quote(key, safe=""), 24)
    for offset in range(3):  # base64 of a text that the key is in, wherever that begins
        inner = b64encode(b"-" * offset + key.encode()).decode()
        found |= windows(inner[4:-4], 16)
    return found


def leaks(told: bytes, key: str) -> list[bytes]:
    return [shape for shape in shapes(key) if shape in told]


@dataclass
class House:
    """A folder, its provider, and everything that was ever said."""

    folder: Path
    url: str
    commands: Nursery
    environment: dict[str, str] = field(default_factory=dict)
    said: list[Done] = field(default_factory=list)

    def write(self, **fields: Any) -> None:
        """The roster and the questions."""
        common = {
            "worker": "openai",
            "base_url": f"{self.url}/v1",
            "api_key_env": "HOUSE_KEY",
            "sampling": {"max_tokens": 32},
            "calls": {"attempts": 2},
            **fields,
        }
        experts = [{"name": name, "model": name} for name in ("alpha", "beta")]
        told = {"schema": 1, "defaults": common, "experts": experts}
        self.roster.write_text(json.dumps(told))
        rows = [
            {
                "question_id": f"q{n}",
                "question": f"[gold:A] Number {n}?",
                "options": ["a", "b"],
                "answer": "A",
            }
            for n in range(QUESTIONS)
        ]
        self.items.write_text("".join(json.dumps(row) + "\n" for row in rows))

    @property
    def roster(self) -> Path:
        return self.folder / "roster.yaml"

    @property
    def items(self) -> Path:
        return self.folder / "items.jsonl"

    @property
    def inputs(self) -> tuple[object, ...]:
        return "--roster", self.roster, "--on", self.items

    def path(self, name: str) -> Path:
        return self.folder / name

    def start(self, *words: object) -> Started:
        return self.commands.start(*words, environment=self.environment)

    def run(self, *words: object) -> Done:
        """A command; what it says is kept."""
        done = self.start(*words).wait()
        self.said.append(done)
        return done

    def codes(self, *commands: tuple[object, ...]) -> list[int]:
        """Exit codes of commands that run side by side."""
        started = [self.start(*words) for words in commands]
        self.said += [each.wait() for each in started]
        return [each.wait().code for each in started]

    def control(self, **settings: Any) -> dict[str, Any]:
        told = json.dumps({**settings, "reset": True}).encode() if settings else None
        with urlopen(Request(f"{self.url}/control", data=told)) as reply:
            found: dict[str, Any] = json.loads(reply.read())
        return found

    def everything(self) -> dict[str, bytes]:
        """Every file and every word."""
        found = {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name != "key.txt"
        }
        for place, done in enumerate(self.said):
            found[f"output {place}"] = done.out.encode()
            found[f"errors {place}"] = done.err.encode()
        return found

    def found(self, key: str) -> list[str]:
        """Where any of the key is."""
        return [name for name, told in self.everything().items() if leaks(told, key)]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Nursery]]:
    with provider() as url, nursery() as commands:
        yield url, commands


@pytest.fixture
def house(tmp_path: Path, served: tuple[str, Nursery]) -> House:
    found = House(tmp_path, *served)
    found.control(key="", faults={}, latency=0.0, knows=0.9)
    return found


@pytest.mark.parametrize("form", ["plain", "base64", "address", "part"])
def test_the_search_finds_a_key(form: str) -> None:
    told = {
        "plain": KEY,
        "base64": b64encode(f"Bearer {KEY}".encode()).decode(),
        "address": quote(KEY, safe=""),
        "part": KEY[20:40],
    }
    assert leaks(f"some {told[form]} words".encode(), KEY)
    assert not leaks(f"the shape of sk-planted keys, {LONG[::-1]}".encode(), KEY)


@pytest.mark.parametrize("key", [KEY, LONG], ids=["short", "long"])
def test_a_key_that_the_provider_repeats(house: House, key: str) -> None:
    house.write()
    house.control(key="another key")
    house.environment["HOUSE_KEY"] = key
    run, table = house.path("run"), house.path("table.json")
    failing = house.codes(
        ("run", "majority", *house.inputs, "--out", house.path("failing")),
        ("run", "majority", *house.inputs, "--out", house.path("json"), "--json"),
        ("profile", *house.inputs, "--out", table, "--run", house.path("profile")),
        ("check", house.roster, house.items),
        ("plan", "majority", *house.inputs, "--json"),
        ("ask", "Which?", "--roster", house.roster, "--option", "a", "--option", "b"),
    )
    assert failing[:5] == [3, 3, 3, 0, 0]
    tolerant = ("run", "majority", *house.inputs, "--out", run, "--set", "generate.tolerance=1")
    assert house.run(*tolerant).code == 0
    words = house.codes(
        ("show", house.path("failing")),
        ("show", run),
        ("show", run, "q0", "--full"),
        ("show", run, "q0", "--json"),
        ("export", run, "--what", "generations", "--to", house.path("rows.jsonl")),
        ("export", run, "--what", "generations", "--to", house.path("rows.csv")),
        ("export", run, "--what", "answers", "--to", house.path("answers.parquet")),
        ("report", run, "--html", house.path("page.html")),
        ("report", run, "--json"),
        ("check", run),
    )
    assert words == [0] * len(words), [each.err for each in house.said[-len(words) :]]
    assert house.control()["statuses"].keys() == {"401"}
    assert house.found(key) == []
    # The provider's words are there, less the key.
    assert "[hidden]" in house.path("rows.jsonl").read_text()
    assert "[hidden]" in house.said[0].err


def test_a_key_from_a_file_among_faults_and_kills(house: House) -> None:
    house.path("key.txt").write_text(f"{KEY}\n")
    house.environment |= {"HOUSE_KEY": "", "HOUSE_KEY_FILE": str(house.path("key.txt"))}
    house.write(price={"input": 0.5, "output": 1.5}, calls={"attempts": 3, "stream": True})
    house.control(key=KEY, faults=FAULTS, knows=0.9)
    table, run = house.path("table.json"), house.path("run")
    assert house.run("profile", *house.inputs, "--out", table, "--run", house.path("p")).code in (
        0,
        3,
    )
    house.control(key=KEY, faults=FAULTS, latency=0.1, knows=0.9)
    asked = ("run", "majority", *house.inputs, "--out", run, "--set", "generate.tolerance=1")
    started = house.start(*asked)
    while house.control()["received"] < QUESTIONS and not started.over:
        pass
    house.said.append(started.kill())
    assert house.said[-1].code == -9
    assert any(name.endswith("-wal") for name in house.everything())
    assert house.found(KEY) == []
    house.control(key=KEY, faults=FAULTS, knows=0.9)
    assert house.run(*asked).code == 0
    assert house.codes(
        ("plan", "majority", *house.inputs),
        ("show", run),
        ("export", run, "--what", "generations", "--to", house.path("rows.jsonl")),
        ("report", run, "--html", house.path("page.html")),
    ) == [0, 0, 0, 0]
    assert house.control()["paid"] > 0
    assert house.found(KEY) == []


def test_a_key_that_cannot_be_used(house: House) -> None:
    house.write()
    house.environment["HOUSE_KEY"] = f"{KEY}\nand more"
    assert house.run("run", "majority", *house.inputs, "--out", house.path("run")).code == 2
    house.environment |= {"HOUSE_KEY": "", "HOUSE_KEY_FILE": str(house.folder)}
    assert house.run("check", house.roster).code == 2
    assert "HOUSE_KEY" in house.said[0].err
    assert house.found(KEY) == []


BUG = """
import orchestra.workers.hosted.openai as room

def read_reply(*given, **named):
    raise LookupError("a bug")

room.read_reply = read_reply
from orchestra.cli import main
main(prog_name="orchestra")
"""


def test_the_traceback_of_a_bug(house: House) -> None:
    house.write()
    house.control(key=KEY)
    done = subprocess.run(
        [sys.executable, "-c", BUG]
        + [str(each) for each in ("run", "majority", *house.inputs, "--out", house.path("run"))],
        env={
            **os.environ,
            **{"PYTHONPATH": str(REPOSITORY), "HOUSE_KEY": KEY, "PYTHONASYNCIODEBUG": "1"},
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "LookupError: a bug" in done.stderr
    assert "Traceback" in done.stderr
    house.said.append(Done(done.returncode, done.stdout, done.stderr))
    assert house.found(KEY) == []


def onion(worker: Any) -> Iterator[object]:
    """A worker and all that it wraps."""
    while worker is not None:
        yield worker
        worker = getattr(worker, "_caller", None)


def test_reprs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_KEY", KEY)
    house.write()
    workers = WorkerPool()
    pipeline = Pipeline.load("majority", roster=house.roster, workers=workers)

    async def opened() -> list[str]:
        async with workers.open(pipeline.roster["alpha"]) as worker:
            layers = [*onion(worker)]
            assert len(layers) >= 3
            return [repr(each) + str(each) for each in layers]

    shown = [repr(pipeline), str(pipeline), repr(workers), repr(pipeline.roster)]
    shown += asyncio.run(opened())
    assert [each for each in shown if leaks(each.encode(), KEY)] == []
