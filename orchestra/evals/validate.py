"""What kind of file each of several is, whether it is sound, and whether they fit together.

Knows the doors of every kind of file and asks them; has no rules of its own but the
token budget. Changes nothing, runs nothing.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from orchestra.components import installed, origin
from orchestra.config import read_yaml
from orchestra.errors import InputError, InputErrors, MissingExtra, MissingKey, unknown
from orchestra.evals.benchmarks.benchmark import is_benchmark
from orchestra.evals.datasets import load_dataset
from orchestra.evals.files import SUFFIXES as DATA_SUFFIXES
from orchestra.evals.files import suffix_of
from orchestra.evals.items import Dataset, Item, letter_histogram, lopsided
from orchestra.evals.names import asks
from orchestra.files import SHIPPED_FILES, check_regular, is_shipped, located
from orchestra.pipeline import (
    PipelineSpec,
    WorkerPool,
    is_project,
    load_spec,
    read_project,
    shipped_pipelines,
    weak_panel,
)
from orchestra.pipeline.stage_graph import STAGES, draw, stage_graph
from orchestra.roster import Roster, risks
from orchestra.runs import RowKind, RunFolder
from orchestra.runs.foreign import loads
from orchestra.skills import agreement, read_table
from orchestra.workers import Recordings
from orchestra.workers.pool import kind_of

_CHARACTERS_PER_TOKEN = 4
_KEY = re.compile(rb'"([^"\\\\]{1,80})"\s*:')
_SUFFIXES = (".yaml", ".yml", *DATA_SUFFIXES)
_RECORDED = (".parquet", ".jsonl")
_OF_TABLES = {"schema", "skills", "experts", "provenance"}
_HEAD = 1 << 20
_BLANK = b"\xef\xbb\xbf \t\r\n"
_STAGES = {*STAGES, "stages", "judge", "budget"}


@dataclass(frozen=True)
class Checked:
    """One file, seen through."""

    path: str
    kind: str
    """`roster`, `pipeline`, `project`, `table`, `items`, `recordings`, `run` or `unknown`."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What it holds, where it is sound: counts and names, plain data."""
    warnings: tuple[str, ...] = ()
    """What is allowed and looks wrong."""
    errors: tuple[InputError, ...] = ()
    """Everything that is wrong."""


def check_files(paths: Iterable[Path | str], *, data: Path | None = None) -> list[Checked]:
    """Look through every file; no error keeps the others from being looked at.

    Args:
        paths: the files, and names of benchmarks.
        data: the files of the benchmarks that are named.
    """
    found = [_check(each, data) for path in paths for each in _files_of(path)]
    exams = [each.items for each in found if each.items]
    rosters = [each.roster for each in found if each.roster]
    return [_together(each, exams, rosters) for each in found]


@dataclass(frozen=True)
class _Seen:
    checked: Checked
    roster: Roster | None = None
    items: tuple[Item, ...] = ()
    spec: PipelineSpec | None = None


def _files_of(path: Path | str) -> list[Path | str]:
    """The files of `shipped:NAME`, or the path itself."""
    try:
        return [located(path, name) for name in SHIPPED_FILES] if is_shipped(path) else [path]
    except InputError:  # no such data ship: said where the path is checked
        return [path]


def _check(given: Path | str, data: Path | None) -> _Seen:
    path, kind = Path(given), "unknown"
    try:
        path = located(given, "roster.yaml")
        if is_benchmark(str(given)):
            kind = "items"
            items = load_dataset(str(given), data=data)
            return _Seen(described(path, items), items=items)
        kind = _kind(path)
        return _OPEN[kind](path)
    except InputErrors as several:
        return _Seen(Checked(str(path), kind, errors=several.errors))
    except InputError as error:
        return _Seen(Checked(str(path), kind, errors=(error,)))


def _kind(path: Path) -> str:
    """What a file is meant to be, by its suffix and its first names. Raises InputError."""
    if not path.is_file() and str(path) in shipped_pipelines():
        return "pipeline"
    if path.is_dir():
        return "run"
    check_regular(path)
    suffix = suffix_of(path)
    if suffix in (".yaml", ".yml"):
        return _kind_of_yaml(path)
    if suffix not in _SUFFIXES:
        raise unknown("file type", path.suffix, _SUFFIXES, place=str(path))
    names = _columns(path, suffix)
    if suffix == ".json" and names & _OF_TABLES:
        return "table"
    replies = {"output", "model"} & names
    recorded = len(replies) == 2 or (replies and not asks(names))
    return "recordings" if recorded and path.suffix.lower() in _RECORDED else "items"


