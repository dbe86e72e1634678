"""The recruitment table: the record of each expert on labelled questions.

Has the evidence (question, skills, right or wrong or absent, and which answers agreed) and the
estimates from it; no gold answers. `table_file` reads and writes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from types import MappingProxyType

import numpy as np

from orchestra.errors import InputError, raise_all, unknown
from orchestra.records import Absence, Brief, Mark, Outcome
from orchestra.runs import digest
from orchestra.skills.estimation import Beliefs, Floats, hierarchical, overall
from orchestra.skills.lengths import Lengths, joined
from orchestra.skills.uncertainty import Uncertainty

_UNASKED = (Absence.FAILED, Absence.NOT_RECORDED)
"""Absences that are no evidence about the expert: the call gave no text."""
_LONGEST = 40
"""Characters up to which an answer is stored unchanged. Only the equality of answers is used,
and answers to open questions may be pages long."""
_SHOWN = 20
"""Most errors in one message."""


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
        marks: expert -> one Mark for each brief, in the same order; None: not asked.
        parents: skill -> the skill it backs off to; skills without one back off to the whole.
        provenance: readable facts: roster and items digests, tagger, seed, versions, counts.
        created: when, ISO 8601 UTC.
        lengths: expert -> lengths of its texts, if they were counted. No evidence of quality: no
            identity depends on it.
    """

    briefs: tuple[Brief, ...]
    marks: Mapping[str, tuple[Mark | None, ...]]
    parents: Mapping[str, str]
    provenance: Mapping[str, str]
    created: str = ""
    lengths: Mapping[str, Lengths] = field(default_factory=dict)

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
        lengths: Mapping[str, Lengths] = MappingProxyType({}),
    ) -> RecruitmentTable:
        """A table from marks in any order; answers past 40 characters become digests.

        Raises:
            InputError: nothing was profiled, a question appears twice, or a mark is of an unknown
                question or expert.
        """
        if not briefs or not experts:
            raise InputError("a recruitment table needs at least one expert and one question")
        raise_all(twice([brief.question_id for brief in briefs]))
        place = {brief.question_id: i for i, brief in enumerate(briefs)}
        rows: dict[str, list[Mark | None]] = {name: [None] * len(briefs) for name in experts}
        for mark in marks:
            if mark.who not in rows:
                raise unknown("expert", mark.who, rows)
            if mark.question_id not in place:
                raise unknown("question", mark.question_id, place)
            rows[mark.who][place[mark.question_id]] = abridged(mark)
        frozen = {name: tuple(row) for name, row in rows.items()}
        told = {name: lengths[name] for name in rows if name in lengths}
        return cls(tuple(briefs), frozen, dict(parents), dict(provenance), created, told)

    def __repr__(self) -> str:
        skills, questions = len(self.skills), len(self.briefs)
        return (
            f"RecruitmentTable({len(self.marks)} experts, {skills} skills, {questions:,} questions)"
        )

    def _repr_html_(self) -> str:
        """Right of seen, by expert and skill, for notebooks."""
        head = "".join(f"<th>{escape(name)}</th>" for name in ("", "overall", *self.skills))
        body = ""
        for name in self.experts:
            cells = [self.tally(name, skill) for skill in (None, *self.skills)]
            figures = "".join(f"<td>{cell.correct} of {cell.seen}</td>" for cell in cells)
            body += f"<tr><th>{escape(name)}</th>{figures}</tr>"
        return f"<table><tr>{head}</tr>{body}</table>"

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
        """For each brief, its skills and all their ancestors."""
        return tuple(
            frozenset(up for skill, _ in brief.skills for up in (skill, *self.ancestors(skill)))
            for brief in self.briefs
        )

    def ancestors(self, skill: str) -> tuple[str, ...]:
        """The ancestors of `skill`, nearest first."""
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
    def needs(self) -> Floats:
        """Shape (questions, skills): 1 where a question needs the skill or one below it."""
        needs = np.zeros((len(self.briefs), len(self.skills)))
        for row, lineage in enumerate(self._lineages):
            needs[row, [self._column[name] for name in lineage]] = 1.0
        return needs

    def _counts(self, codes: tuple[int, ...]) -> Floats:
        return np.asarray(np.isin(self.outcomes, codes).astype(np.float64) @ self.needs)

    def tally(self, expert: str, skill: str | None = None) -> Tally:
        """Counts of one expert on one skill; on everything where `skill` is None.

        All zeros for a skill without evidence. Raises InputError for an unknown expert.
        """
        found = self._tallies.get((expert, skill))
        if found is None:
            self._check([expert])
        return found or Tally(0, 0, 0)

    @cached_property
    def _tallies(self) -> dict[tuple[str, str | None], Tally]:
        kinds = (1,), (1, 0, -1), (-1,)
        counts = np.stack([self._counts(codes) for codes in kinds], axis=2).astype(int).tolist()
        whole = np.stack([np.isin(self.outcomes, codes).sum(axis=1) for codes in kinds], axis=1)
        found: dict[tuple[str, str | None], Tally] = {}
        for name, row, all_skills in zip(self.experts, counts, whole.tolist(), strict=True):
            found[name, None] = Tally(*all_skills)
            found.update({(name, s): Tally(*c) for s, c in zip(self.skills, row, strict=True)})
        return found

    def absences(self, expert: str) -> dict[str, int]:
        """Number of missing answers of one expert, by reason; failures included."""
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
        blocks, order = [], list[int]()
        answered = np.isin(self.outcomes, seen).astype(np.float64)
        for columns in self._levels:
            level = set(columns)
            beliefs = hierarchical(correct[:, columns], total[:, columns], above[:, columns])
            alpha[:, columns], beta[:, columns] = beliefs.alpha, beliefs.beta
            distinct = float((answered @ self.needs[:, columns].any(axis=1)).sum())
            counted = float(total[:, columns].sum())
            worth = distinct / counted if counted else 1.0
            blocks.append(Uncertainty(correct[:, columns], total[:, columns], worth))
            order += columns
            mean = alpha / np.maximum(alpha + beta, 1e-12)
            for name, column in self._column.items():
                up = self._column.get(self.parents.get(name, ""))
                if up in level:
                    above[:, column] = mean[:, up]
        return Beliefs(alpha, beta, tuple(blocks), tuple(order))

    @cached_property
    def _levels(self) -> tuple[list[int], ...]:
        """Columns by their number of ancestors with evidence, roots first."""
        depth = [sum(up in self._column for up in self.ancestors(name)) for name in self.skills]
        return tuple([i for i, d in enumerate(depth) if d == level] for level in sorted(set(depth)))

    @cached_property
    def _column(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.skills)}

    def nearest(self, skill: str) -> str | None:
        """`skill` if it has evidence, else the nearest that it backs off to; None if none has."""
        if skill in self._column:
            return skill
        return next((up for up in self.ancestors(skill) if up in self._column), None)

    def columns(self, brief: Brief) -> dict[int, float]:
        """Column -> weight, summing to 1, of a brief's skills that have evidence.

        A skill without evidence backs off to its nearest ancestor that has some; no column at
        all means that only the global beliefs apply.
        """
        weights: dict[int, float] = {}
        for skill, weight in brief.skills:
            known = self.nearest(skill)
            if known is not None:
                weights[self._column[known]] = weights.get(self._column[known], 0.0) + weight
        total = sum(weights.values())
        return {column: weight / total for column, weight in weights.items()}

    # Change

    def subset(self, experts: Sequence[str]) -> RecruitmentTable:
        """The same evidence for some of the experts, in the order given.

        Raises InputError for an unknown expert.
        """
        self._check(experts)
        lengths = {name: self.lengths[name] for name in experts if name in self.lengths}
        return replace(self, marks={name: self.marks[name] for name in experts}, lengths=lengths)

    def questions(self, keep: Sequence[int]) -> RecruitmentTable:
        """The same experts on some of the questions, by position; lengths stay those of all."""
        briefs = tuple(self.briefs[i] for i in keep)
        marks = {name: tuple(row[i] for i in keep) for name, row in self.marks.items()}
        return replace(self, briefs=briefs, marks=marks)

    def merge(self, other: RecruitmentTable) -> RecruitmentTable:
        """Both tables' evidence. Questions in both must carry the same skills.

        An expert in both keeps this table's answer where both have one. Facts of the provenance
        that differ are joined by ` + `. Lengths are pooled where the tables share no question;
        else those of more calls are used.

        Raises:
            InputError: questions are tagged differently, or the taggers differ.
        """
        if self.provenance.get("tagger") != other.provenance.get("tagger"):
            raise InputError(
                f"tables were tagged by `{self.provenance.get('tagger')}` and "
                f"`{other.provenance.get('tagger')}`",
                hint="profile again with one `--tagger` for both",
            )
        both = {brief.question_id: brief for brief in self.briefs}
        for brief in other.briefs:
            both.setdefault(brief.question_id, brief)
        raise_all(
            [
                InputError(f"question {brief.question_id!r} has other skills in each table")
                for brief in other.briefs
                if brief.skills != both[brief.question_id].skills
            ][:_SHOWN]
        )
        briefs = tuple(both.values())
        marks = {
            name: tuple(
                _told(self._mark(name, brief.question_id), other._mark(name, brief.question_id))
                for brief in briefs
            )
            for name in dict.fromkeys((*self.experts, *other.experts))
        }
        parents = {**other.parents, **self.parents}
        provenance = _joined(self.provenance, other.provenance)
        created = max(self.created, other.created)
        apart = self._places.keys().isdisjoint(other._places)
        lengths = joined(self.lengths, other.lengths, apart=apart)
        return RecruitmentTable(briefs, marks, parents, provenance, created, lengths)

    def _mark(self, expert: str, question_id: str) -> Mark | None:
        row = self.marks.get(expert)
        place = self._places.get(question_id)
        return None if row is None or place is None else row[place]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {brief.question_id: i for i, brief in enumerate(self.briefs)}

    def _check(self, experts: Sequence[str]) -> None:
        raise_all(
            [unknown("expert", name, self.marks) for name in experts if name not in self.marks]
        )


def abridged(mark: Mark) -> Mark:
    """The mark as tables store it: a long answer becomes a digest, equal for equal answers."""
    if mark.value is None or len(mark.value) <= _LONGEST:
        return mark
    return replace(mark, value=f"#{digest(mark.value)}")


def twice(ids: Sequence[str]) -> list[InputError]:
    """An error for each question id that appears more than once."""
    return [
        InputError(f"question {question_id!r} stands {count} times")
        for question_id, count in Counter(ids).items()
        if count > 1
    ][:_SHOWN]


def _told(first: Mark | None, second: Mark | None) -> Mark | None:
    """The first mark that is evidence about the expert; else the first mark."""
    told = (mark for mark in (first, second) if mark and mark.absence not in _UNASKED)
    return next(told, first or second)


def _joined(mine: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    both = {**theirs, **mine}
    return {
        name: f"{fact} + {theirs[name]}" if theirs.get(name, fact) != fact else fact
        for name, fact in both.items()
    }
