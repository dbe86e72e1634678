"""Pydantic's errors in the house's words, with what was allowed at that very place."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orchestra.roster.complaints import Complaint, complaints


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Leaf(Strict):
    depth: int = Field(ge=1, lt=10)
    """How deep it is."""
    share: float = Field(default=0.5, gt=0, le=1, allow_inf_nan=False)
    code: str = Field(default="ab", pattern="^[a-z]+$", max_length=4)
    password: str = Field(default="", max_length=4, repr=False)


class Options(Strict):
    width: int
    mode: Literal["fast", "exact"] = "fast"


class Tree(Strict):
    model_config = ConfigDict(use_attribute_docstrings=True)

    colour: Annotated[Colour, Field(strict=False)] = Colour.RED
    version: Literal[1, 2] = 1
    leaves: list[Leaf] = []
    named: dict[str, Leaf] = {}
    pair: tuple[int, Leaf] | None = None
    stage: str | Options | None = None
    choice: Literal["first", "second"] | Options = "first"
    many: list[str] = Field(default=["x"], min_length=1)
    kind_: str = Field(default="", alias="kind")
    even: int = 0

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"{value} is odd", "add one")
        return value


class Needy(Strict):
    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    """What it
    is called."""


def found(data: Any, model: type[BaseModel] = Tree) -> list[Complaint]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return complaints(caught.value, model, data=data)


@pytest.mark.parametrize(
    ("data", "spot", "message", "hint"),
    [
        ({"colur": "red"}, ("colur",), "unknown key: 'colur'", "did you mean `colour`?"),
        ({"kid": "x"}, ("kid",), "unknown key: 'kid'", "did you mean `kind`?"),
        ({"colour": "gren"}, ("colour",), "unknown colour: 'gren'", "did you mean `green`"),
        ({"version": 3}, ("version",), "`version` must be `1` or `2`, not 3", ""),
        ({"version": "1"}, ("version",), "`version` must be `1` or `2`, not '1'", ""),
        ({"leaves": 3}, ("leaves",), "`leaves` must be a list, not 3", ""),
        ({"leaves": [None]}, ("leaves", 0), "`leaves[0]` must be a mapping, not nothing", ""),
        ({"leaves": [{}]}, ("leaves", 0), "`depth` is missing", ""),
        (
            {"leaves": [{"depth": 0}]},
            ("leaves", 0, "depth"),
            "`depth` must be at least 1, not 0",
            "",
        ),
        (
            {"leaves": [{"depth": True}]},
            ("leaves", 0, "depth"),
            "`depth` must be a whole number, not true",
            "",
        ),
        (
            {"named": {"x": {"depth": 1, "shar": 1}}},
            ("named", "x", "shar"),
            "unknown key: 'shar'",
            "did you mean `share`?",
        ),
        (
            {"named": {"x": {"depth": 1, "share": 1.5}}},
            ("named", "x", "share"),
            "`share` must be at most 1, not 1.5",
            "",
        ),
        (
            {"named": {"x": {"depth": 1, "share": float("nan")}}},
            ("named", "x", "share"),
            "`share` must be a finite number, not nan",
            "",
        ),
        (
            {"named": {"x": {"depth": 1, "code": "A"}}},
            ("named", "x", "code"),
            "`code` must be text of the form `^[a-z]+$`, not 'A'",
            "",
        ),
        (
            {"named": {"x": {"depth": 1, "password": "hunter2"}}},
            ("named", "x", "password"),
            "`password` must be text of at most 4 characters",
            "",
        ),
        (
            {"pair": (1, {"dept": 2, "depth": 2})},
            ("pair", 1, "dept"),
            "unknown key: 'dept'",
            "did you mean `depth`",
        ),
        ({"many": []}, ("many",), "`many` must not be empty", ""),
        ({"many": ["a", 2]}, ("many", 1), "`many[1]` must be text, not 2", ""),
        ({"even": 3}, ("even",), "3 is odd", "add one"),
        (3, (), "the document must be a mapping, not 3", ""),
    ],
)
def test_one_error(data: Any, spot: tuple[str | int, ...], message: str, hint: str) -> None:
    (only,) = found(data)
    assert (only.spot, only.message) == (spot, message)
    assert only.hint.startswith(hint)


def test_what_is_missing_is_described() -> None:
    assert found({}, Needy) == [Complaint((), "`name` is missing", "what it is called")]


@pytest.mark.parametrize(
    ("data", "spot", "message"),
    [
        ({"stage": 3}, ("stage",), "`stage` must be text or a mapping, not 3"),
        ({"stage": {}}, ("stage",), "`width` is missing"),
        ({"stage": {"width": 1, "hue": 2}}, ("stage", "hue"), "unknown key: 'hue'"),
        ({"stage": {"width": 1, "mode": "fats"}}, ("stage", "mode"), "unknown mode: 'fats'"),
        ({"choice": "frist"}, ("choice",), "unknown choice: 'frist'"),
        (
            {"choice": {"width": "x"}},
            ("choice", "width"),
            "`width` must be a whole number, not 'x'",
        ),
    ],
)
def test_a_union_speaks_with_one_voice(
    data: Any, spot: tuple[str | int, ...], message: str
) -> None:
    (only,) = found(data)
    assert (only.spot, only.message) == (spot, message)


def test_everything_is_told_at_once() -> None:
    data = {"colr": 1, "even": 1, "leaves": [{"depth": 0}, {"depth": "x", "shar": 2}]}
    assert {complaint.spot for complaint in found(data)} == {
        ("colr",),
        ("even",),
        ("leaves", 0, "depth"),
        ("leaves", 1, "depth"),
        ("leaves", 1, "shar"),
    }


def test_a_long_value_is_cut() -> None:
    (only,) = found({"leaves": "x" * 10_000})
    assert len(only.message) < 120