def _kind_of_yaml(path: Path) -> str:
    document = read_yaml(path)
    names = set(document.data)
    if names & {"experts", "defaults"}:
        return "roster"
    if is_project(document):
        return "project"
    if names & _STAGES:
        return "pipeline"
    raise InputError(
        "neither a roster (it has no `experts`) nor a pipeline (it has no stage)", place=str(path)
    )


def _columns(path: Path, suffix: str) -> set[str]:
    """The names in a data file; empty where it cannot be read, which its own door will say."""
    zipped = path.name.casefold().endswith(".gz")
    try:
        if suffix == ".parquet":
            return set(pq.read_schema(path).names)
        with gzip.open(path) if zipped else path.open("rb") as file:
            head = file.read(_HEAD)
            if suffix == ".json" and not head.lstrip(_BLANK).startswith(b"["):
                data = loads(head + file.read())
                return set(data) if isinstance(data, dict) else set()
    except (OSError, EOFError, ValueError, zlib.error, pa.ArrowException):
        return set()
    # The keys on the first lines, whatever else is wrong with them.
    lines = [line for line in head.split(b"\n") if line.strip()][:20]
    keys = _KEY.findall(b"\n".join(lines)) if suffix in (".jsonl", ".ndjson") else []
    return {key.decode("utf-8", "replace") for key in keys}


# One reader for each kind.


def _roster(path: Path) -> _Seen:
    roster = Roster.load(path)
    facts = {
        "experts": len(roster),
        "families": len(roster.families),
        "workers": dict(sorted(Counter(expert.worker for expert in roster).items())),
        "digest": roster.digest,
    }
    origins = {name: origin("worker", name) for name in sorted({e.worker for e in roster})}
    facts |= _others(origins)
    found: tuple[InputError, ...] = ()
    try:
        kinds = [(expert, kind_of(expert)) for expert in roster]
        WorkerPool().check(
            [expert for expert, kind in kinds if kind.available and not kind.synthetic]
        )
    except InputErrors as several:
        found = several.errors
    except InputError as error:
        found = (error,)
    # A roster may be checked on another machine than the one that runs it.
    absent = [each for each in found if isinstance(each, MissingExtra | MissingKey)]
    later = [each.name for each in roster if not kind_of(each).available]
    warnings = [f"this release cannot call: {', '.join(later)}"] if later else []
    warnings += [f"{each.message} ({each.hint})" for each in absent]
    warnings += [risk for expert in roster for risk in risks(expert)]
    errors = tuple(each for each in found if each not in absent)
    return _Seen(Checked(str(path), "roster", facts, tuple(warnings), errors), roster=roster)


def _others(origins: Mapping[str, str]) -> dict[str, object]:
    """The components that do not ship, with the distribution that each comes from."""
    others = {name: source for name, source in origins.items() if source != "orchestra"}
    return {"components of others": others} if others else {}


def _pipeline(path: Path) -> _Seen:
    spec = load_spec(path)
    facts = {
        "name": spec.name,
        "stages": draw(stage_graph(spec.stages)),
        "tag": spec.tag.kind,
        "route": spec.route.name,
        "calls": spec.generate.calls,
        "read": spec.generate.read,
        "vote": spec.vote.name,
        **({} if spec.synthesise.kind == "none" else {"synthesise": spec.synthesise.defence}),
        "digest": spec.digest,
    }
    facts |= _others({each.name: each.origin for each in spec.stages})
    unusable = [each for each in installed() if each.problem]
    warnings = tuple(
        f"`{each.stage}.{each.name}` of `{each.distribution}` cannot be used: {each.problem}"
        for each in unusable
    )
    return _Seen(Checked(str(path), "pipeline", facts, warnings), spec=spec)


def _project(path: Path) -> _Seen:
    """The file, and whether what it names is there; each of them is checked under its own name."""
    project = read_project(path)
    errors, warnings = [], []
    for name, value in project.values.items():
        if name == "cache" or value in shipped_pipelines() or Path(value).is_file():
            continue
        if name == "table":
            warnings.append(f"the table {value} is not there yet: `orchestra profile` makes it")
        else:
            errors.append(InputError(f"`{name}`: there is no file {value}", place=str(path)))
    facts = {**project.values, **({"budget": list(project.budget)} if project.budget else {})}
    return _Seen(Checked(str(path), "project", facts, tuple(warnings), tuple(errors)))


