"""Measure experts on labelled questions, then see whom a question would go to, and why."""

from __future__ import annotations

from pathlib import Path

import orchestra as oc

HERE = Path(__file__).parent


def main() -> None:
    team = oc.Pipeline("orchestra", HERE / "roster.yaml").fit(HERE / "data/profile.jsonl")
    assert team.table is not None
    for name in team.table.experts:
        seen = team.table.tally(name)
        print(f"{name:14} {seen.correct:3} of {seen.seen} right, {seen.absent} without an answer")
    for item in oc.load_dataset(HERE / "data/test.jsonl", limit=4):
        print(f"\n{item.question.text}")
        print(team.route(item).explain())


if __name__ == "__main__":
    main()
