"""A benchmark: sums of two numbers, made on the spot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from orchestra.components import component
from orchestra.evals import Item
from orchestra.records import Kind, Question


@component("benchmark", "sums", argument="size")
@dataclass(frozen=True)
class Sums:
    """`size` questions such as `12 + 30 = ?`."""

    size: int = 100
    """Number of questions."""
    seed: int = 0
    """Decides the numbers."""

    def load(self) -> Iterator[Item]:
        """The questions with their answers."""
        draw = Random(f"{self.seed}:sums")
        for number in range(self.size):
            first, second = draw.randrange(100), draw.randrange(100)
            question = Question(f"sums-{number}", f"{first} + {second} = ?", kind=Kind.NUMBER)
            yield Item(question, str(first + second))
