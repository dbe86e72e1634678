"""The registry of components: which names files may use, what each builds, where it comes from.

A frozen dataclass registers under a name of a stage by `@component`; its fields are its options.
Shipped names are known from `components.json`, which `make docs` writes, and their modules are
imported when a name is first used. Other distributions register under the entry-point group
`orchestra.components`, as `stage.name`. Data never names code to import.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache, cached_property
from hashlib import blake2b
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from pkgutil import walk_packages
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError

from orchestra.errors import InputError, raise_all, unknown

GROUP = "orchestra.components"
"""The entry-point group of components that other distributions bring."""

_METHODS = ("orchestra.pipeline.stages",)
PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "stage": _METHODS,
        "tag": _METHODS,
        "route": ("orchestra.routing",),
        "generate": _METHODS,
        "vote": ("orchestra.voting",),
        "synthesise": (*_METHODS, "orchestra.synthesis"),
        "defence": ("orchestra.synthesis",),
        "attack": ("orchestra.redteam",),
        "worker": ("orchestra.workers",),
        "read": ("orchestra.answers",),
        "benchmark": ("orchestra.evals",),
        "importer": ("orchestra.evals.importers",),
    }
)
"""Stage -> the packages whose modules register its shipped names."""

_WORDS = {"read": "answer cascade"}

Built = TypeVar("Built", bound=Callable[..., Any])
Index = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Stage -> name -> module, class, argument, version and the options' JSON Schema."""


