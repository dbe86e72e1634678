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


class TestFirstHour:
    """A roster without prices, and questions without categories."""

    @pytest.fixture
    def table(self, tmp_path: Path, roster: Path) -> tuple[Path, str]:
        rows = [f"What is {n} + 1?,{n},{n + 1},B" for n in range(4)]
        questions = tmp_path / "q.csv"
        questions.write_text("\n".join(["Question,A,B,Correct", *rows]))
        out = tmp_path / "t.json"
        told = call("profile", "-r", roster, "--on", questions, "--out", out)
        assert told.exit_code == 0, told.output
        return out, told.stdout

    def test_money_without_prices_is_not_called_zero(
        self, tmp_path: Path, roster: Path, table: tuple[Path, str]
    ) -> None:
        out, told = table
        assert "paid a sum that is not known for 12 attempts: no prices" in told
        assert "--all`" in told
        assert "orchestra table TABLE" not in told
        run = ("run", "majority", "-r", roster, "-t", out, "--on", tmp_path / "q.csv")
        report = call(*run, "--out", tmp_path / "run").stdout
        assert "money    not known: no prices" in report
        assert "$" not in report
        assert "unknown" not in report
        assert "not known: no prices" in (tmp_path / "run" / "report.html").read_text()

    def test_a_choice_has_the_skill_that_a_run_gives_it(
        self, roster: Path, table: tuple[Path, str]
    ) -> None:
        base = ("ask", "What is 7 + 1?", "-r", roster, "-t", table[0])
        choice = call(*base, "--option", "7", "--option", "8")
        assert "choice 100 % (by category)" in choice.stdout
        assert "tagged by its words" not in choice.stderr
        assert "tagged by its words" in call(*base).stderr

    def test_an_expert_that_failed_was_not_measured(self, tmp_path: Path, server: Loopback) -> None:
        server.models = ["m", "n"]
        path = panel(tmp_path, server, "m", "gone")
        questions = tmp_path / "q.jsonl"
        questions.write_text('{"question": "2 + 2?", "options": ["3", "4"], "answer": "4"}\n')
        told = call("profile", "-r", path, "--on", questions, "--out", tmp_path / "t.json")
        assert "1 of 2 experts were measured now" in told.stdout

    def test_a_draft_that_is_its_own_answer_is_shown_once(
        self, server: Loopback, roster: Path
    ) -> None:
        server.chat = lambda model, prompt: f"Light is scattered, says {model}.\n\n" + "More. " * 9
        lines = call("ask", "Why?", "-r", roster, "-p", "majority").stdout.splitlines()
        assert [line for line in lines if line.startswith("m  stated:whole  ")]


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
