"""Costs add up exactly, prices round up and no further, and a refusal says what to do."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.records import Usage
from orchestra.roster import Price
from orchestra.runs.budget import NOTHING, PICO, Budget, Cost, exhausted, lacking, picodollars

amounts = st.integers(0, 10**15)
costs = st.builds(Cost, calls=amounts, tokens=amounts, picodollars=amounts)
tokens = st.integers(0, 10**6)
# Dollars per million tokens with up to six decimals: whole picodollars for each token.
prices = st.integers(0, 200_000_000).map(lambda micro: micro / 1e6)


@given(st.lists(costs), st.randoms())
def test_costs_add_up_in_any_order(given_costs: list[Cost], random: object) -> None:
    shuffled = sorted(given_costs, key=lambda each: hash((id(random), each)))
    assert sum(given_costs, NOTHING) == sum(shuffled, NOTHING)
    total = sum(given_costs, NOTHING)
    for each in given_costs:
        total -= each
    assert total == NOTHING


@given(tokens, tokens, prices, prices)
def test_a_price_is_exact(read: int, written: int, per_read: float, per_written: float) -> None:
    exact = round(per_read * 1e6) * read + round(per_written * 1e6) * written
    cost = Cost.priced(read, written, prices=(per_read, per_written))
    assert cost == Cost(1, read + written, exact) or exact > 100 * PICO
    money = Price(per_read, per_written).money(read, written)
    assert cost == Cost.of(Usage(1, read, written, money=money))


@given(st.lists(tokens, min_size=1, max_size=16), tokens, prices, prices)
def test_draws_cost_no_more_than_their_worst_case(
    written: list[int], read: int, per_read: float, per_written: float
) -> None:
    price = Price(per_read, per_written)
    most = max(written)
    worst = Cost.priced(read, most * len(written), prices=(per_read, per_written))
    usages = [Usage(1, read, written[0], money=price.money(read, written[0]))]
    usages += [Usage(0, 0, each, money=price.money(0, each)) for each in written[1:]]
    actual = sum(map(Cost.of, usages), NOTHING)
    assert lacking(actual, NOTHING, worst) is None or worst.picodollars > 100 * PICO


@given(st.floats(0, 1e6))
def test_money_rounds_up(money: float) -> None:
    exact = Fraction(money) * PICO
    assert exact * (1 - Fraction(2, 10**14)) <= picodollars(money) < exact + 1


@pytest.mark.parametrize("money", [-1e-12, math.nan, math.inf])
def test_no_cost(money: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        picodollars(money)


def test_without_a_price_there_is_no_money() -> None:
    assert Cost.priced(7, 5) == Cost(1, 12, 0)
    assert Cost(picodollars=1_500_000_000).dollars == 0.0015


@pytest.mark.parametrize("name", ["calls", "tokens", "money", "seconds"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_no_budget(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"`budget.{name}` is no amount"):
        Budget(**{name: value})  # type: ignore[arg-type]


def test_money_is_taken_at_its_word() -> None:
    assert Budget(money=0.1).most.picodollars == 100_000_000_000
    assert Budget(money=5).most.picodollars == 5 * PICO


TAKEN = Cost(9, 900, 9 * PICO)


@pytest.mark.parametrize(
    ("budget", "cost", "limit"),
    [
        (Budget(), Cost(10**18, 10**18, 10**18), None),
        (Budget(calls=10), Cost(calls=1), None),
        (Budget(calls=9), Cost(calls=1), "calls"),
        (Budget(calls=8), Cost(tokens=1, picodollars=1), None),
        (Budget(tokens=1000), Cost(1, 100), None),
        (Budget(tokens=1000), Cost(1, 101), "tokens"),
        (Budget(money=10), Cost(1, 1, PICO), None),
        (Budget(money=10), Cost(1, 1, PICO + 1), "money"),
        (Budget(calls=0, money=0), Cost(1, 1, 1), "money"),
    ],
)
def test_what_fits(budget: Budget, cost: Cost, limit: str | None) -> None:
    assert lacking(cost, TAKEN, budget.most) == limit


@pytest.mark.parametrize(
    ("budget", "lost", "held", "words", "hint"),
    [
        (
            Budget(money=9.5),
            NOTHING,
            NOTHING,
            "may pass `budget.money`: $9.5 may be spent, $9 is spent, and the call may cost $1.25",
            "raise `budget.money`; the same command goes on from here",
        ),
        (
            Budget(tokens=910),
            Cost(tokens=400),
            NOTHING,
            "910 tokens may be spent, 900 tokens are spent, and the call may cost 2,000 tokens; "
            "400 tokens of it is for calls cut off when a process ended",
            "raise `budget.tokens`",
        ),
        (
            Budget(calls=11),
            NOTHING,
            Cost(calls=2),
            "the call may cost 1 call; another run that shares the budget holds 2 calls",
            "wait for the other run, or raise `budget.calls`",
        ),
    ],
)
def test_a_refusal_says_what_to_do(
    budget: Budget, lost: Cost, held: Cost, words: str, hint: str
) -> None:
    cost = Cost(1, 2000, PICO * 5 // 4)
    error = exhausted(cost, TAKEN, budget=budget, lost=lost, held=held)
    assert words in error.message
    assert hint in error.hint
    assert error.exit_code == 4
