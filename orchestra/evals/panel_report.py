"""What a run's own votes, and all answers that are known, say of the panel: parts of `report.json`.

Knows a batch, gold answers and arms; draws nothing and asks nobody.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from orchestra.evals.baselines import Arms
from orchestra.evals.contribution import advice, contributions
from orchestra.evals.conventions import share
from orchestra.evals.items import Item
from orchestra.evals.marking import same
from orchestra.evals.panel import (
    NO_VOTE,
    CoFailure,
    Flags,
    Votes,
    cofailure,
    effective_size,
    error_correlation,
    k_curve,
    placebo,
    regret,
    walks,
)
from orchestra.evals.statistics import generator
from orchestra.evals.summary import arm_data
from orchestra.pipeline import Batch
from orchestra.records import Draft, Mark, Outcome

MOST = 10_000
"""Most questions that the panel's statistics are taken from: of more, so many at random."""
_FEWEST = 10
"""Least questions of a category that has a curve of its own."""

Row = Mapping[str, tuple[str | None, float]]
"""Expert -> its answer to one question, and the weight of its vote."""


def votes_of(items: Sequence[Item], rows: Sequence[Row], experts: Sequence[str]) -> Votes:
    """The arrays of these answers; experts that a row lacks were not asked."""
    place = {name: i for i, name in enumerate(experts)}
    shape = (len(experts), len(items))
    codes, asked = np.full(shape, NO_VOTE, dtype=np.int64), np.zeros(shape, dtype=bool)
    weights, right = np.zeros(shape), []
    for column, (item, row) in enumerate(zip(items, rows, strict=True)):
        said: dict[str, int] = {}
        for name, (value, weight) in row.items():
            who = place[name]
            asked[who, column] = True
            if value is not None:
                codes[who, column] = said.setdefault(value, len(said))
                weights[who, column] = weight
        right.append([same(value, str(item.gold), item.question.kind) for value in said])
    width = max(map(len, right), default=1) or 1
    correct = np.zeros((len(items), width), dtype=bool)
    for column, flags in enumerate(right):
        correct[column, : len(flags)] = flags
    return Votes(tuple(experts), codes, correct, asked, weights)


