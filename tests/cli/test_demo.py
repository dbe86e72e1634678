"""`orchestra demo` on fewer questions: labelled synthetic, and a folder to go on with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestra.cli import demo, main
from orchestra.embedded import LABEL, PIPELINES, Rehearsal, recall, rehearse


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.fixture(scope="module", autouse=True)
def _fewer_questions() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "rehearse", partial(rehearse, profiled=6, tested=4))
        patch.setattr(demo, "recall", partial(recall, questions=150))
        yield


@pytest.fixture(scope="module")
def shown(rehearsed: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = shutil.copytree(rehearsed.folder, tmp_path_factory.mktemp("demo") / "folder")
    return folder, call("demo", "--out", str(folder), "--seed", "5")


def test_it_goes_through_every_stage_and_says_it_is_synthetic(shown: tuple[Path, Result]) -> None:
    _, done = shown
    assert done.exit_code == 0
    flat = " ".join(done.stdout.split())
    assert flat.lower().count(LABEL) == 2
    for words in ("1. Profile", "2. Route", "expected to be right", "3. Run", "4. Compare"):
        assert words in flat


def test_it_begins_with_real_models(shown: tuple[Path, Result]) -> None:
    _, done = shown
    first = " ".join(done.stdout.partition("orchestra demo.")[0].split())
    for words in ("Recorded: 8 real models, 150", "Yi-34B", "best single model", "One model lies"):
        assert words in first


def test_every_run_has_a_page(shown: tuple[Path, Result]) -> None:
    folder, _ = shown
    pages = sorted(folder.glob("runs/*/report.html"))
    assert [page.parent.name for page in pages] == sorted(PIPELINES)
    for page in pages:
        assert page.parent.name in page.read_text(encoding="utf-8")


def test_again_as_json_is_one_object_with_the_same_figures(shown: tuple[Path, Result]) -> None:
    folder, _ = shown
    done = call("demo", "--out", str(folder), "--seed", "5", "--json", "--quiet")
    told = json.loads(done.stdout)
    report = json.loads((folder / "runs" / "orchestra" / "report.json").read_bytes())
    assert done.stderr == ""
    assert told["label"] == LABEL
    assert told["recalled"]["report"]["n"] == 150
    assert set(told["recalled"]["liar"]) == {"robust", "weighted"}
    assert told["reports"]["orchestra"] == report


def test_what_it_suggests_next_works(
    shown: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, done = shown
    tail = done.stdout.partition("5. Next commands")[2].replace("\\\n", " ")
    lines = [line.partition("#")[0].split() for line in tail.splitlines() if line.strip()]
    monkeypatch.chdir(folder)
    commands = [words[1:] for words in lines if words[0] == "orchestra"]
    assert len(commands) >= 5
    for words in commands:
        assert call(*words).exit_code == 0, words


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = call("demo", "--out", str(tmp_path))
    assert done.exit_code == 2
    assert "hint:" in done.stderr
