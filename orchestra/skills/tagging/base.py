"""The protocol of taggers, and the tagger by category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orchestra.records import LETTERS, Brief, Question


class Tagger(Protocol):
    """Names the skills of questions."""

    @property
    def name(self) -> str:
        """A short name, stored in every Brief and in a table's provenance."""
        ...

    async def tag(self, questions: Sequence[Question]) -> list[Brief]:
        """One Brief for each question, in the same order."""
        ...


class CategoryTagger:
    """Uses the source's own label as the only skill.

    The label is the question's category; without one its benchmark; without one the form of
    its answer. Its weight is 1.
    """

    name = "category"

    async def tag(self, questions: Sequence[Question]) -> list[Brief]:
        """One Brief with one skill for each question, in the same order."""
        return [
            Brief(question.id, ((label_of(question) or question.kind.value, 1.0),), self.name)
            for question in questions
        ]


def label_of(question: Question) -> str:
    """The question's category, else its benchmark, else nothing."""
    return question.category or question.benchmark


def plain(question: Question) -> str:
    """The question as text: its context, itself, and its options with their letters."""
    options = [
        f"{letter}) {option}" for letter, option in zip(LETTERS, question.options, strict=False)
    ]
    return "\n".join(part for part in (question.context, question.text, *options) if part)


def briefed(question: Question, scores: Sequence[tuple[str, float]], tagger: str) -> Brief:
    """A Brief of (skill, positive score) pairs, heaviest first, as shares that sum to 1."""
    total = sum(score for _, score in scores)
    return Brief(question.id, tuple((skill, score / total) for skill, score in scores), tagger)
