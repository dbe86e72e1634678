"""`orchestra show`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.errors import InputError
from orchestra.evals import Item, items_of, of_redteam, open_finished
from orchestra.report import question_data, question_trace, question_view, run_data, run_view
from orchestra.runs import RunFolder, RunView


class _Given(options.Output):
    run: Path
    question_id: str | None
    on: Path | None
    data: Path | None
    full: bool


@click.command("show")
@click.argument("run", type=options.PATH)
@click.argument("question_id", required=False)
@options.on(False, words="The run's questions, if the file has moved.")
@click.option("--full", is_flag=True, help="Print whole drafts, not only their ends.")
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Show a run, or every step of one question in it.

    With QUESTION_ID: the question, its skills, the recruited experts with reasons, each
    draft with the rule that read it, the votes with their weights, and the decision.
    """
    screen = Screen.of(given)
    if given["question_id"] is None:
        with RunFolder.inspect(given["run"]) as view:
            decided = view.finished and not of_redteam(view)
            data = run_data(view, view.read_report() if decided else None)
        screen.show(data, run_view(data))
        return
    with screen.progress("load questions"), open_finished(given["run"]) as view:
        item = _item(view, given["question_id"], (given["on"], given["data"]), screen)
        trace = question_trace(view, given["question_id"], item=item)
    screen.show(question_data(trace), question_view(trace, full=given["full"]))


def _item(
    view: RunView, question_id: str, where: tuple[Path | None, Path | None], screen: Screen
) -> Item | None:
    """The question itself, or None; InputError only if `--on` or `--data` was given."""
    try:
        items = items_of(view, where[0], data=where[1])
    except InputError as error:
        if any(where):
            raise
        screen.note(error.message)
        return None
    return next((item for item in items if item.question.id == question_id), None)
