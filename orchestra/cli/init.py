"""`orchestra init`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack
from urllib.parse import urlsplit

import click
from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.cli import options
from orchestra.cli.models import listed
from orchestra.cli.output import Screen
from orchestra.errors import InputError, raise_all
from orchestra.report import served_data
from orchestra.report.terminal.layout import Line, heading
from orchestra.roster import (
    Expert,
    Roster,
    Served,
    ServedModel,
    Unlisted,
    experts_of,
    local_servers,
    yaml_text,
)
from orchestra.runs import write_whole

ROSTER, PROJECT, TABLE = "roster.yaml", "orchestra.yaml", "table.json"
_MANY = 20
"""From so many experts on, a note says that each of them is asked every question of a profile."""
_NAME = 32
"""The most columns of the list that names are padded to."""
_USUAL_TOKENS = 4096
"""The tokens that an expert may write where the roster does not say."""


class _Given(options.Output):
    servers: tuple[str, ...]
    key_env: tuple[str, ...]
    out: Path
    force: bool


@dataclass(frozen=True)
class _Found:
    """One server with the experts that are made of its models."""

    server: Served
    key_env: str
    experts: tuple[Expert, ...]

    @property
    def left_out(self) -> tuple[ServedModel, ...]:
        return tuple(model for model in self.server.models if model.other_use)


@click.command("init")
@click.option(
    "--from",
    "servers",
    multiple=True,
    metavar="URL",
    help="The root of a server's API. May be repeated. Default: the servers that listen on "
    "well-known ports of this machine.",
)
@click.option(
    "--key-env",
    multiple=True,
    metavar="NAME",
    help="The environment variable with the key of the --from in the same place; `-` for none.",
)
@click.option(
    "--out",
    "-o",
    type=options.PATH,
    default=Path(),
    help="The folder for both files. Default: this one.",
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Write a roster and a project file from servers that are found or named.

    Writes roster.yaml, with an expert for each model that answers questions, and orchestra.yaml,
    which names roster, table and pipeline for all other commands. Keys are never written, only
    the names of the variables that hold them.
    """
    screen = Screen.of(given)
    folder = given["out"]
    there = [str(folder / name) for name in (ROSTER, PROJECT) if (folder / name).exists()]
    if there and not given["force"]:
        raise InputError(f"already there: {', '.join(there)}", hint="`--force` replaces them")
    silent: list[Unlisted] = []
    found = _named(given, screen, silent) if given["servers"] else _nearby(screen)
    experts = [expert for each in found for expert in each.experts]
    if not experts:
        raise InputError(
            "none of the models answers questions",
            hint=", ".join(f"{model.id} {model.other_use}" for model in found[0].left_out[:8]),
        )
    Roster(experts)
    _write(folder, ROSTER, _roster(found))
    _write(folder, PROJECT, _project())
    if len(experts) >= _MANY:
        screen.note(
            f"{len(experts)} experts: a profile asks each of them every question, so delete from "
            f"{folder / ROSTER} those that you do not want"
        )
    data = {
        "roster": str(folder / ROSTER),
        "project": str(folder / PROJECT),
        "experts": [expert.name for expert in experts],
        "left_out": {m.id: m.other_use for each in found for m in each.left_out},
        "servers": [served_data(each.server) for each in found],
        "silent": [
            {"base_url": each.place, "why": _why(each), "hint": each.hint} for each in silent
        ],
        "next": _next(folder),
    }
    screen.show(data, _view(data, found))


def _named(given: _Given, screen: Screen, silent: list[Unlisted]) -> list[_Found]:
    """The servers of `--from` that list models; `silent` receives why others do not.

    Raises every error at once where a value is wrong, and where no server lists models.
    """
    names = given["key_env"] or ("-",) * len(given["servers"])
    if len(names) != len(given["servers"]):
        raise InputError(
            f"{len(names)} `--key-env` for {len(given['servers'])} `--from`",
            hint="give one for each `--from`, in the same order, and `-` for a server without key",
        )
    found: list[_Found] = []
    errors: list[InputError] = []
    for url, name in zip(given["servers"], names, strict=True):
        key_env = "" if name == "-" else name
        try:
            server = listed(url, key_env or None)
        except Unlisted as error:
            if _silence(error) not in map(_silence, silent):
                silent.append(error)
            continue
        except InputError as error:
            errors.append(error)
            continue
        if server.note:
            screen.note(server.note)
        if server.base_url not in [each.server.base_url for each in found]:
            found.append(_experts(server, key_env, found))
    raise_all(errors if found else [*errors, *silent])
    return found


