from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from orchestra.errors import InputError
from orchestra.records import Brief
from orchestra.routing import Pool, generator
from orchestra.routing.pool import lower_bound
from orchestra.skills import Beliefs

if TYPE_CHECKING:
    from tests.routing.conftest import Drawn, PoolOf

NOTHING = Brief("q", (), "test")


class TestPool:
    def test_keeps_its_own_experts_of_the_table_in_its_own_order(self, pool_of: PoolOf) -> None:
        table = pool_of({"ann": "++", "bob": "--", "cid": "+-"}).table
        pool = Pool(("cid", "ann"), table)
        assert pool.table is not None
        assert pool.table.experts == ("cid", "ann")
        assert pool.estimate([NOTHING]).rate.mean[0].tolist() == [0.5, 0.75]

    def test_refuses_a_table_that_never_saw_an_expert(self, pool_of: PoolOf) -> None:
        table = pool_of({"ann": "++"}).table
        with pytest.raises(InputError, match=r"unknown expert: 'bob'"):
            Pool(("ann", "bob"), table)

    @pytest.mark.parametrize(("choices", "rivals"), [(10, 9.0), (2, 1.0), (1, 1.0)])
    def test_rivals_of_a_choice(self, pool_of: PoolOf, choices: int, rivals: float) -> None:
        question = Brief("q", (), "test", choices=choices)
        assert Pool(("ann",)).rivals(question) == rivals
        assert pool_of({"ann": "x", "bob": "x"}).rivals(question) == rivals

    def test_rivals_of_an_open_question_are_what_the_profile_saw(self, pool_of: PoolOf) -> None:
        assert Pool(("ann",)).rivals(NOTHING) == 4.0
        alike, unlike = {"ann": "xxxx", "bob": "xxxx"}, {"ann": "xxxx", "bob": "yyyy"}
        assert pool_of(alike).rivals(NOTHING) == pytest.approx(5 / 4.3)
        assert pool_of(unlike).rivals(NOTHING) == pytest.approx(5 / 0.3)


class TestEstimate:
    def test_without_a_table_nothing_is_known(self) -> None:
        found = Pool(("ann", "bob")).estimate([NOTHING, NOTHING])
        for beliefs in (found.rate, found.accuracy):
            assert beliefs.alpha.tolist() == beliefs.beta.tolist() == [[1, 1], [1, 1]]

    def test_mixes_the_skills_by_weight(self, drawn: Drawn) -> None:
        pool = drawn({"ann": (0.9, 0.2), "bob": (0.3, 0.8)}, 80)
        assert pool.table is not None
        mixed = pool.estimate([Brief("q", (("s0", 3.0), ("s1", 1.0)), "test")]).rate
        beliefs = pool.table.beliefs
        assert mixed.alpha[0] == pytest.approx(
            0.75 * beliefs.alpha[:, 0] + 0.25 * beliefs.alpha[:, 1]
        )
        assert mixed.beta[0] == pytest.approx(0.75 * beliefs.beta[:, 0] + 0.25 * beliefs.beta[:, 1])

    @pytest.mark.parametrize("skills", [(), (("unheard of", 1.0),)])
    def test_without_a_known_skill_is_the_overall_belief(
        self, drawn: Drawn, skills: tuple[tuple[str, float], ...]
    ) -> None:
        pool = drawn({"ann": (0.9, 0.2), "bob": (0.3, 0.8)}, 40)
        assert pool.table is not None
        found = pool.estimate([Brief("q", skills, "test")])
        assert (found.rate.alpha[0] == pool.table.global_beliefs.alpha[:, 0]).all()
        assert (found.accuracy.beta[0] == pool.table.global_accuracy.beta[:, 0]).all()

    def test_is_the_same_to_the_last_bit_in_any_batch(self, drawn: Drawn) -> None:
        pool = drawn({f"e{i}": (0.1 * i, 0.5, 0.9 - 0.1 * i) for i in range(1, 9)}, 90)
        draw = Random(1)
        briefs = [
            Brief(
                f"q{i}", tuple((f"s{draw.randrange(3)}", draw.random()) for _ in range(i % 5)), "t"
            )
            for i in range(40)
        ]
        together = pool.estimate(briefs)
        for row, each in enumerate(briefs):
            alone = pool.estimate([each])
            assert (alone.rate.alpha[0] == together.rate.alpha[row]).all()
            assert (alone.accuracy.beta[0] == together.accuracy.beta[row]).all()

    def test_of_no_questions(self, pool_of: PoolOf) -> None:
        assert pool_of({"ann": "+-"}).estimate([]).rate.mean.shape == (0, 1)


class TestTeller:
    def test_tells_counts_by_skill_and_overall(self, pool_of: PoolOf) -> None:
        tell = pool_of({"ann": "+-+?"}, "law law art art").teller()
        question = Brief("q", (("art", 1.0), ("law", 1.0), ("art", 1.0), ("unheard of", 1.0)), "t")
        assert tell("ann", question) == (
            "right on 1 of 2 profiled `art` questions, "
            "right on 1 of 2 profiled `law` questions, 2 of 4 overall"
        )
        assert tell("ann", NOTHING) == "2 of 4 overall"

    def test_names_what_a_skill_backs_off_to(self, pool_of: PoolOf) -> None:
        tell = pool_of({"ann": "+-"}, "law", parents={"torts": "law"}).teller()
        assert tell("ann", Brief("q", (("torts", 1.0),), "t")).startswith(
            "right on 1 of 2 profiled `law`"
        )

    def test_says_so_where_nothing_is_known(self) -> None:
        assert "nothing is known" in Pool(("ann",)).teller()("ann", NOTHING)


def test_lower_bound_falls_with_doubt() -> None:
    beliefs = Beliefs(np.array([[6.0, 60.0, 600.0]]), np.array([[4.0, 40.0, 400.0]]))
    low = lower_bound(beliefs, 1.0)[0]
    assert (np.diff(low) > 0).all()
    assert (low < 0.6).all()
    assert lower_bound(beliefs, 0.0)[0] == pytest.approx(np.full(3, 0.6))
    # One deviation below, as the Beta's own quantile has it.
    assert low == pytest.approx(beliefs.quantile(0.1587)[0], abs=0.02)


def test_a_generator_belongs_to_a_seed_a_purpose_and_a_question() -> None:
    first = generator(1, "a", "q").random()
    assert generator(1, "a", "q").random() == first
    others = [generator(2, "a", "q"), generator(1, "b", "q"), generator(1, "a", "r")]
    assert all(other.random() != first for other in others)
