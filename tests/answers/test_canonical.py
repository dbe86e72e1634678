"""Equal answers are equal strings, and what is no answer of its kind is None."""

from __future__ import annotations

import ast
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.answers import canonical
from orchestra.records import Kind

NUMBERS = [
    ("7", "7"),
    ("007", "7"),
    ("7.00", "7"),
    ("+7", "7"),
    ("-7", "-7"),
    ("- 7", "-7"),
    ("x-7", "7"),
    ("1,000", "1000"),
    ("1,00", "1"),
    ("1,234,567.8900", "1234567.89"),
    ("$ 3.50", "3.5"),
    ("-$3", "-3"),
    ("3e2", "300"),
    ("3E-2", "0.03"),
    ("2 \\cdot 10^3", "2000"),
    ("4/8", "0.5"),
    ("-2/3", "-2/3"),
    ("4 / 6 of it", "2/3"),
    ("1 3/4", "1.75"),
    ("\\frac{-1}{4}", "-0.25"),
    ("5 + 3 = 8", "8"),
    ("5 + 3 =", "5"),
    ("10⁻²", "0.01"),
    ("1\u202f000", "1000"),
    ("1/3 = 0.333...", "0.333"),
    ("0." + "3" * 50, "0." + "3" * 50),
    ("-" + "9" * 60, "-" + "9" * 60),
    ("1e300", "1" + "0" * 300),
    ("1e999", None),
    ("1e-3", "0.001"),
    ("9" * 401, None),
    ("0^-1", None),
    ("9^999", None),
    ("5/0", None),
    ("none", None),
    ("", None),
]
LITERALS = [
    ("[1,2]", "[1, 2]"),
    ('["a"]', "['a']"),
    ("{'b': {2, 1}, 'a': ()}", "{'a': (), 'b': {1, 2}}"),
    ("(1,)", "(1,)"),
    ("set()", "set()"),
    ("1_000", "1000"),
    ("-1.50", "-1.5"),
    ("1-2j", "(1-2j)"),
    ("`[1]`", "[1]"),
    ("'it''s'", "'its'"),
    ("word", "'word'"),
    ("two words", "'two words'"),
    ("1, 2", "'1, 2'"),
    ("'a', 'b'", "('a', 'b')"),
    ("f(1)", "'f(1)'"),
    ("[1, 2", "'[1, 2'"),
    ("[" + "-1, " * 60 + "0]", "[" + "-1, " * 60 + "0]"),
    ("[" * 60 + "]" * 60, repr("[" * 60 + "]" * 60)),
    ("-" * 60 + "1", repr("-" * 60 + "1")),
    ("'\\ud800'", "'\\ud800'"),
    ("\x00", "'\\x00'"),
    ("9" * 5000, repr("9" * 5000)),
    ("'a' " * 100, repr("a" * 100)),
    ("1e999", "'1e999'"),
    ("  ", None),
    ("x" * 20_001, None),
]
TEXTS = [
    ("The  Eiffel Tower.", "eiffel tower"),
    ("U.S.A.", "u.s.a"),
    ("Vitamin A", "vitamin a"),
    ("a = b", "a = b"),
    ("an apple and a pear", "apple and pear"),
    ("Straße", "strasse"),
    ("x^2 + 1", "x^2 + 1"),
    ("snake_case", "snake case"),
    ("?!", None),
    ("w" * 2_001, None),
]
OTHERS = [
    (Kind.CHOICE, " c ", "C"),
    (Kind.CHOICE, "", None),
    (Kind.CODE, "\nx = 1\n", "x = 1"),
    (Kind.CODE, "\n", None),
]
TABLE = [
    *((Kind.NUMBER, *row) for row in NUMBERS),
    *((Kind.LITERAL, *row) for row in LITERALS),
    *((Kind.TEXT, *row) for row in TEXTS),
    *OTHERS,
]


@pytest.mark.parametrize(
    ("kind", "value", "spelled"), TABLE, ids=[f"{kind}-{value[:30]!a}" for kind, value, _ in TABLE]
)
def test_one_spelling(kind: Kind, value: str, spelled: str | None) -> None:
    assert canonical(value, kind) == spelled


@given(st.fractions(max_denominator=10**6))
def test_numbers_keep_their_exact_value(value: Fraction) -> None:
    for written in (f"{value.numerator}/{value.denominator}", f"x = {value}"):
        spelled = canonical(written, Kind.NUMBER)
        assert spelled is not None
        assert Fraction(spelled) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_decimals_are_equal_however_they_are_written(value: object) -> None:
    plainly, grouped = f"{value:f}", f"{value:,f}"
    assert canonical(plainly, Kind.NUMBER) == canonical(grouped, Kind.NUMBER)
    assert Fraction(canonical(plainly, Kind.NUMBER) or "") == Fraction(plainly)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.floats(allow_nan=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.sets(st.integers(), min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@given(VALUES.filter(lambda value: "inf" not in repr(value)))
def test_literals_keep_their_value(value: object) -> None:
    spelled = canonical(repr(value), Kind.LITERAL)
    assert spelled is not None
    assert ast.literal_eval(spelled) == value
    assert canonical(spelled, Kind.LITERAL) == spelled


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=4), st.randoms())
def test_the_order_of_a_dict_does_not_count(value: dict[str, int], shuffler: object) -> None:
    pairs = list(value.items())
    shuffler.shuffle(pairs)  # type: ignore[attr-defined]
    again = canonical(repr(dict(pairs)), Kind.LITERAL)
    assert again == canonical(repr(value), Kind.LITERAL)
