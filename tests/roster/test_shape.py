"""The JSON Schema of the roster: what editors are told is what the reader accepts."""

from __future__ import annotations

import dataclasses
import json
import typing

from orchestra.records import Sampling
from orchestra.roster.expert import Expert, Limits, Price, WorkerName
from orchestra.roster.shape import (
    ExpertShape,
    LimitsShape,
    PriceShape,
    SamplingShape,
    roster_schema,
)
from orchestra.roster.strategies import STRATEGIES


def test_each_shape_has_the_fields_of_what_it_becomes() -> None:
    for shape, record in (
        (ExpertShape, Expert),
        (PriceShape, Price),
        (LimitsShape, Limits),
        (SamplingShape, Sampling),
    ):
        names = {field.name for field in dataclasses.fields(record)}
        assert set(shape.model_fields) == names, shape.__name__


def test_the_schema_is_json_and_describes_every_key() -> None:
    schema = json.loads(json.dumps(roster_schema()))
    assert schema["required"] == ["schema", "experts"]
    for shape in schema["$defs"].values():
        assert shape["additionalProperties"] is False
        assert all(field.get("description") for field in shape["properties"].values())


def test_the_schema_lists_the_names_that_are_known() -> None:
    fields = roster_schema()["$defs"]["ExpertShape"]["properties"]
    assert fields["worker"]["anyOf"][0]["enum"] == list(typing.get_args(WorkerName))
    assert sorted(fields["strategy"]["anyOf"][0]["enum"]) == sorted(STRATEGIES)
