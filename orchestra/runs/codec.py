"""Records to bytes and back: both directions follow from the fields of the record's class.

The two directions are derived once for each class, since a run reads tens of thousands of rows.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from math import isfinite
from numbers import Integral, Real
from operator import attrgetter
from types import MappingProxyType, NoneType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

Record = TypeVar("Record")
# How a parsed JSON value becomes the value of a field, and whether the floats of such a value are
# all finite. None: the parsed value is the value; the value cannot hold a float.
_Shape = tuple[Callable[[Any], Any] | None, Callable[[Any], bool] | None]

_ATOMS = (str, int, float, bool, NoneType)
# JSON starts with a brace; a body that starts with a blank is in the standard library's dialect.
_DIALECT = b" "


def encode(record: object) -> bytes:
    """The record as one JSON object.

    NaN, infinities, lone surrogates and integers past 64 bits are written in the standard
    library's dialect of JSON, marked by a leading blank, so that no output of a model is lost
    or changed. Raises TypeError for a value that is not data.
    """
    try:
        body = orjson.dumps(record, default=_plain)
    except orjson.JSONEncodeError:
        pass
    else:
        # orjson writes null for a float that is not finite.
        if b"null" not in body or _is_finite(record):
            return body
    return _DIALECT + json.dumps(record, default=_plain, separators=(",", ":")).encode()


def decode(cls: type[Record], body: bytes) -> Record:
    """The record of class `cls` that `encode` wrote as `body`.

    A field that is missing takes its default, so that older bodies stay readable. Raises
    ValueError where the body is no such record; strings and numbers are not checked, since only
    `encode` writes bodies.
    """
    read: Any = _shape(cls)[0]  # type: ignore[arg-type]  # a class is hashable
    try:
        record: Record = read(json.loads(body) if body[:1] == _DIALECT else orjson.loads(body))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"not a {cls.__name__}: {error}") from error
    return record


def _is_finite(record: Any) -> bool:
    check = _shape(type(record))[1]  # type: ignore[arg-type]  # a class is hashable
    return check is None or check(record)


def _plain(value: object) -> object:
    """The value as plain data, where a JSON writer does not know its type."""
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Integral):  # a scalar of an array library
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"a record holds plain data, not {type(value).__name__}: {value!r}")


@cache  # pure: a type hint has one shape
def _shape(hint: Any) -> _Shape:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:  # plain data of a source, which stays what JSON has
        return None, None
    if hint in _ATOMS or origin is Literal:
        return None, isfinite if hint is float else None
    if isinstance(hint, type) and is_dataclass(hint):
        return _record(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint, None
    if origin in (types.UnionType, Union) and len(arguments) == 2 and NoneType in arguments:
        return _optional(arguments[arguments[0] is NoneType])
    if origin is tuple:
        return _tuple(arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(arguments[1])
    raise TypeError(f"records hold no {hint!r}")


def _record(cls: type[Any]) -> _Shape:
    hints = get_type_hints(cls)
    shapes = [(field.name, *_shape(hints[field.name])) for field in fields(cls)]
    converters = [(name, convert) for name, convert, _ in shapes if convert]
    checks = [(attrgetter(name), check) for name, _, check in shapes if check]

    def read(members: dict[str, Any]) -> Any:
        for name, convert in converters:
            if name in members:
                members[name] = convert(members[name])
        return cls(**members)

    def finite(record: Any) -> bool:
        for get, check in checks:  # noqa: SIM110 - a generator costs as much as the writing
            if not check(get(record)):
                return False
        return True

    return read, finite if checks else None


def _optional(hint: Any) -> _Shape:
    convert, check = _shape(hint)
    return (
        convert and (lambda value: None if value is None else convert(value)),
        check and (lambda value: value is None or check(value)),
    )


def _tuple(hints: tuple[Any, ...]) -> _Shape:
    if hints[1:] == (Ellipsis,):
        convert, check = _shape(hints[0])
        return (
            (lambda values: tuple(map(convert, values))) if convert else tuple,
            check and (lambda values: all(map(check, values))),
        )
    shapes = [_shape(hint) for hint in hints]
    checks = [(index, check) for index, (_, check) in enumerate(shapes) if check]
    return (
        lambda values: tuple(
            [each[0](v) if each[0] else v for each, v in zip(shapes, values, strict=True)]
        ),
        (lambda values: all(check(values[i]) for i, check in checks)) if checks else None,
    )


def _mapping(hint: Any) -> _Shape:
    convert, check = _shape(hint)
    return (
        lambda members: MappingProxyType(
            {k: convert(v) for k, v in members.items()} if convert else dict(members)
        ),
        check and (lambda members: all(map(check, members.values()))),
    )
