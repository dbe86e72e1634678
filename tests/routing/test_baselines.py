from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from orchestra.errors import InputError
from orchestra.records import Brief
from orchestra.routing import Everybody, Oracle, Pool, RandomK, Router, TopK

if TYPE_CHECKING:
    from tests.routing.conftest import PoolOf

BRIEFS = [Brief(f"q{i}", (("s", 1.0),) if i % 2 else (), "test", choices=4) for i in range(60)]


@pytest.fixture
def pool(pool_of: PoolOf) -> Pool:
    return pool_of({"ann": "+---", "bob": "++++", "cid": "+++-", "dan": "++--"})


def seats(router: Router, pool: Pool, *, seed: int = 0) -> list[list[str]]:
    return [[seat.expert for seat in plan.seats] for plan in router.route(BRIEFS, pool, seed=seed)]


@pytest.mark.parametrize(
    ("k", "chosen"),
    [(1, ["bob"]), (3, ["bob", "cid", "dan"]), (9, ["bob", "cid", "dan", "ann"])],
)
def test_top_k_is_the_same_for_every_question(pool: Pool, k: int, chosen: list[str]) -> None:
    assert seats(TopK(k), pool) == [chosen] * len(BRIEFS)


def test_the_best_is_best_of_all_questions_seen(pool_of: PoolOf) -> None:
    # More accurate when it answers, but it seldom does.
    pool = pool_of({"ann": "++??????", "bob": "+++++---"})
    assert seats(TopK(1), pool)[0] == ["bob"]


def test_ties_go_to_the_roster(pool_of: PoolOf) -> None:
    assert seats(TopK(1), pool_of({"bob": "+-", "ann": "-+"}))[0] == ["bob"]


def test_random_draws_everybody_alike_and_nobody_twice(pool: Pool) -> None:
    drawn = seats(RandomK(2), pool) + seats(RandomK(2), pool, seed=1)
    assert all(len(set(row)) == 2 for row in drawn)
    counts = Counter(name for row in drawn for name in row)
    assert all(40 < counts[name] < 80 for name in pool.experts)


def test_random_depends_on_seed_and_question_only(pool: Pool) -> None:
    plans = RandomK(2).route(BRIEFS, pool, seed=0)
    assert [RandomK(2).route([brief], pool, seed=0)[0] for brief in BRIEFS] == plans
    assert RandomK(2).route(BRIEFS, pool, seed=1) != plans


def test_random_takes_no_more_than_there_are(pool: Pool) -> None:
    assert {len(row) for row in seats(RandomK(9), pool)} == {4}


def test_everybody_sits_in_the_rosters_order(pool: Pool) -> None:
    assert seats(Everybody(), pool) == [["ann", "bob", "cid", "dan"]] * len(BRIEFS)


@pytest.mark.parametrize("router", [TopK(2), RandomK(2), Everybody(), Oracle()])
def test_works_without_a_table(router: Router) -> None:
    plans = router.route(BRIEFS, Pool(("ann", "bob")), seed=0)
    assert [plan.question_id for plan in plans] == [brief.question_id for brief in BRIEFS]
    assert all(plan.seats for plan in plans)


def test_seats_say_why_and_how_accurate(pool: Pool) -> None:
    first, second = TopK(1).route(BRIEFS[:2], pool, seed=0)
    assert first.seats[0].reason == "best overall on the profile: 4 of 4 overall"
    assert second.seats[0].reason == (
        "best overall on the profile: right on 4 of 4 profiled `s` questions, 4 of 4 overall"
    )
    expected = pool.estimate(BRIEFS[:2]).accuracy.mean[:, 1]
    assert [first.seats[0].accuracy, second.seats[0].accuracy] == expected.tolist()
    assert (first.rivals, first.router) == (3.0, "top-k")
    assert (
        TopK(2)
        .route(BRIEFS[:1], pool, seed=0)[0]
        .seats[0]
        .reason.startswith("among the best 2 overall: ")
    )


def test_oracle_knows_who_was_right(pool: Pool) -> None:
    oracle = Oracle({"q0": ["dan", "cid"], "q1": [], "q2": ["stranger", "ann"]})
    assert seats(oracle, pool)[:4] == [["dan"], ["bob"], ["ann"], ["bob"]]
    assert "analysis only" in oracle.route(BRIEFS[:1], pool, seed=0)[0].seats[0].reason


@pytest.mark.parametrize("router", [TopK, RandomK])
def test_k_is_at_least_one(router: type[TopK] | type[RandomK]) -> None:
    with pytest.raises(InputError, match="`k` is at least 1"):
        router(0)


@pytest.mark.parametrize("router", [TopK(2), RandomK(2), Everybody(), Oracle()])
def test_no_questions(router: Router, pool: Pool) -> None:
    assert router.route([], pool, seed=0) == []
