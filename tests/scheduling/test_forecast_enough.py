"""Whether a budget is enough for what is foreseen of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestra.records import Plan, Question, Sampling, Seat
from orchestra.roster import Expert, Price, Roster
from orchestra.runs import Budget
from orchestra.scheduling import Forecast, Length, Limit, compare, forecast
from orchestra.scheduling.intervals import Span
from orchestra.scheduling.rate_limits import Elapsed

QUESTIONS = {f"q{n}": Question(f"q{n}", "How much is one and one?", ("1", "2")) for n in range(4)}
KNOWN = Length(200, 1.5, deviation=80, seen=50)
FREE = Expert("a", "m", worker="scripted", sampling=Sampling(max_tokens=900))
PAID = replace(FREE, price=Price(0.0, 1_000.0))
HOSTED = replace(FREE, worker="openai", base_url="http://127.0.0.1:9/v1")


def told(expert: Expert = PAID, *, length: Length | None = KNOWN, absent: float = 0.0) -> Forecast:
    seats = (Seat("a", 1.0, "because"),)
    plans = [Plan(name, seats, "r", 0, seats if absent else ()) for name in QUESTIONS]
    lengths = {} if length is None else {"a": length}
    return forecast(
        plans, QUESTIONS, Roster((expert,)), lengths=lengths, absent={"a": absent}, calls=2
    )


def within(budget: Budget, found: Forecast) -> str:
    (limit,) = compare(budget, found)
    return limit.within


@pytest.mark.parametrize(
    ("money", "length", "said"),
    [
        (0.79, KNOWN, "no"),  # 4 answers of 200 tokens are $0.80
        (0.80, KNOWN, "maybe"),
        (5.0, KNOWN, "yes"),
        (1.0, None, "maybe"),  # at most $3.60: what is usual is not known
        (0.003, None, "no"),  # less than a token a call
        (3.6, None, "yes"),
    ],
)
def test_money(money: float, length: Length | None, said: str) -> None:
    assert within(Budget(money=money), told(length=length)) == said


@pytest.mark.parametrize(("expert", "said"), [(FREE, "yes"), (HOSTED, "maybe")])
def test_without_prices_only_what_runs_here_is_known_to_cost_nothing(
    expert: Expert, said: str
) -> None:
    assert within(Budget(money=0), told(expert)) == said


@pytest.mark.parametrize(
    ("calls", "absent", "said"),
    [(3, 0.0, "no"), (4, 0.0, "yes"), (4, 0.25, "no"), (5, 0.25, "maybe"), (7, 0.25, "yes")],
)
def test_calls(calls: int, absent: float, said: str) -> None:
    """One of four answers is probably absent, three are not unlikely to be."""
    assert within(Budget(calls=calls), told(absent=absent)) == said


@pytest.mark.parametrize(
    ("seconds", "time", "said"),
    [
        (5, None, "no"),  # calls one after another
        (60, None, "yes"),
        (60, Elapsed(Span(30, 61, 90), "X", False), "no"),
        (61, Elapsed(Span(30, 61, 90), "X", False), "maybe"),
        (90, Elapsed(Span(30, 61, 90), "X", False), "yes"),
        (90, Elapsed(Span(30, 61, 90), "X", True), "maybe"),  # somebody is not in it
        (60, Elapsed(Span(30, 61, 90), "X", True), "no"),
    ],
)
def test_seconds(seconds: float, time: Elapsed | None, said: str) -> None:
    assert within(Budget(seconds=seconds), replace(told(), time=time)) == said


def test_time_that_is_not_known_may_be_too_long() -> None:
    assert within(Budget(seconds=1e9), told(length=None)) == "maybe"


def test_tokens_are_read_and_written_ones() -> None:
    found = told()
    usual = found.input.usual + found.output.usual
    assert within(Budget(tokens=int(usual) - 1), found) == "no"
    assert within(Budget(tokens=int(usual) + 1), found) == "maybe"


def test_only_limits_that_are_set_are_compared() -> None:
    assert compare(Budget(), told()) == []
    assert compare(Budget(money=9.0, calls=2), told()) == [
        Limit("money", 9.0, "yes"),
        Limit("calls", 2, "no"),
    ]
