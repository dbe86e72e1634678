"""Options that several commands share, under one name and with one meaning.

Knows click only; what the values mean is checked where they are used.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)


class Output(TypedDict):
    """What every command takes."""

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
        help="Print one JSON object on standard output, and nothing else there.",
    )(function)


def roster(function: Function) -> Function:
    """`--roster`."""
    return click.option(
        "--roster", "-r", type=PATH, required=True, help="The experts: a roster file (YAML)."
    )(function)


def table(function: Function) -> Function:
    """`--table`, where a pipeline may need none."""
    return click.option(
        "--table",
        "-t",
        type=PATH,
        help="What was measured of the experts: a recruitment table (JSON).",
    )(function)


def on(
    required: bool, *, words: str = "Questions: .parquet, .jsonl or .csv."
) -> Callable[[Function], Function]:
    """`--on`."""
    return click.option("--on", type=PATH, required=required, help=words)


def rows(function: Function) -> Function:
    """`--rows`, `--limit` and `--seed`: which of the questions."""
    function = click.option("--seed", type=int, help="Decides every random choice.")(function)
    function = click.option(
        "--limit", type=int, help="Take at most this many questions, drawn by the seed."
    )(function)
    return click.option(
        "--rows",
        type=click.Choice(["all", "profile", "rest"]),
        default="all",
        help="By the column `profile`: every question, those marked, or those not marked.",
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
        help="Most that may be spent: money (US dollars), tokens, calls or seconds. May be "
        "repeated.",
    )(function)


def command_line() -> str:
    """The command as it was given, for manifests."""
    given = click.get_current_context().meta.get("orchestra.arguments", ())
    return shlex.join(["orchestra", *given])
