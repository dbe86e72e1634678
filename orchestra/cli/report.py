"""`orchestra report`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.errors import InputError
from orchestra.evals import checked_receipt, of_redteam, open_finished
from orchestra.report import page, redteam_page, redteam_view, summary_view
from orchestra.runs import RunView, write_whole
from orchestra.skills import RecruitmentTable, read_table


class _Given(options.Output):
    run: Path
    html: Path | None
    table: Path | None


@click.command("report")
@click.argument("run", type=options.PATH)
@click.option(
    "--html", type=options.PATH, metavar="FILE", help="Also write the report to this HTML file."
)
@click.option(
    "--table",
    "-t",
    type=options.PATH,
    help="The recruitment table to show. Default: the run's own.",
)
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Show a finished run's report, or write it as an HTML file.

    The file needs no network and no other file. It has charts, the table's heat map,
    categories, calibration, the panel and costs; for a red team its breakdown curves. The
    receipt of who was picked is made again from the run and compared.
    """
    screen = Screen.of(given)
    with screen.progress("report"), open_finished(given["run"], redteam=True) as view:
        content = view.read_report()
        attacked = of_redteam(view)
        receipt = None if attacked else checked_receipt(view, content)
        if given["html"] is not None:
            drawn = (
                redteam_page(content)
                if attacked
                else page(content, _table(view, given["table"], screen))
            )
            write_whole(given["html"], drawn.encode())
            screen.note(f"wrote {given['html']}")
    if receipt is not None:
        screen.note(f"receipt {receipt.picks} of the picks, made before any outcome, fits the run")
    screen.show(content, redteam_view(content) if attacked else summary_view(content))


def _table(view: RunView, given: Path | None, screen: Screen) -> RecruitmentTable | None:
    """The table to show: the given one, else the run's own if its file still exists."""
    source = given or view.manifest.details.get("table")
    if not isinstance(source, str | Path):
        return None
    try:
        table = read_table(source)
    except InputError as error:
        if given is not None:
            raise
        screen.note(f"the page has no heat map: {error.message}")
        return None
    known = view.manifest.details.get("experts")
    names = [name for name in known if name in table.experts] if isinstance(known, list) else []
    return table.subset(names) if names else table