def _why(error: Unlisted) -> str:
    """What is wrong with a server, without its address."""
    return error.message.removeprefix(f"{error.place}: ")


def _silence(error: Unlisted) -> tuple[str, str]:
    """What two paths of one dead server have in common."""
    return urlsplit(error.place).netloc, _why(error)


def _nearby(screen: Screen) -> list[_Found]:
    """The servers of this machine. Raises InputError where there are none."""
    found: list[_Found] = []
    silent = []
    for each in local_servers():
        if isinstance(each, InputError):
            silent.append(each.message)
        else:
            screen.note(f"found {each.base_url}")
            found.append(_experts(each, "", found))
    for words in silent:
        screen.note(words)
    if not found:
        raise InputError(
            "no server was found on the well-known ports of this machine",
            hint="start one, or name it: `orchestra init --from http://host:port/v1`",
        )
    return found


def _experts(server: Served, key_env: str, before: Sequence[_Found]) -> _Found:
    taken = [expert.name for each in before for expert in each.experts]
    return _Found(server, key_env, tuple(experts_of(server, api_key_env=key_env, taken=taken)))


def _roster(found: Sequence[_Found]) -> str:
    """The text of the roster: experts by server, and what was left out as comments."""
    parts = [
        "# Experts of `orchestra init`. Add to each what you know: `price: {input: 0.2, output: "
        "0.6}`\n# (US dollars for a million tokens), `limits`, `sampling`, `family`.\nschema: 1\n"
        "experts:\n"
    ]
    for each in found:
        parts.append(f"  # {each.server.base_url}\n")
        sizes = {model.id: model.context for model in each.server.models}
        for expert in each.experts:
            row = yaml_text(_row(expert, sizes[expert.model]))
            first, *rest = row.splitlines()
            parts.append("".join([f"  - {first}\n", *(f"    {line}\n" for line in rest)]))
        for model in each.left_out:
            # `repr`, since a name may hold a line break, which would end the comment
            parts.append(f"  # left out: {model.id!r} {model.other_use}\n")
    return "".join(parts)


def _row(expert: Expert, context: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": expert.name, "model": expert.model}
    row["base_url"] = expert.base_url
    if expert.api_key_env:
        row["api_key_env"] = expert.api_key_env
    if expert.family:
        row["family"] = expert.family
    if context is not None and context < 2 * _USUAL_TOKENS:
        row["sampling"] = {"max_tokens": max(context // 2, 1)}
    return row


def _project() -> str:
    return (
        "# What commands take where an option is not given. `budget: {money: 5.00}` limits runs.\n"
        f"schema: 1\nroster: {ROSTER}\ntable: {TABLE}\npipeline: orchestra\n"
    )


def _write(folder: Path, name: str, text: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror or error}", place=str(folder)) from error
    write_whole(folder / name, text.encode())


def _next(folder: Path) -> list[str]:
    """The next commands, as typed from here."""
    here = folder.resolve() == Path().resolve()
    enter = [] if here else [f"cd {folder}"]
    return [
        *enter,
        f"orchestra check {ROSTER} --live",
        'orchestra ask "..." --pipeline majority',
        f"orchestra profile --on YOUR_QUESTIONS --out {TABLE}",
        'orchestra ask "..."',
    ]


def _view(data: dict[str, Any], found: Sequence[_Found]) -> RenderableType:
    lines: list[RenderableType] = [
        Line(f"wrote {data['roster']} and {data['project']}", "bold"),
        Text(""),
    ]
    width = max((len(expert.name) for each in found for expert in each.experts), default=0)
    for each in found:
        for expert in each.experts:
            name = f"{expert.name:<{min(width, _NAME)}}"
            lines.append(Line(Text.assemble((name, "bold"), f"  {expert.base_url}")))
        for model in each.left_out:
            lines.append(Line(f"left out: {model.id} {model.other_use}", "yellow"))
    for dead in data["silent"]:
        lines.append(Line(f"left out: {dead['base_url']}: {dead['why']}", "yellow"))
        lines += [Line(f"hint: {dead['hint']}", "dim", label="  ")] if dead["hint"] else []
    after = [Line(words, label="  ") for words in data["next"]]
    return Group(*lines, heading("Next"), *after)
