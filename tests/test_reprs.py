"""What a notebook shows of an object is one line, whatever it holds; tables are drawn."""

from __future__ import annotations

import pytest

import orchestra as oc
from orchestra.embedded import embedded_roster
from orchestra.pipeline import Pipeline as Engine
from orchestra.records import Request

SAYS = {"a": "The answer is (A).", "b": "The answer is (B).", "c": "The answer is (A)."}


def says(request: Request) -> str:
    return SAYS[request.expert]


def team() -> oc.Pipeline:
    experts = [oc.Expert(name, model=f"<{name}>", worker="scripted") for name in SAYS]
    return oc.Pipeline("majority", experts, scripts=dict.fromkeys(SAYS, says))


@pytest.fixture(scope="module")
def objects() -> dict[str, object]:
    pipeline = team().fit(
        [
            {"question": f"Which is {n}?", "options": [str(n), "x"], "answer": "A", "category": s}
            for n, s in enumerate(["<b>law</b>", "art"] * 3)
        ],
        progress=False,
    )
    asked = pipeline.ask("Explain why.\n" * 40)
    run = pipeline.run([{"question": "Which?", "options": ["x", "y"]}], progress=False)
    named = [pipeline, pipeline.experts, pipeline.table, asked, asked.asked, asked.route, run]
    named += [run.report, run.items, pipeline.experts["a"], pipeline._engine(), embedded_roster()]
    return {
        f"{type(each).__module__}.{type(each).__name__} {at}": each for at, each in enumerate(named)
    }


def test_one_short_line(objects: dict[str, object]) -> None:
    for name, each in objects.items():
        words = repr(each)
        assert "\n" not in words, name
        assert len(words) < 300, (name, words)
        assert " object at 0x" not in words, name


def test_what_they_say(objects: dict[str, object]) -> None:
    words = [repr(each) for each in objects.values()]
    assert words[0] == "Pipeline('majority', 3 experts, fitted on 6 questions)"
    assert words[1] == "Roster(3 experts: a, b, c)"
    assert words[2] == "RecruitmentTable(3 experts, 2 skills, 6 questions)"
    assert words[9] == "Expert('a', '<a>', worker='scripted')"
    assert isinstance(list(objects.values())[10], Engine)


def test_a_table_in_a_notebook(objects: dict[str, object]) -> None:
    table = list(objects.values())[2]
    assert isinstance(table, oc.RecruitmentTable)
    page = table._repr_html_()
    assert page.count("<tr>") == 4
    assert "<b>" not in page
    assert "3 of 3" in page