@dataclass(frozen=True)
class Component:
    """One name of one stage.

    Args:
        stage: a key of `PACKAGES`.
        name: as files write it.
        build: a frozen dataclass with defaults.
        argument: the option that `name: value` sets.
        version: raised where the same options mean something else, such as a changed default.
        fixed: options that the name itself decides.
        unused: options that mean nothing under this name.
    """

    stage: str
    name: str
    build: Callable[..., Any]
    argument: str = ""
    version: int = 1
    fixed: Mapping[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.stage not in PACKAGES:
            raise unknown("stage of components", self.stage, PACKAGES)
        parameters = getattr(self.build, "__dataclass_params__", None)
        if parameters is None or not parameters.frozen:
            raise TypeError(f"{self.where} is no frozen dataclass")
        if self.argument and self.argument not in {each.name for each in self.fields}:
            raise TypeError(f"{self.where} has no option `{self.argument}`")

    @property
    def where(self) -> str:
        """The class that is built, as `module.Class`."""
        return f"{self.build.__module__}.{self.build.__qualname__}"

    @property
    def shipped(self) -> bool:
        """Whether it comes with orchestra."""
        return self.build.__module__.startswith("orchestra.")

    @cached_property
    def fields(self) -> tuple[Field[Any], ...]:
        """The fields that a file may set."""
        closed = {"name", *self.fixed, *self.unused}
        every = fields(self.build)  # type: ignore[arg-type]
        return tuple([each for each in every if each.init and each.name not in closed])

    @cached_property
    def options(self) -> dict[str, Any]:
        """Option name -> annotation, for the options that a file may set."""
        hints = get_type_hints(self.build, include_extras=True)
        return {each.name: hints[each.name] for each in self.fields}

    @cached_property
    def names(self) -> dict[str, str]:
        """Option that names another component -> its stage: `names` in the field's metadata."""
        return {
            each.name: each.metadata["names"] for each in self.fields if "names" in each.metadata
        }

    def identity(self, built: Any) -> str:
        """Digest of the name, the version and each option that is not at its default.

        Args:
            built: what `build` returned; fields with `identity=False` in their metadata are left
                out.

        Raises:
            InputError: an option is no plain data, or names a file that is missing.
        """
        options = {
            each.name: value
            for each in self.fields
            if each.metadata.get("identity", True)
            and (value := getattr(built, each.name)) != _default(each)
        }
        plain = _canonical([self.stage, self.name, self.version, options])
        packed = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
        return blake2b(packed, digest_size=16).hexdigest()


_REGISTERED: dict[str, dict[str, Component]] = {stage: {} for stage in PACKAGES}


def component(
    stage: str,
    name: str,
    *,
    argument: str = "",
    version: int = 1,
    fixed: Mapping[str, Any] = MappingProxyType({}),
    unused: tuple[str, ...] = (),
) -> Callable[[Built], Built]:
    """Register a frozen dataclass under a name of a stage; see `Component` for the options.

    Raises:
        InputError: the stage is unknown, or the name is taken.
    """

    def register(build: Built) -> Built:
        made = Component(stage, name, build, argument, version, fixed, unused)
        if not made.shipped and name in index().get(stage, {}):
            raise InputError(
                f"`{stage}.{name}` of `{made.where}` is a name of orchestra's own",
                hint="choose another name: shipped names cannot be replaced",
            )
        before = _REGISTERED[stage].get(name)
        if before is not None and before.where != made.where:
            raise InputError(
                f"`{stage}.{name}` is registered twice: by `{before.where}` and by `{made.where}`",
                hint="a name stands for one component: rename one of them",
            )
        _REGISTERED[stage][name] = made
        return build

    return register


def find(stage: str, name: str, *, place: str = "") -> Component:
    """The component of that name; its module is imported where this is its first use.

    Raises:
        InputError: there is none of that name, or the distribution that brings it is broken.
    """
    if stage not in PACKAGES:
        raise unknown("stage of components", stage, PACKAGES, place=place)
    registered = _REGISTERED[stage]
    if name not in registered:
        if name in index().get(stage, {}):
            import_module(index()[stage][name]["module"])
        else:
            for module in _modules(stage):  # the index is older than the code
                import_module(module)
    if name not in registered:
        _load_installed(stage, name, place)
    if name not in registered:
        raise unknown(_WORDS.get(stage, stage), name, names(stage), place=place)
    return registered[name]


def names(stage: str) -> tuple[str, ...]:
    """Every name of a stage, sorted: shipped, registered here, or of another distribution."""
    others = [each.name for each in installed() if each.stage == stage and not each.problem]
    return tuple(sorted({*index().get(stage, {}), *_REGISTERED[stage], *others}))


def build(stage: str, name: str, options: Mapping[str, Any], *, place: str = "") -> Any:
    """Build a component from plain data.

    Raises:
        InputError: the name or an option is unknown, or a value is not allowed; all at once.
    """
    made = find(stage, name, place=place)
    errors: list[InputError] = []
    checked: dict[str, Any] = {}
    for key, value in options.items():
        spot = f"{place}.{name}.{key}" if place else f"{stage}.{name}.{key}"
        if key not in made.options:
            errors.append(unknown("option", key, made.options, place=spot))
            continue
        try:
            checked[key] = _validated(made.options[key], value)
            if names_of := made.names.get(key):
                find(names_of, checked[key], place=spot)
        except InputError as error:
            errors.append(error)
        except ValidationError as error:
            errors += [_told(each, spot) for each in error.errors(include_url=False)]
    raise_all(errors)
    try:
        return made.build(**made.fixed, **checked)
    except InputError as error:
        raise InputError(error.message, place=place, hint=error.hint) from None
    except ValueError as error:
        raise InputError(str(error), place=place) from None


def parts(stage: str, data: object, *, place: str) -> tuple[str, dict[str, Any]]:
    """The name and options of a stage written as `name`, `name: argument` or `name: {options}`.

    Raises:
        InputError: it has another shape, the name is unknown or takes no argument.
    """
    if isinstance(data, str):
        return data, {}
    if not isinstance(data, Mapping) or len(data) != 1:
        raise InputError(
            "a stage is `name`, `name: argument` or `name: {option: value}`", place=place
        )
    name, value = next(iter(data.items()))
    return str(name), options_of(stage, str(name), value, place=place)


def options_of(stage: str, name: str, value: object, *, place: str) -> dict[str, Any]:
    """What stands after a name, as options: nothing, a mapping of them, or the argument alone.

    Raises:
        InputError: the name is unknown or takes no argument.
    """
    if isinstance(value, Mapping):
        return dict(value)
    if value is None:
        return {}
    argument = find(stage, name, place=place).argument
    if not argument:
        raise InputError(f"`{name}` takes no argument, got {value!r}", place=place)
    return {argument: value}


@dataclass(frozen=True, slots=True)
class Origin:
    """A component that another distribution declares; reading it loads nothing."""

    stage: str
    name: str
    distribution: str
    """Name and version of the distribution."""
    value: str
    """What the entry point names, as `module:Class`."""
    problem: str = ""
    """Why the name cannot be used; empty if it can."""


def installed() -> tuple[Origin, ...]:
    """The components that other distributions declare, sorted by stage and name."""
    declared: dict[tuple[str, str, str], Origin] = {}
    for point in entry_points(group=GROUP):
        stage, _, name = point.name.partition(".")
        declared[point.name, _distribution(point), point.value] = Origin(
            stage, name, _distribution(point), point.value, _unusable(stage, name)
        )
    count: dict[str, int] = {}
    for full, _, _ in declared:
        count[full] = count.get(full, 0) + 1
    return tuple(
        Origin(each.stage, each.name, each.distribution, each.value, "declared more than once")
        if count[full] > 1 and not each.problem
        else each
        for (full, _, _), each in sorted(declared.items())
    )


def origin(stage: str, name: str) -> str:
    """Where a name comes from: `orchestra`, a distribution with its version, or a module."""
    made = find(stage, name)
    if made.shipped:
        return "orchestra"
    others = [each for each in installed() if (each.stage, each.name) == (stage, name)]
    return others[0].distribution if others else made.build.__module__


@cache
def index() -> Index:
    """The generated index of the shipped components."""
    path = files("orchestra") / "components.json"
    loaded: Index = orjson.loads(path.read_bytes()) if path.is_file() else {}
    return loaded


def shipped() -> dict[str, dict[str, Component]]:
    """Stage -> name -> component, for all that comes with orchestra; imports all its modules."""
    for stage in PACKAGES:
        for module in _modules(stage):
            import_module(module)
    return {
        stage: {name: made for name, made in sorted(known.items()) if made.shipped}
        for stage, known in _REGISTERED.items()
    }


def stage_schema(stage: str, known: Index | None = None) -> dict[str, Any]:
    """JSON Schema of what a file may write for a stage; `known` is the shipped index by default."""
    entries = (index() if known is None else known)[stage]
    forms: list[dict[str, Any]] = [{"enum": sorted(entries)}]
    for name, entry in sorted(entries.items()):
        options = entry["options"]
        value: list[dict[str, Any]] = [
            {"type": "object", "properties": options, "additionalProperties": False},
            {"type": "null"},
        ]
        if entry["argument"]:
            value.append(options[entry["argument"]])
        forms.append(
            {
                "type": "object",
                "properties": {name: {"anyOf": value}},
                "required": [name],
                "additionalProperties": False,
            }
        )
    return {"anyOf": forms}


# Loading


@cache
def _modules(stage: str) -> tuple[str, ...]:
    """The modules of a stage's packages, as far as these exist."""
    found: list[str] = []
    for name in PACKAGES[stage]:
        try:
            package = import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            continue
        found += [each.name for each in walk_packages(package.__path__, f"{name}.")]
    return tuple(each for each in found if not each.endswith("__main__"))


def _load_installed(stage: str, name: str, place: str) -> None:
    """Import what another distribution declares under this name, if one does."""
    full = f"{stage}.{name}"
    points = {
        (_distribution(each), each.value): each
        for each in entry_points(group=GROUP)
        if each.name == full
    }
    if len(points) > 1:
        by = " and ".join(sorted(f"`{distribution}`" for distribution, _ in points))
        raise InputError(
            f"`{full}` is declared more than once: by {by}",
            place=place,
            hint="a name stands for one component: uninstall one of them",
        )
    for (distribution, value), point in points.items():
        try:
            point.load()
        except Exception as error:
            raise InputError(
                f"`{full}` of `{distribution}` cannot be loaded: {type(error).__name__}: {error}",
                place=place,
                hint=f"the entry point names `{value}`",
            ) from error
        if name not in _REGISTERED[stage]:
            raise InputError(
                f"`{value}` of `{distribution}` registers no component `{full}`",
                place=place,
                hint=f'decorate a frozen dataclass with `@component("{stage}", "{name}")`',
            )


def _distribution(point: EntryPoint) -> str:
    return "" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _unusable(stage: str, name: str) -> str:
    if stage not in PACKAGES:
        return "unknown stage"
    return "a name of orchestra's own" if name in index().get(stage, {}) else ""


# Options


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=ConfigDict(strict=True))


