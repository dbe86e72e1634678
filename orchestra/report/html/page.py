"""A run's or a red team's report as one HTML file that needs nothing else: no network, no script.

The templates beside this module hold the words. One environment renders both and escapes
every value; only the charts are markup. The same report gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import orchestra.report.format as figures
from orchestra.report.heatmap import heat_map
from orchestra.report.html.charts import (
    COLOURS,
    Curve,
    Point,
    axis_chart,
    bar_chart,
    curves_chart,
    front_chart,
    key_chart,
    reliability_chart,
    whisker_chart,
)
from orchestra.report.terminal.redteam import (
    AttackResult,
    attack_results,
    liars_words,
    reach_words,
    recommendation_lines,
)
from orchestra.report.terminal.sweep import SWEEP_COSTS, sweep_lines
from orchestra.skills import RecruitmentTable

_SKILLS = 30
"""Most skills of the heat map and of the table by skill; those with the most evidence."""

_FILTERS = ("percent", "band", "ends_of", "points", "count", "dollars", "reasons")
_CHARTS = (axis_chart, bar_chart, key_chart, reliability_chart, whisker_chart)
_CODE = re.compile(r"`([^`]+)`")
_MEASURES = (
    ("accuracy", "interval", "right, %"),
    ("planted", "planted_interval", "decided as planted, %"),
)
_UNDEFENDED = frozenset({"majority", "weighted", "moa"})


def page(report: Mapping[str, Any], table: RecruitmentTable | None = None) -> str:
    """The page of a run.

    Args:
        report: the content of `report.json`.
        table: the recruitment table of the run, for the heat map; None leaves the map out.
    """
    arms = figures.arms_of(report)
    return _render(
        "report.html.j2",
        report,
        money=figures.money_of(report["money"], report.get("spending")),
        prices=_prices(report.get("spending"), report["money"]),
        arms=arms,
        ends=figures.scale([row["interval"] for _, row in arms if row["interval"]]),
        heat=None if table is None else heat_map(table).head(_SKILLS),
        groupings=list(_groupings(report)) if report["n"] else [],
        seats=figures.seats_of(report),
        trust=figures.trust_lines(report),
        panel=figures.panel_lines(report),
        curves=list(_panel_curves(report)),
        contributions=_contributions(report),
    )


def redteam_page(report: Mapping[str, Any]) -> str:
    """The page of a red team.

    Args:
        report: the content of a red team's `report.json`.
    """
    results = attack_results(report)
    return _render(
        "redteam.html.j2",
        report,
        results=results,
        lines=recommendation_lines(report),
        ends=figures.scale([row["interval"] for row in report["recommendation"]["ranking"]]),
        legend=_curves(report, results[0], "accuracy", "interval"),
        figures=_figures(report, results),
        suspicions=[
            row
            for result in results
            for n in result.faults
            for row in _suspicions(report, result, n)
        ],
    )


def sweep_page(sweep: Mapping[str, Any]) -> str:
    """The page of a sweep.

    Args:
        sweep: the content of `sweep.json`.
    """
    whole = [row for row in sweep["variants"] if row["lacking"] is None]
    points = [row["interval"] for row in whole]
    ends = figures.scale(points)
    charts = [
        (words, front_chart(_variants(whole, cost), ends=ends, label=words))
        for cost, words in SWEEP_COSTS.items()
        if any(row[cost] for row in whole)
    ]
    return (
        _environment()
        .get_template("sweep.html.j2")
        .render(
            sweep=sweep,
            title=f"Sweep of {sweep['pipeline']}",
            charts=charts,
            ends=ends,
            whole=sorted(whole, key=lambda row: (row["calls"], -row["accuracy"])),
            lacking=[row for row in sweep["variants"] if row["lacking"] is not None],
            lines=sweep_lines(sweep),
        )
    )


def _variants(whole: Sequence[Mapping[str, Any]], cost: str) -> list[Point]:
    return [
        Point(
            row["name"],
            row[cost],
            row["accuracy"],
            row["interval"],
            row["front"][cost],
            own=row["own"],
        )
        for row in whole
    ]


def _render(template: str, report: Mapping[str, Any], **values: Any) -> str:
    title = f"{report['pipeline']} on {report['benchmark']}"
    if template.startswith("redteam"):
        title = f"Red team: {title}"
    return _environment().get_template(template).render(report=report, title=title, **values)


@cache
def _environment() -> Environment:
    """The only way to a page: every value that a template prints is escaped here."""
    environment = Environment(
        loader=PackageLoader("orchestra.report", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in _FILTERS:
        environment.filters[name] = getattr(figures, name)
    environment.filters["code"] = _code
    for function in (
        figures.calibration_words,
        figures.counted,
        figures.independence,
        liars_words,
        reach_words,
        *_CHARTS,
    ):
        environment.globals[function.__name__] = function
    return environment


def _code(words: str) -> Markup:
    """The words, escaped, with the parts between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(words))))


def _prices(spending: Mapping[str, Any] | None, money: float) -> str:
    """The source of the prices, and the money paid for all attempts."""
    if spending is None:
        return "where prices are known"
    paid = f"paid {figures.paid(spending, money)}"
    sources = figures.price_sources(spending) or ("" if spending["prices"] else "roster")
    return f"prices from {sources}; {paid}" if sources else paid


