"""Files as people write them: understood as a careful person would, or refused with the fix."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestra.errors import InputError
from orchestra.evals import Dataset, load_dataset

QUESTIONS = ["Which is a mammal?", "Which melts at 0 °C?", "Which is prime?"]
OPTIONS = [["trout", "whale", "crow"], ["ice", "iron", "salt"], ["4", "9", "7"]]
RIGHT = [1, 0, 2]
ROWS = list(zip(QUESTIONS, OPTIONS, ("ABC"[at] for at in RIGHT), RIGHT, strict=True))


def table(head: str, row: str, mark: str = ",") -> str:
    """A line for each question; `{o}` are its options, in columns of their own."""
    made = [
        row.format(q=q, o=mark.join(o), bar="|".join(o), l=letter, at=at, text=o[at], o_=o)
        for q, o, letter, at in ROWS
    ]
    return "\n".join([head, *made]) + "\n"


def wrong(options: list[str], at: int) -> str:
    return ",".join(each for each in options if each != options[at])


def jsonl(**columns: Any) -> str:
    names = list(columns)
    rows = zip(*columns.values(), strict=True)
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)


CHOICES: dict[str, bytes] = {
    "bom, semicolons.csv": (
        "\ufeff" + table("Question;A;B;C;Correct", "{q};{o};{l}", ";")
    ).encode(),
    "latin-1.csv": table("question,optA,optB,optC,answer", '"{q}",{o},{l}').encode("latin-1"),
    "utf-16.csv": table("question,A,B,C,answer", "{q},{o},{l}").encode("utf-16"),
    "bars, texts as answers.tsv": table("Prompt\tChoices\tAnswer", "{q}\t{bar}\t{text}").encode(),
    "in parentheses.csv": table(
        "question,choice_a,choice_b,choice_c,answer", "{q},{o},({l})"
    ).encode(),
    "python lists, numbers from 0.csv": table("input,choices,target", '{q},"{o_!r}",{at}').encode(),
    "trailing columns, blank lines.csv": table(
        "question,A,B,C,answer,,", "\n{q},{o},{l},,\n"
    ).encode(),
    "no header.csv": "".join(f"{q},{','.join(o)},{a}\n" for q, o, a, _ in ROWS).encode(),
    "letter and text.csv": table("question,A,B,C,answer", "{q},{o},{l}. {text}").encode(),
    "options of their own marks.jsonl": jsonl(
        question=QUESTIONS,
        options=[[f"{m}) {t}" for m, t in zip("ABC", o, strict=True)] for o in OPTIONS],
        answer=[a for _, _, a, _ in ROWS],
    ).encode(),
    "arc.jsonl": jsonl(
        question=QUESTIONS,
        choices=[{"text": o, "label": ["1", "2", "3"]} for o in OPTIONS],
        answerKey=[str(at + 1) for at in RIGHT],
    ).encode(),
    "options by letter.json": json.dumps(
        {
            "data": [
                {"question": q, "options": dict(zip("ABC", o, strict=True)), "answer": a}
                for q, o, a, _ in ROWS
            ]
        }
    ).encode(),
    "packed.jsonl.gz": gzip.compress(
        jsonl(question=QUESTIONS, options=OPTIONS, answer=[a for _, _, a, _ in ROWS]).encode()
    ),
    "lines of options.jsonl": jsonl(
        question=QUESTIONS,
        options=["\n".join(f"{m}. {t}" for m, t in zip("ABC", o, strict=True)) for o in OPTIONS],
        answer=[a for _, _, a, _ in ROWS],
    ).encode(),
    "letter and number that fit.csv": table(
        "question,A,B,C,answer,answer_index", "{q},{o},{l},{at}"
    ).encode(),
}


def read(tmp_path: Path, name: str, content: bytes) -> Dataset:
    path = tmp_path / name
    path.write_bytes(content)
    return load_dataset(path)


@pytest.mark.parametrize("name", CHOICES)
def test_choices(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, name, CHOICES[name])
    assert [item.question.text for item in found] == QUESTIONS
    assert [list(item.question.options) for item in found] == OPTIONS
    assert [item.gold for item in found] == [a for _, _, a, _ in ROWS]


def test_right_and_wrong_answers_in_columns_of_their_own(tmp_path: Path) -> None:
    head = "Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2\n"
    rows = "".join(f"{q},{o[at]},{wrong(o, at)}\n" for q, o, _, at in ROWS)
    found = read(tmp_path, "gpqa.csv", (head + rows).encode())
    named = [item.question.options["ABC".index(item.gold or "")] for item in found]
    assert named == [o[at] for _, o, _, at in ROWS]


def test_arrow_types_of_other_libraries(tmp_path: Path) -> None:
    columns = {
        "question": pa.array(QUESTIONS).dictionary_encode(),
        "options": pa.array(OPTIONS, pa.large_list(pa.large_string())),
        "answer": pa.array(RIGHT, pa.int8()),
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    found = load_dataset(tmp_path / "x.parquet")
    assert [item.gold for item in found] == [a for _, _, a, _ in ROWS]


@pytest.mark.parametrize(
    ("name", "content", "golds"),
    [
        ("hashes.jsonl", jsonl(question=["What is 1 + 2?"], answer=["so\n#### 3"]), ["3"]),
        ("boxed.jsonl", jsonl(problem=["Find x."], solution=["x is $\\boxed{2}$"]), ["2"]),
        ("commas.csv", "question;answer\nWhat is half of 1?;0,5\n", ["0,5"]),
        ("truth.csv", "question,answer\nIs ice cold?,true\nIs fire cold?,false\n", ["A", "B"]),
        (
            "chat.jsonl",
            jsonl(
                messages=[
                    [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]
                ]
            ),
            ["4"],
        ),
        ("no gold.csv", "question,A,B\nWhich?,x,y\n", [None]),
    ],
)
def test_other_answers(tmp_path: Path, name: str, content: str, golds: list[str | None]) -> None:
    assert [item.gold for item in read(tmp_path, name, content.encode())] == golds


@pytest.mark.parametrize(
    ("content", "says", "hint"),
    [
        ("question,answer,answer\nWhat is 1+1?,2,3\n", "two columns have one name", ""),
        ("question,A,B,answer,answer_index\nWhich?,x,y,A,1\nOr?,x,y,B,1\nAnd?,x,y,A,0\n",
         "`answer` is A, and `answer_index` 1", "leave `answer_index` out"),
        ("question,A,B,answer\nWhich?,x,y,C\n", "`answer` is none of AB", "letter"),
        ("question,A,B,answer\nWhich?,x,x,x\n", "may mean A or B", "letter"),
    ],
)  # fmt: skip
def test_in_doubt_a_file_is_refused(tmp_path: Path, content: str, says: str, hint: str) -> None:
    with pytest.raises(InputError, match=says) as raised:
        read(tmp_path, "x.csv", content.encode())
    assert hint in raised.value.hint
