"""`orchestra table`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.report import fitting, heat_map, heat_map_data, heat_map_view
from orchestra.skills import read_table


class _Given(options.Output):
    table: Path
    skill: tuple[str, ...]
    everything: bool


@click.command("table")
@click.argument("table", type=options.PATH)
@click.option(
    "--skill", multiple=True, metavar="NAME", help="Show only this skill. May be repeated."
)
@click.option(
    "--all", "everything", is_flag=True, help="Show every skill, in several blocks if necessary."
)
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Show a recruitment table: experts by skills, with intervals.

    Prints each expert's overall record with its absences, then as many skills as fit the
    screen, those with the most evidence first.
    """
    screen = Screen.of(given)
    with screen.progress("estimate skills"):
        table = read_table(given["table"])
        shown = heat_map(table, skills=given["skill"])
    whole = given["everything"] or bool(given["skill"])
    screen.show(
        {
            "table": str(given["table"]),
            "created": table.created,
            "provenance": dict(table.provenance),
            **heat_map_data(shown),
        },
        heat_map_view(
            shown if whole else fitting(shown, screen.width),
            width=screen.width,
            path=str(given["table"]),
        ),
    )
