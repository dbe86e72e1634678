"""What an expert wrote, put together from sums."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.records import Usage
from orchestra.skills.lengths import Call, Lengths, joined

ANN, BOB = Lengths(10, 100.0, 30.0, 200.0, 50.0, 2.0), Lengths(30, 80.0, 20.0, 100.0, 20.0, 1.0)


def test_output_and_its_deviation_without_what_was_read() -> None:
    """Prompts are of very different lengths; the deviation is that of what was written."""
    draw = Random(3)
    letters = [draw.randrange(100, 4_000) for _ in range(200)]
    written = [draw.randrange(50, 150) for _ in letters]
    calls = [Call(sent, sent // 4 + got) for sent, got in zip(letters, written, strict=True)]
    usage = Usage(200, sum(sent // 4 for sent in letters), sum(written), seconds=300.0)
    told = Lengths.of(calls, usage, timed=True)
    mean = sum(written) / 200
    deviation = (sum((each - mean) ** 2 for each in written) / 199) ** 0.5
    assert told.output_tokens == pytest.approx(mean, abs=0.01)
    assert told.output_sd == pytest.approx(deviation, abs=1.0)
    assert told.input_tokens / told.letters == pytest.approx(0.25, abs=0.001)
    assert (told.calls, told.seconds, told.estimated) == (200, 1.5, False)


@pytest.mark.parametrize(
    ("usage", "timed", "seconds", "estimated"),
    [
        (Usage(2, 20, 40, seconds=3.0), True, 1.5, False),
        (Usage(2, 20, 40, seconds=3.0), False, None, False),
        (Usage(2, 20, 40, estimated=True), True, None, True),
    ],
)
def test_seconds_and_estimates(
    usage: Usage, timed: bool, seconds: float | None, estimated: bool
) -> None:
    told = Lengths.of([Call(40, 30), Call(40, 30)], usage, timed=timed)
    assert (told.seconds, told.estimated, told.output_sd) == (seconds, estimated, 0.0)


def test_a_single_call_has_no_deviation() -> None:
    assert Lengths.of([Call(40, 30)], Usage(1, 10, 20)).output_sd is None


@given(st.permutations(range(12)))
def test_the_order_of_calls_leaves_no_trace(order: list[int]) -> None:
    calls = [Call(37 * i % 101, 53 * i % 89 + 1) for i in range(12)]
    usage = Usage(12, 77, 311)
    assert Lengths.of([calls[i] for i in order], usage) == Lengths.of(calls, usage)


def test_pooled_is_as_if_counted_together() -> None:
    draw = Random(5)
    calls = [Call(40, 10 + draw.randrange(500)) for _ in range(60)]

    def of(part: list[Call]) -> Lengths:
        read = 10 * len(part)
        return Lengths.of(part, Usage(len(part), read, sum(c.tokens for c in part) - read))

    both, whole = of(calls[:20]).pooled(of(calls[20:])), of(calls)
    assert both.output_sd == pytest.approx(whole.output_sd, abs=0.05)
    assert both.output_tokens == pytest.approx(whole.output_tokens, abs=0.01)
    assert (both.calls, both.letters, both.input_tokens) == (60, 40.0, 10.0)


def test_seconds_are_pooled_where_they_are_known() -> None:
    untimed = Lengths(10, 1.0, 1.0, 1.0)
    assert ANN.pooled(BOB).seconds == 1.25
    assert ANN.pooled(untimed).seconds == 2.0
    assert untimed.pooled(untimed).seconds is None


@pytest.mark.parametrize(
    ("apart", "told"), [(True, ANN.pooled(BOB)), (False, BOB)], ids=["other calls", "the same"]
)
def test_an_expert_in_both_tables(apart: bool, told: Lengths) -> None:
    assert joined({"a": ANN, "b": BOB}, {"a": BOB, "c": ANN}, apart=apart) == {
        "a": told,
        "b": BOB,
        "c": ANN,
    }
