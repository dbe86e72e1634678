import csv
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.answers import canonical
from orchestra.errors import InputError, InputErrors
from orchestra.evals.datasets import load_dataset
from orchestra.evals.items import Item, items_digest, letter_histogram, take
from orchestra.evals.marking import same
from orchestra.evals.validate import check_files
from orchestra.records import Kind, Question

Row = dict[str, Any]
SHARED = Path(__file__).parents[3] / "shared" / "data"

CHOICE: Row = {
    "question_id": "q1",
    "question": "  Which gas do plants take in?\n",
    "options": [" carbon dioxide", "oxygen ", ""],
    "answer": "A",
    "category": "biology",
    "benchmark": "leaves",
    "language": "fr",
    "context": "A passage.\r\n",
    "kind": "choice",
    "profile": True,
}
NUMBER: Row = {"question_id": "q2", "question": "2 + 3?", "answer": "$1,005.50", "kind": "number"}
LITERAL: Row = {"question_id": "q3", "question": "f(1)?", "answer": "[1, 'a,b']", "kind": "literal"}
OPEN: Row = {"question_id": "q4", "question": 'Say "why", in\ntwo lines.'}


def write_jsonl(folder: Path, rows: Sequence[Row]) -> Path:
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(folder: Path, rows: Sequence[Row]) -> Path:
    path = folder / "items.parquet"
    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
    return path


def write_csv(folder: Path, rows: Sequence[Row]) -> Path:
    path = folder / "items.csv"
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in rows:
            cells = [row.get(name) for name in names]
            writer.writerow(json.dumps(cell) if isinstance(cell, list) else cell for cell in cells)
    return path


Writer = Callable[[Path, Sequence[Row]], Path]
WRITERS: tuple[Writer, ...] = (write_jsonl, write_parquet, write_csv)


def problems(path: Path) -> tuple[InputError, ...]:
    with pytest.raises(InputError) as caught:
        load_dataset(path)
    return caught.value.errors if isinstance(caught.value, InputErrors) else (caught.value,)


def item(number: int, *, gold: str | None = "A", options: int = 4) -> Item:
    letters = tuple(f"option {option}" for option in range(options))
    return Item(Question(id=f"q{number}", text=f"Question {number}?", options=letters), gold)


