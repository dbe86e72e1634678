"""A small world for the commands: sums and products, and experts that were recorded on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestra.cli import main

LETTERS = "ABCD"
EXPERTS = ("adder", "multiplier", "steady", "mumbler")


@dataclass(frozen=True)
class World:
    """The files of one small world, and a way to call commands on them."""

    folder: Path

    def path(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def inputs(self) -> list[str]:
        """The options that most commands take."""
        return ["--roster", self.path("roster.yaml"), "--on", self.path("items.jsonl")]

    def call(self, *arguments: str) -> Result:
        """Call a command, bugs traced."""
        result = CliRunner().invoke(main, [str(each) for each in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def data(self, *arguments: str) -> dict[str, Any]:
        """What a command prints with `--json`, which must be one object and nothing else."""
        result = self.call(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found


def lines(rows: Sequence[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def items(count: int = 60) -> list[dict[str, Any]]:
    """Own questions: every other a sum, every other a product; two in three for profiling."""
    rows = []
    for n in range(count):
        a, b = n + 2, n % 7 + 3
        right = a + b if n % 2 == 0 else a * b
        options = [str(right + each) for each in (0, 1, 2, 3)]
        place = n * 7 % 4
        options = options[-place:] + options[:-place]
        rows.append(
            {
                "question_id": f"q{n}",
                "question": f"How much is {a} {'plus' if n % 2 == 0 else 'times'} {b}?",
                "options": options,
                "answer": LETTERS[options.index(str(right))],
                "category": "sums" if n % 2 == 0 else "products",
                "benchmark": "arithmetic",
                "profile": n % 3 != 0,
            }
        )
    return rows


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but the parts."""
    told = blake2b(":".join(map(str, parts)).encode(), digest_size=4).digest()
    return int.from_bytes(told, "big") / 2**32


def output(expert: str, row: dict[str, Any]) -> str:
    """What an expert was recorded to say."""
    home = {"adder": "sums", "multiplier": "products"}.get(expert)
    skill = 0.7 if home is None else 0.95 if home == row["category"] else 0.35
    if expert == "mumbler" and chance("mumble", row["question_id"]) < 0.5:
        return "Numbers have many properties, and one could go on about each."
    right = chance(expert, row["question_id"]) < skill
    gold = LETTERS.index(row["answer"])
    letter = LETTERS[gold if right else (gold + 1) % 4]
    if expert == "steady":
        return f"Going through it.\n**{letter}**"
    return f"Going through it step by step. The answer is ({letter})."


def recordings(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"question_id": row["question_id"], "model": f"m-{name}", "output": output(name, row)}
        for name in EXPERTS
        for row in rows
    ]


def roster(*experts: str) -> str:
    own = "".join(
        f"  - {{name: {name}, model: m-{name}, price: {{input: 1, output: 2}}}}\n"
        for name in experts
    )
    return f"schema: 1\ndefaults: {{worker: recorded, recordings: answers.jsonl}}\nexperts:\n{own}"


def build(folder: Path) -> World:
    """The files of a world, without a table."""
    rows = items()
    (folder / "items.jsonl").write_text(lines(rows))
    (folder / "answers.jsonl").write_text(lines(recordings(rows)))
    (folder / "roster.yaml").write_text(roster(*EXPERTS))
    (folder / "three.yaml").write_text(roster(*EXPERTS[:3]))
    (folder / "other.yaml").write_text(roster(*EXPERTS).replace("name: adder", "name: counter"))
    return World(folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with a table and two finished runs, `run` and `baseline`; not to be changed."""
    world = build(tmp_path_factory.mktemp("finished"))
    table = world.path("table.json")
    world.data("profile", *world.inputs, "--rows", "profile", "--out", table)
    rest = [*world.inputs, "--table", table, "--rows", "rest", "--quiet"]
    world.data("run", "orchestra", *rest, "--out", world.path("run"))
    world.data("run", "single-best", *rest, "--out", world.path("baseline"))
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world of its own, without a table."""
    return build(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], str]:
    """Write a file into the test's folder; its path."""

    def write_file(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write_file
