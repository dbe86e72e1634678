"""What of the vLLM child's program needs no vLLM: its talk, its judgement and its scissors."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from orchestra.workers.vllm import program
from orchestra.workers.vllm.program import Conversation, split_reasoning

Message = dict[str, Any]


@pytest.mark.parametrize(
    ("text", "reasoning", "visible"),
    [
        ("The answer is B", "", "The answer is B"),
        (" spaces stay \n", "", " spaces stay \n"),
        ("<think>2+2 is 4</think>\n\nIt is 4", "2+2 is 4", "It is 4"),
        ("the template began it</think> It is 4", "the template began it", "It is 4"),
        ("Well. <think>hm</think> It is 4", "hm", "Well.  It is 4"),
        ("<think>it never ends", "it never ends", ""),
        ("I like <think> tags", "", "I like <think> tags"),
        ("<think></think>4", "", "4"),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
        ("", "", ""),
    ],
)
def test_reasoning_is_split_off(text: str, reasoning: str, visible: str) -> None:
    assert split_reasoning(text) == (reasoning, visible)


class ValidationError(ValueError):
    """Pydantic's, by name."""


@pytest.mark.parametrize(
    ("error", "mistake"),
    [
        (OSError("nobody/model is not a local folder or a model on the hub"), True),
        (FileNotFoundError(2, "No such file", "tokenizer.model"), True),
        (TypeError("__init__() got an unexpected keyword argument 'max_model_lenght'"), True),
        (ValidationError("dtype"), True),
        (program._Refused("no chat template"), True),
        (OSError(12, "Cannot allocate memory"), False),
        (ValueError("No available memory for the cache blocks"), False),
        (TypeError("'NoneType' object is not iterable"), False),
        (MemoryError(), False),
        (RuntimeError("Engine core initialization failed"), False),
    ],
    ids=repr,
)
def test_what_can_never_be_loaded_is_told_from_what_failed(error: Exception, mistake: bool) -> None:
    assert program._is_mistake(error) is mistake


class FakeEngine:
    """Finishes a request two steps after it came."""

    def __init__(self) -> None:
        self.under_way: dict[int, int] = {}
        self.did: list[object] = []

    @property
    def busy(self) -> bool:
        return bool(self.under_way)

    def add(self, request: Message) -> None:
        if request["id"] < 0:
            raise program._Refused("too_long", "prompt of 9 tokens")
        self.under_way[request["id"]] = 2

    def step(self) -> list[Message]:
        self.under_way = {number: left - 1 for number, left in self.under_way.items()}
        done = [number for number, left in self.under_way.items() if not left]
        self.under_way = {number: left for number, left in self.under_way.items() if left}
        return [{"id": number} for number in done]

    def canary(self) -> dict[str, list[int]]:
        return {"": [1]}

    def sleep(self, level: int) -> None:
        self.did.append(level)

    def wake(self) -> None:
        self.did.append("wake")

    def close(self) -> None:
        self.did.append("close")


class FakeParent:
    """Says what it was given, each list at one time, and then that it is over."""

    def __init__(self, *says: list[Message]) -> None:
        self.says = deque(says)
        self.heard: list[Message] = []

    def hear(self, *, wait: bool) -> list[Message]:
        if self.says:
            return self.says.popleft()
        return [{"do": "end"}] if wait else []

    def say(self, message: Message) -> None:
        self.heard.append(message)


def talk(*says: list[Message]) -> tuple[FakeEngine, list[Message]]:
    engine, parent = FakeEngine(), FakeParent(*says)
    Conversation(parent, engine).run()  # type: ignore[arg-type]
    return engine, parent.heard


def asks(*numbers: int) -> Message:
    return {"do": "generate", "requests": [{"id": number} for number in numbers]}


def answered(heard: list[Message]) -> list[Message]:
    return [each for message in heard for each in message.get("answers", ())]


@pytest.mark.parametrize(
    "says", [[[asks(1, 2, 3)]], [[asks(1)], [asks(2, 3)]], [[asks(1)], [], [asks(2), asks(3)]]]
)
def test_requests_may_join_at_any_time(says: list[list[Message]]) -> None:
    engine, heard = talk(*says)
    assert sorted(each["id"] for each in answered(heard)) == [1, 2, 3]
    assert all(message["seconds"] >= 0 for message in heard if "answers" in message)
    assert engine.did == ["close"]


def test_what_is_refused_is_answered_at_once() -> None:
    _, heard = talk([asks(-1)])
    assert answered(heard) == [{"id": -1, "failure": ["too_long", "prompt of 9 tokens"]}]


def test_a_parent_is_told_that_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_BEAT", -1.0)
    _, heard = talk([asks(1)])
    assert [message["event"] for message in heard] == ["beat", "answers"]


def test_sleep_and_wake_are_done_in_turn_and_told() -> None:
    engine, heard = talk([{"do": "sleep", "level": 2}], [{"do": "wake"}])
    assert heard == [{"event": "asleep"}, {"event": "awake", "canary": {"": [1]}}]
    assert engine.did == [2, "wake", "close"]
