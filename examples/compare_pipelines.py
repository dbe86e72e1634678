"""Two pipelines on the same questions, compared question by question."""

from __future__ import annotations

from pathlib import Path

import orchestra as oc

HERE = Path(__file__).parent


def main() -> None:
    test = HERE / "data/test.jsonl"
    team = oc.Pipeline("orchestra", HERE / "roster.yaml")
    team.fit(HERE / "data/profile.jsonl", tagger="category")
    best = oc.Pipeline("single-best", team.experts, table=team.table)
    compared = team.run(test).compare(best.run(test))
    print(compared)
    low, high = compared.interval.low, compared.interval.high
    print(f"difference {compared.points:+.1f} points (95 % interval {low:+.1%} to {high:+.1%})")
    print(f"{compared.wins} questions won, {compared.losses} lost, McNemar p = {compared.p:.2g}")


if __name__ == "__main__":
    main()
