"""The JSON Schema of the roster: what editors are told is what the reader accepts."""

from __future__ import annotations

import json
import typing
from pathlib import Path

import jsonschema
import pytest
import yaml

from orchestra.roster import STRATEGIES, WorkerName, roster_schema

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_schema_is_json_and_describes_every_key() -> None:
    schema = json.loads(json.dumps(roster_schema()))
    assert schema["required"] == ["schema", "experts"]
    for part in schema["$defs"].values():
        assert part["additionalProperties"] is False
        assert all(field.get("description") for field in part["properties"].values())


def test_the_schema_lists_the_names_that_are_known() -> None:
    fields = roster_schema()["$defs"]["Expert"]["properties"]
    assert fields["worker"]["anyOf"][0]["enum"] == list(typing.get_args(WorkerName))
    assert sorted(fields["strategy"]["anyOf"][0]["enum"]) == sorted(STRATEGIES)


@pytest.mark.parametrize("name", ["roster.yaml", "recorded.yaml"])
def test_the_examples_keep_to_the_schema(name: str) -> None:
    jsonschema.validate(yaml.safe_load((EXAMPLES / name).read_text()), roster_schema())


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        ({"defaults": {"system": "x", "sampling": {"seed": 1}}, "experts": [{"name": "a"}]}, True),
        ({"experts": [{"name": "a", "system": None, "sampling": {"seed": None}}]}, True),
        ({"experts": [{"name": "a", "price": {"input": 1, "output": None}}]}, False),
        ({"experts": [{"name": "a", "limits": {"per": "expert"}}]}, False),
        ({"experts": [{"model": "m"}]}, False),
        ({"experts": []}, False),
        ({"defaults": {"name": "a"}, "experts": [{"name": "a"}]}, False),
    ],
)
def test_the_schema_accepts_what_one_look_at_the_values_can_accept(
    data: dict[str, object], valid: bool
) -> None:
    validator = jsonschema.Draft202012Validator(roster_schema())
    assert validator.is_valid({"schema": 1, **data}) is valid
