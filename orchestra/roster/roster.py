"""The experts that can be asked, from `roster.yaml` or from Python, checked in the same way.

Pydantic checks each expert's fields by their annotations; what must hold between fields, and
between experts, is checked here. A Roster that exists has been checked.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args

import orjson
import yaml
from pydantic import Field, TypeAdapter

from orchestra.config import DECLARED, Document, Problem, examine, read_text, read_yaml, within
from orchestra.errors import InputError, expect, raise_all, shown, unknown
from orchestra.files import is_shipped, located
from orchestra.records import Sampling
from orchestra.roster.discover import offered
from orchestra.roster.expert import Calls, Expert, Limits, Price, WorkerName

SCHEMA = 1
"""The version of the roster format that is read."""

_WORKERS: frozenset[str] = frozenset(get_args(WorkerName))
_SERVED = frozenset({"openai", "litellm", "remote"})
_OWN_ENGINE = frozenset({"vllm", "local", "remote"})

USED_BY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "recordings": frozenset({"recorded"}),
        "base_url": _SERVED,
        "api_key_env": _SERVED,
        # For hosted models they go into the body of each call, in the provider's own words.
        "engine": _OWN_ENGINE | {"litellm", "openai"},
        "calls": _SERVED,
        # A recorded expert may say which adapter the recordings were made with.
        "adapter": _OWN_ENGINE | {"openai", "recorded"},
    }
)
"""The workers that can use a field; fields that are not here go with every worker."""

_NEEDS = {
    "recorded": ("recordings", "the file of answers that a recorded expert replays"),
    "openai": ("base_url", "the server's address, such as `http://127.0.0.1:8000/v1`"),
}


@dataclass(frozen=True, init=False)
class Roster:
    """Experts with unique names, in their order.

    Raises:
        InputError: an expert's field is out of range, or does not go with its worker.
        InputErrors: several are; all of them.
    """

    experts: tuple[Expert, ...]
    """At least one."""
    path: Path | None = None
    """The file they came from; None if they were made in Python."""

    def __init__(self, experts: Iterable[Expert], path: Path | None = None) -> None:
        data = {"schema": SCHEMA, "experts": [_as_data(expert) for expert in _each(experts)]}
        self.__dict__.update(experts=_checked(Document("", data, {})), path=path)

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:8]) + (", ..." if len(self) > 8 else "")
        return f"Roster({len(self)} expert{'s' if len(self) > 1 else ''}: {shown})"

    @classmethod
    def load(cls, path: str | Path) -> Roster:
        """Read and check a roster file, or `shipped:NAME`.

        Relative paths in it start from its own folder.

        Raises:
            InputError: one thing is wrong with the file; its place names the line.
            InputErrors: several things are; all of them.
        """
        hint = "`Roster([Expert(...), ...])` takes experts made in Python"
        expect("a roster file", path, (str, Path), "a path", hint=hint)
        path = located(path, "roster.yaml")
        return cls._of(read_yaml(path), path.parent)

    @classmethod
    def loads(cls, text: str, name: str = "<text>", *, folder: str | Path = ".") -> Roster:
        """Read and check the text of a roster file, with relative paths from `folder`.

        Raises:
            InputError: as `load` does; `name` stands for the file in its places.
        """
        return cls._of(read_text(text, name), folder)

    @classmethod
    def of(cls, *experts: Expert) -> Roster:
        """A roster of experts made in Python.

        Raises:
            InputError: as the class does.
        """
        return cls(experts)

    @classmethod
    def _of(cls, document: Document, folder: str | Path) -> Roster:
        start = Path(os.path.abspath(folder))
        experts = tuple(_with_full_paths(expert, start) for expert in _checked(document))
        roster = cls.__new__(cls)  # not by `__init__`, which checks again
        roster.__dict__.update(experts=experts, path=document.path)
        return roster

    @classmethod
    def discover(cls, base_url: str, *, api_key_env: str = "") -> Roster:
        """An expert for each model that an OpenAI-compatible server offers.

        Args:
            base_url: the root of the server's API, `http://host:port/v1`.
            api_key_env: the environment variable that holds the server's key, if it wants one.

        Raises:
            MissingKey: the variable is not set.
            InputError: the server cannot be reached, refuses, or lists no models.
        """
        return cls(offered(base_url, api_key_env=api_key_env))

    def subset(self, names: Iterable[str]) -> Roster:
        """The experts of these names, in this roster's order.

        Raises:
            InputError: a name is not known, or there are none.
        """
        wanted = list(names)
        raise_all([unknown("expert", name, self.names) for name in wanted if name not in self])
        return Roster([expert for expert in self if expert.name in wanted], self.path)

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
                "sampling": asdict(expert.sampling),
                "family": expert.family,
                "rule": expert.rule,
                "roles": sorted(set(expert.roles)),
                "price": asdict(expert.price or Price(0.0, 0.0)),
                "memory_gib": expert.memory_gib or 0.0,
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


@dataclass(frozen=True)
class _File:
    """A roster: the models that can be asked, and how each is called."""

    __pydantic_config__ = DECLARED

    schema: Literal[1]
    """Version of this format: 1."""
    experts: Annotated[tuple[Expert, ...], Field(min_length=1)]
    """The experts, in the order in which they are listed everywhere."""
    defaults: Expert | None = None
    """What holds for every expert that does not say otherwise; null undoes it."""


class _Written(yaml.SafeDumper):
    """Quotes every string that a reader might take for something else: `1e5`, say."""


def _string(dumper: _Written, text: str) -> yaml.ScalarNode:
    plain = re.fullmatch(r"[A-Za-z](?:[\w ./@-]*[\w/])?", text, re.ASCII)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Written.add_representer(str, _string)


def yaml_text(data: object) -> str:
    """Plain data as YAML that `Roster.load` and pipelines read back unchanged."""
    text: str = yaml.dump(data, Dumper=_Written, sort_keys=False, allow_unicode=True, width=1000)
    return text


def roster_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of `roster.yaml`, for editors and other tools."""
    schema = TypeAdapter(_File).json_schema()
    parts = schema["$defs"]
    for kind in ("Expert", "Sampling", "Limits", "Calls"):
        for key, part in parts[kind]["properties"].items():
            if key != "name":
                about = {"description": part.pop("description")}
                part = {each: part[each] for each in part if each not in ("default", "title")}
                forms = [*part.get("anyOf", [part]), {"type": "null"}]
                forms = [form for at, form in enumerate(forms) if form not in forms[:at]]
                parts[kind]["properties"][key] = {"anyOf": forms, **about}
    parts["Expert"]["required"] = ["name"]
    shared = {key: part for key, part in parts["Expert"]["properties"].items() if key != "name"}
    parts["Defaults"] = {**parts["Expert"], "title": "Defaults", "properties": shared}
    del parts["Defaults"]["required"]
    schema["properties"]["defaults"]["anyOf"][0] = {"$ref": "#/$defs/Defaults"}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **schema, "title": "orchestra roster"}


