"""The figures of the trials of one attack, for each defence: shares, losses and intervals.

All seeds of one attack are pooled: they share their questions, so that a question is one cluster
of values. Shares are of all marked questions unless stated, and an abstention is not right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestra.evals.items import Item
from orchestra.evals.marking import same
from orchestra.evals.statistics import (
    Interval,
    clustered_interval,
    paired_bootstrap,
    wilson,
)
from orchestra.redteam.defences import PLAIN, REFERENCE, Defence
from orchestra.redteam.sweep import Decided, Trial, Values

_Marks = npt.NDArray[np.bool_]

_DIGITS = 6


class Metrics:
    """Counts trials.

    Args:
        items: the marked questions, in order.
        honest: the trial without liars.
        defences: what is compared, in the order of the report.
        questions: how many there are in a batch, those without gold answers included.
        seed: of the bootstrap.
    """

    def __init__(
        self,
        items: Sequence[Item],
        honest: Trial,
        defences: Sequence[Defence],
        *,
        questions: int,
        seed: int,
    ) -> None:
        self._items, self.honest, self._seed = tuple(items), honest, seed
        self._questions = questions
        self._names = {each.name for each in defences}
        self._ids = [item.question.id for item in items]
        self._known: dict[Values, _Marks] = {}

    def right(self, values: Values) -> _Marks:
        """Which of the values answer their question."""
        if values not in self._known:
            found = [
                value is not None and same(value, str(item.gold), item.question.kind)
                for value, item in zip(values, self._items, strict=True)
            ]
            self._known[values] = np.array(found, dtype=bool)
        return self._known[values]

    def followed(self, values: Values, planted: Sequence[frozenset[str]]) -> _Marks:
        """Which of the values are what some liar planted there."""
        rows = zip(values, planted, self._items, strict=True)
        found = [
            value is not None and any(same(value, each, item.question.kind) for each in wanted)
            for value, wanted, item in rows
        ]
        return np.array(found, dtype=bool)

    def share(self, marks: _Marks, among: _Marks | None = None) -> dict[str, Any]:
        """A share and its 95 % interval, over one or several values of each question.

        Args:
            marks: of the values, seed after seed.
            among: the values that count; None: all.
        """
        picked = np.ones(len(marks), dtype=bool) if among is None else among
        marks, repeated = marks[picked], self._repeated(len(marks))
        if len(marks) == 0:
            return {"share": None, "interval": None, "n": 0}
        whose = [each for each, kept in zip(repeated, picked, strict=True) if kept]
        alone = len(set(whose)) == len(whose)
        interval = (
            wilson(int(marks.sum()), len(marks)) if alone else clustered_interval(marks, whose)
        )
        return {"share": _mean(marks), "interval": _ends(interval), "n": len(marks)}

    def gap(self, more: _Marks, less: _Marks) -> tuple[float, list[float]]:
        """By how much the first is right more often, paired, with its 95 % interval."""
        found = paired_bootstrap(more, less, clusters=self._repeated(len(more)), seed=self._seed)
        return round(found.value, _DIGITS), _ends(found.interval)

    def cell(self, defence: Defence, trials: Sequence[Trial]) -> dict[str, Any]:
        """Everything about one defence under one attack by so many liars; the seeds in order."""
        pairs = [(trial, trial.decided[defence.name]) for trial in trials]
        base = self.baseline(defence)
        right = _joined(self.right(each.values) for _, each in pairs)
        without = _joined(self.right(trial.without) for trial in trials)
        followed = _joined(self.followed(each.values, trial.planted) for trial, each in pairs)
        undefended = _joined(self.right(trial.decided[base].values) for trial in trials)
        before = np.tile(self.right(self.honest.decided[base].values), len(trials))
        figures = self.share(right)
        loss, ends = self.gap(without, right)
        calls = fmean(each.calls for _, each in pairs) / self._questions
        return {
            "accuracy": figures["share"],
            "interval": figures["interval"],
            "by_seed": [_mean(self.right(each.values)) for _, each in pairs],
            "loss": loss,
            "loss_interval": ends,
            **self._planted(trials, followed),
            # Of what the undefended method gets wrong under this attack, the share that is right.
            **_named("recovery", self.share(right, ~undefended)),
            # Of what it gets right on the honest panel, the share that is decided as planted.
            **_named("corruption", self.share(followed, before)),
            "abstained": _mean([value is None for _, each in pairs for value in each.values]),
            "baseline": base,
            "liars_removed": self._removed(trials, without),
            "detection": _detection(pairs) if defence.names_suspects else None,
            "certificate": _certificate([each for _, each in pairs], trials[0].faults),
            "calls_per_question": round(calls, 4),
        }

    def baseline(self, defence: Defence) -> str:
        """What a defence is compared with: the undefended method of its kind, if that is too."""
        return PLAIN if defence.merging is not None and PLAIN in self._names else REFERENCE

    def _repeated(self, values: int) -> list[str]:
        """The questions of so many values, seed after seed."""
        return self._ids * (values // max(len(self._ids), 1))

    def _planted(self, trials: Sequence[Trial], followed: _Marks) -> dict[str, Any]:
        """How often what was planted is decided, and on how many questions anything was."""
        lied = [bool(each) for trial in trials for each in trial.planted]
        kept = [trial.kept for trial in trials if trial.kept is not None]
        figures = self.share(followed) if any(lied) else {}
        return {
            "planted": figures.get("share"),
            "planted_interval": figures.get("interval"),
            "attacked": _mean(lied),
            "lies_kept": _mean(kept) if kept else None,
            "liars_seated": sum(trial.seated for trial in trials),
        }

    def _removed(self, trials: Sequence[Trial], right: _Marks) -> dict[str, Any]:
        """The reference vote without the liars' seats: how often it is right, and how often it
        comes to what they would have planted of its own accord."""
        figures = self.share(right)
        lied = any(each for trial in trials for each in trial.planted)
        followed = _joined(self.followed(trial.without, trial.planted) for trial in trials)
        return {
            "accuracy": figures["share"],
            "interval": figures["interval"],
            "planted": _mean(followed) if lied else None,
        }


def _detection(pairs: Sequence[tuple[Trial, Decided]]) -> dict[str, Any]:
    """Whom a defence names, of the experts that had a seat; the evidence is the first seed's."""
    liars = named = honest = accused = 0
    found, estimates = [], []
    for trial, decided in pairs:
        assert decided.trust is not None
        suspects = {each.expert for each in decided.trust.suspects}
        lying = trial.asked & frozenset(trial.liars)
        others = trial.asked - lying
        liars, named = liars + len(lying), named + len(lying & suspects)
        honest, accused = honest + len(others), accused + len(others & suspects)
        found += [lying <= suspects] * bool(lying)
        estimates.append(decided.trust.liars)
    first, trust = pairs[0][0], pairs[0][1].trust
    assert trust is not None
    return {
        "liars": liars,
        "named": named,
        "honest": honest,
        "accused": accused,
        "all_named": _mean(found) if found else None,
        "estimated": round(fmean(estimates), 4),
        "suspects": [
            {**asdict(suspect), "liar": suspect.expert in first.liars} for suspect in trust.suspects
        ],
        "alarms": list(trust.alarms),
    }


def _certificate(decided: Sequence[Decided], faults: int) -> dict[str, Any] | None:
    """How many liars answers survive by their own account, and whether that held."""
    certificates = [each for one in decided for each in one.certificates if each is not None]
    if not certificates:
        return None
    return {
        "mean": round(fmean(each.experts for each in certificates), 4),
        "everywhere": round(fmean(each.everywhere for each in certificates), 4),
        "guaranteed": _mean([each.everywhere > faults for each in certificates]),
        "promised": sum(len(each.promised(faults)) for each in decided),
        "violated": sum(each.broken for each in decided),
    }


def _joined(rows: Iterable[_Marks]) -> _Marks:
    return np.concatenate(list(rows))


def _mean(values: Any) -> float:
    return round(float(np.mean(values)), _DIGITS)


def _named(name: str, figures: dict[str, Any]) -> dict[str, Any]:
    return {
        name: figures["share"],
        f"{name}_interval": figures["interval"],
        f"{name}_n": figures["n"],
    }


def _ends(interval: Interval) -> list[float]:
    return [round(interval.low, _DIGITS), round(interval.high, _DIGITS)]
