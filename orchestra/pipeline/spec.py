"""Pipelines as YAML: read, checked at the door, every error at once with its place.

A file names its stages as keys (the built-in ones, each once), or lists them under `stages`, where
a stage may come twice and `repeat` holds others. Knows the shipped pipelines; builds the
components that a file names. Does not run anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from orchestra import components
from orchestra.components import build, options_of, parts
from orchestra.config import Document, examine, read_text, read_yaml
from orchestra.errors import InputError, InputErrors, raise_all, unknown
from orchestra.files import shipped_folder
from orchestra.pipeline.stage_graph import STAGES, StageSpec, stage_graph
from orchestra.pipeline.stages.generate import Generate
from orchestra.pipeline.stages.synthesise import Synthesise
from orchestra.pipeline.stages.tag import Tag
from orchestra.routing import Router
from orchestra.runs import Budget, digest
from orchestra.voting import Voter

SCHEMA = 1
MAX_STAGES = 1000
"""Most stages of a pipeline, repetitions written out."""
_DEFAULTS: Mapping[str, str] = {
    "tag": "as-profiled",
    "route": "posterior",
    "generate": "draft",
    "vote": "robust",
    "synthesise": "none",
}
_SETTING = re.compile(r"(?P<stage>[^.\[\]=]*)(?:\[(?P<at>[0-9]+)\])?(?:(?P<dot>\.)(?P<option>.*))?")


class BudgetShape(BaseModel):
    """Limits and their file, as pipelines and project files give them."""

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
    seed: Annotated[int, Field(ge=0)] = 0
    budget: BudgetShape = BudgetShape()
    tag: Any = "as-profiled"
    route: Any = "posterior"
    generate: Any = "draft"
    vote: Any = "robust"
    synthesise: Any = "none"
    stages: Annotated[list[Any], Field(min_length=1)] | None = None


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
    stages: tuple[StageSpec, ...]
    """In the order in which they run."""
    data: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The file's content after all settings: `rebuild` makes the same spec of it."""

    @cached_property
    def digest(self) -> str:
        """Stands for everything here that changes decisions.

        Name and description do not, nor do the budget and the tolerance: a run that they stopped
        goes on in the same folder once they are raised. A stage that does nothing is no part.
        """
        return digest([[each.stage, each.identity] for each in self.stages if not each.idle])

    @property
    def tag(self) -> Tag:
        """Options of the first tagger."""
        return Tag.of(self._options("tag")[0])

    @property
    def route(self) -> Router:
        """The first router."""
        made: Router = self._options("route")[0]
        return made

    @property
    def generate(self) -> Generate:
        """Options of the first generation."""
        made: Generate = self._options("generate")[0]
        return made

    @property
    def vote(self) -> Voter:
        """The last voter."""
        made: Voter = self._options("vote")[-1]
        return made

    @property
    def synthesise(self) -> Synthesise:
        """Options of the last synthesis."""
        made: Synthesise = self._options("synthesise")[-1]
        return made

    def _options(self, stage: str) -> list[Any]:
        """What a stage's occurrences were built of; the default where there is none."""
        built = [each.options for each in self.stages if each.stage == stage]
        return built or [build(stage, _DEFAULTS[stage], {})]


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
        overrides: `stage.option=value` settings (`route.seats=3`, `vote=majority`), YAML values;
            `generate[1].calls=3` for the second `generate`, `generate.calls=3` for each.

    Raises:
        InputError: the file is missing or wrong, or a name or override is unknown; every error
            at once.
    """
    return _checked(_document(source), overrides)


def rebuild(data: Mapping[str, Any], name: str, *, overrides: Iterable[str] = ()) -> PipelineSpec:
    """The spec that has this `data`, as a run's manifest keeps it; `name` is for messages.

    Args:
        data: of a `PipelineSpec`.
        name: stands for the file.
        overrides: as in `load_spec`.

    Raises:
        InputError: it is no pipeline of this release; every error at once.
    """
    return _checked(Document(name, data, {}), overrides)


def _checked(document: Document, overrides: Iterable[str] = ()) -> PipelineSpec:
    errors: list[InputError] = []
    data = dict(document.data)
    written = _written(document, errors)
    for setting in overrides:
        try:
            _override(data, written, setting)
        except InputError as error:
            errors.append(error)
    changed = Document(document.name, data, document.lines, document.path)
    shape, faults = examine(changed, _Shape)
    errors += changed.errors(faults)
    stages = _built(written, errors)
    raise_all(errors)
    assert shape is not None
    stage_graph(stages)
    if not any("decisions" in each.writes for each in stages):
        hint = "a `vote` decides: list one after `generate`"
        place = document.place(("stages",))
        raise InputError("no stage decides: none writes `decisions`", place=place, hint=hint)
    limits = shape.budget.model_dump(exclude={"file"})
    file = shape.budget.file
    return PipelineSpec(
        shape.name,
        shape.description,
        shape.seed,
        Budget(**limits),
        None if file is None else Path(file).expanduser(),
        stages,
        data=data,
    )


# Stages as they are written


@dataclass
class _Written:
    """One stage of a file, repetitions written out."""

    stage: str
    value: object
    place: str


def _written(document: Document, errors: list[InputError]) -> list[_Written]:
    """The stages of a file in the order in which they run; what is wrong goes to `errors`."""
    data = document.data
    listed = data.get("stages")
    if listed is None:
        return [_keyed(document, stage) for stage in STAGES]
    for stage in STAGES:
        if stage in data:
            errors.append(
                InputError(
                    f"`{stage}` stands beside `stages`",
                    place=document.place((stage,)),
                    hint="list it under `stages`, or name all stages as keys without `stages`",
                )
            )
    found: list[_Written] = []
    if isinstance(listed, list):
        _listed(document, listed, ("stages",), found, errors)
    if len(found) > MAX_STAGES:
        place = document.place(("stages",))
        errors.append(InputError(f"more than {MAX_STAGES} stages", place=place))
        return []
    return found


def _keyed(document: Document, stage: str) -> _Written:
    if stage not in document.data:
        return _Written(stage, _DEFAULTS[stage], f"{document.name} {stage}")
    return _Written(stage, document.data[stage], document.place((stage,)))


def _listed(
    document: Document,
    items: Sequence[object],
    spot: tuple[str | int, ...],
    found: list[_Written],
    errors: list[InputError],
) -> None:
    for at, item in enumerate(items):
        here = (*spot, at)
        if isinstance(item, str):
            item = {item: _DEFAULTS.get(item)}
        if not isinstance(item, Mapping) or len(item) != 1:
            hint = "for instance `- route: all`, or `- repeat: {times: 2, stages: [...]}`"
            place = document.place(here)
            errors.append(InputError("an item is one stage: `stage: ...`", place=place, hint=hint))
            continue
        stage, value = next(iter(item.items()))
        if stage == "repeat":
            _repeated(document, value, (*here, "repeat"), found, errors)
        elif stage in STAGES:
            found.append(_Written(stage, value, document.place((*here, stage))))
        elif stage in (known := components.names("stage")):
            found.append(_Written(stage, value, document.place(here)))
        else:
            place = document.place((*here, stage))
            errors.append(unknown("stage", stage, {*STAGES, *known, "repeat"}, place=place))


def _repeated(
    document: Document,
    value: object,
    spot: tuple[str | int, ...],
    found: list[_Written],
    errors: list[InputError],
) -> None:
    place = document.place(spot)
    given = value if isinstance(value, Mapping) else {}
    times, items = given.get("times"), given.get("stages")
    for key in given.keys() - {"times", "stages"}:
        at = document.place((*spot, key))
        errors.append(unknown("key", key, ("times", "stages"), place=at))
    if not isinstance(times, int) or isinstance(times, bool) or not 1 <= times <= MAX_STAGES:
        errors.append(InputError(f"`times` is a whole number from 1 to {MAX_STAGES}", place=place))
        return
    if not isinstance(items, list) or not items:
        errors.append(InputError("`stages` of `repeat` is a list of stages", place=place))
        return
    inside: list[_Written] = []
    _listed(document, items, (*spot, "stages"), inside, errors)
    for _ in range(times if len(inside) * times <= MAX_STAGES else 1):
        found += [_Written(each.stage, each.value, each.place) for each in inside]
    if len(inside) * times > MAX_STAGES:
        errors.append(InputError(f"more than {MAX_STAGES} stages", place=place))


def _built(written: Sequence[_Written], errors: list[InputError]) -> tuple[StageSpec, ...]:
    """The stages with their components; what is wrong goes to `errors`, once for each place."""
    stages: list[StageSpec] = []
    count: dict[str, int] = {}
    wrong: dict[str, InputError] = {}
    for each in written:
        at = count[each.stage] = count.get(each.stage, -1) + 1
        try:
            stages.append(_stage(each, at))
        except InputErrors as several:
            wrong |= {str(error): error for error in several.errors}
        except InputError as error:
            wrong[str(error)] = error
    errors += wrong.values()
    return tuple(stages)


def _stage(written: _Written, occurrence: int) -> StageSpec:
    stage, place = written.stage, written.place
    if stage not in STAGES:
        options = options_of("stage", stage, written.value, place=place)
        made = build("stage", stage, options, place=place)
        return StageSpec(stage, stage, made, occurrence, place)
    name, options = parts(stage, written.value, place=place)
    made = build(stage, name, options, place=place)
    if isinstance(made, Synthesise):
        made.check(place=place)
    return StageSpec(stage, name, made, occurrence, place)


# Settings


def _override(data: dict[str, Any], written: Sequence[_Written], setting: str) -> None:
    key, equals, text = setting.partition("=")
    read = _SETTING.fullmatch(key.strip())
    stages = dict.fromkeys([*STAGES, *(each.stage for each in written)])
    if not equals or read is None or read["stage"] not in (*stages, "seed", "budget"):
        hint = f"stages: {', '.join([*stages, 'seed', 'budget'])}; for instance `route.seats=3`"
        raise InputError(f"not a setting: {setting!r}", place="--set", hint=hint)
    stage, option = read["stage"], read["option"]
    value = dict(read_text(f"value: {text}", f"--set {key}").data)["value"]
    if stage in stages:
        for each in _chosen(written, stage, read["at"]):
            each.value = value if not option else _with_option(each, option, value, f"--set {key}")
        if "stages" in data:
            data["stages"] = [{each.stage: each.value} for each in written]
        else:
            data[stage] = next(each.value for each in written if each.stage == stage)
    elif read["at"] is not None:
        raise InputError(f"`{stage}` stands once", place="--set", hint=f"`{stage}=VALUE`")
    elif not option:
        data[stage] = value
    elif stage == "budget":
        given = data.get(stage)
        data[stage] = {**(given if isinstance(given, Mapping) else {}), option: value}
    else:
        raise InputError(f"`{stage}` has no options", place="--set", hint=f"`{stage}=VALUE`")


def _chosen(written: Sequence[_Written], stage: str, at: str | None) -> list[_Written]:
    """The occurrences of a stage that a setting is for: all, or that of the number."""
    found = [each for each in written if each.stage == stage]
    if found and at is None:
        return found
    number = int(at or 0)
    if number >= len(found):
        raise InputError(
            f"the pipeline has {len(found)} of the stage `{stage}`",
            place=f"--set {stage}" if at is None else f"--set {stage}[{at}]",
            hint="the first is number 0" if found else "add it to `stages` in the file",
        )
    return [found[number]]


def _with_option(written: _Written, option: str, value: object, place: str) -> dict[str, Any]:
    if written.stage not in STAGES:
        options = options_of("stage", written.stage, written.value, place=place)
        return {**options, option: value}
    name, options = parts(written.stage, written.value, place=place)
    return {name: {**options, option: value}}


def read_budget(settings: Iterable[str]) -> tuple[Budget, Path | None]:
    """The limits that `money=5`, `calls=1000` and the like state, and the budget file.

    Raises:
        InputError: a setting is wrong; every error at once.
    """
    data: dict[str, Any] = {"schema": SCHEMA, "name": "budget"}
    spec = _checked(Document("--budget", data, {}), [f"budget.{setting}" for setting in settings])
    return spec.budget, spec.budget_file


# What is shipped


def shipped_pipelines() -> dict[str, str]:
    """Name -> text of each pipeline that comes with the package, sorted by name."""
    entries = {each.stem: each for each in shipped_folder("pipelines").glob("*.yaml")}
    return {name: entries[name].read_text(encoding="utf-8") for name in sorted(entries)}


def pipeline_schema(index: components.Index | None = None) -> dict[str, Any]:
    """JSON Schema of a pipeline file, for editors (`pipelines/schema.json`).

    Args:
        index: the shipped components; by default what `components.json` says.
    """
    schema = _Shape.model_json_schema(by_alias=True)
    definitions = {stage: components.stage_schema(stage, index) for stage in STAGES}
    for stage in STAGES:
        schema["properties"][stage] = {"$ref": f"#/$defs/{stage}", "default": _DEFAULTS[stage]}
    items = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/item"}}
    schema["properties"]["stages"] = items
    repeat = {
        "type": "object",
        "properties": {
            "times": {"type": "integer", "minimum": 1, "maximum": MAX_STAGES},
            "stages": items,
        },
        "required": ["times", "stages"],
        "additionalProperties": False,
    }
    keys = {stage: {"$ref": f"#/$defs/{stage}"} for stage in STAGES} | {"repeat": repeat}
    one = {
        "type": "object",
        "properties": keys,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }
    definitions["item"] = {"anyOf": [{"enum": list(STAGES)}, one]}
    schema["$defs"] = schema.get("$defs", {}) | definitions
    schema["dependentSchemas"] = {"stages": {"properties": dict.fromkeys(STAGES, False)}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _document(source: str | Path) -> Document:
    shipped = shipped_pipelines()
    if str(source) in shipped:
        return read_text(shipped[str(source)], f"{source} (shipped)")
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or path.is_file():
        return read_yaml(path)
    raise unknown("pipeline", str(source), shipped)
