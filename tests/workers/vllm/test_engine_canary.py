"""Engines that are what they were, and those that are not."""

from __future__ import annotations

from orchestra.workers.vllm.engine import Fingerprints


def test_the_first_sight_is_what_counts() -> None:
    seen = Fingerprints()
    assert seen.agrees("a", {"": [1, 2], "lora": [3, 4]})
    assert seen.agrees("a", {"": (1, 2)})
    assert not seen.agrees("a", {"": [0, 0], "lora": [3, 4]})
    assert not seen.agrees("a", {"": [1, 2], "lora": [3]})
    assert seen.agrees("a", {"": [1, 2], "lora": [3, 4]})


def test_nothing_of_a_spoiled_engine_is_remembered() -> None:
    seen = Fingerprints()
    assert seen.agrees("a", {"": [1]})
    assert not seen.agrees("a", {"": [0], "lora": [0]})
    assert seen.agrees("a", {"": [1], "lora": [2]})


def test_engines_and_adapters_are_told_apart() -> None:
    seen = Fingerprints()
    assert seen.agrees("a", {"": [1]})
    assert seen.agrees("b", {"": [2]})
    assert seen.agrees("a", {"lora": [3]})
