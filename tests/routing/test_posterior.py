from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.records import Brief, Plan
from orchestra.routing import Pool, Posterior
from orchestra.routing.panel_size import LARGEST
from orchestra.routing.posterior import worthwhile
from orchestra.skills.estimation import log_odds

if TYPE_CHECKING:
    from tests.routing.conftest import Drawn, PoolOf

EVERY = [
    Posterior(),
    Posterior(by="lower"),
    Posterior(by="thompson"),
    Posterior(replacement=True),
    Posterior(decorrelate=0.7),
    Posterior(fit=False, seats=3, reserves=2),
]


def asking(count: int, skill: str = "s0", *, choices: int = 4) -> list[Brief]:
    return [Brief(f"q{i}", ((skill, 1.0),), "test", choices=choices) for i in range(count)]


def seated(plan: Plan) -> list[str]:
    return [seat.expert for seat in plan.seats]


def everybody(plan: Plan) -> list[str]:
    return [seat.expert for seat in (*plan.seats, *plan.reserves)]


class TestOrder:
    def test_by_mean_the_best_on_the_skill_come_first(self, drawn: Drawn) -> None:
        pool = drawn({"ann": (0.9, 0.1), "bob": (0.1, 0.9), "cid": (0.5, 0.5)}, 120)
        router = Posterior(fit=False)
        [on_first], [on_second] = (
            router.route(asking(1, skill), pool, seed=0) for skill in ("s0", "s1")
        )
        assert everybody(on_first) == ["ann", "cid", "bob"]
        assert everybody(on_second) == ["bob", "cid", "ann"]

    def test_absent_answers_count_against_an_expert_but_not_against_its_vote(
        self, pool_of: PoolOf
    ) -> None:
        pool = pool_of({"ann": "+++++?????" * 4, "bob": "++++++----" * 4})
        [plan] = Posterior(fit=False).route(asking(1, "s"), pool, seed=0)
        assert seated(plan) == ["bob", "ann"]
        bob, ann = plan.seats
        assert ann.accuracy is not None
        assert bob.accuracy is not None
        assert ann.accuracy > 0.9 > bob.accuracy
        assert ann.weight > bob.weight

    def test_by_lower_bound_the_well_known_come_first(self, pool_of: PoolOf) -> None:
        pool = pool_of({"new": "++++" + "." * 56, "old": "+++++-" * 10})
        [mean] = Posterior(fit=False).route(asking(1, ""), pool, seed=0)
        [low] = Posterior(fit=False, by="lower", z=2.0).route(asking(1, ""), pool, seed=0)
        assert [seated(mean)[0], seated(low)[0]] == ["new", "old"]

    def test_thompson_draws_from_the_belief(self, drawn: Drawn) -> None:
        pool = drawn({"ann": 0.62, "bob": 0.55, "cid": 0.1}, 30)
        plans = Posterior(by="thompson", fit=False, seats=1).route(asking(400), pool, seed=0)
        first = Counter(seated(plan)[0] for plan in plans)
        rate = pool.estimate(asking(1)).rate
        rng = np.random.default_rng(0)
        samples = rng.beta(rate.alpha[0], rate.beta[0], size=(20_000, 3)).argmax(axis=1)
        for i, name in enumerate(pool.experts):
            assert first[name] / 400 == pytest.approx((samples == i).mean(), abs=0.08)

    def test_with_replacement_chances_follow_the_belief(self, drawn: Drawn) -> None:
        pool = drawn({"ann": 0.8, "bob": 0.4}, 100)
        router = Posterior(replacement=True, fit=False, seats=3)
        plans = router.route(asking(800), pool, seed=0)
        mean = pool.estimate(asking(1)).rate.mean[0]
        share = Counter(name for plan in plans for name in seated(plan))["ann"] / 2400
        assert share == pytest.approx(mean[0] / mean.sum(), abs=0.04)
        assert any(len(set(seated(plan))) < 3 for plan in plans)
        for plan in plans:
            assert plan.reserves == ()
            assert len({(seat.expert, seat.sample) for seat in plan.seats}) == 3

    def test_decorrelation_prefers_those_who_err_unlike(self, pool_of: PoolOf) -> None:
        # ann and bob give the same wrong answers, cid others; cid is a little worse.
        twins, other = "+" * 26 + "x" * 24, "y" * 24 + "+" * 25 + "y"
        pool = pool_of({"ann": twins, "bob": twins, "cid": other})
        orders = {
            much: everybody(
                Posterior(seats=2, fit=False, decorrelate=much).route(asking(1, "s"), pool, seed=0)[
                    0
                ]
            )
            for much in (0.0, 1.0)
        }
        assert orders == {0.0: ["ann", "bob", "cid"], 1.0: ["ann", "cid", "bob"]}

    def test_decorrelation_is_greedy(self, drawn: Drawn) -> None:
        """Against the rule written plainly."""
        pool = drawn({f"e{i}": 0.45 + 0.03 * i for i in range(6)}, 60)
        assert pool.agreement is not None
        value, matrix = pool.estimate(asking(1)).rate.mean[0], pool.agreement.matrix
        head: list[int] = []
        while len(head) < 4:
            rest = [i for i in range(6) if i not in head]
            worth = {
                i: value[i] * (1 - 0.8 * (matrix[i, head].mean() if head else 0)) for i in rest
            }
            head.append(max(rest, key=worth.__getitem__))
        tail = sorted(set(range(6)) - set(head), key=lambda i: -value[i])
        router = Posterior(seats=4, fit=False, decorrelate=0.8)
        [plan] = router.route(asking(1), pool, seed=0)
        assert everybody(plan) == [f"e{i}" for i in (*head, *tail)]


