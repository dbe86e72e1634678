"""`orchestra replay` and `orchestra advise`: what they print, write and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

World = Any


@pytest.mark.slow
def test_replay_writes_a_sweep_that_is_the_same_every_time(finished: World, tmp_path: Path) -> None:
    sweep = [
        *("replay", finished.path("run"), "--set", "route.seats=1,2"),
        *("--set", "vote=majority,weighted", "--to"),
    ]
    told = finished.data(*sweep, str(tmp_path / "one"))
    finished.data(*sweep, str(tmp_path / "two"), "--processes", "1")
    for name in ("sweep.json", "sweep.html"):
        first, second = ((tmp_path / each / name).read_bytes() for each in ("one", "two"))
        assert first == second
    assert json.loads((tmp_path / "one" / "sweep.json").read_text()) == told
    assert len(told["variants"]) == 5
    page = (tmp_path / "one" / "sweep.html").read_text()
    assert "Accuracy against calls a question" in page
    assert page.count("<circle") >= 5
    assert "orchestra route.seats=1 vote=majority" in page


def test_replay_says_what_it_found(finished: World) -> None:
    shown = finished.call("replay", finished.path("run"), "--pipelines", "majority,symbolic-moe")
    assert "chosen among 2 variants" in shown.stdout
    assert "against the run's own settings" in shown.stdout
    assert "against the best single expert" in shown.stdout
    assert "1 variant left out: they need new generations" in shown.stdout
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--set", "vote=majority,robsut"], "unknown vote: 'robsut'"),
        (["--pipelines", "orchstra"], "orchstra"),
        (["--set", "route"], "not a setting with values"),
        (["--on", "nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_replay_refuses(finished: World, tmp_path: Path, more: list[str], told: str) -> None:
    result = finished.call("replay", finished.path("run"), *more)
    assert result.exit_code == 2
    assert told in result.stderr
    other = tmp_path / "mine"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    result = finished.call("replay", finished.path("run"), "--to", str(other))
    assert result.exit_code == 2
    assert "notes.txt" in result.stderr


@pytest.mark.slow
def test_advise_tells_and_keeps(finished: World, tmp_path: Path) -> None:
    given = [
        *("advise", "--recordings", finished.path("answers.jsonl")),
        *("--items", finished.path("items.jsonl"), "-o", str(tmp_path / "kept")),
    ]
    shown = finished.call(*given)
    assert shown.exit_code == 0
    for words in ("single-best: ", "oracle over all", "adder", "can go", "calls a question"):
        assert words in " ".join(shown.stdout.split())
    told = finished.data(*given)
    assert json.loads((tmp_path / "kept" / "advice.json").read_text()) == told
    assert (tmp_path / "kept" / "run" / "report.html").is_file()
    again = finished.data("replay", str(tmp_path / "kept" / "run"), "--pipelines", "orchestra")
    assert again["differing"] == 0


def test_advise_refuses_what_cannot_be_compared(finished: World, tmp_path: Path) -> None:
    bare = tmp_path / "bare.jsonl"
    rows = _read(finished.path("items.jsonl"))
    bare.write_text("".join(json.dumps({**row, "answer": None}) + "\n" for row in rows))
    result = finished.call(
        *("advise", "--recordings", finished.path("answers.jsonl"), "--items", str(bare))
    )
    assert result.exit_code == 2
    assert "have a gold answer" in result.stderr


@pytest.mark.slow
def test_advise_takes_results_of_other_tools(finished: World, tmp_path: Path) -> None:
    gold = {row["question_id"]: row for row in _read(finished.path("items.jsonl"))}
    table = tmp_path / "results.jsonl"
    rows = [{**gold[row["question_id"]], **row} for row in _read(finished.path("answers.jsonl"))]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = finished.data(
        *("advise", "--recordings", finished.path("answers.jsonl")),
        *("--items", finished.path("items.jsonl")),
    )
    out = ["--out", str(tmp_path / "kept")]
    for given in (
        [str(table)],
        [finished.path("answers.jsonl"), "--items", finished.path("items.jsonl")],
    ):
        told = finished.data("advise", *given, *out)
        assert told["verdict"] == own["verdict"]
        assert told["arms"] == own["arms"]
    assert finished.data("replay", str(tmp_path / "kept" / "run"))["differing"] == 0
    result = finished.call("advise")
    assert result.exit_code == 2
    assert "`orchestra advise RESULTS...`" in result.stderr


def _read(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
