"""The public surface does what ARCHITECTURE's example says, sync and async, on real experts."""

from __future__ import annotations

import asyncio
import builtins
import inspect
import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from rich.console import Console

import orchestra as oc
from benchmarks.provider import provider
from orchestra.cli import main
from orchestra.embedded import Split, embedded_roster, questions
from orchestra.errors import BudgetExhausted, InputErrors, MissingExtra
from orchestra.evals import write_items
from orchestra.report import progress_bar

if TYPE_CHECKING:
    from tests.conftest import Builder

TRAIN = oc.Dataset(questions(3, of=Split.PROFILE))
TEST = oc.Dataset(questions(2, of=Split.TEST))
ABACUS = "What is the sum of 3 and 4?"


@pytest.fixture(scope="module")
def team() -> oc.Pipeline:
    return oc.Pipeline("orchestra", embedded_roster(), seed=0).fit(TRAIN, progress=False)


@pytest.fixture(scope="module")
def run(team: oc.Pipeline) -> oc.Run:
    return team.run(TEST, progress=False)


class TestTheExample:
    """The code of ARCHITECTURE's "Public surface", with embedded experts."""

    def test_as_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        experts = oc.Roster(
            [
                oc.Expert("centurion", model="embedded/centurion", worker="local"),
                oc.Expert("almanac", model="embedded/almanac", worker="local"),
            ]
        )
        train, test = oc.load_dataset(TRAIN), [item for item in TEST]
        team = oc.Pipeline("orchestra", experts, seed=0).fit(train)
        team.save("team/")
        answer = team.ask("Which is prime?", options=["9", "11", "15"])
        assert answer.value in ("A", "B", "C", None)
        assert set(answer.experts) <= {"centurion", "almanac"}
        assert "expected" in team.route("What is 888 mod 6?").explain()
        run = team.run(test, out="runs/a", budget=oc.Budget(money=5), progress=True)
        assert run.report.accuracy is not None
        assert run.report.interval is not None
        low, high = run.report.interval
        assert low <= run.report.accuracy <= high
        run.report.to_html("a.html")
        assert "<!doctype html>" in Path("a.html").read_text()
        compared = run.compare(oc.Pipeline("majority", experts).run(test))
        assert compared.points == pytest.approx(100 * compared.difference)
        assert "McNemar p = " in repr(compared)
        assert asyncio.run(team.aask("Which is prime?", options=["9", "11", "15"])) == answer
        assert oc.Pipeline.load("team/").ask("Which is prime?", options=["9", "11", "15"]) == answer