class TestSize:
    @pytest.mark.parametrize(
        ("expected", "size"),
        [
            ([0.6], 1),
            ([0.6, 0.6], 2),
            ([0.6, 0.58], 2),
            ([0.6, 0.5], 1),
            ([0.6, 0.6, 0.65], 3),
            ([0.6, 0.9, 0.58], 3),
            ([0.6, 0.6, 0.58, 0.575, 0.56], 4),
            ([0.6, 0.6, 0.58, 0.57, 0.56], 3),
            ([0.7, 0.6, 0.6, 0.62, 0.6], 1),
            ([0.6, 0.6, 0.64, 0.66, 0.70], 5),
        ],
    )
    def test_what_is_worthwhile(self, expected: Sequence[float], size: int) -> None:
        assert worthwhile(expected) == size

    def test_an_expert_that_a_bloc_would_outvote_is_heard_alone(self, pool_of: PoolOf) -> None:
        # Four copies of one expert outweigh a better one and bring nothing new.
        bloc, better = "+" * 50 + "x" * 50, "+" * 32 + "y" * 18 + "+" * 38 + "y" * 12
        pool = pool_of({**{f"copy{i}": bloc for i in range(4)}, "better": better})
        [plan] = Posterior().route(asking(1, "s"), pool, seed=0)
        assert seated(plan) == ["better"]
        assert len(plan.reserves) == 4

    def test_a_dominant_expert_is_not_outvoted(self, drawn: Drawn) -> None:
        pool = drawn({**{f"weak{i}": 0.35 for i in range(7)}, "strong": 0.92}, 300)
        [plan] = Posterior().route(asking(1), pool, seed=0)
        strong, *others = plan.seats
        assert strong.expert == "strong"
        assert strong.weight > sum(seat.weight for seat in others)

    def test_independent_equals_are_all_heard(self, drawn: Drawn) -> None:
        pool = drawn({f"e{i}": 0.5 for i in range(6)}, 400, seed=2)
        [plan] = Posterior(seats=5).route(asking(1), pool, seed=0)
        assert len(plan.seats) == 5
        assert len(plan.reserves) == 1

    def test_more_seats_than_the_panel_model_can_judge(self, drawn: Drawn) -> None:
        pool = drawn({f"e{i:02}": 0.5 for i in range(12)}, 400, seed=2)
        [plan] = Posterior(seats=10).route(asking(1), pool, seed=0)
        assert len(plan.seats) == 10 > LARGEST

    def test_without_fit_or_table_all_seats_are_taken(self, drawn: Drawn) -> None:
        pool = drawn({**{f"weak{i}": 0.3 for i in range(5)}, "strong": 0.95}, 300)
        for plain in (pool, Pool(pool.experts)):
            [plan] = Posterior(seats=4, fit=plain.table is None).route(asking(1), plain, seed=0)
            assert len(plan.seats) == 4

    @pytest.mark.parametrize("router", EVERY)
    def test_a_pool_of_one(self, router: Posterior, pool_of: PoolOf) -> None:
        for pool in (pool_of({"ann": "+-+"}), pool_of({"ann": "..."}), Pool(("ann",))):
            [plan] = router.route(asking(1, "s"), pool, seed=0)
            assert set(everybody(plan)) == {"ann"}
            assert len(plan.seats) >= 1


