"""Each command on sound input: what it prints, and that it leaves nothing else behind."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

World = Any


def test_profile_counts_what_was_seen(finished: World) -> None:
    table = finished.data("table", finished.path("table.json"))
    assert set(table["skills"]) == {"sums", "products"}
    adder = table["experts"]["adder"]
    assert adder["seen"] == 40
    assert adder["skills"]["sums"]["correct"] > adder["skills"]["products"]["correct"]
    assert table["experts"]["mumbler"]["absent_by_reason"]["unparsed"] > 5
    assert table["provenance"]["tagger"] == "category"


def test_adding_an_expert_asks_nobody_else(world: World) -> None:
    three, four, whole = (world.path(name) for name in ("3.json", "4.json", "whole.json"))
    on = ["--on", world.path("items.jsonl")]
    world.data("profile", "-r", world.path("three.yaml"), *on, "--rows", "profile", "-o", three)
    added = world.data("profile", *world.inputs, "--add-to", three, "-o", four)
    world.data("profile", *world.inputs, "--rows", "profile", "-o", whole)
    assert added["added"] == ["mumbler"]
    both = [json.loads(Path(each).read_text()) for each in (four, whole)]
    assert both[0]["evidence"] == both[1]["evidence"]
    assert both[0]["provenance"]["roster"] == both[1]["provenance"]["roster"]
    again = world.data("profile", *world.inputs, "--add-to", four, "-o", four)
    assert again["added"] == []


def test_adding_to_a_table_refuses_other_terms(world: World) -> None:
    table = world.path("t.json")
    world.data("profile", "-r", world.path("three.yaml"), *world.inputs[2:], "-o", table)
    rest = ["profile", *world.inputs, "--add-to", table, "-o", table]
    for more in (["--tagger", "lexical"], ["--read", "strict"], ["--limit", "3"]):
        result = world.call(*rest, *more)
        assert result.exit_code == 2
        assert "leave" in result.stderr


def test_a_profile_resumes_from_its_folder(world: World) -> None:
    command = ["profile", *world.inputs, "--run", world.path("kept"), "-o", world.path("t.json")]
    first = world.data(*command)
    assert world.data("show", world.path("kept"))["rows"]["generation"] == 240
    assert world.data(*command) == first
    strict = world.data(*command, "--read", "strict")  # no call changes
    assert strict["experts"]["steady"]["absent"] > first["experts"]["steady"]["absent"]
    assert world.data("show", world.path("kept"))["rows"]["generation"] == 240


def test_a_table_is_shown_with_numbers_alone(finished: World) -> None:
    shown = finished.call("table", finished.path("table.json")).stdout
    assert "\x1b" not in shown
    for word in ("adder", "mumbler", "sums", "products", "±", "unparsed"):
        assert word in shown
    one = finished.call("table", finished.path("table.json"), "--skill", "sums").stdout
    assert "products" not in one
    assert "1 more skill:" in one


@pytest.mark.parametrize(("category", "expert"), [("sums", "adder"), ("products", "multiplier")])
def test_route_recruits_by_skill(finished: World, category: str, expert: str) -> None:
    base = ["route", "-r", finished.path("roster.yaml"), "-t", finished.path("table.json")]
    told = finished.data(*base, "What is it?", "--category", category)
    assert told["skills"] == [[category, 1.0]]
    assert told["seats"][0]["expert"] == expert
    assert f"`{category}`" in told["seats"][0]["reason"]


def test_route_tags_a_bare_question_by_its_words_and_says_so(finished: World) -> None:
    base = ["route", "-r", finished.path("roster.yaml"), "-t", finished.path("table.json")]
    result = finished.call(*base, "What is the derivative of x squared?", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["tagger"] == "lexical"
    assert "--category" in result.stderr
    assert finished.call(*base, "What?", "--quiet").stderr == ""


def test_ask_replays_a_recorded_question(finished: World) -> None:
    base = ["ask", *finished.inputs, "-t", finished.path("table.json")]
    told = finished.data(*base, "--id", "q0")
    assert told["decision"]["value"] in tuple("ABCD")
    assert {each["expert"] for each in told["answers"]} <= set(
        ["adder", "multiplier", "steady", "mumbler"]
    )
    words = finished.call(*base, "--id", "q0").stdout
    assert "Votes" in words
    assert "gold" in words


def test_ask_says_that_recordings_cannot_answer_something_new(finished: World) -> None:
    result = finished.call("ask", "-r", finished.path("roster.yaml"), "How much is 1 plus 1?")
    assert result.exit_code == 0
    assert "no expert has a recorded answer" in result.stderr
    assert "not_recorded" in result.stdout


def test_plan_foresees_what_the_run_does(finished: World) -> None:
    given = [*finished.inputs, "-t", finished.path("table.json"), "--rows", "rest"]
    told = finished.data("plan", "orchestra", *given)
    report = json.loads((finished.folder / "run" / "report.json").read_text())
    seats = {name: part["seats"] for name, part in told["experts"].items()}
    assert told["questions"] == 20
    assert told["calls"] == sum(seats.values()) <= report["calls"]
    assert told["loads"] == told["loads_lower_bound"] == len(seats)
    assert told["loads_first_come"] > told["loads"]
    assert told["estimated"] is True
    assert told["money"] > 0
    assert "nothing is generated" in finished.call("plan", "orchestra", *given).stdout
    order = told["order"]
    assert [step["unit"] for step in order["steps"]] == list(seats)
    assert {(step["comes"], step["leaves"]) for step in order["steps"]} == {("cold", "exit")}
    assert order["loads"] == order["loads_lower_bound"] == told["loads"]
    assert order["seconds"] is None  # recorded answers say nothing of engines


@pytest.mark.parametrize(
    ("limit", "within", "said"),
    [
        ("money=0.0000001", "no", "money $1e-07: the estimate is above it"),
        ("money=1000", "yes", "money $1,000: enough for the estimate"),
        ("calls=3", "no", "calls 3: the estimate is above it"),
    ],
)
def test_plan_holds_a_budget_against_the_estimate(
    finished: World, limit: str, within: str, said: str
) -> None:
    given = [*finished.inputs, "-t", finished.path("table.json"), "--budget", limit]
    name, _, most = limit.partition("=")
    told = finished.data("plan", "orchestra", *given)
    assert told["budget"] == {name: {"most": float(most), "within": within}}
    assert f"budget   {said}" in finished.call("plan", "orchestra", *given).stdout


def test_plan_says_who_is_resident_where(finished: World, tmp_path: Path) -> None:
    roster = yaml.safe_load((finished.folder / "roster.yaml").read_text())
    for expert, gib in zip(roster["experts"], (8, 16, 30, 61), strict=True):
        expert |= {"memory_gib": gib, "recordings": finished.path("answers.jsonl")}
    sized = tmp_path / "sized.yaml"
    sized.write_text(yaml.safe_dump(roster))
    given = ["plan", "orchestra", "-r", str(sized), "--on", finished.path("items.jsonl")]
    given += ["-t", finished.path("table.json"), "--devices", "2", "--device-memory", "61"]
    order = finished.data(*given)["order"]
    assert {step["device"] for step in order["steps"]} == {0, 1}
    assert order["seconds_lower_bound"] <= order["seconds"] <= order["seconds_first_come"]
    assert order["seconds_rest_on"] == "extrapolation"
    words = finished.call(*given).stdout
    for word in ("Residency", "extrapolated", "lower bound", "question by question", "GiB"):
        assert word in words
    refused = finished.call(*given[:-1], "40")
    assert refused.exit_code == 2
    assert "takes 61 GiB, the largest device has 40" in refused.stderr


def test_a_finished_run_is_only_read(finished: World) -> None:
    folder = finished.folder / "run"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {"manifest.json", "ledger.sqlite", "report.json", "report.html"} <= set(before)
    given = [*finished.inputs, "-t", finished.path("table.json"), "--rows", "rest"]
    result = finished.call("run", "orchestra", *given, "--out", str(folder), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["resumed"] is True
    assert "nothing was done" in result.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_missed_threshold_is_exit_code_1(finished: World) -> None:
    given = [*finished.inputs, "-t", finished.path("table.json"), "--rows", "rest"]
    command = ["run", "orchestra", *given, "--out", finished.path("run")]
    assert finished.call(*command, "--least-accuracy", "0.1").exit_code == 0
    result = finished.call(*command, "--least-accuracy", "1.0", "--quiet")
    assert result.exit_code == 1
    assert "below the threshold" in result.stderr


def test_a_budget_stops_a_run_and_a_larger_one_is_another_run(world: World) -> None:
    command = ["run", "majority", *world.inputs, "--out", world.path("run")]
    result = world.call(*command, "--set", "budget.calls=70")
    assert result.exit_code == 4
    assert "budget" in result.stderr
    assert world.data("show", world.path("run"))["status"] == "stopped"


def test_settings_limit_and_seed_reach_the_run(world: World) -> None:
    told = world.data(
        "run", "majority", *world.inputs, "--out", world.path("run"), "--limit", "7", "--seed", "5",
        "--set", "route={random: 2}",
    )  # fmt: skip
    assert (told["questions"], told["seed"], told["calls"]) == (7, 5, 14)


def test_show_tells_a_question_s_whole_way(finished: World) -> None:
    told = finished.data("show", finished.path("run"), "q3")
    assert told["question"] == "How much is 5 times 6?"
    assert told["outcome"] in ("correct", "wrong", "absent")
    assert len(told["drafts"]) == len(told["ballot"]["votes"])
    assert all(draft["text"] for draft in told["drafts"])
    words = finished.call("show", finished.path("run"), "q3").stdout
    for part in ("How much is 5 times 6?", "Recruited", "Drafts", "Votes", "Decision", "gold"):
        assert part in words


def test_show_does_without_the_questions(world: World) -> None:
    world.data("run", "majority", *world.inputs, "--limit", "4", "--out", world.path("run"))
    ids = [row["question_id"] for row in _export(world, "decisions", "d.jsonl")]
    (world.folder / "items.jsonl").rename(world.folder / "moved.jsonl")
    result = world.call("show", world.path("run"), ids[0])
    assert result.exit_code == 0
    assert "no longer there" in result.stderr
    told = world.data("show", world.path("run"), ids[0], "--on", world.path("moved.jsonl"))
    assert told["question"].startswith("How much")


def test_marking_by_the_same_rules_changes_nothing(finished: World) -> None:
    told = finished.data("mark", finished.path("run"))
    assert told["before"] == told["after"]
    assert told["gained"] == told["lost"] == []
    assert told["unasked"] == 0
    report = json.loads((finished.folder / "run" / "report.json").read_text())
    assert told["before"]["accuracy"] == report["accuracy"]


def test_marking_by_other_rules_reads_the_texts_again(finished: World, tmp_path: Path) -> None:
    out = tmp_path / "marked.json"
    told = finished.data("mark", finished.path("run"), "--rule", "strict", "--out", str(out))
    steady = told["experts"]["steady"]
    assert steady["before"]["accuracy"] > 0
    assert steady["after"]["absent"]["unparsed"] == steady["after"]["n"]
    assert json.loads(out.read_text()) == told
    assert "nothing generated" in finished.call("mark", finished.path("run")).stdout


def test_compare_is_paired(finished: World) -> None:
    a, b = finished.path("run"), finished.path("baseline")
    told = finished.data("compare", a, b)
    assert told["n"] == 20
    assert told["wins"] - told["losses"] == round(told["difference"] * 20)
    assert len(told["flips"]) == told["wins"] + told["losses"]
    assert set(told["by_category"]) == {"sums", "products"}
    assert sum(each["n"] for each in told["by_category"].values()) == 20
    assert finished.data("compare", b, a)["difference"] == -told["difference"]
    assert "McNemar" in finished.call("compare", a, b).stdout
    assert told["power"]["n"] == 20


def test_compare_shows_the_questions_that_flip(finished: World) -> None:
    a, b = finished.path("run"), finished.path("baseline")
    told = finished.data("compare", a, b, "--flips", "2")
    assert [each["question_id"] for each in told["flip_questions"]] == sorted(told["flips"])[:2]
    for each in told["flip_questions"]:
        assert set(each["outcomes"].values()) != {"correct"}
        assert each["question"]
    assert "Questions that flip" in finished.call("compare", a, b, "--flips", "2").stdout


def test_compare_takes_several_runs(finished: World, tmp_path: Path) -> None:
    a, b, c = finished.path("run"), finished.path("baseline"), str(tmp_path / "copy")
    shutil.copytree(a, c)
    told = finished.data("compare", a, b, c)
    assert told["runs"] == [a, b, c]
    assert [(each["a"], each["b"]) for each in told["pairs"]] == [(a, b), (a, c), (b, c)]
    assert told["pairs"][0]["p_holm"] >= told["pairs"][0]["p"]
    assert told["pairs"][1]["flips"] == []
    assert "Holm" in finished.call("compare", a, b, c).stdout


def test_report_checks_the_receipt(finished: World) -> None:
    receipt = finished.data("report", finished.path("run"))["receipt"]
    assert len(receipt["picks"]) == 32
    assert receipt["questions"] == 20
    assert "fits" in finished.call("report", finished.path("run")).stderr


def _export(world: World, what: str, name: str) -> list[dict[str, Any]]:
    world.data("export", world.path("run"), "--what", what, "--to", world.path(name))
    return [json.loads(line) for line in (world.folder / name).read_text().splitlines()]


@pytest.mark.parametrize("what", ["decisions", "answers", "generations", "plans", "ballots"])
def test_every_format_has_the_same_rows(finished: World, tmp_path: Path, what: str) -> None:
    files = {each: tmp_path / f"{what}.{each}" for each in ("jsonl", "parquet", "csv")}
    for path in files.values():
        told = finished.data("export", finished.path("run"), "--what", what, "--to", str(path))
    plain = [json.loads(line) for line in files["jsonl"].read_text().splitlines()]
    assert pq.read_table(files["parquet"]).to_pylist() == plain
    with files["csv"].open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert told["rows"] == len(plain) == len(cells)
    assert set(plain[0]) == set(cells[0])
    assert [row["question_id"] for row in cells] == [row["question_id"] for row in plain]
    if what == "answers":
        assert {row["correct"] for row in plain} == {True, False}
        assert {row["category"] for row in plain} == {"sums", "products"}
    if what == "decisions":
        assert list(plain[0]) == [
            "question_id", "value", "confidence", "abstained", "method", "seats", "votes",
            "question", "category", "gold", "correct",
        ]  # fmt: skip
        assert {row["correct"] for row in plain} == {True, False}
        assert json.loads(cells[0]["seats"]) == plain[0]["seats"]
    assert not list(tmp_path.glob("*.part"))


def test_report_prints_and_draws(finished: World, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    told = finished.data("report", finished.path("run"), "--html", str(page))
    assert told["n"] == 20
    assert page.read_bytes() == (finished.folder / "run" / "report.html").read_bytes()
    words = finished.call("report", finished.path("run")).stdout
    for part in ("95 %", "best single, by profile", "By category", "Brier", "loads"):
        assert part in words


def test_check_tells_files_apart(finished: World) -> None:
    names = ["roster.yaml", "items.jsonl", "answers.jsonl", "table.json", "run"]
    shipped = Path(__file__).parents[2] / "pipelines" / "orchestra.yaml"
    told = finished.data("check", *(finished.path(name) for name in names), str(shipped))
    kinds = [each["kind"] for each in told["files"]]
    assert kinds == ["roster", "items", "recordings", "table", "run", "pipeline"]
    assert told["errors"] == 0
    assert told["files"][1]["facts"]["letters"] == {letter: 15 for letter in "ABCD"}


@pytest.mark.parametrize(
    ("pipeline", "roster", "warned"),
    [
        ("robust-f2", False, None),
        ("robust-f2", True, "at most 4 experts answer a question: it takes 5"),
        ("robust-f1", True, None),
        ("orchestra", True, None),
        ("mine.yaml", False, "at most 2 experts answer a question: it takes 3"),
    ],
)
def test_too_few_experts_for_the_declared_faults_are_warned_about(
    world: World, pipeline: str, roster: bool, warned: str | None
) -> None:
    mine = "schema: 1\nname: mine\nroute: {top-k: 2}\nvote: {robust: 1}\n"
    (world.folder / "mine.yaml").write_text(mine)
    files = [world.path(pipeline) if pipeline.endswith("yaml") else pipeline]
    files += [world.path("roster.yaml")] if roster else []
    told = world.data("check", *files)
    warnings = " ".join(told["files"][0]["warnings"])
    assert (warned in warnings) if warned else not warnings


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_exit_code_130_and_goes_on(world: World, number: int) -> None:
    many = [
        json.dumps({**json.loads(line), "question_id": f"{n}-{at}"})
        for n, line in enumerate((world.folder / "items.jsonl").read_text().splitlines())
        for at in range(300)
    ]
    (world.folder / "items.jsonl").write_text("\n".join(many))
    command = ["run", "majority", *world.inputs, "--out", world.path("run")]
    # Whatever a shell starts in the background is deaf to interrupts, a test suite too.
    hearing = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from orchestra.cli import main; main()"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", hearing, *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    # Plans in the journal mean that the run is under way, not just opening its folder.
    journal = world.folder / "run" / "ledger.sqlite-wal"
    while started.poll() is None and not (journal.exists() and journal.stat().st_size > 50_000):
        time.sleep(0.01)
    started.send_signal(number)
    out, err = started.communicate(timeout=60)
    assert started.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert out == ""
    assert world.data("show", world.path("run"))["status"] == "interrupted"
