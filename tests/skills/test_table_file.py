from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError, InputErrors
from orchestra.records import Brief, Mark, Outcome
from orchestra.skills import RecruitmentTable, agreement, as_json, read_table, write_table
from orchestra.skills.lengths import Lengths

if TYPE_CHECKING:
    from tests.skills.conftest import TableOf

PARENTS = {"algebra": "mathematics", "geometry": "mathematics", "torts": "law"}


@pytest.fixture
def table(table_of: TableOf) -> RecruitmentTable:
    return table_of(
        {"ann": "+A -B ?unparsed ?failed", "bob": "-B -B . +D"},
        "algebra algebra,law poetry law",
        parents=PARENTS,
    )


@pytest.fixture
def written(table: RecruitmentTable) -> bytes:
    return orjson.dumps(as_json(table))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.json"


def changed(table: RecruitmentTable, path: Path, **parts: object) -> Path:
    """A written table with some of its parts replaced, by dotted names with `__`."""
    data = orjson.loads(orjson.dumps(as_json(table)))
    for name, value in parts.items():
        *way, last = name.split("__")
        spot = data
        for step in way:
            spot = spot[step]
        spot[last] = value
    path.write_bytes(orjson.dumps(data))
    return path


class TestRoundTrip:
    def test_evidence_and_beliefs_come_back(self, table: RecruitmentTable, path: Path) -> None:
        write_table(table, path)
        again = read_table(path)
        assert again == table
        assert (again.beliefs.alpha == table.beliefs.alpha).all()
        assert (again.accuracy.beta == table.accuracy.beta).all()
        assert (agreement(again).matrix == agreement(table).matrix).all()

    def test_bytes_are_the_same_each_time(self, table: RecruitmentTable, path: Path) -> None:
        write_table(table, path)
        first = path.read_bytes()
        write_table(read_table(path), path)
        assert path.read_bytes() == first

    def test_skills_never_profiled_still_back_off(
        self, table: RecruitmentTable, path: Path
    ) -> None:
        write_table(table, path)
        assert read_table(path).nearest("geometry") == "mathematics"
        assert json.loads(path.read_text())["skills"]["geometry"] == {
            "parent": "mathematics",
            "questions": 0,
        }

    def test_long_answers_are_alike_in_memory_and_on_disk(self, path: Path) -> None:
        briefs = [Brief("q", (("s", 1.0),), "category")]
        marks = [Mark("q", name, Outcome.WRONG, "x" * 5000) for name in ("ann", "bob")]
        provenance = {"tagger": "category"}
        table = RecruitmentTable.build(briefs, marks, experts=["ann", "bob"], provenance=provenance)
        write_table(table, path)
        assert read_table(path) == table
        assert path.stat().st_size < 3000

    def test_long_answers_written_by_hand_are_abridged_too(
        self, table: RecruitmentTable, path: Path
    ) -> None:
        row = ["-" + "x" * 99, "", "", ""]
        again = read_table(
            changed(table, path, evidence__answers={"ann": row, "bob": ["-yes", *row[1:]]})
        )
        marks = [again.marks["ann"][0], again.marks["bob"][0]]
        assert [mark.value if mark else None for mark in marks][1] == "yes"
        assert marks[0] is not None
        assert len(marks[0].value or "") <= 40

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_any_table(self, path: Path, data: st.DataObject) -> None:
        texts = st.text(st.characters(codec="utf-8"), max_size=60)
        names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
        skills = st.lists(
            st.tuples(names, st.floats(1e-3, 1e3)), max_size=3, unique_by=lambda pair: pair[0]
        ).map(tuple)
        ids = data.draw(st.lists(names, min_size=1, max_size=5, unique=True))
        experts = data.draw(st.lists(names, min_size=1, max_size=3, unique=True))
        briefs = [
            Brief(each, data.draw(skills), "t", choices=data.draw(st.integers(0, 10)))
            for each in ids
        ]
        outcomes = st.sampled_from([Outcome.CORRECT, Outcome.WRONG, None])
        marks = [
            Mark(each, expert, outcome, data.draw(texts))
            for each in ids
            for expert in experts
            if (outcome := data.draw(outcomes)) is not None
        ]
        table = RecruitmentTable.build(briefs, marks, experts=experts, provenance={"tagger": "t"})
        write_table(table, path)
        assert read_table(path) == table

    def test_lengths_come_back(self, table: RecruitmentTable, path: Path) -> None:
        counted = Lengths(3, 210.5, 52.25, 340.0, 71.5, 1.25, estimated=True)
        told = replace(table, lengths={"bob": counted, "ann": Lengths(1, 8.0, 2.0, 3.0)})
        write_table(told, path)
        assert read_table(path) == told
        first = path.read_bytes()
        write_table(read_table(path), path)
        assert path.read_bytes() == first

    def test_a_table_without_lengths_is_written_as_ever(
        self, table: RecruitmentTable, path: Path
    ) -> None:
        write_table(table, path)
        assert set(json.loads(path.read_bytes())["evidence"]) == {"questions", "answers"}
        assert read_table(path).lengths == {}

    def test_lengths_of_somebody_else_are_left_out(
        self, table: RecruitmentTable, path: Path
    ) -> None:
        record = {"calls": 3, "letters": 9, "input_tokens": 2.5, "output_tokens": 4}
        changed(table, path, evidence__lengths={"eve": record, "bob": record})
        assert read_table(path).lengths == {"bob": Lengths(3, 9.0, 2.5, 4.0)}

    @pytest.mark.parametrize("wrong", [{"calls": 0}, {"output_tokens": -1}, {"seconds": "2"}])
    def test_lengths_that_cannot_be(
        self, table: RecruitmentTable, path: Path, wrong: dict[str, object]
    ) -> None:
        record = {"calls": 3, "letters": 9, "input_tokens": 2.5, "output_tokens": 4, **wrong}
        changed(table, path, evidence__lengths={"bob": record})
        with pytest.raises(InputError, match=f"evidence.lengths.bob.{next(iter(wrong))}"):
            read_table(path)


