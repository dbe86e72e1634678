from __future__ import annotations

import pytest

from orchestra.records import Plan, Question, Sampling, Seat
from orchestra.roster import Expert, Price, Roster
from orchestra.scheduling import Forecast, Length, forecast

ROSTER = Roster(
    (
        Expert("a", "m-a", worker="scripted", price=Price(1.0, 10.0)),
        Expert("b", "m-b", worker="scripted", sampling=Sampling(max_tokens=50)),
        Expert("c", "m-c", worker="scripted"),
    )
)
QUESTIONS = {f"q{n}": Question(f"q{n}", "How much is one and one?", ("1", "2")) for n in range(4)}


def seats(names: str) -> tuple[Seat, ...]:
    return tuple(Seat(name, 1.0, "because") for name in names)


def told(asked: str, reserves: str = "", *, calls: int = 5, absent: float = 0.0) -> Forecast:
    plans = [Plan(name, seats(asked), "r", 0, seats(reserves)) for name in QUESTIONS]
    return forecast(
        plans,
        QUESTIONS,
        ROSTER,
        lengths={"a": Length(200, 1.5)},
        absent=dict.fromkeys("abc", absent),
        calls=calls,
    )


def test_seats_and_loads_are_counted() -> None:
    found = told("ba")
    assert [(share.expert, share.seats) for share in found.shares] == [("a", 4), ("b", 4)]
    assert found.calls == 8
    assert (found.loads.loads, found.loads.first_come, found.loads.lower_bound) == (2, 8, 2)


def test_a_known_length_is_an_estimate_and_an_unknown_one_a_ceiling() -> None:
    a, b = told("ab").shares
    assert (a.output_tokens, a.seconds, a.ceiling) == (800, 6.0, False)
    assert (b.output_tokens, b.seconds, b.ceiling) == (200, None, True)
    assert b.money is None
    assert a.money == pytest.approx((a.input_tokens + 8_000) / 1e6)
    letters = sum(len(message.content) for message in ROSTER["a"].messages(QUESTIONS["q0"]))
    assert a.input_tokens == -(-4 * letters // 4)


@pytest.mark.parametrize(
    ("asked", "reserves", "calls", "extra"),
    [
        ("a", "bc", 3, 1.0),  # a quarter of four answers
        ("ab", "c", 3, 2.0),
        ("ab", "c", 2, 0.0),  # no call is left
        ("ab", "", 5, 0.0),  # nobody is left
    ],
)
def test_absent_answers_cost_extra_calls(
    asked: str, reserves: str, calls: int, extra: float
) -> None:
    assert told(asked, reserves, calls=calls, absent=0.25).extra_calls == pytest.approx(extra)


def test_seats_past_the_calls_are_not_foreseen() -> None:
    assert told("abc", calls=1).calls == 4


def test_jobs_are_totals_by_engine() -> None:
    """Adapters of one base are one job, in the order of the first."""
    roster = Roster(
        (
            Expert("base", "m", worker="vllm"),
            Expert("other", "n", worker="vllm"),
            Expert("law", "m", worker="vllm", adapter="lora/law"),
        )
    )
    plans = (
        Plan(
            name, tuple(Seat(expert, 1.0, "because") for expert in ("law", "other", "base")), "r", 0
        )
        for name in QUESTIONS
    )
    found = forecast(
        plans,
        QUESTIONS,
        roster,
        lengths={"law": Length(10), "base": Length(20)},
        absent={},
        calls=3,
    )
    assert [(job.unit, job.stage, job.requests) for job in found.jobs] == [
        ("base", "generate", 8),
        ("other", "generate", 4),
    ]
    base, _, law = found.shares
    assert found.jobs[0].input_tokens == base.input_tokens + law.input_tokens
    assert found.jobs[0].output_tokens == 4 * 10 + 4 * 20
    assert (found.loads.loads, found.loads.first_come) == (2, 9)  # law follows base unloaded


def test_without_plans_there_is_nothing_to_do() -> None:
    found = forecast([], {}, ROSTER, lengths={}, absent={}, calls=3)
    assert (found.questions, found.shares, found.jobs, found.calls) == (0, (), (), 0)
