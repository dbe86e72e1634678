from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.records import Message, Request, Sampling
from orchestra.scheduling import longest_first


def request(name: str, letters: int, most: int = 10_000) -> Request:
    asked = (Message("user", "x" * letters),)
    return Request(name, name, "a", "generate", asked, Sampling(max_tokens=most))


GIVEN = [request("p", 10), request("q", 30), request("r", 20), request("s", 30)]


@pytest.mark.parametrize(
    ("lengths", "order"),
    [
        ({}, "qsrp"),
        ({"p": 900.0, "q": 1.0, "r": 5.0, "s": 3.0}, "prsq"),
        ({"p": 40.0}, "qsrp"),  # four tokens a letter: q and s 120, r 80
        ({"q": 10.0}, "qsrp"),
        ({"q": 1.0, "s": 1.0}, "qsrp"),
        ({"p": 500.0, "q": 30.0}, "psrq"),  # 530 tokens for 40 letters
    ],
)
def test_the_longest_come_first(lengths: Mapping[str, float], order: str) -> None:
    assert "".join(each.key for each in longest_first(GIVEN, lengths)) == order


def test_nobody_is_expected_to_write_more_than_it_may() -> None:
    given = [request("p", 10, most=50), request("q", 10)]
    assert [each.key for each in longest_first(given, {"p": 900.0, "q": 60.0})] == ["q", "p"]


@given(
    st.lists(st.integers(0, 5), max_size=30), st.dictionaries(st.integers(0, 29), st.floats(0, 9))
)
def test_nothing_is_lost_and_equals_keep_their_order(
    letters: list[int], lengths: dict[int, float]
) -> None:
    given = [request(f"{i:02}", count) for i, count in enumerate(letters)]
    told = {f"{i:02}": length for i, length in lengths.items()}
    ordered = longest_first(given, told)
    assert sorted(each.key for each in ordered) == [each.key for each in given]
    alike = [each.key for each in longest_first([request(each.key, 3) for each in given])]
    assert alike == [each.key for each in given]
