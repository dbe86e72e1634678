"""The ledger keeps what was put, in order, once; a failure is never an answer."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestra.errors import InputError
from orchestra.records import (
    Absence,
    Answer,
    Ballot,
    Brief,
    Certificate,
    Decision,
    Failure,
    Generation,
    LoadRow,
    Plan,
    Seat,
    Usage,
    Vote,
)
from orchestra.runs import RECORDS, Ledger, LedgerWriter, Reused, RowKind
from orchestra.runs.ledger import Record

ROWS: dict[RowKind, Record] = {
    RowKind.BRIEF: Brief("q1", (("algebra", 0.75), ("logic", 0.25)), "keywords", 0.5),
    RowKind.PLAN: Plan("q1", (Seat("e1", 1.5, "best at algebra"),), "symbolic", 7),
    RowKind.GENERATION: Generation("k", "q1", "e1", "The answer is B.", usage=Usage(1, 90, 8)),
    RowKind.ANSWER: Answer("q1", "e1", "B", rule="choice:stated", span=(14, 15)),
    RowKind.BALLOT: Ballot("q1", (Vote("e1", "B", 1.5),), "B", 1.0, 1.0, "weighted"),
    RowKind.DECISION: Decision("q1", "B", 0.8, "weighted", dissent=(Vote("e2", "C", 0.5),)),
    RowKind.LOAD: LoadRow("vllm:m", 1, "wake1", 2.5),
    RowKind.REUSED: Reused(7),
}
LOST = Failure("timeout", "no reply in 60 s", retryable=True)
NOT_RECORDED = Failure("not_recorded")


def generation(key: str, question_id: str = "q", **changes: Any) -> tuple[str, Generation]:
    return key, replace(Generation(key, question_id, "e", f"text of {key}"), **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as opened:
        yield opened


@pytest.mark.parametrize("kind", ROWS)
def test_each_kind_comes_back_from_the_file(path: Path, kind: RowKind) -> None:
    with Ledger(path) as ledger:
        ledger.put(kind, [("k", ROWS[kind])])
    with Ledger(path, readonly=True) as ledger:
        assert list(ledger.rows(kind)) == [ROWS[kind]]
        assert ledger.get(kind, ["k", "other"]) == {"k": ROWS[kind]}
        assert ledger.keys(kind) == {"k"}
        assert {other: ledger.count(other) for other in RowKind if other != kind} == dict.fromkeys(
            set(RowKind) - {kind}, 0
        )


def test_every_kind_has_a_record_class_and_a_case_here() -> None:
    assert set(RECORDS) == set(RowKind) == set(ROWS) | {RowKind.FAILURE}


def test_rows_come_in_the_order_they_were_put(ledger: Ledger) -> None:
    keys = [f"{(i * 7919) % 1000:03}" for i in range(1000)]
    ledger.put(RowKind.GENERATION, (generation(key) for key in keys))
    assert [row.key for row in ledger.rows(RowKind.GENERATION)] == keys
    assert ledger.count(RowKind.GENERATION) == 1000
    got = ledger.get(RowKind.GENERATION, [*keys, *keys, "unknown"])
    assert {key: row.key for key, row in got.items()} == {key: key for key in keys}


def test_rows_of_one_question(ledger: Ledger) -> None:
    ledger.put(RowKind.GENERATION, [generation(f"k{i}", f"q{i % 3}") for i in range(9)])
    ledger.put(RowKind.ANSWER, [("k1", Answer("q1", "e", "A"))])
    assert [row.key for row in ledger.rows(RowKind.GENERATION, "q1")] == ["k1", "k4", "k7"]
    assert list(ledger.rows(RowKind.GENERATION, "q9")) == []


def test_one_key_may_be_under_many_kinds(ledger: Ledger) -> None:
    for kind, record in ROWS.items():
        ledger.put(kind, [("same", record)])
    assert [ledger.count(kind) for kind in ROWS] == [1] * len(ROWS)


def test_rows_put_during_a_walk_are_not_part_of_it(ledger: Ledger) -> None:
    ledger.put(RowKind.GENERATION, [generation(f"a{i}") for i in range(5)])
    for row in ledger.rows(RowKind.GENERATION):
        ledger.put(RowKind.GENERATION, [generation(f"b{row.key}")])
    assert ledger.count(RowKind.GENERATION) == 10


def test_appended_rows_are_counted_also_where_they_are_equal(ledger: Ledger) -> None:
    load = LoadRow("vllm:m", 0, "cold", 0.25)
    for _ in range(3):
        ledger.append(RowKind.LOAD, load)
    assert list(ledger.rows(RowKind.LOAD)) == [load] * 3
    assert list(ledger.rows(RowKind.LOAD, "q1")) == []


# --- files of earlier versions --------------------------------------------------------

# What the first version wrote: the schema, and a row of each kind.
SCHEMA = """
CREATE TABLE rows (position INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL,
 question_id TEXT NOT NULL, expert TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (kind, key));
