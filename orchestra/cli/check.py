"""`orchestra check`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click
from rich.console import Group

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.errors import InputError
from orchestra.evals import Checked, check_files
from orchestra.report import checked_data, checked_view, live_data, live_view
from orchestra.report.terminal.layout import heading
from orchestra.roster import Roster
from orchestra.sync import wait
from orchestra.workers.live import LiveCheck, check_live

_WRONG = 2


class _Given(options.Output):
    files: tuple[Path, ...]
    data: Path | None
    live: bool
    timeout: float


@click.command("check")
@click.argument("files", type=options.PATH, nargs=-1, required=True)
@options.data
@click.option(
    "--live",
    is_flag=True,
    help="Make one tiny call of every hosted expert of the rosters, all at the same time.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=30.0,
    show_default=True,
    help="The most seconds for a call of --live.",
)
@options.output
@click.pass_context
def command(context: click.Context, **given: Unpack[_Given]) -> None:
    """Check files of any kind and list all errors.

    Recognises rosters, pipelines, recruitment tables, items, recordings and run folders; a
    shipped pipeline or a benchmark may be given by its name. Items together with a roster
    compare prompts with context windows; a roster together with a pipeline compares the number
    of experts with the declared faults. With --live each hosted expert answers one call of at
    most 16 tokens: a wrong address, model or key is named with what to do. The exit code is 2 if
    there is an error.
    """
    screen = Screen.of(given)
    with screen.progress("check"):
        found = check_files(given["files"], data=given["data"])
    calls = _called(found, given["timeout"]) if given["live"] else []
    data = checked_data(found)
    view = checked_view(found)
    if given["live"]:
        data["live"] = live_data(calls)
        view = Group(view, heading("Live"), live_view(calls))
    screen.show(data, view)
    if any(each.errors for each in found) or any(each.outcome == "wrong" for each in calls):
        context.exit(_WRONG)


def _called(found: list[Checked], limit: float) -> list[LiveCheck]:
    """The calls of every sound roster's experts. Raises InputError where no file is a roster."""
    # A project file names its roster.
    paths = [
        each.path if each.kind == "roster" else str(each.facts["roster"])
        for each in found
        if not each.errors and (each.kind == "roster" or "roster" in each.facts)
    ]
    if not paths and not any(each.errors for each in found):
        raise InputError("`--live` calls the experts of a roster, and no file is one")
    sound = [Roster.load(path) for path in dict.fromkeys(paths)]
    return wait(check_live([expert for roster in sound for expert in roster], limit=limit))
