"""One question for one pipeline: what route and ask have in common.

Knows their options; the pipeline does the rest. A question without a category is tagged
by its words where the table's skills are categories, and the user is told.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from orchestra.cli import options
from orchestra.cli.questions import picked, tagged_by, typed
from orchestra.cli.screen import Screen
from orchestra.errors import InputError, unknown
from orchestra.evals import Item
from orchestra.pipeline import Pipeline
from orchestra.records import Kind

Function = TypeVar("Function", bound=Callable[..., Any])


class Asked(options.Output):
    """What route and ask take."""

    text: str
    pipeline: str
    roster: Path
    table: Path | None
    question_id: str | None
    on: Path | None
    option: tuple[str, ...]
    kind: str | None
    category: str
    settings: tuple[str, ...]
    seed: int | None


def arguments(function: Function) -> Function:
    """Everything that says which question goes to which pipeline."""
    for decorate in reversed(
        [
            click.argument("text", metavar='["QUESTION"]', default=""),
            click.option(
                "--pipeline", "-p", default="orchestra", help="A file or the name of a shipped one."
            ),
            options.roster,
            options.table,
            click.option("--id", "question_id", metavar="QID", help="A question of --on, by id."),
            options.on(False, words="Questions to find --id in: .parquet, .jsonl or .csv."),
            click.option(
                "--option", multiple=True, help="One option of the question. May be repeated."
            ),
            click.option(
                "--kind", type=click.Choice([kind.value for kind in Kind]), help="Form of answer."
            ),
            click.option("--category", default="", help="The question's category, if it has one."),
            options.settings,
            click.option("--seed", type=int, help="Decides every random choice."),
            options.output,
        ]
    ):
        function = decorate(function)
    return function


def question(given: Asked) -> Item:
    """The question that the options mean. Raises InputError where they mean none, or two."""
    if given["question_id"] is None:
        if given["on"] is not None:
            raise InputError("`--on` needs `--id QID` to say which question")
        return typed(
            given["text"],
            options=given["option"],
            kind=given["kind"],
            category=given["category"],
        )
    if given["on"] is None:
        raise InputError("`--id` needs `--on ITEMS` to find the question in")
    if given["text"] or given["option"] or given["kind"] or given["category"]:
        raise InputError("`--id` names a whole question: leave the question's own options out")
    return picked(given["on"], given["question_id"])


def pipeline(given: Asked, item: Item, screen: Screen) -> Pipeline:
    """The pipeline that the options mean, with a tagger that can read this question."""
    loaded = _load(given)
    if tagged_by(loaded) != "category":
        return loaded
    label = item.question.category or item.question.benchmark
    if label:
        if loaded.table is not None and label not in loaded.table.skills:
            raise unknown("category", label, loaded.table.skills, place=str(given["table"]))
        return loaded
    if loaded.table is None:
        return loaded
    screen.note(
        "the table's skills are categories and the question names none, so it is tagged by its "
        "words; `--category NAME` says it"
    )
    return _load(given, "tag=lexical")


def _load(given: Asked, *more: str) -> Pipeline:
    return Pipeline.load(
        given["pipeline"],
        roster=given["roster"],
        table=given["table"],
        seed=given["seed"],
        overrides=(*given["settings"], *more),
    )
