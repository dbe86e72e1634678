"""Writes what the demo prints into the README: `python docs/readme_demo.py`; part of `make docs`.

Knows which parts of the output are shown on the first screen; a test runs the same command
and compares.
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
    """What the command in the README prints on a screen of 100 columns."""
    os.environ["COLUMNS"] = "100"
    with tempfile.TemporaryDirectory() as folder:
        line = ["demo", "--seed", "0", "--out", folder]
        return CliRunner().invoke(main, line, catch_exceptions=False).stdout


def key_lines(text: str) -> str:
    """The heat map, one routed question, the runs and the comparisons."""
    text = "\n".join(line.rstrip() for line in text.splitlines())
    _, profiled, routed, run, compared, _ = re.split(r"^\d\. .*\n", text, flags=re.MULTILINE)
    heat, legend = profiled.strip("\n").split("\n\n")[-2:]
    runs = run.partition("\ncalls: ")[0]
    shown = (heat, legend, routed.split("\n\n")[0], runs, compared)
    return "\n\n".join(part.strip("\n") for part in shown)


def written(readme: str, shown: str) -> str:
    """The README with the block made anew."""
    found = re.search(r"<!-- demo:[^\n]*-->\n(.*?)<!-- demo: end -->", readme, re.DOTALL)
    assert found is not None
    return f"{readme[: found.start(1)]}```text\n{shown}\n```\n{readme[found.end(1) :]}"


if __name__ == "__main__":
    content = written(README.read_text(encoding="utf-8"), key_lines(printed()))
    README.write_text(content, encoding="utf-8")
