from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.records import Vote
from orchestra.voting.certificate import Faults, certify

Held = Sequence[tuple[str, str | None, float]]
"""(expert, value, weight)."""


def winners(votes: Sequence[Vote]) -> set[str]:
    """The values that may win: those within a hair of the most weight; all where nobody voted."""
    totals: dict[str, float] = {}
    for vote in votes:
        if vote.value is not None:
            totals[vote.value] = totals.get(vote.value, 0.0) + vote.weight
    top = max(totals.values(), default=0.0)
    return {value for value, total in totals.items() if total >= top - 1e-9}


def turned(votes: Sequence[Vote], liars: Sequence[str], lies: Sequence[str]) -> list[Vote]:
    said = dict(zip(liars, lies, strict=True))
    return [Vote(v.expert, said.get(v.expert, v.value), v.weight) for v in votes]


def by_brute_force(votes: Sequence[Vote], winner: str, values: Sequence[str]) -> int:
    """Fewest experts that can make another value win or tie, whatever they say."""
    experts = sorted({vote.expert for vote in votes})
    for size in range(1, len(experts) + 1):
        for liars in combinations(experts, size):
            for lies in product(values, repeat=size):
                if winners(turned(votes, liars, lies)) != {winner}:
                    return size
    return len(experts) + 1


@pytest.mark.parametrize(
    ("held", "experts", "weight"),
    [
        # One vote alone: a single liar, and all of the weight would have to be halved.
        ([("a", "A", 1.0)], 1, 0.5),
        # 3 : 0 survives one liar (2 : 1), not two.
        ([("a", "A", 1.0), ("b", "A", 1.0), ("c", "A", 1.0)], 2, 0.5),
        # 2 : 1 ties 1 : 2 with one liar.
        ([("a", "A", 1.0), ("b", "A", 1.0), ("c", "B", 1.0)], 1, 1 / 6),
        # 5 : 0 takes three.
        ([(e, "A", 1.0) for e in "abcde"], 3, 0.5),
        # A heavy expert turns alone what four light ones cannot.
        ([("a", "A", 4.0), ("b", "A", 1.0), ("c", "B", 1.0), ("d", "B", 1.0)], 1, 3 / 14),
        # Who abstained might have voted.
        ([("a", "A", 1.0), ("b", None, 1.0), ("c", None, 1.0)], 1, 0.5),
        # Two draws of one expert lie together.
        ([("a", "A", 1.0), ("a", "A", 1.0), ("b", "A", 1.0), ("c", "A", 1.0)], 1, 0.5),
        # What one liar leaves of the lead is as good as a tie.
        ([(e, "A", 5e-10) for e in "abcd"], 1, 0.5),
        # Without weight there is nothing to turn.
        ([("a", "A", 1.0), ("b", "B", 0.0), ("c", "B", 0.0)], 1, 0.5),
    ],
)
def test_by_hand(held: Held, experts: int, weight: float) -> None:
    found = certify([Vote(*each) for each in held], "A")
    assert found is not None
    assert (found.experts, found.everywhere) == (experts, experts)
    assert found.weight == pytest.approx(weight, abs=1e-6)
    assert found.guaranteed is None


def test_nobody_won() -> None:
    assert certify([Vote("a", None, 1.0)], None) is None


@pytest.mark.parametrize(
    ("honest", "restored", "declared", "everywhere", "guaranteed"),
    [
        # Each liar may turn, and cost an honest expert its vote: 7 : 0, then 5 - 1 with one liar.
        (7, {}, 1, 3, True),
        (7, {}, 2, 3, True),
        (7, {}, 3, 3, False),
        (5, {}, 1, 2, True),
        (5, {}, 2, 2, False),
        (3, {}, 1, 1, False),
        # A suspect might be honest after all, and against the winner.
        (5, {"s": 1.0}, 1, 2, True),
        (3, {"s": 1.0}, 0, 1, True),
        (1, {"s": 1.0}, 0, 0, False),
    ],
)
def test_liars_that_lie_everywhere(
    honest: int, restored: Mapping[str, float], declared: int, everywhere: int, guaranteed: bool
) -> None:
    votes = [Vote(f"e{i}", "A", 1.0) for i in range(honest)]
    votes += [Vote(name, "B", 0.0) for name in restored]
    found = certify(votes, "A", faults=Faults(declared, 1, restored))
    assert found is not None
    assert (found.everywhere, found.guaranteed) == (everywhere, guaranteed)


def test_a_tie_may_always_be_turned_by_one() -> None:
    found = certify(
        [Vote("a", "A", 1.0), Vote("b", "B", 1.0)], "A", faults=Faults(discredit=1, restored={})
    )
    assert found is not None
    assert (found.experts, found.everywhere, found.weight) == (1, 1, 0.0)


