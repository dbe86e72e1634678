"""Which names a pipeline file may use for each stage, and what they build.

Knows every router, voter and tagger by name and the options each takes; does not
read files (`spec`) nor run anything. Data never names code to import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from orchestra.answers import CASCADES
from orchestra.errors import InputError, raise_all, unknown
from orchestra.routing import Complementary, Everybody, Posterior, RandomK, Symbolic, TopK
from orchestra.synthesis import SUBSETS, DefenceName
from orchestra.voting import Majority, Mmsr, OneCoin, Reputation, Robust, Weighted


@dataclass(frozen=True, slots=True)
class Tag:
    """Options of a tagger that is built where its model can be reached (`pipeline.tag`)."""

    kind: str
    """`as-profiled`, `category`, `lexical`, `embedding` or `keywords`."""
    model: str = ""
    """Embedding: a sentence-transformers name or folder, `lexical` for the built-in one.
    Keywords: the name of an expert of the roster."""
    most: int = 5
    """Most skills a question gets, at least 1."""
    threshold: float = 0.25
    """Embedding: least cosine, in (0, 1]."""
    map_threshold: float | None = 0.5
    """Least similarity, in (0, 1], for a skill that was never profiled to stand for one that was;
    null: the paper's nearest one, however far."""

    def __post_init__(self) -> None:
        within = [x for x in (self.threshold, self.map_threshold) if x is not None]
        if self.most < 1 or not all(0 < x <= 1 for x in within):
            raise InputError("`most` is at least 1, `threshold` and `map_threshold` in (0, 1]")


@dataclass(frozen=True, slots=True)
class Generate:
    """How drafts are made and read."""

    calls: int = 5
    """Most calls for one question, reserves included; at least 1."""
    next_if_absent: bool = False
    """Ask the next reserve where a seat gives no readable answer."""
    fallback: bool = False
    """Ask the next reserve in place of a call that failed, which then is no call of `calls`."""
    read: str = "stated"
    """The answer cascade: `stated`, `lenient`, `official` or `strict`."""
    tolerance: float = field(default=0.1, repr=False)
    """Share of calls that may fail before the run counts as failed, in [0, 1]. It decides nothing,
    so it is no part of what tells pipelines apart."""

    def __post_init__(self) -> None:
        if self.read not in CASCADES:
            raise unknown("answer cascade", self.read, CASCADES)
        if self.calls < 1 or not 0 <= self.tolerance <= 1:
            raise InputError("`calls` is at least 1 and `tolerance` is in [0, 1]")


@dataclass(frozen=True, slots=True)
class Synthesise:
    """How drafts are put together by a model, if they are."""

    kind: str = "none"
    """`none`, or `moa`: a Mixture-of-Agents (Wang et al. 2024, arXiv:2406.04692)."""
    aggregator: str = ""
    """The expert that is shown the drafts; it has the role `synthesise`."""
    layers: int = 1
    """How often drafts are shown, at least 1: the last time to the aggregator, and each time
    before to everybody who drafted, who draft again. 2 is the paper's 3-3-1."""
    defence: DefenceName = "none"
    """What the aggregator sees of the last drafts, and what becomes of its replies."""
    gate: bool = True
    """Whether drafts that hardly differ stay in one cluster; false: as published."""
    subsets: int = SUBSETS
    """Most subsets that dropout consults the aggregator on, at least 1."""
    embedder: str = "lexical"
    """What compares texts: `lexical`, or a sentence-transformers name or folder."""
    oblivious: bool = False
    """Whether nobody is warned that drafts may be biased or wrong."""
    decide: Literal["aggregator", "guarded"] = "aggregator"
    """Whose answer counts. `guarded`: where answers can be counted, the ballot's."""

    def __post_init__(self) -> None:
        if self.layers < 1 or self.subsets < 1:
            raise InputError("`layers` and `subsets` are at least 1")

    def check(self, *, place: str = "") -> None:
        """Raise InputError where the aggregator is not named."""
        if self.kind == "moa" and not self.aggregator:
            raise InputError(
                "`moa` needs an aggregator",
                place=place,
                hint="`synthesise: {moa: NAME}`, an expert with the role `synthesise`",
            )


@dataclass(frozen=True, slots=True)
class Component:
    """One name of one stage.

    Args:
        build: a frozen dataclass (or a function of the same parameters) with defaults.
        argument: the option that `name: value` sets.
        fixed: options that the name itself decides.
        unused: options that mean nothing under this name.
    """

    build: Callable[..., Any]
    argument: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """Option name -> type, for the options that a file may set."""
        hints = get_type_hints(self.build)
        names = [each.name for each in fields(self.build)]  # type: ignore[arg-type]
        closed = {"name", *self.fixed, *self.unused}
        return {name: hints[name] for name in names if name not in closed}