def _table(path: Path) -> _Seen:
    table = read_table(path)
    facts = {
        "experts": len(table.experts),
        "questions": len(table.briefs),
        "skills": len(table.skills),
        "tagger": table.provenance.get("tagger", ""),
        "effective_panel": round(agreement(table).effective_size, 2),
        "created": table.created,
    }
    return _Seen(Checked(str(path), "table", facts))


def described(path: Path | str, items: Dataset) -> Checked:
    """Items that were read: how, how many of which kind, and what looks wrong with them."""
    letters = letter_histogram(items)
    profiled = sum(bool(item.profile) for item in items)
    facts: dict[str, object] = {
        "questions": len(items),
        "labelled": sum(item.gold is not None for item in items),
        "profile": profiled,
        "kinds": dict(sorted(Counter(item.question.kind.value for item in items).items())),
        "categories": dict(sorted(Counter(i.question.category or "none" for i in items).items())),
        "letters": dict(letters),
    }
    if items.reading.taken:
        facts["read as"] = dict(items.reading.taken)
    if items.reading.unused:
        facts["not used"] = list(items.reading.unused)
    uneven = lopsided(items)
    warnings = (*items.reading.notes, *((uneven,) if uneven else ()))
    return Checked(str(path), "items", facts, warnings)


def _items(path: Path) -> _Seen:
    items = load_dataset(path)
    return _Seen(described(path, items), items=items)


def _recordings(path: Path) -> _Seen:
    recordings = Recordings.open(path)
    samples = {name: len(recordings.samples(name)) for name in recordings.models}
    facts = {
        "rows": len(recordings),
        "models": list(recordings.models),
        "sampled": {name: number for name, number in samples.items() if number > 1},
    }
    return _Seen(Checked(str(path), "recordings", facts))


def _run(path: Path) -> _Seen:
    with RunFolder.inspect(path) as view:
        facts = {
            "command": view.manifest.command,
            "status": view.manifest.status.value,
            "rows": {kind.value: view.ledger.count(kind) for kind in RowKind},
        }
    return _Seen(Checked(str(path), "run", facts))


_OPEN: Mapping[str, Callable[[Path], _Seen]] = {
    "roster": _roster,
    "pipeline": _pipeline,
    "project": _project,
    "table": _table,
    "items": _items,
    "recordings": _recordings,
    "run": _run,
}


# What no single door can see.


def _together(seen: _Seen, exams: Sequence[tuple[Item, ...]], rosters: Sequence[Roster]) -> Checked:
    """One file's check, with what the others say of it."""
    if seen.roster is not None:
        return _with_budget(seen, exams)
    if seen.spec is None:
        return seen.checked
    # The smallest of the rosters at hand, or as many experts as may be wanted.
    recruits = min((len(roster.recruits) for roster in rosters), default=None)
    weak = weak_panel(seen.spec, recruits)
    return replace(seen.checked, warnings=(*seen.checked.warnings, *([weak] if weak else [])))


def _with_budget(seen: _Seen, exams: Sequence[tuple[Item, ...]]) -> Checked:
    """The roster's check with what its context windows have room for."""
    assert seen.roster is not None
    errors, warnings = list(seen.checked.errors), list(seen.checked.warnings)
    questions = [item.question for items in exams for item in items]
    for expert in seen.roster:
        window = expert.engine.get("max_model_len")
        if not isinstance(window, int):
            continue
        place = f"{seen.checked.path} (expert `{expert.name}`)"
        most = expert.sampling.max_tokens
        longest = max(
            (sum(len(m.content) for m in expert.messages(each)) for each in questions), default=0
        )
        prompt = -(-longest // _CHARACTERS_PER_TOKEN)
        if most >= window:
            says = f"`max_tokens` {most} leaves no room for a prompt in `max_model_len` {window}"
            errors.append(InputError(says, place=place, hint="lower one or raise the other"))
        elif prompt + most > window:
            warnings.append(
                f"expert `{expert.name}`: the longest prompt (about {prompt} tokens) and "
                f"`max_tokens` {most} pass `max_model_len` {window}"
            )
    return replace(seen.checked, warnings=tuple(warnings), errors=tuple(errors))
