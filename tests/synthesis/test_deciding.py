"""Whose answer counts where votes and an aggregator both have one."""

from __future__ import annotations

import pytest

from orchestra.records import Ballot, Decision, Kind, Question, Vote
from orchestra.synthesis import Conclusion, settle

VOTES = (Vote("a", "A", 1.0), Vote("b", "A", 1.0), Vote("c", "B", 1.0), Vote("d", None, 1.0))
VOTED = Decision("q", "A", 0.8, "majority", dissent=VOTES[2:3])
BALLOT = Ballot("q", VOTES, "A", 2 / 3, 1 / 3, "majority")
NOBODY = Ballot("q", (Vote("a", None, 1.0),), None, 0.0, 0.0, "majority")
ABSTAINED = Decision("q", None, None, "majority", abstained="refused")


def settled(value: str | None, *, kind: Kind, guarded: bool, voted: bool = True) -> Decision:
    return settle(
        Question("q", "?", ("one", "two"), kind=kind),
        BALLOT if voted else NOBODY,
        voted=VOTED if voted else ABSTAINED,
        conclusion=Conclusion(value, "In my own words.", ()),
        method="moa",
        guarded=guarded,
    )


@pytest.mark.parametrize(
    ("value", "kind", "guarded", "expected", "confidence", "method"),
    [
        ("A", Kind.CHOICE, False, "A", 0.8, "moa"),
        ("B", Kind.CHOICE, False, "B", None, "moa"),
        ("C", Kind.CHOICE, False, "C", None, "moa"),
        (None, Kind.CHOICE, False, "A", 0.8, "majority"),
        ("A", Kind.CHOICE, True, "A", 0.8, "moa"),
        ("B", Kind.CHOICE, True, "A", 0.8, "majority"),
        ("B", Kind.NUMBER, True, "A", 0.8, "majority"),
        ("B", Kind.TEXT, True, "B", None, "moa"),  # texts cannot be counted
        (None, Kind.TEXT, True, "A", 0.8, "majority"),
    ],
)
def test_with_votes(
    value: str | None,
    kind: Kind,
    guarded: bool,
    expected: str,
    confidence: float | None,
    method: str,
) -> None:
    made = settled(value, kind=kind, guarded=guarded)
    assert (made.value, made.confidence, made.method) == (expected, confidence, method)
    assert made.text == ("In my own words." if method == "moa" else "")
    assert {vote.value for vote in made.dissent} == {"A", "B"} - {expected}
    assert made.abstained is None


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize(
    ("value", "method", "abstained"), [("B", "moa", None), (None, "majority", "refused")]
)
def test_where_nobody_voted(
    guarded: bool, value: str | None, method: str, abstained: str | None
) -> None:
    made = settled(value, kind=Kind.CHOICE, guarded=guarded, voted=False)
    assert (made.value, made.method, made.abstained) == (value, method, abstained)
    assert made.text == "In my own words."
