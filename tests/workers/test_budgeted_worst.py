"""What a call may cost at most."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.records import Message, Request, Sampling, Usage
from orchestra.roster import Expert, Price
from orchestra.runs import Cost
from orchestra.workers.budgeted import worst_by, worst_cost, worst_tokens

TOKENS = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")


def requests(*contents: str, draws: int = 1, most: int = 10, expert: str = "e") -> list[Request]:
    messages = tuple(Message("user", content) for content in contents)
    sampling = Sampling(max_tokens=most)
    return [
        Request(f"k{sample}", "q", expert, "generate", messages, sampling, sample=sample)
        for sample in range(draws)
    ]


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        (requests("hello"), 5 + 16 + 10),
        (requests("hello", "you"), 5 + 3 + 2 * 16 + 10),
        (requests("hello", draws=3), 5 + 16 + 3 * 10),
        (requests("", most=1), 16 + 1),
        (requests("\N{GRINNING FACE}"), 4 + 16 + 10),
        (requests("日本語"), 9 + 16 + 10),
    ],
)
def test_a_token_is_a_byte_at_least(asked: list[Request], tokens: int) -> None:
    assert worst_tokens(asked) == tokens
    assert worst_cost(None)(asked) == Cost(calls=1, tokens=tokens)


@given(
    st.lists(st.text(), min_size=1, max_size=4),
    st.integers(1, 5),
    st.integers(1, 10**6),
    st.floats(0, 1000),
    st.floats(0, 1000),
)
def test_no_usage_costs_more(
    contents: list[str], draws: int, most: int, read: float, written: float
) -> None:
    asked = requests(*contents, draws=draws, most=most)
    price = Price(read, written)
    tokens = sum(len(TOKENS.findall(each)) + 4 for each in contents)
    money = price.money(tokens, most * draws)
    actual = Cost.of(Usage(1, tokens, most * draws, money=money))
    worst = worst_cost(price)(asked)
    assert worst.calls == actual.calls
    assert worst.tokens >= actual.tokens
    assert worst.picodollars >= actual.picodollars


def test_each_expert_has_its_price() -> None:
    experts = [
        Expert("dear", "m", worker="openai", price=Price(1.0, 1000.0)),
        Expert("cheap", "m", worker="openai", price=Price(1.0, 1.0)),
        Expert("free", "m", worker="vllm"),
    ]
    worst = worst_by(experts)
    found = {each.name: worst(requests("hello", expert=each.name)) for each in experts}
    assert found["dear"].dollars == pytest.approx((21 + 10 * 1000) / 1e6)
    assert found["cheap"].dollars == pytest.approx(31 / 1e6)
    assert found["free"].picodollars == 0
    assert {each.tokens for each in found.values()} == {31}
    with pytest.raises(KeyError):
        worst(requests("hello", expert="nobody"))
