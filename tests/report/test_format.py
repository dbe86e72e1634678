from __future__ import annotations

import pytest

from orchestra.report.format import band, count, dollars, percent, points, reasons, scale


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
