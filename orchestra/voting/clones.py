"""Which experts err too much alike to be independent, and so count as one.

Agreement with the majority proves nothing, since the majority is often right; so two experts
are compared where both differ from the others. There, two real models give the same answer on
a third to a half of MMLU-Pro's questions, copies and colluders on nearly all.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import networkx as nx
import numpy as np

from orchestra.skills.estimation import Floats
from orchestra.voting.dawid_skene import NO_ANSWER, Codes
from orchestra.voting.vote_matrix import Panel

Pair = tuple[int, int]
"""Two rows of a panel, the smaller first."""

_ALIKE = 0.75
"""Share of the same answers, where both dissent, from which two experts are one."""
_SURE = 3.3
"""Standard deviations by which the share must exceed that: one in two thousand by chance."""
_TIE = 1e-9
_FEWEST = 10
"""Least questions on which both dissent."""


class Clones:
    """Counts, for each pair of experts, how often they dissent together.

    Args:
        panel: the answers.
        weights: of each expert in the others' leading answer, shape (experts,); 0 for liars,
            since their agreement would make the honest look like clones.
        folds: which fold each question is in, shape (questions,); -1 is in none.
    """

    def __init__(self, panel: Panel, weights: Floats, folds: Codes) -> None:
        self._count = int(folds.max(initial=-1)) + 1
        places = np.where(folds < 0, self._count, folds)
        whole = panel.tally(weights)
        # Liars copy some honest expert's error, which must not remove that expert's vote.
        self._pairs = {
            pair: _dissent(panel, whole, weights, pair, places)
            for pair in combinations(range(len(panel.experts)), 2)
            if (weights[pair[0]] > 0) == (weights[pair[1]] > 0)
        }

    def alike(self, fold: int) -> frozenset[Pair]:
        """The pairs that give the same answer too often, without the answers of one fold.

        A fold that does not exist leaves nothing out.
        """
        found = []
        for pair, counts in self._pairs.items():
            same, both = counts.sum(axis=0) - (counts[fold] if fold < self._count else 0)
            if both >= _FEWEST and _at_least(int(same), int(both)) > _ALIKE:
                found.append(pair)
        return frozenset(found)


def groups(alike: Iterable[Pair]) -> list[tuple[int, ...]]:
    """Groups of rows that count as one; every two of a group are alike.

    So a liar that copies several honest experts in turn makes no group of them. The largest groups
    come first, and no row is in two.
    """
    graph = nx.Graph(list(alike))
    found: list[tuple[int, ...]] = []
    while graph.number_of_edges():
        cliques = [tuple(sorted(clique)) for clique in nx.find_cliques(graph)]
        largest = min(cliques, key=lambda clique: (-len(clique), clique))
        found.append(largest)
        graph.remove_nodes_from(largest)
    return sorted(each for each in found if len(each) > 1)


def shares(cliques: Iterable[tuple[int, ...]], experts: int) -> Floats:
    """Share of a vote of each expert: 1, or one over the size of its group."""
    parts = np.ones(experts)
    for clique in cliques:
        parts[list(clique)] = 1 / len(clique)
    return parts


def _dissent(panel: Panel, whole: Floats, weights: Floats, pair: Pair, places: Codes) -> Codes:
    """Shape (places, 2): questions on which both dissent, with the same answer, and in all."""
    both = panel.given[list(pair)].all(axis=0)
    others = whole[both].copy()
    at = np.arange(len(others))
    one, two = (panel.codes[row][both] for row in pair)
    for row, said in zip(pair, (one, two), strict=True):
        others[at, said] -= weights[row]
    led = others.max(axis=1, initial=0.0) > _TIE
    leading = np.where(led, others.argmax(axis=1), NO_ANSWER)
    apart = led & (one != leading) & (two != leading)
    where, count = places[both], int(places.max(initial=0)) + 1
    told = [np.bincount(where[each], minlength=count) for each in (apart & (one == two), apart)]
    return np.stack(told, axis=1)


def _at_least(same: int, both: int) -> float:
    """Lower end of Wilson's interval for the share, `_SURE` deviations down."""
    share, square = same / both, _SURE**2
    middle = share + square / (2 * both)
    half = _SURE * ((share * (1 - share) + square / (4 * both)) / both) ** 0.5
    return float((middle - half) / (1 + square / both))
