"""Two runs side by side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.evals import compare, compare_all, compare_groups, mcnemar, power_of
from orchestra.records import Mark, Outcome


def marks(told: str, prefix: str = "q") -> dict[str, Mark]:
    """`+` right, `-` wrong, `o` absent."""
    outcome = {"+": Outcome.CORRECT, "-": Outcome.WRONG, "o": Outcome.ABSENT}
    return {f"{prefix}{i}": Mark(f"{prefix}{i}", "p", outcome[c]) for i, c in enumerate(told)}


@pytest.mark.parametrize(
    ("a", "b", "wins", "losses"),
    [
        ("+++", "+++", 0, 0),
        ("++-", "-+-", 1, 0),
        ("+-o", "-+o", 1, 1),
        ("ooo", "+++", 0, 3),
        ("+", "o", 1, 0),
        ("o", "-", 0, 0),  # absent and wrong are both not right
    ],
)
def test_wins_and_losses(a: str, b: str, wins: int, losses: int) -> None:
    found = compare(marks(a), marks(b))
    assert (found.n, found.wins, found.losses) == (len(a), wins, losses)
    assert found.difference == pytest.approx((wins - losses) / len(a))
    assert found.difference == pytest.approx(found.accuracy_a - found.accuracy_b)
    assert found.p == mcnemar(wins, losses)
    assert len(found.flips) == wins + losses


def test_flips_are_named() -> None:
    assert compare(marks("++-"), marks("-++")).flips == ("q0", "q2")


@given(st.text("+-o", min_size=1, max_size=30), st.integers(0, 5))
def test_the_other_way_round(told: str, seed: int) -> None:
    a, b = marks(told), marks(told[::-1])
    there, back = compare(a, b, seed=seed), compare(b, a, seed=seed)
    assert (there.wins, there.losses, there.p) == (back.losses, back.wins, back.p)
    assert there.difference == -back.difference
    assert there.interval.low == pytest.approx(-back.interval.high)
    assert there.interval.low <= there.difference <= there.interval.high


def test_a_clear_difference_is_found() -> None:
    found = compare(marks("+" * 60 + "-" * 40), marks("+" * 30 + "-" * 70))
    assert found.interval.low > 0.2
    assert found.p < 1e-6


def test_runs_on_other_questions() -> None:
    with pytest.raises(InputError, match="no marked question in common"):
        compare(marks("++"), marks("++", "r"))
    with pytest.raises(InputError, match="differ in 2 questions and share 3") as caught:
        compare(marks("+++++"), marks("+++"))
    assert "--force" in caught.value.hint
    found = compare(marks("++-+-"), marks("-+-"), force=True)
    assert (found.n, found.wins) == (3, 1)


def test_by_group() -> None:
    groups = {"q0": "law", "q1": "", "q2": "law", "q3": "art"}
    found = compare_groups(marks("++-"), marks("--+"), groups)
    assert list(found) == ["law", "none"]
    assert (found["law"].wins, found["law"].losses, found["none"].wins) == (1, 1, 1)


def test_each_two_of_several_runs_with_adjusted_p() -> None:
    told = {"a": "+" * 12, "b": "+" * 6 + "-" * 6, "c": "-" * 12}
    pairs = compare_all({name: marks(row) for name, row in told.items()})
    assert [(pair.a, pair.b) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.comparison for pair in pairs] == [
        compare(marks(told[pair.a]), marks(told[pair.b])) for pair in pairs
    ]
    assert [pair.adjusted for pair in pairs] == pytest.approx([2 / 32, 3 * 2 / 4096, 2 / 32])


def test_two_runs_need_no_adjustment() -> None:
    [pair] = compare_all({"a": marks("+++--+++"), "b": marks("-+-+-+-+")})
    assert pair.adjusted == pair.comparison.p


@pytest.mark.parametrize("runs", [{}, {"a": marks("+")}])
def test_one_run_is_no_comparison(runs: dict[str, dict[str, Mark]]) -> None:
    with pytest.raises(InputError, match="two runs"):
        compare_all(runs)


def test_power_says_what_could_have_been_seen() -> None:
    found = power_of(compare(marks("+" * 160 + "-" * 40), marks("+" * 140 + "-" * 60)))
    assert found.discordance == pytest.approx(21 / 202)
    assert found.least == pytest.approx(0.0685, abs=0.002)
    assert found.needed["0.05"] is not None
    assert found.needed["0.05"] > 200
    assert power_of(compare(marks("++"), marks("++"))).least is None


def test_repeats_of_a_question_show_no_more_than_the_question() -> None:
    a, b = "+" * 160 + "-" * 40, "+" * 140 + "-" * 60
    once = power_of(compare(marks(a), marks(b)))
    repeats = {f"q{i}": f"q{i % 200}" for i in range(800)}
    found = compare(marks(a * 4), marks(b * 4), repeats=repeats)
    assert (found.n, found.repeated) == (800, 4)
    assert power_of(found) == once
