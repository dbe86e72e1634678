"""Every script of `examples/` runs, says something and is short; the data is as made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLES = REPOSITORY / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
SAYS = {
    "async_run.py": "decisions above 90 % sure",
    "compare_pipelines.py": "McNemar p",
    "make_data.py": "",
    "profile_and_route.py": "expected to be right",
    "run_recorded.py": "oracle_all",
    "scripted_expert.py": "decided: 50",
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


def test_every_script_is_expected() -> None:
    assert [script.name for script in SCRIPTS] == sorted(SAYS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_it_runs_and_is_short(script: Path, tmp_path: Path) -> None:
    arguments = [str(tmp_path)] if script.name == "make_data.py" else []
    assert SAYS[script.name] in run(script, *arguments)
    text = script.read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert text.count("\n") < 50


def test_the_data_is_what_the_script_makes(tmp_path: Path) -> None:
    run(EXAMPLES / "make_data.py", str(tmp_path))
    made = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert len(made) == 4
    for name, content in made.items():
        assert (EXAMPLES / name).read_bytes() == content, f"{name}: run examples/make_data.py"
