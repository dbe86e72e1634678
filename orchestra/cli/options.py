"""Options that several commands share, under one name and with one meaning.

The code that uses a value checks it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click

from orchestra.scheduling import Machine

Function = TypeVar("Function", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)


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
        help="The recruitment table: measured skills of the experts (JSON).",
    )(function)


def on(
    required: bool, *, words: str = "Questions: .parquet, .jsonl or .csv."
) -> Callable[[Function], Function]:
    """`--on`."""
    return click.option("--on", type=PATH, required=required, help=words)


def rows(function: Function) -> Function:
    """`--rows`, `--limit` and `--seed`: the choice of questions."""
    function = click.option("--seed", type=int, help="The seed of every random choice.")(function)
    function = click.option(
        "--limit", type=int, help="The most questions to take, drawn by the seed."
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
        metavar="NAME=AMOUNT",
        help="The most to spend: money (US dollars), tokens, calls or seconds. May be repeated.",
    )(function)


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
