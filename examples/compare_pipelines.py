"""Two pipelines on the same questions, compared question by question."""

from __future__ import annotations

from pathlib import Path

from orchestra import Comparison, Mark, Pipeline, compare, load_dataset, profile
from orchestra.evals import mark_decision

HERE = Path(__file__).parent


def main() -> None:
    table = profile(HERE / "roster.yaml", HERE / "data/profile.jsonl")
    items = {item.question.id: item for item in load_dataset(HERE / "data/test.jsonl")}

    def marks(name: str) -> dict[str, Mark]:
        pipeline = Pipeline.load(name, roster=HERE / "roster.yaml", table=table)
        outcomes = pipeline.run([item.question for item in items.values()])
        return {
            decision.question_id: mark_decision(decision, items[decision.question_id], who=name)
            for decision in outcomes.decisions
        }

    found: Comparison = compare(marks("orchestra"), marks("single-best"))
    low, high = found.interval.low, found.interval.high
    print(f"orchestra {found.accuracy_a:.1%}, single-best {found.accuracy_b:.1%}, n={found.n}")
    print(f"difference {found.difference:+.1%} (95 % interval {low:+.1%} to {high:+.1%})")
    print(f"{found.wins} questions won, {found.losses} lost, McNemar p = {found.p:.2g}")


if __name__ == "__main__":
    main()
