"""Which drafts stand apart from the others, and whether that is reason enough to tell them apart.

Knows answers, texts and an embedder; does not know who is right. The larger cluster is
believed, so this rests on most experts being honest: liars who are more, or who all write like
the honest ones, are not found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestra.records import Draft, Kind, Question
from orchestra.skills import Embedder, LexicalEmbedder

_EXACT = 8
_MOST_STEPS = 100
_DIGITS = 6
"""Rows are of single precision: what differs in later digits is a tie, and the first row's."""

Rows = NDArray[np.float64]
Labels = NDArray[np.bool_]


def bisect(rows: ArrayLike) -> Labels | None:
    """The two clusters with the most cosine between rows and their cluster's mean direction.

    Spherical 2-means (Dhillon and Modha 2001): the sum of the lengths of both clusters' sums is
    largest. Exact up to eight rows.

    Returns:
        For each row whether it is in the second cluster; the first row never is, and neither
        cluster is empty. None where fewer than two rows differ.
    """
    points = np.asarray(rows, dtype=np.float64)
    if len(points) < 2 or np.allclose(points, points[0], rtol=0, atol=1e-6):
        return None
    labels = _exact(points) if len(points) <= _EXACT else _two_means(points)
    return ~labels if labels[0] else labels


def silhouette(rows: ArrayLike, labels: Sequence[bool] | Labels) -> float:
    """Mean silhouette by cosine distance, in [-1, 1] (Rousseeuw 1987).

    A row alone in its cluster counts 0. Both clusters have a row.
    """
    points, second = np.asarray(rows, dtype=np.float64), np.asarray(labels, dtype=bool)
    distances = np.clip(1 - points @ points.T, 0, 2)
    same = second[:, None] == second[None, :]
    np.fill_diagonal(same, False)
    other = second[:, None] != second[None, :]
    mates, strangers = same.sum(axis=1), other.sum(axis=1)
    within = (distances * same).sum(axis=1) / np.maximum(mates, 1)
    beyond = (distances * other).sum(axis=1) / strangers
    widest = np.maximum(np.maximum(within, beyond), 1e-12)
    return float(np.where(mates > 0, (beyond - within) / widest, 0.0).mean())


def tightness(rows: ArrayLike) -> float:
    """Mean cosine of a cluster's pairs, rounded; 1 for a row alone."""
    points = np.asarray(rows, dtype=np.float64)
    pairs = np.triu_indices(len(points), 1)
    return round(float((points @ points.T)[pairs].mean()), _DIGITS) if len(points) > 1 else 1.0


def medoid(rows: ArrayLike) -> int:
    """The place of the row with the most cosine to all others; of equals the first."""
    points = np.asarray(rows, dtype=np.float64)
    cosines = points @ points.T
    return int(np.round(cosines.sum(axis=1) - np.diag(cosines), _DIGITS).argmax())


def _exact(points: Rows) -> Labels:
    """The best of all ways to part the rows in two."""
    count = len(points)
    ways = np.arange(1, 2 ** (count - 1))
    second = (ways[:, None] >> np.arange(count - 1)) & 1
    chosen = np.concatenate([np.zeros((len(ways), 1), dtype=second.dtype), second], axis=1)
    score = _lengths(chosen @ points) + _lengths((1 - chosen) @ points)
    return np.asarray(chosen[int(np.round(score, _DIGITS).argmax())], dtype=bool)


def _two_means(points: Rows) -> Labels:
    """Where 2-means comes to rest that begins with the farthest pair."""
    cosines = points @ points.T
    np.fill_diagonal(cosines, np.inf)
    pair = np.unravel_index(int(np.round(cosines, _DIGITS).argmin()), cosines.shape)
    centres = points[list(pair)]
    labels = np.zeros(len(points), dtype=bool)
    for _ in range(_MOST_STEPS):
        near = np.round(points @ centres.T, _DIGITS)
        new = near[:, 1] > near[:, 0]
        if new.all() or not new.any():
            new[pair[0]], new[pair[1]] = False, True
        if (new == labels).all():
            break
        labels = new
        sums = np.stack([points[~labels].sum(axis=0), points[labels].sum(axis=0)])
        centres = sums / np.maximum(_lengths(sums), 1e-12)[:, None]
    return labels


def _lengths(rows: Rows) -> Rows:
    return np.asarray(np.linalg.norm(rows, axis=-1), dtype=np.float64)


CLOSED = frozenset((Kind.CHOICE, Kind.NUMBER, Kind.LITERAL))
"""Kinds of questions whose answers are the same or not, so that they can be counted."""

Drafts = tuple[Draft, ...]


