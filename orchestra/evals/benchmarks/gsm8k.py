"""GSM8K: school problems in words (Cobbe et al., arXiv:2110.14168).

The format is that of `grade_school_math/data` in openai/grade-school-math: lines with `question`
and `answer`, a solution whose last line is `#### 129`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestra.components import component
from orchestra.evals.benchmarks.benchmark import Benchmark, Protocol, made_id
from orchestra.evals.benchmarks.release import Hub, Release, Row, Splits
from orchestra.evals.items import Item
from orchestra.records import Kind, Question

_GOLD = re.compile(r"####\s*(\S.*?)\s*$")
_SHOTS = 5
_CHAT = Protocol(
    "chat",
    "One message without examples; the last answer that is stated counts.",
    "{question}\n\nSolve the problem step by step. Write the result as the last line, after four "
    "hash signs: #### N, where N is the number alone.",
)
_SHOWN = Protocol(
    "shown",
    "The first five solved problems of the train split, then the question, to be continued.",
    "{examples}Question: {question}\nAnswer:",
    sampling={"temperature": 0.0, "stop": ("Question:",)},
)


@component("benchmark", "gsm8k")
@dataclass(frozen=True)
class Gsm8k(Benchmark):
    """GSM8K: 1,319 test and 7,473 train problems."""

    title: ClassVar[str] = "GSM8K: school problems in words, the answer is a number"
    splits: ClassVar[Splits] = {
        "test": ("test", "main/test-*-of-*", "test-*-of-*"),
        "train": ("train", "main/train-*-of-*", "train-*-of-*"),
    }
    protocols: ClassVar[tuple[Protocol, ...]] = (_CHAT, _SHOWN)
    columns: ClassVar[tuple[str, ...]] = ("question", "answer")
    hub: ClassVar[Hub | None] = None
    release: ClassVar[str] = (
        "the folder `grade_school_math/data` of openai/grade-school-math, or the dataset "
        "openai/gsm8k of the Hugging Face Hub"
    )

    def item(self, row: Row, *, seed: int) -> Item:
        """The number behind `####`, without separators of thousands."""
        matched = _GOLD.search(row.text("answer"))
        gold = matched[1].replace(",", "").lstrip("$") if matched else ""
        if not re.fullmatch(r"-?\d+(\.\d+)?", gold):
            hint = "a solution ends with a line such as `#### 129`"
            raise row.wrong("`answer` ends with no number behind `####`", hint=hint)
        text = row.text("question")
        return Item(Question(made_id(text), text, kind=Kind.NUMBER), gold)

    def shots(self, protocol: Protocol, release: Release) -> Sequence[Row]:
        """The first rows of the train split, where the protocol shows examples."""
        if protocol is not _SHOWN:
            return ()
        return release.rows("train", self.columns)[:_SHOTS]

    def prompt(self, item: Item, protocol: Protocol, shots: Sequence[Row]) -> str:
        """The whole prompt; a problem is no example for itself."""
        others = [row for row in shots if row.text("question") != item.question.text]
        solved = [f"Question: {r.text('question')}\nAnswer: {r.text('answer')}\n\n" for r in others]
        return protocol.prompt.format(question=item.question.text, examples="".join(solved))
