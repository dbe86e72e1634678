"""ARC: school examinations in science (Clark et al., arXiv:1803.05457).

The format is that of the release (lines with `question.stem`, `question.choices`, `answerKey`) and
of its copies (`question`, `choices` with `text` and `label`). Labels are letters or numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from orchestra.components import component
from orchestra.evals.benchmarks.benchmark import CHOICES, Benchmark, Protocol, asked_choice
from orchestra.evals.benchmarks.release import Hub, Row, Splits
from orchestra.evals.items import Item
from orchestra.records import LETTERS, Kind, Question


@component("benchmark", "arc")
@dataclass(frozen=True)
class Arc(Benchmark):
    """ARC: 1,172 questions in `challenge`, 2,376 in `easy`, both the test splits."""

    title: ClassVar[str] = "ARC: school examinations in science, mostly four options"
    splits: ClassVar[Splits] = {
        f"{part}{suffix}": (
            f"ARC-{part.title()}/ARC-{part.title()}-{split.title()}",
            f"ARC-{part.title()}-{split.title()}",
            f"ARC-{part.title()}/{split}-*-of-*",
        )
        for part in ("challenge", "easy")
        for split, suffix in (("test", ""), ("train", "-train"), ("validation", "-validation"))
    } | {
        f"{part}-dev": (f"ARC-{part.title()}/ARC-{part.title()}-Dev", f"ARC-{part.title()}-Dev")
        for part in ("challenge", "easy")
    }
    protocols: ClassVar[tuple[Protocol, ...]] = CHOICES
    columns: ClassVar[tuple[str, ...]] = ("id", "question", "answerKey")
    also: ClassVar[tuple[str, ...]] = ("choices",)
    hub: ClassVar[Hub | None] = None
    release: ClassVar[str] = (
        "`ARC-V1-Feb2018-2` of the Allen Institute for AI, or the dataset allenai/ai2_arc of the "
        "Hugging Face Hub"
    )

    def item(self, row: Row, *, seed: int) -> Item:
        """The question; its options under letters in their order, whatever their labels."""
        nested = isinstance(row.cells.get("question"), Mapping)
        inner: Mapping[str, Any] = row.mapping("question") if nested else row.cells
        stem = str(inner["stem"]) if nested and inner.get("stem") else ""
        labels, texts = _options(row, inner.get("choices"))
        key = row.text("answerKey").strip()
        if labels.count(key) != 1:
            raise row.wrong(f"`answerKey` is none of {', '.join(labels)}: {key!r}")
        question = Question(row.text("id"), stem or row.text("question"), tuple(texts), Kind.CHOICE)
        return Item(question, LETTERS[labels.index(key)])

    def prompt(self, item: Item, protocol: Protocol, shots: Sequence[Row]) -> str:
        """The whole prompt."""
        return asked_choice(protocol, item.question)


def _options(row: Row, given: object) -> tuple[list[str], list[str]]:
    """Labels and texts: a list of mappings, or a mapping of lists, which may be spelt as text."""
    if isinstance(given, str):
        given = row.mapping("choices")
    if isinstance(given, Mapping):
        labels, texts = given.get("label"), given.get("text")
    elif isinstance(given, list) and all(isinstance(each, Mapping) for each in given):
        labels, texts = [[each.get(n) for each in given] for n in ("label", "text")]
    else:
        labels = texts = None
    if not (isinstance(labels, list) and isinstance(texts, list) and len(labels) == len(texts) > 1):
        raise row.wrong("`choices` must have a `label` and a `text` for each option")
    if not all(isinstance(each, str) and each for each in texts):
        raise row.wrong("an option has no text")
    return [str(each).strip() for each in labels], texts
