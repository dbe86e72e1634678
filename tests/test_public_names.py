"""Every room's public names: listed in order, importable, and each with its meaning."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import orchestra

PACKAGES = ["orchestra"] + [
    found.name for found in pkgutil.walk_packages(orchestra.__path__, "orchestra.") if found.ispkg
]


def listed(package: ModuleType) -> list[str]:
    return list(getattr(package, "__all__", []))


def linter_order(name: str) -> tuple[int, list[str | int]]:
    """Constants, then classes, then the rest; numbers within names by value (ruff's RUF022)."""
    group = 0 if name.isupper() else 1 if name[0].isupper() else 2
    parts = re.split(r"(\d+)", name)
    return group, [int(part) if part.isdigit() else part for part in parts]


@cache
def described_values() -> set[str]:
    """Names given a value somewhere in the package with a docstring under it."""
    names: set[str] = set()
    for path in Path(orchestra.__path__[0]).rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in zip(body, body[1:], strict=False):
            if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
                continue
            if isinstance(node, ast.Assign):
                names.update(target.id for target in node.targets if isinstance(target, ast.Name))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
    return names


def is_described(name: str, value: object) -> bool:
    """Whether it has a docstring of its own: a class's, function's or module's, or one below."""
    if name in described_values() or name == "__version__":
        return True
    if not (inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value)):
        return False
    said = value.__doc__ or ""
    # A dataclass without a docstring is given its signature for one.
    return bool(said.strip()) and not said.startswith(f"{name}(")


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_sorted_importable_and_described(package: str) -> None:
    room = importlib.import_module(package)
    names = listed(room)
    assert names == sorted(set(names), key=linter_order)
    assert [name for name in names if not hasattr(room, name)] == []
    assert [name for name in names if not is_described(name, getattr(room, name))] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        getattr(orchestra, "no_such_" + "name")