class TestPipeline:
    def test_fit_is_the_profile_and_comes_back(self, team: oc.Pipeline) -> None:
        assert team.table is not None
        assert set(team.table.experts) == set(team.experts.recruits)
        assert team.table.provenance["tagger"] == "keywords:labeller"  # the roster's own tagger
        assert repr(team) == "Pipeline('orchestra', 12 experts, fitted on 24 questions)"

    def test_without_a_tagger_categories_are_the_skills(self) -> None:
        roster = embedded_roster().subset(["abacus"])
        team = oc.Pipeline("orchestra", roster)
        assert repr(team) == "Pipeline('orchestra', 1 experts, not fitted)"
        assert team.table is None
        assert team.fit(TRAIN, progress=False) is team
        assert team.table is not None
        assert team.table.provenance["tagger"] == "category"
        # A question that names no category is tagged by its words.
        assert team.route(ABACUS).brief.tagger == "lexical"
        assert team.route(ABACUS, category="addition").skills == {"addition": 1.0}
        with pytest.raises(oc.InputError, match="unknown category: 'additoin'"):
            team.route(ABACUS, category="additoin")

    def test_fit_keeps_its_generations(self, build: Builder, tmp_path: Path) -> None:
        items = build.items(4)
        asked: list[str] = []

        def once(request: oc.Request) -> str:
            asked.append(request.question_id)
            return "The answer is (A)."

        for _ in range(2):
            team = oc.Pipeline("majority", build.scripted("a"), scripts={"a": once})
            team.fit(items, out=tmp_path / "fit", progress=False)
        assert len(asked) == 4

    def test_options_and_experts(self, build: Builder) -> None:
        roster = build.scripted("a", "b")
        scripts = {"a": lambda r: "The answer is 1.", "b": lambda r: "The answer is 2."}
        team = oc.Pipeline("majority", list(roster), options={"generate.calls": 1}, scripts=scripts)
        assert len(team.ask("How many?").experts) == 1
        with pytest.raises(oc.InputError, match="unknown option"):
            oc.Pipeline("majority", roster, options={"generate.call": 1}, scripts=scripts)

    def test_save_and_load(self, team: oc.Pipeline, run: oc.Run, tmp_path: Path) -> None:
        team.save(tmp_path / "team")
        again = oc.Pipeline.load(tmp_path / "team")
        assert again.run(TEST, progress=False).decisions == run.decisions
        files = {path.name for path in (tmp_path / "team").iterdir()}
        assert files == {"pipeline.yaml", "roster.yaml", "table.json"}

    def test_a_saved_pipeline_is_a_command_line_one(
        self, team: oc.Pipeline, run: oc.Run, tmp_path: Path
    ) -> None:
        team.save(tmp_path)
        write_items(tmp_path / "test.jsonl", TEST)
        words = ["run", "pipeline.yaml", "--roster", "roster.yaml", "--table", "table.json"]
        words += ["--on", "test.jsonl", "--out", "run", "--json"]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            done = CliRunner().invoke(main, words, catch_exceptions=False)
        assert json.loads(done.stdout)["accuracy"] == run.report.accuracy

    def test_settings_are_saved(self, tmp_path: Path) -> None:
        roster = embedded_roster()
        team = oc.Pipeline("majority", roster, seed=7, options={"generate.calls": 2})
        team.save(tmp_path)
        again = oc.Pipeline.load(tmp_path)
        assert (again.seed, again.name) == (7, "majority")
        assert len(again.ask(ABACUS).experts) == 2

    @pytest.mark.parametrize("name", ["fit", "ask", "route", "run"])
    def test_twins_have_one_signature(self, name: str) -> None:
        sync, twin = getattr(oc.Pipeline, name), getattr(oc.Pipeline, f"a{name}")
        assert inspect.signature(sync) == inspect.signature(twin)
        assert inspect.iscoroutinefunction(twin)
        assert not inspect.iscoroutinefunction(sync)
        assert sync.__doc__ == twin.__doc__
        assert sync.__name__ == name


class TestAnswers:
    def test_an_answer(self, team: oc.Pipeline) -> None:
        answer = team.ask("Add 377 and 89.")
        assert answer.value == "466"
        assert answer.confidence is not None
        assert answer.experts[0] in ("abacus", "surveyor")
        assert repr(answer).startswith("Answered('466', confidence ")
        assert "Decision" in answer.explain()
        assert "<pre>" in answer._repr_html_()
        told = answer.to_dict()
        json.dumps(told)
        assert told["value"] == "466"
        assert told["experts"] == list(answer.experts)

    def test_a_choice_has_a_letter_and_a_text(self, team: oc.Pipeline) -> None:
        answer = team.ask("Add 377 and 89.", options=["464", "465", "466", "566"])
        assert (answer.value, answer.text) == ("C", "466")
        assert "'C' '466'" in repr(answer)

    @pytest.mark.parametrize("as_what", ["mapping", "question", "item"])
    def test_a_whole_question(self, team: oc.Pipeline, as_what: str) -> None:
        item = TEST[0]
        given: Any = {"mapping": {"question": item.question.text}, "item": item}
        given["question"] = item.question
        assert team.ask(given[as_what]).value is not None
        with pytest.raises(oc.InputError, match="`category` belongs into the question"):
            team.ask(given[as_what], category="addition")

    def test_no_answer(self, build: Builder) -> None:
        team = oc.Pipeline("majority", build.scripted("a"), scripts={"a": lambda r: "Hm."})
        answer = team.ask("Which?", options=["x", "y"])
        assert (answer.value, answer.text, answer.confidence) == (None, "", None)
        assert repr(answer) == "Answered(no answer: unparsed)"

    @pytest.mark.parametrize(
        ("text", "details", "says"),
        [
            (" ", {}, "`question` is empty"),
            ("Which?", {"options": list("abcdefghijklmnopqrstuvwxyz?")}, "27 options"),
            ("Which?", {"kind": "chioce"}, "unknown kind"),
            ("Which?", {"kind": "choice"}, "kind `choice` without options"),
        ],
    )
    def test_a_wrong_question(
        self, team: oc.Pipeline, text: str, details: dict[str, Any], says: str
    ) -> None:
        with pytest.raises(oc.InputError, match=says):
            team.ask(text, **details)

    def test_a_route(self, team: oc.Pipeline) -> None:
        route = team.route("What is 604 modulo 6?")
        assert "remainders" in route.skills
        assert route.experts
        assert len(route.experts) <= 5
        assert repr(route).startswith(f"Route({route.experts[0]}, ")
        assert "expected to be right" in route.explain()
        assert json.loads(json.dumps(route.to_dict()))["router"] == "posterior"
        assert team.ask("What is 604 modulo 6?").route == route


