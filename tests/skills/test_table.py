from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from orchestra.errors import InputError, InputErrors
from orchestra.records import Absence, Brief, Mark, Outcome
from orchestra.skills import RecruitmentTable, Tally, agreement
from orchestra.skills.lengths import Lengths

if TYPE_CHECKING:
    from tests.skills.conftest import TableOf

ALL_KINDS = "+A -B ?unparsed ?refused ?truncated ?empty ?failed ?not_recorded ."

LENGTHS = {"ann": Lengths(20, 8.0, 2.0, 30.0, 5.0), "bob": Lengths(20, 8.0, 2.0, 70.0, 9.0, 1.0)}


class TestCounts:
    def test_what_counts_as_seen(self, table_of: TableOf) -> None:
        table = table_of({"ann": ALL_KINDS}, "s " * 9)
        assert table.outcomes.tolist() == [[1, 0, -1, -1, -1, -1, -2, -2, -2]]
        tally = table.tally("ann")
        assert tally == Tally(correct=1, seen=6, absent=4)
        assert tally.answered == 2
        assert table.absences("ann") == {
            "empty": 1,
            "failed": 1,
            "not_recorded": 1,
            "refused": 1,
            "truncated": 1,
            "unparsed": 1,
        }

    @pytest.mark.parametrize(
        ("answers", "score"),
        [
            ("+A +A +A", 3),
            ("+A -B -B", -1),
            ("+A -B ?empty", -1),
            (". ?failed -B", -1),
            (". . .", 0),
        ],
    )
    def test_the_papers_score(self, table_of: TableOf, answers: str, score: int) -> None:
        assert table_of({"ann": answers}, "s s s").tally("ann").score == score

    def test_parents_count_what_is_below_them_once(self, table_of: TableOf) -> None:
        table = table_of(
            {"ann": "+A -B +A -B", "bob": ". +A +A ?empty"},
            "algebra geometry algebra,geometry law",
            parents={"algebra": "mathematics", "geometry": "mathematics", "torts": "law"},
        )
        assert table.skills == ("algebra", "geometry", "law", "mathematics")
        assert table.needs.tolist() == [[1, 0, 0, 1], [0, 1, 0, 1], [1, 1, 0, 1], [0, 0, 1, 0]]
        assert table.tally("ann", "algebra") == Tally(2, 2, 0)
        assert table.tally("ann", "mathematics") == Tally(2, 3, 0)
        assert table.tally("bob", "mathematics") == Tally(2, 2, 0)
        assert table.tally("bob", "law") == Tally(0, 1, 1)
        assert table.tally("bob", "torts") == Tally(0, 0, 0)

    def test_every_tally_agrees_with_a_count_by_hand(self, table_of: TableOf) -> None:
        table = table_of(
            {"ann": "+A -B ?empty +C", "bob": ". ?failed -B +A"},
            "a b,c a,c c",
            parents={"b": "a"},
        )
        for row, expert in enumerate(table.experts):
            for skill in (None, *table.skills):
                places = [
                    i
                    for i, brief in enumerate(table.briefs)
                    if skill is None
                    or any(skill in (s, *table.ancestors(s)) for s, _ in brief.skills)
                ]
                codes = [int(table.outcomes[row, i]) for i in places]
                seen = sum(code > -2 for code in codes)
                assert table.tally(expert, skill) == Tally(codes.count(1), seen, codes.count(-1))


class TestBackOff:
    PARENTS = {"torts": "law", "law": "humanities", "algebra": "mathematics"}

    @pytest.fixture
    def table(self, table_of: TableOf) -> RecruitmentTable:
        return table_of({"ann": "+A -B"}, "law poetry", parents=self.PARENTS)

    @pytest.mark.parametrize(
        ("skill", "known"),
        [
            ("law", "law"),
            ("torts", "law"),
            ("humanities", "humanities"),
            ("poetry", "poetry"),
            ("algebra", None),
            ("cooking", None),
        ],
    )
    def test_nearest(self, table: RecruitmentTable, skill: str, known: str | None) -> None:
        assert table.nearest(skill) == known

    def test_weights_of_skills_that_meet_add_up(self, table: RecruitmentTable) -> None:
        skills = (("torts", 1.0), ("law", 2.0), ("poetry", 1.0), ("algebra", 4.0))
        weights = table.columns(Brief("q", skills, "t"))
        assert {table.skills[i]: w for i, w in weights.items()} == {"law": 0.75, "poetry": 0.25}
        assert table.columns(Brief("q", (("algebra", 1.0),), "t")) == {}

    def test_ancestors_end_even_where_parents_go_round(self, table_of: TableOf) -> None:
        table = table_of({"ann": "+A"}, "a", parents={"a": "b", "b": "c", "c": "b"})
        assert table.ancestors("a") == ("b", "c")
        assert np.isfinite(table.beliefs.mean).all()


