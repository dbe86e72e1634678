"""A small table and a report to draw, with words in them that a page must escape."""

from __future__ import annotations

from typing import Any

import pytest

from orchestra.records import Absence, Brief, Mark, Outcome
from orchestra.skills import RecruitmentTable

NASTY = '<script>alert("&")</script>'


@pytest.fixture
def table() -> RecruitmentTable:
    """Two experts and three skills: `a` has most evidence, `c` least."""
    skills = ["a"] * 6 + ["b"] * 4 + ["c"] * 2
    briefs = [Brief(f"q{n}", ((skill, 1.0),), "category") for n, skill in enumerate(skills)]
    marks = []
    for n in range(len(skills)):
        right = Outcome.CORRECT if n % 3 else Outcome.WRONG
        marks.append(Mark(f"q{n}", "good", right, "A"))
        marks.append(
            Mark(f"q{n}", NASTY, Outcome.ABSENT, None, Absence.UNPARSED)
            if n % 2
            else Mark(f"q{n}", NASTY, Outcome.WRONG, "B")
        )
    return RecruitmentTable.build(briefs, marks, experts=[NASTY, "good"])


@pytest.fixture
def report() -> dict[str, Any]:
    """The content of a report.json."""
    arm = {"accuracy": 0.4, "interval": [0.3, 0.5], "calls_per_question": 1.0, "tokens": 900}
    group = {"n": 50, "accuracy": 0.6, "interval": [0.46, 0.72]}
    return {
        "schema": 1,
        "pipeline": "orchestra",
        "benchmark": NASTY,
        "protocol": "as `stated`",
        "seed": 7,
        "questions": 100,
        "n": 100,
        "accuracy": 0.6,
        "interval": [0.5, 0.69],
        "accuracy_among_answered": 0.62,
        "absent": {"unparsed": 3},
        "seat_absent": {"unparsed": 30, "refused": 2},
        "seats": {"good": {"calls": 100, "absent": 2}, NASTY: {"calls": 80, "absent": 30}},
        "by_category": {"sums": group, NASTY: group},
        "by_skill": {"addition": group, NASTY: group},
        "calls": 180,
        "calls_per_question": 1.8,
        "tokens": {
            "generate": {"good": {"input": 500, "output": 400}},
            "input": 500,
            "output": 400,
            "estimated": True,
        },
        "loads": 2,
        "loads_first_come": 180,
        "loads_lower_bound": 2,
        "money": 0.12,
        "seconds": 1.5,
        "confidence": {
            "n": 97,
            "ece": 0.031,
            "brier": 0.2,
            "reliability": [
                {"low": 0.4, "high": 0.5, "n": 40, "confidence": 0.45, "accuracy": 0.5},
                {"low": 0.7, "high": 0.8, "n": 57, "confidence": 0.76, "accuracy": 0.7},
            ],
            "abstained": 3,
            "fitted_on": 40,
        },
        "gold_letters": {"A": 50, "B": 50},
        "arms": {"best_single": arm, "oracle_all": {**arm, "accuracy": 0.8}},
        "notes": [f"synthetic: {NASTY}"],
    }