@dataclass(frozen=True, slots=True)
class Clusters:
    """Drafts in two clusters, or in one."""

    larger: Drafts
    """Those that are believed, in the order they were given; all, where they are not parted."""
    smaller: Drafts
    """The others; empty where the drafts are not parted."""
    reason: str
    """Why, in words."""
    notes: tuple[str, ...] = ()
    """What a reader should know of how texts were compared, where they were."""

    def cluster(self, draft: Draft) -> int:
        """1 for the larger cluster, 2 for the smaller."""
        return 2 if draft in self.smaller else 1


@dataclass(frozen=True, slots=True)
class Parting:
    """Parts drafts in two.

    With the gate, answers come first where they can be counted: where most of the drafts that
    state an answer state the same one, the others are the smaller cluster. Where no answer has
    most of them, texts are compared, and parted only if the mean silhouette of the two clusters
    is above `threshold` and one of them is smaller. Without the gate texts are always parted in
    two, as published (arXiv:2503.05856), whatever they answer.

    Of two clusters of one size the tighter is kept, then the one with the first expert by name.
    """

    embedder: Embedder = LexicalEmbedder()
    """Turns texts into directions."""
    gate: bool = True
    """Whether drafts that hardly differ stay together."""
    threshold: float = 0.25
    """In [-1, 1]; below a quarter clusters are no finding (Kaufman and Rousseeuw 1990)."""

    def part(self, question: Question, drafts: Sequence[Draft]) -> Clusters:
        """The drafts in two clusters or in one; whatever order they are given in, the same ones."""
        everybody = tuple(sorted(drafts, key=lambda draft: draft.rank))
        if self.gate and len(everybody) < 3:
            parted = Clusters(everybody, (), "fewer than three drafts")
        elif self.gate and question.kind in CLOSED:
            parted = self._by_answer(everybody) or self._by_text(everybody)
        else:
            parted = self._by_text(everybody)
        return Clusters(
            tuple([each for each in drafts if each not in parted.smaller]),
            tuple([each for each in drafts if each in parted.smaller]),
            parted.reason,
            parted.notes,
        )

    def _by_answer(self, drafts: Drafts) -> Clusters | None:
        """The bloc of the commonest answer and the rest; None where answers do not tell."""
        blocs = Counter(draft.value for draft in drafts if draft.value is not None)
        if not blocs:
            return None
        value, most = max(blocs.items(), key=lambda item: item[1])
        if len(blocs) == 1:
            return Clusters(drafts, (), "all answers are the same")
        if 2 * most <= blocs.total():
            return None
        others = tuple([each for each in drafts if each.value not in (value, None)])
        silent = tuple([each for each in drafts if each.value is None])
        if silent:
            bloc = tuple([each for each in drafts if each.value == value])
            others = self._joined(silent, bloc, others)
        if 2 * len(others) >= len(drafts):
            reason = f"too many drafts without an answer are not like {value!r}"
            return Clusters(drafts, (), reason, self._notes)
        rest = tuple([each for each in drafts if each not in others])
        notes = self._notes if silent else ()
        return Clusters(rest, others, f"{most} of {blocs.total()} answers are {value!r}", notes)

    def _joined(self, silent: Drafts, bloc: Drafts, others: Drafts) -> Drafts:
        """The others with the drafts that state no answer and are more like them than the bloc."""
        known = self.embedder.embed([each.text for each in (*bloc, *others)])
        near = self.embedder.embed([each.text for each in silent]) @ known.T
        like_bloc = near[:, : len(bloc)].mean(axis=1).round(6)
        like_others = near[:, len(bloc) :].mean(axis=1).round(6)
        told = zip(silent, like_others > like_bloc, strict=True)
        return (*others, *[draft for draft, away in told if away])

    def _by_text(self, drafts: Drafts) -> Clusters:
        rows = self.embedder.embed([draft.text for draft in drafts])
        labels = bisect(rows)
        if labels is None:
            return Clusters(drafts, (), "all texts are alike")
        second = int(labels.sum())
        first = len(drafts) - second
        apart = silhouette(rows, labels)
        if self.gate and first == second:
            return Clusters(drafts, (), "neither half of the texts is smaller", self._notes)
        if self.gate and apart <= self.threshold:
            return Clusters(
                drafts,
                (),
                f"texts do not stand apart: silhouette {apart:.2f}, at most {self.threshold:g}",
                self._notes,
            )
        drop_first = second > first or (
            second == first and tightness(rows[labels]) > tightness(rows[~labels])
        )
        smaller = [d for d, away in zip(drafts, labels, strict=True) if away != drop_first]
        return Clusters(
            tuple([each for each in drafts if each not in smaller]),
            tuple(smaller),
            f"texts stand apart: silhouette {apart:.2f}",
            self._notes,
        )

    @property
    def _notes(self) -> tuple[str, ...]:
        if isinstance(self.embedder, LexicalEmbedder):
            return (f"texts were compared by spelling, not by meaning ({self.embedder.name})",)
        return ()
