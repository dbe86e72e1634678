"""The project file `orchestra.yaml`: what stands for options that a command was not given.

It is found in the working folder or above it. A pipeline may have the same name: a file with stages
is no project file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from orchestra.config import Document, examine, read_yaml
from orchestra.errors import raise_all
from orchestra.files import is_shipped
from orchestra.pipeline.spec import BudgetShape, shipped_pipelines
from orchestra.pipeline.stage_graph import STAGES

PROJECT = "orchestra.yaml"
"""The file's name."""
CACHE = Path(".orchestra") / "cache.sqlite"
"""Where generations are shared, beside the project file, unless it says otherwise."""
_SCHEMA = 1
_Path = Annotated[str, Field(min_length=1)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    schema_: Annotated[int, Field(alias="schema", ge=1, le=_SCHEMA)]
    roster: _Path | None = None
    table: _Path | None = None
    pipeline: _Path | None = None
    budget: BudgetShape = BudgetShape()
    cache: _Path | bool = True


@dataclass(frozen=True)
class Project:
    """A checked project file."""

    path: Path
    values: Mapping[str, str]
    """`roster`, `table` and `cache` as absolute paths, `pipeline` as a path or a shipped name;
    those that the file gives. `cache` is there unless the file says `false`."""
    budget: tuple[str, ...]
    """Limits as `--budget` takes them, `money=5`."""


def find_project(folder: Path | None = None) -> Path | None:
    """The nearest project file, in a folder or above it; None where there is none.

    Args:
        folder: where to begin; by default the working folder.
    """
    start = (folder or Path.cwd()).absolute()
    for each in (start, *start.parents):
        path = each / PROJECT
        if path.is_file() and is_project(read_yaml(path)):
            return path
    return None


def is_project(document: Document) -> bool:
    """Whether a YAML file is meant as a project file: by its keys, else by its name."""
    names = document.data.keys()
    if names & {"roster", "table", "pipeline", "cache"}:
        return True
    named = document.path is not None and document.path.name == PROJECT
    return named and not names & {"experts", "defaults", "stages", "judge", *STAGES}


def read_project(path: Path) -> Project:
    """Read and check a project file; relative paths in it start from its folder.

    Raises:
        InputError: as `read_yaml`, or a key or value is wrong; every error at once.
    """
    document = read_yaml(path)
    shape, problems = examine(document, _Shape)
    raise_all(document.errors(problems))
    assert shape is not None
    folder = path.absolute().parent
    values = {
        name: _from(folder, given)
        for name in ("roster", "table", "pipeline")
        if (given := getattr(shape, name)) is not None
    }
    if shape.pipeline in shipped_pipelines():
        values["pipeline"] = str(shape.pipeline)
    if shape.cache is not False:
        values["cache"] = _from(folder, CACHE if shape.cache is True else shape.cache)
    limits: dict[str, Any] = shape.budget.model_dump(exclude_none=True)
    if "file" in limits:
        limits["file"] = _from(folder, limits["file"])
    budget = tuple(f"{name}={limit}" for name, limit in limits.items())
    return Project(path, MappingProxyType(values), budget)


def _from(folder: Path, path: str | Path) -> str:
    return str(path) if is_shipped(path) else str(folder / Path(path).expanduser())