@pytest.mark.parametrize("write", WRITERS)
class TestEveryFormat:
    def test_reads_every_column_and_rewrites_no_text(self, write: Writer, tmp_path: Path) -> None:
        first, second, third, fourth = load_dataset(
            write(tmp_path, [CHOICE, NUMBER, LITERAL, OPEN])
        )
        assert first == Item(
            Question(
                id="q1",
                text="  Which gas do plants take in?\n",
                options=(" carbon dioxide", "oxygen ", ""),
                kind=Kind.CHOICE,
                context="A passage.\r\n",
                language="fr",
                category="biology",
                benchmark="leaves",
            ),
            gold="A",
            profile=True,
        )
        assert second == Item(Question("q2", "2 + 3?", kind=Kind.NUMBER), gold="$1,005.50")
        assert third == Item(Question("q3", "f(1)?", kind=Kind.LITERAL), gold="[1, 'a,b']")
        assert fourth == Item(Question("q4", OPEN["question"], kind=Kind.TEXT), gold=None)

    def test_infers_the_kind_from_the_options(self, write: Writer, tmp_path: Path) -> None:
        rows: list[Row] = [
            {"question_id": "1", "question": "?", "options": ["x", "y"], "answer": "b"},
            {"question_id": "2", "question": "?", "options": None, "answer": "b"},
            {"question_id": "3", "question": "?", "options": [], "answer": None},
        ]
        items = load_dataset(write(tmp_path, rows))
        assert [each.question.kind for each in items] == [Kind.CHOICE, Kind.TEXT, Kind.TEXT]
        assert [each.gold for each in items] == ["B", "b", None]

    def test_needs_no_gold_and_ignores_other_columns(self, write: Writer, tmp_path: Path) -> None:
        rows = [{"question_id": "1", "question": "?", "source": "a book", "answer_index": "3"}]
        assert load_dataset(write(tmp_path, rows)) == (
            Item(Question("1", "?", kind=Kind.TEXT), None),
        )

    def test_whole_numbers_may_be_ids(self, write: Writer, tmp_path: Path) -> None:
        rows = [{"question_id": number, "question": "?"} for number in (7, 70)]
        assert [each.question.id for each in load_dataset(write(tmp_path, rows))] == ["7", "70"]

    def test_the_three_formats_hold_the_same_exam(self, write: Writer, tmp_path: Path) -> None:
        rows = [CHOICE, NUMBER, LITERAL, OPEN]
        digest = items_digest(load_dataset(write(tmp_path, rows)))
        assert digest == items_digest(load_dataset(write_jsonl(tmp_path, rows)))

    def test_a_file_without_rows(self, write: Writer, tmp_path: Path) -> None:
        path = write(tmp_path, [])
        (problem,) = problems(path)
        assert str(problem).partition("\n")[0] in (f"{path}: has no rows", f"{path}: is empty")

    def test_a_file_with_columns_and_no_rows(self, write: Writer, tmp_path: Path) -> None:
        path = write(tmp_path, [CHOICE])
        if path.suffix == ".parquet":
            pq.write_table(pq.read_table(path).slice(0, 0), path)
        else:
            path.write_text(path.read_text().splitlines()[0] if path.suffix == ".csv" else "\n")
        assert [str(problem) for problem in problems(path)] == [f"{path}: has no rows"]

    def test_names_both_rows_of_a_duplicate(self, write: Writer, tmp_path: Path) -> None:
        path = write(tmp_path, [NUMBER, LITERAL, NUMBER])
        (problem,) = problems(path)
        first, third = (
            (f"{path} row 1", f"{path} row 3")
            if path.suffix == ".parquet"
            else (
                f"{path}:{1 + path.name.endswith('csv')}",
                f"{path}:{3 + path.name.endswith('csv')}",
            )
        )
        assert problem.place == third
        assert problem.message == f"{third}: question_id 'q2' stands already at {first}"

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"question_id": " "}, "`question_id` is empty"),
            ({"question": " \n"}, "`question` is empty"),
            ({"question": None}, "`question` is empty"),
            ({"answer": "D"}, "`answer` is none of ABC: 'D'"),
            ({"answer": "AB"}, "`answer` is none of ABC: 'AB'"),
            ({"answer": "2"}, "`answer` may mean B or C: '2'"),
            ({"answer": "water"}, "give the right option's letter or text"),
            ({"options": None}, "kind `choice` without options"),
            ({"options": []}, "kind `choice` without options"),
            ({"options": list("abcdefghijklmnopqrstuvwxyz?")}, "27 options; 26 letters"),
            ({"kind": "text"}, "kind `text` with options"),
            ({"kind": "chioce"}, "did you mean `choice`"),
            ({"kind": "number"}, "kind `number` with options"),
        ],
    )
    def test_says_what_is_wrong_with_a_row(
        self, write: Writer, tmp_path: Path, changes: Row, says: str
    ) -> None:
        path = write(tmp_path, [{**CHOICE, "question_id": "q0"}, {**CHOICE, **changes}])
        (problem,) = problems(path)
        assert says in str(problem)
        assert problem.place.startswith(str(path))
        assert len(problem.place) > len(str(path))

    def test_gathers_everything_at_once(self, write: Writer, tmp_path: Path) -> None:
        rows = [
            {**CHOICE, "answer": "Z", "question": " "},
            {**NUMBER, "answer": "many"},
            {**NUMBER, "kind": "numbre"},
        ]
        messages = "\n".join(problem.message for problem in problems(write(tmp_path, rows)))
        for says in ("is empty", "none of ABC", "not a number", "unknown kind", "stands already"):
            assert says in messages

    def test_the_question_column_is_missing(self, write: Writer, tmp_path: Path) -> None:
        row = {column: cell for column, cell in CHOICE.items() if column != "question"}
        path = write(tmp_path, [row, row])
        (problem,) = problems(path)
        assert problem.message == f"{path}: no column `question`"

    def test_missing_ids_are_made_from_the_content(self, write: Writer, tmp_path: Path) -> None:
        row = {column: cell for column, cell in CHOICE.items() if column != "question_id"}
        once, again, other = load_dataset(write(tmp_path, [row, row, {**row, "question": "?"}]))
        assert once.question.id == load_dataset([row])[0].question.id
        assert again.question.id == f"{once.question.id}-2"
        assert other.question.id not in (once.question.id, "")

    @pytest.mark.parametrize(
        ("name", "given"),
        [
            ("question_id", "id"),
            ("question_id", "questionid"),
            ("question", "prompt"),
            ("question", "Question"),
            ("options", "choices"),
            ("options", "option"),
            ("answer", "answers"),
            ("answer", "gold"),
            ("answer", "answerKey"),
            ("category", "Subject Name"),
        ],
    )
    def test_other_names_are_understood_and_said(
        self, write: Writer, name: str, given: str, tmp_path: Path
    ) -> None:
        row = {given if column == name else column: cell for column, cell in CHOICE.items()}
        data = load_dataset(write(tmp_path, [row]))
        assert data == load_dataset([CHOICE])
        assert data.reading.lines == (f"read as: `{name}` is `{given}`",)

    @pytest.mark.parametrize(
        ("name", "given"), [("options", "optoins"), ("answer", "anwser"), ("question", "questoin")]
    )
    def test_offers_the_near_column(
        self, write: Writer, name: str, given: str, tmp_path: Path
    ) -> None:
        row = {given if column == name else column: cell for column, cell in CHOICE.items()}
        found = problems(write(tmp_path, [row]))
        assert found[0].message.endswith(f"no column `{name}`")
        assert found[0].hint == f"rename `{given}` to `{name}`"

    def test_one_mistake_is_told_once(self, write: Writer, tmp_path: Path) -> None:
        rows = [{**NUMBER, "question_id": f"q{at}", "answer": f"many {at}"} for at in range(45)]
        (problem,) = problems(write(tmp_path, rows))
        assert "`answer` is not a number: 'many 0' (and 44 more like it: " in problem.message
        assert problem.message.count(problem.place[:-1]) == 4

    def test_shows_twenty_problems_and_counts_the_rest(self, write: Writer, tmp_path: Path) -> None:
        words = [f"{chr(97 + at // 26)}{chr(97 + at % 26)}" for at in range(45)]
        rows = [{**NUMBER, "question_id": word, "kind": f"k{word}"} for word in words]
        path = write(tmp_path, [{**CHOICE, "question": ""}, *rows])
        assert len(problems(path)) == 2


