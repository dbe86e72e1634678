"""Files to documents to models: every way a file can be wrong, and where the error points."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from orchestra.errors import InputError, InputErrors
from orchestra.roster.document import (
    MAX_BYTES,
    Document,
    examine,
    read_text,
    read_yaml,
    validate,
    validate_text,
)


class Price(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input: float = Field(ge=0)


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    price: Price


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    parts: list[Part]


GOOD = "parts:\n  - price:\n      input: 0.5\n"
BAD = "part: 1\nparts:\n  - price: {inptu: 1}\n  - price:\n      input: -1\n"


def written(folder: Path, content: bytes) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(content)
    return path


def test_a_good_file_becomes_its_model(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.encode())
    document = read_yaml(path)
    assert document.path == path
    assert validate(document, Whole).parts[0].price.input == 0.5


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


def test_all_errors_come_at_once_in_the_files_order() -> None:
    with pytest.raises(InputErrors) as caught:
        validate_text(BAD, Whole, name="roster.yaml")
    assert [error.place for error in caught.value.errors] == [
        "roster.yaml:1 part",
        "roster.yaml:3 parts[0].price",
        "roster.yaml:3 parts[0].price.inptu",
        "roster.yaml:5 parts[1].price.input",
    ]


def test_one_error_is_raised_as_itself() -> None:
    with pytest.raises(InputError) as caught:
        validate_text("parts:\n- price: {input: x}", Whole, name="f")
    assert not isinstance(caught.value, InputErrors)
    assert caught.value.place == "f:2 parts[0].price.input"
    assert caught.value.__cause__ is None


def test_examine_tells_instead_of_raising() -> None:
    instance, none = examine(read_text(GOOD), Whole)
    assert instance is not None
    assert none == []
    nothing, found = examine(read_text(BAD), Whole)
    assert nothing is None
    assert len(found) == 4


def test_text_has_the_same_limit_as_a_file() -> None:
    with pytest.raises(InputError, match="larger than"):
        read_text("a" * (MAX_BYTES + 1), "f")


def test_places_fall_back_to_what_is_known() -> None:
    document = read_text("a:\n  b: {c: 1}\n", "f")
    assert document.place(("a", "b", "missing", 3)) == "f:2 a.b.missing[3]"
    assert document.place(("nowhere",)) == "f nowhere"
    assert document.place(()) == "f"
    assert Document("", {"a": 1}, {}).place(("a",)) == "a"
