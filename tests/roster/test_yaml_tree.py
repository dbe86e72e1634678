"""YAML text to data and lines: scalars, refusals, and the caps that hostile text runs into."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError, InputErrors, OrchestraError
from orchestra.roster.yaml_tree import MAX_DEPTH, MAX_ERRORS, Spot, parse, shorten, spell


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("2024-05-13", "2024-05-13"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("12", 12),
        ("-7", -7),
        ("012", 12),
        ("0o17", 15),
        ("0xFf", 255),
        ("9223372036854775807", 2**63 - 1),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("3.", 3.0),
        ("-.inf", -math.inf),
        ("~", None),
        ("null", None),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!int 12", 12),
        ("|\n  two\n  lines", "two\nlines"),
        ("[1, a, {b: c}]", [1, "a", {"b": "c"}]),
        ("{}", {}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, value: object) -> None:
    read = parse(f"a: {written}", "f").data["a"]
    assert read == value
    assert type(read) is type(value)


def test_nan_is_read() -> None:
    assert math.isnan(parse("a: .nan", "f").data["a"])


def test_every_key_and_item_has_its_line() -> None:
    text = "a: 1\n\n# remark\nb:\n  - x\n  -\n    c: {d: 2}\n"
    assert parse(text, "f").lines == {
        ("a",): 1,
        ("b",): 4,
        ("b", 0): 5,
        ("b", 1): 7,
        ("b", 1, "c"): 7,
        ("b", 1, "c", "d"): 7,
    }


def test_an_alias_repeats_the_whole_value() -> None:
    tree = parse("a: &it {b: [1, 2]}\nc: *it\n", "f")
    assert tree.data["c"] == tree.data["a"] == {"b": [1, 2]}
    assert tree.data["c"] is not tree.data["a"]
    assert tree.lines["c",] == 2


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "f", "the file is empty"),
        ("# only a remark\n", "f", "the file is empty"),
        ("a: 1\nb: [1, 2", "f:2:", "expected ',' or ']'"),
        ("a: 1\n\tb: 2", "f:2:1", "indent with spaces, not tabs"),
        ("a: b: c", "f:1:5", "put text that holds `: ` in quotes"),
        ("a: 1\n---\nb: 2", "f:2:1", "one file holds one document"),
        ("a: *nowhere", "f:1:4", "undefined alias"),
        ("a: 1\nb: \x07", "f:2", r"the character '\x07' is not allowed"),
        ('a: "\\UFFFFFFFF"', "f:1", "out of range"),
        ('a: "\\ud800"', "f:1 a", "half of a surrogate pair"),
        ("a: 99999999999999999999", "f:1 a", "does not fit into 64 bits"),
        ("a: " + "9" * 6000, "f:1 a", "does not fit into 64 bits"),
        ("a: 0x" + "f" * 6000, "f:1 a", "does not fit into 64 bits"),
        ("1: a", "f:1", "a key must be text, not '1'"),
        ("a: {true: b}", "f:1 a", 'put it in quotes: "true"'),
        ("? [a]\n: b", "f:1", "a key must be text, not a list or mapping"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "f:3 c", "merge keys"),
        ("a: !!python/object:os.system {}", "f:1 a", "the tag `!!python/object:os.system`"),
        ("!mine a: 1", "f:1", "the tag `!mine` is not read"),
        ("a: !!int x", "f:1 a", "the tag `!!int` is not read"),
        ("a:\n  - b: 1\n    b: 2", "f:3 a[0].b", "the key `b` is given twice, first on line 2"),
    ],
)
def test_what_is_refused_and_where(text: str, place: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, "f")
    assert caught.value.place.startswith(place)
    assert message in str(caught.value)


def test_keys_that_are_wrong_in_themselves_are_told_together() -> None:
    with pytest.raises(InputErrors) as caught:
        parse("a: 1\na: 2\n3: b\nc: !x d", "f")
    assert [error.place for error in caught.value.errors] == ["f:2 a", "f:3", "f:4 c"]


def test_a_flood_of_errors_is_cut() -> None:
    with pytest.raises(InputErrors) as caught:
        parse("a: 1\n" * 500, "f")
    assert len(caught.value.errors) == MAX_ERRORS


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_nesting_is_capped(opening: str) -> None:
    with pytest.raises(InputError, match="nested more than 50 deep"):
        parse(opening * 100_000, "f")


def test_nesting_up_to_the_cap_is_read() -> None:
    data = parse("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), "f").data
    depth = 0
    while data:
        data, depth = data[0], depth + 1
    assert depth == MAX_DEPTH - 2


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)),
    ],
    ids=["list in itself", "mapping in itself", "laughs"],
)
def test_aliases_that_multiply_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="once aliases are written out"):
        parse(text, "f")


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"%#?,~<\\\n\t 01xU.\x00é"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(OrchestraError):
        assert all(line >= 1 for line in parse(text, "f").lines.values())


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50)
@given(plain)
def test_json_is_read_as_json_reads_it(value: Any) -> None:
    assert parse(json.dumps({"a": value}), "f").data == {"a": value}


@pytest.mark.parametrize(
    ("spot", "spelt"),
    [
        ((), ""),
        (("experts", 2, "price", "input"), "experts[2].price.input"),
        ((0, "a"), "[0].a"),
        (("a b", "c.d"), "['a b']['c.d']"),
    ],
)
def test_spell(spot: Spot, spelt: str) -> None:
    assert spell(spot) == spelt


def test_shorten_keeps_both_ends() -> None:
    assert shorten("short") == "'short'"
    cut = shorten("begin" + "x" * 1000 + "end")
    assert len(cut) <= 60
    assert cut.startswith("'begin")
    assert cut.endswith("end'")
