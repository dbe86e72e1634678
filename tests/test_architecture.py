"""The architecture, enforced: imports between packages, sizes, names, what an import may load.

Reads the source as syntax trees and runs none of it, except in the last test. Cyclomatic
complexity is the linter's business and is not measured again here.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "orchestra"

# A package imports only packages on lines above its own.
LEVELS = (
    {"errors"},
    {"question", "files"},
    {"records"},
    {"config", "components", "sync"},
    {"answers", "roster", "runs"},
    {"skills", "workers"},
    {"routing", "scheduling", "voting"},
    {"judging"},
    {"synthesis"},
    {"pipeline"},
    {"evals"},
    {"redteam"},
    {"embedded"},
    {"report"},
    {"api"},
    {"server", "cli", "__init__"},
    {"__main__"},
)
LEVEL = {room: level for level, names in enumerate(LEVELS) for room in names}

HEAVY = ("torch", "transformers", "vllm", "litellm", "sentence_transformers", "ray")

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Module(NamedTuple):
    """One source file."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "__init__"

    def at(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 1)}"


class Import(NamedTuple):
    """One module that is imported somewhere."""

    target: str
    node: ast.Import | ast.ImportFrom
    in_function: bool
    for_types_only: bool


@cache
def modules() -> dict[str, Module]:
    found = {}
    for path in sorted((REPOSITORY / PACKAGE).rglob("*.py")):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, path, text, ast.parse(text))
    return found


def below(node: ast.AST, kind: type | tuple[type, ...]) -> set[ast.AST]:
    """Every node inside a node of that kind, within `node`."""
    return {
        inner
        for outer in ast.walk(node)
        if isinstance(outer, kind)
        for inner in ast.walk(outer)
        if inner is not outer
    }


