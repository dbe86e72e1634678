"""Options that several commands share, under one name and with one meaning.

The code that uses a value checks it. The project file stands for options that are not given.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click
from click.core import ParameterSource

from orchestra.pipeline import find_project, read_project
from orchestra.scheduling import Machine

Function = TypeVar("Function", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
SEED = click.IntRange(0, 2**63 - 1)
"""Seeds that every file and every random generator can hold."""
_NOTES = "orchestra.notes"


class Output(TypedDict):
    """The options of every command."""

    as_json: bool
    quiet: bool


def output(function: Function) -> Function:
    """`--json` and `--quiet`."""
    function = click.option(
        "--quiet", "-q", is_flag=True, help="No notes and no progress on standard error."
    )(function)
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print one JSON object, and nothing else, on standard output.",
    )(function)


def roster(function: Function) -> Function:
    """`--roster`."""
    return click.option(
        "--roster", "-r", type=PATH, required=True, help="The roster of experts (YAML)."
    )(function)


def table(function: Function) -> Function:
    """`--table`, which some pipelines need."""
    return click.option(
        "--table",
        "-t",
        type=PATH,
        callback=_table_there,
        help="The recruitment table: measured skills of the experts (JSON).",
    )(function)


def on(
    required: bool, *, words: str = "Questions: .parquet, .jsonl or .csv, or a benchmark's name."
) -> Callable[[Function], Function]:
    """`--on` and `--data`."""

    def decorate(function: Function) -> Function:
        return click.option("--on", type=PATH, required=required, help=words)(data(function))

    return decorate


def data(function: Function) -> Function:
    """`--data`."""
    return click.option(
        "--data",
        type=PATH,
        metavar="FOLDER|FILE",
        help="The files of a benchmark that is given by its name. Default: they are downloaded.",
    )(function)


def seed(function: Function) -> Function:
    """`--seed`."""
    return click.option("--seed", type=SEED, help="The seed of every random choice.")(function)


def rows(function: Function) -> Function:
    """`--rows`, `--limit` and `--seed`: the choice of questions."""
    function = seed(function)
    function = click.option(
        "--limit", type=click.IntRange(min=1), help="The most questions to take, drawn by the seed."
    )(function)
    return click.option(
        "--rows",
        type=click.Choice(["all", "profile", "rest"]),
        default="all",
        help="Questions by their column `profile`: all, those with true, or the rest.",
    )(function)


def settings(function: Function) -> Function:
    """`--set`."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="STAGE.OPTION=VALUE",
        help="Change one option of the pipeline, such as route.seats=3. May be repeated.",
    )(function)


def budget(function: Function) -> Function:
    """`--budget`."""
    return click.option(
        "--budget",
        "budget",
        multiple=True,
        callback=_with_project,
        metavar="NAME=AMOUNT",
        help="The most to spend: money (US dollars), tokens, calls or seconds. May be repeated.",
    )(function)


class Cached(TypedDict):
    """Where calls are shared with other runs."""

    cache: Path | None
    no_cache: bool


def cache(function: Function) -> Function:
    """`--cache` and `--no-cache`."""
    function = click.option(
        "--no-cache", is_flag=True, help="Make every call, whatever other runs have made."
    )(function)
    return click.option(
        "--cache",
        type=PATH,
        metavar="FILE",
        help="Make no call that is in this file, and keep new ones in it. Default: that of the "
        "project file; without one, none.",
    )(function)


def cache_of(given: Cached) -> Path | None:
    """The file that calls are shared in; None: every call is made."""
    return None if given["no_cache"] else given["cache"]


class Devices(TypedDict):
    """What engines are loaded on."""

    devices: int
    device_memory: float | None
    host_memory: float | None


def devices(function: Function) -> Function:
    """`--devices`, `--device-memory` and `--host-memory`."""
    function = click.option(
        "--host-memory",
        type=float,
        metavar="GIB",
        help="Host memory for sleeping engines. Default: no engine keeps its weights asleep.",
    )(function)
    function = click.option(
        "--device-memory",
        type=float,
        metavar="GIB",
        help="Memory of each accelerator; experts that fit stay loaded together. Default: one at "
        "a time.",
    )(function)
    return click.option(
        "--devices", type=int, default=1, show_default=True, help="The number of accelerators."
    )(function)


def machine(given: Devices) -> Machine:
    """What the options say of the machine."""
    return Machine((given["device_memory"],) * max(given["devices"], 0), given["host_memory"])


def command_line() -> str:
    """The command line of this call, for manifests."""
    given = click.get_current_context().meta.get("orchestra.arguments", ())
    return shlex.join(["orchestra", *given])


class ProjectValues(Mapping[str, Any]):
    """What the project file says, under the names of options; read when it is first needed.

    Args:
        command: which command asks: `profile` writes the table of the project by default.
    """

    def __init__(self, command: str) -> None:
        self._also = {"out": "table"} if command == "profile" else {}
        self._names = {"roster", "table", "pipeline", "budget", "cache", *self._also}
        if command == "report":  # its table is the run's own
            self._names = set()

    @cached_property
    def file(self) -> Path | None:
        """The project file; None where there is none."""
        return find_project()

    @cached_property
    def _values(self) -> Mapping[str, Any]:
        if self.file is None:
            return {}
        project = read_project(self.file)
        return {**project.values, **({"budget": project.budget} if project.budget else {})}

    def __contains__(self, name: object) -> bool:
        return name in self._names and self._also.get(str(name), name) in self._values

    def __getitem__(self, name: str) -> Any:
        return self._values[self._also.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if name in self)

    def __len__(self) -> int:
        return len(list(iter(self)))


def from_project() -> dict[str, Any]:
    """The project file and the values of this call that come from it; empty where none does."""
    context = click.get_current_context()
    values = context.default_map
    if not isinstance(values, ProjectValues):
        return {}
    used = {
        name: list(values[name]) if name == "budget" else values[name]
        for name in context.params
        if context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
    }
    used |= context.meta.get("orchestra.project", {})
    return {"file": str(values.file), "values": used} if used else {}


def project_details() -> dict[str, Any]:
    """The same as a fact for manifests."""
    found = from_project()
    return {"project": found} if found else {}


def notes() -> list[str]:
    """What was noticed about the options of this call."""
    found: list[str] = click.get_current_context().meta.get(_NOTES, [])
    return found


def _table_there(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """A project may name a table that is still to be made."""
    source = ctx.get_parameter_source(str(param.name))
    if value is None or source is not ParameterSource.DEFAULT_MAP or value.exists():
        return value
    ctx.meta.setdefault(_NOTES, []).append(
        f"the project's table {value} is not there yet: `orchestra profile` makes it"
    )
    return None


def _with_project(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """The limits given, and the project's for what they do not name."""
    values = ctx.default_map
    if not value or not isinstance(values, ProjectValues) or "budget" not in values:
        return value
    if ctx.get_parameter_source("budget") is not ParameterSource.COMMANDLINE:
        return value
    named = {each.partition("=")[0] for each in value}
    rest = tuple(each for each in values["budget"] if each.partition("=")[0] not in named)
    if rest:
        ctx.meta["orchestra.project"] = {"budget": list(rest)}
    return (*rest, *value)