def _groupings(report: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, Any]], int]]:
    """(category or skill, its rows, how many rows are left out)."""
    for name, groups in figures.groupings_of(report):
        ranked = sorted(groups.items(), key=lambda pair: (-pair[1]["n"], pair[0]))
        yield name, sorted(ranked[:_SKILLS]), max(len(ranked) - _SKILLS, 0)


def _panel_curves(report: Mapping[str, Any]) -> Iterator[tuple[str, list[Curve], Markup]]:
    """(title, curves, chart): right by number of experts, and by share of answers given."""
    sizes = report.get("panel", {}).get("k_curve", {})
    kinds = {"all": "all questions", "alike": "the seats agree", "split": "the seats differ"}
    curves = [
        _points(words, place, [(row["k"], row) for row in sizes[kind]])
        for place, (kind, words) in enumerate(kinds.items())
        if kind in sizes
    ]
    if curves and len(curves[0].points) > 1:
        yield _drawn("A majority of so many random experts", curves, "experts")
    if risk := report["confidence"].get("risk_coverage"):
        rows = [(round(100 * row["coverage"]), row) for row in risk["points"]]
        if len(rows) > 1:
            given = [_points("the most confident answers", 0, rows)]
            yield _drawn("Right among the most confident", given, "answers given, %")


def _points(name: str, place: int, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> Curve:
    points = tuple((at, row["accuracy"], row["interval"]) for at, row in rows)
    return Curve(name, place, points, chosen=not place)


def _drawn(title: str, curves: list[Curve], axis: str) -> tuple[str, list[Curve], Markup]:
    ends = figures.scale([point[2] for curve in curves for point in curve.points if point[2]])
    places = [at for at, _, _ in curves[0].points]
    chart = curves_chart(curves, faults=places, ends=ends, label=title, axis=axis)
    return title, curves, chart


def _contributions(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """(expert or family, what it adds), the largest first."""
    found = report.get("panel", {}).get("contributions", {})
    return sorted(found.items(), key=lambda pair: (-pair[1]["shapley"]["value"], pair[0]))


# Red team


def _figures(
    report: Mapping[str, Any], results: Sequence[AttackResult]
) -> list[tuple[AttackResult, list[tuple[str, Markup]]]]:
    """Each attack with its labelled charts, all on the same axes."""
    cells = report["cells"]
    ends = [
        figures.scale([cell[interval] for cell in cells if cell[interval] is not None])
        for _, interval, _ in _MEASURES
    ]
    return [(result, list(_charts(report, result, ends))) for result in results]


def _charts(
    report: Mapping[str, Any], result: AttackResult, ends: Sequence[tuple[float, float]]
) -> Iterator[tuple[str, Markup]]:
    """The two charts of one attack; an empty chart is left out."""
    for (name, interval, label), limits in zip(_MEASURES, ends, strict=True):
        curves = _curves(report, result, name, interval)
        if any(curve.points for curve in curves):
            words = f"{label} under {result.title}"
            yield label, curves_chart(curves, faults=result.faults, ends=limits, label=words)
        elif result.tried:
            yield "nothing was planted", Markup()


def _curves(
    report: Mapping[str, Any], result: AttackResult, name: str, interval: str
) -> list[Curve]:
    """A curve for each defence: the recommended one is last but for the thin reference."""
    chosen = report["recommendation"]["defence"]
    curves = [
        Curve(
            defence,
            place,
            tuple(
                (n, cell[name], cell[interval])
                for n in result.faults
                if (cell := result.cells[defence, n])[name] is not None
            ),
            chosen=defence == chosen,
            dashed=defence in _UNDEFENDED,
        )
        for place, defence in enumerate(report["defences"])
    ]
    first = report["defences"][0]
    removed = [(n, result.cells[first, n]["liars_removed"]) for n in result.faults]
    points = tuple((n, row[name], None) for n, row in removed if row[name] is not None)
    reference = Curve("liars removed", COLOURS - 1, points, dashed=True, thin=True)
    return [*sorted(curves, key=lambda curve: curve.chosen), reference]


def _suspicions(
    report: Mapping[str, Any], result: AttackResult, faults: int
) -> Iterator[tuple[str, ...]]:
    """Rows of suspects and alarms; defences with the same suspicion share a row."""
    defences: dict[tuple[str, str, str], list[str]] = {}
    for name in report["defences"]:
        detection = result.cells[name, faults]["detection"]
        for row in () if detection is None else _evidence(detection):
            defences.setdefault(row, []).append(name)
    for row, names in defences.items():
        yield (result.title, str(faults), ", ".join(names), *row)


def _evidence(detection: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for suspect in detection["suspects"]:
        deviation = f"{suspect['deviation']:.1f} standard deviations"
        liar = "yes" if suspect["liar"] else "no"
        yield suspect["expert"], liar, f"{suspect['kind']}, {deviation}: {suspect['detail']}"
    for alarm in detection["alarms"]:
        yield "(alarm)", "", alarm
