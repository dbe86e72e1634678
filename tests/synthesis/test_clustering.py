"""Who stands apart, and when nobody is said to."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.records import Kind, Question
from orchestra.skills import LexicalEmbedder
from orchestra.synthesis import Draft, Parting
from tests.synthesis.panels import Degrees, spoken

CHOICE = Question("q", "Which one?", ("one", "two", "three"))
TEXT = Question("q", "Say why.", kind=Kind.TEXT)


def apart(said: str, question: Question = CHOICE, *, gate: bool = True) -> tuple[str, str]:
    """The names in the smaller cluster, and the reason."""
    parted = Parting(Degrees(), gate).part(question, spoken(said))
    return "".join(draft.expert for draft in parted.smaller), parted.reason


@pytest.mark.parametrize(
    ("said", "smaller", "reason"),
    [
        # Answers tell.
        ("A@0 A@50 A@99", "", "all answers are the same"),
        ("A@0 A@90 B@1", "c", "2 of 3 answers are 'A'"),
        ("B@0 A@90 A@1 A@45 C@2", "ae", "3 of 5 answers are 'A'"),
        # A draft without an answer goes with those that it is like.
        ("A@0 A@5 A@9 B@90 -@80", "de", "3 of 4 answers are 'A'"),
        ("A@0 A@5 B@90 -@3", "c", "2 of 3 answers are 'A'"),
        ("A@0 A@5 B@90 -@80", "", "too many drafts without an answer are not like 'A'"),
        ("A@0 A@90 -@45", "", "all answers are the same"),
        # They do not: texts are compared.
        ("A@0 B@3 C@90", "c", "texts stand apart: silhouette 0.67"),
        ("A@0 B@30 C@60", "", "texts do not stand apart: silhouette 0.24, at most 0.25"),
        ("-@0 -@5 -@90", "c", "texts stand apart: silhouette 0.66"),
        ("A@0 A@5 B@80 B@85", "", "neither half of the texts is smaller"),
        ("-@7 -@7 -@7", "", "all texts are alike"),
        # Nobody is a minority of two.
        ("A@0 B@90", "", "fewer than three drafts"),
        ("A@0", "", "fewer than three drafts"),
    ],
)
def test_with_the_gate(said: str, smaller: str, reason: str) -> None:
    assert apart(said) == (smaller, reason)


@pytest.mark.parametrize(
    ("said", "smaller"),
    [
        ("A@0 A@49 A@99", "c"),  # answers are not looked at
        ("A@0 A@90 B@1", "b"),
        ("A@0 B@30 C@60", "c"),  # of two equal ways the first by name is kept
        ("A@7 A@7 A@7", ""),  # there are no two clusters
        ("A@0 A@20 B@80 B@85", "ab"),  # of equal sizes the tighter
        ("A@0 A@5 B@80 B@85", "cd"),  # or the one with the first expert
        ("A@0 B@90", "b"),
        ("A@0", ""),
    ],
)
def test_without_the_gate(said: str, smaller: str) -> None:
    assert apart(said, gate=False)[0] == smaller


@pytest.mark.parametrize(
    ("kind", "smaller"),
    [
        (Kind.CHOICE, "c"),
        (Kind.NUMBER, "c"),
        (Kind.LITERAL, "c"),
        (Kind.TEXT, "b"),
        (Kind.CODE, "b"),
    ],
)
def test_only_closed_answers_are_counted(kind: Kind, smaller: str) -> None:
    assert apart("7@0 7@90 8@1", Question("q", "What?", kind=kind))[0] == smaller


def test_the_order_given_is_kept() -> None:
    given_, back = spoken("B@0 A@90 A@1 A@45 C@2"), spoken("B@0 A@90 A@1 A@45 C@2")[::-1]
    assert [d.expert for d in Parting(Degrees()).part(CHOICE, given_).larger] == ["b", "c", "d"]
    assert [d.expert for d in Parting(Degrees()).part(CHOICE, back).larger] == ["d", "c", "b"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("A@0 B@3 C@90", True),
        ("A@0 A@3 B@90 -@4", True),
        ("A@0 A@3 B@90", False),  # answers told
        ("A@0 A@3 A@90", False),
    ],
)
def test_spelling_is_told_of_where_texts_were_compared(said: str, told: bool) -> None:
    parted = Parting(LexicalEmbedder()).part(CHOICE, spoken(said))
    assert any("by spelling" in note for note in parted.notes) == told
    assert Parting(Degrees()).part(CHOICE, spoken(said)).notes == ()


values = st.sampled_from("ABC-")
panels = st.lists(st.tuples(values, st.integers(0, 120)), min_size=1, max_size=12).map(
    lambda rows: " ".join(f"{value}@{angle}" for value, angle in rows)
)
questions = st.sampled_from([CHOICE, TEXT])


@given(panels, questions, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_drafts_does_not_matter(
    said: str, question: Question, gate: bool, random: Random
) -> None:
    drafts = spoken(said)
    shuffled = random.sample(drafts, len(drafts))
    parting = Parting(Degrees(), gate)
    one, two = parting.part(question, drafts), parting.part(question, shuffled)
    assert set(one.larger) == set(two.larger)
    assert one.reason == two.reason


@given(panels, questions)
def test_behind_the_gate_only_a_minority_is_smaller(said: str, question: Question) -> None:
    parted = Parting(Degrees()).part(question, spoken(said))
    assert len(parted.smaller) < len(parted.larger)


@given(st.integers(1, 12), st.text(min_size=1), questions, st.booleans())
def test_an_honest_panel_that_agrees_is_never_parted(
    count: int, text: str, question: Question, gate: bool
) -> None:
    drafts = [Draft.written(f"e{i}", text, "A") for i in range(count)]
    assert Parting(LexicalEmbedder(), gate).part(question, drafts).smaller == ()


@given(
    st.lists(st.integers(0, 12), min_size=2, max_size=11),
    st.integers(60, 110),
    st.booleans(),
    st.data(),
)
def test_one_that_stands_apart_is_dropped(
    near: list[int], far: int, gate: bool, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(near)))
    said = [f"-@{angle}" for angle in near]
    said.insert(place, f"-@{far}")
    drafts = spoken(" ".join(said))
    assert Parting(Degrees(), gate).part(TEXT, drafts).smaller == (drafts[place],)


@given(st.lists(st.integers(0, 180), min_size=3, max_size=12), st.data())
def test_one_other_answer_is_dropped_whatever_the_texts(
    angles: list[int], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(angles) - 1))
    said = [f"{'B' if i == place else 'A'}@{angle}" for i, angle in enumerate(angles)]
    drafts = spoken(" ".join(said))
    assert Parting(Degrees()).part(CHOICE, drafts).smaller == (drafts[place],)
