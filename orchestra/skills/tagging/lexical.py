"""Tagging by words, without a model: some thousands of questions a second.

The names, aliases and descriptions of a vocabulary are weighted terms; the terms of a question
add up to skills.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestra.errors import InputError
from orchestra.records import Brief, Question
from orchestra.skills.tagging.base import briefed, label_of
from orchestra.skills.vocabulary import Skill, Vocabulary
from orchestra.skills.words import STOP_WORDS, stem, words

Phrase = tuple[str, ...]

# The weight of a term, by its place in the vocabulary.
_NAME = 2.0
_ALIAS = 1.2
_PART = 0.5  # one word of a longer name or alias
_DESCRIPTION = 0.6
_FUNCTION = 0.5  # the factor of a phrase of stop words only

# The weight of a term, by its place in the question. Options are mostly wrong answers.
_TEXT = 1.0
_OPTION = 0.4
_CONTEXT = 0.3
_CONTEXT_CHARACTERS = 4000

_SATURATION = 1.2  # BM25's k1: the second mention of a term counts less than the first
_LENGTH = 0.15  # BM25's b: how far many terms make each term of a skill count less
_KINSHIP = 0.5  # share of a score that depends on how well the whole tree matches
_PRIOR = 5.0  # added by the question's own label to the skill that it names
_OUTSIDE = 0.3  # the factor of a score outside the tree that the label names
_FLOOR = 0.2  # skills that score less than this share of the best are dropped

_CHUNK = 1024


class LexicalTagger:
    """Finds the skills whose names, aliases and descriptions share terms with a question.

    Terms are words without plural endings, and the phrases that names and aliases are made
    of. A term weighs log(1 + (N - n + 0.5) / (n + 0.5)) for N skills of which n have it (the
    inverse document frequency of Okapi BM25) times a factor for its place; repeated terms
    saturate as in BM25. A skill gains where the other skills of its tree match as well. The
    question's own label (category, else benchmark), where the vocabulary knows it, is added
    as one more piece of evidence and damps the other trees.

    Gives at most `most` skills with weights that sum to 1, and none where nothing matches.
    Deterministic, and each question is tagged on its own.
    """

    name = "lexical"

    def __init__(self, vocabulary: Vocabulary, *, most: int = 5) -> None:
        if most < 1:
            raise InputError("`most` is at least 1")
        self._vocabulary = vocabulary
        self._most = most
        self._names = vocabulary.names
        self._index = _index(vocabulary)
        self._column = {name: at for at, name in enumerate(self._names)}
        self._root = np.array([self._column[vocabulary.root(name).name] for name in self._names])

    async def tag(self, questions: Sequence[Question]) -> list[Brief]:
        """One Brief for each question, in the same order."""
        stems = _Stems()
        briefs: list[Brief] = []
        for start in range(0, len(questions), _CHUNK):
            chunk = questions[start : start + _CHUNK]
            scores = self._related(np.stack([self._score(question, stems) for question in chunk]))
            for question, row in zip(chunk, scores, strict=True):
                self._apply_prior(question, row)
            briefs.extend(self._briefs(chunk, scores))
        return briefs

    def _score(self, question: Question, stems: _Stems) -> NDArray[np.float32]:
        """The score of each skill from the terms of one question, shape (skills,)."""
        counts: dict[int, float] = {}
        self._count(question.text, _TEXT, stems, counts)
        self._count(" | ".join(question.options), _OPTION, stems, counts)
        self._count(question.context[:_CONTEXT_CHARACTERS], _CONTEXT, stems, counts)
        tally = np.fromiter(counts.values(), dtype=np.float32, count=len(counts))
        saturated = tally * (_SATURATION + 1) / (tally + _SATURATION)
        return saturated @ self._index.weights[list(counts)]

    def _count(self, text: str, factor: float, stems: _Stems, counts: dict[int, float]) -> None:
        """Add the terms of `text`, each occurrence as `factor`, to `counts`."""
        found = [stems[word] for word in words(text)]
        found.append("")  # so that every word has a next one
        starts = self._index.starts
        for at, word in enumerate(found):
            start = starts.get(word)
            if start is None:
                continue
            alone, phrases = start
            if alone >= 0:
                counts[alone] = counts.get(alone, 0.0) + factor
            for phrase, row in phrases.get(found[at + 1], ()):
                if len(phrase) == 2 or tuple(found[at : at + len(phrase)]) == phrase:
                    counts[row] = counts.get(row, 0.0) + factor

    def _related(self, scores: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scores (questions, skills), lowered where the rest of the skill's tree does not match."""
        # In double precision: the order of a sum depends on the batch, and must not matter.
        scores = scores.astype(np.float64)
        trees = np.zeros_like(scores)
        for root in np.unique(self._root):
            inside = self._root == root
            trees[:, inside] = scores[:, inside].sum(axis=1, keepdims=True)
        share = trees / np.maximum(scores.sum(axis=1, keepdims=True), 1e-9)
        return np.asarray(scores * (1 - _KINSHIP + _KINSHIP * share), dtype=np.float32)

    def _apply_prior(self, question: Question, row: NDArray[np.float32]) -> None:
        skill = self._vocabulary.find(label_of(question))
        if skill is not None:
            at = self._column[skill.name]
            row[self._root != self._root[at]] *= _OUTSIDE
            row[at] += _PRIOR

    def _briefs(
        self, questions: Sequence[Question], scores: NDArray[np.float32]
    ) -> Iterable[Brief]:
        scores = scores.round(4)  # so that no platform's last bits decide a tie
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self._most]
        for question, row, order in zip(questions, scores, best, strict=True):
            least = max(float(row[order[0]]) * _FLOOR, 1e-9)
            pairs = [(self._names[at], float(row[at])) for at in order if row[at] >= least]
            yield briefed(question, pairs, self.name)


