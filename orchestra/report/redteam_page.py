"""A red team's report as one HTML file that needs nothing else: no network, no script.

Knows the content of its `report.json`. Escapes whatever came from outside; the same report gives
the same bytes (times, which never repeat, are left out).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from orchestra.report.charts import axis_chart, whisker_chart
from orchestra.report.figures import band, ends_of, percent, points, scale
from orchestra.report.redteam import (
    Cell,
    Figure,
    figures_of,
    liars_words,
    reach_words,
    recommendation_lines,
)
from orchestra.report.redteam_charts import COLOURS, Curve, curves_chart, key_chart
from orchestra.report.redteam_style import CURVES
from orchestra.report.style import CSS

_CODE = re.compile(r"`([^`]+)`")
_WORDS = frozenset({"Defence", "Worst attack", "Liars", "Suspect", "Is a liar", "Evidence"})
"""Columns that hold no figures."""
_REFERENCE = "liars removed"
_TRUSTING = frozenset({"majority", "weighted", "moa"})


def redteam_page(report: Mapping[str, Any]) -> str:
    """The whole document.

    Args:
        report: the content of a red team's `report.json`.
    """
    title = f"Red team: {report['pipeline']} on {report['benchmark']}"
    figures = figures_of(report)
    parts = [
        f"<header><h1>{escape(title)}</h1>{_headline(report)}</header>",
        _ranking(report),
        _curves(report, figures),
        _cells(report, figures),
        _suspects(report, figures),
        _notes(report),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}{CURVES}</style>\n</head>\n<body>\n<main>\n"
        f"{body}\n</main>\n</body>\n</html>\n"
    )


def _headline(report: Mapping[str, Any]) -> str:
    told = report["recommendation"]
    liars = liars_words(told["declared"])
    lines = "".join(
        f"<li{_warned(line)}>{_prose(line)}</li>" for line in recommendation_lines(report)
    )
    asked = (
        f"{report['n']:,} questions; {len(report['experts'])} experts, {told['panel']} asked for "
        f"most questions; {report['seeds']} draws of the liars"
    )
    return (
        f'<p class="headline"><strong>{escape(told["defence"])}</strong>'
        f"<span>against {liars}; <code>--set {escape(told['setting'])}</code></span></p>"
        f'<ul class="notes">{lines}</ul><p class="soft">{asked}</p>'
        f'<p class="soft">{_prose(report["protocol"])}; seed {report["seed"]}</p>'
    )


def _warned(line: str) -> str:
    return ' class="warned"' if line.startswith("warning") else ""


def _ranking(report: Mapping[str, Any]) -> str:
    told = report["recommendation"]
    ends = scale([row["interval"] for row in told["ranking"]])
    rows = [
        _row(
            row["defence"],
            percent(row["accuracy"]),
            band(row["interval"]),
            percent(row["honest"]),
            f"{points(row['price'])} ({_span(row['price_interval'])})",
            percent(row["guaranteed"]),
            f"{row['calls_per_question']:.2f}",
            _by(row),
            chart=whisker_chart(row["accuracy"], row["interval"], ends),
            own=row["defence"] == told["defence"],
        )
        for row in told["ranking"]
    ]
    head = _head(
        ("Defence", "Right", "95 % interval", "Honest panel", "Price, points"),
        (f"Guaranteed at {told['declared']}", "Calls a question", "At its worst under"),
        chart=axis_chart(ends),
    )
    about = (
        f"Each way at its worst over these attacks by up to {told['declared']} liars. Price: "
        f"points below `{report['honest']['best_undefended']}`, the best that trusts everybody, on "
        "an honest panel, with its 95 % interval. Guaranteed: share of that panel's answers that "
        "so many liars cannot change, whatever they do."
    )
    return _section("What holds against the worst of them", about, head, rows)


def _by(row: Mapping[str, Any]) -> str:
    return "–" if row["attack"] is None else f"{row['attack']} by {row['faults']}"


def _span(interval: Sequence[float]) -> str:
    return f"{points(interval[0])} to {points(interval[1])}"


def _curves(report: Mapping[str, Any], figures: Sequence[Figure]) -> str:
    accuracies = [cell["interval"] for cell in report["cells"]]
    planted = [
        cell["planted_interval"] for cell in report["cells"] if cell["planted_interval"] is not None
    ]
    ends = scale(accuracies), scale(planted)
    drawn = "".join(_pair(report, figure, ends) for figure in figures)
    keys = "".join(
        f"<li>{key_chart(each)}{escape(each.name)}</li>"
        for each in _series(report, figures[0], "accuracy", "interval")
    )
    return (
        "<section><h2>How each way breaks down</h2>"
        '<p class="soft">Percent right over the number of liars, and below it the share of '
        "questions decided as the liars wanted. Bands are 95 % intervals. Dashed: ways that trust "
        "everybody, and in grey the same panel with its liars' seats left empty, which comes to "
        "some planted answers of its own accord.</p>"
        f'<ul class="legend">{keys}</ul><div class="multiples">{drawn}</div></section>'
    )


def _pair(
    report: Mapping[str, Any],
    figure: Figure,
    ends: tuple[tuple[float, float], tuple[float, float]],
) -> str:
    """The two charts of one attack."""
    charts = [
        curves_chart(
            _series(report, figure, name, interval),
            faults=figure.faults,
            ends=limits,
            label=f"{label} under {figure.title}",
        )
        for (name, interval, label), limits in zip(
            (
                ("accuracy", "interval", "right, %"),
                ("planted", "planted_interval", "decided as planted, %"),
            ),
            ends,
            strict=True,
        )
    ]
    return (
        f"<figure><figcaption><b>{escape(figure.title)}</b><br>{escape(figure.meaning)} "
        f"{escape(reach_words(figure).capitalize())}."
        f"</figcaption><p>right, %</p>{charts[0]}<p>decided as planted, %</p>{charts[1]}</figure>"
    )


def _series(report: Mapping[str, Any], figure: Figure, name: str, interval: str) -> list[Curve]:
    """The reference first, so that it lies below; what is recommended last."""
    chosen = report["recommendation"]["defence"]
    curves = [
        Curve(
            defence,
            place,
            tuple(
                (n, cell[name], _both(cell[interval]))
                for n in figure.faults
                if (cell := figure.cells[defence, n])[name] is not None
            ),
            chosen=defence == chosen,
            dashed=defence in _TRUSTING,
        )
        for place, defence in enumerate(report["defences"])
    ]
    first = report["defences"][0]
    removed = [(n, figure.cells[first, n]["liars_removed"]) for n in figure.faults]
    spots = tuple((n, each[name], None) for n, each in removed if each[name] is not None)
    reference = Curve(_REFERENCE, COLOURS - 1, spots, dashed=True)
    return [reference, *sorted(curves, key=lambda each: each.chosen)]


def _both(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval[0], interval[1])


def _cells(report: Mapping[str, Any], figures: Sequence[Figure]) -> str:
    columns = (
        *("Liars", "Defence", "Right", "Lost, points", "Planted", "RR", "DCR", "Abstained"),
        *("Liars named", "Honest accused", "Certi\u00adficate", "Guaran\u00adteed", "Broken"),
        "Calls",
    )
    chosen = report["recommendation"]["defence"]
    rows = [
        row
        for figure in figures
        for row in (
            f'<tr class="group"><th colspan="{len(columns)}">{escape(figure.title)}</th></tr>',
            *(
                _cell(figure, defence, n, own=defence == chosen)
                for n in figure.faults
                if n
                for defence in report["defences"]
            ),
        )
    ]
    about = (
        "With 95 % intervals. Lost: points below the reference vote of the same seats without the "
        "liars', paired. Planted: decided as the liars wanted. RR: of the questions that the "
        "undefended way gets wrong under the attack, right here. DCR: of those that it gets right "
        "on an honest panel, now decided as planted. Named, accused: of the experts with a seat, "
        "over all seeds. Certificate: how many experts would have to lie for another answer, in "
        "the mean; guaranteed: share of answers that so many liars cannot change; broken: "
        "guaranteed answers that the liars' honest ones would have changed all the same."
    )
    return _section("Every figure", about, _head(columns, ()), rows)


def _cell(figure: Figure, defence: str, n: int, *, own: bool) -> str:
    cell = figure.cells[defence, n]
    lost = f"{points(cell['loss'])}<small>{_span(cell['loss_interval'])}</small>"
    shares = "".join(
        _number(f"{percent(cell[name])}<small>{ends_of(cell[interval])}</small>")
        for name, interval in (
            ("planted", "planted_interval"),
            ("recovery", "recovery_interval"),
            ("corruption", "corruption_interval"),
        )
    )
    right = f"{percent(cell['accuracy'])}<small>{ends_of(cell['interval'])}</small>"
    calls = f"{cell['calls_per_question']:.2f}"
    others = (percent(cell["abstained"]), *_named(cell), *_sure(cell), calls)
    kind = ' class="own"' if own else ""
    return (
        f'<tr{kind}><th scope="row">{n}</th><td>{escape(defence)}</td>{_number(right)}'
        f"{_number(lost)}{shares}{''.join(map(_number, others))}</tr>"
    )


def _number(told: str) -> str:
    return f'<td class="number figure">{told}</td>'


def _named(cell: Cell) -> tuple[str, str]:
    told = cell["detection"]
    if told is None:
        return "–", "–"
    return f"{told['named']}/{told['liars']}", f"{told['accused']}/{told['honest']}"


def _sure(cell: Cell) -> tuple[str, str, str]:
    told = cell["certificate"]
    if told is None:
        return "–", "–", "–"
    return f"{told['mean']:.2f}", percent(told["guaranteed"]), f"{told['violated']:,}"


def _suspects(report: Mapping[str, Any], figures: Sequence[Figure]) -> str:
    rows = [
        row
        for figure in figures
        for (_, n), cell in figure.cells.items()
        if cell["detection"] is not None
        for row in _suspected(figure, n, cell)
    ]
    if not rows:
        return ""
    head = _head(("Attack", "Liars", "Defence", "Suspect", "Is a liar", "Evidence"), ())
    about = (
        "Whom each vote that names suspects did not trust, under the first seed; alarms are what "
        "it tells whoever runs it."
    )
    return _section("Who was suspected", about, head, rows)


def _suspected(figure: Figure, n: int, cell: Cell) -> Iterator[str]:
    told = cell["detection"]
    first = (figure.title, str(n), cell["defence"])
    for each in told["suspects"]:
        evidence = f"{each['kind']}, {each['deviation']:.1f} standard deviations: {each['detail']}"
        yield _words(*first, each["expert"], "yes" if each["liar"] else "no", evidence)
    for alarm in told["alarms"]:
        yield _words(*first, "(alarm)", "", alarm)


def _notes(report: Mapping[str, Any]) -> str:
    notes = "".join(f"<li>{_prose(note)}</li>" for note in report["notes"])
    return f'<section><h2>Notes</h2><ul class="notes">{notes}</ul></section>'


def _prose(words: str) -> str:
    """Words with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(words))


def _section(title: str, about: str, head: str, rows: Iterable[str]) -> str:
    return (
        f'<section><h2>{escape(title)}</h2><p class="soft">{_prose(about)}</p>'
        f'<div class="scroll"><table class="wide"><thead>{head}</thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _head(names: Sequence[str], more: Sequence[str], *, chart: str = "") -> str:
    first, *others = (*names, *more)
    cells = "".join(f'<th scope="col"{_sided(each)}>{escape(each)}</th>' for each in others)
    drawn = f'<td class="chart">{chart}</td>' if chart else ""
    return f'<tr><th scope="col">{escape(first)}</th>{cells}{drawn}</tr>'


def _sided(name: str) -> str:
    return "" if name in _WORDS else ' class="number figure"'


def _row(first: str, *others: str, chart: str = "", own: bool = False) -> str:
    cells = "".join(f'<td class="number">{escape(each)}</td>' for each in others)
    drawn = f'<td class="chart">{chart}</td>' if chart else ""
    kind = ' class="own"' if own else ""
    return f'<tr{kind}><th scope="row">{escape(first)}</th>{cells}{drawn}</tr>'


def _words(first: str, *others: str) -> str:
    cells = "".join(f"<td>{escape(each)}</td>" for each in others)
    return f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'