@dataclass(frozen=True)
class PanelReport:
    """The parts `split` and `panel` of a report.

    Args:
        batch: what was asked, heard and decided.
        items: question id -> its gold answer, for the questions that are marked.
        arms: what else could have been done.
        marks: the pipeline's Mark of each of these questions.
        families: expert -> its family, for those that have one.
        seed: of all draws.
    """

    batch: Batch
    items: Mapping[str, Item]
    arms: Arms
    marks: Sequence[Mark]
    families: Mapping[str, str]
    seed: int

    def split(self) -> dict[str, Any]:
        """How the pipeline does where the first answers of its experts differ, and where not."""
        right = {each.question_id: each.outcome is Outcome.CORRECT for each in self.marks}
        said = {
            question.id: {draft.value for draft in row if not draft.sample} - {None}
            for question, row in zip(self.batch.questions, self.batch.drafts, strict=False)
            if question.id in right
        }
        differ = {each for each, values in said.items() if len(values) > 1}
        alike = {each for each, values in said.items() if len(values) == 1}
        return {
            **self._share(right, differ),
            "arms": {name: arm_data(arm) for name, arm in self.arms.on(differ).items()},
            "unanimous": self._share(right, alike),
        }

    def _share(self, right: Mapping[str, bool], questions: Set[str]) -> dict[str, Any]:
        marked = [item for each, item in self.items.items() if each in questions]
        return {"n": len(marked), **share(marked, right)}

    def panel(self) -> dict[str, Any]:
        """What the votes say of the experts; empty where there are no marked votes."""
        if not self._asked:
            return {}
        known = self._known
        size = effective_size(
            error_correlation(*((known.right, known.asked) if known else self._seats_asked))
        )
        failing = {"seats": _failing(cofailure(self._votes.right))}
        if known:
            failing["all"] = _failing(cofailure(known.right))
        return {
            "n": len(self._asked),
            "cofailure": failing,
            "effective_size": {
                "experts": size.experts,
                "correlation": _rounded(size.correlation),
                "kish": round(size.kish, 4),
                "spectral": round(size.spectral, 4),
            },
            **self._contributions(),
            **(self._of_all(known) if known else {}),
            "placebo": self._placebo(),
        }

    @cached_property
    def _asked(self) -> list[int]:
        """Places of the marked questions for which anybody was asked, at most `MOST`.

        Of a question that is repeated the first, since repeats depend on each other.
        """
        first: dict[str, int] = {}
        for i, (question, row) in enumerate(
            zip(self.batch.questions, self.batch.drafts, strict=False)
        ):
            if row and question.id in self.items:
                first.setdefault(self.items[question.id].cluster, i)
        found = list(first.values())
        if len(found) <= MOST:
            return found
        drawn = generator(self.seed, "panel questions").permutation(len(found))[:MOST]
        return [found[i] for i in sorted(drawn.tolist())]

    @cached_property
    def _marked(self) -> list[Item]:
        return [self.items[self.batch.questions[i].id] for i in self._asked]

    @cached_property
    def _votes(self) -> Votes:
        """The votes as they were counted; further draws of an expert are voters of their own."""
        rows = [self._row(i) for i in self._asked]
        return votes_of(self._marked, rows, sorted({name for row in rows for name in row}))

    def _row(self, place: int) -> Row:
        weights: dict[tuple[str, str | None], deque[float]] = defaultdict(deque)
        if self.batch.ballots:
            for vote in self.batch.ballots[place].votes:
                weights[vote.expert, vote.value].append(vote.weight)
        row = {}
        for draft in self.batch.drafts[place]:
            given = weights[draft.expert, draft.value]
            weight = given.popleft() if given else 0.0 if self.batch.ballots else 1.0
            row[_voter(draft)] = (draft.value, weight)
        return row

    @property
    def _seats_asked(self) -> tuple[Flags, Flags]:
        first = [i for i, name in enumerate(self._votes.experts) if "\n" not in name]
        return self._votes.right[first], self._votes.asked[first]

    @cached_property
    def _known(self) -> Votes | None:
        """Everybody's first answers with equal weights, where all of them are known."""
        if not self.arms.whole:
            return None
        if self._votes.asked.all() and self._votes.experts == tuple(sorted(self.arms.pool.experts)):
            return replace(self._votes, weights=np.ones(self._votes.codes.shape))
        answers = self.arms.first_answers()
        rows: list[Row] = [
            {name: (value, 1.0) for name, value in answers[item.question.id].items()}
            for item in self._marked
        ]
        return votes_of(self._marked, rows, self.arms.pool.experts)

    def _contributions(self) -> dict[str, Any]:
        drawn = {name: name.split("\n")[0] for name in self._votes.experts}
        families = {name: self.families.get(who, "") for name, who in drawn.items()}
        found = contributions(self._votes, seed=self.seed, families=families)
        told = advice(self._votes, seed=self.seed)
        return {
            "contributions": {
                _shown(name): {
                    "shapley": each.shapley.rounded(),
                    "noise": round(each.noise, 6),
                    "left_out": each.left_out.rounded(),
                    "votes": each.votes,
                }
                for name, each in found.items()
            },
            "advice": {
                "drop": [_shown(name) for name in told.drop],
                "loss": told.loss.rounded(),
                "margin": told.margin,
                "n": told.n,
            },
        }

    def _of_all(self, known: Votes) -> dict[str, Any]:
        """What rests on the answers of all experts."""
        split = self._votes.split
        kinds = {"all": np.ones(len(self._marked), dtype=bool), "split": split, "alike": ~split}
        by_category: dict[str, list[int]] = defaultdict(list)
        for column, item in enumerate(self._marked):
            by_category[item.question.category].append(column)
        for name, columns in sorted(by_category.items()):
            if name and len(columns) >= _FEWEST:
                kinds[f"category {name}"] = np.isin(np.arange(len(self._marked)), columns)
        curves = k_curve(walks(known, seed=self.seed, pairs=4).curve, kinds)
        shown = _sizes(len(known.experts))
        asked = dict(zip(self._votes.experts, self._votes.asked, strict=True))
        none = np.zeros(len(self._marked), dtype=bool)
        seated = np.array([asked.get(name, none) for name in known.experts])
        missed = regret(known.experts, known.right, seated, seed=self.seed)
        return {
            "k_curve": {
                kind: [
                    {
                        "k": each.k,
                        "accuracy": round(each.accuracy, 6),
                        "interval": each.interval.rounded(),
                    }
                    for each in curve
                    if each.k in shown
                ]
                for kind, curve in curves.items()
            },
            "regret": {
                "missed": missed.missed.rounded(),
                "covered": round(missed.covered, 6),
                "best_set": list(missed.best_set),
                "best_covered": round(missed.best_covered, 6),
                "lost": missed.lost.rounded(),
            },
        }

    def _placebo(self) -> dict[str, Any] | None:
        found = placebo(self._votes, seed=self.seed)
        if found is None:
            return None
        return {
            "accuracy": found.accuracy.rounded(),
            "gain": found.gain.rounded(),
            "draws": found.draws,
        }


def _voter(draft: Draft) -> str:
    # A line break is in no expert's name.
    return f"{draft.expert}\n{draft.sample}" if draft.sample else draft.expert


def _shown(voter: str) -> str:
    name, _, sample = voter.partition("\n")
    return f"{name} (draw {int(sample) + 1})" if sample else name


def _failing(found: CoFailure) -> dict[str, Any]:
    return {
        "failed": found.failed,
        "beta": round(found.beta, 6),
        "ceiling": found.ceiling.rounded(),
    }


def _sizes(most: int) -> set[int]:
    """Numbers of experts that a curve shows: all small ones, then each a quarter larger."""
    found, k = {most}, 1
    while k < most:
        found.add(k)
        k = max(k + 1, round(k * 1.25))
    return found


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 6)