class TestTypes:
    @pytest.mark.parametrize("write", [write_jsonl, write_parquet])
    @pytest.mark.parametrize(
        ("name", "cell", "says"),
        [
            ("question_id", 1.5, "must hold a string or a whole number, not float 1.5"),
            ("question_id", True, "must hold a string or a whole number, not bool True"),
            ("question", 3, "must hold a string, not int 3"),
            ("options", "a, b", "must hold a list of strings, not str 'a, b'"),
            ("options", ["a", None], "must hold a list of strings, not list ['a', None]"),
            ("answer", {"of": "A"}, "must hold a string or a number, not dict {'of': 'A'}"),
            ("context", {"of": "long" * 20}, "must hold a string, not dict"),
            ("profile", 1, "must hold true or false, not int 1"),
        ],
    )
    def test_a_wholly_wrong_column_is_said_once(
        self, write: Writer, tmp_path: Path, name: str, cell: object, says: str
    ) -> None:
        rows = [{**CHOICE, "question_id": f"q{at}", name: cell} for at in range(40)]
        path = write(tmp_path, rows)
        assert [problem.message for problem in problems(path)][
            0
        ] == f"{path}: column `{name}` {says}"

    def test_one_wrong_cell_has_its_line(self, tmp_path: Path) -> None:
        rows = [CHOICE, {**NUMBER, "question": 5}, LITERAL]
        path = write_jsonl(tmp_path, rows)
        assert [str(problem) for problem in problems(path)] == [
            f"{path}:2: `question` must be a string, not int 5"
        ]

    @pytest.mark.parametrize("write", [write_jsonl, write_parquet])
    @pytest.mark.parametrize(("cell", "gold"), [(18, "18"), (2.5, "2.5")])
    def test_gold_numbers_may_be_numbers(
        self, write: Writer, tmp_path: Path, cell: float, gold: str
    ) -> None:
        assert load_dataset(write(tmp_path, [{**NUMBER, "answer": cell}]))[0].gold == gold