class TestSeats:
    def test_say_why_with_counts(self, pool_of: PoolOf) -> None:
        pool = pool_of({"ann": "+++-", "bob": "?+--"}, "law law art art")
        [plan] = Posterior(fit=False).route(asking(1, "law"), pool, seed=0)
        assert (share := plan.seats[0].accuracy) is not None
        assert plan.seats[0].reason == (
            f"right on 2 of 2 profiled `law` questions, 3 of 4 overall; expected to be right "
            f"{100 * share:.0f} % of the times it answers, estimated from these counts and from "
            "how hard the skills are for all experts"
        )
        assert plan.seats[1].reason.startswith(
            "right on 1 of 2 profiled `law` questions, 1 of 4 overall; "
        )

    @pytest.mark.parametrize(("choices", "rivals"), [(4, 3.0), (10, 9.0)])
    def test_weigh_by_log_odds(self, pool_of: PoolOf, choices: int, rivals: float) -> None:
        pool = pool_of({"ann": "+++-", "bob": "++--"})
        [plan] = Posterior().route(asking(1, "s", choices=choices), pool, seed=0)
        assert plan.rivals == rivals
        for seat in (*plan.seats, *plan.reserves):
            assert seat.accuracy is not None
            assert seat.weight == pytest.approx(log_odds(seat.accuracy, rivals))

    def test_an_expert_that_never_answered_comes_last(self, pool_of: PoolOf) -> None:
        pool = pool_of({"mute": "????????", "weak": "+-------", "fair": "+++++---"})
        [plan] = Posterior(fit=False).route(asking(1, "s"), pool, seed=0)
        assert everybody(plan) == ["fair", "weak", "mute"]
        assert plan.seats[-1].accuracy is not None
        assert 0 < plan.seats[-1].accuracy < 1

    def test_without_a_table_the_rosters_order_holds(self) -> None:
        pool = Pool(tuple("dbca"))
        [plan] = Posterior(seats=2, reserves=1).route(asking(1), pool, seed=0)
        assert [seated(plan), everybody(plan)] == [["d", "b"], ["d", "b", "c"]]
        assert all("nothing is known" in seat.reason for seat in plan.seats)


class TestEveryForm:
    @pytest.fixture
    def pool(self, drawn: Drawn) -> Pool:
        return drawn({f"e{i}": (0.3 + 0.07 * i, 0.8 - 0.07 * i, 0.5) for i in range(7)}, 120)

    @pytest.fixture
    def briefs(self) -> list[Brief]:
        draw = Random(5)
        return [
            Brief(
                f"q{i}",
                tuple((f"s{n}", draw.random() + 0.1) for n in draw.sample(range(4), i % 4)),
                "test",
                choices=draw.choice([0, 4, 10]),
            )
            for i in range(40)
        ]

    @pytest.mark.parametrize("router", EVERY)
    def test_depends_on_seed_and_question_only(
        self, router: Posterior, pool: Pool, briefs: list[Brief]
    ) -> None:
        plans = router.route(briefs, pool, seed=3)
        assert router.route(briefs, Pool(pool.experts, pool.table), seed=3) == plans
        assert router.route(briefs[::-1], pool, seed=3)[::-1] == plans
        assert [router.route([each], pool, seed=3)[0] for each in briefs] == plans
        other = [everybody(plan) for plan in router.route(briefs, pool, seed=4)]
        random = router.replacement or router.by == "thompson"
        assert (other != [everybody(plan) for plan in plans]) == random

    @pytest.mark.parametrize("router", EVERY)
    def test_sizes_and_distinctness(
        self, router: Posterior, pool: Pool, briefs: list[Brief]
    ) -> None:
        for plan in router.route(briefs, pool, seed=3):
            assert 1 <= len(plan.seats) <= router.seats
            whole = [(seat.expert, seat.sample) for seat in (*plan.seats, *plan.reserves)]
            assert len(set(whole)) == len(whole)
            if not router.replacement:
                assert len(set(everybody(plan))) == min(router.seats + router.reserves, 7)

    @pytest.mark.parametrize("router", EVERY)
    def test_no_questions(self, router: Posterior, pool: Pool) -> None:
        assert router.route([], pool, seed=0) == []
        assert router.route([], Pool(("ann",)), seed=0) == []


signs = st.sampled_from("+xy?.")


@settings(max_examples=30)
@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(st.text(signs, min_size=n, max_size=n), min_size=1, max_size=5)
    ),
    st.sampled_from(EVERY),
)
def test_any_evidence_gives_a_plan(pool_of: PoolOf, rows: list[str], router: Posterior) -> None:
    pool = pool_of({f"e{i}": row for i, row in enumerate(rows)})
    for plan in router.route(asking(2, "s"), pool, seed=0):
        assert plan.seats
        for seat in (*plan.seats, *plan.reserves):
            assert seat.weight > 0
            assert seat.accuracy is not None
            assert 0 < seat.accuracy < 1


@pytest.mark.parametrize(
    "options",
    [
        {"seats": 0},
        {"by": "median"},
        {"decorrelate": 1.5},
        {"decorrelate": -0.1},
        {"reserves": -1},
        {"z": float("nan")},
    ],
)
def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Posterior(**options)  # type: ignore[arg-type]
