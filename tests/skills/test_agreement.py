from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.skills import agreement

if TYPE_CHECKING:
    from tests.skills.conftest import TableOf


def test_counts_pairs_by_hand(table_of: TableOf) -> None:
    found = agreement(
        table_of(
            {
                "ann": "-B -C +A -D ?empty .",
                "bob": "-B -D -B +A -B     -B",
                "cid": "+A -C -C -D -B     -C",
            },
            "s s s s s s",
        )
    )
    # ann and bob: both wrong on the first two, alike on the first.
    # ann and cid: both wrong on the second and fourth, alike on both.
    # bob and cid: both wrong on the second, third, fifth and sixth, alike on the fifth.
    assert found.both_wrong.tolist() == [[3, 2, 2], [2, 5, 4], [2, 4, 5]]
    assert found.same_wrong.tolist() == [[3, 1, 2], [1, 5, 1], [2, 1, 5]]
    assert found.pooled == pytest.approx((4 + 0.3) / (8 + 1))
    assert found.rivals == pytest.approx(9 / 4.3)
    assert found.matrix[0, 2] == pytest.approx((2 + 10 * found.pooled) / (2 + 10))
    assert found.matrix.diagonal().tolist() == [1, 1, 1]


def test_correlation_is_over_the_questions_both_were_asked(table_of: TableOf) -> None:
    found = agreement(
        table_of(
            {
                "ann": "+A +A -B -B +A -B",
                "bob": "+A +A -C -C . .",
                "cid": "-B -B +A +A . .",
                "dot": "+A -B +A ?refused . ?failed",
                "eve": "+A +A +A +A +A +A",
            },
            "s s s s s s",
        )
    )
    assert found.correlation[0, 1] == pytest.approx(1)
    assert found.correlation[1, 2] == pytest.approx(-1)
    assert found.correlation[0, 3] == pytest.approx(0)
    assert (found.correlation[4, :4] == 0).all()


@pytest.mark.parametrize(
    ("answers", "votes"),
    [
        ({"ann": "+A -B +A -B"}, 1.0),
        ({"ann": "+A -B +A -B", "bob": "+A -B +A -B"}, 1.0),
        ({"ann": "+A +A -B -B", "bob": "+A -B +A -B"}, 2.0),
        ({"ann": "+A +A -B -B", "bob": "-B -B +A +A"}, 2.0),
        ({"ann": "+A +A -B -B", "bob": "+A +A -C -C", "cid": "+A -B +A -B"}, 3 / (1 + 2 / 3)),
    ],
)
def test_effective_size(table_of: TableOf, answers: dict[str, str], votes: float) -> None:
    assert agreement(table_of(answers, "s s s s")).effective_size == pytest.approx(votes)


def test_experts_that_are_never_wrong_together(table_of: TableOf) -> None:
    found = agreement(table_of({"ann": "+A +A", "bob": "+A -B"}, "s s"))
    assert found.pooled == pytest.approx(0.3)
    assert found.matrix[0, 1] == pytest.approx(0.3)


words = st.sampled_from(["+A", "+B", "-A", "-B", "-C", "?empty", "?failed", "."])


@settings(max_examples=50)
@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(words, min_size=n, max_size=n), min_size=1, max_size=4)
    )
)
def test_bounds(table_of: TableOf, rows: list[list[str]]) -> None:
    answers = {f"e{i}": " ".join(row) for i, row in enumerate(rows)}
    found = agreement(table_of(answers, "s " * len(rows[0])))
    assert (found.same_wrong <= found.both_wrong).all()
    assert (found.both_wrong == found.both_wrong.T).all()
    assert ((found.matrix > 0) & (found.matrix <= 1)).all()
    assert (np.abs(found.correlation) <= 1 + 1e-12).all()
    assert found.effective_size + 1e-12 >= 1
    assert found.effective_size <= len(rows) + 1e-12
    assert found.rivals >= 1
