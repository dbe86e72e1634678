"""YAML files to checked instances: scalars, refusals, caps, and where each error points."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orchestra.config import (
    DECLARED,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_ERRORS,
    SECRET,
    Document,
    KeyPath,
    Problem,
    examine,
    read_text,
    read_yaml,
    shorten,
    spell,
)
from orchestra.errors import InputError, InputErrors, OrchestraError

# --- text to plain data ----------------------------------------------------------------


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
    read = read_text(f"a: {written}", "f").data["a"]
    assert read == value
    assert type(read) is type(value)


def test_nan_is_read() -> None:
    assert math.isnan(read_text("a: .nan", "f").data["a"])


def test_every_key_and_item_has_its_line() -> None:
    text = "a: 1\n\n# remark\nb:\n  - x\n  -\n    c: {d: 2}\n"
    assert read_text(text, "f").lines == {
        ("a",): 1,
        ("b",): 4,
        ("b", 0): 5,
        ("b", 1): 7,
        ("b", 1, "c"): 7,
        ("b", 1, "c", "d"): 7,
    }


def test_an_alias_repeats_the_whole_value() -> None:
    document = read_text("a: &it {b: [1, 2]}\nc: *it\n", "f")
    assert document.data["c"] == document.data["a"] == {"b": [1, 2]}
    assert document.data["c"] is not document.data["a"]
    assert document.lines["c",] == 2


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
        read_text(text, "f")
    assert caught.value.place.startswith(place)
    assert message in str(caught.value)


def test_keys_that_are_wrong_in_themselves_are_told_together() -> None:
    with pytest.raises(InputErrors) as caught:
        read_text("a: 1\na: 2\n3: b\nc: !x d", "f")
    assert [error.place for error in caught.value.errors] == ["f:2 a", "f:3", "f:4 c"]


def test_a_flood_of_errors_is_cut() -> None:
    with pytest.raises(InputErrors) as caught:
        read_text("a: 1\n" * 500, "f")
    assert len(caught.value.errors) == MAX_ERRORS


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_nesting_is_capped(opening: str) -> None:
    with pytest.raises(InputError, match="nested more than 50 deep"):
        read_text(opening * 100_000, "f")


def test_nesting_up_to_the_cap_is_read() -> None:
    deepest = MAX_DEPTH - 2  # the mapping and its value are levels, too
    data, depth = read_text("a: " + "[" * deepest + "]" * deepest, "f").data["a"], 1
    while data:
        data, depth = data[0], depth + 1
    assert depth == deepest


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
        read_text(text, "f")


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"%#?,~<\\\n\t 01xU.\x00é"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(OrchestraError):
        assert all(line >= 1 for line in read_text(text, "f").lines.values())


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50)
@given(plain)
def test_json_is_read_as_json_reads_it(value: Any) -> None:
    assert read_text(json.dumps({"a": value}), "f").data == {"a": value}


@pytest.mark.parametrize(
    ("path", "spelt"),
    [
        ((), ""),
        (("experts", 2, "price", "input"), "experts[2].price.input"),
        ((0, "a"), "[0].a"),
        (("a b", "c.d"), "['a b']['c.d']"),
    ],
)
def test_spell(path: KeyPath, spelt: str) -> None:
    assert spell(path) == spelt


def test_shorten_keeps_both_ends() -> None:
    assert shorten("short") == "'short'"
    cut = shorten("begin" + "x" * 1000 + "end")
    assert len(cut) <= 60
    assert cut.startswith("'begin")
    assert cut.endswith("end'")


# --- files ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Price:
    input: Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Part:
    price: Price


@dataclass(frozen=True)
class Whole:
    __pydantic_config__ = DECLARED

    parts: tuple[Part, ...]


GOOD = "parts:\n  - price:\n      input: 0.5\n"
BAD = "part: 1\nparts:\n  - price: {inptu: 1}\n  - price:\n      input: -1\n"


def written(folder: Path, content: bytes) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(content)
    return path


def test_a_file_knows_its_path(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.encode())
    assert read_yaml(path) == Document(str(path), *read_parts(GOOD), path)


def read_parts(text: str) -> tuple[Mapping[str, Any], Mapping[KeyPath, int]]:
    document = read_text(text)
    return document.data, document.lines


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    assert read_yaml(written(tmp_path, b"\xef\xbb\xbfa: 1")).data == {"a": 1}


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (b"", "", "the file is empty"),
        (b"a: 1\nb: \xff", ":2", "not UTF-8 text: byte 0xff"),
        ("a: 1\nb: ü".encode("latin-1"), ":2", "not UTF-8 text"),
        ("a: 1".encode("utf-16"), ":1", "not UTF-8 text"),
        (b"a: [", ":1:5", "not YAML"),
        (b"- 1", ":1", "must be a mapping (`key: value` lines), not a list"),
        (b"just text", ":1", "not a single value"),
        (b"a" * (MAX_BYTES + 1), "", "larger than 1000000 bytes"),
    ],
)
def test_a_bad_file(tmp_path: Path, content: bytes, place: str, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_yaml(path)
    assert caught.value.place == f"{path}{place}"
    assert message in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_yaml(tmp_path / "absent.yaml")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this is a folder"):
        read_yaml(tmp_path)


@pytest.mark.parametrize("name", ["zero\0byte", "long" * 1000])
def test_a_path_that_cannot_be(name: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml(name)


def test_a_file_is_an_instance_or_all_its_errors_in_the_files_order() -> None:
    instance, none = examine(read_text(GOOD), Whole)
    assert instance == Whole((Part(Price(0.5)),))
    assert none == []
    document = read_text(BAD, "roster.yaml")
    nothing, problems = examine(document, Whole)
    assert nothing is None
    assert [error.place for error in document.errors(problems)] == [
        "roster.yaml:1 part",
        "roster.yaml:3 parts[0].price",
        "roster.yaml:3 parts[0].price.inptu",
        "roster.yaml:5 parts[1].price.input",
    ]


def test_text_has_the_same_limit_as_a_file() -> None:
    with pytest.raises(InputError, match="larger than"):
        read_text("a" * (MAX_BYTES + 1), "f")


def test_places_fall_back_to_what_is_known() -> None:
    document = read_text("a:\n  b: {c: 1}\n", "f")
    assert document.place(("a", "b", "missing", 3)) == "f:2 a.b.missing[3]"
    assert document.place(("nowhere",)) == "f nowhere"
    assert document.place(()) == "f"
    assert Document("", {"a": 1}, {}).place(("a",)) == "a"


# --- plain data to instances ----------------------------------------------------------


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


def _even(value: int) -> int:
    if value % 2:
        raise ValueError(f"{value} is odd", "add one")
    return value


@dataclass(frozen=True, slots=True)
class Leaf:
    depth: Annotated[int, Field(ge=1, lt=10)]
    """How deep it is."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    code: Annotated[str, Field(pattern="^[a-z]+$", max_length=4)] = "ab"
    password: Annotated[str, Field(max_length=4), SECRET] = ""


