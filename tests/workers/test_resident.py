"""Resident: one engine stays loaded, and only as long as it is the one that is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from orchestra.records import Generation, Request
from orchestra.roster import Expert
from orchestra.runs import Account
from orchestra.workers import Resident, Worker

EXPERTS = {name: Expert(name, name, worker="scripted") for name in "abc"}


@dataclass
class Engines:
    """Writes down what is loaded and unloaded; `a` and `b` are of one unit."""

    log: list[str] = field(default_factory=list)

    def unit(self, expert: Expert) -> str:
        return "base" if expert.name in "ab" else expert.name

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None
    ) -> AbstractAsyncContextManager[Worker]:
        return self._open("".join(each.name for each in (expert, *others)))

    @asynccontextmanager
    async def _open(self, names: str) -> AsyncIterator[Worker]:
        self.log.append(f"+{names}")
        yield self
        self.log.append(f"-{names}")

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        for request in requests:
            yield Generation(request.key, request.question_id, request.expert, "x")


@pytest.mark.parametrize(
    ("visits", "log"),
    [
        (["a"], ["+a", "-a"]),
        (["a", "a"], ["+a", "-a"]),
        (["a", "c", "a"], ["+a", "-a", "+c", "-c", "+a", "-a"]),
        (["ab", "a", "b"], ["+ab", "-ab"]),
        (["a", "ab"], ["+a", "-a", "+ab", "-ab"]),  # an engine without b's adapter is no use
    ],
)
def test_a_load_for_each_change(visits: list[str], log: list[str]) -> None:
    async def visit() -> int:
        async with Resident(engines) as workers:
            for names in visits:
                async with workers.open(*(EXPERTS[name] for name in names)):
                    pass
            return workers.loads

    engines = Engines()
    assert asyncio.run(visit()) == sum(each.startswith("+") for each in log)
    assert engines.log == log


def test_what_fails_is_not_kept() -> None:
    async def visit() -> None:
        async with Resident(engines) as workers:
            with pytest.raises(RuntimeError):
                async with workers.open(EXPERTS["a"]):
                    raise RuntimeError
            async with workers.open(EXPERTS["a"]):
                pass

    engines = Engines()
    asyncio.run(visit())
    assert [each for each in engines.log if each.startswith("+")] == ["+a", "+a"]