def _checked(document: Document) -> tuple[Expert, ...]:
    """The experts of a document that keeps every rule, or everything that is wrong with it."""
    data = dict(document.data)
    version, defaults, experts = (data.get(key) for key in ("schema", "defaults", "experts"))
    if isinstance(version, int) and version > SCHEMA:
        message = f"`schema` {version} is newer than this version of orchestra reads ({SCHEMA})"
        hint = "upgrade orchestra: `pip install --upgrade orchestra-experts`"
        raise_all(document.errors([Problem(("schema",), message, hint)]))
    problems: list[Problem] = []
    given: Mapping[str, Any] = {}
    if isinstance(defaults, Mapping):
        given = defaults
        keys = {each.name for each in fields(Expert)} - {"name"}
        for key in given:
            if key not in keys:
                error = unknown("key", key, keys)
                problems.append(Problem(("defaults", key), error.message, error.hint))
        shared = {key: given[key] for key in given if key in keys}
        data["defaults"] = {"name": "any", "model": "any", **_merged({}, shared)}
    if isinstance(experts, list):
        data["experts"] = [
            _merged(given, each) if isinstance(each, Mapping) else each for each in experts
        ]
        problems += _broken_rules(document, data["experts"])
    file, wrong = examine(replace(document, data=data), _File)
    # What an expert takes from the defaults is reported there.
    problems += [
        each
        for each in wrong
        if len(each.path) < 3 or within(document.data, each.path) == each.path
    ]
    raise_all(document.errors(problems))
    assert file is not None
    return file.experts


