"""Records to bytes and back.

Knows how to write any frozen record as JSON and how to rebuild it from its type
hints; does not know which records are kept, where, or what they mean. Both ways
are put together once for each class, since a run reads back tens of thousands.
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
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

Record = TypeVar("Record")
_Convert = Callable[[Any], Any]
_Check = Callable[[Any], bool]

_ATOMS = (str, int, float, bool, NoneType)
# JSON proper starts with a brace; a body that starts with a blank is Python's dialect of it.
_DIALECT = b" "


def encode(record: object) -> bytes:
    """The record as one JSON object.

    What JSON proper cannot hold (NaN, infinities, lone surrogates, integers past 64
    bits) is written in the standard library's dialect, marked by a leading blank, so
    that nothing a model says is lost or changed. Raises TypeError for what is not data.
    """
    try:
        body = orjson.dumps(record, default=_plain)
    except orjson.JSONEncodeError:
        pass
    else:
        # What is not finite became null, so without a null there is nothing to look for.
        if b"null" not in body or _finite(type(record))(record):  # type: ignore[arg-type]
            return body
    return _DIALECT + json.dumps(record, default=_plain, separators=(",", ":")).encode()


def decode(cls: type[Record], body: bytes) -> Record:
    """The record of class `cls` that `encode` wrote as `body`.

    A field that is missing takes its default, so that older bodies stay readable.
    Raises ValueError where the body is no such record; strings and numbers are taken
    as they are, since only `encode` writes bodies.
    """
    read = _reader(cls)  # type: ignore[arg-type]  # a class is hashable
    try:
        record: Record = read(json.loads(body) if body[:1] == _DIALECT else orjson.loads(body))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"not a {cls.__name__}: {error}") from error
    return record


def _plain(value: object) -> object:
    """What the JSON writers ask for when they meet something they do not know."""
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Integral):  # an array library's scalars
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"a record holds plain data, not {type(value).__name__}: {value!r}")


# --- reading --------------------------------------------------------------------------


@cache  # pure: one reader for each class, for ever the same
def _reader(cls: type[Any]) -> _Convert:
    """A function from a parsed JSON object to `cls`. It may use up the object."""
    hints = get_type_hints(cls)
    converters = [
        (field.name, convert)
        for field in fields(cls)
        if (convert := _converter(hints[field.name])) is not None
    ]

    def read(members: dict[str, Any]) -> Any:
        for name, convert in converters:
            if name in members:
                members[name] = convert(members[name])
        return cls(**members)

    return read


def _converter(hint: Any) -> _Convert | None:
    """How a parsed value becomes what `hint` says; None where it already is."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _ATOMS:
        return None
    if isinstance(hint, type) and is_dataclass(hint):
        return _reader(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if origin in (types.UnionType, Union):
        return _optional_converter(arguments)
    if origin is tuple:
        return _tuple_converter(arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_converter(arguments[1])
    raise TypeError(f"records hold no {hint!r}")


def _optional_converter(members: tuple[Any, ...]) -> _Convert | None:
    convert = _converter(_unless_none(members))
    if convert is None:
        return None
    return lambda value: None if value is None else convert(value)


def _unless_none(members: tuple[Any, ...]) -> Any:
    """The `X` of `X | None`, the only union that records hold."""
    others = [member for member in members if member is not NoneType]
    if len(others) != 1:
        raise TypeError(f"records hold no union of {others!r}")
    return others[0]


def _tuple_converter(members: tuple[Any, ...]) -> _Convert:
    if len(members) == 2 and members[1] is Ellipsis:
        each = _converter(members[0])
        return tuple if each is None else lambda values: tuple(map(each, values))
    converters = [_converter(member) for member in members]
    if not any(converters):
        return lambda values: _sized(tuple(values), len(members))
    return lambda values: tuple(
        value if convert is None else convert(value)
        for value, convert in zip(values, converters, strict=True)
    )


def _sized(values: tuple[Any, ...], size: int) -> tuple[Any, ...]:
    if len(values) != size:
        raise ValueError(f"{len(values)} members where {size} belong")
    return values


def _mapping_converter(hint: Any) -> _Convert:
    convert = _converter(hint)
    if convert is None:
        return lambda members: MappingProxyType(dict(members))
    return lambda members: MappingProxyType({k: convert(v) for k, v in members.items()})


# --- finding what JSON would silently turn into null ----------------------------------


@cache  # pure: one check for each class, for ever the same
def _finite(cls: type[Any]) -> _Check:
    """A function that says whether every float of a `cls` is finite."""
    hints = get_type_hints(cls)
    checks = [
        (attrgetter(field.name), check)
        for field in fields(cls)
        if (check := _check(hints[field.name])) is not None
    ]

    def is_finite(record: Any) -> bool:
        for get, check in checks:  # noqa: SIM110 - a generator costs as much as the writing
            if not check(get(record)):
                return False
        return True

    return is_finite


def _check(hint: Any) -> _Check | None:
    """How to tell that a value of type `hint` is finite; None where it cannot but be."""
    if hint is float:
        return isfinite
    if isinstance(hint, type) and is_dataclass(hint):
        return _finite(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return _optional_check(_check(_unless_none(arguments)))
    if origin is tuple and Ellipsis not in arguments:
        return _members_check([_check(member) for member in arguments])
    if origin is tuple:
        return _all_check(_check(arguments[0]))
    return None  # a mapping of floats is in no record


def _optional_check(check: _Check | None) -> _Check | None:
    return None if check is None else lambda value: value is None or check(value)


def _all_check(check: _Check | None) -> _Check | None:
    return None if check is None else lambda values: all(map(check, values))


def _members_check(checks: list[_Check | None]) -> _Check | None:
    wanted = [(index, check) for index, check in enumerate(checks) if check is not None]
    return (lambda values: all(check(values[i]) for i, check in wanted)) if wanted else None
