"""Questions as people write them: shapes of known data sets, names, options, answers, files."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestra.errors import InputError, InputErrors
from orchestra.evals.datasets import load_dataset
from orchestra.evals.items import Dataset, Item
from orchestra.records import Kind

Row = dict[str, Any]
CITIES = ("Rome", "Oslo", "Bern", "Kyiv")
PAIRS = tuple(zip("ABCD", CITIES, strict=True))
SMALL = tuple(zip("abcd", CITIES, strict=True))


def right(item: Item) -> str | None:
    """The text of the right option, or the gold value of an open question."""
    question = item.question
    if question.kind is not Kind.CHOICE or item.gold is None:
        return item.gold
    return question.options[question.letters.index(item.gold)]


MULTIPLE: Sequence[tuple[str, list[Row]]] = (
    ("mmlu", [{"question": "N?", "choices": [*CITIES], "answer": n} for n in (0, 1)]),
    ("letters", [{"question": "N?", **dict(PAIRS), "answer": "B"}]),
    ("small", [{"Question": "N?", **dict(SMALL), "Correct Answer": "b"}]),
    ("named", [{"q": 1, "query": "N?", **{f"Option {c}": t for c, t in PAIRS},
                "label": "(B)"}]),
    ("numbered", [{"prompt": "N?", **{f"option{n}": t for n, t in enumerate(CITIES, 1)},
                   "answer": "2"}]),
    ("zero", [{"question": "N?", **{f"choice_{n}": t for n, t in enumerate(CITIES)},
               "correct": "1"}]),
    ("arc", [{"id": "a1", "question": "N?",
              "choices": {"text": [*CITIES], "label": ["A", "B", "C", "D"]}, "answerKey": "B"}]),
    ("arc by numbers", [{"question": "N?", "answerKey": "2",
                         "choices": {"text": [*CITIES], "label": ["1", "2", "3", "4"]}}]),
    ("commonsense", [{"question": {"stem": "N?", "choices": [
        {"label": c, "text": t} for c, t in PAIRS]}, "answerKey": "B"}]),
    ("openbook", [{"question_stem": "N?", "answerKey": "B",
                   "choices": {"label": [*"ABCD"], "text": [*CITIES]}}]),
    ("hellaswag", [{"ind": 3, "ctx": "N?", "endings": [*CITIES], "label": n} for n in "01"]),
    ("medmcqa", [{"id": str(n), "question": "N?", **{f"op{c}": t for c, t in SMALL},
                  "cop": n, "choice_type": "single"} for n in (0, 1)]),
    ("medqa", [{"question": "N?", "options": dict(PAIRS), "answer": "Oslo",
                "answer_idx": "B"}]),
    ("logiqa", [{"context": "c", "query": "N?", "options": [*CITIES], "correct_option": n}
                for n in (0, 1)]),
    ("race", [{"example_id": "h.txt", "article": "c", "question": "N?", "options": [*CITIES],
               "answer": "B"}]),
    ("aqua", [{"question": "N?", "options": [f"{c}){t}" for c, t in PAIRS],
               "rationale": "r", "correct": "B"}]),
    ("own letters", [{"question": "N?", "answer": "B) Oslo",
                      "options": [f"{c}. {t}" for c, t in PAIRS]}]),
    ("own numbers", [{"question": "N?", "options": [f"{n}) {t}" for n, t in enumerate(CITIES, 1)],
                      "answer": 2}]),
    ("json text", [{"question": "N?", "options": json.dumps(CITIES), "answer": "Option B"}]),
    ("python text", [{"question": "N?", "options": repr([*CITIES]), "answer": "B."}]),
    ("numpy text", [{"question": "N?", "options": "['Rome' 'Oslo'\n 'Bern' 'Kyiv']",
                     "answer": n} for n in "01"]),
    ("frame text", [{"question": "N?", "answer": "B", "options":
                     "{'text': array(['Rome', 'Oslo', 'Bern', 'Kyiv'], dtype=object), "
                     "'label': array(['A', 'B', 'C', 'D'], dtype=object)}"}]),
    ("one text", [{"question": "N?", "options": "A) Rome, B) Oslo, C) Bern, D) Kyiv",
                   "answer": "b"}]),
    ("mathqa", [{"Problem": "N?", "options": "a ) Rome , b ) Oslo , c ) Bern , d ) Kyiv",
                 "correct": "b"}]),
    ("bars", [{"question": "N?", "options": "Rome | Oslo | Bern | Kyiv", "answer": "oslo"}]),
    ("semicolons", [{"question": "N?", "options": "Rome;Oslo;Bern;Kyiv", "answer": "**B**"}]),
    ("gpqa", [{"Record ID": "r1", "Question": "N?", "Correct Answer": "Oslo",
               **{f"Incorrect Answer {n}": t for n, t in enumerate(("Rome", "Bern", "Kyiv"), 1)},
               "High-level domain": "Geography", "Explanation": "e"}]),
    ("sciq", [{"question": "N?", "correct_answer": "Oslo", "support": "c",
               **{f"distractor{n}": t for n, t in enumerate(("Rome", "Bern", "Kyiv"), 1)}}]),
    ("trivia", [{"question": "N?", "correct_answer": "Oslo",
                 "incorrect_answers": ["Rome", "Bern", "Kyiv"]}]),
    ("truthful", [{"question": "N?", "mc1_targets": {
        "choices": ["Oslo", "Rome", "Bern", "Kyiv"], "labels": [1, 0, 0, 0]},
        "mc2_targets": {"choices": ["Oslo"], "labels": [1]}}]),
    ("flags", [{"question": "N?", "options": [
        {"text": t, "is_correct": t == "Oslo"} for t in CITIES]}]),
    ("answer2", [{"question": "N?", **{f"answer{n}": t for n, t in enumerate(CITIES, 1)},
                  "correct": "answer2"}]),
    ("quiz", [{"Question": "N?", **{f"Answer {n}": t for n, t in enumerate(CITIES, 1)},
               "Time limit": 20, "Correct answer(s)": 2}]),
    ("option_b", [{"question": "N?", **{f"option_{c}": t for c, t in SMALL},
                   "answer": "option_b"}]),
    ("answers", [{"question": "N?", "answers": [*CITIES], "correct": n} for n in (0, 1)]),
    ("answers flagged", [{"question": "N?", "answers": [
        {"text": t, "correct": t == "Oslo"} for t in CITIES]}]),
    ("headed", [{"question": "N?\n\nOptions:\n(A) Rome\n(B) Oslo\n(C) Bern\n(D) Kyiv\n\n"
                             "Answer with the letter.", "target": "(B)"}]),
    ("at the end", [{"question": "N?\nA. Rome\nB. Oslo\nC. Bern\nD. Kyiv\nAnswer:",
                     "answer": "B"}]),
    ("in the line", [{"question": "N? (A) Rome (B) Oslo (C) Bern (D) Kyiv", "answer": "(B)"}]),
    ("chinese", [{"问题": "N?", "选项": [f"{c}、{t}" for c, t in PAIRS],
                  "答案": "Ｂ"}]),
    ("numbers from one", [{"question": "N?", "options": [*CITIES], "answer": n} for n in (4, 2)]),
    ("chat", [{"messages": [{"role": "system", "content": "s"},
                            {"role": "user", "content": "N?\nA) Rome\nB) Oslo\nC) Bern\nD) Kyiv"},
                            {"role": "assistant", "content": "B"}]}]),
)  # fmt: skip


def save(folder: Path, rows: Sequence[Row], suffix: str) -> Path:
    path = folder / f"data{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    else:
        pandas = pytest.importorskip("pandas")
        pandas.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet", ".csv"])
@pytest.mark.parametrize(("name", "rows"), MULTIPLE, ids=[name for name, _ in MULTIPLE])
def test_multiple_choice(name: str, rows: list[Row], suffix: str, tmp_path: Path) -> None:
    data = load_dataset(save(tmp_path, rows, suffix))
    last = data[-1]
    assert last.question.kind is Kind.CHOICE
    assert last.question.text == "N?"
    assert sorted(last.question.options) == sorted(CITIES)
    assert right(last) == "Oslo"
    assert {row.question.context for row in data} <= {"", "c"}


OPEN: Sequence[tuple[str, list[Row], str, Kind]] = (
    ("gsm8k", [{"question": "N?", "answer": "3 * 4 = <<3*4=12>>12.\n#### 12"}], "12", Kind.NUMBER),
    ("gsm8k thousands", [{"question": "N?", "answer": "So.\n#### 1,234"}], "1,234", Kind.NUMBER),
    ("math", [{"problem": "N?", "level": "Level 5", "type": "Algebra",
               "solution": r"Thus $x = \boxed{\frac{1}{2}}$."}], r"\frac{1}{2}", Kind.NUMBER),
    ("math answers", [{"problem": "N?", "solution": r"so \boxed{7}", "answer": "7"}], "7",
     Kind.NUMBER),
    ("tag", [{"question": "N?", "answer": "Because. <answer>Oslo</answer>"}], "Oslo", Kind.TEXT),
    ("stated", [{"question": "N?", "output": "North of here.\nThe answer is Oslo."}], "Oslo",
     Kind.TEXT),
    ("alpaca", [{"instruction": "N?", "input": "c", "output": "Oslo"}], "Oslo", Kind.TEXT),
    ("pubmed", [{"pubid": 7, "question": "N?", "context": {"contexts": ["c"], "labels": ["x"]},
                 "final_decision": "maybe", "long_answer": "l"}], "maybe", Kind.TEXT),
    ("squad", [{"id": "s", "context": "c", "question": "N?",
                "answers": {"text": ["Oslo", "Oslo"], "answer_start": [1, 1]}}], "Oslo", Kind.TEXT),
    ("trivia", [{"question": "N?", "answer": {"value": "Oslo", "aliases": ["Kristiania"]}}],
     "Oslo", Kind.TEXT),
    ("reward", [{"prompt": [{"role": "user", "content": "N?"}],
                 "reward_model": {"ground_truth": "34", "style": "rule"}}], "34", Kind.NUMBER),
    ("share", [{"conversations": [{"from": "human", "value": "N?"},
                                  {"from": "gpt", "value": "Oslo"}]}], "Oslo", Kind.TEXT),
    ("no gold", [{"task_id": "t", "query": "N?"}], "", Kind.TEXT),
)  # fmt: skip


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize(("name", "rows", "gold", "kind"), OPEN, ids=[each[0] for each in OPEN])
def test_open_questions(
    name: str, rows: list[Row], gold: str, kind: Kind, suffix: str, tmp_path: Path
) -> None:
    (item,) = load_dataset(save(tmp_path, rows, suffix))
    assert (item.question.text, item.question.kind, item.gold or "") == ("N?", kind, gold)
    assert item.question.context in ("", "c")


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_true_and_false(suffix: str, tmp_path: Path) -> None:
    rows = [{"question": "N?", "passage": "c", "answer": flag} for flag in (True, False)]
    data = load_dataset(save(tmp_path, rows, suffix))
    assert [item.question.options for item in data] == [("true", "false")] * 2
    assert [item.gold for item in data] == ["A", "B"]


class TestReading:
    def test_says_what_was_taken_for_what_and_what_was_not_used(self) -> None:
        row = {"Frage": "N?", "A": "x", "B": "y", "Label": "A", "Notes": "n", "Writer": "w"}
        assert load_dataset([row]).reading.lines == (
            "read as: `question` is `Frage`; `options` is `A` to `B`; `answer` is `Label`",
            "not used: `Notes`, `Writer`",
        )

    def test_nothing_is_said_of_the_file_contract(self) -> None:
        assert load_dataset([{"question": "N?", "options": ["x", "y"]}]).reading.lines == ()

    @pytest.mark.parametrize(
        ("rows", "note"),
        [
            ([{"question": "N?\nA. x\nB. y\nMind it.", "answer": "A"}], "seem to be in the text"),
            ([{"question": "N?\n1) x\n2) y", "answer": "2"}], "seem to be in the text"),
            ([{"question": "N?", "answer": "B"}], "answers are letters, and there are no options"),
            ([{"question": "N?", "answer": "so " * 200}], "answers are long texts"),
            ([{"question": "N?", "answer": ["a", "b"]}], "the first of several accepted answers"),
            ([{"question": "N?", "answer": "x\n#### 1"}, {"question": "M?", "answer": "2"}],
             "is missing: 1 question (data[1])"),
            ([{"question": "N?", "options": ["A) x", "B) y"]}], "without the letters that"),
            ([{"question": "N? (A) x (B) y"}], "were taken out of it: 1 question"),
        ],
    )  # fmt: skip
    def test_notes(self, rows: list[Row], note: str) -> None:
        assert any(note in line for line in load_dataset(rows).reading.lines)

    def test_an_id_of_another_name_that_repeats_is_none(self) -> None:
        data = load_dataset([{"task_id": "t", "question": text} for text in ("N?", "M?")])
        assert len({item.question.id for item in data}) == 2
        assert data.reading.unused == ("task_id",)

    @pytest.mark.parametrize(
        "text",
        [
            "Do:\n1) add\n2) halve",
            "Is vitamin A. or B. better?",
            "Is it (A) or (B)?",
            "A. Smith wrote it. Who?",
            "A) x",
        ],
    )
    def test_text_that_is_no_block_of_options_stays(self, text: str) -> None:
        question = load_dataset([text])[0].question
        assert (question.text, question.options) == (text, ())


def gpqa(count: int) -> Dataset:
    return load_dataset(
        [
            {"Question": f"N{at}?", "Correct Answer": "r", "Incorrect Answer 1": "w1",
             "Incorrect Answer 2": "w2", "Incorrect Answer 3": "w3"}
            for at in range(count)
        ]
    )  # fmt: skip


class TestShuffle:
    def test_right_options_are_spread_evenly(self) -> None:
        golds = [item.gold for item in gpqa(400)]
        assert all(70 < golds.count(letter) < 130 for letter in "ABCD")

    def test_the_order_is_that_of_the_question_wherever_it_stands(self) -> None:
        assert gpqa(30)[:10] == gpqa(10)

    @pytest.mark.parametrize(
        ("row", "says"),
        [
            ({"question": "N?", "correct_answer": "", "distractor1": "x"}, "is empty"),
            ({"question": "N?", "correct_answer": "x", "distractor1": "x"}, "among the wrong"),
        ],
    )
    def test_broken_rows_are_named(self, row: Row, says: str) -> None:
        with pytest.raises(InputError, match=says) as caught:
            load_dataset([row])
        assert caught.value.place == "data[0]"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"question": "N?", "options": ["x", "y"], "answer": 1}], "may mean A or B: 1"),
        ([{"question": "N?", "options": ["1", "2", "3"], "answer": 1}], "may mean A or B: 1"),
        ([{"question": "N?", "options": ["x", "y"], "answer": "AB"}], "none of AB: 'AB'"),
        ([{"question": "N?", "options": ["x", "y"], "answer": "B) x"}], "none of AB: 'B) x'"),
        ([{"question": "N?", "options": ["x", "y"], "answer": ["x", "y"]}], "several options"),
        ([{"goal": "N?", "sol1": "x", "sol2": "y", "label": 1}], "may mean A or B: 1"),
    ],
)
def test_what_is_not_clear_is_an_error(rows: list[Row], says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        load_dataset(rows)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"Question,A,B,Answer\nN?,x,y,B\n"),
        ("a.csv", b"\xef\xbb\xbfQuestion;A;B;Answer\r\nN?;x;y;B\r\n"),
        ("a.csv", "Question;A;B;Answer\r\nN?;x;y;B\r\n".encode("utf-16")),
        ("a.csv", "Question\tA\tB\tAnswer\nN?\tx\ty\tB\n".encode("utf-16-le")),
        ("a.csv", b"sep=;\r\nquestion;A;B;answer;;\r\nN?;x;y;B;;\r\n;;;;;\r\n"),
        ("a.csv", b"N?,x,y,B\n"),
        ("a.csv", b",question,A,B,answer\n0,N?,x,y,B\n"),
        ("a.tsv", b"question\tA\tB\tanswer\nN?\tx\ty\tB\n"),
        ("a.csv.gz", gzip.compress(b"question,A,B,answer\nN?,x,y,B\n", mtime=0)),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"question":"N?","options":["x","y"],"answer":"B"}', mtime=0),
        ),
        ("a.ndjson", b'{"question":"N?","options":["x","y"],"answer":"B","id":NaN}'),
        ("a.json", b'{"question":"N?","options":["x","y"],"answer":"B"}\n'),
        ("a.json", b'[{"question":"N?","options":["x","y"],"answer":"B"}]'),
        ("a.jsonl", b'[\n {"question":"N?",\n "options":["x","y"],"answer":"B"}]'),
        ("a.json", b'{"version":1,"data":[{"question":"N?","options":["x","y"],"answer":"B"}]}'),
        ("a.json", b'{"question":["N?"],"options":[["x","y"]],"answer":["B"]}'),
        ("a.json", b'{"question":{"0":"N?"},"options":{"0":["x","y"]},"answer":{"0":"B"}}'),
        ("a.json", b'{"q7":{"question":"N?","options":["x","y"],"answer":"B"}}'),
        (
            "a.json",
            b'{"rows":[{"row_idx":0,"row":{"question":"N?","A":"x","B":"y","answer":"B"}}]}',
        ),
    ],
)
def test_files(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    (item,) = load_dataset(tmp_path / name)
    assert (item.question.text, item.question.options, item.gold) == ("N?", ("x", "y"), "B")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.csv", "question\nOù est-il né\u2019?\n".encode("cp1252"), "Où est-il né\u2019?"),
        ("a.jsonl", b'{"question":"half \\ud835 a letter"}', "half \ufffd a letter"),
        ("a.jsonl", b'{"question":"half \xed\xa0\xb5 a letter"}', "half \ufffd a letter"),
        ("a.json", b'[{"question":"whole \\ud835\\udc00"}]', "whole \U0001d400"),
        ("a.csv", b"question\n" + b"x" * 200_000, "x" * 200_000),
        ("a.csv", b'question\n"' + b"x\n" * 100_000 + b'"', "x\n" * 100_000),
    ],
)
def test_texts(name: str, content: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert load_dataset(tmp_path / name)[0].question.text == text


LIST = pa.list_(pa.string())
ARROW: Sequence[tuple[str, pa.DataType]] = (
    ("text", pa.string_view()),
    ("text", pa.large_string()),
    ("text", pa.dictionary(pa.int32(), pa.string())),
    ("text", pa.dictionary(pa.int8(), pa.large_string())),
    ("text", pa.binary()),
    ("text", pa.large_binary()),
    ("list", pa.list_(pa.string_view())),
    ("list", pa.large_list(pa.string())),
    ("list", pa.list_(pa.string(), 2)),
    ("list", pa.list_view(pa.string())),
    ("list", pa.list_(pa.dictionary(pa.int32(), pa.string()))),
    ("list", pa.struct([("A", pa.string()), ("B", pa.string()), ("C", pa.string())])),
)


@pytest.mark.parametrize(("what", "kind"), ARROW, ids=[str(kind) for _, kind in ARROW])
def test_arrow_types(what: str, kind: pa.DataType, tmp_path: Path) -> None:
    text = kind if what == "text" else pa.string()
    options: Any = {"A": "x", "B": "y"} if pa.types.is_struct(kind) else ["x", "y"]
    columns = {
        "question": pa.array(["M?", "N?"]).cast(text),
        "options": pa.array([None, options], kind if what == "list" else LIST),
        "answer": pa.array([None, "B"]).cast(text),
    }
    table = pa.table(columns)
    pq.write_table(table, tmp_path / "a.parquet")
    for source in (tmp_path / "a.parquet", table):
        first, item = load_dataset(source)
        assert (first.question.text, first.question.options, first.gold) == ("M?", (), None)
        assert (item.question.text, item.question.options, item.gold) == ("N?", ("x", "y"), "B")


@pytest.mark.parametrize(
    "text",
    [
        "N?" + "\n" * 50_000 + "A) x",
        "A) " * 30_000,
        "A)" + " " * 50_000 + "B) x",
        "####" * 50_000 + "\n1",
        "<answer>" * 50_000,
        "\\boxed{" * 50_000,
        "the answer is " * 20_000,
        "answer" + " " * 50_000 + "x",
        "(" * 50_000,
        "['a' " * 50_000,
        "[" * 50_000 + "]",
    ],
)
def test_long_cells_are_read_in_linear_time(text: str) -> None:
    rows = [{"question": text, "answer": text}, {"question": "N?", "options": text}]
    before = perf_counter()
    for row in (*rows, {"question": "N?", "options": [text, text], "answer": text}):
        with suppress(InputError):
            load_dataset([row])
    assert perf_counter() - before < 2


def test_data_that_is_nested_too_deeply(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"question": "N?", "context": ' + "[" * 900 + '"c"' + "]" * 900 + "}")
    with pytest.raises(InputError, match="nested too deeply"):
        load_dataset(path)


def test_several_lists_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"train": [{"question": "N?"}], "test": [{"question": "M?"}]}')
    with pytest.raises(InputError, match="several lists") as caught:
        load_dataset(path)
    assert not isinstance(caught.value, InputErrors)
