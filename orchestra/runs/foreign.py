"""Data that other tools wrote: their dialects of JSON, and the many types that Arrow has for texts.

What is read comes as plain texts, numbers and lists. Does not know what files mean.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.types as kinds

_Data = TypeVar("_Data", pa.Table, pa.RecordBatch)


def loads(data: bytes) -> Any:
    """JSON that another tool wrote: NaN is null, half of a letter that was cut in two U+FFFD.

    Raises ValueError where it is no JSON.
    """
    try:
        return orjson.loads(data)
    except ValueError as error:
        try:
            text = data.decode("utf-8", "surrogatepass")
            return mended(json.loads(text, parse_constant=lambda name: None))
        except (ValueError, RecursionError):
            raise error from None


def mended(value: Any) -> Any:
    """Texts with letters that were cut in two whole again; lone halves become U+FFFD.

    Takes a text, or lists and mappings of them; other values stay as they are.
    """
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {mended(key): mended(each) for key, each in value.items()}
    return [mended(each) for each in value] if isinstance(value, list) else value


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The usual type for what cells of an Arrow type hold; the type itself where it is usual."""
    if kinds.is_dictionary(kind):
        value = plain_type(kind.value_type)
        return kind if value == kind.value_type else value
    if kinds.is_string_view(kind):
        return pa.large_string()
    if kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind):
        return pa.large_string()
    if kinds.is_decimal(kind):
        return pa.int64() if kind.scale == 0 else pa.float64()
    if kinds.is_list_view(kind) or kinds.is_large_list_view(kind) or kinds.is_fixed_size_list(kind):
        return pa.large_list(plain_type(kind.value_type))
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        value = plain_type(kind.value_type)
        return kind if value == kind.value_type else pa.large_list(value)
    return kind


def plain_columns(data: _Data) -> _Data:
    """The same columns in usual types. Raises pyarrow's errors, as for bytes that are no text."""
    for at, field in enumerate(data.schema):
        kind = plain_type(field.type)
        if kind != field.type:
            column = data.column(at)
            # pyarrow (26) casts views of lists wrongly where a cell before them is null.
            listed = kinds.is_large_list(kind) or kinds.is_list(kind)
            plain = pa.array(column.to_pylist(), kind) if listed else column.cast(kind)
            data = data.set_column(at, field.name, plain)
    return data


def python_type(kind: pa.DataType) -> type:
    """What cells of an Arrow type are in Python: str, bool, int, float, list of numbers, object."""
    kind = plain_type(kind)
    if kinds.is_dictionary(kind):
        return python_type(kind.value_type)
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return list if python_type(kind.value_type) in (int, float) else object
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        return str
    known = (
        (bool, kinds.is_boolean),
        (int, kinds.is_integer),
        (float, kinds.is_floating),
        (type(None), kinds.is_null),
    )
    return next((python for python, fits in known if fits(kind)), object)