_MAP = "map_threshold"


def _tag(kind: str, argument: str = "", *, unused: tuple[str, ...] = ()) -> Component:
    return Component(Tag, argument, {"kind": kind}, unused)


REGISTRY: Mapping[str, Mapping[str, Component]] = MappingProxyType(
    {
        "tag": MappingProxyType(
            {
                "as-profiled": _tag("as-profiled", unused=("model", "most", "threshold")),
                "category": _tag("category", unused=("model", "most", "threshold", _MAP)),
                "lexical": _tag("lexical", "most", unused=("model", "threshold")),
                "embedding": _tag("embedding", "model"),
                "keywords": _tag("keywords", "model", unused=("most", "threshold")),
            }
        ),
        "route": MappingProxyType(
            {
                "symbolic": Component(Symbolic, "k"),
                "posterior": Component(Posterior, "seats"),
                "complementary": Component(Complementary, "k"),
                "single-best": Component(TopK, fixed={"k": 1, "name": "single-best"}),
                "top-k": Component(TopK, "k"),
                "random": Component(RandomK, "k"),
                "all": Component(Everybody),
            }
        ),
        "generate": MappingProxyType({"draft": Component(Generate, "calls")}),
        "vote": MappingProxyType(
            {
                "majority": Component(Majority),
                "mmsr": Component(Mmsr),
                "one-coin": Component(OneCoin),
                "reputation": Component(Reputation),
                "robust": Component(Robust, "faults"),
                "weighted": Component(Weighted),
            }
        ),
        "synthesise": MappingProxyType(
            {
                "none": Component(
                    Synthesise,
                    fixed={"kind": "none"},
                    unused=tuple(each.name for each in fields(Synthesise)),
                ),
                "moa": Component(Synthesise, "aggregator", fixed={"kind": "moa"}),
            }
        ),
    }
)
"""stage -> name -> what it builds."""


def build(stage: str, name: str, options: Mapping[str, Any], *, place: str = "") -> Any:
    """Build a stage's component from plain data.

    Raises:
        InputError: the name or an option is unknown, or a value is not allowed; all at once.
    """
    names = REGISTRY[stage]
    if name not in names:
        raise unknown(stage, name, names, place=place)
    component = names[name]
    allowed = component.options
    errors: list[InputError] = []
    checked: dict[str, Any] = {}
    for key, value in options.items():
        spot = f"{place}.{name}.{key}" if place else f"{stage}.{name}.{key}"
        if key not in allowed:
            errors.append(unknown("option", key, allowed, place=spot))
            continue
        try:
            checked[key] = _adapter(allowed[key]).validate_python(value)
        except ValidationError as error:
            errors.append(InputError(f"{error.errors()[0]['msg']}, not {value!r}", place=spot))
    raise_all(errors)
    try:
        return component.build(**component.fixed, **checked)
    except InputError as error:
        raise InputError(error.message, place=place, hint=error.hint) from None


def parts(stage: str, data: object, *, place: str) -> tuple[str, dict[str, Any]]:
    """The name and options of a stage written as `name`, `name: argument` or `name: {options}`.

    Raises:
        InputError: it has another shape, or the name takes no argument.
    """
    if isinstance(data, str):
        return data, {}
    if not isinstance(data, Mapping) or len(data) != 1:
        raise InputError(
            "a stage is `name`, `name: argument` or `name: {option: value}`", place=place
        )
    name, value = next(iter(data.items()))
    if isinstance(value, Mapping):
        return str(name), dict(value)
    if value is None:
        return str(name), {}
    component = REGISTRY[stage].get(name)
    if component is not None and not component.argument:
        raise InputError(f"`{name}` takes no argument, got {value!r}", place=place)
    return str(name), {component.argument if component else "": value}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind, config=ConfigDict(strict=True))


def stage_schema(stage: str) -> dict[str, Any]:
    """JSON Schema of what a file may write for a stage."""
    forms: list[dict[str, Any]] = [{"enum": sorted(REGISTRY[stage])}]
    for name, component in sorted(REGISTRY[stage].items()):
        options = {
            key: TypeAdapter(kind).json_schema() for key, kind in sorted(component.options.items())
        }
        value: list[dict[str, Any]] = [
            {"type": "object", "properties": options, "additionalProperties": False},
            {"type": "null"},
        ]
        if component.argument:
            value.append(options[component.argument])
        forms.append(
            {
                "type": "object",
                "properties": {name: {"anyOf": value}},
                "required": [name],
                "additionalProperties": False,
            }
        )
    return {"anyOf": forms}


def first_names(stage: str) -> Sequence[str]:
    """The names of a stage, sorted, for messages and help."""
    return sorted(REGISTRY[stage])
