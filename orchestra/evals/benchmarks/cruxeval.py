"""CRUXEval: what a short Python function returns (Gu et al., arXiv:2401.03065).

The format is that of `data/cruxeval.jsonl` in facebookresearch/cruxeval: lines with `code`,
`input`, `output` and `id`. Only the task of predicting outputs is here.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestra.components import component
from orchestra.evals.benchmarks.benchmark import Benchmark, Protocol
from orchestra.evals.benchmarks.release import Hub, Row, Splits
from orchestra.evals.items import Item
from orchestra.records import Kind, Question

_ASKED = "{question}\n\n"
_CHAT = Protocol(
    "chat",
    "One message; the model reasons, and the last value that is stated counts.",
    _ASKED + "Execute the call step by step. End with the line: The answer is V, where V is the "
    "returned value as a Python literal.",
)
_DIRECT = Protocol(
    "direct",
    "One message; the model gives the value at once.",
    _ASKED + "Reply with one line and nothing else: The answer is V, where V is the returned value "
    "as a Python literal.",
)


@component("benchmark", "cruxeval")
@dataclass(frozen=True)
class CruxEval(Benchmark):
    """CRUXEval, 800 functions with an input and its output."""

    title: ClassVar[str] = "CRUXEval: what a Python function returns (output prediction)"
    splits: ClassVar[Splits] = {"test": ("cruxeval", "test", "test-*-of-*")}
    protocols: ClassVar[tuple[Protocol, ...]] = (_CHAT, _DIRECT)
    columns: ClassVar[tuple[str, ...]] = ("code", "input", "output", "id")
    hub: ClassVar[Hub | None] = None
    release: ClassVar[str] = "`data/cruxeval.jsonl` of facebookresearch/cruxeval"

    def item(self, row: Row, *, seed: int) -> Item:
        """The function and its call; the output is a Python literal."""
        gold = row.text("output")
        try:
            ast.literal_eval(gold)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise row.wrong(f"`output` is no Python literal: {gold[:60]!r}") from None
        code, given = row.text("code"), row.text("input", empty=True)
        text = f"What does this call return?\n\n```python\n{code}\n\nf({given})\n```"
        return Item(Question(row.text("id"), text, kind=Kind.LITERAL), gold)

    def prompt(self, item: Item, protocol: Protocol, shots: Sequence[Row]) -> str:
        """The whole prompt."""
        return protocol.prompt.format(question=item.question.text)
