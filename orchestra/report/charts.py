"""Small charts as SVG text: intervals on an axis, bars, a reliability curve.

Knows numbers and shapes; the words around them are `page`'s. Every chart has a text
alternative, and numbers are rounded, so that equal reports give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from orchestra.report.figures import band, percent

_WIDTH, _HEIGHT, _MARGIN = 260, 22, 8
_SIDE, _LEFT, _TOP = 300, 44, 10


def whisker_chart(
    value: float | None, interval: Sequence[float] | None, ends: tuple[float, float]
) -> str:
    """A dot and its 95 % interval on an axis with these ends; empty without a value."""
    if value is None or interval is None:
        return ""
    low, mid, high = (_across(each, ends) for each in (interval[0], value, interval[1]))
    middle = _HEIGHT / 2
    ticks = "".join(_tick(each, ends) for each in _ticks(ends))
    return _svg(
        _WIDTH,
        _HEIGHT,
        f"{percent(value)}, 95 % interval {band(interval)}",
        f"{ticks}"
        f'<line class="span" x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.0f}" y2="{middle:.0f}"/>'
        f'<circle class="dot" cx="{mid:.1f}" cy="{middle:.0f}" r="4"/>',
    )


def axis_chart(ends: tuple[float, float]) -> str:
    """The labels of the axis that `whisker_chart` draws on, for the head of a table."""
    labels = "".join(
        f'<text x="{_across(each, ends):.1f}" y="12" text-anchor="{_anchor(each, ends)}">'
        f"{100 * each:.0f}</text>"
        for each in _ticks(ends)
    )
    told = f"axis from {percent(ends[0], 0)} to {percent(ends[1], 0)}"
    return _svg(_WIDTH, 16, told, labels)


def bar_chart(value: float, most: float, *, part: float = 0.0, label: str = "") -> str:
    """A bar from 0 to `value` on an axis to `most`, of which `part` is drawn faintly."""
    room = _WIDTH - 2 * _MARGIN
    long = room * value / max(most, 1e-9)
    faint = room * part / max(most, 1e-9)
    return _svg(
        _WIDTH,
        _HEIGHT,
        label,
        f'<rect class="back" x="{_MARGIN}" y="5" width="{long:.1f}" height="12" rx="2"/>'
        f'<rect class="bar" x="{_MARGIN}" y="5" width="{long - faint:.1f}" height="12" rx="2"/>',
    )


def reliability_chart(bins: Sequence[Mapping[str, Any]]) -> str:
    """Stated confidence against the share right; a dot's area follows the number of answers."""
    most = max((each["n"] for each in bins), default=1)
    points = [(_x(each["confidence"]), _y(each["accuracy"]), each["n"]) for each in bins]
    dots = "".join(
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{3 + 7 * (n / most) ** 0.5:.1f}"/>'
        for x, y, n in points
    )
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    told = "; ".join(
        f"said {percent(each['confidence'], 0)}, was right {percent(each['accuracy'], 0)} "
        f"of {each['n']}"
        for each in bins
    )
    body = (
        f"{_frame()}"
        f'<line class="even" x1="{_x(0):.0f}" y1="{_y(0):.0f}" x2="{_x(1):.0f}" y2="{_y(1):.0f}"/>'
        f'<polyline class="span" fill="none" points="{path}"/>{dots}'
    )
    return _svg(_SIDE + _LEFT + 12, _SIDE + _TOP + 44, f"reliability: {told}", body)


def _svg(width: float, height: float, label: str, body: str) -> str:
    told = escape(label)
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{told}">'
        f"<title>{told}</title>{body}</svg>"
    )


def _across(value: float, ends: tuple[float, float]) -> float:
    share = (value - ends[0]) / max(ends[1] - ends[0], 1e-9)
    return _MARGIN + min(max(share, 0.0), 1.0) * (_WIDTH - 2 * _MARGIN)


def _ticks(ends: tuple[float, float]) -> list[float]:
    """Four to eleven round values on the axis."""
    span = ends[1] - ends[0]
    step = next(each for each in (0.02, 0.05, 0.1, 0.2, 0.25) if span / each <= 6 or each == 0.25)
    first, last = round(ends[0] / step + 0.499), int(ends[1] / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def _tick(value: float, ends: tuple[float, float]) -> str:
    x = _across(value, ends)
    return f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{_HEIGHT}"/>'


def _anchor(value: float, ends: tuple[float, float]) -> str:
    x = _across(value, ends)
    return "start" if x < 2 * _MARGIN else "end" if x > _WIDTH - 2 * _MARGIN else "middle"


def _frame() -> str:
    lines = []
    for n in range(6):
        at, words = n / 5, f"{20 * n}"
        lines += [
            f'<line class="axis" x1="{_x(0):.0f}" x2="{_x(1):.0f}" y1="{_y(at):.0f}" '
            f'y2="{_y(at):.0f}"/>',
            f'<line class="axis" y1="{_y(0):.0f}" y2="{_y(1):.0f}" x1="{_x(at):.0f}" '
            f'x2="{_x(at):.0f}"/>',
            f'<text x="{_x(0) - 6:.0f}" y="{_y(at) + 4:.0f}" text-anchor="end">{words}</text>',
            f'<text x="{_x(at):.0f}" y="{_y(0) + 16:.0f}" text-anchor="middle">{words}</text>',
        ]
    lines.append(
        f'<text x="{_x(0.5):.0f}" y="{_y(0) + 36:.0f}" text-anchor="middle">confidence, %</text>'
        f'<text transform="translate(12 {_y(0.5):.0f}) rotate(-90)" text-anchor="middle">'
        "right, %</text>"
    )
    return "".join(lines)


def _x(share: float) -> float:
    return _LEFT + share * _SIDE


def _y(share: float) -> float:
    return _TOP + (1 - share) * _SIDE
