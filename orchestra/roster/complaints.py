"""What pydantic finds wrong, in the house's words.

Knows pydantic's error types and how to find, in a model, the keys and values that are
allowed at a place; does not know the file or its lines. Where a union's branches all
fail, what they need is said once, and a branch that got deeper speaks for all.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from orchestra.errors import unknown
from orchestra.roster.yaml_tree import Spot, shorten, spell

_NEEDED = {
    "string_type": "text",
    "string_sub_type": "text",
    "string_unicode": "text that can be written as UTF-8",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "path_type": "a path",
    "none_required": "nothing",
}
_CHOSEN = ("literal_error", "enum")
_BOUNDS = {
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "finite_number": "a finite number",
    "string_pattern_mismatch": "text of the form `{pattern}`",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "of length {min_length} or more",
    "too_long": "of length {max_length} or less",
}


class Complaint(NamedTuple):
    """One thing that is wrong, and where in the data."""

    spot: Spot
    message: str
    hint: str = ""


def complaints(error: ValidationError, model: type[BaseModel], *, data: Any) -> list[Complaint]:
    """Every error that pydantic found in `data`, told once, without values of secret fields.

    A field is secret if it is declared with `Field(repr=False)`. A validator of the model that
    raises `ValueError(message)` or `ValueError(message, hint)` is quoted as it stands.
    """
    details = [(_spot(detail["loc"], data), detail) for detail in error.errors(include_url=False)]
    needed: dict[Spot, list[str]] = {}
    deeper: set[Spot] = set()
    for spot, detail in details:
        deeper.update(spot[:length] for length in range(len(spot)))
        if words := _NEEDED.get(detail["type"]):
            needed.setdefault(spot, []).append(words)
    further = deeper | {spot for spot, detail in details if detail["type"] not in _NEEDED}
    found: dict[Complaint, None] = {}
    for spot, detail in details:
        if detail["type"] in _NEEDED:
            if spot not in further:
                found[_must_be(_either(needed[spot]), spot, detail, model)] = None
        elif not (detail["type"] in _CHOSEN and spot in deeper):
            found[_told(spot, detail, model)] = None
    return list(found)


def _either(needed: list[str]) -> str:
    words = list(dict.fromkeys(needed))
    if "a number" in words and "a whole number" in words:
        words.remove("a whole number")
    return " or ".join(words)


def _told(spot: Spot, detail: ErrorDetails, model: type[BaseModel]) -> Complaint:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return _missing(spot, str(detail["loc"][-1]), model)
    if kind == "extra_forbidden":
        allowed = (key for owner in _owners(model, spot[:-1]) for key in _fields(owner))
        told = unknown("key", str(spot[-1]), set(allowed))
        return Complaint(spot, told.message, told.hint)
    if kind in _CHOSEN:
        return _not_allowed(spot, detail, model)
    if context.get("min_length") == 1:
        return Complaint(spot, f"{_label(spot)} must not be empty")
    if kind in _BOUNDS:
        numbers = {
            key: f"{value:g}" if isinstance(value, float) else value
            for key, value in context.items()
        }
        return _must_be(_BOUNDS[kind].format(**numbers), spot, detail, model)
    if kind in ("value_error", "assertion_error"):
        message, hint, *_ = *map(str, context["error"].args), "", ""
        return Complaint(spot, message, hint)
    return Complaint(spot, f"{_label(spot)}: {detail['msg'][:1].lower()}{detail['msg'][1:]}")


def _missing(spot: Spot, key: str, model: type[BaseModel]) -> Complaint:
    infos = _infos(model, (*spot, key))
    about = " ".join(next((info.description for info in infos if info.description), "").split())
    return Complaint(spot, f"`{key}` is missing", about[:1].lower() + about[1:].rstrip("."))


def _not_allowed(spot: Spot, detail: ErrorDetails, model: type[BaseModel]) -> Complaint:
    allowed = list(dict.fromkeys(_choices(model, spot)))
    given = detail["input"]
    if isinstance(given, str) and all(isinstance(choice, str) for choice in allowed):
        told = unknown(_name(spot), given, allowed)
        return Complaint(spot, told.message, told.hint)
    words = " or ".join(f"`{choice}`" for choice in allowed)
    return _must_be(words, spot, detail, model)


def _must_be(words: str, spot: Spot, detail: ErrorDetails, model: type[BaseModel]) -> Complaint:
    if any(not info.repr for info in _infos(model, spot)):
        return Complaint(spot, f"{_label(spot)} must be {words}")
    return Complaint(spot, f"{_label(spot)} must be {words}, not {_shown(detail['input'])}")


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    return shorten(value)


def _name(spot: Spot) -> str:
    """The last key of a spot, with the positions after it: `stop[0]`."""
    keys = [at for at, step in enumerate(spot) if isinstance(step, str)]
    return spell(spot[keys[-1] :]) if keys else spell(spot)


def _label(spot: Spot) -> str:
    return f"`{_name(spot)}`" if spot else "the document"


def _spot(location: Sequence[str | int], data: Any) -> Spot:
    """The part of pydantic's location that is in the data: union branches are not."""
    spot: list[str | int] = []
    for step in location:
        inside = (isinstance(data, Mapping) and step in data) or (
            isinstance(data, list | tuple) and isinstance(step, int) and step < len(data)
        )
        if inside:
            spot.append(step)
            data = data[step]
    return tuple(spot)


def _owners(model: type[BaseModel], spot: Spot) -> list[type[BaseModel]]:
    """The models that may describe the mapping at `spot`."""
    return [
        member
        for annotation in _annotations(model, spot)
        for member in _members(annotation)
        if isinstance(member, type) and issubclass(member, BaseModel)
    ]


def _infos(model: type[BaseModel], spot: Spot) -> list[FieldInfo]:
    """The fields that may describe the value at `spot`."""
    if not spot:
        return []
    fields = (_fields(owner).get(str(spot[-1])) for owner in _owners(model, spot[:-1]))
    return [info for info in fields if info is not None]


def _choices(model: type[BaseModel], spot: Spot) -> Iterator[Any]:
    for annotation in _annotations(model, spot):
        for member in _members(annotation):
            if typing.get_origin(member) is typing.Literal:
                yield from typing.get_args(member)
            elif isinstance(member, type) and issubclass(member, Enum):
                yield from (choice.value for choice in member)


def _fields(owner: type[BaseModel]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in owner.model_fields.items()}


def _annotations(model: type[BaseModel], spot: Spot) -> list[Any]:
    here: list[Any] = [model]
    for step in spot:
        here = [inner for outer in here for inner in _inside(outer, step)]
    return here


def _inside(annotation: Any, step: str | int) -> Iterator[Any]:
    for member in _members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            if info := _fields(member).get(str(step)):
                yield info.annotation
        elif arguments := typing.get_args(member):
            yield from _element(arguments, step)


def _element(arguments: tuple[Any, ...], step: str | int) -> Iterable[Any]:
    """Of `list[X]`, `tuple[X, ...]`, `tuple[X, Y]` or `dict[str, X]`: the X at `step`."""
    if isinstance(step, str):
        return arguments[1:2]
    if len(arguments) == 1 or arguments[-1] is Ellipsis:
        return arguments[:1]
    return arguments[step : step + 1]


def _members(annotation: Any) -> Iterator[Any]:
    """The plain types in a union, without what annotates them."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for argument in typing.get_args(annotation):
            yield from _members(argument)
    elif origin is typing.Annotated:
        yield from _members(typing.get_args(annotation)[0])
    else:
        yield annotation
