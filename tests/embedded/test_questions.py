"""Questions in any number, in sets that share no problem, in the format of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestra.embedded import EXERCISES, Split, embedded_roster, questions
from orchestra.errors import InputError
from orchestra.evals import load_dataset, write_items
from orchestra.records import Kind


def test_as_many_as_wanted_of_each_skill_and_none_twice() -> None:
    items = questions(30, of=Split.TEST)
    assert len(items) == 30 * len(EXERCISES)
    assert len({item.question.id for item in items}) == len(items)
    open_, choice = (
        [i for i in items if bool(i.question.options) is with_options]
        for with_options in (False, True)
    )
    assert min(len(open_), len(choice)) > len(items) / 3
    assert {item.question.kind for item in choice} == {Kind.CHOICE}
    assert {item.question.kind for item in open_} == {Kind.NUMBER, Kind.TEXT}


def test_the_same_for_the_same_seed() -> None:
    assert questions(5, of=Split.TEST, seed=3) == questions(5, of=Split.TEST, seed=3)
    assert questions(5, of=Split.TEST, seed=3) != questions(5, of=Split.TEST, seed=4)


def test_sets_share_no_id_whatever_the_seed() -> None:
    profile = {item.question.id for item in questions(20, of=Split.PROFILE, seed=1)}
    test = {item.question.id for item in questions(20, of=Split.TEST, seed=2)}
    assert not profile & test


def test_more_than_there_are() -> None:
    with pytest.raises(InputError, match="has no 3000 different problems"):
        questions(3_000, of=Split.PROFILE)


def test_files_read_back(tmp_path: Path) -> None:
    items = questions(4, of=Split.PROFILE)
    write_items(tmp_path / "items.jsonl", items)
    assert load_dataset(tmp_path / "items.jsonl") == items


def test_the_shipped_roster() -> None:
    roster = embedded_roster()
    assert len(roster.recruits) == 10
    assert set(roster.names) - set(roster.recruits) == {"labeller", "chair"}
    assert {expert.worker for expert in roster} == {"local"}
