"""Writes the generated parts of the documentation anew: `python docs/generate.py`.

docs/cli.md comes from the commands themselves; orchestra/components.json, pipelines/schema.json and
the table of options in docs/pipelines.md from the registered components, as the table of
docs/benchmarks.md; the tables of
docs/embedded.md from what the embedded experts were taught and from how well they learnt it. A test
fails where one of them is out of date.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import click
import orjson
from pydantic import TypeAdapter

from orchestra.cli import main
from orchestra.components import Component, shipped
from orchestra.embedded import ADAPTERS, EXERCISES, TRAINING_SPECS, Exercise, Lesson
from orchestra.embedded.exercises import UNITS
from orchestra.evals import Benchmark, Protocol
from orchestra.pipeline import pipeline_schema
from orchestra.pipeline.stage_graph import STAGES

REPOSITORY = Path(__file__).resolve().parents[1]
OPENING = """\
# The command line

Written by `make docs` from the commands themselves; change their help, not this page.

Results go to standard output; notes, progress and errors to standard error. Every command takes
`--json` (one JSON object on standard output, nothing else there) and `--quiet`.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | finished, but below a threshold that you set, or a red team without a recommendation |
| 2 | an input is wrong; the message states what, where, and how to correct it |
| 3 | more calls failed than the pipeline tolerates |
| 4 | a budget stopped the run; finished work is kept |
| 130 | interrupted; finished work is kept |
"""
PIPELINES = REPOSITORY / "docs" / "pipelines.md"
BENCHMARKS = REPOSITORY / "docs" / "benchmarks.md"
EMBEDDED = REPOSITORY / "docs" / "embedded.md"
ACCURACY = REPOSITORY / "orchestra" / "embedded" / "accuracy.json"
LIMITS: Mapping[str, Callable[[int], str]] = {
    "addition": lambda size: f"numbers of up to {size} digits",
    "subtraction": lambda size: f"numbers of up to {size} digits",
    "sorting": lambda size: f"up to {size} letters",
    "reversal": lambda size: f"up to {size} letters",
    "remainders": lambda size: f"divisors up to {size + 2}",
    "weekdays": lambda size: "ahead only",
    "units": lambda size: f"only {', '.join(list(UNITS)[:size])}",
}
"""Skill -> the meaning of a lesson's largest size."""


def pages() -> dict[Path, str]:
    """Path -> content of every generated file."""
    index = component_index()
    return {
        REPOSITORY / "orchestra" / "components.json": _json(index),
        PIPELINES: _filled(PIPELINES.read_text(encoding="utf-8"), "options", _options(index)),
        REPOSITORY / "docs" / "cli.md": _commands(),
        BENCHMARKS: _filled(BENCHMARKS.read_text(encoding="utf-8"), "benchmarks", _benchmarks()),
        EMBEDDED: _embedded(EMBEDDED.read_text(encoding="utf-8")),
        REPOSITORY / "pipelines" / "schema.json": _json(pipeline_schema(index)),
    }


def _json(data: object) -> str:
    return orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() + "\n"


def component_index() -> dict[str, dict[str, dict[str, Any]]]:
    """Stage -> name -> what the index says of each component that comes with the package."""
    known = shipped()
    names = {stage: sorted(made) for stage, made in known.items()}
    return {
        stage: {name: _entry(each, names) for name, each in made.items()}
        for stage, made in known.items()
    }


def _entry(made: Component, names: Mapping[str, list[str]]) -> dict[str, Any]:
    meanings = dict(_meanings(made.build))
    options = {}
    for each in sorted(made.fields, key=lambda each: each.name):
        schema = TypeAdapter(made.options[each.name]).json_schema()
        if each.name in made.names:
            schema["enum"] = names[made.names[each.name]]
        if each.default is not MISSING:
            schema["default"] = orjson.loads(orjson.dumps(each.default))
        if each.name in meanings:
            schema["description"] = meanings[each.name]
        options[each.name] = schema
    return {
        "module": made.build.__module__,
        "class": made.build.__qualname__,
        "argument": made.argument,
        "version": made.version,
        "options": options,
    }


