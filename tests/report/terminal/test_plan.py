"""A forecast for a terminal and as data: what is known, and how well."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from orchestra.records import Brief, Plan, Question, Sampling, Seat
from orchestra.report import forecast_data, forecast_view
from orchestra.report.terminal.plan import plan_view
from orchestra.roster import Expert, Price, Roster
from orchestra.runs import Budget
from orchestra.scheduling import Forecast, Length, forecast
from orchestra.scheduling.intervals import Span
from orchestra.scheduling.rate_limits import Elapsed

URL = "http://127.0.0.1:9/v1"
QUESTIONS = {f"q{n}": Question(f"q{n}", "How much is one and one?", ("1", "2")) for n in range(4)}
KNOWN = Length(200, 1.5, deviation=80, seen=50)


def told(time: Elapsed | None = None, *, length: Length | None = KNOWN) -> Forecast:
    expert = Expert(
        "a",
        "m",
        worker="openai",
        base_url=URL,
        api_key_env="PLANTED",
        price=Price(100.0, 1_000.0),
        sampling=Sampling(max_tokens=900),
    )
    plans = [Plan(name, (Seat("a", 1.0, "because"),), "r", 0) for name in QUESTIONS]
    found = forecast(
        plans,
        QUESTIONS,
        Roster((expert,)),
        lengths={} if length is None else {"a": length},
        absent={},
        calls=1,
    )
    return Forecast(found.questions, found.shares, found.loads, found.extra_calls, time=time)


def words(found: Forecast, budget: Budget | None = None) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(forecast_view("mine", found, budget=budget))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def line(found: Forecast, name: str) -> str:
    return next(each for each in words(found).splitlines() if each.startswith(f"{name} "))


def test_everything_has_its_interval() -> None:
    data = forecast_data(
        "mine", told(Elapsed(Span(60, 120, 300), f"calls at once to {URL}", False))
    )
    for value, ends in (
        (data["tokens"]["input"], data["tokens"]["input_interval"]),
        (data["tokens"]["output"], data["tokens"]["output_interval"]),
        (data["money"], data["money_interval"]),
        (data["seconds"], data["seconds_interval"]),
        (data["experts"]["a"]["output_tokens"], data["experts"]["a"]["output_interval"]),
        (data["experts"]["a"]["money"], data["experts"]["a"]["money_interval"]),
        (data["experts"]["a"]["seconds"], data["experts"]["a"]["seconds_interval"]),
    ):
        assert ends[0] < value < ends[1]
    assert data["tokens"]["at_most"] is False
    assert data["bottleneck"] == f"calls at once to {URL}"
    assert (data["seconds"], data["seconds_interval"]) == (120, [60, 300])


def test_without_servers_seconds_are_those_of_calls_one_after_another() -> None:
    data = forecast_data("mine", told())
    assert data["seconds"] == 6.0
    assert data["seconds_interval"][0] < 6.0 < data["seconds_interval"][1]
    assert (data["bottleneck"], data["seconds_at_least"]) == (None, False)


def test_a_ceiling_is_called_one() -> None:
    found = told(length=None)
    data: dict[str, Any] = forecast_data("mine", found)
    assert data["tokens"]["at_most"]
    assert data["tokens"]["output_interval"] == [4, 3_600]
    assert data["seconds"] is data["seconds_interval"] is None
    assert "out, estimated" in line(found, "tokens")
    assert "at most 3,600 out" in line(found, "tokens")
    assert line(found, "money").startswith("money    at most $3.6")


def test_the_interval_stands_behind_the_number() -> None:
    found = told()
    low, high = forecast_data("mine", found)["tokens"]["output_interval"]
    assert "800 (" in line(found, "tokens")
    assert f" to {high - 1:,})" in line(found, "tokens") or f" to {high:,})" in line(
        found, "tokens"
    )
    assert low < 800
    assert line(found, "money").endswith("), estimated")


@pytest.mark.parametrize(
    ("span", "at_least", "said"),
    [
        (Span(180, 240, 360), False, "4 min (3 to 6), set by X"),
        (Span(10, 20, 100), False, "20 s (10 to 100), set by X"),
        (Span(5_400, 7_200, 14_400), False, "2 h (1.5 to 4), set by X"),
        (Span(30, 30, 30), False, "30 s, set by X"),
        (Span(180, 240, 360), True, "at least 3 min, set by X; more is not known"),
    ],
)
def test_time_in_words(span: Span, at_least: bool, said: str) -> None:
    assert line(told(Elapsed(span, "X", at_least)), "time") == f"time     {said}"


def test_no_variable_that_holds_a_key_is_named_where_an_address_is() -> None:
    assert "PLANTED" not in words(told(Elapsed(Span(1, 2, 3), f"calls at once to {URL}", False)))


@pytest.mark.parametrize(
    ("budget", "lines", "data"),
    [
        (Budget(), [], {}),
        (
            Budget(money=0.001),
            ["budget   money $0.001: the estimate is above it"],
            {"money": {"most": 0.001, "within": "no"}},
        ),
        (
            Budget(money=1.0, calls=1_000),
            [
                "budget   money $1: may not be enough",
                "budget   calls 1,000: enough for the estimate",
            ],
            {
                "money": {"most": 1.0, "within": "maybe"},
                "calls": {"most": 1_000, "within": "yes"},
            },
        ),
    ],
)
def test_a_budget_beside_the_estimate(
    budget: Budget, lines: list[str], data: dict[str, Any]
) -> None:
    said = [line for line in words(told(), budget).splitlines() if line.startswith("budget")]
    assert said == lines
    assert forecast_data("mine", told(), budget=budget)["budget"] == data


def test_a_keyword_model_is_in_every_sum_and_by_itself() -> None:
    found = told()
    (share,) = found.shares
    before = forecast_data("mine", found)
    assert before["tag"] is None
    named = replace(found, tag=share)
    after = forecast_data("mine", named)
    assert after["tag"] == {
        "expert": "a",
        "calls": 4,
        **{name: value for name, value in before["experts"]["a"].items() if name != "seats"},
    }
    assert (before["calls"], after["calls"]) == (4, 8)
    assert (before["tokens"]["output"], after["tokens"]["output"]) == (800, 1_600)
    assert after["tokens"]["input"] == 2 * before["tokens"]["input"]
    assert after["money"] == pytest.approx(2 * before["money"])
    assert after["experts"] == before["experts"]
    assert line(named, "calls").startswith("calls    4 to name skills, 4 planned, about 0 more")
    assert "4 to name skills" in words(named).split("calls ")[0]


SHARED = ", estimated from these counts and from how hard the skills are for all experts"


@pytest.mark.parametrize(
    ("seats", "reserves", "shared"),
    [
        (["2 of 3" + SHARED, "1 of 3" + SHARED], [], 1),
        (["2 of 3" + SHARED], ["1 of 3" + SHARED, "0 of 3" + SHARED], 1),
        (["2 of 3" + SHARED] * 3, ["2 of 3" + SHARED], 1),
        (["2 of 3" + SHARED], [], 1),  # on its own line
        (["2 of 3" + SHARED, "1 of 3"], [], 1),  # of one expert alone
        (["2 of 3" + SHARED, "1 of 3; drawn at random"], [], 1),
        (["3 of 4, 5 of 6 overall", "2 of 4, 5 of 6 overall"], [], 0),
        (["3 of 4 `law, old`", "2 of 4 `law, old`"], [], 0),
        (["because", "because"], [], 0),
        (["", ""], [], 0),
        (["", "1 of 3" + SHARED], [], 1),
    ],
)
def test_what_all_reasons_end_in_is_said_once(
    seats: list[str], reserves: list[str], shared: int
) -> None:
    chairs = [Seat(f"e{n}", 1.0, why) for n, why in enumerate((*seats, *reserves))]
    plan = Plan("q", tuple(chairs[: len(seats)]), "r", 0, tuple(chairs[len(seats) :]))
    console = Console(file=io.StringIO(), width=200, color_system=None)
    console.print(plan_view(Brief("q", (), "category"), plan, len(chairs)))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert shown.count(SHARED.strip(", ")) == shared
    for why in (*seats, *reserves):
        assert why.removesuffix(SHARED) in shown
    if not shared:
        assert all(shown.count(why) >= (*seats, *reserves).count(why) for why in seats)
