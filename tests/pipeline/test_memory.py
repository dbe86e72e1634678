"""What is remembered of questions that were asked one at a time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestra.errors import InputError
from orchestra.pipeline import History, memory_beside
from orchestra.records import Absence, Answer, Plan, Seat
from orchestra.voting import QuestionVotes

ROW = {"question_id": "q", "at": 0, "rivals": 3.0, "votes": []}
VOTE = {"expert": "ann", "identity": "1", "value": "A"}
WHO = {"ann": "1", "bob": "2", "cid": "3"}


def poll(question: str, *values: str | None, rule: str = "stated:said") -> QuestionVotes:
    """The answers of ann, bob and cid."""
    seats = tuple(
        Seat(name, 1.5, "a long reason", accuracy=0.75)
        for name, _ in zip(WHO, values, strict=False)
    )
    answers = {
        seat: Answer(question, seat.expert, value, None if value else Absence.EMPTY, rule)
        for seat, value in zip(seats, values, strict=True)
    }
    return QuestionVotes(Plan(question, seats, "by hand", 0, rivals=3.0), answers)


def same(history: History, other: History) -> bool:
    """Whether voters see the same: who agrees with whom, and what was expected."""

    def seen(history: History) -> list[object]:
        found: list[object] = []
        for each in history.before(""):
            values = [each.answers[seat].value for seat in each.asked]
            equal = [[a is not None and a == b for b in values] for a in values]
            seats = [(seat.expert, seat.weight, seat.accuracy) for seat in each.asked]
            found.append((each.plan.question_id, each.plan.rivals, seats, equal))
        return found

    return seen(history) == seen(other)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return memory_beside(tmp_path / "table.json")


def test_a_file_keeps_what_voters_see(path: Path) -> None:
    kept, plain = History(WHO, path), History()
    rows = [("A", "A", "B"), ("Paris", "paris", None), ("x y", "x y", "\ud800"), ("1/3", "2", "2")]
    for number, row in enumerate(rows):
        for history in (kept, plain):
            history.add(poll(f"q{number}", *row))
    again = History(WHO, path)
    assert same(kept, plain)
    assert same(again, plain)
    text = path.read_text()
    for secret in ("Paris", "paris", "x y", "1/3", "a long reason"):
        assert secret not in text


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (("A", None, None), "stated:said"),
        ((None, None, None), "stated:said"),
        (("a long text", "another", "third"), "stated:whole"),
    ],
)
def test_what_tells_nothing_is_not_kept(
    path: Path, values: tuple[str | None, ...], rule: str
) -> None:
    history = History(WHO, path)
    history.add(poll("q", *values, rule=rule))
    assert len(history) == 0
    assert not path.exists()


def test_changed_experts_do_not_count(path: Path) -> None:
    History(WHO, path).add(poll("q", "A", "A", "B"))
    (left,) = History({**WHO, "cid": "other"}, path).before("")
    assert [seat.expert for seat in left.asked] == ["ann", "bob"]
    assert History({"ann": "1"}, path).before("") == ()


def test_the_last_thousand_are_kept(tmp_path: Path) -> None:
    history = History()
    for number in range(1_003):
        history.add(poll(f"q{number}", "A", "B"))
    assert len(history) == 1_000
    history.save(tmp_path / "m.json", WHO)
    history = History(WHO, tmp_path / "m.json")
    history.add(poll("last", "A", "B"))
    ids = [each.plan.question_id for each in History(WHO, tmp_path / "m.json").before("")]
    assert (ids[0], ids[-1], len(ids)) == ("q4", "last", 1_000)


def test_two_at_once_lose_nothing(path: Path) -> None:
    def add(number: int) -> None:
        History(WHO, path).add(poll(f"q{number}", "A", "B"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert len(History(WHO, path)) == 40


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", "7", '{"schema": 1}', '{"schema": 2, "questions": []}'),
        "[" * 100_000,
        json.dumps({"schema": 1, "questions": [{**ROW, "votes": [{**VOTE, "accuracy": "x"}]}]}),
        json.dumps({"schema": 1, "questions": [{**ROW, "votes": [{**VOTE, "accuracy": 1.5}]}]}),
        json.dumps({"schema": 1, "questions": [{**ROW, "votes": [{**VOTE, "weight": -1}]}]}),
        json.dumps({"schema": 1, "questions": [{**ROW, "votes": [{**VOTE, "absence": "?"}]}]}),
        *('{"schema": 1, "questions": [7]}', '{"schema": 1, "questions": [{}]}', "\ud800"),
    ],
)
def test_what_is_no_memory(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content, errors="replace")
    with pytest.raises(InputError) as caught:
        History(WHO, path)
    assert caught.value.place == str(path)
    assert "--no-memory" in caught.value.hint


def test_a_folder_is_no_memory(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(InputError, match="is not a memory"):
        History(WHO, path)


def test_it_may_be_read_only(path: Path) -> None:
    History(WHO, path).add(poll("q", "A", "B"))
    before = path.read_text()
    history = History(WHO, path, keeps=False)
    history.add(poll("r", "A", "B"))
    assert len(history.before("")) == 2
    assert path.read_text() == before
    history.save(path, WHO)
    assert len(json.loads(path.read_text())["questions"]) == 2
