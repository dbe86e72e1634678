"""Which questions a command is about: a part of a file, or one that was typed.

Knows the shared options; the items' own door checks the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestra.cli.screen import Screen
from orchestra.errors import InputError, unknown
from orchestra.evals import Item, read_items, take
from orchestra.pipeline import Pipeline
from orchestra.records import LETTERS, Kind, Question


def chosen(
    path: Path, screen: Screen, *, rows: str, limit: int | None, seed: int
) -> tuple[Item, ...]:
    """The items that `--on`, `--rows`, `--limit` and `--seed` ask for.

    Raises:
        InputError: the file is unsound, or nothing is left.
    """
    items = read_items(path)
    marked = sum(bool(item.profile) for item in items)
    if rows == "all" and 0 < marked < len(items):
        screen.note(
            f"{marked} of {len(items)} questions are marked for profiling: "
            "`--rows profile` takes only those, `--rows rest` the others"
        )
    if rows != "all":
        items = tuple(item for item in items if bool(item.profile) is (rows == "profile"))
    if not items:
        raise InputError(f"no question is left by `--rows {rows}`", place=str(path))
    return take(items, limit, seed=seed)


def typed(
    text: str, *, options: Sequence[str] = (), kind: str | None = None, category: str = ""
) -> Item:
    """A question that was typed, with no known answer. Raises InputError if it makes no sense."""
    if not text.strip():
        raise InputError("there is no question", hint='`"the question"`, or `--id QID --on ITEMS`')
    if len(options) > len(LETTERS):
        raise InputError(f"{len(options)} options; {len(LETTERS)} letters are all there are")
    meant = Kind(kind) if kind else Kind.CHOICE if options else Kind.TEXT
    if (meant is Kind.CHOICE) is not bool(options):
        raise InputError(
            "kind `choice` and options go together", hint="give each as `--option TEXT`"
        )
    return Item(Question("question", text, tuple(options), kind=meant, category=category), None)


def picked(path: Path, question_id: str) -> Item:
    """The item with this id. Raises InputError where there is none."""
    by_id = {item.question.id: item for item in read_items(path)}
    if question_id not in by_id:
        raise unknown("question", question_id, by_id, place=str(path))
    return by_id[question_id]


def tagged_by(pipeline: Pipeline) -> str:
    """The kind of tagger that the pipeline will use."""
    if pipeline.spec.tag.kind != "as-profiled":
        return pipeline.spec.tag.kind
    named = "" if pipeline.table is None else pipeline.table.provenance.get("tagger", "")
    return (named or "category").partition(":")[0]
