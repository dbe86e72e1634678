"""Measuring experts: marks and tags, but never gold answers, reach the table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from orchestra.errors import InputError, WorkerError
from orchestra.evals import (
    Item,
    enrol,
    lacking,
    past_tolerance,
    profile_experts,
    profile_identity,
)
from orchestra.evals.profile import missing
from orchestra.pipeline import WorkerPool
from orchestra.records import Generation, Kind, Question, Request, Usage
from orchestra.roster import Expert, Roster
from orchestra.runs import Ledger, RowKind
from orchestra.skills import RecruitmentTable, read_table, write_table
from orchestra.workers import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Builder


class Timed(WorkerPool):
    """Everybody takes a second and a half."""

    def check(self, roster: Iterable[Expert]) -> None:
        """Everybody may come."""

    def identity(self, expert: Expert) -> str:
        return expert.name

    def open(self, expert: Expert, *_: Expert, **__: object) -> AbstractAsyncContextManager[Worker]:
        return nullcontext(TimedWorker())


class TimedWorker:
    """Reads 10 tokens, writes 20."""

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        for each in requests:
            text, usage = "The answer is (A).", Usage(1, 10, 20, seconds=1.5)
            yield Generation(each.key, each.question_id, each.expert, text, "stop", usage=usage)


SHARES = {"a": 0.9, "b": 0.3}


def profile(build: Builder, items: list[Item], *, absent: float = 0.0) -> RecruitmentTable:
    workers = WorkerPool(build.scripts(items, SHARES, absent=absent))
    return asyncio.run(profile_experts(build.scripted(*SHARES), items, workers=workers))


def test_counts(build: Builder) -> None:
    items = build.items(90)
    table = profile(build, items, absent=0.2)
    for name, share in SHARES.items():
        said = [build.said(item, name, share, absent=0.2) for item in items]
        right = sum(f"({item.gold})" in text for item, text in zip(items, said, strict=True))
        tally = table.tally(name)
        assert (tally.correct, tally.seen) == (right, 90)
        assert tally.absent == sum("(" not in text for text in said)
        by_skill = [table.tally(name, skill) for skill in ("algebra", "biology", "law")]
        assert sum(each.correct for each in by_skill) == right
        assert [each.seen for each in by_skill] == [30, 30, 30]
    assert table.experts == ("a", "b")


def test_failures_and_missing_recordings_are_not_seen(build: Builder) -> None:
    items = build.items(10)
    rows = build.rows(items[:7], {"a": 1.0})
    table = asyncio.run(profile_experts(build.recorded(build.recordings(rows), "a"), items))
    assert (table.tally("a").seen, table.tally("a").correct) == (7, 7)
    assert table.absences("a") == {"not_recorded": 3}


def broken(request: Request) -> str:
    raise OSError("no engine")


def test_a_profile_without_any_evidence_is_an_error(build: Builder) -> None:
    workers = WorkerPool({"a": broken})
    with Ledger(None) as ledger, pytest.raises(WorkerError, match="5 of 5 calls failed.*no engine"):
        asyncio.run(
            profile_experts(build.scripted("a"), build.items(5), workers=workers, ledger=ledger)
        )


def test_a_dead_expert_is_named_and_the_others_are_measured(build: Builder) -> None:
    items, roster = build.items(10), build.scripted("a", "dead", "b")
    workers = WorkerPool({**build.scripts(items, SHARES), "dead": broken})
    with Ledger(None) as ledger:
        table = asyncio.run(profile_experts(roster, items, workers=workers, ledger=ledger))
        lacks = lacking(table, table.experts, ledger=ledger)
        assert [(name, each.failed, each.calls) for name, each in lacks.items()] == [
            ("dead", 10, 10)
        ]
        assert "no engine" in str(lacks["dead"])
        assert [table.tally(name).seen for name in table.experts] == [10, 0, 10]
        assert np.isfinite(table.beliefs.mean).all()
        assert missing(table, roster) == ["dead"]
        workers.scripts["dead"] = workers.scripts["a"]  # it is up again: only it is asked
        workers.scripts["a"] = broken
        again = asyncio.run(profile_experts(roster, items, workers=workers, ledger=ledger))
    assert not lacking(again, again.experts)
    assert {name: again.marks[name] for name in "ab"} == {name: table.marks[name] for name in "ab"}


@pytest.mark.parametrize(
    ("failing", "tolerance", "passes"),
    [
        (1, 0.1, True),
        (2, 0.1, False),
        (5, 0.5, True),
        (9, 0.5, False),
        (1, 0.0, False),
        (9, 1, True),
    ],
)
def test_tolerance_is_a_share_of_calls(
    build: Builder, failing: int, tolerance: float, passes: bool
) -> None:
    def says(request: Request) -> str:
        if int(request.question_id[1:]) < failing:
            raise OSError("no engine")
        return "The answer is (A)."

    workers = WorkerPool({"a": says})
    table = asyncio.run(profile_experts(build.scripted("a"), build.items(10), workers=workers))
    lacks = lacking(table, ["a"])
    assert lacks["a"].failed == failing
    error = past_tolerance(table, ["a"], lacks, tolerance)
    assert (error is None) is passes
    if error is not None:
        assert f"expert `a`: {failing} of 10 calls failed" in error.message


def test_the_table_does_not_hold_gold_answers(build: Builder) -> None:
    item = Item(Question("q", "Say it.", kind=Kind.TEXT), "a golden secret")
    workers = WorkerPool({"a": lambda r: "The answer is something else"})
    table = asyncio.run(profile_experts(build.scripted("a"), [item], workers=workers))
    path = build.folder / "table.json"
    write_table(table, path)
    assert "golden" not in path.read_text(encoding="utf-8")
    assert read_table(path) == table


def test_questions_without_gold(build: Builder) -> None:
    items = build.items(3)
    items[1] = replace(items[1], gold=None)
    with pytest.raises(InputError, match="1 of 3 questions have no answer.*'q1'"):
        profile(build, items)


def test_a_tagger_that_is_unknown(build: Builder) -> None:
    with pytest.raises(InputError, match="unknown tagger: 'categry'"):
        asyncio.run(
            profile_experts(
                build.scripted("a"),
                build.items(3),
                tagger="categry",
                workers=WorkerPool({"a": lambda r: ""}),
            )
        )


def test_nothing_to_profile(build: Builder) -> None:
    with pytest.raises(InputError, match="at least one expert and one question"):
        profile(build, [])


def test_provenance(build: Builder) -> None:
    items = build.items(6)
    told = profile(build, items).provenance
    assert told["roster"] == build.scripted(*SHARES).digest
    assert (told["questions"], told["experts"], told["tagger"], told["read"]) == (
        "6",
        "2",
        "category",
        "stated",
    )


def test_parents_come_with_taggers_of_the_vocabulary(build: Builder) -> None:
    items = [Item(Question("q", "What is the derivative of x^2?", ("x", "2x")), "B")]
    workers = WorkerPool({"a": lambda r: "The answer is (B)."})
    tables = {
        tagger: asyncio.run(
            profile_experts(build.scripted("a"), items, tagger=tagger, workers=workers)
        )
        for tagger in ("category", "lexical")
    }
    assert not tables["category"].parents
    assert tables["lexical"].parents


def test_a_ledger_resumes_a_profile(build: Builder) -> None:
    items = build.items(12)
    roster = build.scripted("a")
    asked: list[str] = []

    def says(request: Request) -> str:
        asked.append(request.question_id)
        return "The answer is (A)."

    def run(path: Path) -> RecruitmentTable:
        with Ledger(path) as ledger:
            table = asyncio.run(
                profile_experts(roster, items, workers=WorkerPool({"a": says}), ledger=ledger)
            )
            assert ledger.count(RowKind.GENERATION) == 12
        return replace(table, created="")

    path = build.folder / "ledger.sqlite"
    assert run(path) == run(path)
    assert len(asked) == 12


def test_a_newcomer_is_measured_alone(build: Builder) -> None:
    items = build.items(30)
    shares = {"a": 0.9, "b": 0.3, "c": 0.6}
    scripts = build.scripts(items, shares)
    both = asyncio.run(
        profile_experts(build.scripted("a", "b"), items, workers=WorkerPool(scripts))
    )
    roster = build.scripted("a", "b", "c")
    alone = WorkerPool({"c": scripts["c"]} | {n: (lambda r: "?") for n in ("a", "b")})
    grown = asyncio.run(enrol(both, roster, items=items, workers=alone))
    whole = asyncio.run(profile_experts(roster, items, workers=WorkerPool(scripts)))
    assert grown.marks == whole.marks
    assert grown.provenance == whole.provenance
    assert asyncio.run(enrol(grown, roster, items=items)) is grown


def test_a_newcomer_needs_the_tables_questions(build: Builder) -> None:
    items = build.items(6)
    table = profile(build, items)
    roster = build.scripted("a", "b", "c")
    with pytest.raises(InputError, match="2 of the table's 6 questions are not among"):
        asyncio.run(enrol(table, roster, items=items[:4]))
    changed = [replace(items[0], gold="D"), *items[1:]]
    with pytest.raises(InputError, match="another content"):
        asyncio.run(enrol(table, roster, items=changed))


def test_identity(build: Builder) -> None:
    items = build.items(6)
    workers = WorkerPool()

    def told(names: str, tagger: str, count: int = 6) -> dict[str, str]:
        return profile_identity(
            build.scripted(*names), items[:count], tagger=tagger, read="stated", workers=workers
        )

    base = told("ab", "category")
    assert told("ab", "category") == base
    assert {k for k, v in told("a", "category").items() if v != base[k]} == {"roster"}
    assert {k for k, v in told("ab", "lexical").items() if v != base[k]} == {"profile"}
    assert {k for k, v in told("ab", "category", 5).items() if v != base[k]} == {"items"}


class TestLengths:
    def test_what_each_expert_wrote(self, build: Builder) -> None:
        items = build.items(20)
        rows = build.rows(items, SHARES)
        for n, row in enumerate(rows):
            row |= {"prompt_tokens": 40 + n % 3, "completion_tokens": 100 + 10 * (n % 5)}
        table = asyncio.run(profile_experts(build.recorded(build.recordings(rows), *SHARES), items))
        a = table.lengths["a"]
        assert list(table.lengths) == ["a", "b"]
        assert (a.calls, a.output_tokens, a.estimated, a.seconds) == (20, 120.0, False, None)
        assert a.input_tokens == pytest.approx(41, abs=0.1)
        assert a.output_sd == pytest.approx(14.5, abs=1.0)

    def test_calls_that_failed_are_not_counted(self, build: Builder) -> None:
        items = build.items(10)
        rows = [
            *build.rows(items[:7], {"a": 1.0}),
            *build.rows(build.items(1, prefix="z"), {"b": 1}),
        ]
        roster = build.recorded(build.recordings(rows), "a", "b")
        told = asyncio.run(profile_experts(roster, items)).lengths
        assert told["a"].calls == 7
        assert told["a"].estimated
        assert "b" not in told  # never gave a text

    def test_newcomers_bring_theirs(self, build: Builder) -> None:
        items = build.items(12)
        first = profile(build, items)
        scripts = build.scripts(items, {**SHARES, "c": 0.5})
        grown = asyncio.run(
            enrol(first, build.scripted("a", "b", "c"), items=items, workers=WorkerPool(scripts))
        )
        assert set(grown.lengths) == set("abc")
        assert {name: grown.lengths[name] for name in "ab"} == first.lengths

    def test_the_same_answers_give_the_same_bytes(self, build: Builder) -> None:
        items = build.items(15)
        written = []
        for name in ("one", "two"):
            path = build.folder / f"{name}.json"
            write_table(replace(profile(build, items, absent=0.2), created=""), path)
            written.append(path.read_bytes())
        assert written[0] == written[1]
        assert b'"lengths"' in written[0]

    def test_seconds_are_those_of_servers(self, build: Builder) -> None:
        """The seconds of this machine would be others on the next."""
        items = build.items(4)
        roster = Roster(
            (
                Expert("here", "m", worker="local"),
                Expert("there", "m", worker="openai", base_url="http://127.0.0.1:9/v1"),
            )
        )
        told = asyncio.run(profile_experts(roster, items, workers=Timed())).lengths
        assert (told["here"].seconds, told["there"].seconds) == (None, 1.5)
        assert told["here"].output_tokens == told["there"].output_tokens == 20
