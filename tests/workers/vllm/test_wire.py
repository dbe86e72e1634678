"""Requests as calls: which draws go together, and that none is lost."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.records import Message, Request, Sampling
from orchestra.workers.vllm.wire import calls


def request(
    number: int = 0, sample: int = 0, *, who: str = "e", seed: int | None = None, warm: float = 1.0
) -> Request:
    sampling = Sampling(warm, seed=seed, stop=("\n",), max_tokens=9, choices=("yes", "no"))
    messages = (Message("user", f"question {number}"),)
    key = f"{who} {number} {sample} {seed} {warm}"
    return Request(key, f"q{number}", who, "generate", messages, sampling, sample=sample)


@pytest.mark.parametrize(
    ("asked", "groups"),
    [
        ([request(sample=s) for s in (0, 1, 2)], [[0, 1, 2]]),
        ([request(sample=s) for s in (4, 0, 2)], [[0, 2, 4]]),
        ([request(sample=s, seed=5) for s in (4, 0, 1)], [[0, 1], [4]]),
        ([request(sample=s, warm=0.0) for s in (0, 1)], [[0], [1]]),
        ([request(0), request(1), request(0, 1)], [[0, 1], [0]]),
        ([request(0), request(0, 1, who="f")], [[0], [1]]),
        ([request(sample=s) for s in range(65)], [[*range(64)], [64]]),
        ([], []),
    ],
)
def test_draws_that_share_a_call(asked: list[Request], groups: list[list[int]]) -> None:
    found = [[each.sample for each in call.requests] for call in calls(asked, start=0)]
    assert found == groups


def test_what_the_child_is_told() -> None:
    (call,) = calls([request(sample=1, seed=5), request(sample=2, seed=5)], start=7)
    assert call.message("lora") == {
        "id": 7,
        "adapter": "lora",
        "messages": [{"role": "user", "content": "question 0"}],
        "choices": ("yes", "no"),
        "sampling": {
            "temperature": 1.0,
            "top_p": 1.0,
            "max_tokens": 9,
            "stop": ("\n",),
            "seed": 6,
            "logprobs": None,
            "n": 2,
        },
    }


ASKED = st.sets(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 9),
        st.sampled_from([None, 3]),
        st.sampled_from([0.0, 1.0]),
    )
)


@given(ASKED, st.integers(0, 1000))
def test_each_request_is_in_one_call_with_the_seed_of_its_sample(
    asked: set[tuple[int, int, int | None, float]], start: int
) -> None:
    requests = [request(n, sample, seed=seed, warm=warm) for n, sample, seed, warm in asked]
    made = list(calls(requests, start=start))
    inside = Counter(each.key for call in made for each in call.requests)
    assert inside == Counter(each.key for each in requests)
    assert [call.number for call in made] == list(range(start, start + len(made)))
    for call in made:
        first = call.message("")["sampling"]["seed"]
        for index, each in enumerate(call.requests):
            if each.sampling.seed is not None:
                assert first + index == each.sampling.seed + each.sample
