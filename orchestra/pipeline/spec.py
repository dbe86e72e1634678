"""Pipelines as YAML: read, checked at the door, every error at once with its place.

Knows the file's shape and the shipped pipelines; builds routers and voters through
the registry. Does not run anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from orchestra.config import Document, examine, read_text, read_yaml
from orchestra.errors import InputError, InputErrors, raise_all, unknown
from orchestra.pipeline.registry import (
    Generate,
    Synthesise,
    Tag,
    build,
    first_names,
    parts,
    stage_schema,
)
from orchestra.routing import Router
from orchestra.runs import Budget, digest
from orchestra.voting import Voter

SCHEMA = 1
STAGES = ("tag", "route", "generate", "vote", "synthesise")
_DEFAULTS: Mapping[str, object] = {
    "tag": "as-profiled",
    "route": "posterior",
    "generate": "draft",
    "vote": "robust",
    "synthesise": "none",
}


class _Budget(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    calls: Annotated[int, Field(ge=1)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None
    money: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    file: Annotated[str, Field(min_length=1)] | None = None


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    schema_: Annotated[int, Field(alias="schema", ge=1, le=SCHEMA)]
    name: Annotated[str, Field(min_length=1, max_length=80)]
    description: str = ""
    seed: int = 0
    budget: _Budget = _Budget()
    tag: Any = "as-profiled"
    route: Any = "posterior"
    generate: Any = "draft"
    vote: Any = "robust"
    synthesise: Any = "none"


@dataclass(frozen=True)
class PipelineSpec:
    """One checked pipeline file."""

    name: str
    description: str
    seed: int
    budget: Budget
    """The most that a whole run may spend."""
    budget_file: Path | None
    """Where what is spent is written down, by all runs that name this file; None: in the run's
    own folder. A relative path starts from the working directory."""
    tag: Tag
    route: Router
    generate: Generate
    vote: Voter
    synthesise: Synthesise
    data: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The file's content after all settings: `rebuild` makes the same spec of it."""

    @cached_property
    def digest(self) -> str:
        """Stands for everything here that changes decisions.

        Name and description do not, nor do the budget and the tolerance: a run that they stopped
        goes on in the same folder once they are raised. A stage that does nothing is no part.
        """
        told = {stage: repr(getattr(self, stage)) for stage in STAGES}
        if self.synthesise.kind == "none":
            del told["synthesise"]
        return digest(told)


def weak_panel(spec: PipelineSpec, recruits: int | None = None) -> str:
    """Why a pipeline cannot hold against the faults that it declares; empty if it may, or none are.

    Against f liars it takes 2 f + 1 experts on a question: else the honest are no majority.

    Args:
        spec: the pipeline.
        recruits: experts that there are to recruit; None: enough.
    """
    faults = getattr(spec.vote, "faults", None)
    seats = getattr(spec.route, "seats", getattr(spec.route, "k", spec.generate.calls))
    most = min(seats, spec.generate.calls, *([] if recruits is None else [recruits]))
    if faults is None or most > 2 * faults:
        return ""
    return (
        f"`faults: {faults}` is declared, and at most {most} experts answer a question: it takes "
        f"{2 * faults + 1} for the honest ones to be the majority"
    )


def load_spec(source: str | Path, *, overrides: Iterable[str] = ()) -> PipelineSpec:
    """Read a pipeline from a file, or a shipped one by its name.

    Args:
        source: a path, or a name of `shipped_pipelines()`.
        overrides: `stage.option=value` settings (`route.seats=3`, `vote=majority`), YAML values.

    Raises:
        InputError: the file is missing or wrong, or a name or override is unknown; every error
            at once.
    """
    document = _document(source)
    data = dict(document.data)
    errors: list[InputError] = []
    for setting in overrides:
        try:
            _override(data, setting)
        except InputError as error:
            errors.append(error)
    return _checked(Document(document.name, data, document.lines, document.path), errors)