def imports(module: Module) -> Iterator[Import]:
    in_functions = below(module.tree, FUNCTIONS)
    type_checks = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    for_types = {inner for node in type_checks for inner in ast.walk(node)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in targets(node, module):
                yield Import(target, node, node in in_functions, node in for_types)


def targets(node: ast.Import | ast.ImportFrom, module: Module) -> list[str]:
    """The modules that an import names: `from a import b` names `a.b` if that is a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    stem = node.module or ""
    if node.level:
        package = module.name.split(".")
        if module.path.name != "__init__.py":
            package = package[:-1]
        package = package[: len(package) - node.level + 1]
        stem = ".".join([*package, *([stem] if stem else [])])
    inside = [f"{stem}.{alias.name}" for alias in node.names]
    return [name if name in modules() else stem for name in inside]


def is_internal(target: str) -> bool:
    return target.split(".")[0] == PACKAGE


def functions() -> list[tuple[Module, Function]]:
    return [
        (module, node)
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, FUNCTIONS)
    ]


def public_functions() -> Iterator[tuple[Module, Function, int]]:
    """Each public function and method, with how many of its first parameters Python fills in.

    Public: neither its own name nor that of a class around it starts with `_`, apart from
    `__init__`; it is not nested in a function. A record's generated constructor is none.
    """
    for module in modules().values():
        holders: list[tuple[ast.Module | ast.ClassDef, int]] = [(module.tree, 0)]
        for holder, bound in holders:
            for node in holder.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    holders.append((node, 1))
                elif isinstance(node, FUNCTIONS) and (
                    node.name == "__init__" or not node.name.startswith("_")
                ):
                    static = any(
                        isinstance(mark, ast.Name) and mark.id == "staticmethod"
                        for mark in node.decorator_list
                    )
                    yield module, node, 0 if static else bound


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_every_package_has_a_layer() -> None:
    assert {module.package for module in modules().values()} <= set(LEVEL)


def test_packages_import_only_packages_below_them() -> None:
    wrong = []
    for module in modules().values():
        for each in imports(module):
            if not is_internal(each.target):
                continue
            parts = each.target.split(".")
            package = parts[1] if len(parts) > 1 else "__init__"
            if package != module.package and LEVEL.get(package, 99) >= LEVEL[module.package]:
                wrong.append(f"{module.at(each.node)} {module.package} -> {package}")
    assert wrong == []


def test_no_import_goes_in_a_circle() -> None:
    graph = {
        module.name: {
            each.target
            for each in imports(module)
            if each.target in modules() and each.target != module.name and not each.for_types_only
        }
        for module in modules().values()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def core_modules() -> set[str]:
    """What is always installed: the standard library and the project's own dependencies."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    named = {"pyyaml": "yaml"}
    words = (entry.split(">")[0].strip().lower() for entry in project["project"]["dependencies"])
    return {named.get(word, word) for word in words} | sys.stdlib_module_names


def test_functions_import_only_optional_packages() -> None:
    always = core_modules() | {PACKAGE}
    wrong = [
        f"{module.at(each.node)} {each.target}"
        for module in modules().values()
        for each in imports(module)
        if each.in_function and each.target.split(".")[0] in always
    ]
    assert wrong == []


def test_files_stay_small() -> None:
    sizes = {module.at(module.tree): module.text.count("\n") for module in modules().values()}
    assert {place: size for place, size in sizes.items() if size > 500} == {}


def test_functions_stay_small() -> None:
    sizes = [(f"{module.at(node)} {node.name}", length(node)) for module, node in functions()]
    assert [each for each in sizes if each[1] > 60] == []


def test_parameters_are_few_and_options_are_named() -> None:
    """At most seven parameters; after the second, options are keyword-only.

    The reading of habit 6: it holds for public functions and methods (see `public_functions`);
    private ones are called beside their definition, up to the linter's limit. An option is a
    parameter with a default: what a call can do without must say its name. What a function cannot
    do without may stand in order. `self`, `cls`, `*args` and `**kwargs` do not count.
    """
    many, unnamed = [], []
    for module, node, bound in public_functions():
        by_position = len(node.args.posonlyargs) + len(node.args.args) - bound
        place = f"{module.at(node)} {node.name}"
        if by_position + len(node.args.kwonlyargs) > 7:
            many.append(place)
        if by_position > 2 and node.args.defaults:
            unnamed.append(place)
    assert many == []
    assert unnamed == []


def test_every_module_says_what_it_is_in_at_most_eight_lines() -> None:
    """Indented lines are drawings, such as the tree of errors, and do not count."""
    silent, talkative = [], []
    for module in modules().values():
        said = ast.get_docstring(module.tree)
        if said is None and module.tree.body:
            silent.append(module.name)
        prose = [line for line in (said or "").splitlines() if line and not line.startswith(" ")]
        if len(prose) > 8:
            talkative.append(module.name)
    assert silent == []
    assert talkative == []


def test_nothing_is_called_by_a_name_that_says_nothing() -> None:
    files = {name for name in modules() if name.split(".")[-1] in ("utils", "util", "helpers")}
    classes = {
        f"{module.at(node)} {node.name}"
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Manager", "Helper"))
    }
    assert files == set()
    assert classes == set()


def test_nothing_that_is_installed_needs_the_training_or_torch() -> None:
    users = {
        module.at(each.node)
        for module in modules().values()
        for each in imports(module)
        if each.target.split(".")[0] in ("training", "torch") and not each.in_function
    }
    assert users == set()


IMPORTING = """
import importlib, sys

def guard(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo"):
        raise RuntimeError(f"{event} while importing")

sys.addaudithook(guard)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*sorted(sys.modules))
"""


@pytest.mark.parametrize("everything", [False, True], ids=["the package", "every module"])
def test_importing_needs_no_network_and_nothing_heavy(everything: bool) -> None:
    names = [name for name in modules() if not name.endswith("__main__")]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING, *(names if everything else [PACKAGE])],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert PACKAGE in loaded
    assert loaded.isdisjoint(HEAVY)