def _adapter_of(annotation: Any) -> TypeAdapter[Any]:
    """An annotation that is a dataclass has a configuration of its own."""
    if is_dataclass(annotation):
        return TypeAdapter(annotation)
    return _adapter(annotation)


def _validated(annotation: Any, value: Any) -> Any:
    """The value, checked strictly: a list may stand for a tuple, text for a path or an enum."""
    adapter = _adapter_of(annotation)
    if not isinstance(value, str | list | Mapping):
        return adapter.validate_python(value)
    try:
        packed = json.dumps(value)
    except (TypeError, ValueError):  # an object that a Python caller gives
        return adapter.validate_python(value)
    return adapter.validate_json(packed)


def _told(detail: Any, spot: str) -> InputError:
    """One of pydantic's errors, with its place inside the option."""
    place = spot
    for step in detail["loc"]:
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        allowed = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        return unknown(place.rpartition(".")[2], detail["input"], allowed, place=place)
    return InputError(f"{detail['msg']}, not {detail['input']!r}", place=place)


def _default(each: Field[Any]) -> Any:
    if each.default_factory is not MISSING:
        return each.default_factory()
    return each.default


def _canonical(value: Any) -> Any:
    """Plain data: equal values have one form, a file is its content."""
    if isinstance(value, Enum):
        return _canonical(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else repr(value)
    if isinstance(value, Path):
        return _content(value)
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _canonical(getattr(value, each.name)) for each in fields(value)}
    raise InputError(f"an option is no plain data: {value!r}")


def _content(path: Path) -> str:
    try:
        return blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=str(path)) from None
