"""GSM8K, CRUXEval, MedMCQA and ARC from tiny files in the formats of their releases."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestra.errors import InputError, InputErrors
from orchestra.evals import Dataset, load_dataset
from orchestra.records import Kind


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def asked(name: str, data: Path) -> Dataset:
    return load_dataset(name, data=data)


def solved(n: int, answer: str) -> dict[str, str]:
    return {"question": f"Ann has {n} apples and eats one. How many are left?", "answer": answer}


MED = {"opa": "iron", "opb": "zinc", "opc": "gold", "opd": "lead", "subject_name": "Biochemistry"}


def med(n: int, cop: Any) -> dict[str, Any]:
    return {"id": f"m{n}", "question": f"Which metal is asked for in case {n}?", **MED, "cop": cop}


def test_gsm8k(tmp_path: Path) -> None:
    rows = [solved(n, f"{n} - 1 = {n - 1}\n#### {n - 1}") for n in range(2, 9)]
    lines(tmp_path / "train.jsonl", rows)
    lines(tmp_path / "test.jsonl", [*rows[:1], solved(1_301, "It is\n#### 1,300")])
    found = asked("gsm8k", tmp_path)
    assert [(item.gold, item.question.kind) for item in found] == [
        ("1", Kind.NUMBER),
        ("1300", Kind.NUMBER),
    ]
    assert len({item.question.id for item in found}) == 2
    shown = asked("gsm8k:shown", tmp_path)
    assert [item.question.prompt.count("Question:") for item in shown] == [5, 6]
    assert shown[1].question.prompt.endswith("Answer:")


@pytest.mark.parametrize("answer", ["42", "#### many", "#### ", "#### 3 and 4"])
def test_a_solution_without_its_number_is_refused(tmp_path: Path, answer: str) -> None:
    with pytest.raises(InputError, match="####") as raised:
        asked("gsm8k", lines(tmp_path / "test.jsonl", [solved(3, answer)]))
    assert "#### 129" in raised.value.hint


def test_cruxeval(tmp_path: Path) -> None:
    row = {"code": "def f(s):\n    return s[::-1]", "input": "'ab'", "output": "'ba'", "id": "s_0"}
    [item] = asked("cruxeval", lines(tmp_path / "cruxeval.jsonl", [row]))
    assert (item.question.id, item.question.kind, item.gold) == ("s_0", Kind.LITERAL, "'ba'")
    assert "f('ab')" in item.question.prompt
    with pytest.raises(InputError, match="no Python literal"):
        asked("cruxeval", lines(tmp_path / "cruxeval.jsonl", [{**row, "output": "f(x)"}]))


@pytest.mark.parametrize(
    ("cops", "golds"),
    [([1, 4, 2], "ADB"), ([0, 3, 1], "ADB"), (["1", "4"], "AD"), ([0, 1, 2], "ABC")],
)
def test_medmcqa_counts_from_0_or_from_1(tmp_path: Path, cops: list[Any], golds: str) -> None:
    path = lines(tmp_path / "dev.json", [med(n, cop) for n, cop in enumerate(cops)])
    found = asked("medmcqa", path.rename(tmp_path / "dev.jsonl"))
    assert "".join(str(item.gold) for item in found) == golds
    assert found[0].question.category == "Biochemistry"


@pytest.mark.parametrize("cops", [[1, 2, 3], [0, 4], [5], ["x"], [None]])
def test_medmcqa_in_doubt_is_refused(tmp_path: Path, cops: list[Any]) -> None:
    rows = [med(n, cop) for n, cop in enumerate(cops)]
    with pytest.raises((InputError, InputErrors), match="`cop`"):
        asked("medmcqa", lines(tmp_path / "dev.jsonl", rows))


STEM, TEXTS = "Which of these melts first?", ["ice", "iron", "stone"]


def arc_line(labels: str, key: str) -> dict[str, Any]:
    choices = [{"text": t, "label": n} for t, n in zip(TEXTS, labels, strict=True)]
    return {"id": "a1", "question": {"stem": STEM, "choices": choices}, "answerKey": key}


@pytest.mark.parametrize(("labels", "key"), [("ABC", "A"), ("123", "1")])
def test_arc_as_released_and_as_copied(tmp_path: Path, labels: str, key: str) -> None:
    folder = tmp_path / "ARC-Challenge"
    lines(folder / "ARC-Challenge-Test.jsonl", [arc_line(labels, key)])
    choices = {"text": TEXTS, "label": list(labels)}
    copy = {"id": ["a1"], "question": [STEM], "choices": [choices], "answerKey": [key]}
    (tmp_path / "copy" / "ARC-Easy").mkdir(parents=True)
    pq.write_table(pa.table(copy), tmp_path / "copy" / "ARC-Easy" / "test-00000-of-00001.parquet")
    [first], [second] = asked("arc", tmp_path), asked("arc:easy", tmp_path / "copy")
    for item in (first, second):
        assert (item.question.text, item.question.options) == (STEM, tuple(TEXTS))
        assert item.gold == "A"
    assert "A. ice\nB. iron" in first.question.prompt


@pytest.mark.parametrize(
    "row",
    [
        {**arc_line("ABC", "D")},
        {**arc_line("AAC", "A")},
        {"id": "a", "question": {"stem": STEM, "choices": []}, "answerKey": "A"},
        {"id": "a", "question": {"stem": STEM, "choices": [{"label": "A"}]}, "answerKey": "A"},
        {"id": "a", "question": STEM, "choices": 3, "answerKey": "A"},
    ],
)
def test_unsound_rows_of_arc_are_named(tmp_path: Path, row: dict[str, Any]) -> None:
    path = lines(tmp_path / "ARC-Challenge-Test.jsonl", [row])
    with pytest.raises(InputError) as raised:
        asked("arc", path)
    assert "ARC-Challenge-Test.jsonl" in raised.value.place