class TestRuns:
    def test_a_report(self, run: oc.Run) -> None:
        report = run.report
        assert report.n == len(TEST) == len(run)
        assert report.to_dict()["accuracy"] == report.accuracy
        assert report.calls == report.to_dict()["calls"]
        assert "accuracy" in dir(report)
        assert repr(report).startswith("Report(orchestra on synthetic-embedded: ")
        assert "By category" in str(report)
        assert "<pre>" in report._repr_html_()
        with pytest.raises(AttributeError, match="a report has no 'acuracy'"):
            _ = report.acuracy

    def test_rows(self, run: oc.Run) -> None:
        row = run.to_dicts()[0]
        first = TEST[0].question
        assert (row["question_id"], row["question"]) == (first.id, first.text)
        assert row["value"] == run[first.id].value
        assert row["correct"] is (run.marks[first.id].outcome == "correct")
        assert run.report.accuracy == sum(row["correct"] for row in run.to_dicts()) / len(run)
        with pytest.raises(oc.InputError, match="unknown question of this run"):
            _ = run["nowhere"]

    def test_pandas(self, run: oc.Run, monkeypatch: pytest.MonkeyPatch) -> None:
        pandas = pytest.importorskip("pandas")
        frame = run.to_pandas()
        assert isinstance(frame, pandas.DataFrame)
        assert frame["correct"].mean() == run.report.accuracy
        frame = frame.rename(columns={"gold": "answer"})  # with options left out, all are open
        frame = frame[[not item.question.options for item in TEST]]
        assert oc.load_dataset(frame)[0].gold == frame["answer"].iloc[0]
        real = builtins.__import__

        def without(name: str, *args: Any) -> Any:
            if name == "pandas":
                raise ImportError(name)
            return real(name, *args)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(MissingExtra, match="pandas is not installed") as caught:
            run.to_pandas()
        assert caught.value.hint == "pip install pandas"

    def test_a_folder_resumes_and_serves_the_command_line(
        self, team: oc.Pipeline, run: oc.Run, tmp_path: Path
    ) -> None:
        first = team.run(TEST, out=tmp_path / "a", progress=False)
        again = team.run(TEST, out=tmp_path / "a", progress=False)
        assert (first.resumed, again.resumed) == (False, True)
        assert first.decisions == again.decisions == run.decisions
        assert first.ballots == again.ballots
        assert again.report.to_dict() == first.report.to_dict()
        assert again.folder == tmp_path / "a"
        for command in ("show", "compare", "mark"):
            folders = [str(tmp_path / "a")] * (2 if command == "compare" else 1)
            done = CliRunner().invoke(main, [command, *folders])
            assert done.exit_code == 0, done.output

    def test_another_run_in_the_same_folder(self, team: oc.Pipeline, tmp_path: Path) -> None:
        team.run(TEST[:2], out=tmp_path / "a", progress=False)
        with pytest.raises(oc.InputError, match="the folder holds a run with another"):
            team.run(TEST[:3], out=tmp_path / "a", progress=False)

    def test_a_comparison(self, team: oc.Pipeline, run: oc.Run) -> None:
        other = oc.Pipeline("single-best", team.experts, table=team.table).run(TEST, progress=False)
        compared = run.compare(other)
        assert compared.accuracy_a == pytest.approx(run.report.accuracy)
        assert compared.accuracy_b == pytest.approx(other.report.accuracy)
        assert compared.interval.low <= compared.difference <= compared.interval.high
        assert compared.wins - compared.losses == round(compared.difference * compared.n)
        assert 0 <= compared.p <= 1
        assert json.loads(json.dumps(compared.to_dict()))["n"] == len(TEST)
        assert repr(compared).startswith(f"Comparison({compared.points:+.1f} points, 95 % interval")

    def test_runs_on_other_questions(self, team: oc.Pipeline, run: oc.Run) -> None:
        part = team.run(TEST[:5], progress=False)
        with pytest.raises(oc.InputError, match="the runs differ in 11 questions") as caught:
            run.compare(part)
        assert "force=True" in caught.value.hint
        assert run.compare(part, force=True).n == 5

    def test_questions_of_every_form(self, team: oc.Pipeline, tmp_path: Path) -> None:
        pandas = pytest.importorskip("pandas")
        rows = [
            {"question": item.question.text, "answer": item.gold}
            | ({"options": list(item.question.options)} if item.question.options else {})
            for item in TEST[:4]
        ]
        path = tmp_path / "test.jsonl"
        write_items(path, oc.load_dataset(rows))
        forms: list[Any] = [rows, iter(rows), pandas.DataFrame(rows), path, str(path)]
        runs = [team.run(form, progress=False) for form in forms]
        assert {each.decisions for each in runs} == {runs[0].decisions}
        assert len(team.run(path, limit=2, progress=False)) == 2

    def test_strings_without_gold(self, team: oc.Pipeline) -> None:
        run = team.run(["Add 377 and 89.", "Add 1 and 2.", "Add 377 and 89."], progress=False)
        assert (run.report.accuracy, run.report.interval, run.report.n) == (None, None, 0)
        assert run.decisions[0].value == run.decisions[2].value == "466"
        assert len({decision.question_id for decision in run.decisions}) == 3
        assert "3 questions without gold answers" in repr(run)
        assert run.to_dicts()[0]["correct"] is None

    def test_every_bad_row_at_once(self, team: oc.Pipeline) -> None:
        with pytest.raises(InputErrors) as caught:
            team.run(["", "Add 1 and 2.", {"question": "?", "options": ["a"], "answer": "z"}])
        assert [error.place for error in caught.value.errors] == ["data[0]", "data[2]"]

    def test_a_benchmark_by_name(self, team: oc.Pipeline, tmp_path: Path) -> None:
        row = {"question_id": 1, "question": "What is 1 + 1?", "options": ["1", "2"], "answer": "B"}
        (tmp_path / "test.json").write_text(json.dumps([row]))
        items = oc.load_dataset("mmlu_pro", data=tmp_path)
        run = team.run(items, out=tmp_path / "out", progress=False)
        assert run.report.benchmark == "mmlu_pro:test"
        assert not (tmp_path / "out" / "items.jsonl").exists()
        assert team.run(items, out=tmp_path / "out", progress=False).resumed


