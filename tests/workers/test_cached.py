"""Remember: what is known is not asked again; what failed is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from orchestra.records import Generation, Message, Request, Sampling
from orchestra.runs import Ledger, RowKind
from orchestra.workers import ScriptedWorker
from orchestra.workers.cached import Cached


def request(name: str) -> Request:
    return Request(name, f"q-{name}", "e", "tag", (Message("user", name),), Sampling())


def ask(worker: Cached, *names: str) -> dict[str, Generation]:
    async def collect() -> dict[str, Generation]:
        return {each.key: each async for each in worker.generate([request(n) for n in names])}

    return asyncio.run(collect())


def test_known_generations_are_not_asked_again(tmp_path: Path) -> None:
    asked: list[str] = []

    def script(given: Request) -> str:
        asked.append(given.key)
        return f"said {given.key}"

    with Ledger(tmp_path / "l.sqlite") as ledger:
        worker = Cached(ScriptedWorker(script), ledger)
        ask(worker, "a", "b", "c")
        again = ask(worker, "c", "d", "a")
        assert asked == ["a", "b", "c", "d"]
        assert {key: each.text for key, each in again.items()} == {
            "c": "said c",
            "d": "said d",
            "a": "said a",
        }
        assert ledger.count(RowKind.GENERATION) == 4


def test_a_failure_is_asked_again(tmp_path: Path) -> None:
    tries: list[str] = []

    def script(given: Request) -> str:
        tries.append(given.key)
        if len(tries) == 1:
            raise RuntimeError("engine is down")
        return "up again"

    with Ledger(tmp_path / "l.sqlite") as ledger:
        worker = Cached(ScriptedWorker(script), ledger)
        assert ask(worker, "a")["a"].failure is not None
        assert ask(worker, "a")["a"].text == "up again"
        assert ask(worker, "a")["a"].text == "up again"
    assert tries == ["a", "a"]


def test_what_was_paid_for_is_on_the_disk_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def script(given: Request) -> str:
        with Ledger(tmp_path / "l.sqlite", readonly=True) as reader:
            seen.append(reader.count(RowKind.GENERATION))
        return "x"

    monkeypatch.setattr("orchestra.runs.ledger._SECONDS", -1.0)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        ask(Cached(ScriptedWorker(script), ledger), "a", "b", "c")
    assert seen == [0, 1, 2]
