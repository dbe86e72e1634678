"""`ask`, against servers on loopback: progress, open questions, failures, cost, memory."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestra.cli import main
from tests.cli.conftest import World
from tests.loopback import Loopback, loopback

ESSAY = "TLS is a protocol.\n\nIt has a handshake, in which keys are agreed on. " + "More. " * 200


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback(models=["m", "n", "o"]) as served:
        yield served


def panel(folder: Path, server: Loopback, *models: str, more: str = "") -> Path:
    rows = "".join(
        f"  - {{name: {model}, model: {model}, base_url: '{server.url}'{more}}}\n"
        for model in models
    )
    path = folder / "roster.yaml"
    path.write_text(f"schema: 1\nexperts:\n{rows}")
    return path


@pytest.fixture
def roster(tmp_path: Path, server: Loopback) -> Path:
    return panel(tmp_path, server, "m", "n", "o")


class TestOpenQuestions:
    def test_a_long_answer(self, server: Loopback, roster: Path) -> None:
        server.chat = lambda model, prompt: ESSAY if model == "m" else f"{model} says: it hides."
        base = ("ask", "Explain TLS to a child", "-r", roster, "-p", "majority")
        told = json.loads(call(*base, "--json").stdout)
        assert told["kind"] == "open"
        assert told["decision"]["text"] in [draft["text"] for draft in told["drafts"]]
        assert told["decision"]["confidence"] is None
        assert {draft["expert"] for draft in told["drafts"]} == {"m", "n", "o"}
        for prompt in server.prompts:
            assert prompt.startswith("Explain TLS to a child")
            assert "as few words" not in prompt
            assert "step by step" not in prompt

    def test_drafts_are_shortened_and_answers_are_not(self, server: Loopback, roster: Path) -> None:
        server.chat = lambda model, prompt: ESSAY
        base = ("ask", "Explain TLS", "-r", roster, "-p", "majority")
        short, whole = call(*base).stdout, call(*base, "--drafts").stdout
        assert "TLS is a protocol." in short
        assert "characters]" in short
        assert "characters]" not in whole
        assert short.count("More.") < whole.count("More.")
        assert short.split("Decision")[1].count("More.") == 200

    def test_short_answers_are_counted(self, server: Loopback, roster: Path) -> None:
        said = {"m": "It lies on the Seine.\nThe answer is Paris.", "n": "**Answer:** PARIS"}
        server.chat = lambda model, prompt: said.get(model, "The answer is Lyon.")
        told = json.loads(
            call("ask", "Where is the Louvre?", "-r", roster, "-p", "majority", "--json").stdout
        )
        assert told["decision"]["value"] == "paris"
        assert "Seine" in told["decision"]["text"]
        assert told["ballot"]["support"] == pytest.approx(2 / 3)

    @pytest.mark.parametrize(
        ("question", "options", "kind"),
        [
            ("How many legs has a spider?", (), "number"),
            ("Which is prime?", ("--option", "9", "--option", "11"), "choice"),
            ("Name a prime.", ("--kind", "text"), "text"),
            ("Write a poem.", (), "open"),
            ("Warum ist der Himmel blau?", (), "open"),
        ],
    )
    def test_kinds(
        self, server: Loopback, roster: Path, question: str, options: tuple[str, ...], kind: str
    ) -> None:
        told = json.loads(
            call("ask", question, "-r", roster, "-p", "majority", "--json", *options).stdout
        )
        assert told["kind"] == kind


class TestProgress:
    def test_plan_and_drafts_come_before_the_answer(
        self, server: Loopback, roster: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from orchestra.cli.output import Screen

        shown: list[str] = []
        released = threading.Event()

        def show(self: Screen, data: object, view: Any) -> None:
            shown.append(type(view).__name__)
            released.set()

        def chat(model: str, prompt: str) -> str:
            assert released.wait(5), "the plan is shown before any draft is there"
            return f"{model}."

        monkeypatch.setattr(Screen, "show", show)
        server.chat = chat
        assert call("ask", "Which?", "-r", roster, "-p", "majority").exit_code == 0
        assert len(shown) == 2 + 3 + 3  # plan and heading, drafts, then votes, decision and cost

    def test_cost(self, tmp_path: Path, server: Loopback) -> None:
        base = ("ask", "Which?", "-p", "majority", "-r")
        unknown = call(*base, panel(tmp_path, server, "m")).stdout
        assert "1 call, 11 tokens in and 5 out" in unknown
        assert "not known" in unknown
        priced = panel(tmp_path, server, "m", "n", more=", price: {input: 1000, output: 2000}")
        words = call(*base, priced).stdout
        assert "money: $0.04" in words
        told = json.loads(call(*base, priced, "--json").stdout)["cost"]
        assert (told["calls"], told["input_tokens"], told["output_tokens"]) == (2, 22, 10)
        assert told["money"] == pytest.approx(0.042)


class TestFailures:
    def test_one_dead_expert_costs_one_draft(self, tmp_path: Path, server: Loopback) -> None:
        roster = panel(tmp_path, server, "m", "n", "gone")
        result = call("ask", "Which?", "-r", roster, "-p", "majority")
        assert result.exit_code == 0
        assert "absent: failed" in result.stdout
        assert "does not exist" in result.stdout

    def test_nobody_answers(self, tmp_path: Path, server: Loopback) -> None:
        roster = panel(tmp_path, server, "gone", "lost")
        result = call("ask", "Which?", "-r", roster, "-p", "majority")
        assert result.exit_code == 3
        assert "every call failed" in result.stderr
        assert "`gone`" in result.stderr
        assert "`lost`" in result.stderr
        assert "--live" in result.stderr


class TestMemory:
    @pytest.fixture
    def profiled(self, finished: World, tmp_path: Path) -> World:
        for name in ("roster.yaml", "items.jsonl", "answers.jsonl", "table.json"):
            shutil.copy(finished.path(name), tmp_path)
        return World(tmp_path)

    def ask(self, world: World, question: str, *more: str) -> Result:
        table = world.path("table.json")
        return world.call("ask", *world.inputs, "-t", table, "--id", question, *more)

    def test_votes_of_earlier_questions_are_kept(self, profiled: World) -> None:
        memory = profiled.folder / ".orchestra" / "trust-table.json"
        self.ask(profiled, "q0", "-p", "majority")
        assert not memory.exists()
        for question in ("q0", "q3", "q0"):
            assert self.ask(profiled, question).exit_code == 0
        kept = json.loads(memory.read_text())["questions"]
        assert [each["question_id"] for each in kept] == ["q3", "q0"]
        assert "Going through" not in memory.read_text()

    def test_a_damaged_memory(self, profiled: World) -> None:
        memory = profiled.folder / ".orchestra" / "trust-table.json"
        memory.parent.mkdir()
        memory.write_text("{")
        result = self.ask(profiled, "q0")
        assert result.exit_code == 2
        assert "--no-memory" in result.stderr
        assert self.ask(profiled, "q0", "--no-memory").exit_code == 0
        assert memory.read_text() == "{"

    def test_where_nothing_can_be_written(self, profiled: World) -> None:
        (profiled.folder / ".orchestra").write_text("a file where the folder would be")
        result = self.ask(profiled, "q0")
        assert result.exit_code == 0
        assert "Decision" in result.stdout
        assert "not remembered" in result.stderr
