"""Tagging by similarity: the skills whose descriptions are nearest to the question."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from orchestra.errors import InputError
from orchestra.records import Brief, Question
from orchestra.skills.embedders import Embedder, Rows
from orchestra.skills.tagging.base import briefed, plain
from orchestra.skills.vocabulary import Vocabulary


class EmbeddingTagger:
    """Gives a question the skills whose cosine with it is at least `threshold`, at most `most`.

    A skill is embedded as its name and description, a question as its text, context and
    options. Weights are the cosines as shares that sum to 1; where none reaches the threshold
    there is no skill. Cosines depend on the embedder, and so does a good threshold: 0.25 suits
    all-MiniLM-L6-v2, 0.1 the LexicalEmbedder.
    """

    def __init__(
        self,
        embedder: Embedder,
        vocabulary: Vocabulary,
        *,
        most: int = 5,
        threshold: float = 0.25,
    ) -> None:
        if most < 1 or not 0 < threshold <= 1:
            raise InputError("`most` is at least 1 and `threshold` in (0, 1]")
        self.name = f"embedding:{embedder.name}"
        self._embedder = embedder
        self._names = vocabulary.names
        self._texts = [f"{skill.name}: {skill.description}" for skill in vocabulary]
        self._most = most
        self._threshold = threshold

    async def tag(self, questions: Sequence[Question]) -> list[Brief]:
        """One Brief for each question, in the same order; embeds in a thread."""
        if not questions:
            return []
        cosines = await asyncio.to_thread(
            self._cosines, [plain(question) for question in questions]
        )
        best = np.argsort(-cosines, axis=1, kind="stable")[:, : self._most]
        return [
            briefed(question, self._near(row, order), self.name)
            for question, row, order in zip(questions, cosines, best, strict=True)
        ]

    def _cosines(self, texts: Sequence[str]) -> Rows:
        """Cosines of texts with skills, shape (texts, skills)."""
        return self._embedder.embed(texts) @ self._skills.T

    @cached_property
    def _skills(self) -> Rows:
        """The embeddings of the skills, computed at the first question."""
        return self._embedder.embed(self._texts)

    def _near(self, row: Rows, order: NDArray[np.intp]) -> list[tuple[str, float]]:
        return [(self._names[at], float(row[at])) for at in order if row[at] >= self._threshold]
