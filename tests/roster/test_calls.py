"""How hosted models are called: the `calls` and `limits` of a roster, and limits that disagree."""

from __future__ import annotations

from typing import Any

import pytest

from orchestra.errors import InputError, InputErrors
from orchestra.roster import Calls, Expert, Limits, Roster

SERVED = "worker: openai, model: m, base_url: http://h/v1"


def one(text: str) -> Expert:
    return Roster.loads(f"schema: 1\nexperts: [{{name: a, {text}}}]")["a"]


def caught(*experts: str, defaults: str = "") -> InputError:
    lines = "".join(f"  - {{{each}}}\n" for each in experts)
    with pytest.raises(InputError) as error:
        Roster.loads(f"schema: 1\ndefaults: {{{defaults}}}\nexperts:\n{lines}", "r.yaml")
    return error.value


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("", Calls()),
        ("calls: {}", Calls()),
        ("calls: {timeout: 30, attempts: 2}", Calls(timeout=30.0, attempts=2)),
        ("calls: {retries: 0, hedge_after: 2.5}", Calls(retries=0.0, hedge_after=2.5)),
        ("calls: {stream: true, silence: 5}", Calls(stream=True, silence=5.0)),
        ("calls: {timeout: null, hedge_after: null}", Calls()),
    ],
)
def test_how_it_is_called(text: str, calls: Calls) -> None:
    assert one(", ".join(filter(None, (SERVED, text)))).calls == calls


@pytest.mark.parametrize("worker", ["openai", "litellm", "remote"])
def test_hosted_models_may_say_how_they_are_called(worker: str) -> None:
    made = Expert("a", "m/x", worker=worker, base_url="http://h/v1", calls=Calls(attempts=1))
    assert Roster.of(made)["a"].calls.attempts == 1


@pytest.mark.parametrize("worker", ["scripted", "local", "vllm"])
def test_others_may_not(worker: str) -> None:
    error = caught(f"name: a, model: m, worker: {worker}, calls: {{attempts: 1}}")
    assert error.place == "r.yaml:4 experts[0].calls"
    assert f"`calls` makes no sense with `worker: {worker}`" in str(error)


def test_as_a_default_it_reaches_hosted_models_only() -> None:
    roster = Roster.loads(
        f"schema: 1\ndefaults: {{calls: {{attempts: 2}}}}\nexperts:\n"
        f"  - {{name: a, {SERVED}}}\n  - {{name: b, model: m, worker: scripted}}\n"
    )
    assert [roster[name].calls.attempts for name in "ab"] == [2, 6]


@pytest.mark.parametrize(
    ("calls", "key", "said"),
    [
        ("timeout: 0", "timeout", "greater than 0"),
        ("timeout: .inf", "timeout", "finite"),
        ("attempts: 0", "attempts", "at least 1"),
        ("attempts: 21", "attempts", "at most 20"),
        ("attempts: 1.5", "attempts", "whole number"),
        ("retries: -1", "retries", "at least 0"),
        ("hedge_after: 0", "hedge_after", "greater than 0"),
        ("silence: -1", "silence", "greater than 0"),
        ("stream: 1", "stream", "true or false"),
        ("retry: 1", "retry", "did you mean `retries`"),
    ],
)
def test_what_cannot_be(calls: str, key: str, said: str) -> None:
    error = caught(f"name: a, {SERVED}, calls: {{{calls}}}")
    assert not isinstance(error, InputErrors)
    assert error.place == f"r.yaml:4 experts[0].calls.{key}"
    assert said in str(error)


def test_how_it_is_called_changes_no_answer() -> None:
    plain = one(SERVED)
    slow = one(f"{SERVED}, calls: {{timeout: 5}}, limits: {{concurrency: 1, per: model}}")
    assert plain.identity == slow.identity
    assert Roster.of(plain).digest == Roster.of(slow).digest


@pytest.mark.parametrize(
    ("worker", "hosted", "loaded"),
    [
        ("recorded", False, False),
        ("scripted", False, False),
        ("local", False, True),
        ("vllm", False, True),
        ("openai", True, False),
        ("litellm", True, False),
        ("remote", True, False),
    ],
)
def test_where_it_is(worker: Any, hosted: bool, loaded: bool) -> None:
    made = Expert("a", "m", worker=worker)
    assert (made.hosted, made.loaded) == (hosted, loaded)


