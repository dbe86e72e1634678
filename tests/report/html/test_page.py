from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import Environment

from orchestra.report import page
from orchestra.report.html.page import _environment
from orchestra.skills import RecruitmentTable

VOID = {"meta", "br", "line", "circle", "rect", "polyline"}


class Reader(HTMLParser):
    """Checks that tags are closed in order, and collects words and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_well_formed_and_whole(report: dict[str, Any], table: RecruitmentTable) -> None:
    reader = read(page(report, table))
    words = " ".join(reader.words)
    for part in (
        "60.0 %", "50.0 – 69.0 %", "best single, by profile", "Skills of the experts",
        "By category", "By skill", "Calls by expert", "unparsed 30, refused 2",
        "Calibration of the confidence", "Notes",
    ):  # fmt: skip
        assert part in words
    assert reader.tags.count("h1") == 1


def test_the_page_needs_nothing_from_outside(
    report: dict[str, Any], table: RecruitmentTable
) -> None:
    text = page(report, table)
    reader = read(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    assert not {"src", "href", "xlink:href"} & {name for name, _ in reader.attributes}
    assert not re.search(r"https?:|//|url\(|@import", text.replace("</", ""))


def test_what_comes_from_outside_is_escaped(
    report: dict[str, Any], table: RecruitmentTable
) -> None:
    text = page(report, table)
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 6


def test_every_chart_can_be_read_aloud(report: dict[str, Any], table: RecruitmentTable) -> None:
    reader = read(page(report, table))
    keys = [value for name, value in reader.attributes if name == "aria-hidden"]
    charts = reader.tags.count("svg") - len(keys)
    labels = [value for name, value in reader.attributes if name == "aria-label"]
    assert charts > 5
    assert reader.tags.count("title") == charts + 1
    assert len(labels) == charts
    assert all(labels)


def test_times_are_left_out_so_that_equal_runs_give_equal_pages(report: dict[str, Any]) -> None:
    assert page(report) == page({**report, "seconds": 99.0})


@pytest.mark.parametrize("labelled", [True, False])
def test_less_to_tell_is_a_shorter_page(report: dict[str, Any], labelled: bool) -> None:
    less = {**report, "confidence": {**report["confidence"], "n": 0}, "notes": []}
    if not labelled:
        less |= {"n": 0, "accuracy": None, "interval": None, "accuracy_among_answered": None}
    words = " ".join(read(page(less)).words)
    assert "Calibration of the confidence" not in words
    assert "Skills of the experts" not in words
    assert ("By category" in words) is labelled


def read_template(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def test_every_template_ships_and_escapes() -> None:
    environment = _environment()
    assert set(environment.list_templates()) >= {
        "report.html.j2",
        "redteam.html.j2",
        "shared.html.j2",
        "style.css",
    }
    for name in environment.list_templates(extensions=["j2"]):
        assert "|safe" not in (source := read_template(environment, name)).replace(" ", "")
        assert "autoescape" not in source
    assert environment.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"


def test_parts_that_the_page_does_not_know_change_nothing(report: dict[str, Any]) -> None:
    assert page({**report, "spent": {"loads": 3}}) == page(report)


def test_the_panel_has_its_lines_curves_and_contributions(
    report: dict[str, Any], table: RecruitmentTable
) -> None:
    text = page(report, table)
    for part in (
        "What each expert adds",
        "2 experts vote like 1.5",
        "Right among the most",
        "+1.3",
    ):
        assert part in text
    for name in ("panel", "split"):
        del report[name]
    del report["confidence"]["risk_coverage"]
    assert "What each expert adds" not in page(report, table)
