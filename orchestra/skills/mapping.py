"""From the skills that a tagger names to the skills that a table has evidence for.

Uses the profiled names, the vocabulary's tree and the similarity of an embedder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from orchestra.errors import InputError
from orchestra.records import Brief
from orchestra.skills.embedders import Embedder, Rows
from orchestra.skills.vocabulary import Vocabulary, fold

Weighted = tuple[str, float]


@dataclass(frozen=True, slots=True)
class Place:
    """The profiled skill that replaces one skill."""

    skill: str | None
    """The profiled skill; None if none is similar enough."""
    step: Literal["same", "vocabulary", "similar", "none"]
    """Which step decided; `none`: no step found a profiled skill."""
    cosine: float | None = None
    """Similarity with the nearest profiled skill; None if it was not measured."""


class SkillMapper:
    """Replaces the skills of Briefs by profiled ones.

    In this order: a skill that is profiled stays itself; else its other names in the
    vocabulary, its parent and its root are tried, nearest first; else the profiled skill of
    the highest cosine is taken if that is at least `threshold`; else the skill is dropped,
    and a Brief without skills is left to the experts' global record. `vocabulary=None` and
    `embedder=None` leave their step out, `threshold=None` takes any nearest skill.

    With `merge`, skills that meet in one profiled skill become one whose weight is their sum;
    without, they stay apart and count twice. `vocabulary=None, threshold=None, merge=False` is
    the mapping of Skill-MoE's released code (`find_similar_keywords`).

    A Brief's distance becomes 1 - the highest cosine of its skills, where a skill that is
    profiled itself counts as 1; None where no skill needed an embedding.

    Pure and deterministic; the profiled skills are embedded once, when first needed.
    """

    def __init__(
        self,
        profiled: Sequence[str],
        vocabulary: Vocabulary | None = None,
        *,
        embedder: Embedder | None = None,
        threshold: float | None = 0.5,
        merge: bool = True,
    ) -> None:
        if threshold is not None and not -1 <= threshold <= 1:
            raise InputError(f"`threshold` is a cosine, within [-1, 1], or none: {threshold!r}")
        self._profiled = tuple(dict.fromkeys(profiled))
        # Where two profiled names differ in case or hyphens only, the first stands for both.
        self._folded = {fold(name): name for name in reversed(self._profiled)}
        self._vocabulary = vocabulary
        self._embedder = embedder
        self._threshold = threshold
        self._merge = merge

    def map(self, briefs: Sequence[Brief]) -> list[Brief]:
        """The same Briefs with profiled skills only, heaviest first, and with distances."""
        places = self.places(skill for brief in briefs for skill, _ in brief.skills)
        return [self._mapped(brief, places) for brief in briefs]

    def places(self, skills: Iterable[str]) -> dict[str, Place]:
        """The replacement of each of `skills`, with the step that decided."""
        found = {skill: self._known(skill) for skill in dict.fromkeys(skills)}
        strange = [skill for skill, place in found.items() if place is None]
        nearest = dict(zip(strange, self._nearest(strange), strict=True))
        return {skill: place or nearest[skill] for skill, place in found.items()}

    def _known(self, skill: str) -> Place | None:
        """The replacement of a skill without an embedding; None if it needs one."""
        if skill in self._indexed:
            return Place(skill, "same")
        same = self._folded.get(fold(skill))
        if same is not None:
            return Place(same, "same")
        for name in self._other_names(skill):
            if fold(name) in self._folded:
                return Place(self._folded[fold(name)], "vocabulary")
        return None

    def _other_names(self, skill: str) -> Iterator[str]:
        """The vocabulary's names of a skill, then those of its ancestors, up to the root."""
        entry = self._vocabulary.find(skill) if self._vocabulary else None
        if entry is None or self._vocabulary is None:
            return
        for above in (entry, *self._vocabulary.ancestors(entry.name)):
            yield above.name
            yield from above.aliases
            if above.category is not None:
                yield above.category

    def _nearest(self, strange: Sequence[str]) -> list[Place]:
        """The replacements of skills by similarity, in one embedding of all of them."""
        if not strange or self._embedder is None or not self._profiled:
            return [Place(None, "none") for _ in strange]
        cosines = self._embedder.embed(strange) @ self._rows.T
        best = cosines.argmax(axis=1)
        return [
            self._judged(int(at), float(row[at])) for at, row in zip(best, cosines, strict=True)
        ]

    def _judged(self, at: int, cosine: float) -> Place:
        if self._threshold is not None and cosine < self._threshold:
            return Place(None, "none", cosine)
        return Place(self._profiled[at], "similar", cosine)

    @cached_property
    def _indexed(self) -> frozenset[str]:
        return frozenset(self._profiled)

    @cached_property
    def _rows(self) -> Rows:
        assert self._embedder is not None
        return self._embedder.embed(self._profiled)

    def _mapped(self, brief: Brief, places: Mapping[str, Place]) -> Brief:
        pairs = [
            (place.skill, weight)
            for skill, weight in brief.skills
            if (place := places[skill]).skill is not None
        ]
        kept = _merged(pairs) if self._merge else pairs
        kept = sorted(kept, key=lambda pair: -pair[1])
        distance = _distance([places[skill] for skill, _ in brief.skills])
        return replace(brief, skills=tuple(kept), distance=distance)


def _merged(pairs: Iterable[Weighted]) -> list[Weighted]:
    """One pair for each skill, with the sum of its weights."""
    sums: dict[str, float] = {}
    for skill, weight in pairs:
        sums[skill] = sums.get(skill, 0.0) + weight
    return list(sums.items())


def _distance(places: Sequence[Place]) -> float | None:
    """1 - the highest cosine, in [0, 2]; None if none was measured."""
    if all(place.cosine is None for place in places):
        return None
    same = any(place.step == "same" for place in places)
    best = max(place.cosine for place in places if place.cosine is not None)
    # Rounding leaves cosines a hair beyond 1.
    return 0.0 if same else min(max(1.0 - best, 0.0), 2.0)
