"""Breakdown curves as SVG text: a share over the number of liars, a line for each defence.

Knows numbers and shapes; the words around them are the page's. Numbers are rounded, so that equal
reports give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from orchestra.report.figures import percent

_WIDTH, _HEIGHT = 320, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 10, 8, 34

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
        f'<svg class="curves" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{told}">'
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
        return _LEFT + 8 + middle * (_WIDTH - _LEFT - _RIGHT - 16)

    def y(self, share: float) -> float:
        low, high = self.ends
        place = (min(max(share, low), high) - low) / max(high - low, 1e-9)
        return _TOP + (1 - place) * (_HEIGHT - _TOP - _BOTTOM)

    def drawn(self) -> str:
        low, high = self.ends
        step = 0.1 if high - low <= 0.6 else 0.2
        levels = [n * step for n in range(11) if low - 1e-9 <= n * step <= high + 1e-9]
        across = "".join(
            f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{self.y(each):.1f}" '
            f'y2="{self.y(each):.1f}"/><text x="{_LEFT - 5}" y="{self.y(each) + 4:.1f}" '
            f'text-anchor="end">{100 * each:.0f}</text>'
            for each in levels
        )
        up = "".join(
            f'<text x="{self.x(each):.1f}" y="{_HEIGHT - _BOTTOM + 15}" '
            f'text-anchor="middle">{each}</text>'
            for each in self.faults
        )
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        return (
            f'{across}{up}<text x="{middle:.0f}" y="{_HEIGHT - 4}" text-anchor="middle">'
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
