from __future__ import annotations

import io

import pytest
from rich.console import Console

from orchestra.errors import InputError
from orchestra.report import HeatMap, fitting, heat_map, heat_map_view
from orchestra.skills import RecruitmentTable


def printed(shown: HeatMap, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(heat_map_view(shown, width=width))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_experts_best_first_and_skills_by_evidence(table: RecruitmentTable) -> None:
    shown = heat_map(table)
    assert shown.skills == ("a", "b", "c")
    assert shown.experts[0] == "good"
    cell = shown.cells["good", "a"]
    assert (cell.tally.correct, cell.tally.seen) == (4, 6)
    assert cell.low < cell.estimate < cell.high


def test_what_is_left_out_is_counted(table: RecruitmentTable) -> None:
    assert heat_map(table).head(1).hidden == 2
    assert heat_map(table, skills=["c"]).hidden == 2
    assert "2 more skills" in printed(heat_map(table).head(1))
    assert "more skills" not in printed(heat_map(table))
    console = Console(width=80)
    with console.capture() as shown:
        console.print(heat_map_view(heat_map(table).head(1), path="my table.json"))
    assert "`orchestra table 'my table.json' --all`" in shown.get()


def test_as_many_skills_as_fit(table: RecruitmentTable) -> None:
    assert fitting(heat_map(table), 200).skills == ("a", "b", "c")
    narrow = fitting(heat_map(table), 42)
    assert narrow.skills == ("a",)


def test_what_does_not_fit_stands_below(table: RecruitmentTable) -> None:
    lines = printed(heat_map(table), 42).splitlines()
    assert sum(line.startswith("questions") for line in lines) == 3
    assert max(map(len, lines)) <= 42


def test_an_unknown_skill_is_told_with_near_names(table: RecruitmentTable) -> None:
    with pytest.raises(InputError, match="unknown skill: 'd'"):
        heat_map(table, skills=["d"])


def test_absence_is_told_apart(table: RecruitmentTable) -> None:
    assert "unparsed 6" in printed(heat_map(table))