@pytest.mark.parametrize(
    ("gold", "sound"),
    [
        ("70000", True),
        ("-3", True),
        ("$1,234.50", True),
        ("-$5", True),
        (" 7 ", True),
        ("1e3", True),
        ("3/4", True),
        ("-1 / 3", True),
        ("1,5", True),
        ("1,00,000", True),
        ("1 000 000", True),
        ("\u22125", True),
        ("2 1/3", True),
        ("1e-405", False),
        ("1,2,3", False),
        ("12:05", False),
        ("10-20", False),
        ("2 or 3", False),
        ("x^2", False),
        ("(3, 4)", False),
        ("1/0", False),
        ("nan", False),
        ("inf", False),
        ("1e999", False),
        ("1e99999999999/3", False),
        ("1_000", False),
        ("five", False),
        ("5 apples", False),
        ("", False),
    ],
)
def test_gold_of_a_number_is_a_number(gold: str, sound: bool, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path, [{**NUMBER, "answer": gold}])
    if sound:
        item = load_dataset(path)[0]
        assert item.gold == gold
        assert same(canonical(gold, Kind.NUMBER) or "", gold, Kind.NUMBER)
    else:
        assert problems(path)[0].message == f"{path}:1: `answer` is not a number: {gold!r}"


@pytest.mark.parametrize(
    ("kind", "gold"), [("text", "?!"), ("text", "x" * 2_001), ("literal", " "), ("code", "\n")]
)
def test_gold_that_no_answer_can_equal_is_an_error(kind: str, gold: str, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path, [{**NUMBER, "kind": kind, "answer": gold}])
    message = problems(path)[0].message
    assert message.startswith(f"{path}:1: no answer of kind `{kind}` can equal `answer`")


class TestFiles:
    def test_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "nowhere.parquet"
        assert [str(problem) for problem in problems(path)] == [f"{path}: no such file"]

    def test_a_device_is_not_called_missing(self) -> None:
        (checked,) = check_files([Path("/dev/null")])
        (problem,) = checked.errors
        assert str(problem).startswith("/dev/null: not a regular file")

    @pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
    def test_a_folder(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"items{suffix}"
        path.mkdir()
        (problem,) = problems(path)
        assert problem.message == f"{path}: this is a folder, not a file"

    def test_unknown_suffix(self, tmp_path: Path) -> None:
        path = tmp_path / "items.jsnl"
        path.write_text("[]")
        (problem,) = problems(path)
        assert problem.message == f"{path}: unknown file type: '.jsnl'"
        assert "did you mean `.jsonl`" in problem.hint

    @pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
    def test_empty(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"items{suffix}"
        path.touch()
        assert [str(problem) for problem in problems(path)] == [f"{path}: is empty"]

    def test_parquet_that_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "items.parquet"
        path.write_text("question_id,question\n1,?\n")
        (problem,) = problems(path)
        assert problem.message.startswith(f"{path}: cannot be read: ")

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("1,問題は何ですか".encode("shift-jis"), "is not UTF-8 text: byte 0x96 at 23"),
            ("1,Какой ответ".encode("cp1251"), "is not UTF-8 text: byte 0xca at 23"),
            ("1,où é".encode()[:-1], "is not UTF-8 text: byte 0xc3 at 27"),
        ],
    )
    def test_csv_of_another_alphabet(self, tmp_path: Path, content: bytes, says: str) -> None:
        path = tmp_path / "items.csv"
        path.write_bytes(b"question_id,question\n" + content)
        assert problems(path)[0].message == f"{path}:2: {says}"


