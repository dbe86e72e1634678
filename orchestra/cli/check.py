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
    """Check files of any kind and list all errors.

    Recognises rosters, pipelines, recruitment tables, items, recordings and run folders; a
    shipped pipeline may be given by its name. Items together with a roster compare prompts
    with context windows; a roster together with a pipeline compares the number of experts
    with the declared faults. The exit code is 2 if there is an error.
    """
    screen = Screen.of(given)
    found = check_files(given["files"])
    screen.show(checked_data(found), checked_view(found))
    if any(each.errors for each in found):
        context.exit(_WRONG)
