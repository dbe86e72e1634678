from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.records import Brief
from orchestra.routing import Complementary, Pool

if TYPE_CHECKING:
    from tests.routing.conftest import PoolOf

QUESTION = Brief("q", (), "test", choices=4)


def right(records: Mapping[str, str], members: Sequence[str], aim: str) -> float:
    """Share of questions that a panel gets right, written plainly."""
    count = len(next(iter(records.values())))
    won = 0
    for i in range(count):
        said = [records[name][i] for name in members if records[name][i] not in "?."]
        votes = Counter(said)
        # `most_common` keeps the order of first sight among equals: ties to the earlier member.
        won += "+" in said if aim == "any" else bool(said) and votes.most_common(1)[0][0] == "+"
    return won / count


def panel(records: Mapping[str, str], pool: Pool, k: int, aim: str) -> list[str]:
    [plan] = Complementary(k, aim).route([QUESTION], pool, seed=0)
    assert set(records) >= {seat.expert for seat in plan.seats}
    return [seat.expert for seat in plan.seats]


records = st.integers(1, 8).flatmap(
    lambda n: st.lists(
        st.text(st.sampled_from("++xyz?."), min_size=n, max_size=n), min_size=1, max_size=5
    ).map(lambda rows: {f"e{i}": row for i, row in enumerate(rows)})
)


@settings(max_examples=80)
@given(records, st.sampled_from(["vote", "any"]))
def test_every_step_is_the_best_there_is(
    pool_of: PoolOf, records: dict[str, str], aim: str
) -> None:
    chosen = panel(records, pool_of(records), len(records), aim)
    assert sorted(chosen) == sorted(records)
    for size in range(1, len(chosen) + 1):
        before = chosen[: size - 1]
        reached = {
            name: right(records, [*before, name], aim) for name in records if name not in before
        }
        assert chosen[size - 1] == max(reached, key=reached.__getitem__)


def test_any_two_that_cover_are_found_where_greed_can(pool_of: PoolOf) -> None:
    records = {"ann": "++++----", "bob": "+++++---", "cid": "-----+++"}
    pool = pool_of(records)
    best = max(combinations(records, 2), key=lambda pair: right(records, pair, "any"))
    assert set(panel(records, pool, 2, "any")) == set(best) == {"bob", "cid"}


def test_seats_say_what_they_add(pool_of: PoolOf) -> None:
    pool = pool_of({"ann": "+++-", "bob": "---+"})
    [plan] = Complementary(2, "any").route([QUESTION], pool, seed=0)
    assert [seat.reason for seat in plan.seats] == [
        "with it the panel of 1 is right on 75.0 % of the profile",
        "with it the panel of 2 is right on 100.0 % of the profile",
    ]
    assert plan.seats[0].accuracy == pytest.approx(pool.estimate([QUESTION]).accuracy.mean[0, 0])


def test_the_panel_is_the_same_for_every_question_and_seed(pool_of: PoolOf) -> None:
    draw = Random(0)
    pool = pool_of({f"e{i}": "".join(draw.choices("+xy", k=30)) for i in range(6)})
    briefs = [Brief(f"q{i}", (("s", 1.0),) * (i % 2), "test") for i in range(4)]
    plans = [
        *Complementary().route(briefs, pool, seed=0),
        *Complementary().route(briefs, pool, seed=1),
    ]
    assert len({tuple(seat.expert for seat in plan.seats) for plan in plans}) == 1
    assert all(len(plan.seats) == 3 for plan in plans)


@pytest.mark.parametrize(("k", "aim"), [(0, "vote"), (3, "votes")])
def test_wrong_options(k: int, aim: str) -> None:
    with pytest.raises(InputError):
        Complementary(k, aim)


def test_needs_a_table() -> None:
    with pytest.raises(InputError, match="needs a recruitment table"):
        Complementary().route([QUESTION], Pool(("ann",)), seed=0)