class TestParquet:
    def test_reads_lists_across_row_groups_slices_and_nulls(self, tmp_path: Path) -> None:
        rows: list[Row]
        rows = [{**CHOICE, "question_id": f"q{at}", "options": ["x", f"y{at}"]} for at in range(50)]
        rows += [{**OPEN, "question_id": f"o{at}", "options": None} for at in range(50)]
        rows = [row for pair in zip(rows[:50], rows[50:], strict=True) for row in pair]
        path = write_parquet(tmp_path, rows)
        pq.write_table(pq.read_table(path).slice(3), path, row_group_size=7)
        items = load_dataset(path)
        assert [each.question.id for each in items] == [row["question_id"] for row in rows[3:]]
        for each, row in zip(items, rows[3:], strict=True):
            assert each.question.options == tuple(row["options"] or ())

    def test_reads_categories_and_large_types(self, tmp_path: Path) -> None:
        path = tmp_path / "items.parquet"
        columns = {
            "question_id": pa.array(["a", "b"], pa.large_string()),
            "question": pa.array(["?", "?"]).dictionary_encode(),
            "options": pa.array([["x", "y"], None], pa.large_list(pa.string())),
        }
        pq.write_table(pa.table(columns), path)
        assert [each.question.options for each in load_dataset(path)] == [("x", "y"), ()]

    def test_a_column_that_is_there_twice(self, tmp_path: Path) -> None:
        path = tmp_path / "items.parquet"
        table = pa.Table.from_arrays(
            [pa.array(["a"]), pa.array(["?"]), pa.array(["!"])],
            ["question_id", "question", "question"],
        )
        pq.write_table(table, path)
        assert problems(path)[0].message == f"{path}: column `question` is there twice"


class TestJsonl:
    def test_blank_lines_count_and_a_byte_order_mark_does_not(self, tmp_path: Path) -> None:
        path = tmp_path / "items.jsonl"
        lines = ["\ufeff" + json.dumps(OPEN), "", json.dumps(NUMBER), "{broken", "[1]", '"text"']
        path.write_bytes("\r\n".join(lines).encode())
        assert [problem.place for problem in problems(path)] == [f"{path}:{n}" for n in (4, 5, 6)]
        path.write_bytes("\r\n".join(lines[:3]).encode())
        assert [each.question.id for each in load_dataset(path)] == ["q4", "q2"]


class TestCsv:
    def test_places_are_the_lines_on_which_rows_begin(self, tmp_path: Path) -> None:
        bad = {**NUMBER, "answer": "many"}
        path = write_csv(
            tmp_path, [OPEN, {**bad, "question_id": "x"}, {**OPEN, "question_id": 2}, bad]
        )
        (problem,) = problems(path)
        assert problem.place == f"{path}:4"
        assert f"(and 1 more like it: {path}:7)" in problem.message

    @pytest.mark.parametrize(
        ("text", "place", "says"),
        [
            ("question_id,question\n1,?,more\n", 2, "has 3 cells where the header has 2"),
            ("question_id,question\n1,?\n\n2\n", 4, "has 1 cells where the header has 2"),
            ('question_id,question\n1,?\n2,"open', 3, "is not csv: "),
            ("question_id,question,question\n1,?,?\n", 1, "two columns have one name"),
            ("question_id,question,options\n1,?,a/b\n", 2, "`options` is not a JSON list"),
            ("question_id,question,options\n1,?,7\n", 2, "`options` is not a JSON list"),
            ("question_id,question,profile\n1,?,maybe\n", 2, "`profile` must be true or false"),
        ],
    )
    def test_says_what_is_wrong(self, tmp_path: Path, text: str, place: int, says: str) -> None:
        path = tmp_path / "items.csv"
        path.write_text(text)
        (problem,) = problems(path)
        assert problem.message.startswith(f"{path}:{place}: {says}")

    @pytest.mark.parametrize(
        ("cell", "flag"), [("true", True), ("False", False), ("1", True), ("0", False), ("", None)]
    )
    def test_profile(self, tmp_path: Path, cell: str, flag: bool | None) -> None:
        path = tmp_path / "items.csv"
        path.write_text(f"question_id,question,profile\n1,?,{cell}\n")
        assert load_dataset(path)[0].profile is flag


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"question": "Which?", "options": ["x", "y"]}, Kind.CHOICE),
        ({"question": "How many legs has a spider?"}, Kind.NUMBER),
        ({"question": "What is 888 mod 6?"}, Kind.NUMBER),
        ({"question": "Calculate 12 * (3 + 4)."}, Kind.NUMBER),
        ({"question": "What is 17 plus 25 plus 8?"}, Kind.NUMBER),
        ({"question": "What is 2 good for?"}, Kind.TEXT),
        ({"question": "Who wrote Faust?"}, Kind.TEXT),
        ({"question": "When?", "answer": 1808}, Kind.NUMBER),
        ({"question": "When?", "answer": "1,808.5"}, Kind.NUMBER),
        ({"question": "How many legs?", "answer": "eight"}, Kind.TEXT),
        ({"question": "How many legs?", "kind": "literal"}, Kind.LITERAL),
    ],
)
def test_the_kind_is_inferred(row: Row, kind: Kind) -> None:
    assert load_dataset([row])[0].question.kind is kind


