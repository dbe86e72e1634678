"""The experts that can be asked, from `roster.yaml` or from Python.

Knows names, families and the digest; does not know how good an expert is (the recruitment
table does) nor how it is called (workers do). A Roster that exists has been checked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from orchestra.errors import raise_all, unknown
from orchestra.records import Sampling
from orchestra.roster.document import Document, examine, read_text, read_yaml
from orchestra.roster.expert import ROLES, Calls, Expert, Limits, Price
from orchestra.roster.rules import broken_rules, merged, newer
from orchestra.roster.shape import SCHEMA, RosterShape

_OWN_CHECKPOINT = frozenset({"vllm", "local", "remote"})


@dataclass(frozen=True)
class Roster:
    """Experts with unique names, in the order of their file.

    Raises:
        InputError: an expert's field is out of range, or does not go with its worker.
        InputErrors: several are; all of them.
    """

    experts: tuple[Expert, ...]
    """At least one."""
    path: Path | None = None
    """The file they came from; None if they were made in Python."""

    def __post_init__(self) -> None:
        data = {"schema": SCHEMA, "experts": [_as_data(expert) for expert in self.experts]}
        _check(Document("", data, {}))

    @classmethod
    def load(cls, path: str | Path) -> Roster:
        """Read and check a roster file. Relative paths in it start from its own folder.

        Raises:
            InputError: one thing is wrong with the file; its place names the line.
            InputErrors: several things are; all of them.
        """
        document = read_yaml(path)
        folder = Path(os.path.abspath(path)).parent
        return cls(_experts(_check(document), folder), document.path)

    @classmethod
    def loads(cls, text: str, name: str = "<text>", *, folder: str | Path = ".") -> Roster:
        """Read and check the text of a roster file, with relative paths from `folder`.

        Raises:
            InputError: as `load` does; `name` stands for the file in its places.
        """
        return cls(_experts(_check(read_text(text, name)), Path(os.path.abspath(folder))))

    @classmethod
    def of(cls, *experts: Expert) -> Roster:
        """A roster of experts made in Python.

        Raises:
            InputError: as the class does.
        """
        return cls(experts)

    def subset(self, names: Iterable[str]) -> Roster:
        """The experts of these names, in this roster's order.

        Raises:
            InputError: a name is not known, or there are none.
        """
        wanted = list(names)
        raise_all([unknown("expert", name, self.names) for name in wanted if name not in self])
        return Roster(
            tuple(self._by_name[name] for name in self.names if name in wanted), self.path
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every expert's name, in order."""
        return tuple(expert.name for expert in self.experts)

    @cached_property
    def recruits(self) -> tuple[str, ...]:
        """The names of the experts that may draft answers, in order; the others only assist."""
        return tuple(expert.name for expert in self.experts if "answer" in expert.roles)

    @cached_property
    def families(self) -> Mapping[str, tuple[str, ...]]:
        """Family to the names of its experts, in order of first appearance.

        An expert that names no family is one of its own, under its own name.
        """
        groups: dict[str, list[str]] = {}
        for expert in self.experts:
            groups.setdefault(expert.family or expert.name, []).append(expert.name)
        return {family: tuple(names) for family, names in groups.items()}

    @cached_property
    def digest(self) -> str:
        """Digest of all that can change an answer, a plan or a vote, 32 hexadecimal digits.

        Order, names, identities, sampling, families, answer rules, prices and memory count; how
        fast an expert may be called, where recordings lie and where a key is found do not.
        """
        parts = [
            {
                "name": expert.name,
                "identity": expert.identity,
                "sampling": _with_floats(asdict(expert.sampling), "temperature", "top_p"),
                "family": expert.family,
                "rule": expert.rule,
                "roles": sorted(set(expert.roles)),
                "price": _with_floats(asdict(expert.price or Price(0, 0)), "input", "output"),
                "memory_gib": float(expert.memory_gib or 0),
            }
            for expert in self.experts
        ]
        packed = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(packed, digest_size=16).hexdigest()

    @cached_property
    def _by_name(self) -> dict[str, Expert]:
        return {expert.name: expert for expert in self.experts}

    def __getitem__(self, name: str) -> Expert:
        if name not in self._by_name:
            raise unknown("expert", name, self.names)
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Expert]:
        return iter(self.experts)

    def __len__(self) -> int:
        return len(self.experts)


def _check(document: Document) -> RosterShape:
    """The document as a shape that keeps every rule, or everything that is wrong with it."""
    if later := newer(document):
        raise_all(document.errors([later]))
    shape, found = examine(document, RosterShape)
    raise_all(document.errors([*found, *broken_rules(document)]))
    if shape is None:
        raise AssertionError("pydantic refused a roster without saying why")
    return shape


def _experts(shape: RosterShape, folder: Path) -> tuple[Expert, ...]:
    defaults = shape.defaults.model_dump(exclude_unset=True)
    return tuple(
        _expert(merged(defaults, own.model_dump(exclude_unset=True)), folder)
        for own in shape.experts
    )


def _expert(values: dict[str, Any], folder: Path) -> Expert:
    """An expert from checked values, with paths made absolute."""
    if "sampling" in values:
        given = _given(values["sampling"])
        for key in given.keys() & {"stop", "choices"}:
            given[key] = tuple(given[key])
        values["sampling"] = Sampling(**given)
    if "roles" in values:
        values["roles"] = tuple(values["roles"])
    if "price" in values:
        values["price"] = Price(**values["price"])
    if "limits" in values:
        values["limits"] = Limits(**_given(values["limits"]))
    if "calls" in values:
        values["calls"] = Calls(**_given(values["calls"]))
    if "recordings" in values:
        values["recordings"] = Path(_absolute(values["recordings"], folder))
    if values["worker"] in _OWN_CHECKPOINT:
        for key in values.keys() & {"model", "adapter"}:
            values[key] = _checkpoint(values[key], folder)
    return Expert(**values)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _checkpoint(name: str, folder: Path) -> str:
    """A folder's absolute path; the name as it is where it is a hub's or an embedded one."""
    if name.startswith("embedded/"):
        return name
    local = name.startswith(("./", "../", "~/")) or os.path.isdir(folder / name)
    return _absolute(name, folder) if local else name


def _absolute(path: str, folder: Path) -> str:
    return os.path.normpath(folder / os.path.expanduser(path))


def _with_floats(values: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The values with `1` as `1.0` under these keys: equal numbers give equal digests."""
    return {key: float(value) if key in keys else value for key, value in values.items()}


def _as_data(expert: Expert) -> dict[str, Any]:
    """An expert as it would stand in a file, less what is left at its default."""
    data: dict[str, Any] = {}
    for field in fields(expert):
        value = getattr(expert, field.name)
        if value not in (None, "", {}, ROLES, Sampling(), Limits(), Calls()):
            data[field.name] = _plain(value)
    return data


def _plain(value: Any) -> Any:
    if isinstance(value, Sampling | Price | Limits | Calls):
        plain = {key: item for key, item in asdict(value).items() if item is not None}
        return {key: list(item) if isinstance(item, tuple) else item for key, item in plain.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
