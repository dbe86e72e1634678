"""A manifest says what decided a run, and is read with care."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestra.errors import InputError, InputErrors
from orchestra.runs import Manifest, RunStatus, digest, read_manifest
from orchestra.runs.manifest import SCHEMA, write_manifest

IDENTITY = {"pipeline": digest("p"), "seed": digest(1)}


@pytest.fixture
def manifest() -> Manifest:
    return Manifest.begin(command="run", identity=IDENTITY, details={"seed": 1, "experts": ["a"]})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.json"


def test_what_is_written_is_read(path: Path, manifest: Manifest) -> None:
    write_manifest(path, manifest)
    assert read_manifest(path) == manifest
    assert list(path.parent.iterdir()) == [path]


def test_a_person_can_read_it(path: Path, manifest: Manifest) -> None:
    write_manifest(path, manifest)
    text = path.read_text()
    assert '  "status": "running",\n' in text
    assert text.endswith("}\n")
    assert json.loads(text)["details"] == {"seed": 1, "experts": ["a"]}


def test_a_run_begins(manifest: Manifest) -> None:
    assert manifest.status is RunStatus.RUNNING
    assert manifest.fingerprint == digest(IDENTITY)
    assert manifest.schema == SCHEMA
    assert {"python", "orchestra-experts", "numpy", "pyarrow"} == set(manifest.versions)
    assert manifest.versions["numpy"][0].isdigit()
    assert datetime.fromisoformat(manifest.started).utcoffset() == timedelta(0)
    assert manifest.ended == ""


def test_a_run_is_left_and_resumed(manifest: Manifest) -> None:
    left = manifest.left(RunStatus.STOPPED)
    assert left.status is RunStatus.STOPPED
    assert datetime.fromisoformat(left.ended) >= datetime.fromisoformat(left.started)
    again = left.resumed()
    assert again == replace(manifest, versions=again.versions)


@pytest.mark.parametrize(
    ("identity", "names"),
    [
        (IDENTITY, ()),
        ({**IDENTITY, "seed": digest(2)}, ("seed",)),
        ({**IDENTITY, "items": digest(2)}, ("items",)),
        ({"seed": IDENTITY["seed"]}, ("pipeline",)),
        ({"items": "x", "seed": "y"}, ("items", "pipeline", "seed")),
    ],
)
def test_differences_are_named(
    manifest: Manifest, identity: dict[str, str], names: tuple[str, ...]
) -> None:
    assert manifest.differences(identity) == names


def test_the_fingerprint_is_the_identity_in_any_order(manifest: Manifest) -> None:
    turned = dict(reversed(IDENTITY.items()))
    assert Manifest.begin(command="", identity=turned, details={}).fingerprint == (
        manifest.fingerprint
    )


def changed(**members: Any) -> Callable[[dict[str, Any]], object]:
    return lambda content: {**content, **members}


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: {key: value for key, value in content.items() if key != name}


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "newer": (changed(schema=99), "newer orchestra: manifest schema 99, known up to 1"),
    "newer in other ways": (lambda _: {"schema": 2}, "newer orchestra"),
    "no schema": (without("schema"), "`schema` should be a number"),
    "odd schema": (changed(schema="1"), "`schema` should be a number"),
    "true schema": (changed(schema=True), "`schema` should be a number"),
    "no identity": (without("identity"), "`identity` should be an object of strings"),
    "odd identity": (changed(identity={"seed": 1}), "`identity` should be an object of strings"),
    "edited identity": (changed(identity={"seed": "1"}), "`identity` was changed by hand"),
    "odd details": (changed(details=[]), "`details` should be an object"),
    "odd status": (changed(status="done"), "one of running, finished, interrupted, stopped"),
    "odd start": (changed(started=None), "`started` should be a string"),
    "a list": (lambda _: [], "should be a JSON object"),
}


@pytest.mark.parametrize(("change", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_manifest_is_an_input_error(
    path: Path, manifest: Manifest, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    write_manifest(path, manifest)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(InputError, match=words) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


def test_members_that_are_added_later_are_passed_over(path: Path, manifest: Manifest) -> None:
    write_manifest(path, manifest)
    path.write_text(json.dumps({**json.loads(path.read_text()), "mood": "good"}))
    assert read_manifest(path) == manifest


def test_all_errors_come_at_once(path: Path) -> None:
    path.write_text('{"schema": 1, "command": 2, "details": {}, "identity": {}, "versions": {}}')
    with pytest.raises(InputErrors) as caught:
        read_manifest(path)
    assert len(caught.value.errors) == 5


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"schema": NaN}'])
def test_what_is_not_json_is_an_input_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match="not JSON"):
        read_manifest(path)


def test_a_missing_manifest_is_an_input_error(path: Path) -> None:
    with pytest.raises(InputError, match="no manifest here"):
        read_manifest(path)