class TestBeliefs:
    def test_absent_answers_lower_the_rate_but_not_the_accuracy(self, table_of: TableOf) -> None:
        table = table_of({"ann": "+A +A +A ?empty ?empty ?empty ?failed ."}, "s " * 8)
        assert table.global_beliefs.mean[0, 0] == pytest.approx(4 / 8)
        assert table.global_accuracy.mean[0, 0] == pytest.approx(4 / 5)
        assert table.accuracy.mean[0, 0] > table.beliefs.mean[0, 0]

    def test_a_skill_is_judged_from_its_parent(self, table_of: TableOf) -> None:
        right, wrong = "+A " * 20, "-B " * 20
        table = table_of(
            {"ann": right + wrong + "+A", "bob": wrong + right + "+A"},
            "algebra " * 20 + "torts " * 20 + "geometry",
            parents={"algebra": "mathematics", "geometry": "mathematics", "torts": "law"},
        )
        column = {name: i for i, name in enumerate(table.skills)}
        ann, bob = table.beliefs.mean
        assert ann[column["geometry"]] > bob[column["geometry"]] + 0.1
        assert ann[column["mathematics"]] > 0.6 > 0.4 > ann[column["law"]]


class TestBuild:
    BRIEFS = (Brief("q1", (("s", 1.0),), "t"), Brief("q2", (("s", 1.0),), "t"))

    @pytest.mark.parametrize(
        ("briefs", "marks", "experts", "told"),
        [
            ((), (), ("ann",), "at least one expert and one question"),
            (BRIEFS, (), (), "at least one expert and one question"),
            ((*BRIEFS, BRIEFS[0]), (), ("ann",), "question 'q1' stands 2 times"),
            (BRIEFS, (Mark("q1", "bob", Outcome.CORRECT, "A"),), ("ann",), "expert: 'bob'"),
            (BRIEFS, (Mark("q3", "ann", Outcome.CORRECT, "A"),), ("ann",), "question: 'q3'"),
        ],
    )
    def test_errors(
        self,
        briefs: tuple[Brief, ...],
        marks: tuple[Mark, ...],
        experts: tuple[str, ...],
        told: str,
    ) -> None:
        with pytest.raises(InputError, match=told):
            RecruitmentTable.build(briefs, marks, experts=experts)

    def test_marks_come_in_any_order(self) -> None:
        marks = [Mark("q2", "ann", Outcome.WRONG, "B"), Mark("q1", "ann", Outcome.CORRECT, "A")]
        table = RecruitmentTable.build(self.BRIEFS, marks, experts=["bob", "ann"])
        assert table.experts == ("bob", "ann")
        assert table.outcomes.tolist() == [[-2, -2], [1, 0]]

    def test_long_answers_are_kept_as_digests_that_are_equal_when_they_are(self) -> None:
        long, other = "[0, 1, 2, " * 90, "[0, 1, 3, " * 90
        briefs = [Brief(f"q{i}", (("s", 1.0),), "t") for i in range(2)]
        said = {"ann": (long, long), "bob": (long, other)}
        marks = [
            Mark(f"q{i}", name, Outcome.WRONG, value)
            for name, row in said.items()
            for i, value in enumerate(row)
        ]
        table = RecruitmentTable.build(briefs, marks, experts=list(said))
        kept = [mark.value for row in table.marks.values() for mark in row if mark]
        assert all(value is not None and len(value) <= 40 for value in kept)
        assert kept[0] == kept[2]
        assert agreement(table).same_wrong[0, 1] == 1


