"""Puts measured figures into README.md: `python -m benchmarks.readme`.

Knows the results file and the markers; measures nothing. Tests fail where the README says
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


def _arm(arm: Mapping[str, Any]) -> str:
    low, high = arm["interval"]
    calls = f"{arm['calls_per_question']:.2f}".rstrip("0").rstrip(".")
    return f"{arm['accuracy']:.1f} ({low:.1f} to {high:.1f}), {calls}"


def _gain(pool: Mapping[str, Any], arm: str) -> str:
    return f"{pool['gain'][arm]['mean']:+.1f}, {pool['calls_per_question'][arm]:.1f}"


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def written(text: str, found: Mapping[str, Any]) -> str:
    """A README's text with the figures between its markers."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{tables(found)}\n\n{END}{after}"


def main() -> None:
    readme = ROOT / "README.md"
    found = orjson.loads((ROOT / "benchmarks" / "results" / "quality.json").read_bytes())
    text = readme.read_text(encoding="utf-8")
    readme.write_text(written(text, found), encoding="utf-8")


if __name__ == "__main__":
    main()
