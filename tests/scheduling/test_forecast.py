from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestra.records import Plan, Question, Sampling, Seat
from orchestra.roster import Expert, Limits, Price, Roster
from orchestra.scheduling import Forecast, Length, forecast
from orchestra.scheduling.intervals import Span, predicted

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


KNOWN = Length(200, 1.5, deviation=80, seen=50)


def told(
    asked: str,
    reserves: str = "",
    *,
    calls: int = 5,
    absent: float = 0.0,
    a: Length | None = None,
    roster: Roster = ROSTER,
) -> Forecast:
    plans = [Plan(name, seats(asked), "r", 0, seats(reserves)) for name in QUESTIONS]
    return forecast(
        plans,
        QUESTIONS,
        roster,
        lengths={"a": a or Length(200, 1.5)},
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
        ("a", "bc", 2, 1.0),  # a quarter of four answers
        ("a", "bc", 3, 1.25),  # and a quarter of the reserve's
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


def test_a_profiled_length_has_an_interval() -> None:
    (a,) = told("a", a=KNOWN).shares
    assert a.output == predicted(200, 80, seen=50, draws=4)
    assert a.output.low < 800 == a.output.usual < a.output.high
    assert a.takes is not None
    assert a.takes.ends == pytest.approx((a.output.low * 1.5 / 200, a.output.high * 1.5 / 200))
    assert a.spending is not None
    assert a.spending.usual == pytest.approx(a.money, rel=0.01)
    assert a.spending.low < a.spending.usual < a.spending.high


@pytest.mark.parametrize(
    ("length", "interval"),
    [
        (None, (4, 200)),  # from one token a call to the most that it may write
        (Length(30), (4, 200)),  # a mean without a deviation says nothing of the ends
        (Length(30, deviation=5, seen=1), (4, 200)),
        (Length(45, deviation=30, seen=50), (pytest.approx(75, abs=25), 200)),  # cut at the most
    ],
)
def test_nobody_writes_more_than_the_most(
    length: Length | None, interval: tuple[float, float]
) -> None:
    lengths = {} if length is None else {"b": length}
    plans = [Plan(name, seats("b"), "r", 0) for name in QUESTIONS]
    (b,) = forecast(plans, QUESTIONS, ROSTER, lengths=lengths, absent={}, calls=1).shares
    assert b.output.ends == interval
    assert b.ceiling is (length is None)


def test_recordings_are_as_long_as_they_are() -> None:
    expert = Expert(
        "r", "m", worker="recorded", recordings=Path("r.jsonl"), sampling=Sampling(max_tokens=10)
    )
    plans = [Plan(name, seats("r"), "r", 0) for name in QUESTIONS]
    long = Length(500, deviation=40, seen=20)
    (r,) = forecast(
        plans, QUESTIONS, Roster((expert,)), lengths={"r": long}, absent={"r": 0.0}, calls=1
    ).shares
    assert r.output.high > 2_000


def test_input_by_rule_of_thumb_and_as_counted() -> None:
    thumb, counted = (
        told("a", a=length).shares[0] for length in (KNOWN, replace(KNOWN, per_letter=0.3))
    )
    letters = 4 * sum(len(each.content) for each in ROSTER["a"].messages(QUESTIONS["q0"]))
    assert thumb.reads.ends == (letters / 5, letters / 3)
    assert counted.input_tokens == round(0.3 * letters)
    assert counted.reads.ends == pytest.approx((0.27 * letters, 0.33 * letters))


def test_reserves_are_in_the_upper_ends_alone() -> None:
    without, found = told("a", a=KNOWN), told("a", "bc", absent=0.25, a=KNOWN, calls=2)
    assert [share.expert for share in found.shares] == ["a"]
    assert [(share.expert, share.seats) for share in found.spare] == [("b", 0)]
    assert found.output.usual == without.output.usual
    assert found.output.low == without.output.low
    # One call is likely, three are not unlikely, of 50 tokens at most.
    assert found.output.high == pytest.approx(without.output.high + 3 * 50)
    assert found.input.high > without.input.high
    assert found.input.usual == without.input.usual


def test_reserves_are_asked_in_turn() -> None:
    one = told("a", "bc", absent=1.0, a=KNOWN, calls=2)
    # One call is to spare, so b is asked each time, and c never.
    assert [share.expert for share in one.spare] == ["b"]
    two = told("a", "bc", absent=1.0, a=KNOWN)
    assert [share.expert for share in two.spare] == ["b", "c"]


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        ("a", True),
        ("ab", True),  # b is a script: it costs nothing
        ("b", False),
        ("d", False),  # hosted, and nobody says at what price
        ("ad", False),
        ("e", True),
        ("ae", True),
        ("f", False),  # recorded, without a price: nobody has one
        ("fb", False),
        ("fe", True),  # recorded beside a hosted one that has a price
        ("fd", False),
    ],
)
def test_money_is_known_where_everybodys_is(asked: str, known: bool) -> None:
    url = "http://127.0.0.1:9/v1"
    roster = Roster(
        (
            *ROSTER.experts,
            Expert("d", "m-d", worker="openai", base_url=url),
            Expert("e", "m-e", worker="openai", base_url=url, price=Price(2.0, 3.0)),
            Expert("f", "m-f", worker="recorded", recordings=Path("f.jsonl")),
        )
    )
    found = told(asked, a=KNOWN, roster=roster).money
    assert (found is not None) is known


def test_totals_are_sums_of_shares() -> None:
    found = told("abc", a=KNOWN)
    shares = found.shares
    assert found.output.usual == sum(share.output_tokens for share in shares)
    known, b, c = (share.output for share in shares)
    assert found.output.high == pytest.approx(known.high + b.high + c.high)
    assert found.output.bound
    assert found.seconds is None
    assert told("a", a=KNOWN).seconds == shares[0].takes


def test_hosted_experts_have_a_load() -> None:
    expert = Expert(
        "h", "m", worker="litellm", limits=Limits(concurrency=2), sampling=Sampling(max_tokens=99)
    )
    plans = [Plan(name, seats("h"), "r", 0) for name in QUESTIONS]
    (share,) = forecast(
        plans, QUESTIONS, Roster((expert,)), lengths={"h": KNOWN}, absent={}, calls=1
    ).shares
    assert share.load is not None
    assert share.load.calls == Span(4, 4, 4)
    assert (share.load.seconds, share.load.spread, share.load.reserved) == (1.5, 0.4, 99)
    assert told("a").shares[0].load is None


def test_without_plans_there_is_nothing_to_do() -> None:
    found = forecast([], {}, ROSTER, lengths={}, absent={}, calls=3)
    assert (found.questions, found.shares, found.jobs, found.calls) == (0, (), (), 0)