class TestChange:
    def test_subset_keeps_the_order_given(self, table_of: TableOf) -> None:
        table = table_of({"ann": "+A", "bob": "-B", "cid": "."}, "s")
        part = table.subset(["cid", "ann"])
        assert part.experts == ("cid", "ann")
        assert part.outcomes.tolist() == [[-2], [1]]
        with pytest.raises(InputErrors, match=r"(?s)'ana'.*`ann`.*'dan'"):
            table.subset(["ana", "bob", "dan"])

    def test_an_unknown_expert_has_no_tally(self, table_of: TableOf) -> None:
        with pytest.raises(InputError, match=r"unknown expert: 'ana'"):
            table_of({"ann": "+A"}, "s").tally("ana")

    def test_questions_by_place(self, table_of: TableOf) -> None:
        part = table_of({"ann": "+A -B +A"}, "a b c").questions([2, 1])
        assert [brief.question_id for brief in part.briefs] == ["q2", "q1"]
        assert part.outcomes.tolist() == [[1, 0]]
        assert part.skills == ("b", "c")

    def test_lengths_go_with_their_experts(self, table_of: TableOf) -> None:
        table = replace(table_of({"ann": "+A -B", "bob": "-B +A"}, "a b"), lengths=LENGTHS)
        assert table.subset(["bob"]).lengths == {"bob": LENGTHS["bob"]}
        assert table.questions([0]).lengths == LENGTHS
        assert replace(table, lengths={}).subset(["bob"]).lengths == {}

    def test_lengths_of_strangers_are_not_taken(self, table_of: TableOf) -> None:
        table = table_of({"ann": "+A"}, "a")
        built = RecruitmentTable.build(table.briefs, [], experts=["ann", "cid"], lengths=LENGTHS)
        assert built.lengths == {"ann": LENGTHS["ann"]}


class TestMerge:
    def test_adds_questions_and_experts(self, table_of: TableOf) -> None:
        first = table_of({"ann": "+A -B", "bob": "-B -B"}, "a b")
        second = table_of({"bob": "+A", "cid": "+A"}, "c", prefix="r")
        both = first.merge(second)
        assert both.experts == ("ann", "bob", "cid")
        assert [brief.question_id for brief in both.briefs] == ["q0", "q1", "r0"]
        assert both.outcomes.tolist() == [[1, 0, -2], [0, 0, 1], [-2, -2, 1]]
        assert both.provenance == {"tagger": "category", "questions": "2 + 1"}

    def test_adding_an_expert_leaves_the_others_as_they_were(self, table_of: TableOf) -> None:
        table = table_of({"ann": "+A -B ?empty", "bob": "-B . +A"}, "a b a")
        newcomer = replace(table, marks=table_of({"cid": "+A +A -C"}, "a b a").marks)
        both = table.merge(newcomer)
        assert both.experts == ("ann", "bob", "cid")
        assert both.subset(["ann", "bob"]) == table
        assert both.tally("cid") == Tally(2, 3, 0)

    @pytest.mark.parametrize(
        ("mine", "theirs", "kept"),
        [
            ("+A", "-B", "+A"),
            ("-B", "+A", "-B"),
            (".", "+A", "+A"),
            ("?failed", "-B", "-B"),
            ("?not_recorded", "?unparsed", "?unparsed"),
            ("?unparsed", "+A", "?unparsed"),
            ("?failed", ".", "?failed"),
            (".", "?failed", "?failed"),
            (".", ".", "."),
        ],
    )
    def test_which_mark_is_kept(self, table_of: TableOf, mine: str, theirs: str, kept: str) -> None:
        both = table_of({"ann": mine}, "a").merge(table_of({"ann": theirs}, "a"))
        assert both.marks == table_of({"ann": kept}, "a").marks

    @pytest.mark.parametrize("prefix", ["q", "r"])
    def test_lengths(self, table_of: TableOf, prefix: str) -> None:
        """Of other questions they are pooled; of the same, those of more calls are kept."""
        mine = replace(table_of({"ann": "+A", "bob": "+A"}, "a"), lengths=LENGTHS)
        more = Lengths(90, 9.0, 2.0, 44.0, 3.0)
        theirs = replace(table_of({"ann": "+A"}, "a", prefix=prefix), lengths={"ann": more})
        told = more if prefix == "q" else LENGTHS["ann"].pooled(more)
        assert mine.merge(theirs).lengths == {**LENGTHS, "ann": told}
        assert mine.merge(mine) == replace(mine, provenance=mine.merge(mine).provenance)

    def test_refuses_other_tags(self, table_of: TableOf) -> None:
        table = table_of({"ann": "+A -B"}, "a b")
        with pytest.raises(InputError, match="question 'q1' has other skills"):
            table.merge(table_of({"bob": "+A -B"}, "a c"))
        with pytest.raises(InputError, match=r"tagged by `category` and `lexical`"):
            table.merge(table_of({"bob": "+A -B"}, "a b", tagger="lexical"))


def test_no_mark_holds_both_an_answer_and_an_absence(table_of: TableOf) -> None:
    row = table_of({"ann": ALL_KINDS}, "s " * 9).marks["ann"]
    absent = [mark.absence for mark in row if mark and mark.outcome is Outcome.ABSENT]
    assert set(absent) == set(Absence)
    assert all((mark.value is None) == (mark.absence is not None) for mark in row if mark)