class TestBudgets:
    def test_a_run_and_a_fit(self, build: Builder) -> None:
        items = build.items(6)
        with provider() as url:
            expert = oc.Expert(
                "served", model="m", worker="openai", base_url=f"{url}/v1", price=oc_price(1.0)
            )
            team = oc.Pipeline("majority", [expert])
            run = team.run(items, budget=oc.Budget(money=5), progress=False)
            assert run.report.spending["attempts"] == 6
            assert 0 < run.report.money < 5
            for call in (team.run, team.fit):
                with pytest.raises(BudgetExhausted, match=r"budget\.money"):
                    call(items, budget=oc.Budget(money=1e-9), progress=False)
            team.fit(items, budget=oc.Budget(calls=6), progress=False)
            assert team.table is not None

    def test_discovered_experts_answer(self, build: Builder) -> None:
        with provider(models=["small", "large"]) as url:
            experts = oc.Roster.discover(f"{url}/v1")
            assert experts.names == ("small", "large")
            answer = oc.Pipeline("majority", experts).ask("Which?", options=["x", "y"])
        assert set(answer.experts) == {"small", "large"}


def oc_price(dollars: float) -> Any:
    from orchestra.roster import Price

    return Price(dollars, dollars)


class TestAnywhere:
    def test_in_a_notebook_cell(self, team: oc.Pipeline) -> None:
        async def cell() -> tuple[oc.Answered, oc.Answered]:
            return team.ask("Add 1 and 2."), await team.aask("Add 1 and 2.")

        one, two = asyncio.run(cell())
        assert one == two == team.ask("Add 1 and 2.")

    def test_hosted_experts_serve_loops_in_turn(self) -> None:
        with provider(models=["m"]) as url:
            team = oc.Pipeline("majority", oc.Roster.discover(f"{url}/v1"))

            async def cell() -> list[oc.Answered]:
                asked = ["Which?", "What?", "When?"]
                together = await asyncio.gather(*(team.aask(text) for text in asked))
                return [*together, team.ask("Which?")]

            answers = [team.ask("Which?"), *asyncio.run(cell()), team.ask("Which?")]
        assert len(answers) == 6

    def test_threads_are_served_in_turn(self, build: Builder) -> None:
        inside: list[int] = []
        most: list[int] = []

        async def slow(request: oc.Request) -> str:
            inside.append(1)
            most.append(len(inside))
            await asyncio.sleep(0.01)
            inside.pop()
            return "The answer is (A)."

        team = oc.Pipeline("majority", build.scripted("a"), scripts={"a": slow})
        items = build.items(6)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(team.ask, items))
        assert [answer.value for answer in answers] == ["A"] * 6
        assert max(most) == 1

    def test_a_sync_call_within_an_expert_is_refused_not_endless(self, build: Builder) -> None:
        teams: list[oc.Pipeline] = []

        def nested(request: oc.Request) -> str:
            return str(teams[0].ask("Which?").value)

        teams.append(oc.Pipeline("majority", build.scripted("a"), scripts={"a": nested}))
        assert "await its async twin" in str(raised(lambda: teams[0].ask("Which?")))

    def test_an_interrupt_ends_the_call_and_frees_the_pipeline(self, build: Builder) -> None:
        main_thread = threading.main_thread().ident
        assert main_thread is not None
        slow = [True]

        async def script(request: oc.Request) -> str:
            if slow.pop() if slow else False:
                await asyncio.sleep(0.05)
                signal.pthread_kill(main_thread, signal.SIGINT)
                await asyncio.sleep(60)
            return "The answer is (A)."

        team = oc.Pipeline("majority", build.scripted("a"), scripts={"a": script})
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        started = time.monotonic()
        try:
            with pytest.raises(KeyboardInterrupt):
                team.run(build.items(2), progress=False)
        finally:
            signal.signal(signal.SIGINT, before)
        assert time.monotonic() - started < 30
        assert team.ask(build.items(1)[0]).value == "A"


