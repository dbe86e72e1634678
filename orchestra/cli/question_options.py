"""The options of `route` and `ask`: one question for one pipeline.

Where the table's skills are categories and the question has none, it is tagged by its words,
and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.errors import InputError, unknown
from orchestra.evals import Dataset, Item, asked_question, load_dataset, protocol_of, take
from orchestra.pipeline import Pipeline
from orchestra.records import LETTERS, Kind


class Chosen(TypedDict):
    """The options that choose questions."""

    on: Path
    data: Path | None
    rows: str
    limit: int | None


def chosen(given: Chosen, screen: Screen, *, seed: int) -> Dataset:
    """The items that `--on`, `--data`, `--rows`, `--limit` and `--seed` ask for.

    Raises:
        InputError: the file has errors, or no question is left.
    """
    path = given["on"]
    items = load_dataset(path, data=given["data"], seed=seed)
    for line in items.reading.lines:
        screen.note(f"{path}: {line}")
    marked = sum(bool(item.profile) for item in items)
    rows = given["rows"]
    if rows == "all" and 0 < marked < len(items):
        screen.note(
            f"{marked} of {len(items)} questions are marked for profiling: "
            "`--rows profile` takes only those, `--rows rest` the others"
        )
    if rows != "all":
        items = items.some(item for item in items if bool(item.profile) is (rows == "profile"))
    if not items:
        raise InputError(f"no question is left by `--rows {rows}`", place=str(path))
    return take(items, given["limit"], seed=seed)


def reading(on: Path) -> tuple[str, ...]:
    """The setting that reads answers by the protocol of the benchmark that `--on` names, if any.

    Settings that the user gives come after it, and win.
    """
    protocol = protocol_of(str(on))
    return () if protocol is None else (f"generate.read={protocol.read}",)


def typed(
    text: str, *, options: Sequence[str] = (), kind: str | None = None, category: str = ""
) -> Item:
    """A question from the command line, without gold answer; InputError if it is invalid."""
    if not text.strip():
        raise InputError("there is no question", hint='`"the question"`, or `--id QID --on ITEMS`')
    if len(options) > len(LETTERS):
        raise InputError(f"{len(options)} options; {len(LETTERS)} letters are all there are")
    row = {"question": text, "options": list(options), "kind": kind, "category": category}
    return Item(asked_question({name: value for name, value in row.items() if value}), None)


def tagged_by(pipeline: Pipeline) -> str:
    """The kind of tagger that the pipeline will use."""
    if pipeline.spec.tag.kind != "as-profiled":
        return pipeline.spec.tag.kind
    named = "" if pipeline.table is None else pipeline.table.provenance.get("tagger", "")
    return (named or "category").partition(":")[0]


Function = TypeVar("Function", bound=Callable[..., Any])


class Asked(options.Output):
    """The options of route and ask."""

    text: str
    pipeline: str
    roster: Path
    table: Path | None
    question_id: str | None
    on: Path | None
    data: Path | None
    option: tuple[str, ...]
    kind: str | None
    category: str
    settings: tuple[str, ...]
    seed: int | None


def arguments(function: Function) -> Function:
    """Add the options that choose question and pipeline."""
    for decorate in reversed(
        [
            click.argument("text", metavar='["QUESTION"]', default=""),
            click.option(
                "--pipeline",
                "-p",
                default="orchestra",
                help="A pipeline file, or the name of a shipped one.",
            ),
            options.roster,
            options.table,
            click.option(
                "--id", "question_id", metavar="QID", help="The id of a question of --on."
            ),
            options.on(False, words="The questions of --id: .parquet, .jsonl or .csv."),
            click.option(
                "--option", multiple=True, help="An option of the question. May be repeated."
            ),
            click.option(
                "--kind",
                type=click.Choice([kind.value for kind in Kind]),
                help="The form of the answer.",
            ),
            click.option("--category", default="", help="The question's category, if any."),
            options.settings,
            options.seed,
            options.output,
        ]
    ):
        function = decorate(function)
    return function


def question(given: Asked) -> Item:
    """The question of the options. Raises InputError if they name none, or two."""
    if given["question_id"] is None:
        if given["on"] is not None:
            raise InputError("`--on` needs `--id QID`, the question's id")
        return typed(
            given["text"],
            options=given["option"],
            kind=given["kind"],
            category=given["category"],
        )
    if given["on"] is None:
        raise InputError("`--id` needs `--on ITEMS`, the file of the question")
    if given["text"] or given["option"] or given["kind"] or given["category"]:
        raise InputError("`--id` names a whole question: leave the question's own options out")
    return picked(given, given["question_id"])


def picked(given: Asked, question_id: str) -> Item:
    """The item of `--on` with this id. Raises InputError where there is none."""
    path = given["on"]
    items = load_dataset(path, data=given["data"], seed=given["seed"] or 0)
    by_id = {item.question.id: item for item in items}
    if question_id not in by_id:
        raise unknown("question", question_id, by_id, place=str(path))
    return by_id[question_id]


def pipeline(given: Asked, item: Item, screen: Screen) -> Pipeline:
    """The pipeline of the options, with a tagger that can tag this question."""
    loaded = _load(given)
    if tagged_by(loaded) != "category":
        return loaded
    label = item.question.category or item.question.benchmark
    if label:
        if loaded.table is not None and label not in loaded.table.skills:
            raise unknown("category", label, loaded.table.skills, place=str(given["table"]))
        return loaded
    if loaded.table is None or item.question.kind.value in loaded.table.skills:
        return loaded
    screen.note(
        "the table's skills are categories and the question names none, so it is tagged by its "
        "words; `--category NAME` sets it"
    )
    return _load(given, "tag=lexical")


def _load(given: Asked, *more: str) -> Pipeline:
    return Pipeline.load(
        given["pipeline"],
        roster=given["roster"],
        table=given["table"],
        seed=given["seed"],
        overrides=(*(reading(given["on"]) if given["on"] else ()), *given["settings"], *more),
    )
