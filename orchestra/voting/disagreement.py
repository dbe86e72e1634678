"""Disagreement of other rules with the vote, which may be a sign of liars.

Compares majority, weighted, one-coin and M-MSR winners of a batch with those of the profile. On
an honest panel they nearly agree, as often as on the profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt

import numpy as np

from orchestra.records import Ballot
from orchestra.skills.estimation import Floats
from orchestra.voting.dawid_skene import NO_ANSWER, Codes, one_coin
from orchestra.voting.mmsr import mmsr, mmsr_weights
from orchestra.voting.vote_matrix import LEAST, Panel, vote_weights

_FAR = 5.0
"""Standard deviations by which a rule must disagree more often than on the profile."""
_MUCH = 0.1
"""Share of the questions by which it must disagree more often."""


class Rivals:
    """The winners of other rules in a batch.

    Args:
        batch: the answers, by the columns of `told`.
        known: the answers to profiled questions.
        right: the codes of their right answers.
    """

    def __init__(self, batch: Panel, known: Panel, right: Codes) -> None:
        self._batch, self._known = batch, known
        self._now = _winners(batch, known, right)
        self._before = _winners(known, known, right)
        self._parted: dict[str, list[tuple[int, int]]] = {name: [] for name in self._now}
        self._seen = 0

    def told(self, ballot: Ballot, place: int) -> Ballot:
        """The ballot with an alarm for each rule that decides otherwise; the rules are recorded."""
        self._seen += 1
        values = self._batch.values[place]
        alarms = []
        for name, winners in self._now.items():
            code = int(winners[place])
            if code != NO_ANSWER and values[code] != ballot.winner:
                self._parted[name].append((place, code))
                alarms.append(f"`{name}` says {values[code]}")
        return replace(ballot, alarms=tuple(alarms)) if alarms else ballot

    def alarms(self, known: Codes) -> list[str]:
        """The rules that disagree with the vote more than on the profile, with two experts each.

        Args:
            known: the vote's own winners on the profiled questions; empty if there are none.
        """
        told = []
        for name, parted in self._parted.items():
            if not len(known) or not self._seen:
                break
            usual, now = float((self._before[name] != known).mean()), len(parted) / self._seen
            spread = (usual * (1 - usual) + 0.01) * (1 / len(known) + 1 / self._seen)
            if now - usual > max(_MUCH, _FAR * sqrt(spread)):
                told.append(
                    f"`{name}` decides {100 * now:.0f} % of the questions otherwise, on the "
                    f"profile {100 * usual:.0f} %; it would follow {self._followed(parted)}"
                )
        return told

    def _followed(self, parted: list[tuple[int, int]]) -> str:
        """The two experts whose answers a rule takes most often where it disagrees."""
        places, codes = (np.array(each) for each in zip(*parted, strict=True))
        sided = (self._batch.codes[:, places] == codes).mean(axis=1)
        order = np.argsort(-sided, kind="stable")[:2]
        return " and ".join(
            f"`{self._batch.experts[i]}` ({100 * sided[i]:.0f} % of them)" for i in order
        )


def _winners(panel: Panel, known: Panel, right: Codes) -> Mapping[str, Codes]:
    if not panel.questions:
        return {}
    hits = (known.given & (known.codes == right)).sum(axis=1).astype(np.float64)
    seen = known.given.sum(axis=1).astype(np.float64)
    sizes = panel.rivals + 1
    odds = vote_weights(np.nan_to_num(panel.expected, nan=0.5), panel.rivals)
    # A prior as strong as the number of votes, on the profile and in the batch.
    strength = panel.questions / max(known.questions, 1)
    coin = one_coin(panel.codes, sizes, right=strength * hits, seen=strength * seen).accuracy
    skills = mmsr(panel.codes, sizes)
    return {
        "majority": panel.winners(np.ones(len(panel.experts)) + 1e-6 * _standing(hits, seen)),
        "weighted": panel.winners(odds),
        "one-coin": panel.winners(
            vote_weights(np.repeat(coin[:, None], panel.questions, 1), sizes - 1)
        ),
        "mmsr": panel.winners(np.maximum(mmsr_weights(skills, sizes), LEAST)),
    }


def _standing(hits: Floats, seen: Floats) -> Floats:
    """Share right on the profile, which decides ties."""
    return np.asarray((hits + 1) / (seen + 2))
