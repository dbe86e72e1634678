"""Small charts as SVG markup: intervals on an axis, bars, a reliability curve, breakdown curves.

Every chart has a text alternative, and numbers are rounded, so that equal reports give
equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from orchestra.report.format import band, percent

_WIDTH, _HEIGHT, _MARGIN = 260, 22, 8
_SIDE, _LEFT, _TOP = 300, 44, 10

_SVG = Markup(
    '<svg{kind} viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}">'
    "<title>{label}</title>{body}</svg>"
)
_LINE = Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>')
_DOT = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>')
_BAR = Markup('<rect class="{}" x="{}" y="5" width="{:.1f}" height="12" rx="2"/>')
_TEXT = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')

Ends = tuple[float, float]
"""The lowest and the highest value of an axis."""


def whisker_chart(value: float | None, interval: Sequence[float] | None, ends: Ends) -> Markup:
    """A dot and its 95 % interval on an axis with these ends; empty without a value."""
    if value is None or interval is None:
        return Markup()
    low, middle, high = (_across(share, ends) for share in (interval[0], value, interval[1]))
    body = (
        *(_LINE.format("axis", x, x, 0, _HEIGHT) for x in _ticks(ends).values()),
        _LINE.format("span", low, high, _HEIGHT / 2, _HEIGHT / 2),
        _DOT.format("dot", middle, _HEIGHT / 2, 4),
    )
    return _svg(_WIDTH, _HEIGHT, f"{percent(value)}, 95 % interval {band(interval)}", body)


def axis_chart(ends: Ends) -> Markup:
    """The labels of the axis that `whisker_chart` draws on, for the head of a table."""
    labels = [
        _TEXT.format(x, 12, _anchor(x), f"{100 * share:.0f}") for share, x in _ticks(ends).items()
    ]
    return _svg(_WIDTH, 16, f"axis from {percent(ends[0], 0)} to {percent(ends[1], 0)}", labels)


def bar_chart(value: float, most: float, *, part: float = 0.0, label: str = "") -> Markup:
    """A bar from 0 to `value` on an axis to `most`, of which `part` is drawn faintly."""
    unit = (_WIDTH - 2 * _MARGIN) / max(most, 1e-9)
    whole = _BAR.format("back", _MARGIN, unit * value)
    return _svg(_WIDTH, _HEIGHT, label, (whole, _BAR.format("bar", _MARGIN, unit * (value - part))))


def reliability_chart(bins: Sequence[Mapping[str, Any]]) -> Markup:
    """Stated confidence against the share right; a dot's area follows the number of answers."""
    most = max((row["n"] for row in bins), default=1)
    points = [(_x(row["confidence"]), _y(row["accuracy"]), row["n"]) for row in bins]
    words = "; ".join(
        f"stated {percent(row['confidence'], 0)}, right {percent(row['accuracy'], 0)} of {row['n']}"
        for row in bins
    )
    body = (
        *_frame(),
        _LINE.format("even", _x(0), _x(1), _y(0), _y(1)),
        _polyline("span", [(x, y) for x, y, _ in points]),
        *(_DOT.format("dot", x, y, 3 + 7 * (n / most) ** 0.5) for x, y, n in points),
    )
    return _svg(_SIDE + _LEFT + 12, _SIDE + _TOP + 44, f"reliability: {words}", body)


def _svg(width: float, height: float, label: str, body: Iterable[Markup], kind: str = "") -> Markup:
    attribute = Markup(' class="{}"').format(kind) if kind else ""
    drawn = Markup().join(body)
    return _SVG.format(kind=attribute, width=width, height=height, label=label, body=drawn)


def _polyline(kind: str, points: Sequence[tuple[float, float]]) -> Markup:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup('<polyline class="{}" points="{}"/>').format(kind, path)


def _across(value: float, ends: Ends) -> float:
    share = (value - ends[0]) / max(ends[1] - ends[0], 1e-9)
    return _MARGIN + min(max(share, 0.0), 1.0) * (_WIDTH - 2 * _MARGIN)


def _ticks(ends: Ends) -> dict[float, float]:
    """Four to eleven round values on the axis, and where each stands."""
    span = ends[1] - ends[0]
    step = next(size for size in (0.02, 0.05, 0.1, 0.2, 0.25) if span / size <= 6 or size == 0.25)
    first, last = round(ends[0] / step + 0.499), int(ends[1] / step + 1e-9)
    return {n * step: _across(n * step, ends) for n in range(first, last + 1)}


def _anchor(x: float) -> str:
    return "start" if x < 2 * _MARGIN else "end" if x > _WIDTH - 2 * _MARGIN else "middle"


