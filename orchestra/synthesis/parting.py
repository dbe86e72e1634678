"""Which drafts stand apart from the others, and whether that is reason enough to tell them apart.

Knows answers, texts and an embedder; does not know who is right. The larger cluster is
believed, so this rests on most experts being honest: liars who are more, or who all write like
the honest ones, are not found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.records import Kind, Question
from orchestra.skills import Embedder, LexicalEmbedder
from orchestra.synthesis.clusters import bisect, silhouette, tightness
from orchestra.synthesis.dialogue import Draft

CLOSED = frozenset((Kind.CHOICE, Kind.NUMBER, Kind.LITERAL))
"""Kinds of questions whose answers are the same or not, so that they can be counted."""

Drafts = tuple[Draft, ...]


@dataclass(frozen=True, slots=True)
class Parted:
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

    def part(self, question: Question, drafts: Sequence[Draft]) -> Parted:
        """The drafts in two clusters or in one; whatever order they are given in, the same ones."""
        everybody = tuple(sorted(drafts, key=lambda draft: draft.rank))
        if self.gate and len(everybody) < 3:
            parted = Parted(everybody, (), "fewer than three drafts")
        elif self.gate and question.kind in CLOSED:
            parted = self._by_answer(everybody) or self._by_text(everybody)
        else:
            parted = self._by_text(everybody)
        return Parted(
            tuple([each for each in drafts if each not in parted.smaller]),
            tuple([each for each in drafts if each in parted.smaller]),
            parted.reason,
            parted.notes,
        )

    def _by_answer(self, drafts: Drafts) -> Parted | None:
        """The bloc of the commonest answer and the rest; None where answers do not tell."""
        blocs = Counter(draft.value for draft in drafts if draft.value is not None)
        if not blocs:
            return None
        value, most = max(blocs.items(), key=lambda item: item[1])
        if len(blocs) == 1:
            return Parted(drafts, (), "all answers are the same")
        if 2 * most <= blocs.total():
            return None
        others = tuple([each for each in drafts if each.value not in (value, None)])
        silent = tuple([each for each in drafts if each.value is None])
        if silent:
            bloc = tuple([each for each in drafts if each.value == value])
            others = self._joined(silent, bloc, others)
        if 2 * len(others) >= len(drafts):
            reason = f"too many drafts without an answer are not like {value!r}"
            return Parted(drafts, (), reason, self._notes)
        rest = tuple([each for each in drafts if each not in others])
        notes = self._notes if silent else ()
        return Parted(rest, others, f"{most} of {blocs.total()} answers are {value!r}", notes)

    def _joined(self, silent: Drafts, bloc: Drafts, others: Drafts) -> Drafts:
        """The others with the drafts that state no answer and are more like them than the bloc."""
        known = self.embedder.embed([each.text for each in (*bloc, *others)])
        near = self.embedder.embed([each.text for each in silent]) @ known.T
        like_bloc = near[:, : len(bloc)].mean(axis=1).round(6)
        like_others = near[:, len(bloc) :].mean(axis=1).round(6)
        told = zip(silent, like_others > like_bloc, strict=True)
        return (*others, *[draft for draft, away in told if away])

    def _by_text(self, drafts: Drafts) -> Parted:
        rows = self.embedder.embed([draft.text for draft in drafts])
        labels = bisect(rows)
        if labels is None:
            return Parted(drafts, (), "all texts are alike")
        second = int(labels.sum())
        first = len(drafts) - second
        apart = silhouette(rows, labels)
        if self.gate and first == second:
            return Parted(drafts, (), "neither half of the texts is smaller", self._notes)
        if self.gate and apart <= self.threshold:
            return Parted(
                drafts,
                (),
                f"texts do not stand apart: silhouette {apart:.2f}, at most {self.threshold:g}",
                self._notes,
            )
        drop_first = second > first or (
            second == first and tightness(rows[labels]) > tightness(rows[~labels])
        )
        smaller = [d for d, away in zip(drafts, labels, strict=True) if away != drop_first]
        return Parted(
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
