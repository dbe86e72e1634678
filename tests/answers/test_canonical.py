"""Equal answers are equal strings, and what is no answer of its kind is None."""

from __future__ import annotations

import ast
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.answers import canonical, read
from orchestra.answers.open_ended import hashes
from orchestra.records import Generation, Kind, Question

NUMBERS = [
    ("7", "7"),
    ("007", "7"),
    ("7.00", "7"),
    ("+7", "7"),
    ("-7", "-7"),
    ("- 7", "-7"),
    ("x-7", None),
    ("route-66", "66"),
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
    ("5 + 3 =", None),
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
    # what stands behind a literal, and what it is compared with
    ("[1, 2].", "[1, 2]"),
    ("'abc'.", "'abc'"),
    ("-5.", "-5"),
    ("5.0.", "5.0"),
    ("True.", "True"),
    ("[1, 2]  # sorted", "[1, 2]"),
    ("{'a': 1};", "{'a': 1}"),
    ("[1, 2]</s>", "[1, 2]"),
    ("None<|im_end|>", "None"),
    ("'abc'**", "'abc'"),
    ("[1, 2] because the list is sorted", "[1, 2]"),
    ("'a b'. So it is a string.", "'a b'"),
    ("assert f('a) == b') == 'c'", "'c'"),
    ("f('x') == 'abc'", "'abc'"),
    ("f([1, 2])==[3]  # checked", "[3]"),
    ("d['a == b'] == (1, 2)", "(1, 2)"),
    ("assert f(2) == word", "'word'"),
    ("assert f(2) == [1, 2], 'not == [1]'", "[1, 2]"),
    ("assert {1: 2} == f('==', 2)", "{1: 2}"),
    ("assert f(2) is None", "None"),
    ("f('a -> b', 1) -> [3]", "[3]"),
    ("[1, 2],", "[1, 2]"),
    # any minus sign, outside strings
    ("\u22125", "-5"),
    ("[\u22121, \u20132.5, '\u22123']", "[-1, -2.5, '\u22123']"),
    ("1\u22122j", "(1-2j)"),
    # expressions are no literals
    ("'abc' + 'd'", "\"'abc' + 'd'\""),
    ("[1] * 2", "'[1] * 2'"),
    ("'a'[0]", "\"'a'[0]\""),
    ("'a' comes before 'b'", "\"'a' comes before 'b'\""),
    ("3 apples", "'3 apples'"),
    ("x == y", "'x == y'"),
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
    ("\u22128", "-8"),
    ("x \u2264 1", "x <= 1"),
    ("x \u2260 1", "x != 1"),
    ("2\u00b3 m\u00b2", "2^3 m^2"),
    ("2\u00bd", "2 1/2"),
    (".5", "0.5"),
    ("Wow!!", "wow"),
    ("\u201cParis\u201d \u2014 the capital\u2026", "paris capital"),
    ("#1 Paris\u200b", "1 paris"),
    ("[0, 1)", "[0,1)"),
    ("5~\\mathrm{~J}", "5 mathrm j"),
    ("H\u2082O", "h2o"),
]
OPPOSITES = [
    *(("C#", "C"), ("F\u266f", "F\u266d"), ("x \u2264 1", "x \u2265 1"), ("x != 1", "x = 1")),
    *(("\u2200x P(x)", "\u2203x P(x)"), ("A \u222a B", "A \u2229 B"), ("a & b", "a | b")),
    *(("a && b", "a || b"), ("\u221a2", "2"), ("\u00b15", "5"), ("\u00acp", "p"), ("~p", "p")),
    *(("!a", "a"), ("n!", "n"), ("5!", "5"), ("(2n)!", "2n"), ("|x|", "x"), ("f'(x)", "f(x)")),
    *(
        ("2\u00b3", "23"),
        ("2\u00bd", "21/2"),
        ("[0, 1)", "(0, 1]"),
        ("[0, 1]", "(0, 1)"),
    ),
    *(
        ("\u230ax\u230b", "\u2308x\u2309"),
        ("\u20ac5", "\u00a35"),
        ("5\u2030", "5"),
        ("x\u0304", "x"),
    ),
    *(("\u0915\u093f", "\u0915\u0940"), ("a \u2191", "a \u2193"), ("p \u21d2 q", "p \u21d0 q")),
    *(("x \u2208 A", "x \u2209 A"), ("A \u2282 B", "A \u2283 B"), ("\u25a1p", "\u25c7p")),
    *(
        ("\u22128", "8"),
        ("\u20138", "+8"),
        ("10\u207b\u2078", "10\u2078"),
        ("a \u226a b", "a \u226b b"),
    ),
]
"""Texts with other meanings that differ in a symbol only."""
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


@pytest.mark.parametrize(("one", "other"), OPPOSITES, ids=ascii)
def test_a_symbol_that_carries_meaning_is_kept(one: str, other: str) -> None:
    assert canonical(one, Kind.TEXT) != canonical(other, Kind.TEXT)
    boxed = Generation("k", "q", "e", f"\\boxed{{{one}}}")
    assert read(Question("q", "?", (other, "banana", "cherry")), boxed).value is None
    assert read(Question("q", "?", (other, one)), boxed).value == "B"


OPTIONS = ("8", "\u22128", "80", "x \u2264 1", "x \u2265 1", "A \u222a B", "C#", "-8 m")
STATED = [
    *(("The answer is \u22128.", "B"), ("The answer is -8.", "B"), ("\\boxed{\u20138}", "B")),
    *(("It is cold.\n\u22128 m", "H"), ("The answer is 8.", "A"), ("The answer is \uff0d8.", "B")),
    *(("The answer is x \u2265 1.", "E"), ("The answer is A \u2229 B.", None)),
    *(("The answer is C#.", "G"), ("The answer is +8.", None), ("The answer is x > 1.", None)),
    *(("The answer is A \u222a B.", "F"), ("The answer is \u22128%.", None)),
]


@pytest.mark.parametrize(("text", "letter"), STATED, ids=ascii)
def test_options_are_told_apart_by_their_symbols(text: str, letter: str | None) -> None:
    question = Question("q", "?", OPTIONS)
    assert read(question, Generation("k", "q", "e", text)).value == letter


@given(st.text(max_size=80), st.sampled_from(sorted(Kind)))
def test_a_canonical_value_is_its_own(text: str, kind: Kind) -> None:
    spelled = canonical(text, kind)
    assert spelled is None or canonical(spelled, kind) == spelled


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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("So\n#### Paris", "Paris"),
        ("So\n#### Paris \n", "Paris"),
        ("#### Result\nIt is Paris.", None),
    ],
)
def test_what_stands_behind_the_last_hashes_ends_the_text(text: str, value: str | None) -> None:
    found = hashes(text, Question("q", "?", kind=Kind.TEXT))
    assert (found and found.value.strip()) == value