class _Stems(dict[str, str]):
    """Stems by word, computed once for each word of a batch."""

    def __missing__(self, word: str) -> str:
        self[word] = found = stem(word)
        return found


class _Start(NamedTuple):
    """The terms that begin with one word."""

    row: int
    """The row of the word alone; -1 if it is not a term."""
    phrases: Mapping[str, Sequence[tuple[Phrase, int]]]
    """By second word: phrases and their rows."""


@dataclass(frozen=True, slots=True)
class _Index:
    """The terms of a vocabulary."""

    starts: Mapping[str, _Start]
    """By first word."""
    weights: NDArray[np.float32]
    """The weight of a term for a skill, shape (terms, skills)."""


def _index(vocabulary: Vocabulary) -> _Index:
    bags = [_bag(skill) for skill in vocabulary]
    rows = {term: row for row, term in enumerate(sorted({term for bag in bags for term in bag}))}
    weights = np.zeros((len(rows), len(bags)), dtype=np.float32)
    usual = sum(len(bag) for bag in bags) / max(len(bags), 1)
    for column, bag in enumerate(bags):
        shrink = 1 - _LENGTH + _LENGTH * len(bag) / usual
        for term, weight in bag.items():
            weights[rows[term], column] = weight / shrink
    having = (weights > 0).sum(axis=1, keepdims=True)
    weights *= np.log1p((len(bags) - having + 0.5) / (having + 0.5)).astype(np.float32)
    return _Index(_starts(rows), weights)


def _starts(rows: Mapping[Phrase, int]) -> dict[str, _Start]:
    phrases: dict[str, dict[str, list[tuple[Phrase, int]]]] = {}
    for term, row in rows.items():
        longer = phrases.setdefault(term[0], {})
        if len(term) > 1:
            longer.setdefault(term[1], []).append((term, row))
    return {first: _Start(rows.get((first,), -1), longer) for first, longer in phrases.items()}


def _bag(skill: Skill) -> dict[Phrase, float]:
    """The terms of one skill with their weights, before rarity."""
    bag: dict[Phrase, float] = {}

    def add(term: Phrase, weight: float) -> None:
        if len(term) > 1 or (len(term[0]) > 1 and term[0] not in STOP_WORDS):
            bag[term] = max(weight, bag.get(term, 0.0))

    for name, weight in ((skill.name, _NAME), *((alias, _ALIAS) for alias in skill.aliases)):
        phrase = tuple(stem(word) for word in words(name))
        if phrase:
            add(phrase, weight * _strength(phrase))
        if len(phrase) > 1:
            for word in phrase:
                add((word,), _PART)
    for word in words(skill.description):
        add((stem(word),), _DESCRIPTION)
    return bag


def _strength(phrase: Phrase) -> float:
    """Longer phrases have more weight, phrases of stop words (`how many`) little."""
    content = sum(word not in STOP_WORDS for word in phrase) / len(phrase)
    return math.sqrt(len(phrase)) * (_FUNCTION + (1 - _FUNCTION) * content)
