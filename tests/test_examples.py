"""Every script of `examples/` runs, says something and is short; the data is as made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import orjson
import pytest

from orchestra import Roster

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLES = REPOSITORY / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
SAYS = {
    "async_run.py": "decisions above 90 % sure",
    "compare_pipelines.py": "McNemar p",
    "hosted_model.py": "paid: $0.000058 for 2 calls",
    "profile_and_route.py": "expected to be right",
    "run_recorded.py": "oracle_all",
    "scripted_expert.py": "decided: 50",
    "simulate_gpus.py": "simulated: ",
    "survive_liars.py": "suspect: quartermaster",
}


def run(script: Path, *arguments: str) -> str:
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make_data.py` makes."""
    folder = tmp_path_factory.mktemp("examples") / "data"
    run(EXAMPLES / "make_data.py", str(folder))
    return folder


def test_every_script_is_expected() -> None:
    assert {script.name for script in SCRIPTS} == {*SAYS, "make_data.py"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_it_is_short(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert text.count("\n") < 50


@pytest.mark.parametrize("name", SAYS)
def test_it_runs(name: str) -> None:
    assert SAYS[name] in run(EXAMPLES / name)


@pytest.mark.slow  # a kernel takes seconds to start
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel")
    client, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(EXAMPLES / "first_steps.ipynb", as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    with warnings.catch_warnings(action="ignore"):  # of the kernel's client, not ours
        client.NotebookClient(notebook, timeout=120, resources=resources).execute()
    shown = [
        "".join(output.get("data", {}).get("text/plain", output.get("text", "")))
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.get("name") != "stderr"
    ]
    text = "\n".join(shown)
    for words in ("expected to be right", "Answered('C' '466'", "jmprz", "McNemar p = ", "gold"):
        assert words in text
    errors = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert [output for output in errors if "Traceback" in output.get("text", "")] == []


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads((EXAMPLES / "first_steps.ipynb").read_bytes())["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.parametrize("name", ["profile.jsonl", "test.jsonl"])
def test_the_questions_are_what_the_script_makes(made: Path, name: str) -> None:
    assert (made / name).read_bytes() == (EXAMPLES / "data" / name).read_bytes(), "make_data.py"


def test_the_recordings_are_what_the_experts_say(made: Path) -> None:
    """Nearly: where two tokens are as likely, another processor may take the other one."""
    kept, anew = (_rows(folder / "recordings.jsonl") for folder in (EXAMPLES / "data", made))
    assert [row[:2] for row in kept] == [row[:2] for row in anew]
    same = sum(here == there for here, there in zip(kept, anew, strict=True))
    assert same >= 0.99 * len(kept), "run examples/make_data.py"


def test_both_rosters_have_the_same_experts() -> None:
    live, recorded = (Roster.load(EXAMPLES / f"{name}.yaml") for name in ("roster", "recorded"))
    assert {expert.worker for expert in live} == {"local"}
    assert live.recruits == recorded.names
    assert [live[name].model for name in recorded.names] == [each.model for each in recorded]


def _rows(path: Path) -> list[tuple[str, str, str]]:
    rows = map(orjson.loads, path.read_bytes().splitlines())
    return [(row["question_id"], row["model"], row["output"]) for row in rows]
