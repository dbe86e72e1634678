"""Replaying recorded answers: nothing is invented, and estimates say so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from orchestra.records import Generation, Message, Request, Sampling, Usage
from orchestra.roster import Expert, Price
from orchestra.workers import RecordedWorker, Recordings

if TYPE_CHECKING:
    from tests.conftest import Builder

PRICE = Price(2.0, 4.0)


def request(question: str, sample: int = 0, words: str = "x" * 10) -> Request:
    messages = (Message("system", "12"), Message("user", words))
    return Request(
        f"key {question} {sample}", question, "e", "generate", messages, Sampling(), sample=sample
    )


def replay(
    build: Builder,
    rows: Sequence[dict[str, object]],
    *requests: Request,
    price: Price | None = None,
) -> list[Generation]:
    path = build.recordings([{"model": "m", **row} for row in rows])
    expert = Expert("e", "m", worker="recorded", recordings=path, price=price)
    worker = RecordedWorker(expert, Recordings.open(path))

    async def run() -> list[Generation]:
        return [each async for each in worker.generate(requests)]

    return asyncio.run(run())


def test_texts_come_back_in_the_order_of_the_requests(build: Builder) -> None:
    rows: list[dict[str, object]] = [
        {"question_id": f"q{i}", "output": f"text {i}"} for i in range(2_500)
    ]
    requests = [request(f"q{i}") for i in reversed(range(2_500))]
    found = replay(build, rows, *requests)
    assert [each.key for each in found] == [each.key for each in requests]
    assert [each.text for each in found] == [f"text {i}" for i in reversed(range(2_500))]
    assert {each.failure for each in found} == {None}


def test_what_was_not_recorded_is_a_failure(build: Builder) -> None:
    rows: list[dict[str, object]] = [{"question_id": "q0", "output": "text"}]
    found = replay(build, rows, request("q1"), request("q0", sample=1), request("q0"))
    assert [each.failure and each.failure.kind for each in found] == [
        "not_recorded",
        "not_recorded",
        None,
    ]
    assert (found[0].text, found[0].finish_reason, found[0].usage) == ("", "error", Usage())
    assert found[1].sample == 1


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"output": "12345"}, Usage(1, 3, 2, estimated=True)),  # 12 and 5 characters by fours
        ({"output": ""}, Usage(1, 3, 0, estimated=True)),
        ({"output": "x", "prompt_tokens": 7}, Usage(1, 7, 1, estimated=True)),
        ({"output": "x", "completion_tokens": 9}, Usage(1, 3, 9, estimated=True)),
        (
            {"output": "x", "prompt_tokens": 7, "completion_tokens": 9, "seconds": 1.5},
            Usage(1, 7, 9, seconds=1.5),
        ),
    ],
)
def test_usage(build: Builder, row: dict[str, object], wanted: Usage) -> None:
    assert replay(build, [{"question_id": "q0", **row}], request("q0"))[0].usage == wanted


def test_money(build: Builder) -> None:
    row = {"question_id": "q0", "output": "x", "prompt_tokens": 1_000, "completion_tokens": 500}
    found = replay(build, [row], request("q0"), price=PRICE)
    assert found[0].usage.money == pytest.approx(0.004)
    assert replay(build, [row], request("q0"))[0].usage.money == 0


def test_the_reason_it_ended(build: Builder) -> None:
    rows: list[dict[str, object]] = [
        {"question_id": "q0", "output": "x", "finish_reason": "length"},
        {"question_id": "q1", "output": "x", "finish_reason": None},
    ]
    found = replay(build, rows, request("q0"), request("q1"))
    assert [each.finish_reason for each in found] == ["length", "unknown"]
