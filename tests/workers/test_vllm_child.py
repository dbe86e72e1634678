"""What of the vLLM child's program needs no vLLM."""

from __future__ import annotations

import pytest

from orchestra.workers.vllm_child import split_reasoning


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
