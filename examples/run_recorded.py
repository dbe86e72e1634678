"""Evaluate a pipeline on recorded answers, in a run folder that resumes by itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import orchestra as oc

HERE = Path(__file__).parent


def main() -> None:
    team = oc.Pipeline("orchestra", HERE / "recorded.yaml").fit(HERE / "data/profile.jsonl")
    with tempfile.TemporaryDirectory() as folder:
        report = team.run(HERE / "data/test.jsonl", out=Path(folder) / "run").report
    print(report)
    for name, arm in report.arms.items():
        print(f"  {name:22} {arm['accuracy']:6.1%} at {arm['calls_per_question']:.2f} calls")


if __name__ == "__main__":
    main()