def _merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """An expert's fields over the defaults; null undoes a default.

    `sampling` is joined key by key, everything else as a whole. A default that the expert's
    worker cannot use does not reach it. Without `worker`, `base_url` stands for `openai`.
    """
    both = {**defaults, **own}
    worker = both.get("worker") or ("openai" if both.get("base_url") else None)
    both["worker"] = worker
    if isinstance(worker, str) and worker in _WORKERS:
        useless = {key for key in USED_BY if worker not in USED_BY[key]}
        both = {key: both[key] for key in both if key in own or key not in useless}
    inherited = defaults.get("sampling")
    if isinstance(inherited, Mapping) and isinstance(own.get("sampling"), Mapping):
        both["sampling"] = {**inherited, **own["sampling"]}
    for key in ("sampling", "limits", "calls"):
        if isinstance(both.get(key), Mapping):
            both[key] = _without_nulls(both[key])
    return _without_nulls(both)


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _broken_rules(document: Document, wholes: list[Any]) -> Iterator[Problem]:
    """Names given twice, fields that a worker needs and has not, or has and cannot use."""
    first: dict[str, int] = {}
    limited: dict[Any, Any] = {}
    for at, whole in enumerate(wholes):
        if not isinstance(whole, Mapping):
            continue
        name, worker = whole.get("name"), whole.get("worker")
        if isinstance(name, str) and first.setdefault(name, at) != at:
            before = document.place(("experts", first[name], "name"))
            yield Problem(
                ("experts", at, "name"),
                f"the name {name!r} is taken",
                f"it is first given at {before}; every expert needs a name of its own",
            )
        if worker is None:
            hint = f"how the model is reached: {_listed(_WORKERS)}; `base_url` stands for `openai`"
            yield Problem(("experts", at), "`worker` is missing", hint)
        elif isinstance(worker, str) and worker in _WORKERS:
            key, meaning = _NEEDS.get(worker, ("", ""))
            if key and key not in whole:
                yield Problem(("experts", at), f"`{key}` is missing", meaning)
            yield from _unused_fields(at, document.data["experts"][at], worker)
            yield from _conflicting_limits(at, whole, limited)


def _unused_fields(at: int, own: Mapping[str, Any], worker: str) -> Iterator[Problem]:
    for key, workers in USED_BY.items():
        if own.get(key) is not None and worker not in workers:
            yield Problem(
                ("experts", at, key),
                f"`{key}` makes no sense with `worker: {worker}`",
                f"remove it, or choose a worker that uses it: {_listed(workers)}",
            )


def _conflicting_limits(
    at: int, whole: Mapping[str, Any], first: dict[Any, Any]
) -> Iterator[Problem]:
    """Limits of one provider key that two experts state differently."""
    given, worker, model = whole.get("limits"), whole["worker"], whole.get("model")
    limits = dict(given) if isinstance(given, Mapping) else {}
    per = limits.pop("per", "key")
    if not isinstance(model, str) or worker not in _SERVED:
        return
    address = str(whole.get("base_url") or "").rstrip("/") or (
        model.partition("/")[0] if worker == "litellm" else ""
    )
    key = worker, address, str(whole.get("api_key_env")), model if per == "model" else ""
    name, stated = first.setdefault(key, (whole.get("name"), limits))
    if stated != limits:
        yield Problem(
            ("experts", at, "limits") if limits else ("experts", at),
            f"the limits are not those of expert {name!r}, which has the same address and key",
            "limits are of a key: state them in `defaults`, or the same for each; `per: model` "
            "where every model has its own",
        )


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _with_full_paths(expert: Expert, folder: Path) -> Expert:
    """The expert with absolute paths, for a hub's or an embedded checkpoint with its name."""
    full: dict[str, Any] = {}
    if expert.recordings is not None:
        full["recordings"] = Path(_absolute(str(expert.recordings), folder))
    for key, name in (("model", expert.model), ("adapter", expert.adapter)):
        local = name.startswith(("./", "../", "~/")) or bool(name and os.path.isdir(folder / name))
        if local and not name.startswith("embedded/") and expert.from_files:
            full[key] = _absolute(name, folder)
    return replace(expert, **full) if full else expert


def _absolute(path: str, folder: Path) -> str:
    if is_shipped(path):
        return path
    return os.path.normpath(folder / os.path.expanduser(path))


def _each(experts: object) -> list[object]:
    """What was given in place of experts, where each is one or the mapping of one."""
    hint = '`Expert("name", model="...", ...)` makes one, `Roster.load(PATH)` reads a file'
    if isinstance(experts, str | Mapping) or not isinstance(experts, Iterable):
        raise InputError(f"experts must be a list of Experts, not {shown(experts)}", hint=hint)
    given = list(experts)
    raise_all(
        [
            InputError(f"not an Expert: {shown(each)}", place=f"experts[{at}]", hint=hint)
            for at, each in enumerate(given)
            if not isinstance(each, Expert | Mapping)
        ]
    )
    return given


def _as_data(expert: Any) -> Any:
    """An expert as it would stand in a file, less what is left at its default."""
    if not isinstance(expert, Expert):
        return expert
    data: dict[str, Any] = {}
    for each in fields(expert):
        value = getattr(expert, each.name)
        default = {} if each.name == "engine" else each.default
        if default is MISSING or value != default:
            plain = isinstance(value, Sampling | Price | Limits | Calls)
            data[each.name] = asdict(value) if plain else value
    return data
