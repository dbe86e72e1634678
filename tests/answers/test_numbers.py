r"""A number is read to the end of its text, with any sign, grouping and fraction, or not at all."""

from __future__ import annotations

import sys
import unicodedata
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestra.answers.canonical import number
from orchestra.answers.numbers import DASHES, spelled, stated

TABLE: dict[str, list[str]] = yaml.safe_load(
    (Path(__file__).parent / "golden_numbers.yaml").read_text(encoding="utf-8")
)
ROWS = [(text, value) for value, texts in TABLE.items() for text in texts]


@pytest.mark.parametrize(("text", "value"), ROWS, ids=[ascii(text) for text, _ in ROWS])
def test_a_text_is_one_number_to_its_end_or_none(text: str, value: str) -> None:
    assert number(text) == (None if value == "absent" else value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((zero, "0") for zero in ("0", "-0", "-0.0", "0/3", r"-\frac{0}{3}")),
        *((text, None) for text in (r"\frac", r"5\frac", r"2 + \frac", r"\frac{1}{2} \frac")),
    ],
)
def test_zero_has_no_sign_and_half_a_fraction_no_value(text: str, value: str | None) -> None:
    assert number(text) == value


def test_every_dash_is_a_minus_sign() -> None:
    """All but the wavy dashes and the rare hyphens of other meaning are signs, or unknown."""
    pd = {chr(i) for i in range(sys.maxunicode) if unicodedata.category(chr(i)) == "Pd"}
    assert {dash for dash in pd if number(f"{dash}5") == "5"} == set()
    assert all(number(f"{dash}5") == "-5" for dash in DASHES)


@pytest.mark.parametrize(
    "char",
    [
        chr(i)
        for i in range(0x80, 0x10000)
        if unicodedata.category(chr(i)) == "No" and 0 < unicodedata.numeric(chr(i)) < 1
    ],
    ids=ascii,
)
def test_every_fraction_of_unicode_is_known(char: str) -> None:
    part = Fraction(unicodedata.numeric(char)).limit_denominator(1_000)
    assert number(char) == spelled(part)
    assert number(f"2{char}") == spelled(2 + part)


GROUPS = st.sampled_from(
    [",", " ", "\u00a0", "\u202f", "\u2009", "'", "\u2019", "_", "{,}", r"\,", "~", r"\ ", ""]
)
UNITS = st.sampled_from(
    ["", " km", " apples a day", "%", r"\text{ m}", " m/s^2", "\u20ac", ".", " </s>"]
)
FRAMES = st.sampled_from(
    ["{}", "${}$", r"\text{{ {} }}", "x = {}", "the total is {}", "({})", "**{}**"]
)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, Fraction]:
    """A number in one of its many spellings, and its value."""
    whole = draw(st.integers(0, 10**12))
    top = draw(st.integers(1, 98))
    below = draw(st.integers(top + 1, 99))
    form = draw(st.sampled_from(["whole", "decimal", "mixed", "fraction", "power"]))
    text = f"{whole:,}".replace(",", draw(GROUPS))
    value = Fraction(whole)
    if form == "decimal":
        text, value = f"{text}.{top:02}", value + Fraction(top, 100)
    elif form == "mixed":
        text = f"{whole}" + draw(
            st.sampled_from([r"\frac{%d}{%d}", " %d/%d", r" \tfrac{%d}{%d}"])
        ) % (top, below)
        value += Fraction(top, below)
    elif form == "fraction":
        text, value = rf"\frac{{{text}}}{{{below}}}", value / below
    elif form == "power":
        text, value = (
            f"{top}{draw(st.sampled_from([' x 10^%d', r' * 10^{%d}']))}" % below,
            Fraction(top * 10**below),
        )
    sign = draw(st.sampled_from(["", "+", *DASHES]))
    frame = draw(FRAMES)
    text = frame.format(sign + text + (draw(UNITS) if form != "fraction" else ""))
    return text, -value if sign not in ("", "+") else value


@given(written())
def test_a_written_number_has_its_value(each: tuple[str, Fraction]) -> None:
    assert number(each[0]) == spelled(each[1])


PIECES = st.sampled_from(
    [
        "1",
        "23",
        "1,000",
        " ",
        ".",
        ",",
        "-",
        "\u2212",
        "+",
        "*",
        "/",
        "^",
        "=",
        "(",
        ")",
        "{",
        "}",
        "$",
        "%",
        "x",
        "m",
    ]
    + [
        r"\frac",
        r"\text",
        r"\sqrt",
        r"\pi",
        r"\,",
        r"\over",
        "\u00bd",
        "\u00b2",
        "and",
        "or",
        "because",
        "'",
        "\u0301",
    ]
)


@given(st.one_of(st.lists(PIECES, max_size=25).map("".join), st.text(max_size=60)))
def test_any_text_is_a_number_that_spells_itself_or_none(text: str) -> None:
    found = number(text)
    assert found is None or number(found) == found


@pytest.mark.parametrize(
    "unit",
    [
        "1",
        "1 ",
        "1 111 ",
        "1,111,",
        "1.1",
        "-",
        "(",
        "(1 ",
        "1 (a ",
        "{",
        r"\frac",
        r"\frac{1}",
        "^",
        "1^",
        "=1",
        "1, x=",
        "a",
        "a b ",
    ]
    + [
        "\\",
        "\u00b2",
        "\u00bd",
        "'",
        "_",
        "*",
        "1/",
        "$",
        "m^",
        "}",
        "w}",
        "1 (or ",
        ",",
        "because ",
        "<|",
        "1e9",
    ],
    ids=ascii,
)
def test_the_work_is_linear_in_the_length(unit: str) -> None:
    """Four times the text is four times the lines that are executed."""
    few, many = (steps(unit * (size // len(unit))) for size in (500, 2_000))
    assert many < 6 * few + 2_000


def steps(text: str) -> int:
    """Lines executed while `text` is read."""
    count = 0

    def trace(*_: object) -> object:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        stated(text)
    finally:
        sys.settrace(before)
    return count
