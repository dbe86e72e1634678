from __future__ import annotations

import pytest

from orchestra.report.format import (
    band,
    count,
    dollars,
    independence,
    money_of,
    paid,
    percent,
    points,
    reasons,
    scale,
    trust_lines,
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (percent(0.5084), "50.8 %"),
        (percent(None), "–"),
        (percent(1.0, 0), "100 %"),
        (band((0.4967, 0.52)), "49.7 – 52.0 %"),
        (band(None), "–"),
        (points(0.013), "+1.3"),
        (points(-0.15), "-15.0"),
        (count(34980), "34,980"),
        (count(480_400), "480 k"),
        (count(7_495_220), "7.5 M"),
        (dollars(0), "$0.00"),
        (dollars(12.345), "$12.35"),
        (dollars(0.00123), "$0.0012"),
        (reasons({"refused": 3, "unparsed": 12}), "unparsed 12, refused 3"),
        (reasons({}), "none"),
    ],
)
def test_numbers_as_people_read_them(said: str, expected: str) -> None:
    assert said == expected


@pytest.mark.parametrize(
    ("intervals", "ends"),
    [
        ([(0.41, 0.44), (0.77, 0.793)], (0.4, 0.8)),
        ([(0.0, 1.0)], (0.0, 1.0)),
        ([(0.4, 0.8)], (0.4, 0.8)),
        ([(1.0, 1.0)], (0.95, 1.0)),
        ([], (0.0, 1.0)),
    ],
)
def test_an_axis_holds_every_interval(
    intervals: list[tuple[float, float]], ends: tuple[float, float]
) -> None:
    assert scale(intervals) == pytest.approx(ends)


@pytest.mark.parametrize(
    ("experts", "panel", "says"),
    [
        (1, 1.0, "there is no vote"),
        (10, 10.0, "the 10 experts err independently"),
        (10, 11.2, "the 10 experts err independently"),
        (10, 4.25, "10 votes decide as well as 4.2 votes of independent experts would"),
        (2, 1.1, "2 votes decide as well as 1.1 votes"),
    ],
)
def test_what_a_panel_is_worth(experts: int, panel: float, says: str) -> None:
    assert says in independence(experts, panel)


@pytest.mark.parametrize(
    ("prices", "money", "known", "spent"),
    [
        ({}, 0.0, "$0.00", "$0.00 for 1 attempt"),
        ({"a": "roster"}, 0.4, "$0.40", "$0.40 for 1 attempt"),
        ({"a": "roster"}, 0.0, "$0.00", "$0.00 for 1 attempt"),
        ({"a": "unknown", "b": "unknown"}, 0.0, "not known: no prices", "a sum that is not known"),
        ({"a": "roster", "b": "unknown"}, 0.4, "$0.40 without b: no prices", "$0.40 for 1 attempt"),
    ],
)
def test_money_without_prices_is_no_zero(
    prices: dict[str, str], money: float, known: str, spent: str
) -> None:
    spending = {"money": money, "attempts": 1, "prices": prices}
    assert money_of(money, spending) == known
    assert paid(spending, money).startswith(spent)
    assert paid({**spending, "money": 0.0, "attempts": 0}, money) == "$0.00 for 0 attempts"


@pytest.mark.parametrize(
    ("here", "everywhere", "says"),
    [
        ({"1": 20}, {"0": 20}, "of 20 answers, a single liar could change each of them"),
        ({"1": 1}, {"1": 1}, "of 1 answer, a single liar"),
        ({"1": 5, "2": 5}, {"1": 10}, "of 10 answers, 50.0 % cannot be changed by one liar"),
        ({"3": 4}, {"2": 4}, "100.0 % cannot be changed by one liar, 100.0 % cannot be changed by"),
        ({}, {}, ""),
    ],
)
def test_certificates_in_words(here: dict[str, int], everywhere: dict[str, int], says: str) -> None:
    certificates = {"experts": here, "everywhere": everywhere, "guaranteed": None}
    trust = {"alarms": [], "suspects": [], "clones": [], "liars": 0, "certificates": certificates}
    words = "\n".join(trust_lines({"trust": trust}))
    assert says in words
    assert bool(words) is bool(says)
