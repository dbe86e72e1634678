"""Content keys: digests of plain data, and the keys of requests.

A key is the whole cache policy: a call whose key is in the ledger is not made again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from hashlib import blake2b
from numbers import Integral, Real

import orjson

SCHEMA = 1
"""Raised whenever keys change their meaning, so that no old generation is taken for a new one."""

_SIZE = 16
_EXACT = 2.0**53


def digest(value: object) -> str:
    """The 32 hexadecimal digits (blake2b, 128 bits) that stand for `value`.

    Values that compare equal have one digest: the order of a mapping's keys does
    not count, a tuple is a list, a dataclass is the mapping of its fields, an enum
    member is its value, and 1.0 is 1 (`True` is not).

    Raises TypeError for what has no canonical form (sets, bytes, keys that are not
    strings) and ValueError for NaN and infinities, which JSON cannot tell apart.
    """
    return blake2b(_canonical(_plain(value)), digest_size=_SIZE).hexdigest()


def request_key(
    *, expert: str, messages: str, sampling: str, stage: str, layer: int, sample: int
) -> str:
    """The content key of one request: equal keys mean interchangeable generations.

    `expert`, `messages` and `sampling` are digests, made once by the caller and used
    for many requests; this function is one hash of one short string.

    The expert digest must cover everything that changes what the expert says: worker,
    model, revision, adapter, system prompt, reasoning strategy, address and engine
    options, or the recordings' contents. What is left out is served stale. The messages
    digest covers what is sent; where a worker looks answers up by question (a replay),
    it must cover the question id as well. `sample` tells draws of one expert apart.
    """
    # The only field of free form comes last, so no two sets of parts join to one string.
    joined = f"{SCHEMA}|{layer}|{sample}|{expert}|{messages}|{sampling}|{stage}"
    return blake2b(joined.encode(), digest_size=_SIZE).hexdigest()


def _canonical(plain: object) -> bytes:
    try:
        return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # Lone surrogates and integers past 64 bits: rare, legal in Python, beyond orjson.
        return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    """`value` as dicts, lists, strings, numbers, booleans and None only."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Mapping):
        return {_name(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return _number(value)


def _name(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a digest takes mappings with string keys, not {key!r}")
    return str(key)


def _number(value: object) -> int | float:
    if isinstance(value, Integral):
        return int(value)
    if not isinstance(value, Real):
        raise TypeError(f"a digest takes plain data, not {type(value).__name__}: {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a digest takes finite numbers, not {number!r}")
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number
