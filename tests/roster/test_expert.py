"""What makes experts interchangeable, and how one is asked."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestra.errors import InputError
from orchestra.records import Message, Question, Sampling
from orchestra.roster.expert import Expert, Limits, Price
from orchestra.roster.strategies import STRATEGIES, prompt

EXPERT = Expert("one", "some-7B", worker="vllm", engine={"max_model_len": 512, "eager": True})
QUESTION = Question("q1", "Which?", ("red", "blue"))


@pytest.mark.parametrize(
    "change",
    [
        {"worker": "local"},
        {"model": "some-8B"},
        {"system": "Be brief."},
        {"strategy": "direct"},
        {"adapter": "law"},
        {"engine": {"max_model_len": 513, "eager": True}},
        {"engine": {"max_model_len": "512", "eager": True}},
        {"engine": {"max_model_len": 512, "eager": 1}},
        {"engine": {}},
        {"base_url": "http://127.0.0.1:1/v1"},
    ],
    ids=str,
)
def test_what_changes_the_text_changes_the_identity(change: dict[str, Any]) -> None:
    assert replace(EXPERT, **change).identity != EXPERT.identity


@pytest.mark.parametrize(
    "change",
    [
        {"name": "two"},
        {"family": "some"},
        {"price": Price(1, 2)},
        {"limits": Limits(concurrency=1)},
        {"memory_gib": 3.0},
        {"sampling": Sampling(temperature=1)},
        {"api_key_env": "KEY"},
        {"recordings": Path("elsewhere.parquet")},
        {"rule": "strict"},
        {"engine": {"eager": True, "max_model_len": 512}},
    ],
    ids=str,
)
def test_what_does_not_change_the_text_does_not_change_the_identity(
    change: dict[str, Any],
) -> None:
    assert replace(EXPERT, **change).identity == EXPERT.identity


def test_the_identity_is_the_same_in_every_process_and_version() -> None:
    assert EXPERT.identity == "49d69f756d0c227ef00311501f05d558"


def test_an_expert_survives_the_way_to_another_process() -> None:
    used = replace(EXPERT)
    assert used.identity
    assert used.messages(QUESTION)
    assert pickle.loads(pickle.dumps(used)) == EXPERT


def test_equal_experts_are_one_in_a_set() -> None:
    assert len({EXPERT, replace(EXPERT), replace(EXPERT, name="two")}) == 2


def test_without_a_system_prompt_there_is_one_message() -> None:
    expected = prompt(QUESTION, STRATEGIES["chain-of-thought"])
    assert EXPERT.messages(QUESTION) == (Message("user", expected),)


def test_the_system_prompt_comes_first_and_the_strategy_is_followed() -> None:
    asked = replace(EXPERT, system="Be brief.", strategy="direct").messages(QUESTION)
    assert asked == (
        Message("system", "Be brief."),
        Message("user", prompt(QUESTION, STRATEGIES["direct"])),
    )


def test_an_unknown_strategy_is_an_input_error() -> None:
    with pytest.raises(InputError, match="unknown strategy: 'nope'"):
        replace(EXPERT, strategy="nope").messages(QUESTION)  # type: ignore[arg-type]


def test_prices_are_per_million_tokens() -> None:
    assert Price(0.5, 2.0).money(1_000_000, 500_000) == pytest.approx(1.5)
    assert Price(0, 0).money(10, 10) == 0
