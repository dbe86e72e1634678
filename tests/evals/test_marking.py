"""Right, wrong or absent, for every kind of answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.answers import canonical, read
from orchestra.evals import Item, mark_answer, mark_decision, same
from orchestra.evals.marking import mark_all
from orchestra.records import (
    Absence,
    Answer,
    Decision,
    Failure,
    Generation,
    Kind,
    Mark,
    Outcome,
    Question,
)

CHOICE, NUMBER, LITERAL, TEXT = Kind.CHOICE, Kind.NUMBER, Kind.LITERAL, Kind.TEXT


@pytest.mark.parametrize(
    ("said", "gold", "kind", "wanted"),
    [
        ("B", "B", CHOICE, True),
        ("B", " b ", CHOICE, True),
        ("B", "C", CHOICE, False),
        ("42", "42", NUMBER, True),
        ("42", "42.0", NUMBER, True),
        ("1,000", "1000", NUMBER, True),
        ("$18", "18", NUMBER, True),
        ("1/3", "0.3333333", NUMBER, True),
        ("0.3333333", "1/3", NUMBER, True),
        ("1/3", "0.333", NUMBER, False),
        ("0.1", "0.10000001", NUMBER, True),
        ("0.1", "0.1001", NUMBER, False),
        ("0", "0.0000001", NUMBER, False),
        ("-5", "5", NUMBER, False),
        ("5", "five", NUMBER, False),
        ("'abc'", "abc", LITERAL, True),
        ("'a b'", '"a b"', LITERAL, True),
        ("' a'", "'a'", LITERAL, False),
        ("' a '", "' a '", LITERAL, True),
        ("[1, 2]", "[1,2]", LITERAL, True),
        ("[1, 2]", "(1, 2)", LITERAL, False),
        ("{'b': 1, 'a': 2}", "{'a': 2, 'b': 1}", LITERAL, True),
        ("1", "1.0", LITERAL, True),
        ("1.0", "1", LITERAL, True),
        ("0.30000000000000004", "0.3", LITERAL, True),
        ("[0.30000000000000004]", "[0.3]", LITERAL, True),
        ("{'a': (0.30000000000000004,)}", "{'a': (0.3,)}", LITERAL, True),
        ("{'a': 1}", "{'b': 1}", LITERAL, False),
        ("[1, 2]", "[1]", LITERAL, False),
        ("1000000", "1000001", LITERAL, False),
        ("True", "True", LITERAL, True),
        ("True", "1", LITERAL, False),
        ("[True]", "[1]", LITERAL, False),
        ("False", "0", LITERAL, False),
        ("True", "'True'", LITERAL, False),
        ("None", "''", LITERAL, False),
        ("''", "''", LITERAL, True),
        ("{1, 2}", "{2, 1}", LITERAL, True),
        ("1" + "0" * 400, "1e308", LITERAL, False),
        ("The Eiffel Tower", "eiffel  tower.", TEXT, True),
        ("Eiffel", "Eiffel Tower", TEXT, False),
    ],
)
def test_same(said: str, gold: str, kind: Kind, wanted: bool) -> None:
    value = canonical(said, kind)
    assert value is not None
    assert same(value, gold, kind) is wanted


@pytest.mark.parametrize("kind", list(Kind))
def test_a_gold_that_is_no_answer_is_matched_by_nothing(kind: Kind) -> None:
    assert not same("1", "", kind)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text("ab'\" ", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=6,
)


@given(plain, plain)
def test_literals_are_the_same_as_python_has_it(a: object, b: object) -> None:
    value = canonical(repr(a), LITERAL)
    assert value is not None
    assert same(value, repr(a), LITERAL)
    assert same(value, repr(b), LITERAL) == (repr(a) == repr(b) or _strictly(a, b))


def _strictly(a: object, b: object) -> bool:
    """Equality in which True is not 1."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_strictly, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_strictly(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


ITEM = Item(Question("q", "?", ("one", "two")), "B")
NO_GOLD = Item(Question("q", "?", ("one", "two")), None)


@pytest.mark.parametrize(
    ("value", "absence", "wanted"),
    [
        ("B", None, Mark("q", "e", Outcome.CORRECT, "B")),
        ("A", None, Mark("q", "e", Outcome.WRONG, "A")),
        *[(None, each, Mark("q", "e", Outcome.ABSENT, None, each)) for each in Absence],
        (None, None, Mark("q", "e", Outcome.ABSENT, None, Absence.UNPARSED)),
    ],
)
def test_answers(value: str | None, absence: Absence | None, wanted: Mark) -> None:
    assert mark_answer(Answer("q", "e", value, absence), ITEM) == wanted


@pytest.mark.parametrize("kind", ["crash", "timeout", "no_reply", "not_recorded"])
def test_a_failure_is_never_wrong(kind: str) -> None:
    failed = Generation("k", "q", "e", text="", failure=Failure(kind))
    mark = mark_answer(read(ITEM.question, failed), ITEM)
    assert mark.outcome is Outcome.ABSENT
    assert mark.absence in (Absence.FAILED, Absence.NOT_RECORDED)


@pytest.mark.parametrize(
    ("value", "abstained", "outcome", "absence"),
    [
        ("B", None, Outcome.CORRECT, None),
        ("A", None, Outcome.WRONG, None),
        (None, "truncated", Outcome.ABSENT, Absence.TRUNCATED),
        (None, "no_votes", Outcome.ABSENT, Absence.UNPARSED),
    ],
)
def test_decisions(
    value: str | None, abstained: str | None, outcome: Outcome, absence: Absence | None
) -> None:
    decision = Decision("q", value, None, "majority", abstained=abstained)
    assert mark_decision(decision, ITEM, who="p") == Mark("q", "p", outcome, value, absence)


def test_without_gold_there_is_no_mark() -> None:
    with pytest.raises(ValueError, match="no gold"):
        mark_answer(Answer("q", "e", "B"), NO_GOLD)
    with pytest.raises(ValueError, match="no gold"):
        mark_decision(Decision("q", "B", None, "m"), NO_GOLD, who="p")
    assert mark_all([Answer("q", "e", "B")], {"q": NO_GOLD}) == []
