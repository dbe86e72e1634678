"""Writes the demo's output into the README: `python docs/readme_demo.py`; part of `make docs`.

The README shows the table of the runs on its first screen; a test runs the same command and
compares.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from click.testing import CliRunner

from orchestra.cli import main

README = Path(__file__).resolve().parents[1] / "README.md"


def printed() -> str:
    """The output of the command in the README on a screen of 80 columns."""
    os.environ["COLUMNS"] = "80"
    with tempfile.TemporaryDirectory() as folder:
        line = ["demo", "--seed", "0", "--out", folder]
        return CliRunner().invoke(main, line, catch_exceptions=False).stdout


def key_lines(text: str) -> str:
    """The table of the runs, without its heading and legend."""
    text = "\n".join(line.rstrip() for line in text.splitlines())
    runs = re.search(r"^pipeline .*?(?=\ncalls: )", text, re.MULTILINE | re.DOTALL)
    assert runs is not None
    return runs[0]


def written(readme: str, lines: str) -> str:
    """The README with the block made anew."""
    block = re.search(r"```console\n\$ orchestra demo[^\n]*\n(.*?)```\n", readme, re.DOTALL)
    assert block is not None
    return f"{readme[: block.start(1)]}{lines}\n{readme[block.end(1) :]}"


if __name__ == "__main__":
    content = written(README.read_text(encoding="utf-8"), key_lines(printed()))
    README.write_text(content, encoding="utf-8")
