import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError, InputErrors
from orchestra.evals.datasets import Item, items_digest, letter_histogram, read_items, take
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
        read_items(path)
    return caught.value.errors if isinstance(caught.value, InputErrors) else (caught.value,)


def item(number: int, *, gold: str | None = "A", options: int = 4) -> Item:
    letters = tuple(f"option {option}" for option in range(options))
    return Item(Question(id=f"q{number}", text=f"Question {number}?", options=letters), gold)


@pytest.mark.parametrize("write", WRITERS)
class TestEveryFormat:
    def test_reads_every_column_and_rewrites_no_text(self, write: Writer, tmp_path: Path) -> None:
        first, second, third, fourth = read_items(write(tmp_path, [CHOICE, NUMBER, LITERAL, OPEN]))
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
        items = read_items(write(tmp_path, rows))
        assert [each.question.kind for each in items] == [Kind.CHOICE, Kind.TEXT, Kind.TEXT]
        assert [each.gold for each in items] == ["B", "b", None]

    def test_needs_no_gold_and_ignores_other_columns(self, write: Writer, tmp_path: Path) -> None:
        rows = [{"question_id": "1", "question": "?", "source": "a book", "answer_index": "3"}]
        assert read_items(write(tmp_path, rows)) == (
            Item(Question("1", "?", kind=Kind.TEXT), None),
        )

    def test_whole_numbers_may_be_ids(self, write: Writer, tmp_path: Path) -> None:
        rows = [{"question_id": number, "question": "?"} for number in (7, 70)]
        assert [each.question.id for each in read_items(write(tmp_path, rows))] == ["7", "70"]

    def test_the_three_formats_hold_the_same_exam(self, write: Writer, tmp_path: Path) -> None:
        rows = [CHOICE, NUMBER, LITERAL, OPEN]
        digest = items_digest(read_items(write(tmp_path, rows)))
        assert digest == items_digest(read_items(write_jsonl(tmp_path, rows)))

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
            ({"question_id": None}, "`question_id` is empty"),
            ({"question_id": " "}, "`question_id` is empty"),
            ({"question": " \n"}, "`question` is empty"),
            ({"question": None}, "`question` is empty"),
            ({"answer": "D"}, "`answer` is none of ABC: 'D'"),
            ({"answer": "AB"}, "`answer` is none of ABC: 'AB'"),
            ({"answer": "2"}, "a letter, not an index"),
            ({"answer": "oxygen "}, "that is the text of option B"),
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

    @pytest.mark.parametrize("name", ["question_id", "question"])
    def test_a_required_column_is_missing(self, write: Writer, name: str, tmp_path: Path) -> None:
        row = {column: cell for column, cell in CHOICE.items() if column != name}
        path = write(tmp_path, [row, row])
        (problem,) = problems(path)
        assert problem.message == f"{path}: no column `{name}`"

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
        ],
    )
    def test_offers_the_near_column(
        self, write: Writer, name: str, given: str, tmp_path: Path
    ) -> None:
        row = {given if column == name else column: cell for column, cell in CHOICE.items()}
        found = problems(write(tmp_path, [row]))
        assert found[0].message.endswith(f"no column `{name}`")
        assert found[0].hint == f"rename `{given}` to `{name}`"

    def test_shows_twenty_problems_and_counts_the_rest(self, write: Writer, tmp_path: Path) -> None:
        rows = [{**NUMBER, "question_id": f"q{at}", "answer": "many"} for at in range(45)]
        found = problems(write(tmp_path, rows))
        assert len(found) == 21
        assert found[-1].message.endswith("and 25 more problems")


class TestTypes:
    @pytest.mark.parametrize("write", [write_jsonl, write_parquet])
    @pytest.mark.parametrize(
        ("name", "cell", "says"),
        [
            ("question_id", 1.5, "must hold a string or a whole number, not float 1.5"),
            ("question_id", True, "must hold a string or a whole number, not bool True"),
            ("question", 3, "must hold a string, not int 3"),
            ("options", "a, b", "must hold a list of strings, not str 'a, b'"),
            ("options", [1, 2], "must hold a list of strings, not list [1, 2]"),
            ("options", ["a", None], "must hold a list of strings, not list ['a', None]"),
            ("answer", ["A"], "must hold a string or a number, not list ['A']"),
            ("context", ["long" * 20], "must hold a string, not list"),
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
        assert read_items(write(tmp_path, [{**NUMBER, "answer": cell}]))[0].gold == gold


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
        ("-1 / 3", False),
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
        assert read_items(path)[0].gold == gold
    else:
        assert problems(path)[0].message == f"{path}:1: `answer` is not a number: {gold!r}"


class TestFiles:
    def test_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "nowhere.parquet"
        assert [str(problem) for problem in problems(path)] == [f"{path}: no such file"]

    @pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
    def test_a_folder(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"items{suffix}"
        path.mkdir()
        (problem,) = problems(path)
        assert problem.message.startswith(f"{path}: cannot be read: ")

    def test_unknown_suffix(self, tmp_path: Path) -> None:
        path = tmp_path / "items.json"
        path.write_text("[]")
        (problem,) = problems(path)
        assert problem.message == f"{path}: unknown file type: '.json'"
        assert "did you mean `.jsonl`?" in problem.hint

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

    def test_csv_that_is_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "items.csv"
        path.write_bytes("question_id,question\n1,où\n".encode("latin-1"))
        assert problems(path)[0].message == f"{path}: is not UTF-8 text"


class TestParquet:
    def test_reads_lists_across_row_groups_slices_and_nulls(self, tmp_path: Path) -> None:
        rows: list[Row]
        rows = [{**CHOICE, "question_id": f"q{at}", "options": ["x", f"y{at}"]} for at in range(50)]
        rows += [{**OPEN, "question_id": f"o{at}", "options": None} for at in range(50)]
        rows = [row for pair in zip(rows[:50], rows[50:], strict=True) for row in pair]
        path = write_parquet(tmp_path, rows)
        pq.write_table(pq.read_table(path).slice(3), path, row_group_size=7)
        items = read_items(path)
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
        assert [each.question.options for each in read_items(path)] == [("x", "y"), ()]

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
        assert [each.question.id for each in read_items(path)] == ["q4", "q2"]


class TestCsv:
    def test_places_are_the_lines_on_which_rows_begin(self, tmp_path: Path) -> None:
        bad = {**NUMBER, "answer": "many"}
        path = write_csv(
            tmp_path, [OPEN, {**bad, "question_id": "x"}, {**OPEN, "question_id": 2}, bad]
        )
        assert [problem.place for problem in problems(path)] == [f"{path}:4", f"{path}:7"]

    @pytest.mark.parametrize(
        ("text", "place", "says"),
        [
            ("question_id,question\n1,?,more\n", 2, "has 3 cells where the header has 2"),
            ("question_id,question\n1,?\n\n2\n", 4, "has 1 cells where the header has 2"),
            ('question_id,question\n1,?\n2,"open', 3, "is not csv: "),
            ("question_id,question,question\n1,?,?\n", 1, "two columns have one name"),
            ("question_id,question,options\n1,?,a;b\n", 2, "`options` is not a JSON list"),
            ("question_id,question,options\n1,?,7\n", 2, "`options` must be a list of strings"),
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
        assert read_items(path)[0].profile is flag


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
    items = read_items(SHARED / f"{name}.items.parquet")
    assert len(items) == count
    assert sum(each.profile is True for each in items) == profile
    assert {each.question.kind for each in items} == kinds