@dataclass(frozen=True)
class Options:
    width: int
    mode: Literal["fast", "exact"] = "fast"


@dataclass(frozen=True)
class Tree:
    __pydantic_config__ = DECLARED

    colour: Colour = Colour.RED
    version: Literal[1, 2] = 1
    leaves: tuple[Leaf, ...] = ()
    named: Mapping[str, Leaf] = field(default_factory=dict)
    pair: tuple[int, Leaf] | None = None
    stage: str | Options | None = None
    choice: Literal["first", "second"] | Options = "first"
    many: Annotated[tuple[str, ...], Field(min_length=1)] = ("x",)
    even: Annotated[int, AfterValidator(_even)] = 0
    on: bool = False
    where: Path | None = None


@dataclass(frozen=True)
class Needy:
    __pydantic_config__ = DECLARED

    name: str
    """What it
    is called."""


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind_: str = Field(default="", alias="kind")


def problems(data: Any, kind: type[Any] = Tree) -> list[Problem]:
    instance, wrong = examine(Document("", data, {}), kind)
    assert instance is None
    return wrong


@pytest.mark.parametrize(
    ("data", "path", "message", "hint"),
    [
        ({"colur": "red"}, ("colur",), "unknown key: 'colur'", "did you mean `colour`?"),
        ({"colour": "gren"}, ("colour",), "unknown colour: 'gren'", "did you mean `green`"),
        ({"version": 3}, ("version",), "`version` must be `1` or `2`, not 3", ""),
        ({"version": "1"}, ("version",), "`version` must be `1` or `2`, not '1'", ""),
        ({"leaves": 3}, ("leaves",), "`leaves` must be a list, not 3", ""),
        ({"leaves": [None]}, ("leaves", 0), "`leaves[0]` must be a mapping, not nothing", ""),
        ({"leaves": [{}]}, ("leaves", 0), "`depth` is missing", ""),
        (
            {"leaves": [{"depth": 0}]},
            ("leaves", 0, "depth"),
            "`depth` must be at least 1, not 0",
            "",
        ),
        (
            {"leaves": [{"depth": True}]},
            ("leaves", 0, "depth"),
            "`depth` must be a whole number, not true",
            "",
        ),
        (
            {"named": {"x": {"depth": 1, "shar": 1}}},
            ("named", "x", "shar"),
            "unknown key: 'shar'",
            "did you mean `share`?",
        ),
        (
            {"named": {"x": {"depth": 1, "share": 1.5}}},
            ("named", "x", "share"),
            "`share` must be at most 1, not 1.5",
            "",
        ),
        (
            {"named": {"x": {"depth": 1, "share": float("nan")}}},
            ("named", "x", "share"),
            "`share` must be a finite number, not nan",
            "",
        ),
        (
            {"named": {"x": {"depth": 1, "code": "A"}}},
            ("named", "x", "code"),
            "`code` must be text of the form `^[a-z]+$`, not 'A'",
            "",
        ),
        (
            {"named": {"x": {"depth": 1, "password": "hunter2"}}},
            ("named", "x", "password"),
            "`password` must be text of at most 4 characters",
            "",
        ),
        (
            {"pair": (1, {"dept": 2, "depth": 2})},
            ("pair", 1, "dept"),
            "unknown key: 'dept'",
            "did you mean `depth`",
        ),
        ({"many": []}, ("many",), "`many` must not be empty", ""),
        ({"many": ["a", 2]}, ("many", 1), "`many[1]` must be text, not 2", ""),
        ({"even": 3}, ("even",), "3 is odd", "add one"),
        ({"on": 1}, ("on",), "`on` must be true or false, not 1", ""),
        ({"where": 1}, ("where",), "`where` must be a path, not 1", ""),
        (3, (), "the document must be a mapping, not 3", ""),
    ],
)
def test_one_error(data: Any, path: KeyPath, message: str, hint: str) -> None:
    (only,) = problems(data)
    assert (only.path, only.message) == (path, message)
    assert only.hint.startswith(hint)


