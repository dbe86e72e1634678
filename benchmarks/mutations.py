"""Whether the tests notice changes of the code that decides: mutants, one at a time.

A mutant changes one comparison, sign, boolean or constant in a copy of the tree; the tests of
its package are run on it, those of its module first. Mutants are drawn by a seed from all places
of all modules named here. A mutant that no test notices needs a reason, kept in the results under
its place, or a test.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "mutations.json"
MODULES: Mapping[str, Sequence[str]] = {
    "voting": ("voting/*.py",),
    "answers": ("answers/*.py",),
    "routing": ("routing/*.py",),
    "scheduling": ("scheduling/*.py",),
    "skills": ("skills/estimation.py", "skills/table.py", "skills/agreement.py"),
    "runs": ("runs/account.py", "runs/budget.py", "runs/keys.py", "runs/ledger.py"),
    "evals": ("evals/statistics.py", "evals/baselines.py", "evals/marking.py"),
    "workers/hosted": ("workers/hosted/retry.py", "workers/hosted/throttle.py"),
}
"""Folder of tests -> the modules of `orchestra/` that they are the tests of."""
PATIENCE = 300.0
"""Seconds for the tests of one mutant; one that does not end is noticed."""

_COMPARISONS = {"Lt": "<=", "LtE": "<", "Gt": ">=", "GtE": ">", "Eq": "!=", "NotEq": "=="}
_SIGNS = {"Add": "-", "Sub": "+", "Mult": "+", "Div": "*"}
_WORDS = {"And": "or", "Or": "and"}


class Mutant(NamedTuple):
    """One change of one file."""

    tests: str
    path: str
    """Relative to the root."""
    line: int
    start: int
    """Offset in the file's bytes, like `end`."""
    end: int
    before: str
    after: str

    @property
    def place(self) -> str:
        """What a reason is kept under; survives changes elsewhere in the file."""
        text = (ROOT / self.path).read_text(encoding="utf-8").splitlines()[self.line - 1]
        return f"{self.path}: {text.strip()} [{self.before} -> {self.after}]"


def mutants() -> list[Mutant]:
    """Every mutant of every module, in the order of the files."""
    return [
        mutant
        for tests, patterns in MODULES.items()
        for pattern in patterns
        for path in sorted((ROOT / "orchestra").glob(pattern))
        for mutant in _of_file(tests, path)
    ]


def _of_file(tests: str, path: Path) -> Iterator[Mutant]:
    raw = path.read_bytes()
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def end(node: ast.expr) -> int:
        return starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)

    tree = ast.parse(raw)
    skipped = {inner for node in ast.walk(tree) if _is_talk(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        change = None if node in skipped else _change(node)
        if change is None or not isinstance(node, ast.expr):
            continue
        left, before, after = change
        low = starts[node.lineno - 1] + node.col_offset if left is None else end(left)
        found = raw.find(before.encode(), low, end(node))
        if found >= 0:
            name = str(path.relative_to(ROOT))
            stop = found + len(before.encode())
            yield Mutant(tests, name, node.lineno, found, stop, before, after)


def _change(node: ast.AST) -> tuple[ast.expr | None, str, str] | None:
    """The operand before what is changed, if any; what is changed, and into what."""
    match node:
        case ast.Compare(left=left, ops=[op]) if type(op).__name__ in _COMPARISONS:
            return left, _symbol(op), _COMPARISONS[type(op).__name__]
        case ast.BinOp(left=left, op=operator) if type(operator).__name__ in _SIGNS:
            return left, _symbol(operator), _SIGNS[type(operator).__name__]
        case ast.BoolOp(op=word, values=[left, *_]):
            return left, type(word).__name__.lower(), _WORDS[type(word).__name__]
        case ast.UnaryOp(op=ast.USub()):
            return None, "-", "+"
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return None, ast.unparse(node), repr(value + 1)
        case ast.Constant(value=float(value)):
            return None, ast.unparse(node), repr(value * 1.5 or 0.5)
    return None


def _symbol(operator: ast.AST) -> str:
    spelled = {"Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Eq": "==", "NotEq": "!="}
    return {**spelled, "Add": "+", "Sub": "-", "Mult": "*", "Div": "/"}[type(operator).__name__]


def _is_talk(node: ast.AST) -> bool:
    """Whether a part only makes words, types or declarations of options: nothing decides by it."""
    if isinstance(node, ast.JoinedStr | ast.Raise):
        return True
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name) and node.value.id in ("Annotated", "Literal")
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Field"
    )


def noticed(mutant: Mutant, tree: Path) -> str:
    """The first test that fails on the mutant, `time` if the tests do not end, else nothing."""
    target = tree / mutant.path
    raw = target.read_bytes()
    target.write_bytes(raw[: mutant.start] + mutant.after.encode() + raw[mutant.end :])
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        for tests in _tests(mutant, tree):
            command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "--no-header"]
            command += ["-p", "no:cacheprovider", "-m", "not slow and not engine and not gpu"]
            done = subprocess.run(
                [*command, *tests],
                cwd=tree,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            if done.returncode not in (0, 5):
                lines = done.stdout.splitlines()
                names = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
                return names[0].split(" - ")[0] if names else f"exit {done.returncode}"
    except subprocess.TimeoutExpired:
        return "time"
    finally:
        target.write_bytes(raw)
    return ""


def _tests(mutant: Mutant, tree: Path) -> Iterator[list[str]]:
    """The tests of the module itself, then the rest of its package's."""
    folder = f"tests/{mutant.tests}"
    own = f"{folder}/test_{Path(mutant.path).stem}.py"
    if (tree / own).is_file():
        yield [own]
        yield [folder, f"--ignore={own}"]
    else:
        yield [folder]


def measure(count: int, seed: int, jobs: int) -> dict[str, Any]:
    """Draw mutants and run the tests on each, in so many copies of the tree at once."""
    everything = mutants()
    drawn = random.Random(f"{seed}:mutants").sample(everything, min(count, len(everything)))
    earlier = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    reasons = {each["place"]: each["reason"] for each in earlier.get("unnoticed", ())}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            trees.put(_copy(Path(folder) / str(number)))

        def run(mutant: Mutant) -> str:
            tree, started = trees.get(), time.monotonic()
            try:
                by = noticed(mutant, tree)
            finally:
                trees.put(tree)
            print(f"{time.monotonic() - started:5.0f} s  {by or 'UNNOTICED'}  {mutant.place}")
            sys.stdout.flush()
            return by

        found = list(pool.map(run, drawn))
    alive = [mutant for mutant, by in zip(drawn, found, strict=True) if not by]
    packages = Counter(mutant.tests for mutant in drawn)
    return {
        "seed": seed,
        "places": len(everything),
        "mutants": len(drawn),
        "noticed": len(drawn) - len(alive),
        "by_package": {
            name: [number - sum(each.tests == name for each in alive), number]
            for name, number in sorted(packages.items())
        },
        "unnoticed": [
            {"place": each.place, "reason": reasons.get(each.place, "")} for each in alive
        ],
    }


def _copy(tree: Path) -> Path:
    """What the tests need of the tree."""
    names = ("orchestra", "tests", "skills", "pipelines", "examples", "training", "benchmarks")
    for name in (*names, "docs"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "Makefile", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tree / name)
    return tree


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    result = measure(given.count, given.seed, given.jobs)
    given.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{result['noticed']} of {result['mutants']} noticed")


if __name__ == "__main__":
    main()
