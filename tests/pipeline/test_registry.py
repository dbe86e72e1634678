"""The names that pipeline files may use, and what each builds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

import pytest

from orchestra.errors import InputError, InputErrors
from orchestra.pipeline import REGISTRY, Generate, Tag
from orchestra.pipeline.registry import build, first_names, parts
from orchestra.routing import Complementary, Symbolic

NAMES = [(stage, name) for stage in REGISTRY for name in REGISTRY[stage]]


@pytest.mark.parametrize(("stage", "name"), NAMES)
def test_every_name_builds_with_its_defaults(stage: str, name: str) -> None:
    built = build(stage, name, {})
    assert is_dataclass(built)
    component = REGISTRY[stage][name]
    for option, value in component.fixed.items():
        assert getattr(built, option) == value
    assert not component.argument or component.argument in component.options


@pytest.mark.parametrize(("stage", "name"), NAMES)
def test_an_option_may_be_given_its_default(stage: str, name: str) -> None:
    default = build(stage, name, {})
    for option in REGISTRY[stage][name].options:
        assert build(stage, name, {option: getattr(default, option)}) == default


def test_routers_say_their_registered_name() -> None:
    for stage in ("route", "vote"):
        for name in REGISTRY[stage]:
            assert build(stage, name, {}).name == name


def test_no_stage_can_name_the_oracle() -> None:
    assert not any("oracle" in names for names in REGISTRY.values())


@pytest.mark.parametrize(
    ("stage", "name", "options", "wanted"),
    [
        ("route", "symbolic", {"k": 5, "form": "released"}, Symbolic("released", 5)),
        ("route", "symbolic", {"temperature": 1}, Symbolic(temperature=1)),
        ("route", "complementary", {"aim": "any"}, Complementary(aim="any")),
        ("generate", "draft", {"calls": 3, "tolerance": 0}, Generate(3, tolerance=0)),
        ("tag", "lexical", {"map_threshold": None}, Tag("lexical", map_threshold=None)),
    ],
)
def test_options_are_set(stage: str, name: str, options: Mapping[str, Any], wanted: object) -> None:
    assert build(stage, name, options) == wanted


@pytest.mark.parametrize("value", ["3", 3.5, True, None, [3]])
def test_numbers_are_not_guessed_from_other_types(value: object) -> None:
    with pytest.raises(InputError, match="valid integer") as caught:
        build("route", "top-k", {"k": value}, place="file:3 route")
    assert caught.value.place == "file:3 route.top-k.k"


def test_all_wrong_options_at_once() -> None:
    with pytest.raises(InputErrors) as caught:
        build("route", "posterior", {"seat": 1, "seats": "x", "fit": 3})
    assert [error.place.rpartition(".")[2] for error in caught.value.errors] == [
        "seat",
        "seats",
        "fit",
    ]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ("top-k", ("top-k", {})),
        ({"top-k": None}, ("top-k", {})),
        ({"top-k": 3}, ("top-k", {"k": 3})),
        ({"top-k": {"k": 3}}, ("top-k", {"k": 3})),
        ({"symbolic": 4}, ("symbolic", {"k": 4})),
    ],
)
def test_parts(data: object, wanted: tuple[str, dict[str, Any]]) -> None:
    assert parts("route", data, place="") == wanted


@pytest.mark.parametrize("data", [None, 3, [], ["all"], {}, {"all": {}, "top-k": {}}, True])
def test_what_is_no_stage(data: object) -> None:
    with pytest.raises(InputError, match="a stage is `name`"):
        parts("route", data, place="file:3")


def test_names_are_sorted() -> None:
    votes = ["majority", "mmsr", "one-coin", "reputation", "robust", "weighted"]
    assert list(first_names("vote")) == votes