def _frame() -> Iterable[Markup]:
    for n in range(6):
        share, words = n / 5, f"{20 * n}"
        yield _LINE.format("axis", _x(0), _x(1), _y(share), _y(share))
        yield _LINE.format("axis", _x(share), _x(share), _y(0), _y(1))
        yield _TEXT.format(_x(0) - 6, _y(share) + 4, "end", words)
        yield _TEXT.format(_x(share), _y(0) + 16, "middle", words)
    yield _TEXT.format(_x(0.5), _y(0) + 36, "middle", "confidence, %")
    yield Markup(
        '<text transform="translate(12 {:.0f}) rotate(-90)" text-anchor="middle">right, %</text>'
    ).format(_y(0.5))


def _x(share: float) -> float:
    return _LEFT + share * _SIDE


def _y(share: float) -> float:
    return _TOP + (1 - share) * _SIDE


# A sweep

_S_WIDTH, _S_HEIGHT = 640, 340


@dataclass(frozen=True, slots=True)
class Point:
    """One variant of a sweep."""

    name: str
    cost: float
    share: float
    interval: Sequence[float]
    front: bool
    own: bool


def front_chart(points: Sequence[Point], *, ends: Ends, label: str) -> Markup:
    """Accuracy against a cost from 0: a dot for each variant, the front as a line of steps.

    Args:
        points: in any order; those on the front show their intervals.
        ends: lowest and highest share on the axis.
        label: the cost.
    """
    most = max((point.cost for point in points), default=0.0) or 1.0

    def x(cost: float) -> float:
        return _LEFT + 8 + cost / most * (_S_WIDTH - _LEFT - 24)

    def y(share: float) -> float:
        place = (min(max(share, ends[0]), ends[1]) - ends[0]) / max(ends[1] - ends[0], 1e-9)
        return _S_HEIGHT - 40 - place * (_S_HEIGHT - 52)

    front = sorted((each for each in points if each.front), key=lambda each: each.cost)
    steps: list[tuple[float, float]] = []
    for each in front:
        steps += [(x(each.cost), steps[-1][1])] if steps else []
        steps.append((x(each.cost), y(each.share)))
    body = [
        *_front_axes(most, ends, (x, y), label),
        _polyline("span", steps),
        *(
            _LINE.format("span", x(each.cost), x(each.cost), *map(y, each.interval))
            for each in front
        ),
        *(
            Markup("<g><title>{}</title>{}</g>").format(
                f"{each.name}: {percent(each.share)} at {each.cost:,.2f}",
                _DOT.format(
                    "dot" if each.own or each.front else "dot faint",
                    x(each.cost),
                    y(each.share),
                    6 if each.own else 4 if each.front else 2.5,
                ),
            )
            for each in points
        ),
    ]
    words = "; ".join(f"{each.name} {percent(each.share)} at {each.cost:,.2f}" for each in front)
    return _svg(_S_WIDTH, _S_HEIGHT, f"accuracy against {label}, front: {words}", body, "front")


def _front_axes(
    most: float,
    ends: Ends,
    place: tuple[Callable[[float], float], Callable[[float], float]],
    label: str,
) -> Iterable[Markup]:
    x, y = place
    span = ends[1] - ends[0]
    step = next(size for size in (0.01, 0.02, 0.05, 0.1, 0.2) if span / size <= 8 or size == 0.2)
    for n in range(round(ends[0] / step + 0.499), int(ends[1] / step + 1e-9) + 1):
        yield _LINE.format("axis", x(0), x(most), y(n * step), y(n * step))
        yield _TEXT.format(x(0) - 6, y(n * step) + 4, "end", f"{100 * n * step:.0f}")
    for n in range(5):
        words = f"{most * n / 4:,.3g}" if most < 1000 else f"{most * n / 4:,.0f}"
        yield _TEXT.format(x(most * n / 4), _S_HEIGHT - 22, "middle", words)
    yield _TEXT.format(x(most / 2), _S_HEIGHT - 4, "middle", label)


# Curves of a red team, and of a panel

_C_WIDTH, _C_HEIGHT = 320, 210
_C_LEFT, _RIGHT, _C_TOP, _BOTTOM = 34, 10, 8, 34