def test_one_numeric_answer_among_texts_says_nothing_of_its_kind() -> None:
    rows: list[Row] = [{"question": "A?", "answer": "1808"}, {"question": "B?", "answer": "Goethe"}]
    assert {each.question.kind for each in load_dataset(rows)} == {Kind.TEXT}


class TestChoiceAnswers:
    OPTIONS = ("9", "11", "15")

    def gold(self, *answers: object, options: Sequence[str] = OPTIONS) -> list[str | None]:
        rows = [
            {"question": f"{at}?", "options": list(options), "answer": answer}
            for at, answer in enumerate(answers)
        ]
        return [each.gold for each in load_dataset(rows)]

    def test_letters_and_texts(self) -> None:
        assert self.gold("b", "11", " 15 ", None) == ["B", "B", "C", None]

    def test_texts_that_look_like_numbers_of_options(self) -> None:
        assert self.gold("2", "1", options=("3", "2", "1")) == ["B", "C"]

    def test_numbers_from_0_and_from_1(self) -> None:
        assert self.gold(0, 2, "1") == ["A", "C", "B"]
        assert self.gold(3, 1, "2") == ["C", "A", "B"]

    @pytest.mark.parametrize(
        ("answers", "says"),
        [
            ((1,), "`answer` may mean A or B: 1"),
            ((0, 3, 1), "`answer` may mean A or B: 1"),
            ((7,), "`answer` is none of ABC: 7"),
        ],
    )
    def test_what_is_not_clear_is_an_error(self, answers: tuple[int, ...], says: str) -> None:
        with pytest.raises(InputError) as caught:
            self.gold(*answers)
        assert says in str(caught.value)

    def test_a_text_that_stands_twice(self) -> None:
        with pytest.raises(InputError, match="may mean A or B: 'same'"):
            self.gold("same", options=("same", "same", "other"))


class Column(list[object]):
    """What a `datasets.Dataset` gives for a name."""


class Labels:
    names = ("A", "B", "C")


def hub_dataset(columns: dict[str, list[object]], **features: object) -> object:
    """A stand-in for `datasets.Dataset`, which is too large to install for this."""
    kind = type(
        "Dataset",
        (),
        {
            "__module__": "datasets.arrow_dataset",
            "column_names": list(columns),
            "features": features,
            "__getitem__": lambda self, name: Column(columns[name]),
        },
    )
    return kind()


ROWS: Sequence[Row] = (
    {"question": "Is it prime?", "options": ["9", "11"], "answer": "B", "category": "primes"},
    {"question": "Is it even?", "options": ["4", "3"], "answer": "A", "category": None},
)
COLUMNS: dict[str, list[Any]] = {name: [row[name] for row in ROWS] for name in ROWS[0]}