# --- limits ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", Limits()),
        ("limits: {per: key, concurrency: 2}", Limits(concurrency=2)),
        ("limits: {per: model, requests_per_minute: 60}", Limits(60, per="model")),
        ("limits: {per: null}", Limits()),
    ],
)
def test_whose_limits_they_are(text: str, limits: Limits) -> None:
    assert one(", ".join(filter(None, (SERVED, text)))).limits == limits


def test_limits_are_of_a_key_or_a_model() -> None:
    error = caught(f"name: a, {SERVED}, limits: {{per: expert}}")
    assert error.place == "r.yaml:4 experts[0].limits.per"


def served(name: str, text: str = "", **fields: str) -> str:
    whole = {"worker": "openai", "model": name, "base_url": "http://h/v1", **fields}
    told = ", ".join(f"{key}: {value}" for key, value in whole.items() if value)
    return ", ".join(filter(None, (f"name: {name}", told, text)))


TEN, NINE = "limits: {requests_per_minute: 10}", "limits: {requests_per_minute: 9}"


@pytest.mark.parametrize(
    ("experts", "key"),
    [
        ([served("a", TEN), served("b", NINE)], ".limits"),
        ([served("a", TEN), served("b")], ""),
        ([served("a"), served("b", TEN)], ".limits"),
        ([served("a", TEN, api_key_env="K"), served("b", NINE, api_key_env="K")], ".limits"),
        (
            [
                served("a", TEN, worker="litellm", base_url="", model="openai/a"),
                served("b", NINE, worker="litellm", base_url="", model="openai/b"),
            ],
            ".limits",
        ),
    ],
)
def test_limits_of_one_key_that_disagree_are_one_error(experts: list[str], key: str) -> None:
    error = caught(*experts)
    assert not isinstance(error, InputErrors)
    assert error.place == f"r.yaml:5 experts[1]{key}"
    assert "not those of expert 'a', which has the same address and key" in str(error)
    assert "state them in `defaults`" in error.hint
    assert "`per: model`" in error.hint


def test_each_that_disagrees_is_told() -> None:
    error = caught(served("a", TEN), served("b", NINE), served("c", TEN), served("d"))
    assert isinstance(error, InputErrors)
    assert [each.place for each in error.errors] == [
        "r.yaml:5 experts[1].limits",
        "r.yaml:7 experts[3]",
    ]


@pytest.mark.parametrize(
    "experts",
    [
        [served("a", TEN), served("b", TEN)],
        pytest.param(
            [served("a", TEN), served("b", "limits: {requests_per_minute: 10, per: key}")],
        ),
        [served("a", TEN), served("b", NINE, base_url="http://other/v1")],
        [served("a", TEN), served("b", NINE, api_key_env="OTHER")],
        [served("a", TEN), served("b", "limits: {requests_per_minute: 9, per: model}")],
        [
            served("a", "limits: {requests_per_minute: 10, per: model}"),
            served("b", "limits: {requests_per_minute: 9, per: model}"),
        ],
        [
            served("a", TEN, worker="litellm", base_url="", model="openai/a"),
            served("b", NINE, worker="litellm", base_url="", model="anthropic/b"),
        ],
        [
            f"name: a, worker: scripted, model: m, {TEN}",
            f"name: b, worker: scripted, model: m, {NINE}",
        ],
    ],
)
def test_limits_that_agree_or_are_of_different_things(experts: list[str]) -> None:
    lines = "".join(f"  - {{{each}}}\n" for each in experts)
    assert len(Roster.loads(f"schema: 1\nexperts:\n{lines}")) == 2


def test_limits_that_are_a_default_agree() -> None:
    roster = Roster.loads(
        f"schema: 1\ndefaults: {{{TEN}}}\nexperts:\n  - {{{served('a')}}}\n  - {{{served('b')}}}\n"
    )
    assert {expert.limits for expert in roster} == {Limits(10)}


def test_experts_made_in_python_keep_the_rule() -> None:
    made = [
        Expert(name, name, worker="openai", base_url="http://h/v1", limits=Limits(number))
        for name, number in (("a", 10), ("b", 9))
    ]
    with pytest.raises(InputError, match="not those of expert 'a'") as caught:
        Roster.of(*made)
    assert caught.value.place == "experts[1].limits"
