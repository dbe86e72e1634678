"""Small charts as SVG text: intervals on an axis, bars, a reliability curve.

Knows numbers and shapes; the words around them are `page`'s. Every chart has a text
alternative, and numbers are rounded, so that equal reports give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from orchestra.report.format import band, percent

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


_C_WIDTH, _C_HEIGHT = 320, 210
_C_LEFT, _RIGHT, _C_TOP, _BOTTOM = 34, 10, 8, 34

COLOURS = 10
"""How many lines have colours of their own; the style sheet of the page has them."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line."""

    name: str
    place: int
    """Which colour."""
    points: tuple[tuple[int, float, tuple[float, float] | None], ...]
    """(number of liars, share, its interval); None draws no band."""
    chosen: bool = False
    """Whether it is the one that is recommended."""
    dashed: bool = False
    """Whether it trusts everybody, or is no defence at all."""
    thin: bool = False
    """Whether it is drawn so that what lies below it is still seen."""


def curves_chart(
    curves: Sequence[Curve], *, faults: Sequence[int], ends: tuple[float, float], label: str
) -> str:
    """All curves of one attack.

    Args:
        curves: the last is drawn on top.
        faults: the numbers of liars on the axis.
        ends: lowest and highest share on the other axis.
        label: what is drawn, for those who cannot see it; the values are added.
    """
    axes = _Axes(tuple(faults), ends)
    bands = "".join(_band(axes, each) for each in curves)
    lines = "".join(_line(axes, each) for each in curves)
    told = escape(f"{label}: " + "; ".join(_words(each) for each in curves))
    return (
        f'<svg class="curves" viewBox="0 0 {_C_WIDTH} {_C_HEIGHT}" role="img" aria-label="{told}">'
        f"<title>{told}</title>{axes.drawn()}{bands}{lines}</svg>"
    )


def key_chart(curve: Curve) -> str:
    """A short piece of a line, for the legend."""
    return (
        '<svg class="key" viewBox="0 0 34 12" aria-hidden="true">'
        f'<line class="{_classes(curve)}" x1="2" x2="32" y1="6" y2="6"/>'
        f'<circle class="dot {_colour(curve)}" cx="17" cy="6" r="3"/></svg>'
    )


@dataclass(frozen=True, slots=True)
class _Axes:
    faults: tuple[int, ...]
    ends: tuple[float, float]

    def x(self, faults: int) -> float:
        span = max(self.faults[-1] - self.faults[0], 1)
        middle = 0.5 if len(self.faults) == 1 else (faults - self.faults[0]) / span
        return _C_LEFT + 8 + middle * (_C_WIDTH - _C_LEFT - _RIGHT - 16)

    def y(self, share: float) -> float:
        low, high = self.ends
        place = (min(max(share, low), high) - low) / max(high - low, 1e-9)
        return _C_TOP + (1 - place) * (_C_HEIGHT - _C_TOP - _BOTTOM)

    def drawn(self) -> str:
        low, high = self.ends
        step = 0.1 if high - low <= 0.6 else 0.2
        levels = [n * step for n in range(11) if low - 1e-9 <= n * step <= high + 1e-9]
        across = "".join(
            f'<line class="axis" x1="{_C_LEFT}" x2="{_C_WIDTH - _RIGHT}" y1="{self.y(each):.1f}" '
            f'y2="{self.y(each):.1f}"/><text x="{_C_LEFT - 5}" y="{self.y(each) + 4:.1f}" '
            f'text-anchor="end">{100 * each:.0f}</text>'
            for each in levels
        )
        up = "".join(
            f'<text x="{self.x(each):.1f}" y="{_C_HEIGHT - _BOTTOM + 15}" '
            f'text-anchor="middle">{each}</text>'
            for each in self.faults
        )
        middle = (_C_LEFT + _C_WIDTH - _RIGHT) / 2
        return (
            f'{across}{up}<text x="{middle:.0f}" y="{_C_HEIGHT - 4}" text-anchor="middle">'
            "liars</text>"
        )


def _band(axes: _Axes, curve: Curve) -> str:
    there = [(axes.x(n), ends) for n, _, ends in curve.points if ends is not None]
    if len(there) < 2:
        return ""
    upper = [f"{x:.1f},{axes.y(ends[1]):.1f}" for x, ends in there]
    lower = [f"{x:.1f},{axes.y(ends[0]):.1f}" for x, ends in reversed(there)]
    kind = "band chosen" if curve.chosen else "band"
    return f'<polygon class="{kind} {_colour(curve)}" points="{" ".join(upper + lower)}"/>'


def _line(axes: _Axes, curve: Curve) -> str:
    spots = [(axes.x(n), axes.y(share)) for n, share, _ in curve.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    dots = "".join(
        f'<circle class="dot {_colour(curve)}" cx="{x:.1f}" cy="{y:.1f}" r="{_size(curve)}"/>'
        for x, y in spots
    )
    return f'<polyline class="{_classes(curve)}" points="{path}"/>{dots}' if spots else ""


def _size(curve: Curve) -> str:
    return "1.6" if curve.thin else "3.6" if curve.chosen else "2.6"


def _colour(curve: Curve) -> str:
    return f"c{curve.place % COLOURS}"


def _classes(curve: Curve) -> str:
    kinds = {"chosen": curve.chosen, "dashed": curve.dashed, "thin": curve.thin}
    return " ".join(["run", _colour(curve), *(kind for kind, true in kinds.items() if true)])


def _words(curve: Curve) -> str:
    return f"{curve.name} " + ", ".join(f"{percent(share)} at {n}" for n, share, _ in curve.points)