class TestMemory:
    def expected(self) -> tuple[Item, ...]:
        return load_dataset(ROWS)

    def test_strings_mappings_items_and_questions(self) -> None:
        one, two = self.expected()
        question = Question("", "Why?", kind=Kind.TEXT)
        got = load_dataset(iter(["Who?", ROWS[0], two, question]))
        assert got[1:3] == (one, two)
        assert [each.question.text for each in got] == [
            "Who?", "Is it prime?", "Is it even?", "Why?",
        ]  # fmt: skip
        assert all(each.question.id for each in got)
        assert got[3].gold is None

    def test_columns(self) -> None:
        assert load_dataset(COLUMNS) == self.expected()

    def test_one_mapping(self) -> None:
        assert load_dataset(ROWS[0]) == self.expected()[:1]

    def test_arrow(self) -> None:
        assert load_dataset(pa.table(COLUMNS)) == self.expected()

    def test_pandas(self, tmp_path: Path) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(COLUMNS, index=[7, 9])
        assert load_dataset(frame) == self.expected()
        path = tmp_path / "items.parquet"
        pq.write_table(pa.table(COLUMNS), path)
        assert load_dataset(pandas.read_parquet(path)) == self.expected()  # options are arrays

    def test_pandas_makes_whole_numbers_floats_beside_missing_ones(self) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(
            {"question": ["a", "b", "c"], "options": [["x", "y"]] * 3, "answer": [0, None, 1]}
        )
        assert [each.gold for each in load_dataset(frame)] == ["A", None, "B"]

    def test_polars(self) -> None:
        polars = pytest.importorskip("polars")
        frame = polars.DataFrame(COLUMNS)
        assert load_dataset(frame) == load_dataset(frame.lazy()) == self.expected()

    def test_datasets_count_from_0_or_have_names(self) -> None:
        columns: dict[str, list[object]] = {
            "question": ["?", "!"],
            "options": [["x", "y", "z"]] * 2,
            "answer": [1, 2],
        }
        plain, named = hub_dataset(columns), hub_dataset(columns, answer=Labels())
        assert [each.gold for each in load_dataset(plain)] == ["B", "C"]
        assert [each.gold for each in load_dataset(named)] == ["B", "C"]

    def test_the_splits_of_datasets(self) -> None:
        kind = type("DatasetDict", (dict,), {"__module__": "datasets.dataset_dict"})
        with pytest.raises(InputError, match="several splits") as caught:
            load_dataset(kind(train=1, test=2))
        assert caught.value.hint == "choose one of 'train', 'test'"

    def test_bad_rows_are_all_named_with_their_place(self) -> None:
        rows = ["", ROWS[0], {**ROWS[1], "answer": "Z"}, 5, {"question": 7}]
        with pytest.raises(InputErrors) as caught:
            load_dataset(rows)
        assert [each.place for each in caught.value.errors] == [
            "data[3]", "data[4]", "data[0]", "data[2]",
        ]  # fmt: skip

    def test_a_frame_names_its_rows(self) -> None:
        pandas = pytest.importorskip("pandas")
        with pytest.raises(InputError) as caught:
            load_dataset(pandas.DataFrame({**COLUMNS, "answer": ["B", "Z"]}))
        assert caught.value.place == "DataFrame.iloc[1]"

    def test_items_with_one_id(self) -> None:
        one = item(1)
        with pytest.raises(InputError, match=r"'q1' stands already at data\[0\]"):
            load_dataset([one, item(2), one])

    @pytest.mark.parametrize("name", ["mmlu_prof", "questions"])
    def test_neither_a_file_nor_a_benchmark(self, name: str) -> None:
        with pytest.raises(InputError, match="neither a file nor a benchmark") as caught:
            load_dataset(name)
        assert "`mmlu_pro`" in caught.value.hint

    @pytest.mark.parametrize(("data", "says"), [([], "has no rows"), (5, "not questions: int 5")])
    def test_nothing_to_read(self, data: object, says: str) -> None:
        with pytest.raises(InputError, match=says):
            load_dataset(data)

    def test_limit_takes_what_take_takes(self) -> None:
        items = [item(number) for number in range(30)]
        assert load_dataset(items, limit=7, seed=1) == take(items, 7, seed=1)

    def test_a_dataset_shows_its_size_and_slices(self) -> None:
        data = self.expected()
        assert repr(data) == "Dataset(2 questions in 1 categories, 2 with a gold answer)"
        assert repr(data[:1]) == "Dataset(1 questions in 1 categories, 1 with a gold answer)"

    def test_no_table_library_is_imported(self) -> None:
        code = "import sys; from orchestra.evals import load_dataset; load_dataset(['?']); "
        code += "sys.exit(any(each in sys.modules for each in ('pandas', 'polars', 'datasets')))"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestDigest:
    def test_is_the_same_for_another_order(self) -> None:
        items = [item(number) for number in range(5)]
        assert items_digest(items) == items_digest(items[::-1])

    @pytest.mark.parametrize(
        "change",
        [
            {"id": "q9"},
            {"text": "Question 0? "},
            {"options": ("option 1", "option 0", "option 2", "option 3")},
            {"kind": Kind.TEXT},
            {"context": "A passage"},
        ],
    )
    def test_changes_with_the_question(self, change: Row) -> None:
        first = item(0)
        other = replace(first, question=replace(first.question, **change))
        assert items_digest([first]) != items_digest([other])

    @pytest.mark.parametrize("gold", ["B", None])
    def test_changes_with_the_gold(self, gold: str | None) -> None:
        assert items_digest([item(0)]) != items_digest([item(0, gold=gold)])

    def test_is_pinned(self) -> None:
        assert items_digest([item(0), item(1)]) == "661d789bb0e650bc8ea94ba8acee0db8"