COLOURS = 10
"""How many lines have colours of their own; the page's style sheet defines them."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line."""

    name: str
    place: int
    """Which colour."""
    points: tuple[tuple[int, float, Sequence[float] | None], ...]
    """(place on the axis, a number of liars say; share; its interval); None draws no band."""
    chosen: bool = False
    """Whether this defence is recommended."""
    dashed: bool = False
    """Whether it trusts every expert, or is no defence at all."""
    thin: bool = False
    """Whether it is drawn so that a line below it stays visible."""

    @property
    def colour(self) -> str:
        """The class of its colour."""
        return f"c{self.place % COLOURS}"

    @property
    def classes(self) -> str:
        """The classes of its line."""
        kinds = {"chosen": self.chosen, "dashed": self.dashed, "thin": self.thin}
        return " ".join(["run", self.colour, *(kind for kind, true in kinds.items() if true)])


def curves_chart(
    curves: Sequence[Curve],
    *,
    faults: Sequence[int],
    ends: Ends,
    label: str,
    axis: str = "liars",
) -> Markup:
    """Curves of shares by a whole number: all of one attack, or of one panel.

    Args:
        curves: the last is drawn on top.
        faults: the numbers on the axis.
        ends: lowest and highest share on the other axis.
        label: the subject of the chart for its text alternative; the values are added.
        axis: what is counted on the axis.
    """
    axes = _Axes(tuple(faults), ends, axis)
    words = "; ".join(_words(curve) for curve in curves)
    body = (
        *axes.drawn(),
        *(_band(axes, curve) for curve in curves),
        *(_line(axes, curve) for curve in curves),
    )
    return _svg(_C_WIDTH, _C_HEIGHT, f"{label}: {words}", body, "curves")


def key_chart(curve: Curve) -> Markup:
    """A short piece of a line, for the legend."""
    return Markup('<svg class="key" viewBox="0 0 34 12" aria-hidden="true">{}{}</svg>').format(
        _LINE.format(curve.classes, 2, 32, 6, 6), _DOT.format(f"dot {curve.colour}", 17, 6, 3)
    )


@dataclass(frozen=True, slots=True)
class _Axes:
    faults: tuple[int, ...]
    ends: Ends
    label: str

    def x(self, faults: int) -> float:
        span = max(self.faults[-1] - self.faults[0], 1)
        middle = 0.5 if len(self.faults) == 1 else (faults - self.faults[0]) / span
        return _C_LEFT + 8 + middle * (_C_WIDTH - _C_LEFT - _RIGHT - 16)

    def y(self, share: float) -> float:
        low, high = self.ends
        place = (min(max(share, low), high) - low) / max(high - low, 1e-9)
        return _C_TOP + (1 - place) * (_C_HEIGHT - _C_TOP - _BOTTOM)

    def drawn(self) -> Iterable[Markup]:
        low, high = self.ends
        step = 0.1 if high - low <= 0.6 else 0.2
        for level in (n * step for n in range(11) if low - 1e-9 <= n * step <= high + 1e-9):
            y = self.y(level)
            yield _LINE.format("axis", _C_LEFT, _C_WIDTH - _RIGHT, y, y)
            yield _TEXT.format(_C_LEFT - 5, y + 4, "end", f"{100 * level:.0f}")
        # Labels that would stand on each other are left out, the last one never.
        shown, last = [], 1e9
        for number in reversed(self.faults):
            if last - self.x(number) > 18:
                shown.append(number)
                last = self.x(number)
        for number in shown:
            yield _TEXT.format(self.x(number), _C_HEIGHT - _BOTTOM + 15, "middle", number)
        middle = (_C_LEFT + _C_WIDTH - _RIGHT) / 2
        yield _TEXT.format(middle, _C_HEIGHT - 4, "middle", self.label)


def _band(axes: _Axes, curve: Curve) -> Markup:
    intervals = [(axes.x(n), ends) for n, _, ends in curve.points if ends is not None]
    if len(intervals) < 2:
        return Markup()
    upper = [f"{x:.1f},{axes.y(ends[1]):.1f}" for x, ends in intervals]
    lower = [f"{x:.1f},{axes.y(ends[0]):.1f}" for x, ends in reversed(intervals)]
    kind = "band chosen" if curve.chosen else "band"
    return Markup('<polygon class="{} {}" points="{}"/>').format(
        kind, curve.colour, " ".join(upper + lower)
    )


def _line(axes: _Axes, curve: Curve) -> Markup:
    points = [(axes.x(n), axes.y(share)) for n, share, _ in curve.points]
    if not points:
        return Markup()
    size = 1.6 if curve.thin else 3.6 if curve.chosen else 2.6
    dots = (_DOT.format(f"dot {curve.colour}", x, y, size) for x, y in points)
    return Markup().join((_polyline(curve.classes, points), *dots))


def _words(curve: Curve) -> str:
    return f"{curve.name} " + ", ".join(f"{percent(share)} at {n}" for n, share, _ in curve.points)
