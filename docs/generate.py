"""Writes the generated parts of the documentation anew: `python docs/generate.py`.

docs/cli.md comes from the commands themselves and pipelines/schema.json from the models that
check pipelines; a test fails where either is out of date.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import click
import orjson

from orchestra.cli import main
from orchestra.pipeline import pipeline_schema

REPOSITORY = Path(__file__).resolve().parents[1]
OPENING = """\
# The command line

Written by `make docs` from the commands themselves; change their help, not this page.

Results go to standard output; notes, progress and errors to standard error. Every command takes
`--json` (one JSON object on standard output, nothing else there) and `--quiet`.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | finished, but a threshold that you set was missed |
| 2 | something you gave is wrong; the message says what, where and what to do |
| 3 | a model or provider failed more often than the pipeline tolerates |
| 4 | a budget stopped the run; finished work is kept |
| 130 | interrupted; finished work is kept |
"""


def pages() -> dict[Path, str]:
    """Path -> content of every generated file."""
    schema = orjson.dumps(pipeline_schema(), option=orjson.OPT_INDENT_2).decode() + "\n"
    return {
        REPOSITORY / "docs" / "cli.md": _commands(),
        REPOSITORY / "pipelines" / "schema.json": schema,
    }


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
    told = inspect.cleandoc(command.help or "")
    rows = "\n".join(f"| {_spelt(each)} | {_told(each)} |" for each in options)
    table = f"\n| option | |\n|---|---|\n{rows}\n" if rows else ""
    return f"## {name}\n\n```\n{usage}\n```\n\n{told}\n{table}"


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


def _told(each: click.Option) -> str:
    told = each.help or ""
    if each.required:
        return f"{told} Required."
    if isinstance(each.default, str | int | float) and not each.is_flag and each.default != "":
        return f"{told} Default: `{each.default}`."
    return told


def write() -> None:
    """Write every generated file."""
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write()
