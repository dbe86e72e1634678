from __future__ import annotations

import re

import pytest

from orchestra.report.html.charts import axis_chart, bar_chart, reliability_chart, whisker_chart


def numbers(name: str, text: str) -> list[float]:
    return [float(each) for each in re.findall(rf'{name}="([\d.]+)"', text)]


def test_a_whisker_stands_where_its_value_is() -> None:
    low = whisker_chart(0.2, (0.1, 0.3), (0.0, 1.0))
    high = whisker_chart(0.9, (0.85, 0.95), (0.0, 1.0))
    assert numbers("cx", low) < numbers("cx", high)
    (x1, *_), (x2, *_) = numbers("x1", low)[-1:], numbers("x2", low)[-1:]
    assert x1 < numbers("cx", low)[0] < x2
    assert "95 % interval 10.0 – 30.0 %" in low


def test_nothing_is_drawn_without_a_value() -> None:
    assert whisker_chart(None, None, (0.0, 1.0)) == ""


@pytest.mark.parametrize("ends", [(0.0, 1.0), (0.4, 0.8), (0.95, 1.0), (0.5, 0.55)])
def test_axes_have_a_few_round_ticks(ends: tuple[float, float]) -> None:
    labels = [int(each) for each in re.findall(r">(\d+)</text>", axis_chart(ends))]
    assert 2 <= len(labels) <= 8
    assert labels == sorted(set(labels))
    assert 100 * ends[0] - 1 <= labels[0] <= labels[-1] <= 100 * ends[1] + 1


def test_bars_are_in_proportion() -> None:
    whole, half = (numbers("width", bar_chart(value, 10)) for value in (10, 5))
    assert half[0] == pytest.approx(whole[0] / 2)
    back, bar = numbers("width", bar_chart(10, 10, part=4))
    assert bar == pytest.approx(0.6 * back)


def test_a_reliable_curve_lies_on_the_diagonal() -> None:
    bins = [{"confidence": c, "accuracy": c, "n": 5} for c in (0.25, 0.5, 0.75)]
    text = reliability_chart(bins)
    xs, ys = numbers("cx", text), numbers("cy", text)
    assert [x + y for x, y in zip(xs, ys, strict=True)] == pytest.approx([xs[0] + ys[0]] * 3)
    assert "stated 25 %, right 25 % of 5" in text