CREATE INDEX rows_by_question ON rows (question_id);
PRAGMA user_version = 1;
"""
USAGE = (
    b'"usage":{"calls":1,"input_tokens":90,"output_tokens":8,"reasoning_tokens":3,'
    b'"cached_tokens":2,"estimated":true,"seconds":0.25,"money":0.5}'
)
WRITTEN: list[tuple[str, str, bytes, Record]] = [
    (
        "brief",
        "",
        b'{"question_id":"q1","skills":[["algebra",0.75],["logic",0.25]],"tagger":"keywords",'
        b'"distance":0.5,"choices":4}',
        Brief("q1", (("algebra", 0.75), ("logic", 0.25)), "keywords", 0.5, 4),
    ),
    (
        "plan",
        "",
        b'{"question_id":"q1","seats":[{"expert":"e1","weight":1.5,"reason":"best at algebra",'
        b'"sample":0,"accuracy":0.8}],"router":"symbolic","seed":7,"reserves":[{"expert":"e2",'
        b'"weight":1.0,"reason":"next","sample":1,"accuracy":null}],"rivals":2.5}',
        Plan(
            "q1",
            (Seat("e1", 1.5, "best at algebra", 0, 0.8),),
            "symbolic",
            7,
            (Seat("e2", 1.0, "next", 1),),
            2.5,
        ),
    ),
    (
        "generation",
        "e1",
        b'{"key":"k","question_id":"q1","expert":"e1","text":"The answer is B. \xc3\xa9",'
        b'"reasoning":"thought","finish_reason":"length",' + USAGE + b',"logprobs":[-0.5,-1.25],'
        b'"failure":null,"layer":1,"sample":2}',
        Generation(
            *("k", "q1", "e1", "The answer is B. \u00e9", "thought", "length"),
            usage=Usage(1, 90, 8, 3, 2, True, 0.25, 0.5),
            logprobs=(-0.5, -1.25),
            layer=1,
            sample=2,
        ),
    ),
    (
        "generation",
        "e1",
        b' {"key":"k","question_id":"q1","expert":"e1","text":"half \\ud83d","reasoning":"",'
        b'"finish_reason":"stop",' + USAGE + b',"logprobs":[-0.5,-Infinity],"failure":null,'
        b'"layer":0,"sample":0}',
        Generation(
            *("k", "q1", "e1", "half \ud83d"),
            usage=Usage(1, 90, 8, 3, 2, True, 0.25, 0.5),
            logprobs=(-0.5, -float("inf")),
        ),
    ),
    (
        "failure",
        "e1",
        b'{"key":"k","question_id":"q1","expert":"e1","text":"","reasoning":"",'
        b'"finish_reason":"error",' + USAGE + b',"logprobs":null,"failure":{"kind":"timeout",'
        b'"detail":"no reply in 60 s","retryable":true,"retry_after":2.5},"layer":0,"sample":0}',
        Generation(
            *("k", "q1", "e1", "", "", "error"),
            usage=Usage(1, 90, 8, 3, 2, True, 0.25, 0.5),
            failure=Failure("timeout", "no reply in 60 s", True, 2.5),
        ),
    ),
    (
        "answer",
        "e1",
        b'{"question_id":"q1","expert":"e1","value":null,"absence":"refused",'
        b'"rule":"choice:stated","span":[14,15],"sample":1,"instead_of":"e2"}',
        Answer("q1", "e1", None, Absence.REFUSED, "choice:stated", (14, 15), 1, "e2"),
    ),
    (
        "ballot",
        "",
        b'{"question_id":"q1","votes":[{"expert":"e1","value":"B","weight":1.5},{"expert":"e2",'
        b'"value":null,"weight":0.5}],"winner":"B","support":0.75,"margin":0.5,'
        b'"method":"weighted","score":0.9,"certificate":{"experts":2,"weight":0.25,'
        b'"everywhere":1,"guaranteed":true},"alarms":["odd"]}',
        Ballot(
            *("q1", (Vote("e1", "B", 1.5), Vote("e2", None, 0.5)), "B", 0.75, 0.5),
            method="weighted",
            score=0.9,
            certificate=Certificate(2, 0.25, 1, True),
            alarms=("odd",),
        ),
    ),
    (
        "decision",
        "",
        b'{"question_id":"q1","value":"B","confidence":0.8,"method":"weighted","text":"text",'
        b'"dissent":[{"expert":"e2","value":"C","weight":0.5}],"abstained":null}',
        Decision("q1", "B", 0.8, "weighted", "text", (Vote("e2", "C", 0.5),)),
    ),
    (
        "load",
        "",
        b'{"unit":"vllm:m","device":1,"how":"wake1","seconds":2.5}',
        LoadRow("vllm:m", 1, "wake1", 2.5),
    ),
    ("reused", "", b'{"calls":7}', Reused(7)),
]


@pytest.mark.parametrize(("kind", "expert", "body", "record"), WRITTEN)
def test_rows_of_earlier_versions_are_read_and_written_alike(
    path: Path, kind: str, expert: str, body: bytes, record: Record
) -> None:
    question_id = "" if kind in ("load", "reused") else "q1"
    row = (kind, "k", question_id, expert, body)
    with sqlite3.connect(path) as db:
        db.executescript(SCHEMA)
        db.execute(
            "INSERT INTO rows (kind, key, question_id, expert, body) VALUES (?, ?, ?, ?, ?)", row
        )
    db.close()
    put = RowKind.GENERATION if kind == "failure" else RowKind(kind)
    with Ledger(path) as ledger:
        assert list(ledger.rows(RowKind(kind))) == [record]
        ledger.put(put, [("k", record)])
        assert ledger.count(RowKind(kind)) == 1
    with Ledger(path.with_name("new")) as ledger:
        ledger.put(put, [("k", record)])
    with sqlite3.connect(path.with_name("new")) as db:
        written = db.execute("SELECT kind, key, question_id, expert, body FROM rows").fetchall()
    db.close()
    assert written == [row]


def test_every_kind_has_a_written_row() -> None:
    assert {kind for kind, *_ in WRITTEN} == set(RowKind)


# --- one key, one record --------------------------------------------------------------


def test_the_same_row_again_is_ignored(ledger: Ledger) -> None:
    odd = generation("nan", logprobs=(float("nan"),))
    for _ in range(3):
        ledger.put(RowKind.GENERATION, [generation("a"), odd, generation("a")])
    assert ledger.count(RowKind.GENERATION) == 2


def test_a_row_written_before_a_field_was_added_is_the_same(path: Path, ledger: Ledger) -> None:
    record = Answer("q", "e", "A")
    ledger.put(RowKind.ANSWER, [("k", record)])
    ledger.commit()
    with sqlite3.connect(path) as other:
        other.execute(
            "UPDATE rows SET body = ?", (b'{"question_id":"q","expert":"e","value":"A"}',)
        )
    other.close()
    ledger.put(RowKind.ANSWER, [("k", record)])
    assert list(ledger.rows(RowKind.ANSWER)) == [record]


@pytest.mark.parametrize("together", [True, False])
def test_another_record_under_a_taken_key_is_a_bug(ledger: Ledger, together: bool) -> None:
    first, second = generation("k"), generation("k", text="another text")
    rows = [generation("before"), second, generation("after")]
    if not together:
        ledger.put(RowKind.GENERATION, [first])
        rows = [first, *rows]
    else:
        rows = [rows[0], first, *rows[1:]]
    with pytest.raises(ValueError, match=r"two different generation records.*'k'.*question 'q'"):
        ledger.put(RowKind.GENERATION, rows)
    assert ledger.get(RowKind.GENERATION, ["k"]) == {"k": first[1]}
    assert ledger.keys(RowKind.GENERATION) == {"before", "k", "after"}


@pytest.mark.parametrize("kind", ROWS)
def test_a_record_of_another_class_is_refused(ledger: Ledger, kind: RowKind) -> None:
    with pytest.raises(TypeError, match=f"a {kind} row keeps no Usage"):
        ledger.put(kind, [("k", Usage())])  # type: ignore[list-item]
    assert ledger.count(kind) == 0


# --- failures -------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [LOST, NOT_RECORDED], ids=lambda failure: failure.kind)
def test_a_failure_is_never_a_cached_generation(ledger: Ledger, failure: Failure) -> None:
    failed = generation("bad", text="", failure=failure)
    ledger.put(RowKind.GENERATION, [generation("good"), failed])
    assert ledger.keys(RowKind.GENERATION) == {"good"}
    assert ledger.get(RowKind.GENERATION, ["good", "bad"]).keys() == {"good"}
    assert [row.key for row in ledger.rows(RowKind.GENERATION)] == ["good"]
    assert list(ledger.rows(RowKind.FAILURE)) == [failed[1]]


def test_a_later_failure_replaces_the_earlier(ledger: Ledger) -> None:
    for detail in ("first", "second"):
        failed = generation("k", text="", failure=Failure("timeout", detail))
        ledger.put(RowKind.GENERATION, [failed])
    assert [row.failure.detail for row in ledger.rows(RowKind.FAILURE)] == ["second"]


def test_a_success_removes_the_failure_in_a_later_process(path: Path) -> None:
    with Ledger(path) as ledger:
        failures = [generation(key, text="", failure=LOST) for key in ("a", "b")]
        ledger.put(RowKind.GENERATION, failures)
    with Ledger(path) as ledger:
        ledger.put(RowKind.GENERATION, [generation("a")])
        assert ledger.keys(RowKind.GENERATION) == {"a"}
        assert ledger.keys(RowKind.FAILURE) == {"b"}


@pytest.mark.parametrize("success_first", [True, False])
def test_a_success_wins_whatever_the_order(ledger: Ledger, success_first: bool) -> None:
    both = [generation("k"), generation("k", text="", failure=LOST)]
    for row in both if success_first else reversed(both):
        ledger.put(RowKind.GENERATION, [row])
    assert ledger.keys(RowKind.GENERATION) == {"k"}
    assert ledger.count(RowKind.FAILURE) == 0


def test_failures_are_not_put_as_such(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="put as generations"):
        ledger.put(RowKind.FAILURE, [generation("k", failure=LOST)])


def test_discard_makes_room_for_what_is_derived_anew(ledger: Ledger) -> None:
    absent = Answer("q1", "e", None, absence=Absence.FAILED)
    others = [("k2", Answer("q2", "e", "A")), ("k3", Answer("q3", "e", "B"))]
    ledger.put(RowKind.ANSWER, [("k1", absent), *others])
    ledger.put(RowKind.DECISION, [("d1", Decision("q1", None, None, "m", abstained="failed"))])
    ledger.discard(RowKind.ANSWER, ["q1", "q3", "unknown"])
    ledger.put(RowKind.ANSWER, [("k1", replace(absent, value="C", absence=None))])
    assert [row.value for row in ledger.rows(RowKind.ANSWER)] == ["A", "C"]
    assert ledger.count(RowKind.DECISION) == 1


# --- batches --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("puts", "seen"),
    [([9], 0), ([10], 10), ([25], 20), ([9, 1], 10), ([9, 9, 9], 20), ([4, 27], 30)],
)
def test_full_batches_are_committed_by_themselves(path: Path, puts: list[int], seen: int) -> None:
    keys = iter(range(100))
    with Ledger(path, batch=10) as ledger, Ledger(path, readonly=True) as other:
        for size in puts:
            ledger.put(RowKind.GENERATION, [generation(str(next(keys))) for _ in range(size)])
        assert ledger.count(RowKind.GENERATION) == sum(puts)
        assert other.count(RowKind.GENERATION) == seen
        ledger.commit()
        assert other.count(RowKind.GENERATION) == sum(puts)


def test_leaving_on_an_error_keeps_what_was_put(path: Path) -> None:
    def work() -> None:
        with Ledger(path) as ledger:
            ledger.put(RowKind.GENERATION, [generation("k")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    with Ledger(path) as ledger:
        assert ledger.keys(RowKind.GENERATION) == {"k"}


def test_a_batch_has_a_row() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        Ledger(Path("unused"), batch=0)


def test_closing_twice_and_committing_nothing_are_harmless(path: Path) -> None:
    ledger = Ledger(path)
    ledger.commit()
    ledger.close()
    ledger.close()


class FullLedger:
    """The ledger of a disk that is full until it has room again."""

    def __init__(self) -> None:
        self.full = True

    def put(self, kind: RowKind, rows: object) -> None:
        """Into the open transaction."""

    def commit(self) -> None:
        """To the disk."""
        if self.full:
            raise InputError("no space left on the disk")


@pytest.mark.parametrize("then", ["add", "leave", "fail"])
def test_a_commit_that_nobody_called_tells_its_error_once(then: str) -> None:
    odd: list[object] = []

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, told: odd.append(told))
        ledger: Any = FullLedger()
        with LedgerWriter(ledger) as writer:
            writer.add(generation("k")[1])
            await asyncio.sleep(0.15)  # its timer commits
            ledger.full = False
            if then == "add":
                writer.add(generation("l")[1])
            if then == "fail":
                raise KeyError("k")

    with pytest.raises(KeyError if then == "fail" else InputError):
        asyncio.run(work())
    assert odd == []
