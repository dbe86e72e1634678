"""The recruitment table: what each expert was seen to do on labelled questions.

Holds the evidence (which question, which skills, right or wrong or absent, and
which answers agreed) and what follows from it; never the gold answers. Knows
nothing of how answers were made, and does not read or write files (`table_file`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np

from orchestra.errors import InputError
from orchestra.records import Absence, Brief, Mark, Outcome
from orchestra.skills.estimation import Beliefs, Floats, hierarchical, overall

_UNASKED = (Absence.FAILED, Absence.NOT_RECORDED)
"""Absences that say nothing of the expert: the call never gave a text."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts for one expert on one skill (or overall)."""

    correct: int
    seen: int
    """Questions the expert gave a text for: correct, wrong, or without a readable answer."""
    absent: int
    """Of those seen, the ones without a readable answer (empty, refused, truncated, unparsed)."""

    @property
    def answered(self) -> int:
        """Seen and readable."""
        return self.seen - self.absent

    @property
    def score(self) -> int:
        """The paper's profile: +1 for each right answer, -1 for each other (METHODS 1.2)."""
        return 2 * self.correct - self.seen


@dataclass(frozen=True)
class RecruitmentTable:
    """Evidence and beliefs about every expert and skill.

    Args:
        briefs: one Brief for each profiled question.
        marks: expert -> one Mark for each brief, in the same order; None where never asked.
        parents: skill -> the skill it backs off to; skills without one back off to the whole.
        provenance: readable facts: roster and items digests, tagger, seed, versions, counts.
        created: when, ISO 8601 UTC.
    """

    briefs: tuple[Brief, ...]
    marks: Mapping[str, tuple[Mark | None, ...]]
    parents: Mapping[str, str]
    provenance: Mapping[str, str]
    created: str = ""

    @classmethod
    def build(
        cls,
        briefs: Sequence[Brief],
        marks: Iterable[Mark],
        *,
        experts: Sequence[str],
        parents: Mapping[str, str] = MappingProxyType({}),
        provenance: Mapping[str, str] = MappingProxyType({}),
        created: str = "",
    ) -> RecruitmentTable:
        """A table from marks in any order. Raises InputError if nothing was profiled."""
        if not briefs or not experts:
            raise InputError("a recruitment table needs at least one expert and one question")
        place = {brief.question_id: i for i, brief in enumerate(briefs)}
        rows: dict[str, list[Mark | None]] = {name: [None] * len(briefs) for name in experts}
        for mark in marks:
            rows[mark.who][place[mark.question_id]] = mark
        frozen = {name: tuple(row) for name, row in rows.items()}
        return cls(tuple(briefs), frozen, dict(parents), dict(provenance), created)

    # What there is

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the profiled experts, in the order of the roster."""
        return tuple(self.marks)

    @cached_property
    def skills(self) -> tuple[str, ...]:
        """Names of the skills with evidence, ancestors included, sorted."""
        return tuple(sorted({name for lineage in self._lineages for name in lineage}))

    @cached_property
    def _lineages(self) -> tuple[frozenset[str], ...]:
        """For each brief, its skills and all that they back off to."""
        return tuple(
            frozenset(up for skill, _ in brief.skills for up in (skill, *self.ancestors(skill)))
            for brief in self.briefs
        )

    def ancestors(self, skill: str) -> tuple[str, ...]:
        """What `skill` backs off to, nearest first."""
        chain: list[str] = []
        while (up := self.parents.get(skill)) is not None and up not in chain:
            chain.append(up)
            skill = up
        return tuple(chain)

    # Counts, as arrays of shape (experts, questions) and (experts, skills)

    @cached_property
    def outcomes(self) -> np.ndarray:
        """int8, shape (experts, questions): 1 right, 0 wrong, -1 no readable answer, -2 unasked."""
        code = {Outcome.CORRECT: 1, Outcome.WRONG: 0, Outcome.ABSENT: -1}

        def of(mark: Mark | None) -> int:
            if mark is None or mark.absence in _UNASKED:
                return -2
            return code[mark.outcome]

        return np.array([[of(mark) for mark in row] for row in self.marks.values()], dtype=np.int8)

    @cached_property
    def _membership(self) -> Floats:
        """Shape (questions, skills): 1 where a question needs the skill."""
        column = {name: i for i, name in enumerate(self.skills)}
        member = np.zeros((len(self.briefs), len(self.skills)))
        for row, lineage in enumerate(self._lineages):
            for name in lineage:
                member[row, column[name]] = 1.0
        return member

    def _counts(self, codes: tuple[int, ...]) -> Floats:
        return np.asarray(np.isin(self.outcomes, codes).astype(np.float64) @ self._membership)

    def tally(self, expert: str, skill: str | None = None) -> Tally:
        """Counts of one expert on one skill; on everything where `skill` is None."""
        row = self.outcomes[self._row(expert)]
        if skill is not None:
            if skill not in self._column:
                return Tally(0, 0, 0)
            row = row[self._membership[:, self._column[skill]] > 0]
        return Tally(int((row == 1).sum()), int((row > -2).sum()), int((row == -1).sum()))

    def absences(self, expert: str) -> dict[str, int]:
        """How many answers are missing, by reason; failures included."""
        counts: dict[str, int] = {}
        for mark in self.marks[expert]:
            if mark is not None and mark.absence is not None:
                counts[mark.absence.value] = counts.get(mark.absence.value, 0) + 1
        return dict(sorted(counts.items()))

    # Beliefs

    @cached_property
    def global_beliefs(self) -> Beliefs:
        """About the share right of all questions seen, shape (experts, 1)."""
        return self._overall((1, 0, -1))

    @cached_property
    def global_accuracy(self) -> Beliefs:
        """About the share right of the answers given, shape (experts, 1)."""
        return self._overall((1, 0))

    @cached_property
    def beliefs(self) -> Beliefs:
        """About the share right of the questions seen, shape (experts, skills)."""
        return self._by_skill((1, 0, -1), self.global_beliefs)

    @cached_property
    def accuracy(self) -> Beliefs:
        """About the share right of the answers given, shape (experts, skills)."""
        return self._by_skill((1, 0), self.global_accuracy)

    def _overall(self, seen: tuple[int, ...]) -> Beliefs:
        correct = (self.outcomes == 1).sum(axis=1).astype(np.float64)
        return overall(correct, np.isin(self.outcomes, seen).sum(axis=1).astype(np.float64))

    def _by_skill(self, seen: tuple[int, ...], top: Beliefs) -> Beliefs:
        correct, total = self._counts((1,)), self._counts(seen)
        shape = correct.shape
        above = np.repeat(top.mean, shape[1], axis=1)
        alpha, beta = np.zeros(shape), np.zeros(shape)
        for columns in self._levels:
            beliefs = hierarchical(correct[:, columns], total[:, columns], above[:, columns])
            alpha[:, columns], beta[:, columns] = beliefs.alpha, beliefs.beta
            mean = alpha / np.maximum(alpha + beta, 1e-12)
            for name, column in self._column.items():
                up = self._column.get(self.parents.get(name, ""))
                if up in columns:
                    above[:, column] = mean[:, up]
        return Beliefs(alpha, beta)

    @cached_property
    def _levels(self) -> tuple[list[int], ...]:
        """Columns by their number of ancestors with evidence, roots first."""
        depth = [sum(up in self._column for up in self.ancestors(name)) for name in self.skills]
        return tuple([i for i, d in enumerate(depth) if d == level] for level in sorted(set(depth)))

    @cached_property
    def _column(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.skills)}

    def columns(self, brief: Brief) -> tuple[list[int], Floats]:
        """The columns of a brief's skills that have evidence, and their weights (sum 1).

        A skill without evidence backs off to its nearest ancestor that has some; no column at
        all means that only the global beliefs apply.
        """
        weights: dict[int, float] = {}
        for skill, weight in brief.skills:
            known = next((s for s in (skill, *self.ancestors(skill)) if s in self._column), None)
            if known is not None:
                weights[self._column[known]] = weights.get(self._column[known], 0.0) + weight
        total = sum(weights.values())
        return list(weights), np.array([w / total for w in weights.values()])

    # Change

    def subset(self, experts: Sequence[str]) -> RecruitmentTable:
        """The same evidence for some of the experts, in the order given."""
        return replace(self, marks={name: self.marks[name] for name in experts})

    def questions(self, keep: Sequence[int]) -> RecruitmentTable:
        """The same experts on some of the questions, by position."""
        briefs = tuple(self.briefs[i] for i in keep)
        marks = {name: tuple(row[i] for i in keep) for name, row in self.marks.items()}
        return replace(self, briefs=briefs, marks=marks)

    def merge(self, other: RecruitmentTable) -> RecruitmentTable:
        """Both tables' evidence. Questions in both must carry the same skills.

        An expert in both keeps this table's mark where both have one.

        Raises:
            InputError: a question is tagged differently, or the taggers differ.
        """
        mine = {brief.question_id: brief for brief in self.briefs}
        if self.provenance.get("tagger") != other.provenance.get("tagger"):
            raise InputError(
                f"tables were tagged by `{self.provenance.get('tagger')}` and "
                f"`{other.provenance.get('tagger')}`",
                hint="profile again with one `--tagger` for both",
            )
        for brief in other.briefs:
            same = mine.setdefault(brief.question_id, brief)
            if same.skills != brief.skills:
                raise InputError(f"question {brief.question_id!r} has other skills in each table")
        briefs = tuple(mine.values())
        marks = {
            name: tuple(
                self._mark(name, brief.question_id) or other._mark(name, brief.question_id)
                for brief in briefs
            )
            for name in dict.fromkeys((*self.experts, *other.experts))
        }
        parents = {**other.parents, **self.parents}
        provenance = {**other.provenance, **self.provenance, "merged": "yes"}
        return RecruitmentTable(
            briefs, marks, parents, provenance, max(self.created, other.created)
        )

    def _mark(self, expert: str, question_id: str) -> Mark | None:
        row = self.marks.get(expert)
        place = self._places.get(question_id)
        return None if row is None or place is None else row[place]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {brief.question_id: i for i, brief in enumerate(self.briefs)}

    def _row(self, expert: str) -> int:
        return self.experts.index(expert)
