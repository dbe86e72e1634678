"""The manifest of a run folder: its command, the digests of its inputs, and how the run ended."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from orchestra.config import shorten
from orchestra.errors import InputError, raise_all
from orchestra.files import read_file
from orchestra.runs.disk import translated, write_whole
from orchestra.runs.keys import digest

SCHEMA = 1
"""Number of the file's shape."""

_PACKAGES = ("orchestra-experts", "numpy", "pyarrow")
_MEND = "restore the file from a copy, or choose another --out"


class RunStatus(StrEnum):
    """The state of a run, as its own process last wrote it."""

    RUNNING = "running"
    """In progress; or killed, where no process holds the folder any more."""
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    """Left before its end: by the user, or by an error."""
    STOPPED = "stopped"
    """Stopped by a budget."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts about a run in its folder."""

    command: str
    """The command that made it."""
    identity: Mapping[str, str]
    """Name -> digest of each input that decides the run's results (`seed`, `items`, ...)."""
    details: Mapping[str, object]
    """Facts for people, as plain JSON; a fact named like a part of the identity explains it, and
    `inputs` explains parts in full: name -> plain data, in which two runs are compared."""
    versions: Mapping[str, str]
    """Of python, orchestra and the packages that numbers depend on."""
    status: RunStatus
    started: str
    """When the run was first begun, ISO 8601 in UTC."""
    ended: str = ""
    """When it was last left, ISO 8601 in UTC; empty while it runs."""
    fingerprint: str = ""
    """The digest of `identity`."""
    report: str = ""
    """The digest of `report.json`; empty without one."""
    schema: int = SCHEMA

    @classmethod
    def begin(
        cls, *, command: str, identity: Mapping[str, str], details: Mapping[str, object]
    ) -> Manifest:
        """The manifest of a run that begins now."""
        return cls(
            command=command,
            identity=MappingProxyType(dict(identity)),
            details=MappingProxyType(dict(details)),
            versions=_versions(),
            status=RunStatus.RUNNING,
            started=_now(),
            fingerprint=digest(identity),
        )

    def resumed(self) -> Manifest:
        """The same run, going on now with the versions that are installed now."""
        return replace(self, status=RunStatus.RUNNING, ended="", report="", versions=_versions())

    def left(self, status: RunStatus) -> Manifest:
        """The same run, left now in this state."""
        return replace(self, status=status, ended=_now())

    def differences(self, identity: Mapping[str, str]) -> tuple[str, ...]:
        """The sorted names of the parts in which `identity` is not this run's."""
        names = self.identity.keys() | identity.keys()
        return tuple(sorted(n for n in names if self.identity.get(n) != identity.get(n)))


def changes(theirs: object, mine: object, path: str) -> Iterator[str]:
    """Where two values of plain data differ, leaf by leaf, each with both values, shortened."""
    if isinstance(theirs, Mapping) and isinstance(mine, Mapping):
        for name in sorted(theirs.keys() | mine.keys()):
            there, now = (each.get(name, _ABSENT) for each in (theirs, mine))
            yield from changes(there, now, f"{path}.{name}")
    elif theirs != mine:
        yield f"`{path}`: {_shown(theirs)} there, {_shown(mine)} now"


_ABSENT = object()


def _shown(value: object) -> str:
    if value is _ABSENT:
        return "none"
    return "one" if isinstance(value, Mapping) else shorten(value)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write `manifest` to `path` as a whole or not at all. Raises InputError as `write_whole`."""
    members = {field.name: getattr(manifest, field.name) for field in fields(manifest)}
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    write_whole(path, orjson.dumps(members, default=_plain, option=options))


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path`.

    Raises InputError where there is none, it may not be read, is not JSON, has members
    missing or of the wrong type (all of them at once), or is of a newer schema.
    """
    members = _members(path)
    place = str(path)
    schema = members.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise InputError(
            f"written by a newer orchestra: manifest schema {schema}, known up to {SCHEMA}",
            place=place,
            hint="update orchestra, or choose another --out",
        )
    raise_all(
        [
            InputError(f"`{name}` should be {wanted}", place=place, hint=_MEND)
            for name, (wanted, fits) in _SHAPE.items()
            if not fits(members.get(name))
        ]
    )
    if members["fingerprint"] != digest(members["identity"]):
        raise InputError("`identity` was changed by hand", place=place, hint=_MEND)
    return _built(members)


def _built(members: Mapping[str, Any]) -> Manifest:
    known = {name: members[name] for name in _SHAPE}
    for name in ("identity", "details", "versions"):
        known[name] = MappingProxyType(known[name])
    return Manifest(**{**known, "status": RunStatus(known["status"])})


def _members(path: Path) -> dict[str, Any]:
    with translated(path):
        if not path.is_file():
            raise InputError("there is no manifest here", place=str(path))
        content = read_file(path)
    try:
        members = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InputError(f"not JSON: {error}", place=str(path), hint=_MEND) from error
    if not isinstance(members, dict):
        raise InputError("should be a JSON object", place=str(path), hint=_MEND)
    return {"report": "", **members}


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


_SHAPE: Mapping[str, tuple[str, Callable[[object], bool]]] = MappingProxyType(
    {
        "schema": ("a number", lambda value: type(value) is int and value >= 1),
        "command": ("a string", lambda value: isinstance(value, str)),
        "fingerprint": ("a string", lambda value: isinstance(value, str)),
        "identity": ("an object of strings", _is_table),
        "details": ("an object", lambda value: isinstance(value, dict)),
        "versions": ("an object of strings", _is_table),
        "status": (f"one of {', '.join(RunStatus)}", lambda value: value in list(RunStatus)),
        "started": ("a string", lambda value: isinstance(value, str)),
        "ended": ("a string", lambda value: isinstance(value, str)),
        "report": ("a string", lambda value: isinstance(value, str)),
    }
)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a manifest holds plain data, not {type(value).__name__}: {value!r}")


def _versions() -> Mapping[str, str]:
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # run from its source folder, say
            versions[name] = "not installed"
    return MappingProxyType(versions)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
