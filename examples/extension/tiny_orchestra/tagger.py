"""A tagger: the skill that a question needs is how long it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.components import component
from orchestra.records import Brief, Question


@component("tag", "length", argument="short")
@dataclass(frozen=True)
class Length:
    """Questions of at most `short` characters, and longer ones."""

    short: int = 40
    """Most characters of a short question."""

    @property
    def name(self) -> str:
        """With its argument: recruitment tables keep it, and `as-profiled` tags by it."""
        return f"length:{self.short}"

    async def tag(self, questions: Sequence[Question]) -> list[Brief]:
        """One skill for each question, `short` or `long`."""
        return [
            Brief(each.id, (("short" if len(each.text) <= self.short else "long", 1.0),), self.name)
            for each in questions
        ]
