"""A red team's report as one HTML file that needs nothing else: no network, no script.

Knows the content of its `report.json`. Escapes whatever came from outside; the same report gives
the same bytes (times, which never repeat, are left out).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from orchestra.redteam.sweep import counted
from orchestra.report.format import band, ends_of, percent, points, scale
from orchestra.report.html.charts import (
    COLOURS,
    Curve,
    axis_chart,
    curves_chart,
    key_chart,
    whisker_chart,
)
from orchestra.report.html.style import CSS, CURVES
from orchestra.report.terminal.redteam import (
    Cell,
    Figure,
    figures_of,
    liars_words,
    reach_words,
    recommendation_lines,
)

_CODE = re.compile(r"`([^`]+)`")
_WORDS = frozenset({"Defence", "Worst attack", "Liars", "Suspect", "Is a liar", "Evidence"})
"""Columns that hold no figures."""


def prose(words: str) -> str:
    """Words with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(words))


def section(title: str, about: str, head: str, rows: Iterable[str]) -> str:
    """A section with one table.

    Args:
        title: its heading.
        about: what the columns mean; code between backticks.
        head: from `heading_row`.
        rows: from `figures_row` or `words_row`, or written by the caller.
    """
    return (
        f'<section><h2>{escape(title)}</h2><p class="soft">{prose(about)}</p>'
        f'<div class="scroll"><table class="wide"><thead>{head}</thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def heading_row(names: Sequence[str], *, chart: str = "") -> str:
    """The names of the columns; where there are charts, their axis."""
    first, *others = names
    cells = "".join(f'<th scope="col"{_sided(each)}>{escape(each)}</th>' for each in others)
    drawn = f'<td class="chart">{chart}</td>' if chart else ""
    return f'<tr><th scope="col">{escape(first)}</th>{cells}{drawn}</tr>'


def _sided(name: str) -> str:
    return "" if name in _WORDS else ' class="number figure"'


def figures_row(first: str, *others: str, chart: str = "", own: bool = False) -> str:
    """A row of figures, and a chart of them; `own` is the one that is recommended."""
    cells = "".join(f'<td class="number">{escape(each)}</td>' for each in others)
    drawn = f'<td class="chart">{chart}</td>' if chart else ""
    kind = ' class="own"' if own else ""
    return f'<tr{kind}><th scope="row">{escape(first)}</th>{cells}{drawn}</tr>'


def words_row(first: str, *others: str) -> str:
    """A row of words."""
    cells = "".join(f"<td>{escape(each)}</td>" for each in others)
    return f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'


_CHARTS = (
    ("accuracy", "interval", "right, %"),
    ("planted", "planted_interval", "decided as planted, %"),
)
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
        f"<li{_warned(line)}>{prose(line)}</li>" for line in recommendation_lines(report)
    )
    asked = (
        f"{counted(report['n'], 'question')}; {counted(len(report['experts']), 'expert')}, "
        f"{told['panel']} asked for most questions; {counted(report['seeds'], 'draw')} of the liars"
    )
    if told["defence"] is None:
        chosen, how = "No recommendation", f"against {liars}"
    else:
        chosen = escape(told["defence"])
        how = f"against {liars}; <code>--set {escape(told['setting'])}</code>"
    return (
        f'<p class="headline"><strong>{chosen}</strong><span>{how}</span></p>'
        f'<ul class="notes">{lines}</ul><p class="soft">{asked}</p>'
        f'<p class="soft">{prose(report["protocol"])}; seed {report["seed"]}</p>'
    )


def _warned(line: str) -> str:
    return ' class="warned"' if line.startswith("warning") else ""