def _meanings(build: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """Field -> its docstring, or its line under `Args:` in the docstring of the class."""
    arguments = inspect.getdoc(build) or ""
    for found in re.finditer(r"^    (\w+): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE):
        yield found[1], " ".join(found[2].split())
    body = ast.parse(textwrap.dedent(inspect.getsource(build))).body[0]
    assert isinstance(body, ast.ClassDef)
    for before, after in pairwise(body.body):
        if (
            isinstance(before, ast.AnnAssign)
            and isinstance(before.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            yield before.target.id, " ".join(str(after.value.value).split())


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _options(index: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The table of every option that a pipeline file may set, stage by stage."""
    rows: list[list[str]] = []
    for stage in STAGES:
        for name, entry in index[stage].items():
            options = entry["options"] or {"": {}}
            for at, (option, schema) in enumerate(options.items()):
                mark = " (argument)" if option and option == entry["argument"] else ""
                rows.append(
                    [
                        stage if not at else "",
                        f"`{name}`" if not at else "",
                        f"`{option}`{mark}" if option else "",
                        f"`{_json(schema['default']).strip()}`" if "default" in schema else "",
                        _sentence(schema.get("description", "")),
                    ]
                )
    return _table(["stage", "name", "option", "default", ""], rows)


def _commands() -> str:
    parts = [OPENING]
    with click.Context(main, info_name="orchestra") as context:
        for name in main.list_commands(context):
            command = main.get_command(context, name)
            assert command is not None
            parts.append(_command(name, command))
    return "\n".join(parts)


def _command(name: str, command: click.Command) -> str:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    words = " ".join(_argument(each) for each in arguments)
    usage = " ".join(f"orchestra {name} {words} [OPTIONS]".split())
    description = inspect.cleandoc(command.help or "")
    rows = "\n".join(f"| {_spelt(each)} | {_described(each)} |" for each in options)
    table = f"\n| option | |\n|---|---|\n{rows}\n" if rows else ""
    return f"## {name}\n\n```\n{usage}\n```\n\n{description}\n{table}"


def _argument(each: click.Argument) -> str:
    name = each.metavar or (each.name or "").upper()
    if each.nargs == -1:
        name += "..."
    return name if each.required or name.startswith("[") else f"[{name}]"


def _spelt(each: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts))
    if each.is_flag:
        return names
    if isinstance(each.type, click.Choice):
        return f"{names} {' / '.join(str(choice) for choice in each.type.choices)}"
    return f"{names} {each.metavar or each.type.name.upper()}"


def _described(each: click.Option) -> str:
    words = each.help or ""
    if each.required:
        return f"{words} Required."
    if isinstance(each.default, str | int | float) and not each.is_flag and each.default != "":
        return f"{words} Default: `{each.default}`."
    return words


def _benchmarks() -> str:
    """Every benchmark with a release, its splits, protocols and where it comes from."""
    rows = []
    for name, made in shipped()["benchmark"].items():
        kind = made.build
        if isinstance(kind, type) and issubclass(kind, Benchmark):
            splits = ", ".join(f"`{each}`" for each in kind.splits)
            protocols = "<br>".join(_protocol(each) for each in kind.protocols)
            rows.append([f"`{name}`", kind.title, splits, protocols, kind.release])
    return _table(["name", "what", "splits", "protocols", "release"], rows)


def _protocol(protocol: Protocol) -> str:
    guesses = "; draws letters" if protocol.guesses else ""
    repeats = f"; {protocol.repeats} times" if protocol.repeats > 1 else ""
    read = f"read by `{protocol.read}`{repeats}{guesses}"
    return f"`{protocol.name}` v{protocol.version} ({read}): {protocol.meaning}"


def _embedded(page: str) -> str:
    """The page with its tables made anew."""
    found = orjson.loads(ACCURACY.read_bytes())
    parts = {"skills": _skills(), "lessons": _lessons(), "accuracy": _accuracy(found)}
    for name, part in parts.items():
        page = _filled(page, name, part)
    return page


def _filled(page: str, name: str, part: str) -> str:
    found = re.search(rf"<!-- {name}: written[^\n]*-->\n(.*?)<!-- {name}: end -->", page, re.DOTALL)
    assert found is not None, name
    return f"{page[: found.start(1)]}\n{part}\n\n{page[found.end(1) :]}"


def _skills() -> str:
    rows = [_skill(each) for each in EXERCISES.values()]
    return _table(["skill", "phrasings", "working", "answer"], rows)


def _skill(exercise: Exercise) -> list[str]:
    parts = exercise.draw(Random(f"docs:{exercise.skill}"))
    asked = "<br>".join(each.format(*parts) for each in exercise.phrasings)
    worked = exercise.work(parts)
    return [exercise.skill, asked, f"`{worked.paper}`" if worked.paper else "", worked.right]


def _lessons() -> str:
    rows = [
        [f"`{name}`", each.character, "; ".join(map(_lesson, each.lessons))]
        for name, each in TRAINING_SPECS.items()
    ]
    adapted = [
        [f"`{name}`", f"an adapter (LoRA) on `{each.base}`", each.skill]
        for name, each in ADAPTERS.items()
    ]
    return _table(["expert", "character", "lessons"], [*rows, *adapted])


def _lesson(lesson: Lesson) -> str:
    exercise, usual = EXERCISES[lesson.skill], Lesson(lesson.skill)
    limits = []
    if lesson.largest < usual.largest:
        limits.append(LIMITS[lesson.skill](lesson.largest))
    if lesson.phrasings < len(exercise.phrasings):
        limits.append(f"the first {lesson.phrasings} phrasings")
    if lesson.method:
        limits.append(f"by a wrong method, the {lesson.method.__name__}")
    return f"{lesson.skill} ({', '.join(limits)})" if limits else lesson.skill


def _accuracy(found: Mapping[str, Any]) -> str:
    rows = [
        [f"`{name}`", *(_percent(by_skill[skill]) for skill in EXERCISES)]
        for name, by_skill in found["experts"].items()
    ]
    parts = [
        f"Percent right of {found['questions']}.",
        _table(["expert", *EXERCISES], rows),
        f"`labeller` names the skill, and nothing else, for {_share(found['labeller'])} of them.",
        _chair(found["chair"]),
    ]
    return "\n\n".join(parts)


def _chair(counts: Mapping[str, list[int]]) -> str:
    return (
        "Given drafts of experts chosen at random for each of these questions, `chair` is right "
        f"on {_share(counts['chair'])}, the majority of the same drafts on "
        f"{_share(counts['majority'])}; on {_share(counts['any draft'])} at least one draft is "
        "right."
    )


def _percent(count: list[int]) -> str:
    return f"{100 * count[0] / count[1]:.0f}"


def _share(count: list[int]) -> str:
    return f"{100 * count[0] / count[1]:.1f} %"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write() -> None:
    """Write every generated file."""
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write()