def raised(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except BaseException as error:
        return error
    return None


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30])
def test_a_seed_that_no_file_can_hold_is_wrong_input(seed: int) -> None:
    with pytest.raises(oc.InputError, match="a seed is a whole number from 0"):
        oc.Pipeline("majority", embedded_roster(), seed=seed)


class TestProgress:
    def test_a_function_is_told(self, team: oc.Pipeline) -> None:
        told: list[tuple[str, int, int]] = []
        team.run(TEST[:3], progress=lambda *step: told.append(step))
        assert told
        assert told[-1][1] == told[-1][2]

    def test_a_terminal_shows_a_bar_before_the_first_call_has_ended(self) -> None:
        console = Console(file=io.StringIO(), force_terminal=True, width=100)
        with progress_bar(console) as progress:
            time.sleep(0.3)
            assert "starting" in output(console)
            for done in range(1, 200):
                progress("generate", done, 200)
            time.sleep(0.3)
            assert "generate" in output(console)

    def test_a_notebook_without_widgets_shows_a_line(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("orchestra.report.terminal.progress.find_spec", lambda name: None)
        with progress_bar(Console(file=io.StringIO(), force_jupyter=True)) as progress:
            progress("generate", 1, 20)
            progress("generate", 2, 20)
            time.sleep(0.6)  # work that does not report
            progress("generate", 20, 20)
        shown = capsys.readouterr().err.split("\r")[1:]
        assert [each.split(",")[0] for each in shown] == [
            "starting",
            "generate 2 of 20",
            "generate 20 of 20",
        ]

    @pytest.mark.parametrize(("seconds", "lines"), [(0.0, 0), (0.9, 1)])
    def test_a_file_has_a_line_within_a_second(self, seconds: float, lines: int) -> None:
        console = Console(file=io.StringIO())
        with progress_bar(console, "load [questions]") as progress:
            time.sleep(seconds)
            progress("generate", 1, 1)
        assert output(console) == "load [questions], 1 s\n" * lines


def output(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_importing_is_quick_and_loads_nothing_heavy() -> None:
    code = """
import sys, time
started = time.perf_counter()
import orchestra
seconds = time.perf_counter() - started
loaded = [each for each in ("numpy", "pyarrow", "rich", "asyncio", "pandas") if each in sys.modules]
print(seconds < 0.1, loaded)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(" ", 1) == ["True", "[]\n"]


def test_a_table_whose_skills_are_kinds_is_used_by_kind() -> None:
    says = {"a": lambda request: "The answer is (B)."}
    expert = oc.Expert("a", model="a", worker="scripted")
    rows = [{"question": f"{n} + 1?", "options": [n, n + 1], "answer": "B"} for n in range(3)]
    team = oc.Pipeline("majority", [expert], scripts=says, options={"tag": "category"}).fit(
        rows, tagger="category", progress=False
    )
    assert tuple(team.table.skills) == ("choice",)
    assert team.route("7 + 1?", options=["7", "8"]).skills == {"choice": 1.0}
