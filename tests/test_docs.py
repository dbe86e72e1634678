"""The README and the pages in docs/ are true: blocks are run, figures and links are checked.

Blocks of `python` run one by one, each in a namespace of its own; the lines of `bash` blocks
run in order, page by page. Both see a copy of `examples/`. The demo runs once, and the
commands of its page continue in the folder that it leaves.
"""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from orchestra.cli import main
from tests.loopback import loopback

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
SHOWN_ONLY = {"", "text", "console", "yaml", "json", "toml"}
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
    for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(page, text.count("\n", 0, match.start()) + 1, match[1].strip(), match[2])


ALL = [block for page in PAGES for block in blocks(page)]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo's folder and its output."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "100")
        return folder, invoke(DEMO)


def invoke(line: str) -> str:
    """The output of a command, which must succeed."""
    done = CliRunner().invoke(main, shlex.split(line, comments=True)[1:], catch_exceptions=False)
    assert done.exit_code == 0, f"{line}\n{done.output}"
    return done.stdout


def test_every_block_is_run_or_only_shown() -> None:
    languages = {block.language for block in ALL}
    assert languages <= SHOWN_ONLY | {"python", "bash"}
    assert {"python", "bash"} <= languages


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "python"], ids=str)
@pytest.mark.usefixtures("checkout", "registry")
def test_python_runs(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    code = compile(block.text, str(block), "exec")
    module = ModuleType(f"block_{block.line}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(code, module.__dict__)


def commands(page: Path) -> list[str]:
    """The lines of a page's `bash` blocks, in order."""
    return [
        line
        for block in blocks(page)
        if block.language == "bash"
        for line in block.text.splitlines()
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_orchestra(page: Path) -> None:
    assert [line for line in commands(page) if not line.startswith("orchestra ")] == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if DEMO not in commands(page)], ids=lambda page: page.name
)
def test_commands_run(page: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_KEY", "key-of-the-example")
    with loopback(models=["m"]) as one, loopback(models=["n"], key="key-of-the-example") as two:
        for line in commands(page):
            line = line.replace("http://127.0.0.1:8000", one.origin)
            invoke(line.replace("https://api.example.com", two.origin))


def test_the_page_of_the_demo_continues_in_its_folder(
    demo: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *rest = commands(REPOSITORY / "docs" / "demo.md")
    assert first == DEMO
    monkeypatch.chdir(demo[0])
    for line in rest:
        invoke(line)


def test_the_readme_shows_what_the_demo_prints(demo: tuple[Path, str]) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    block = readme.partition("```console\n$ orchestra demo")[2].partition("```")[0]
    expected = block.splitlines()[1:]
    printed = {line.rstrip() for line in demo[1].splitlines()}
    assert len(expected) > 5
    assert [line for line in expected if line not in printed] == []


def test_the_readme_is_short_and_its_first_screen_fits() -> None:
    lines = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    screen = lines[:24]
    assert [line for line in screen if len(line) > 80] == []
    assert screen[-1].startswith("- ")
    assert lines[24] == "", "the list is not on the first screen"
    for words in ("$ orchestra demo", "equal calls", "certificates", "Liars", "Residency"):
        assert any(words in line for line in screen), words


def test_the_first_screen_has_the_measured_gains() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    screen, _, rest = readme.partition("\n\nThe demo first")
    table = rest.partition("<!-- summary: end -->")[0]
    rows = re.findall(r"\*\*.*?, ([\d.]+)\*\* \| \+([\d.]+) \(([+-][\d.]+) to", table)
    calls, gains, lows = zip(*(map(float, row) for row in rows), strict=True)
    sure = ("no", "one", "two", "three", "four", "five", "six", "all")[
        sum(each > 0 for each in lows)
    ]
    words = " ".join(screen.split())
    assert f"gains {min(gains)} to {max(gains)} points" in words
    assert f"sure in {sure}" in words
    assert f"at most {max(calls):.0f} calls" in words
    assert len(rows) == 7


def test_the_readme_names_the_distribution() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert "`orchestra-experts`" in readme
    assert "unrelated package" in readme


def test_the_glossary_is_alphabetical_and_names_what_exists() -> None:
    page = (REPOSITORY / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \*\*(.+?)\*\* \|.*\| (.*?) \|$", page, re.MULTILINE)
    terms = [term for term, _ in rows]
    assert len(terms) > 40
    assert terms == sorted(terms, key=str.lower)
    code = [name for _, cell in rows for name in re.findall(r"`([\w.]+)`", cell)]
    assert [name for name in code if not exists(name)] == []


def exists(name: str) -> bool:
    """Whether the package `orchestra` has a package or an attribute of a package of that name."""
    package, _, attribute = name.partition(".")
    module = importlib.import_module(f"orchestra.{package}")
    return not attribute or hasattr(module, attribute)


def test_the_layers_in_the_architecture_page_are_the_tested_ones() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    layers = page.partition("<!-- layers -->\n```text\n")[2].partition("```")[0]
    shown = [set(line.split(", ")) for line in layers.splitlines()]
    tree = ast.parse((REPOSITORY / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    levels = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LEVELS"
    )
    assert shown == list(levels)


def test_links_have_targets() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not target.startswith("https://") and not (page.parent / target).exists()
    ]
    assert broken == []


@pytest.mark.parametrize("name", ["README.md", "docs/results.md"])
def test_pages_have_the_measured_figures(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY)
    monkeypatch.delitem(sys.modules, "benchmarks", raising=False)
    from benchmarks.readme import results, written

    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert "written by `python -m benchmarks.readme`" in text
    assert text == written(text, *results()), "run `python -m benchmarks.readme`"
