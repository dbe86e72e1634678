"""Measure experts on labelled questions, then see whom a question would go to, and why."""

from __future__ import annotations

from pathlib import Path

import orchestra

HERE = Path(__file__).parent


def main() -> None:
    table = orchestra.profile(HERE / "roster.yaml", HERE / "data/profile.jsonl")
    for name in table.experts:
        seen = table.tally(name)
        print(f"{name:14} {seen.correct:3} of {seen.seen} right, {seen.absent} without an answer")

    pipeline = orchestra.Pipeline.load("orchestra", roster=HERE / "roster.yaml", table=table)
    questions = [item.question for item in orchestra.load_dataset(HERE / "data/test.jsonl")[::20]]
    for question, plan in zip(questions, pipeline.plan(pipeline.brief(questions)), strict=True):
        print(f"\n{question.text}")
        for seat in plan.seats:
            print(f"  {seat.expert}: {seat.reason}")


if __name__ == "__main__":
    main()