def rebuild(data: Mapping[str, Any], name: str) -> PipelineSpec:
    """The spec that has this `data`, as a run's manifest keeps it; `name` is for messages.

    Raises:
        InputError: it is no pipeline of this release; every error at once.
    """
    return _checked(Document(name, data, {}), [])


def _checked(changed: Document, errors: list[InputError]) -> PipelineSpec:
    data = changed.data
    shape, found = examine(changed, _Shape)
    errors += changed.errors(found)
    built: dict[str, Any] = {}
    for stage in STAGES:
        place = changed.place((stage,)) if stage in data else f"{changed.name} {stage}"
        given = data.get(stage, _DEFAULTS[stage])
        try:
            name, options = parts(stage, given, place=place)
            built[stage] = build(stage, name, options, place=place)
            if isinstance(built[stage], Synthesise):
                built[stage].check(place=place)
        except InputErrors as several:
            errors += several.errors
        except InputError as error:
            errors.append(error)
    raise_all(errors)
    assert shape is not None
    limits = shape.budget.model_dump(exclude={"file"})
    file = shape.budget.file
    return PipelineSpec(
        shape.name,
        shape.description,
        shape.seed,
        Budget(**limits),
        None if file is None else Path(file).expanduser(),
        **built,
        data=data,
    )


def read_budget(settings: Iterable[str]) -> tuple[Budget, Path | None]:
    """The limits that `money=5`, `calls=1000` and the like state, and the budget file.

    Raises:
        InputError: a setting is wrong; every error at once.
    """
    given = [f"budget.{setting}" for setting in settings]
    data: dict[str, Any] = {"schema": SCHEMA, "name": "budget"}
    errors: list[InputError] = []
    for setting in given:
        try:
            _override(data, setting)
        except InputError as error:
            errors.append(error)
    spec = _checked(Document("--budget", data, {}), errors)
    return spec.budget, spec.budget_file


def shipped_pipelines() -> dict[str, str]:
    """Name -> text of each pipeline that comes with the package, sorted by name."""
    found = [each for each in _folder().iterdir() if each.name.endswith(".yaml")]
    entries = {Path(each.name).stem: each for each in found}
    return {name: entries[name].read_text(encoding="utf-8") for name in sorted(entries)}


def pipeline_schema() -> dict[str, Any]:
    """JSON Schema of a pipeline file, for editors (`pipelines/schema.json`)."""
    schema = _Shape.model_json_schema(by_alias=True)
    for stage in STAGES:
        schema["properties"][stage] = {**stage_schema(stage), "default": _DEFAULTS[stage]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _folder() -> Any:
    """`pipelines/` of a checkout, or its copy inside an installed package."""
    packed = files("orchestra") / "data" / "pipelines"
    if packed.is_dir():
        return packed
    return Path(str(files("orchestra"))).parent / "pipelines"


def _document(source: str | Path) -> Document:
    shipped = shipped_pipelines()
    if str(source) in shipped:
        return read_text(shipped[str(source)], f"{source} (shipped)")
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or path.is_file():
        return read_yaml(path)
    raise unknown("pipeline", str(source), shipped)


def _override(data: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    stage, _, option = key.strip().partition(".")
    known = (*STAGES, "seed", "budget")
    if not equals or stage not in known:
        hint = f"stages: {', '.join(known)}; for instance `route.seats=3`"
        raise InputError(f"not a setting: {setting!r}", place="--set", hint=hint)
    value = dict(read_text(f"value: {text}", f"--set {key}").data)["value"]
    if not option:
        data[stage] = value
    elif stage == "budget":
        given = data.get(stage)
        data[stage] = {**(given if isinstance(given, Mapping) else {}), option: value}
    elif stage in STAGES:
        name, options = parts(stage, data.get(stage, _DEFAULTS[stage]), place=f"--set {key}")
        data[stage] = {name: {**options, option: value}}
    else:
        raise InputError(f"`{stage}` has no options", place="--set", hint=f"`{stage}=VALUE`")


def names(stage: str) -> tuple[str, ...]:
    """The names that a stage may have."""
    return tuple(first_names(stage))
