"""Evaluate a pipeline on recorded answers, in a run folder that resumes by itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import orchestra

HERE = Path(__file__).parent


def main() -> None:
    table = orchestra.profile(HERE / "recorded.yaml", HERE / "data/profile.jsonl")
    pipeline = orchestra.Pipeline.load("orchestra", roster=HERE / "recorded.yaml", table=table)
    with tempfile.TemporaryDirectory() as folder:
        report = orchestra.evaluate(pipeline, HERE / "data/test.jsonl", out=Path(folder) / "run")
    low, high = report["interval"]
    print(
        f"{report['accuracy']:.1%} right of {report['n']} (95 % interval {low:.1%} to {high:.1%})"
    )
    print(f"{report['calls_per_question']:.2f} calls a question; absent: {report['absent']}")
    for name, arm in report["arms"].items():
        print(f"  {name:22} {arm['accuracy']:6.1%} at {arm['calls_per_question']:.2f} calls")


if __name__ == "__main__":
    main()
