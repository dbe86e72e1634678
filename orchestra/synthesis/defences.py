"""The defences of "This Is Your Doge, If It Please You" (Wolf, Yoon, Bogunovic, arXiv:2503.05856).

Knows drafts and what an aggregator replied; does not know experts, gold answers or how anybody
is asked. `dropout-cluster` is the published method: it clusters what the aggregator made of the
subsets, where the code that was released with the paper clusters the drafts a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from random import Random

from orchestra.components import component, find
from orchestra.errors import InputError
from orchestra.records import Draft, Question, Reply
from orchestra.skills import Embedder, LexicalEmbedder
from orchestra.synthesis.aggregator import AggregatorCall, Conclusion, Consulting, Defence
from orchestra.synthesis.clustering import CLOSED, Parting, medoid

SUBSETS = 31
"""How many subsets of the drafts are consulted on at the most: all that five drafts have."""


@component("defence", "none")
@dataclass(frozen=True, slots=True)
class Undefended:
    """Every draft is shown, once: a Mixture-of-Agents as published (arXiv:2406.04692)."""

    name: str = "none"

    def conduct(self, question: Question, drafts: Sequence[Draft], *, seed: int) -> Consulting:
        """One consultation."""
        heard, silent = _heard(drafts)
        if not heard:
            return _nobody(silent)
        (reply,) = yield [AggregatorCall(heard)]
        return Conclusion(reply.value, reply.text, heard, silent, "everybody is heard", 1)

    def rounds(self, drafts: int) -> tuple[int, ...]:
        """One call."""
        return (1,)


@component("defence", "cluster-filter", unused=("parting",))
@dataclass(frozen=True, slots=True)
class ClusterFilter:
    """Cluster & Filter: drafts that stand apart are not shown."""

    parting: Parting = Parting()
    name: str = "cluster-filter"

    def conduct(self, question: Question, drafts: Sequence[Draft], *, seed: int) -> Consulting:
        """One consultation, over the larger cluster."""
        heard, silent = _heard(drafts)
        if not heard:
            return _nobody(silent)
        parted = self.parting.part(question, heard)
        (reply,) = yield [AggregatorCall(parted.larger)]
        return Conclusion(
            reply.value,
            reply.text,
            parted.larger,
            (*parted.smaller, *silent),
            parted.reason,
            1,
            parted.notes,
        )

    def rounds(self, drafts: int) -> tuple[int, ...]:
        """One call."""
        return (1,)


@component("defence", "cluster-prompt", unused=("parting",))
@dataclass(frozen=True, slots=True)
class ClusterPrompt:
    """Cluster & Prompt: every draft is shown, with its cluster."""

    parting: Parting = Parting()
    name: str = "cluster-prompt"

    def conduct(self, question: Question, drafts: Sequence[Draft], *, seed: int) -> Consulting:
        """One consultation; drafts that are not parted are shown without clusters."""
        heard, silent = _heard(drafts)
        if not heard:
            return _nobody(silent)
        parted = self.parting.part(question, heard)
        clusters = tuple([parted.cluster(each) for each in heard]) if parted.smaller else ()
        (reply,) = yield [AggregatorCall(heard, clusters)]
        return Conclusion(reply.value, reply.text, heard, silent, parted.reason, 1, parted.notes)

    def rounds(self, drafts: int) -> tuple[int, ...]:
        """One call."""
        return (1,)


@component("defence", "dropout-vote", unused=("embedder",))
@dataclass(frozen=True, slots=True)
class DropoutVote:
    """Dropout & Vote: the aggregator is consulted on subsets of the drafts, and its answers vote.

    For answers that can be counted. Where they cannot, or there are none, the reply that is most
    like all others stands for the vote, and a note says so.
    """

    embedder: Embedder = LexicalEmbedder()
    subsets: int = SUBSETS
    """Most subsets that are consulted on, at least 1; where there are more, they are drawn."""
    name: str = "dropout-vote"

    def __post_init__(self) -> None:
        _at_least_one(self.subsets)

    def conduct(self, question: Question, drafts: Sequence[Draft], *, seed: int) -> Consulting:
        """2^n - 1 consultations for n drafts, or as many as `subsets` says."""
        heard, silent = _heard(drafts)
        if not heard:
            return _nobody(silent)
        shown = subsets(heard, self.subsets, seed=seed, question_id=question.id)
        replies = yield [AggregatorCall(each) for each in shown]
        chosen, note = self._chosen(question, replies, seed)
        return Conclusion(
            chosen.value,
            chosen.text,
            heard,
            silent,
            f"{len(shown)} subsets of {len(heard)} drafts",
            len(shown),
            () if note is None else (note,),
        )

    def rounds(self, drafts: int) -> tuple[int, ...]:
        """One of 2^n - 1 calls, or as many as `subsets` says."""
        return (min((1 << drafts) - 1, self.subsets),)

    def _chosen(
        self, question: Question, replies: Sequence[Reply], seed: int
    ) -> tuple[Reply, str | None]:
        votes = Counter(reply.value for reply in replies if reply.value is not None)
        if question.kind not in CLOSED or not votes:
            return self._central(replies)
        top = max(votes.values())
        first = sorted(value for value, count in votes.items() if count == top)
        value = Random(f"{seed}:dropout-vote:{question.id}").choice(first)
        note = f"drawn by lot: {len(first)} answers have {top} votes" if len(first) > 1 else None
        # Subsets come largest first, so this is the reply that saw most.
        return next(reply for reply in replies if reply.value == value), note

    def _central(self, replies: Sequence[Reply]) -> tuple[Reply, str | None]:
        said = [reply for reply in replies if reply.text]
        if not said:
            return Reply("", None), "the aggregator said nothing"
        rows = self.embedder.embed([reply.text for reply in said])
        note = f"answers were not counted: the most central reply, by {self.embedder.name}"
        return said[medoid(rows)], note


@component("defence", "dropout-cluster", unused=("parting",))
@dataclass(frozen=True, slots=True)
class DropoutCluster:
    """Dropout & Cluster: what the aggregator makes of subsets is clustered, and synthesised again.

    A deceiver is in half of the subsets, and dominates few of them: it is the replies, more than
    the drafts, in which the honest are the larger cluster.
    """

    parting: Parting = Parting()
    subsets: int = SUBSETS
    """Most subsets that are consulted on, at least 1; where there are more, they are drawn."""
    name: str = "dropout-cluster"

    def __post_init__(self) -> None:
        _at_least_one(self.subsets)

    def conduct(self, question: Question, drafts: Sequence[Draft], *, seed: int) -> Consulting:
        """2^n consultations for n drafts, or one more than `subsets` says.

        What is kept and dropped in its conclusion are replies of the first round: drafts by
        `aggregator`, whose sample is the number of the subset.
        """
        heard, silent = _heard(drafts)
        if not heard:
            return _nobody(silent)
        shown = subsets(heard, self.subsets, seed=seed, question_id=question.id)
        replies = yield [AggregatorCall(each) for each in shown]
        said, unsaid = _heard(
            [
                Draft.written("aggregator", r.text, r.value, sample=place)
                for place, r in enumerate(replies)
            ]
        )
        if not said:
            return Conclusion(
                None, "", (), unsaid, "the aggregator said nothing to any subset", len(shown)
            )
        parted = self.parting.part(question, said)
        (reply,) = yield [AggregatorCall(parted.larger)]
        return Conclusion(
            reply.value,
            reply.text,
            parted.larger,
            (*parted.smaller, *unsaid),
            f"{len(shown)} subsets of {len(heard)} drafts; {parted.reason}",
            len(shown) + 1,
            parted.notes,
        )

    def rounds(self, drafts: int) -> tuple[int, ...]:
        """2^n - 1 calls, or as many as `subsets` says; then one."""
        return min((1 << drafts) - 1, self.subsets), 1


DEFENCES = ("none", "dropout-vote", "cluster-filter", "cluster-prompt", "dropout-cluster")
"""The shipped defences by name."""


def defence(
    name: str, *, embedder: Embedder | None = None, gate: bool = True, subsets: int = SUBSETS
) -> Defence:
    """The defence of that name; of the options it is given those that it has.

    Args:
        name: of a component `defence`: one of `DEFENCES`, or another distribution's.
        embedder: compares texts; by default by their spelling.
        gate: whether drafts that hardly differ stay together; see `Parting`.
        subsets: most subsets that are consulted on, at least 1.

    Raises:
        InputError: there is none of that name, or `subsets` is less than 1.
    """
    build = find("defence", name).build
    compares = embedder or LexicalEmbedder()
    given = {"parting": Parting(compares, gate), "embedder": compares, "subsets": subsets}
    has = {each.name for each in fields(build)}  # type: ignore[arg-type]
    made: Defence = build(**{key: value for key, value in given.items() if key in has})
    return made


def subsets(
    drafts: Sequence[Draft], most: int, *, seed: int, question_id: str
) -> list[tuple[Draft, ...]]:
    """Non-empty subsets of the drafts, each in the order given, the largest first.

    All 2^n - 1 where `most` allows, else as many, drawn alike and without repetition.
    """
    ranked = sorted(drafts, key=lambda draft: draft.rank)
    count = 2 ** len(ranked) - 1
    masks = set(range(1, count + 1)) if count <= most else _drawn(ranked, most, seed, question_id)
    order = sorted(masks, key=lambda mask: (-mask.bit_count(), mask))
    chosen = [[draft for at, draft in enumerate(ranked) if mask >> at & 1] for mask in order]
    return [tuple([draft for draft in drafts if draft in each]) for each in chosen]


def _drawn(ranked: Sequence[Draft], most: int, seed: int, question_id: str) -> set[int]:
    random = Random(f"{seed}:subsets:{question_id}")
    masks: set[int] = set()
    while len(masks) < most:
        masks.add(random.randrange(1, 2 ** len(ranked)))
    return masks


def _heard(drafts: Sequence[Draft]) -> tuple[tuple[Draft, ...], tuple[Draft, ...]]:
    """Drafts with text, and those without."""
    heard = tuple([draft for draft in drafts if draft.text])
    return heard, tuple([draft for draft in drafts if not draft.text])


def _nobody(silent: tuple[Draft, ...]) -> Conclusion:
    return Conclusion(None, "", (), silent, "no draft has any text")


def _at_least_one(count: int) -> None:
    if count < 1:
        raise InputError(f"`subsets` is at least 1, not {count}")
