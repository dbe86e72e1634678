"""A run's report as one HTML file that needs nothing else: no network, no script.

Knows the content of `report.json` and, where one was used, the recruitment table.
Escapes whatever came from outside; the same report gives the same bytes (times, which
never repeat, are left out).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from orchestra.report.format import ARMS, band, count, dollars, percent, reasons, scale, trust_lines
from orchestra.report.heatmap import Cell, HeatMap, heat_map
from orchestra.report.html.charts import axis_chart, bar_chart, reliability_chart, whisker_chart
from orchestra.report.html.style import CSS
from orchestra.skills import RecruitmentTable

_SKILLS = 30
"""Most skills of the heat map and of the table by skill; those with the most evidence."""


def page(report: Mapping[str, Any], table: RecruitmentTable | None = None) -> str:
    """The whole document.

    Args:
        report: the content of `report.json`.
        table: what recruiting rested on, for the heat map; None leaves it out.
    """
    title = f"{report['pipeline']} on {report['benchmark']}"
    parts = [f"<header><h1>{escape(title)}</h1>{_headline(report)}</header>", _facts(report)]
    if report["n"]:
        parts.append(_arms(report))
    if table is not None:
        parts.append(_heat(heat_map(table).head(_SKILLS)))
    if report["n"]:
        parts.append(_groups(report["by_category"], "category"))
        if set(report["by_skill"]) != set(report["by_category"]):
            parts.append(_groups(report["by_skill"], "skill"))
    parts += [_seats(report), _absences(report), _trust(report), _confidence(report)]
    parts.append(_notes(report))
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        f"{body}\n</main>\n</body>\n</html>\n"
    )


def _headline(report: Mapping[str, Any]) -> str:
    told = escape(f"{report['protocol']}; seed {report['seed']}")
    if not report["n"]:
        asked = f"{report['questions']:,} questions, none with a gold answer"
        return f'<p>{asked}</p><p class="soft">{told}</p>'
    return (
        f'<p class="headline"><strong>{percent(report["accuracy"])}</strong>'
        f"<span>right; 95 % interval {band(report['interval'])}; {report['n']:,} questions</span>"
        f'</p><p class="soft">{told}</p>'
    )


def _facts(report: Mapping[str, Any]) -> str:
    tokens = report["tokens"]
    facts = [
        ("Calls", f"{report['calls']:,}", f"{report['calls_per_question']:.2f} a question"),
        (
            "Tokens",
            f"{count(tokens['input'])} in, {count(tokens['output'])} out",
            "estimated" if tokens["estimated"] else "as reported",
        ),
        (
            "Model loads",
            f"{report['loads']:,}",
            f"lower bound {report['loads_lower_bound']:,}; "
            f"question by question {report['loads_first_come']:,}",
        ),
        ("Money", dollars(report["money"]), _priced(report.get("spending"), report["money"])),
        ("Right among answered", percent(report["accuracy_among_answered"]), "absent left out"),
    ]
    rows = "".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{small}</small></dd></div>"
        for name, value, small in facts
    )
    return f'<dl class="facts">{rows}</dl>'


def _priced(spending: Mapping[str, Any] | None, money: float) -> str:
    """What the money rests on, and what was paid beyond it."""
    if spending is None:
        return "where prices are known"
    sources = " and ".join(sorted(set(spending["prices"].values()))) or "roster"
    most = "at most " if spending["money"] > money + 1e-6 else ""
    paid = f"{most}{dollars(spending['money'])} for {spending['attempts']:,} attempts"
    return escape(f"prices from {sources}; paid {paid}")


def _arms(report: Mapping[str, Any]) -> str:
    own = {
        "accuracy": report["accuracy"],
        "interval": report["interval"],
        "calls_per_question": report["calls_per_question"],
        "tokens": report["tokens"]["input"] + report["tokens"]["output"],
    }
    arms = {"": own, **report["arms"]}
    ends = scale([row["interval"] for row in arms.values()])
    rows = [
        _row(
            ARMS.get(name, name) or f"this run: {report['pipeline']}",
            percent(row["accuracy"]),
            band(row["interval"]),
            f"{row['calls_per_question']:.2f}",
            count(row["tokens"]),
            chart=whisker_chart(row["accuracy"], row["interval"], ends),
            own=not name,
        )
        for name, row in arms.items()
    ]
    head = _head(
        "Arm", "Accuracy", "95 % interval", "Calls a question", "Tokens", chart=axis_chart(ends)
    )
    about = (
        "What the same experts could have given on the same questions, in percent right. "
        "By profile: chosen before the test. Oracle: right if any of them is."
    )
    return _section("Beside other ways to ask these experts", about, head, rows)


def _heat(shown: HeatMap) -> str:
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in shown.skills)
    seen = [max(shown.cells[n, skill].tally.seen for n in shown.experts) for skill in shown.skills]
    rows = [
        f'<tr><th scope="row">{escape(name)}</th>{_cell(shown.overall[name])}'
        + "".join(_cell(shown.cells[name, skill]) for skill in shown.skills)
        + "</tr>"
        for name in shown.experts
    ]
    counts = "".join(f'<td style="--v:0">{number}</td>' for number in seen)
    foot = f'<tr><th scope="row">questions</th><td style="--v:0">{shown.questions}</td>{counts}'
    hidden = f" {shown.hidden} skills with less evidence are left out." if shown.hidden else ""
    return (
        "<section><h2>What the profile says of each expert</h2>"
        '<p class="soft">Percent right of the questions seen, ± half the 95 % interval. '
        f"Errors coincide: {len(shown.experts)} votes are worth {shown.panel:.1f} "
        f'independent ones.{hidden}</p><div class="scroll"><table class="heat"><thead><tr>'
        f'<th scope="col">Expert</th><th scope="col"><span>overall</span></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}{foot}</tr></tbody></table></div></section>"
    )


def _cell(cell: Cell) -> str:
    deep = ' class="deep"' if cell.estimate > 0.72 else ""
    half = 50 * (cell.high - cell.low)
    told = (
        f"{cell.tally.correct} right of {cell.tally.seen} seen, {cell.tally.absent} absent; "
        f"95 % interval {band((cell.low, cell.high))}"
    )
    return (
        f'<td{deep} style="--v:{cell.estimate:.3f}" title="{told}">'
        f"{100 * cell.estimate:.0f} <small>±{half:.0f}</small></td>"
    )


def _groups(groups: Mapping[str, Any], name: str) -> str:
    ranked = sorted(groups.items(), key=lambda pair: (-pair[1]["n"], pair[0]))
    shown = sorted(ranked[:_SKILLS])
    rows = [
        _row(
            label,
            f"{row['n']:,}",
            percent(row["accuracy"]),
            band(row["interval"]),
            chart=whisker_chart(row["accuracy"], row["interval"], (0.0, 1.0)),
        )
        for label, row in shown
    ]
    left = len(ranked) - len(shown)
    about = f"{left} with fewer questions are left out." if left else ""
    head = _head(
        name.capitalize(), "Questions", "Accuracy", "95 % interval", chart=axis_chart((0.0, 1.0))
    )
    return _section(f"By {name}", about, head, rows)


def _seats(report: Mapping[str, Any]) -> str:
    ranked = sorted(report["seats"].items(), key=lambda pair: (-pair[1]["calls"], pair[0]))
    most = max((row["calls"] for _, row in ranked), default=1)
    rows = [
        _row(
            name,
            f"{row['calls']:,}",
            percent(row["absent"] / max(row["calls"], 1)),
            chart=bar_chart(
                row["calls"],
                most,
                part=row["absent"],
                label=f"{row['calls']} calls, {row['absent']} without an answer",
            ),
        )
        for name, row in ranked
    ]
    about = "How often each was called; the faint end of a bar gave no readable answer."
    return _section(
        "Experts that were asked", about, _head("Expert", "Calls", "No answer", chart=" "), rows
    )


def _absences(report: Mapping[str, Any]) -> str:
    return (
        "<section><h2>Absent answers</h2>"
        f"<p>Decisions: {escape(reasons(report['absent']))}.</p>"
        f"<p>Single calls: {escape(reasons(report['seat_absent']))}.</p>"
        '<p class="soft">Absent counts as not right, and is kept apart from wrong.</p></section>'
    )


def _confidence(report: Mapping[str, Any]) -> str:
    told = report["confidence"]
    if not told["n"]:
        return ""
    return (
        "<section><h2>Does its confidence hold?</h2>"
        f"<p>Expected calibration error {percent(told['ece'])}, Brier score {told['brier']:.3f}; "
        f"fitted on {told['fitted_on']:,} profiled questions.</p>"
        f'<div class="curve">{reliability_chart(told["reliability"])}</div></section>'
    )


def _trust(report: Mapping[str, Any]) -> str:
    lines = trust_lines(report)
    rows = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<section><h2>Trust</h2><ul>{rows}</ul></section>" if lines else ""


def _notes(report: Mapping[str, Any]) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in report["notes"])
    return f'<section><h2>Notes</h2><ul class="notes">{notes}</ul></section>' if notes else ""


def _section(title: str, about: str, head: str, rows: Iterable[str]) -> str:
    told = f'<p class="soft">{escape(about)}</p>' if about else ""
    return (
        f'<section><h2>{escape(title)}</h2>{told}<div class="scroll"><table class="wide">'
        f"<thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _head(first: str, *others: str, chart: str) -> str:
    cells = "".join(f'<th scope="col" class="number">{escape(each)}</th>' for each in others)
    return f'<tr><th scope="col">{escape(first)}</th>{cells}<td class="chart">{chart}</td></tr>'


def _row(first: str, *others: str, chart: str, own: bool = False) -> str:
    cells = _numbers(others)
    kind = ' class="own"' if own else ""
    return (
        f'<tr{kind}><th scope="row">{escape(first)}</th>{cells}<td class="chart">{chart}</td></tr>'
    )


def _numbers(cells: Sequence[str]) -> str:
    return "".join(f'<td class="number">{escape(each)}</td>' for each in cells)
