"""Equal panels are voted on once, and no others are taken for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.records import Answer, Plan, Seat
from orchestra.redteam.elections import Elections
from orchestra.redteam.panel import Panel
from orchestra.voting import NOTHING, Majority, QuestionVotes, VoterContext, VoteResult, Weighted

if TYPE_CHECKING:
    from tests.conftest import Builder

SEATS = tuple(Seat(name, 1.0, "") for name in "abc")


@dataclass(frozen=True, eq=False)
class Counting:
    """Counts as `majority` does, and how often."""

    learns: bool
    name: str = "counting"
    batches: list[int] | None = None

    def vote(self, polls: Sequence[QuestionVotes], evidence: VoterContext = NOTHING) -> VoteResult:
        assert self.batches is not None
        self.batches.append(len(polls))
        return Majority().vote(polls, evidence)


def panel(*said: str) -> Panel:
    """One question for each word, of which each letter is one seat's answer."""
    ids = [f"q{i}" for i in range(len(said))]
    return Panel(
        tuple(Plan(each, SEATS, "by hand", 0) for each in ids),
        {
            each: {seat: Answer(each, seat.expert, x) for seat, x in zip(SEATS, word, strict=True)}
            for each, word in zip(ids, said, strict=True)
        },
    )


@pytest.fixture
def pipeline(build: Builder) -> Pipeline:
    workers = WorkerPool({name: lambda request: "" for name in "abc"})
    return Pipeline.load("majority", roster=build.scripted(*"abc"), workers=workers)


@pytest.mark.parametrize(
    ("learns", "second", "profile", "votes"),
    [
        (False, ("AAB", "ABB"), None, 1),
        (False, ("AAB", "ABB"), "lied", 1),
        (True, ("AAB", "ABB"), None, 1),
        (True, ("AAB", "ABB"), "lied", 2),
        (False, ("AAB", "AAB"), None, 2),
        (False, ("AAB",), None, 2),
    ],
)
def test_how_often_a_vote_is_counted(
    pipeline: Pipeline, learns: bool, second: tuple[str, ...], profile: str | None, votes: int
) -> None:
    counting = Counting(learns, batches=[])
    elections = Elections([0])
    first = elections.decided(counting, panel("AAB", "ABB"), pipeline, profile=None)
    again = elections.decided(counting, panel(*second), pipeline, profile=profile)
    assert counting.batches is not None
    assert len(counting.batches) == votes
    assert (first is again) is (votes == 1)


def test_winners_are_those_of_the_marked_questions(pipeline: Pipeline) -> None:
    elections = Elections([1, 2])
    told = panel("AAB", "ABB", "CCC")
    found = elections.decided(Majority(), told, pipeline, profile=None)
    assert found.values == ("B", "C")
    assert (found.calls, len(found.certificates)) == (9, 2)
    assert elections.decided(Weighted(), told, pipeline, profile=None) is not found
