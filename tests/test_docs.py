"""What README and docs show is what happens: blocks are run, figures are compared.

Blocks of `python` run one by one, each in a fresh interpreter's namespace; of `bash`, the
lines that begin with `orchestra` run in order, page by page. Both see a copy of `examples/`.
The demo takes a while: it runs once, and the page about it goes on in the folder it left.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from orchestra.cli import main

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
SHOWN_ONLY = {"", "text", "console", "yaml", "json"}
DEMO = "orchestra demo --seed 0 --out demo"


class Block(NamedTuple):
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(page, text.count("\n", 0, found.start()) + 1, found[1].strip(), found[2])


ALL = [block for page in PAGES for block in blocks(page)]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Where the demo ran, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "100")
        return folder, invoke(DEMO)


def invoke(line: str) -> str:
    """What a command prints; it must succeed."""
    done = CliRunner().invoke(main, shlex.split(line, comments=True)[1:], catch_exceptions=False)
    assert done.exit_code == 0, f"{line}\n{done.output}"
    return done.stdout


def test_every_block_is_run_or_only_shown() -> None:
    languages = {block.language for block in ALL}
    assert languages <= SHOWN_ONLY | {"python", "bash"}
    assert {"python", "bash"} <= languages


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "python"], ids=str)
def test_python_runs(block: Block, checkout: Path) -> None:
    code = compile(block.text, str(block), "exec")
    exec(code, {"__name__": f"block_{block.line}"})


def commands(page: Path) -> list[str]:
    """The lines of a page's `bash` blocks, in order."""
    return [
        line
        for block in blocks(page)
        if block.language == "bash"
        for line in block.text.splitlines()
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_ours(page: Path) -> None:
    assert [line for line in commands(page) if not line.startswith("orchestra ")] == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if DEMO not in commands(page)], ids=lambda page: page.name
)
def test_commands_run(page: Path, checkout: Path) -> None:
    for line in commands(page):
        invoke(line)


def test_the_demos_page_goes_on_from_the_demo(
    demo: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *rest = commands(REPOSITORY / "docs" / "demo.md")
    assert first == DEMO
    monkeypatch.chdir(demo[0])
    for line in rest:
        invoke(line)


def test_the_readme_shows_what_the_demo_prints(demo: tuple[Path, str]) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("<!-- demo")[2].partition("<!-- demo: end -->")[0]
    expected = [line for line in shown.splitlines()[2:-1] if line.strip()]
    printed = {line.rstrip() for line in demo[1].splitlines()}
    assert len(expected) > 10
    assert [line for line in expected if line not in printed] == []


def test_links_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not target.startswith("https://") and not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_readme_has_the_measured_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY)
    monkeypatch.delitem(sys.modules, "benchmarks", raising=False)
    from benchmarks.readme import results, written

    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert readme == written(readme, *results()), "run `python -m benchmarks.readme`"