def test_nothing_is_guaranteed_where_the_batch_belies_what_is_reckoned_with() -> None:
    votes = [Vote(e, "A", 1.0) for e in "abcdefg"]
    for reliable in (True, False):
        found = certify(votes, "A", faults=Faults(1, 1, {}, reliable))
        assert found is not None
        assert found.guaranteed == reliable


def test_a_liar_that_answers_keeps_its_reserve_from_being_asked() -> None:
    """`a` is silent, so `r` was asked and backs the winner; had `a` said B, it would be 1 : 2."""
    votes = [Vote("a", None, 1.0), Vote("b", "A", 1.0), Vote("c", "B", 1.0), Vote("r", "A", 1.0)]
    votes.append(Vote("d", "A", 0.5))
    alone, beside = certify(votes, "A"), certify(votes, "A", stand_ins={"a": 1.0})
    assert alone is not None
    assert beside is not None
    assert (alone.experts, beside.experts) == (1, 1)
    votes[2] = Vote("c", "B", 0.0)
    alone, beside = certify(votes, "A"), certify(votes, "A", stand_ins={"a": 1.0})
    assert alone is not None
    assert beside is not None
    assert (alone.experts, beside.experts) == (2, 2)
    votes[4] = Vote("d", None, 0.0)
    alone, beside = certify(votes, "A"), certify(votes, "A", stand_ins={"a": 1.0})
    assert alone is not None
    assert beside is not None
    assert (alone.experts, beside.experts) == (1, 1)


def test_a_silent_expert_turns_its_own_vote_and_what_its_reserves_gave() -> None:
    """1.9 : 0; `a` alone turns its 1.0 and removes 1.0, the next heaviest turns twice 0.9."""
    votes = [Vote("a", None, 1.0), Vote("b", "A", 0.9), Vote("r", "A", 0.5), Vote("s", "A", 0.5)]
    alone, beside = certify(votes, "A"), certify(votes, "A", stand_ins={"a": 1.0})
    assert alone is not None
    assert beside is not None
    assert (alone.experts, beside.experts) == (2, 1)


weights = st.sampled_from([0.0, 0.01, 0.5, 1.0, 1.0, 1.7, 2.5]) | st.floats(0.01, 3)
panels = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from(["A", "B", "C", None]), weights),
    min_size=1,
    max_size=6,
)


@settings(max_examples=250, deadline=None)
@given(panels)
def test_no_fewer_liars_change_the_winner_and_so_many_do(held: Held) -> None:
    """All ways to lie of all sets of experts, on small panels."""
    votes = [Vote(*each) for each in held]
    possible = winners(votes)
    if len(possible) != 1 or not any(v.weight > 0 and v.value for v in votes):
        return
    (winner,) = possible
    found = certify(votes, winner)
    assert found is not None
    assert found.experts == by_brute_force(votes, winner, ["A", "B", "C", "something else"])


@settings(max_examples=150, deadline=None)
@given(panels, st.sets(st.sampled_from("abcde"), max_size=2))
def test_no_tampering_within_the_bound_changes_the_winner(held: Held, suspects: set[str]) -> None:
    """Liars turn; as many honest experts lose their votes; suspects may count for a rival."""
    votes = [Vote(e, v, 0.0 if e in suspects else w) for e, v, w in held]
    restored = {e: fsum(w for f, _, w in held if f == e) for e in suspects}
    possible = winners([vote for vote in votes if vote.weight > 0])
    if len(possible) != 1:
        return
    (winner,) = possible
    found = certify(votes, winner, faults=Faults(None, 1, restored))
    assert found is not None
    assert found.everywhere <= found.experts
    size = found.everywhere - 1
    if size < 0:
        return
    experts = sorted({vote.expert for vote in votes})
    for liars in combinations(experts, min(size, len(experts))):
        rest = [e for e in experts if e not in liars]
        for lost in combinations(rest, min(size, len(rest))):
            for rival in ["A", "B", "C", "something else"]:
                if rival == winner:
                    continue
                assert winners(_tampered(held, restored, set(liars), set(lost), rival)) == {winner}


def _tampered(
    held: Held, restored: Mapping[str, float], liars: set[str], lost: set[str], rival: str
) -> list[Vote]:
    """The worst that can be made of a panel with those liars and those experts discredited."""
    made = []
    for expert, value, weight in held:
        if expert in lost:
            continue
        if expert in liars:
            made.append(Vote(expert, rival, weight))
        elif expert not in restored or value == rival:
            made.append(Vote(expert, value, weight))
    return made