class TestForPeople:
    def test_counts_estimates_and_intervals(self, table: RecruitmentTable) -> None:
        told = as_json(table)["experts"]["ann"]
        assert told["correct"] == 1
        assert told["seen"] == 3
        assert told["absent"] == 1
        assert told["score"] == -1
        assert told["absent_by_reason"] == {"failed": 1, "unparsed": 1}
        assert told["estimate"] == pytest.approx(2 / 5)
        low, high = told["interval"]
        assert 0 <= low < told["estimate"] < high <= 1
        algebra = told["skills"]["algebra"]
        assert (algebra["correct"], algebra["seen"]) == (1, 2)
        column = table.skills.index("algebra")
        assert algebra["estimate"] == pytest.approx(table.beliefs.mean[0, column], abs=1e-4)

    def test_the_panel(self, table: RecruitmentTable) -> None:
        panel = as_json(table)["panel"]
        assert panel["experts"] == ["ann", "bob"]
        assert np.array(panel["error_agreement"]).shape == (2, 2)
        assert 1 <= panel["effective_size"] <= 2

    def test_the_evidence_holds_where_counts_contradict_it(
        self, table: RecruitmentTable, path: Path
    ) -> None:
        told = as_json(table)
        told["experts"]["ann"]["correct"] = 99
        del told["experts"]["bob"], told["panel"]
        path.write_bytes(orjson.dumps(told))
        assert read_table(path) == table


