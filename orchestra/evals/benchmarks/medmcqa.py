"""MedMCQA: entrance examinations in medicine (Pal et al., arXiv:2203.14371).

The format is that of medmcqa/medmcqa: `opa` to `opd`, and `cop`, the right option. Copies count it
from 0 or from 1; what a file does is told by the values in it. The test split has no answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from orchestra.components import component
from orchestra.errors import InputError
from orchestra.evals.benchmarks.benchmark import CHOICES, Benchmark, Protocol, asked_choice
from orchestra.evals.benchmarks.release import Hub, Release, Row, Splits
from orchestra.evals.items import Item
from orchestra.records import LETTERS, Kind, Question

_OPTIONS = ("opa", "opb", "opc", "opd")


@component("benchmark", "medmcqa")
@dataclass(frozen=True)
class MedMcqa(Benchmark):
    """MedMCQA: 4,183 questions in `validation`, 182,822 in `train`."""

    title: ClassVar[str] = "MedMCQA: entrance examinations in medicine, four options"
    splits: ClassVar[Splits] = {
        "validation": ("dev", "validation", "validation-*-of-*"),
        "train": ("train", "train-*-of-*"),
    }
    protocols: ClassVar[tuple[Protocol, ...]] = CHOICES
    columns: ClassVar[tuple[str, ...]] = ("id", "question", *_OPTIONS, "cop")
    also: ClassVar[tuple[str, ...]] = ("subject_name",)
    hub: ClassVar[Hub | None] = None
    release: ClassVar[str] = (
        "the files of medmcqa/medmcqa, or the dataset openlifescienceai/medmcqa of the Hugging "
        "Face Hub"
    )

    def item(self, row: Row, *, seed: int) -> Item:
        """The question with the letter that `cop` means where it counts from 0."""
        number = row.text("cop").strip()
        if number not in ("0", "1", "2", "3", "4"):
            raise row.wrong(f"`cop` is none of 0 to 4: {number!r}")
        question = Question(
            row.text("id"),
            row.text("question"),
            tuple(row.text(name) for name in _OPTIONS),
            Kind.CHOICE,
            category=row.text("subject_name", empty=True),
        )
        return Item(question, "ABCDE"[int(number)])

    def ask(
        self,
        rows: Sequence[Row],
        items: Sequence[Item],
        protocol: Protocol,
        *,
        release: Release,
        seed: int,
    ) -> Iterable[Item]:
        """The items, once it is known from where `cop` counts."""
        numbers = {row.text("cop").strip() for row in rows}
        if {"0", "4"} <= numbers or not {"0", "4"} & numbers:
            says = "`cop` counts from 0 and from 1" if "0" in numbers else "from where `cop` counts"
            hint = "give the whole split: a 0 or a 4 among its `cop` tells from where they count"
            raise InputError(f"{says} cannot be told" if "0" not in numbers else says, hint=hint)
        back = 0 if "0" in numbers else 1
        for item in items:
            gold = LETTERS[LETTERS.index(item.gold or "A") - back]
            prompt = asked_choice(protocol, item.question)
            yield replace(item, gold=gold, question=replace(item.question, prompt=prompt))
