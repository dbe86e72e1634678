"""What is installed under which name, and what the commands around the code promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from orchestra.runs.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAME = "orchestra-experts"
INSTALL = re.compile(
    r"(?<!not run `)pip install (?:--upgrade )?['\"]?(orchestra[\w-]*)(?:\[(\S+?)\])?"
)
ADVISING = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "orchestra").rglob("*.py")),
]


def test_the_distribution_has_a_name_of_its_own_and_the_command_keeps_its() -> None:
    assert PROJECT["project"]["name"] == NAME
    assert list(PROJECT["project"]["scripts"]) == ["orchestra"]


def test_a_manifest_looks_the_version_up_by_that_name() -> None:
    assert NAME in Manifest.begin(command="run", identity={}, details={}).versions


def test_every_advice_to_install_names_the_distribution_and_a_known_extra() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    advised = [
        (path.name, name, extra)
        for path in ADVISING
        for name, extra in INSTALL.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(advised) >= 5
    assert [each for each in advised if each[1] != NAME or each[2] and each[2] not in extras] == []


@pytest.mark.parametrize("text", ["pip install orchestra", 'pip install "orchestra[vllm]"'])
def test_advice_to_install_the_stranger_is_seen(text: str) -> None:
    (found,) = INSTALL.findall(text)
    assert found[0] == "orchestra"


def test_ci_runs_targets_that_are_made_and_every_marker_has_one() -> None:
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    run = re.findall(r"^make ([a-z-]+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert run == ["check", "test", "test-slow", "test-wheel", "test-engines"]
    assert set(run) <= made
    markers = {
        each.partition(":")[0] for each in PROJECT["tool"]["pytest"]["ini_options"]["markers"]
    }
    for name in markers - {"shared_data"}:
        assert {f"test-{name}", f"test-{name}s"} & made, name


@pytest.mark.slow
def test_without_a_gpu_each_check_is_named_in_one_line_and_nothing_fails(tmp_path: Path) -> None:
    """The driver's command is looked for in PATH, where there is nothing."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "gpu", "tests/gpu"]
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("no GPU here")]
    for name in ("adapters", "wakes", "local_worker", "as_planned", "bare_generate"):
        assert name in line
