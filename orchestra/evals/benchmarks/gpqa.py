"""GPQA: graduate questions of biology, physics and chemistry (Rein et al., arXiv:2311.12022).

The release is an archive with a password that its authors publish, so that no crawler reads it;
it is read in memory only. `simple` is gpqa_eval.py of openai/simple-evals; `official` is the
zero-shot prompt, the order of options and the patterns of the authors' `baselines` folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from orchestra.components import component
from orchestra.evals.benchmarks.benchmark import Benchmark, Protocol
from orchestra.evals.benchmarks.release import Hub, Release, Row, Splits
from orchestra.evals.items import Item
from orchestra.records import LETTERS, Kind, Question

_RIGHT = "Correct Answer"
_WRONG = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
_ASKED = (
    "Answer the following multiple choice question. The last line of your response should be of "
    "the following format: 'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think "
    "step by step before answering.\n\n{question}\n\nA) {A}\nB) {B}\nC) {C}\nD) {D}"
)
_CHAT = Protocol(
    "chat",
    "The words of `simple`, each question once; the last answer that is stated counts.",
    _ASKED,
)
_SIMPLE = Protocol(
    "simple",
    "simple-evals: each question four times in another order of options; the first match counts.",
    _ASKED,
    read="simple",
    repeats=4,
)
_OFFICIAL = Protocol(
    "official",
    "The authors' zero-shot prompt in one call; their chain of thought takes two calls and is "
    "not offered. Without a letter in parentheses there is no answer.",
    "What is the correct answer to this question: {question}\n\nChoices:\n(A) {A}\n(B) {B}\n"
    '(C) {C}\n(D) {D}\n\nFormat your response as follows: "The correct answer is (insert answer '
    'here)"',
    read="gpqa-official",
    sampling={"temperature": 0.0, "max_tokens": 1000},
    system="You are a very intelligent assistant, who follows instructions directly.",
)


@component("benchmark", "gpqa")
@dataclass(frozen=True)
class Gpqa(Benchmark):
    """GPQA: 198 questions in `diamond`, 448 in `main`, 546 in `extended`."""

    title: ClassVar[str] = "GPQA: graduate questions of three sciences, four options"
    splits: ClassVar[Splits] = {
        "diamond": ("gpqa_diamond",),
        "main": ("gpqa_main",),
        "extended": ("gpqa_extended",),
    }
    protocols: ClassVar[tuple[Protocol, ...]] = (_CHAT, _SIMPLE, _OFFICIAL)
    columns: ClassVar[tuple[str, ...]] = ("Question", _RIGHT, *_WRONG)
    also: ClassVar[tuple[str, ...]] = ("Record ID", "High-level domain")
    hub: ClassVar[Hub | None] = Hub("Idavidrein/gpqa", "90b8e5be2b1d3d2dbfe016cdab47981150600c4a")
    password: ClassVar[bytes] = b"deserted-untie-orchid"
    release: ClassVar[str] = (
        "`dataset.zip` of the repository idavidrein/gpqa, as it is; or the dataset "
        "Idavidrein/gpqa of the Hugging Face Hub, whose terms must be accepted there"
    )

    def item(self, row: Row, *, seed: int) -> Item:
        """The question with its right option first; protocols order the options."""
        options = tuple(row.text(name).strip() for name in (_RIGHT, *_WRONG))
        question = Question(
            row.text("Record ID", empty=True).strip(),
            row.text("Question"),
            options,
            Kind.CHOICE,
            category=row.text("High-level domain", empty=True).strip(),
        )
        return Item(question, "A")

    def ask(
        self,
        rows: Sequence[Row],
        items: Sequence[Item],
        protocol: Protocol,
        *,
        release: Release,
        seed: int,
    ) -> Iterable[Item]:
        """The items with their options in the order that the protocol gives them."""
        if protocol.name == "chat":
            return [
                _ordered(row, item, _own_order(item, seed), protocol)
                for row, item in zip(rows, items, strict=True)
            ]
        if protocol.name == "simple":
            return _repeated(rows, items, protocol)
        return _shuffled(rows, items, protocol)


def _own_order(item: Item, seed: int) -> list[int]:
    """An order that depends on the question and the seed alone."""
    return Random(f"{seed}:options:{item.question.id}").sample(range(4), 4)


def _repeated(rows: Sequence[Row], items: Sequence[Item], protocol: Protocol) -> Iterator[Item]:
    """One generator draws the orders of all rows, then of all rows again."""
    draw = Random(0)
    for number in range(1, protocol.repeats + 1):
        for row, item in zip(rows, items, strict=True):
            asked = _ordered(row, item, draw.sample(range(4), 4), protocol)
            name = item.question.id
            question = replace(asked.question, id=f"{name}#{number}")
            yield replace(asked, question=question, group=name)


def _shuffled(rows: Sequence[Row], items: Sequence[Item], protocol: Protocol) -> Iterator[Item]:
    """One generator shuffles each row's options, of which the right one comes last."""
    draw = Random(0)
    for row, item in zip(rows, items, strict=True):
        order = [1, 2, 3, 0]
        draw.shuffle(order)
        yield _ordered(row, item, order, protocol)


def _ordered(row: Row, item: Item, order: Sequence[int], protocol: Protocol) -> Item:
    """The item with its options in an order; the prompt has the texts word for word."""
    texts = [row.text((_RIGHT, *_WRONG)[at]) for at in order]
    shown = dict(zip("ABCD", texts, strict=True))
    prompt = protocol.prompt.format(question=row.text("Question"), **shown)
    options = tuple(item.question.options[at] for at in order)
    # As both scripts do: of equal options the first one is right.
    gold = LETTERS[texts.index(row.text(_RIGHT))]
    return replace(item, question=replace(item.question, options=options, prompt=prompt), gold=gold)
