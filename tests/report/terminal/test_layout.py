"""Lines and tables at every width: a figure stays whole, whatever else folds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from itertools import combinations
from typing import Any

import pytest
from rich.console import Console, Group, RenderableType

from orchestra.errors import InputError
from orchestra.evals import Asked, AskedDraft, Checked, Comparison, Item, Pair, Reread, Standing
from orchestra.evals.statistics import Interval
from orchestra.records import (
    Answer,
    Ballot,
    Brief,
    Certificate,
    Decision,
    Generation,
    Mark,
    Outcome,
    Plan,
    Question,
    Seat,
    Trust,
    Usage,
    Vote,
)
from orchestra.report import (
    QuestionTrace,
    asked_view,
    ballot_view,
    checked_view,
    comparisons_view,
    cost_view,
    decision_view,
    heat_map,
    heat_map_view,
    plan_view,
    question_view,
    redteam_view,
    reread_view,
    run_view,
    summary_view,
)
from orchestra.report.terminal.layout import Grid, Line, Whisker, fact
from orchestra.report.terminal.plan import order_view
from orchestra.scheduling import CostModel, EngineCost, Job, Machine, schedule
from orchestra.skills import RecruitmentTable
from tests.report.conftest import redteam_report

NUMBER = r"[-+±]?\$?\d[\d,./]*"
FIGURE = re.compile(rf"(?<![\w.-]){NUMBER}(?: (?:–|to|of) {NUMBER})*(?: (?:%|points|s|k|M)(?!\w))?")
LONG = "Meta-Llama-Instruct-Turbo-served-by-a-provider-with-a-long-name"

Data = tuple[dict[str, Any], RecruitmentTable]


def printed(view: RenderableType, width: int) -> list[str]:
    out = StringIO()
    Console(file=out, width=width).print(view)
    return out.getvalue().splitlines()


def summary(data: Data) -> RenderableType:
    report, _ = data
    spending = {
        "money": 12.5,
        "attempts": 1_234_567,
        "lost": {"attempts": 12},
        "prices": {"a": "the roster", "b": "the price table of litellm"},
        "budget": {"money": 20.0, "calls": 2_000_000},
    }
    trust = {
        "alarms": ["the panel disagrees on 31 of 100 questions, more than the 12 of the profile"],
        "suspects": [{"expert": LONG, "kind": "changed", "deviation": 7.25, "detail": "3 of 40"}],
        "liars": 0.25,
        "clones": [[LONG, "good"]],
        "certificates": {"experts": {"1": 5, "3": 9}, "everywhere": {"0": 14}, "guaranteed": 4},
    }
    seats = {**report["seats"], LONG: {"calls": 1_234, "absent": 3}}
    return summary_view({**report, "spending": spending, "trust": trust, "seats": seats})


def many_skills(data: Data) -> RenderableType:
    report, _ = data
    group = {"n": 12_345, "accuracy": 0.6, "interval": [0.46, 0.72]}
    skills = {f"a skill with a name of many words {n} times": group for n in range(20)}
    return summary_view({**report, "pipeline": LONG, "by_category": skills, "by_skill": skills})


def comparison(data: Data) -> RenderableType:
    whole = Comparison(12_345, 0.9471, 1.0, 131, 128, -0.0529, Interval(-0.1, 0.1), 0.0341, ("q",))
    groups = {f"{LONG} {name}": whole for name in "ab"}
    pair = Pair(LONG, "runs/other", whole, 0.0341)
    return comparisons_view([pair], groups, flips=({LONG: {}, "runs/other": {}}, {}, 0))


def comparisons(data: Data) -> RenderableType:
    whole = Comparison(12_345, 0.9471, 1.0, 131, 128, -0.0529, Interval(-0.1, 0.1), 0.0341, ("q",))
    items = {"q": Item(Question("q", LONG * 4, category=LONG), LONG)}
    names = (LONG, "runs/other", "runs/third")
    marks = {name: {"q": Mark("q", "p", Outcome.WRONG, LONG)} for name in names}
    pairs = [Pair(a, b, whole, 0.1023) for a, b in combinations(names, 2)]
    return comparisons_view(pairs, {}, flips=(marks, items, 5))


def marks(data: Data) -> RenderableType:
    absent = {"unparsed": 1_234, "not_recorded": 17, "refused": 3}
    before = Standing(12_345, 9_876, absent, Interval(0.79, 0.81))
    return reread_view(Reread("lenient", before, before, {LONG: (before, before)}, (), (), 123))


def question(data: Data) -> RenderableType:
    seats = tuple(
        Seat(f"{LONG}-{n}", 3.25, "expected to be right 92 % of the times: 25 of 25", n, 0.921)
        for n in range(4)
    )
    votes = tuple(Vote(seat.expert, "B", 1.234) for seat in seats)
    ballot = Ballot(
        "q", votes, "B", 1, 1, "robust", certificate=Certificate(3, 0.5, 2, guaranteed=False)
    )
    plan = Plan("q", seats, "posterior", 0)
    brief = Brief("q", (("addition", 0.7), ("subtraction of large numbers", 0.3)), "keywords")
    answers = [
        Answer("q", seat.expert, "B", rule="stated:text", sample=seat.sample) for seat in seats
    ]
    texts = [Generation("k", "q", seat.expert, "I think it is B. " * 9) for seat in seats]
    drafts = tuple(zip(seats, texts, answers, strict=True))
    decision = Decision("q", "B", 0.9731, "robust", text="The answer is 12 of 40, or 30.0 %.")
    return question_view(QuestionTrace("q", brief, plan, drafts, ballot, decision))


def asked(data: Data) -> RenderableType:
    seat = Seat(LONG, 3.25, "because", 0, 0.921)
    ballot = Ballot("q", (Vote(LONG, "B", 1.234),), "B", 1, 1, "robust")
    brief, plan = Brief("q", (), "keywords"), Plan("q", (seat,), "posterior", 0)
    usage = Usage(1, 12_345, 678, seconds=12.3)
    draft = AskedDraft(seat, Answer("q", LONG, "B"), "It is B. " * 90, None, usage)
    decision = Decision("q", "B", 0.5, "robust")
    whole = Asked(Question("q", "?"), brief, plan, 1, (draft,), ballot, decision, Trust(), usage)
    return Group(asked_view(whole), cost_view(usage, priced=False))


def route(data: Data) -> RenderableType:
    seats = tuple(Seat(LONG, 3.25, "right on 25 of 25, 36 of 200 overall", n, 0.9) for n in (0, 1))
    return plan_view(Brief("q", (("addition", 1.0),), "tagger"), Plan("q", seats, "r", 0), 2)


def order(data: Data) -> RenderableType:
    cost = EngineCost(40, 2, sleep1=3, wake1=1, sleep2=1, wake2=4, device_gib=50, host1_gib=9)
    jobs = [Job(LONG, "generate", 0, 12_345), Job("b", "synthesise", 3, 7_000)]
    costs = CostModel({LONG: cost, "b": cost}, Machine((80.0,), 64.0), {"x": LONG, "b": "b"})
    return order_view(schedule(jobs, costs))


def checked(data: Data) -> RenderableType:
    facts = {"experts": 12, "categories": {f"name {n}": 40 * n for n in range(30)}}
    error = InputError("12 of 40 rows have no answer", place=f"{LONG}:7", hint="at most 3 of 40")
    return checked_view([Checked(LONG, "items", facts, ("31 of 40 rows are alike",), (error,))])


def run(data: Data) -> RenderableType:
    rows = {"brief": 320, "generation": 1_920, "answer": 1_600, "ballot": 320, "decision": 320}
    details = {"pipeline": "p", "questions": 320, "items": LONG, "experts": [LONG, "good"]}
    times = {"started": "2026-01-01T00:00:00", "ended": None}
    return run_view(
        {"run": LONG, "command": "c", "status": "finished", "accuracy": 0.5, "rows": rows}
        | {"details": details}
        | times
    )


VIEWS: dict[str, Callable[[Data], RenderableType]] = {
    "summary": summary,
    "summary by many skills": many_skills,
    "compare": comparison,
    "compare many": comparisons,
    "mark": marks,
    "question": question,
    "ask": asked,
    "decision": lambda data: decision_view(Decision("q", "B", 0.9731, "robust")),
    "route": route,
    "order": order,
    "check": checked,
    "run": run,
    "red team": lambda data: redteam_view(redteam_report()),
    "red team with many liars": lambda data: redteam_view(redteam_report(faults=9)),
}


@pytest.fixture
def data(report: dict[str, Any], table: RecruitmentTable) -> Data:
    return report, table


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", VIEWS)
def test_no_figure_is_split(name: str, width: int, data: Data) -> None:
    view = VIEWS[name](data)
    narrow, wide = printed(view, width), printed(view, 1_000)
    assert max(map(len, narrow)) <= width
    whole = Counter(figure for line in wide for figure in FIGURE.findall(line))
    assert whole - Counter(figure for line in narrow for figure in FIGURE.findall(line)) == {}


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_cell_of_the_heat_map_is_split(width: int, table: RecruitmentTable) -> None:
    lines = printed(heat_map_view(heat_map(table), width=width), width)
    assert max(map(len, lines)) <= width
    cells = [cell for line in lines for cell in re.findall(r"\d+ ±\d+", line)]
    assert len(cells) == len(table.experts) * (len(table.skills) + 1)


@pytest.mark.parametrize(
    ("words", "width", "lines"),
    [
        ("price +0.0 points (-0.6 to +1.0) here", 24, ["price +0.0 points", "(-0.6 to +1.0) here"]),
        ("right in 49.7 – 52.0 % of 100 tries", 18, ["right in", "49.7 – 52.0 % of", "100 tries"]),
        ("no credit for guesses; seed 0", 28, ["no credit for guesses;", "seed 0"]),
        ("1,234 attempts, at most 3 lost", 26, ["1,234 attempts, at most", "3 lost"]),
    ],
)  # fmt: skip
def test_lines_break_before_figures(words: str, width: int, lines: list[str]) -> None:
    assert printed(Line(words), width) == lines


def test_later_lines_begin_under_the_first() -> None:
    assert printed(fact("rows", "brief 320, plan 320"), 20) == [
        "rows     brief 320,",
        "         plan 320",
    ]
    assert printed(Line("one two three", label="- "), 14) == ["- one two", "  three"]


def test_an_open_answer_of_another_rule_takes_one_line() -> None:
    ballot = Ballot("q", (Vote("a", "B", 1.0),), "B", 1, 1, "robust")
    said = "`mmsr` says Light is scattered.\n\n" + "I am sure. " * 20
    lines = printed(ballot_view(replace(ballot, alarms=(said,))), 80)
    assert lines[-1] == "other rules: `mmsr` says Light is scattered. I am sure. I am sure. I am s…"


def grid() -> Grid:
    view = Grid(["name", ">share of calls", "~", ">points"])
    whisker = Whisker(0.5, (0.4, 0.6), (0.0, 1.0))
    view.add_row("an expert with a long name", "12.5 %", whisker, "+1.2")
    view.add_row("b", "7.0 %", Whisker(None, None, (0.0, 1.0)), "-10.0")
    return view


@pytest.mark.parametrize(
    ("width", "header", "name", "chart"),
    [(80, True, True, True), (60, False, True, True), (40, False, False, True)]
    + [(30, False, False, False)],
)
def test_what_gives_way_in_a_table(width: int, header: bool, name: bool, chart: bool) -> None:
    text = "\n".join(printed(grid(), width))
    assert ("share of calls" in text) == header
    assert ("an expert with a long name" in text) == name
    assert ("●" in text) == chart
    for figure in ("12.5 %", "7.0 %", "+1.2", "-10.0"):
        assert text.count(figure) == 1


def test_columns_that_do_not_fit_continue_below() -> None:
    view = Grid(["name", *(f">{number}" for number in range(8))])
    view.add_row("expert", *(f"{number}0.0 %" for number in range(1, 9)))
    lines = printed(view, 30)
    assert max(map(len, lines)) <= 30
    assert sum(line.startswith("expert") for line in lines) == 3
    assert all(f"{number}0.0 %" in "\n".join(lines) for number in range(1, 9))
