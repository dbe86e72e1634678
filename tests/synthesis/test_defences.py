"""What each defence asks an aggregator, how often, and what it concludes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.records import Kind, Question
from orchestra.synthesis import (
    DEFENCES,
    AggregatorCall,
    Conclusion,
    Defence,
    Draft,
    Reply,
    converse,
    defence,
)
from orchestra.synthesis.defences import subsets
from tests.synthesis.panels import Degrees, spoken

CHOICE = Question("q", "Which one?", ("one", "two", "three"))
TEXT = Question("q", "Say why.", kind=Kind.TEXT)
HONEST, LIAR = "A@0 A@3 A@6", "A@0 A@3 B@90"


def made(name: str, *, gate: bool = True, most: int = 31) -> Defence:
    return defence(name, embedder=Degrees(), gate=gate, subsets=most)


def loudest(consultation: AggregatorCall) -> Reply:
    """An aggregator that believes whoever points furthest, as if it were the most eloquent."""
    draft = max(consultation.drafts, key=lambda each: float(each.text.split()[-1]))
    return Reply(f"so it is {draft.value} {draft.text.split()[-1]}", draft.value)


def names(consultation: AggregatorCall) -> str:
    return "".join(draft.expert for draft in consultation.drafts)


def held(
    asked: Defence,
    said: str,
    question: Question = CHOICE,
    *,
    reply: Callable[[AggregatorCall], Reply] = loudest,
    seed: int = 0,
) -> tuple[Conclusion, list[AggregatorCall]]:
    """The conclusion, and every consultation on the way to it."""
    seen: list[AggregatorCall] = []

    def listen(consultation: AggregatorCall) -> Reply:
        seen.append(consultation)
        return reply(consultation)

    return converse(asked.conduct(question, spoken(said), seed=seed), listen), seen


@pytest.mark.parametrize(
    ("name", "said", "value", "kept", "dropped"),
    [
        ("none", LIAR, "B", "abc", ""),
        ("cluster-filter", LIAR, "A", "ab", "c"),
        ("cluster-filter", HONEST, "A", "abc", ""),
        ("cluster-prompt", LIAR, "B", "abc", ""),
        ("dropout-vote", LIAR, "B", "abc", ""),  # the liar is in four of seven subsets
        # Who has nothing to say is not shown to the aggregator.
        ("none", "A@0 - B@90", "B", "ac", "b"),
        ("cluster-filter", "A@0 - A@3 B@90", "A", "ac", "db"),
        ("dropout-vote", "A@0 - A@3", "A", "ac", "b"),
    ],
)
def test_conclusions(name: str, said: str, value: str, kept: str, dropped: str) -> None:
    found, _ = held(made(name), said)
    assert found.value == value
    assert found.text.startswith(f"so it is {value}")
    assert "".join(each.expert for each in found.kept) == kept
    assert "".join(each.expert for each in found.dropped) == dropped
    assert found.reason


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("none", lambda n: 1),
        ("cluster-filter", lambda n: 1),
        ("cluster-prompt", lambda n: 1),
        ("dropout-vote", lambda n: 2**n - 1),
        ("dropout-cluster", lambda n: 2**n),
    ],
)
def test_how_often_the_aggregator_is_asked(
    name: str, calls: Callable[[int], int], count: int
) -> None:
    said = " ".join(f"A@{20 * i}" for i in range(count))
    found, seen = held(made(name), said)
    assert found.consultations == len(seen) == calls(count) == sum(made(name).rounds(count))


@pytest.mark.parametrize("name", DEFENCES)
def test_of_silence_nothing_is_asked(name: str) -> None:
    found, seen = held(made(name), "- - -")
    assert (found.value, found.text, found.kept, len(found.dropped)) == (None, "", (), 3)
    assert seen == []


@pytest.mark.parametrize("name", DEFENCES)
def test_an_aggregator_that_says_nothing(name: str) -> None:
    found, _ = held(made(name), LIAR, reply=lambda consultation: Reply("", None))
    assert (found.value, found.text) == (None, "")


@pytest.mark.parametrize(
    ("said", "gate", "clusters"),
    [(LIAR, True, (1, 1, 2)), (HONEST, True, ()), (HONEST, False, (1, 1, 2))],
)
def test_cluster_and_prompt_tells_of_clusters(
    said: str, gate: bool, clusters: tuple[int, ...]
) -> None:
    _, seen = held(made("cluster-prompt", gate=gate), said)
    assert [each.clusters for each in seen] == [clusters]
    assert names(seen[0]) == "abc"


# Dropout & Vote


def test_subsets_come_largest_first() -> None:
    _, seen = held(made("dropout-vote"), HONEST)
    assert [names(each) for each in seen] == ["abc", "ab", "ac", "bc", "a", "b", "c"]


@pytest.mark.parametrize("seed", range(5))
def test_ties_are_drawn_by_lot(seed: int) -> None:
    tied = {"ab": "A", "a": "A", "b": "B", "abc": "B", "ac": "C"}
    found, _ = held(
        made("dropout-vote"),
        HONEST,
        reply=lambda each: Reply(names(each), tied.get(names(each))),
        seed=seed,
    )
    assert found.value == Random(f"{seed}:dropout-vote:q").choice(["A", "B"])
    assert found.notes == ("drawn by lot: 2 answers have 2 votes",)
    assert found.text == {"A": "ab", "B": "abc"}[found.value]  # of its supporters who saw most


@pytest.mark.parametrize("question", [CHOICE, TEXT])
def test_what_cannot_be_counted_is_central(question: Question) -> None:
    value = "same" if question is TEXT else None
    angle = {"abc": 84, "ab": 40, "ac": 41, "bc": 42, "a": 0, "b": 43, "c": 44}
    found, _ = held(
        made("dropout-vote"),
        HONEST,
        question,
        reply=lambda each: Reply(f"said {angle[names(each)]}", value),
    )
    assert (found.text, found.value) == ("said 42", value)
    assert found.notes == ("answers were not counted: the most central reply, by degrees",)


def test_many_drafts_have_subsets_drawn() -> None:
    drafts = spoken(" ".join(f"A@{i}" for i in range(9)))
    drawn = subsets(drafts, 31, seed=4, question_id="q")
    assert len(drawn) == len(set(drawn)) == 31
    assert all(drawn)
    assert [len(each) for each in drawn] == sorted(map(len, drawn), reverse=True)
    assert drawn == subsets(drafts, 31, seed=4, question_id="q")
    assert drawn != subsets(drafts, 31, seed=5, question_id="q")
    assert drawn != subsets(drafts, 31, seed=4, question_id="r")
    shares = [sum(draft in each for each in drawn) / 31 for draft in drafts]
    assert all(0.2 < share < 0.8 for share in shares)


@pytest.mark.parametrize(
    ("count", "most", "shown"), [(5, 31, 31), (6, 31, 31), (6, 63, 63), (3, 2, 2)]
)
def test_no_more_subsets_than_asked_for(count: int, most: int, shown: int) -> None:
    drafts = spoken(" ".join(f"A@{i}" for i in range(count)))
    assert len(subsets(drafts, most, seed=0, question_id="q")) == shown


# Dropout & Cluster


def eloquent(consultation: AggregatorCall) -> Reply:
    """Falls for the liar `c` only where nobody else is heard; its own words are of 0 or 120."""
    fooled = names(consultation) == "c"
    return Reply("it is B 120" if fooled else "it is A 0", "B" if fooled else "A")


def test_dropout_cluster_clusters_what_the_aggregator_said_and_not_the_drafts() -> None:
    """The released code computes the replies and then clusters the drafts again."""
    found, seen = held(made("dropout-cluster"), LIAR, reply=eloquent)
    *first, last = seen
    assert [names(each) for each in first] == ["abc", "ab", "ac", "bc", "a", "b", "c"]
    assert [each.text for each in last.drafts] == ["it is A 0"] * 6
    assert {each.expert for each in last.drafts} == {"aggregator"}
    assert [each.sample for each in found.dropped] == [6]
    assert [each.text for each in found.dropped] == ["it is B 120"]
    assert found.value == "A"


def test_drafts_that_stand_apart_do_not_part_replies_that_agree() -> None:
    found, seen = held(
        made("dropout-cluster"), LIAR, reply=lambda each: Reply(f"it is A {len(each.drafts)}", "A")
    )
    assert len(seen[-1].drafts) == 7
    assert found.dropped == ()


def test_dropout_cluster_where_some_subsets_get_no_reply() -> None:
    def forgetful(consultation: AggregatorCall) -> Reply:
        quiet = len(consultation.drafts) == 2
        return Reply("", None) if quiet else Reply("it is A 0", "A")

    found, seen = held(made("dropout-cluster"), LIAR, reply=forgetful)
    assert len(seen[-1].drafts) == 4
    assert [each.sample for each in found.dropped] == [1, 2, 3]


# All of them

panels = st.lists(st.tuples(st.sampled_from("ABC-"), st.integers(0, 120)), min_size=1, max_size=7)


@given(
    panels,
    st.sampled_from(sorted(DEFENCES)),
    st.booleans(),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_the_order_of_drafts_changes_no_conclusion(
    rows: list[tuple[str, int]], name: str, gate: bool, seed: int, random: Random
) -> None:
    drafts = spoken(" ".join(f"{value}@{angle}" for value, angle in rows))
    shuffled = random.sample(drafts, len(drafts))
    asked = made(name, gate=gate, most=20)

    def reply(consultation: AggregatorCall) -> Reply:
        said = max(consultation.drafts, key=lambda each: (float(each.text.split()[-1]), each.rank))
        return Reply(f"it is {said.value} {said.text.split()[-1]}", said.value)

    def concluded(given_: tuple[Draft, ...] | list[Draft]) -> Conclusion:
        return converse(asked.conduct(CHOICE, given_, seed=seed), reply)

    one, two = concluded(drafts), concluded(shuffled)
    assert (one.value, one.text, one.reason) == (two.value, two.text, two.reason)
    assert set(one.kept) == set(two.kept)
    assert set(one.dropped) == set(two.dropped)


@given(panels, st.sampled_from(sorted(DEFENCES)), st.booleans())
def test_everything_is_kept_or_dropped_and_the_same_twice(
    rows: list[tuple[str, int]], name: str, gate: bool
) -> None:
    said = " ".join(f"{value}@{angle}" for value, angle in rows)
    found, seen = held(made(name, gate=gate, most=9), said)
    assert (found, seen) == held(made(name, gate=gate, most=9), said)
    count = len(seen) - 1 if name == "dropout-cluster" else len(rows)
    assert len(found.kept) + len(found.dropped) == count
    assert all(each.drafts for each in seen)


def test_unknown_and_impossible_ones() -> None:
    with pytest.raises(InputError, match="unknown defence: 'cluster-filtr'") as caught:
        defence("cluster-filtr")
    assert "cluster-filter" in str(caught.value)
    with pytest.raises(InputError, match="`subsets` is at least 1, not 0"):
        defence("dropout-vote", subsets=0)


@pytest.mark.parametrize("name", DEFENCES)
def test_defences_go_by_their_names(name: str) -> None:
    assert made(name).name == name


def test_without_an_embedder_spelling_is_told_of() -> None:
    found = converse(defence("cluster-filter").conduct(TEXT, spoken(LIAR), seed=0), loudest)
    assert "by spelling" in found.notes[0]
