from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from orchestra.report import summary_view


def printed(report: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(summary_view(report))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_the_headline_comes_first(report: dict[str, Any]) -> None:
    first = printed(report).splitlines()[:3]
    assert "orchestra on" in first[0]
    assert "60.0 % right, 95 % interval 50.0 – 69.0 %, 100 questions" in first[1]


def test_everything_is_told_without_colour(report: dict[str, Any]) -> None:
    words = printed(report)
    assert "\x1b" not in words
    for part in (
        "180 (1.80 a question)", "estimated", "lower bound 2", "$0.12", "best single, by profile",
        "oracle over all experts", "sums", "addition", "unparsed 30, refused 2", "3.1 %", "0.200",
        "40 – 50 %", "- synthetic:",
    ):  # fmt: skip
        assert part in words


def test_without_gold_answers_nothing_is_called_right(report: dict[str, Any]) -> None:
    less = {**report, "n": 0, "accuracy": None, "interval": None}
    words = printed(less)
    assert "none with a gold answer" in words
    assert "By category" not in words


def test_the_panel_in_a_few_lines(report: dict[str, Any]) -> None:
    words = " ".join(printed(report).split())
    for part in (
        "experts differ on 50 questions: 60.0 % right", "80.0 % (0.4 – 2.2 %) over the seats",
        "91.0 %", "2 experts vote like 1.5 independent ones", "can go with a loss below 1 point",
        "the weights gain +1.3 points (+0.4 to +2.2)", "3.1 % (0.0 – 6.0 %)",
        "the more confident 50 % of the answers are 81.0 % right",
    ):  # fmt: skip
        assert part in words
    report["panel"]["advice"]["drop"] = []
    assert "no expert can go" in printed(report)


def test_reports_of_earlier_versions_have_no_panel(report: dict[str, Any]) -> None:
    del report["panel"], report["split"], report["receipt"]
    for name in ("ece_interval", "brier_interval", "risk_coverage"):
        del report["confidence"][name]
    assert "Panel" not in printed(report)
    assert "3.1 %, Brier score 0.200" in printed(report)
