"""One tree of errors: as drawn, with the exit codes that were promised, and nothing leaks."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import orchestra
from orchestra import errors
from orchestra.config import read_text, read_yaml
from orchestra.errors import InputError, InputErrors, OrchestraError, raise_all, unknown
from orchestra.roster import Roster


def drawn_tree() -> dict[str, str]:
    """Class to parent, from the indentation in the docstring of `errors`."""
    tree: dict[str, str] = {}
    open_branches: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"( {4,})([A-Z]\w+)", line):
            depth, name = len(found[1]), found[2]
            while open_branches and open_branches[-1][0] >= depth:
                open_branches.pop()
            tree[name] = open_branches[-1][1] if open_branches else "Exception"
            open_branches.append((depth, name))
    return tree


def modules() -> Iterator[ModuleType]:
    yield orchestra
    for found in pkgutil.walk_packages(orchestra.__path__, "orchestra."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def exceptions(module: ModuleType) -> list[type[BaseException]]:
    return [
        each
        for each in vars(module).values()
        if inspect.isclass(each)
        and issubclass(each, BaseException)
        and each.__module__ == module.__name__
    ]


def test_the_tree_is_as_drawn() -> None:
    real = {}
    for each in exceptions(errors):
        (parent,) = each.__bases__
        real[each.__name__] = parent.__name__
    assert drawn_tree() == real


def test_every_public_error_is_on_the_tree() -> None:
    strays = [
        f"{module.__name__}.{each.__name__}"
        for module in modules()
        for each in exceptions(module)
        if not each.__name__.startswith("_") and not issubclass(each, OrchestraError)
    ]
    assert strays == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("OrchestraError", 1),
        ("InputError", 2),
        ("InputErrors", 2),
        ("MissingExtra", 2),
        ("RunConflict", 2),
        ("WorkerError", 3),
        ("BudgetExhausted", 4),
    ],
)
def test_exit_codes(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code


def test_an_error_shows_place_message_and_hint() -> None:
    error = InputError("it is wrong", place="file:3", hint="mend it")
    assert str(error) == "file:3: it is wrong\n  hint: mend it"
    assert str(InputError("it is wrong")) == "it is wrong"


def test_raise_all_raises_what_there_is() -> None:
    one, two = InputError("one"), InputError("two", hint="mend it")
    raise_all([])
    with pytest.raises(InputError) as only:
        raise_all([one])
    assert only.value is one
    with pytest.raises(InputErrors) as both:
        raise_all([one, two])
    assert both.value.errors == (one, two)
    assert str(both.value) == "one\ntwo\n  hint: mend it"


def test_an_unknown_name_is_told_with_near_names_first() -> None:
    error = unknown("voter", "majorty", ["weighted", "majority"], place="p.yaml:2")
    assert error.place == "p.yaml:2"
    assert error.hint == "did you mean `majority`? allowed: `majority`, `weighted`"
    assert unknown("voter", "zzz", []).hint == "allowed: none"


# Doors that take text or files from outside; each new room's door belongs here.
TEXT_DOORS: list[Callable[[str], object]] = [Roster.loads, read_text]
FILE_DOORS: list[Callable[[Path], object]] = [Roster.load, read_yaml]

FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "schema: 1",
            "experts:",
            "- name: a",
            "  worker: openai",
            "defaults: {",
            "}",
            "[",
            ": ",
            "\n",
        ]
        + ["model: m", "&a", "*a", "<<: *a", "!!python/name:os", "'", '"', "\t", "\n  ", "---"]
    )
).map("".join)


@pytest.mark.parametrize("door", TEXT_DOORS, ids=lambda door: door.__qualname__)
@given(text=st.text() | FRAGMENTS)
def test_only_our_errors_leave_a_door_for_text(door: Callable[[str], object], text: str) -> None:
    with contextlib.suppress(OrchestraError):
        door(text)


@pytest.mark.parametrize("door", FILE_DOORS, ids=lambda door: door.__qualname__)
def test_only_our_errors_leave_a_door_for_files(
    door: Callable[[Path], object], tmp_path: Path
) -> None:
    file = tmp_path / "file"

    @given(content=st.binary())
    def check(content: bytes) -> None:
        file.write_bytes(content)
        with contextlib.suppress(OrchestraError):
            door(file)

    check()
    for path in (tmp_path, tmp_path / "absent", file / "below a file", Path("zero\0byte")):
        with pytest.raises(InputError):
            door(path)
