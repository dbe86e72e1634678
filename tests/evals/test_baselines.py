"""The arms of a report, by hand on three questions, and what must hold for any marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.evals.baselines import Arms, Call, best_single
from orchestra.evals.statistics import wilson

GOLD = "R"
PRIOR = {"a": 0.6, "b": 0.5, "c": 0.4}
# expert -> what it answers to questions 1, 2, 3; R is right, None absent
SAYS: Mapping[str, Sequence[str | None]] = {
    "a": ["R", "X", None],
    "b": ["X", "R", "R"],
    "c": ["R", "R", "Y"],
}
IDS = ["1", "2", "3"]


def call(expert: str, value: str | None, sample: int = 0) -> Call:
    return Call(expert, value, value == GOLD, 10, sample)


def arms(
    seated: Sequence[str] = ("ab", "ab", "ab"),
    says: Mapping[str, Sequence[str | None]] = SAYS,
    *,
    prior: Mapping[str, float] = PRIOR,
    samples: Mapping[str, Sequence[Call]] | None = None,
    hidden: str = "",
) -> Arms:
    """`hidden` experts are live: only what the pipeline asked is known of them."""
    known = {
        name: {
            each: call(name, row[i])
            for i, each in enumerate(IDS)
            if name not in hidden or name in seated[i]
        }
        for name, row in says.items()
    }
    calls = {each: [call(n, says[n][i]) for n in seated[i]] for i, each in enumerate(IDS)}
    return Arms(IDS, calls, known, prior, 0, samples or {})


def shares(found: Arms) -> dict[str, float]:
    return {name: round(arm.accuracy * 3, 3) for name, arm in found.all().items()}


def test_by_hand() -> None:
    told = shares(arms())
    random = told.pop("random_k")
    assert random in (0, 1, 2, 3)
    assert told == {
        "best_single": 1,  # a: right on 1
        "best_single_hindsight": 2,  # b or c
        "majority_same_seats": 2,  # 1: R of a over X of b, a being better; 2: X of a; 3: R
        "majority_all": 3,  # 1: R; 2: R; 3: R against Y, b being better than c
        "oracle_seats": 3,
        "oracle_all": 3,
    }


def test_cost_and_interval() -> None:
    found = arms(("ab", "b", "abc")).all()
    assert (found["best_single"].calls_per_question, found["best_single"].tokens) == (1, 30)
    assert (found["majority_same_seats"].calls_per_question, found["oracle_seats"].tokens) == (
        2,
        60,
    )
    assert (found["majority_all"].calls_per_question, found["oracle_all"].tokens) == (3, 90)
    assert found["random_k"].calls_per_question == 2
    assert found["best_single"].interval == wilson(1, 3)


def test_a_tie_goes_to_the_better_supporter_not_to_the_first() -> None:
    says = {"a": ["R"] * 3, "b": ["X"] * 3}
    assert shares(arms(("ba",) * 3, says, prior={"a": 0.6, "b": 0.5}))["majority_same_seats"] == 3
    assert shares(arms(("ab",) * 3, says, prior={"a": 0.5, "b": 0.6}))["majority_same_seats"] == 0


def test_values_that_are_marked_alike_count_apart() -> None:
    # 0.5 and 1/2 may both be right, but only equal values are votes for one thing.
    says: dict[str, list[str | None]] = {"a": ["X"] * 3, "b": ["X"] * 3, "c": ["R"] * 3}
    assert shares(arms(("abc",) * 3, says))["majority_same_seats"] == 0


def test_without_a_profile_there_is_no_best_single() -> None:
    assert "best_single" not in arms(prior={}).all()
    assert "best_single_hindsight" in arms(prior={}).all()


def test_a_live_expert_that_was_not_always_asked_keeps_the_pool_from_its_arms() -> None:
    told = arms(("ab", "ab", "b"), hidden="a").all()
    assert set(told) == {"majority_same_seats", "oracle_seats"}


def test_a_live_expert_that_was_always_asked_does_not() -> None:
    assert "oracle_all" in arms(("ab", "ab", "ab"), hidden="a").all()


def test_the_best_single_is_not_another_because_the_best_is_live() -> None:
    assert "best_single" not in arms(("b", "b", "b"), hidden="a").all()
    assert "best_single" in arms(("ab", "ab", "ab"), hidden="ac").all()


def test_self_consistency() -> None:
    samples = {
        "1": [call("a", "R"), call("a", "X", 1), call("a", "X", 2)],
        "2": [call("a", "X"), call("a", "R", 1), call("a", "R", 2)],
        "3": [call("a", None), call("a", "R", 1), call("a", None, 2)],
    }
    found = arms(samples=samples).all()
    assert found["self_consistency_same_calls"].accuracy == pytest.approx(2 / 3, abs=1e-6)
    assert found["self_consistency_same_calls"].calls_per_question == 3
    assert "self_consistency_same_calls" not in arms().all()


def test_no_questions_no_arms() -> None:
    assert Arms([], {}, {"a": {}}, PRIOR, 0, {}).all() == {}


def test_best_single_is_the_first_of_equals() -> None:
    assert best_single({"a": 0.5, "b": 0.7, "c": 0.7}) == "b"
    assert best_single({}) == ""


answers = st.lists(st.sampled_from(["R", "X", "Y", None]), min_size=3, max_size=3)


@given(
    st.fixed_dictionaries({name: answers for name in "abc"}),
    st.lists(st.sampled_from(["a", "b", "ab", "ca", "abc"]), min_size=3, max_size=3),
    st.integers(0, 3),
)
def test_an_oracle_is_never_beaten(
    says: dict[str, list[str | None]], seated: list[str], seed: int
) -> None:
    told = shares(arms(seated, says))
    assert told["oracle_all"] == max(told.values())
    assert told["oracle_seats"] >= told["majority_same_seats"]
    assert told["best_single_hindsight"] >= told["best_single"]


def test_the_oracle_knows_further_draws_of_an_expert() -> None:
    seated = {each: [call("a", None), call("a", "R", 1)] for each in IDS}
    known = {"a": {each: call("a", None) for each in IDS}}
    told = shares(Arms(IDS, seated, known, {}, 0, {}))
    assert (told["oracle_seats"], told["oracle_all"], told["majority_all"]) == (3, 3, 0)