class TestErrors:
    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"", "not a recruitment table"),
            (b"{", "not a recruitment table"),
            (b"\xff\xfe", "not a recruitment table"),
            (b"[]", "object"),
            (b"{}", "schema"),
            (b'{"schema": "1"}', "schema: Input should be a valid integer"),
            (b'{"schema": 0}', "schema: Input should be greater"),
            (b'{"schema": 1}', "evidence: Field required"),
            (b"[" * 5000, "not a recruitment table"),
        ],
    )
    def test_what_is_no_table(self, path: Path, content: bytes, told: str) -> None:
        path.write_bytes(content)
        with pytest.raises(InputError, match=told) as caught:
            read_table(path)
        assert str(path) in str(caught.value)

    def test_a_newer_file_asks_for_an_upgrade(self, table: RecruitmentTable, path: Path) -> None:
        changed(table, path, schema=2, evidence="of another shape")
        with pytest.raises(InputError, match="schema 2, this version reads up to 1") as caught:
            read_table(path)
        assert "upgrade" in caught.value.hint

    @pytest.mark.parametrize(
        ("parts", "told"),
        [
            ({"evidence__questions": []}, "evidence.questions: .*at least 1"),
            ({"evidence__answers": {}}, "evidence.answers: .*at least 1"),
            ({"evidence__answers": {"ann": ["+A"]}}, "answers.ann: 1 answers for 4 questions"),
            ({"provenance": {"tagger": 1}}, "provenance.tagger: "),
            ({"created": None}, "created: "),
            (
                {"evidence__answers": {"ann": ["+A", "B", "?maybe", "*"]}},
                r"answers.ann.1: not an answer: 'B'(.|\n)*ann.2: .*'\?maybe'(.|\n)*ann.3: ",
            ),
            (
                {"skills": {"a": {"parent": "b"}, "b": {"parent": "a"}}},
                r"skills: the parents go round in a circle: `[ab]` -> `[ab]`",
            ),
            ({"skills": {"a": {"parent": "a"}}}, "skills: the parents go round"),
        ],
    )
    def test_faults_have_places(
        self, table: RecruitmentTable, path: Path, parts: dict[str, object], told: str
    ) -> None:
        with pytest.raises(InputError, match=told):
            read_table(changed(table, path, **parts))

    def test_a_question_that_stands_twice(self, table: RecruitmentTable, path: Path) -> None:
        questions = as_json(table)["evidence"]["questions"]
        questions[1]["id"] = "q0"
        with pytest.raises(InputError, match=r"evidence\.questions: question 'q0' stands 2 times"):
            read_table(changed(table, path, evidence__questions=questions))

    @pytest.mark.parametrize("weight", [0, -1, "1", None, 1e999])
    def test_weights_are_positive_and_finite(
        self, table: RecruitmentTable, path: Path, weight: object
    ) -> None:
        told = as_json(table)
        told["evidence"]["questions"][0]["skills"][0][1] = weight
        infinite = isinstance(weight, float) and math.isinf(weight)
        path.write_text(json.dumps(told).replace("Infinity", "1e999" if infinite else "Infinity"))
        with pytest.raises(InputError, match=r"questions\.0\.skills\.0\.1: "):
            read_table(path)

    def test_all_faults_at_once_up_to_twenty(self, table: RecruitmentTable, path: Path) -> None:
        answers = {f"e{i}": ["*", "*", "*", "*"] for i in range(9)}
        with pytest.raises(InputErrors) as caught:
            read_table(changed(table, path, evidence__answers=answers))
        assert len(caught.value.errors) == 20

    def test_a_missing_file(self, path: Path) -> None:
        with pytest.raises(InputError, match="no such file") as caught:
            read_table(path)
        assert "orchestra profile" in caught.value.hint

    def test_a_folder_cannot_be_read_or_written(
        self, table: RecruitmentTable, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match="this is a folder"):
            read_table(tmp_path)
        with pytest.raises(InputError, match=str(tmp_path)):
            write_table(table, tmp_path)
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="cannot make its folder"):
            write_table(table, tmp_path / "file" / "table.json")

    def test_writing_leaves_one_file_in_a_new_folder(
        self, table: RecruitmentTable, tmp_path: Path
    ) -> None:
        write_table(table, tmp_path / "a" / "b" / "table.json")
        assert [each.name for each in (tmp_path / "a" / "b").iterdir()] == ["table.json"]

    scraps = st.recursive(
        st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=4,
    )

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_a_spoilt_file_gives_no_foreign_error(
        self, written: bytes, path: Path, data: st.DataObject
    ) -> None:
        told = orjson.loads(written)
        spot: Any = told
        while True:
            keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(spot[key], dict | list) or not spot[key] or data.draw(st.booleans()):
                break
            spot = spot[key]
        if data.draw(st.booleans()):
            del spot[key]
        else:
            spot[key] = data.draw(self.scraps)
        path.write_text(json.dumps(told))
        with suppress(InputError):
            again = read_table(path)
            assert np.isfinite(again.beliefs.mean).all()
            assert again.outcomes.shape == (len(again.experts), len(again.briefs))

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, 10_000), st.binary(max_size=3))
    def test_nor_do_spoilt_bytes(self, written: bytes, path: Path, at: int, put: bytes) -> None:
        at %= len(written)
        path.write_bytes(written[:at] + put + written[at + 1 :])
        with suppress(InputError):
            read_table(path)