class TestTake:
    @given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
    @settings(deadline=None, max_examples=50)
    def test_a_larger_limit_contains_a_smaller_one(self, one: int, two: int, seed: int) -> None:
        items = [item(number) for number in range(30)]
        small, large = (take(items, limit, seed=seed) for limit in sorted((one, two)))
        assert set(each.question.id for each in small) <= set(each.question.id for each in large)
        assert len(small) == min(one, two, 30)

    def test_keeps_the_order_of_the_file(self) -> None:
        items = [item(number) for number in range(30)]
        taken = take(items, 10, seed=1)
        assert list(taken) == [each for each in items if each in taken]

    def test_does_not_depend_on_the_order_of_the_file(self) -> None:
        items = [item(number) for number in range(30)]
        assert take(items, 7, seed=1) == take(items[::-1], 7, seed=1)[::-1]

    def test_depends_on_the_seed(self) -> None:
        items = [item(number) for number in range(30)]
        chosen = [[each.question.id for each in take(items, 5, seed=seed)] for seed in range(4)]
        assert len(set(map(tuple, chosen))) == 4

    def test_none_takes_all(self) -> None:
        items = [item(number) for number in range(3)]
        assert take(items, None, seed=0) == tuple(items)

    @pytest.mark.parametrize("limit", [0, -1])
    def test_refuses_a_limit_below_1(self, limit: int) -> None:
        with pytest.raises(InputError, match="limit"):
            take([item(0)], limit, seed=0)


class TestLetterHistogram:
    def test_counts_gold_letters_and_lists_those_never_gold(self) -> None:
        items = [
            item(1, gold="D"),
            item(2, gold="D"),
            item(3, gold="A", options=5),
            item(4, gold=None),
        ]
        assert letter_histogram(items) == {"A": 1, "B": 0, "C": 0, "D": 2, "E": 0}

    def test_leaves_open_questions_out(self) -> None:
        assert letter_histogram([Item(Question("q", "?", kind=Kind.NUMBER), "1")]) == {}


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="recorded answers of real models are not here")
@pytest.mark.parametrize(
    ("name", "count", "profile", "kinds"),
    [
        ("mmlu_pro", 7_346, 350, {Kind.CHOICE}),
        ("zeroeval", 1_223, 100, {Kind.NUMBER, Kind.LITERAL}),
    ],
)
def test_reads_real_benchmarks(name: str, count: int, profile: int, kinds: set[Kind]) -> None:
    items = load_dataset(SHARED / f"{name}.items.parquet")
    assert len(items) == count
    assert sum(each.profile is True for each in items) == profile
    assert {each.question.kind for each in items} == kinds