def _ranking(report: Mapping[str, Any]) -> str:
    told = report["recommendation"]
    if not told["ranking"]:
        return ""
    ends = scale([row["interval"] for row in told["ranking"]])
    rows = [
        figures_row(
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
    head = heading_row(
        (
            *("Defence", "Right", "95 % interval", "Honest panel", "Price, points"),
            *(f"Guaranteed at {told['declared']}", "Calls a question", "At its worst under"),
        ),
        chart=axis_chart(ends),
    )
    about = (
        f"Each way at its worst over these attacks by {liars_words(told['declared'])}. Price: "
        f"points below `{report['honest']['best_undefended']}`, the best that trusts everybody, on "
        "an honest panel, with its 95 % interval. Guaranteed: share of that panel's answers that "
        "so many liars cannot change, whatever they do."
    )
    return section("What holds against the worst of them", about, head, rows)


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
        "everybody, and thin in grey, above all others, the same panel with its liars' seats left "
        "empty, which comes to some planted answers of its own accord.</p>"
        f'<ul class="legend">{keys}</ul><div class="multiples">{drawn}</div></section>'
    )


def _pair(
    report: Mapping[str, Any],
    figure: Figure,
    ends: tuple[tuple[float, float], tuple[float, float]],
) -> str:
    """The two charts of one attack; one that would be empty is left out."""
    parts = [_caption(figure)]
    for (name, interval, label), limits in zip(_CHARTS, ends, strict=True):
        curves = _series(report, figure, name, interval)
        if any(each.points for each in curves):
            words = f"{label} under {figure.title}"
            drawn = curves_chart(curves, faults=figure.faults, ends=limits, label=words)
            parts.append(f"<p>{label}</p>{drawn}")
        elif figure.tried:
            parts.append("<p>nothing was planted</p>")
    return f"<figure>{''.join(parts)}</figure>"


def _caption(figure: Figure) -> str:
    reach = reach_words(figure)
    told = f" {reach[0].upper()}{reach[1:]}." if reach else ""
    warned = "".join(f'<br><span class="warned">{escape(each)}</span>' for each in figure.warnings)
    return (
        f"<figcaption><b>{escape(figure.title)}</b><br>{escape(figure.about)}{escape(told)}"
        f"{warned}</figcaption>"
    )


def _series(report: Mapping[str, Any], figure: Figure, name: str, interval: str) -> list[Curve]:
    """What is recommended above all others but the thin reference."""
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
    reference = Curve(_REFERENCE, COLOURS - 1, spots, dashed=True, thin=True)
    return [*sorted(curves, key=lambda each: each.chosen), reference]


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
        if figure.tried
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
    if not rows:
        return ""
    about = (
        "With 95 % intervals. Lost: points below the reference vote of the same seats without the "
        "liars', paired. Planted: decided as the liars wanted. RR: of the questions that the "
        "undefended way gets wrong under the attack, right here. DCR: of those that it gets right "
        "on an honest panel, now decided as planted. Named, accused: of the experts with a seat, "
        "over all seeds. Certificate: how many experts would have to lie for another answer, in "
        "the mean; guaranteed: share of answers that so many liars cannot change; broken: "
        "guaranteed answers that the liars' honest ones would have changed all the same."
    )
    return section("Every figure", about, heading_row(columns), rows)


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
        row for figure in figures for n in figure.faults for row in _suspected(figure, n, report)
    ]
    if not rows:
        return ""
    head = heading_row(("Attack", "Liars", "Defence", "Suspect", "Is a liar", "Evidence"))
    about = (
        "Whom each vote that names suspects did not trust, under the first seed; alarms are what "
        "it tells whoever runs it."
    )
    return section("Who was suspected", about, head, rows)


def _suspected(figure: Figure, n: int, report: Mapping[str, Any]) -> Iterator[str]:
    """What every vote says of the experts; votes that say the same share the row."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for name in report["defences"]:
        told = figure.cells[name, n]["detection"]
        for row in () if told is None else _said(told):
            found.setdefault(row, []).append(name)
    for row, names in found.items():
        yield words_row(figure.title, str(n), ", ".join(names), *row)


def _said(told: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for each in told["suspects"]:
        evidence = f"{each['kind']}, {each['deviation']:.1f} standard deviations: {each['detail']}"
        yield each["expert"], "yes" if each["liar"] else "no", evidence
    for alarm in told["alarms"]:
        yield "(alarm)", "", alarm


def _notes(report: Mapping[str, Any]) -> str:
    notes = "".join(f"<li>{prose(note)}</li>" for note in report["notes"])
    return f'<section><h2>Notes</h2><ul class="notes">{notes}</ul></section>'