def test_what_is_missing_is_described() -> None:
    assert problems({}, Needy) == [Problem((), "`name` is missing", "what it is called")]


def test_a_model_is_described_by_its_aliases() -> None:
    (only,) = problems({"kid": "x"}, Model)
    assert (only.message, only.hint) == (
        "unknown key: 'kid'",
        "did you mean `kind`? allowed: `kind`",
    )


def test_lists_and_mappings_are_converted_and_nothing_else_is() -> None:
    data = {"leaves": [{"depth": 2, "share": 1}], "colour": "green", "where": "a/b", "even": 2}
    tree, none = examine(Document("", data, {}), Tree)
    assert none == []
    leaf = Leaf(2, 1.0)
    assert tree == Tree(Colour.GREEN, leaves=(leaf,), where=Path("a/b"), even=2)
    for wrong in ({"even": "2"}, {"even": 2.0}, {"even": True}, {"on": "true"}, {"many": [1]}):
        assert len(problems(wrong)) == 1


def test_an_item_that_is_wrong_does_not_make_its_list_empty() -> None:
    assert problems({"many": [2]}) == [Problem(("many", 0), "`many[0]` must be text, not 2")]


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        ({"stage": 3}, ("stage",), "`stage` must be text or a mapping, not 3"),
        ({"stage": {}}, ("stage",), "`width` is missing"),
        ({"stage": {"width": 1, "hue": 2}}, ("stage", "hue"), "unknown key: 'hue'"),
        ({"stage": {"width": 1, "mode": "fats"}}, ("stage", "mode"), "unknown mode: 'fats'"),
        ({"choice": "frist"}, ("choice",), "unknown choice: 'frist'"),
        (
            {"choice": {"width": "x"}},
            ("choice", "width"),
            "`width` must be a whole number, not 'x'",
        ),
    ],
)
def test_a_union_speaks_with_one_voice(data: Any, path: KeyPath, message: str) -> None:
    (only,) = problems(data)
    assert (only.path, only.message) == (path, message)


def test_everything_is_told_at_once() -> None:
    data = {"colr": 1, "even": 1, "leaves": [{"depth": 0}, {"depth": "x", "shar": 2}]}
    assert {each.path for each in problems(data)} == {
        ("colr",),
        ("even",),
        ("leaves", 0, "depth"),
        ("leaves", 1, "depth"),
        ("leaves", 1, "shar"),
    }


def test_a_long_value_is_cut() -> None:
    (only,) = problems({"leaves": "x" * 10_000})
    assert len(only.message) < 120
