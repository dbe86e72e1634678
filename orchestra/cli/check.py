"""`orchestra check`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.evals import check_files
from orchestra.report import checked_data, checked_view

_WRONG = 2


class _Given(options.Output):
    files: tuple[Path, ...]


@click.command("check")
@click.argument("files", type=options.PATH, nargs=-1, required=True)
@options.output
@click.pass_context
def command(context: click.Context, **given: Unpack[_Given]) -> None:
    """Check files of any kind, every error at once.

    Tells rosters, pipelines, recruitment tables, items, recordings and run folders apart
    by themselves; a shipped pipeline may go by its name. With items beside a roster, prompts are
    held against context windows; with a roster beside a pipeline, its experts against the
    declared faults.
    Leaves with exit code 2 if anything is wrong.
    """
    screen = Screen.of(given)
    found = check_files(given["files"])
    screen.show(checked_data(found), checked_view(found))
    if any(each.errors for each in found):
        context.exit(_WRONG)
